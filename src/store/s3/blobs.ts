/**
 * Sealed media in a bucket. A blob has the same name as in a directory, the SHA-256 of its ciphertext; since that is known only when all of it was seen, it waits in a file of
 * this machine, as sealed as it will be in the bucket, and is sent under its own name. So nothing in the bucket ever has another name, and there is nothing to rename.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import { orDiskFailed } from '../../vault/durable-file.ts';
import { blobPath, isBlobName } from '../blobs.ts';
import type { BlobStore } from '../blobs.ts';
import type { S3Location } from '../blob-location.ts';
import { openConnection, S3_LIMITS } from './connection.ts';
import type { S3Connection, S3Limits } from './connection.ts';
import { holdVersion, lockVersion } from './object-lock.ts';
import { readObject } from './read-object.ts';
import type { ObjectName } from './read-object.ts';
import { sweepUploads, writeObject } from './upload.ts';
import { listVersions, removeAllVersions, removeVersion } from './versions.ts';

/** Below the prefix of the place, where it names no other: blobs, and nothing else. */
const FOLDER = 'blobs/';

/** Blobs in a bucket, some of which the server itself may be told not to remove. */
export type S3Blobs = BlobStore & {
  /**
   * Keeps a ciphertext as `put` does, and locks it.
   * @param untilMs the mandatory floor of its retention, ms since 1970: nobody can take it back
   * @returns `lockedUntilMs`: later than that where the bucket has a rule of its own
   * @throws CartularyError `setting` where the server does not lock; then the blob is not kept
   */
  putLocked(
    ciphertext: AsyncIterable<Uint8Array>,
    untilMs: number,
    onNamed?: (name: string) => Promise<void>,
  ): Promise<{ name: string; bytes: number; lockedUntilMs: number }>;
  /** Puts a blob under a legal hold, or takes the hold away. @throws CartularyError `not-found`, `setting` where the server does not hold */
  hold(name: string, isHeld: boolean): Promise<void>;
};

/** Opens a place in a bucket as a blob store; nothing is sent yet. */
export function openS3Blobs(location: S3Location, limits: S3Limits = S3_LIMITS): S3Blobs {
  const s3 = openConnection(location, limits);
  const prefix = folderOf(location);
  return {
    async put(ciphertext, onNamed) {
      const { name, bytes } = await putBlob(s3, location, ciphertext, onNamed);
      return { name, bytes };
    },
    async putLocked(ciphertext, untilMs, onNamed) {
      const { name, bytes, version } = await putBlob(s3, location, ciphertext, onNamed);
      return { name, bytes, lockedUntilMs: await lockOrRemove(s3, version, untilMs) };
    },
    async hold(name, isHeld) {
      const key = keyOf(location, name);
      const versions = await Array.fromAsync(listVersions(s3, key));
      const held = versions.filter((version) => version.key === key && !version.isMark);
      if (held.length === 0) throw new CartularyError('not-found', 'a blob is missing');
      for (const version of held) await holdVersion(s3, version, isHeld);
    },
    get: (name) => readChecked(s3, keyOf(location, name), name),
    async has(name) {
      return hasObject(s3, keyOf(location, name));
    },
    async remove(name) {
      await removeAllVersions(s3, keyOf(location, name));
    },
    list: () => listNames(s3, prefix),
    async sweep() {
      await rm(location.spool, { recursive: true, force: true });
      await sweepUploads(s3, prefix);
    },
  };
}

/** A blob that was to be locked and is not, is none. */
async function lockOrRemove(s3: S3Connection, { key, versionId }: ObjectName, untilMs: number): Promise<number> {
  if (versionId === undefined) {
    await removeAllVersions(s3, key);
    throw new CartularyError('setting', 'the bucket has no versions, so that nothing in it can be locked');
  }
  try {
    return await lockVersion(s3, { key, versionId }, untilMs);
  } catch (cause) {
    await removeVersion(s3, { key, versionId }).catch(() => undefined);
    throw cause;
  }
}

/** The key of a blob. @throws CartularyError `bad-input` where that is no name of one */
function keyOf(location: S3Location, name: string): string {
  blobPath(name);
  return folderOf(location) + name;
}

function folderOf({ prefix, folder = FOLDER }: S3Location): string {
  return prefix + folder;
}

/** Keeps a ciphertext (`BlobStore.put`), and says which version it is. */
async function putBlob(
  s3: S3Connection,
  location: S3Location,
  ciphertext: AsyncIterable<Uint8Array>,
  onNamed: ((name: string) => Promise<void>) | undefined,
): Promise<{ readonly name: string; readonly bytes: number; readonly version: ObjectName }> {
  await mkdir(location.spool, { recursive: true, mode: 0o700 });
  const path = join(location.spool, randomBytes(16).toString('hex'));
  const file = await open(path, 'wx+', 0o600);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of ciphertext) {
      hash.update(chunk);
      bytes += chunk.length;
      await orDiskFailed(path, file.appendFile(chunk));
    }
    const sha256 = hash.digest();
    const name = sha256.toString('hex');
    // Asked first: where the server is away, what is noted of blobs that never come would pile up.
    if (onNamed !== undefined) await hasObject(s3, keyOf(location, name));
    await onNamed?.(name);
    const version = await writeObject(s3, { key: keyOf(location, name), file, bytes, sha256 });
    return { name, bytes, version };
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

async function hasObject(s3: S3Connection, key: string): Promise<boolean> {
  try {
    await s3.call('look at a blob', (client, options) =>
      client.send(new HeadObjectCommand({ Bucket: s3.bucket, Key: key }), options),
    );
    return true;
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'not-found') return false;
    throw cause;
  }
}

async function* readChecked(s3: S3Connection, key: string, name: string): AsyncIterable<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of readObject(s3, { key })) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== name) throw new CartularyError('corrupt', 'a blob does not have the bytes its name says');
}

async function* listNames(s3: S3Connection, prefix: string): AsyncIterable<string> {
  let ContinuationToken: string | undefined;
  do {
    const page = await s3.call('list blobs', (client, options) =>
      client.send(
        new ListObjectsV2Command({
          Bucket: s3.bucket,
          Prefix: prefix,
          ContinuationToken,
          MaxKeys: s3.limits.listMax,
        }),
        options,
      ),
    );
    for (const { Key = '' } of page.Contents ?? [])
      if (isBlobName(Key.slice(prefix.length))) yield Key.slice(prefix.length);
    ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (ContinuationToken !== undefined);
}
