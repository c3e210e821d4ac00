/** Removing an object for good: in a bucket with versions a plain deletion only hides it. */
import { DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import type { S3Connection } from './connection.ts';

/** A version of an object. */
export type ObjectVersion = { readonly key: string; readonly versionId: string };
/** A version of an object, or a mark that it was deleted. */
export type ListedVersion = ObjectVersion & { readonly isMark: boolean };

/** A server that says that it removed a version and did not is asked so often. */
const ROUNDS_MAX = 3;

/** All versions of all objects whose key begins with `prefix`, and all marks of deletion. */
export async function* listVersions(s3: S3Connection, prefix: string): AsyncIterable<ListedVersion> {
  let KeyMarker: string | undefined;
  let VersionIdMarker: string | undefined;
  do {
    const page = await s3.call('list versions', (client, options) =>
      client.send(
        new ListObjectVersionsCommand({
          Bucket: s3.bucket,
          Prefix: prefix,
          KeyMarker,
          VersionIdMarker,
          MaxKeys: s3.limits.listMax,
        }),
        options,
      ),
    );
    for (const [isMark, listed] of [[false, page.Versions ?? []] as const, [true, page.DeleteMarkers ?? []] as const])
      for (const { Key, VersionId } of listed)
        if (Key?.startsWith(prefix) === true && VersionId !== undefined)
          yield { key: Key, versionId: VersionId, isMark };
    KeyMarker = page.IsTruncated === true ? page.NextKeyMarker : undefined;
    VersionIdMarker = page.NextVersionIdMarker;
  } while (KeyMarker !== undefined);
}

/**
 * Removes every version of an object. One that is not there is removed already.
 * @throws CartularyError `conflict` where a version is locked, `corrupt` where one stays although the server says that it removed it
 */
export async function removeAllVersions(s3: S3Connection, key: string): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const versions = (await Array.fromAsync(listVersions(s3, key))).filter((version) => version.key === key);
    if (versions.length === 0) return;
    for (const version of versions) await removeVersion(s3, version);
  }
  throw new CartularyError('corrupt', 'the S3 server keeps an object that it says it has removed');
}

/** Removes one version. @throws CartularyError `conflict` where it is locked */
export async function removeVersion(s3: S3Connection, version: ObjectVersion): Promise<void> {
  try {
    await s3.call('remove an object', (client, options) =>
      client.send(
        new DeleteObjectCommand({ Bucket: s3.bucket, Key: version.key, VersionId: version.versionId }),
        options,
      ),
    );
  } catch (cause) {
    if (!(cause instanceof CartularyError)) throw cause;
    if (cause.code === 'not-found') return;
    if (cause.detail['status'] === 403 && (await isLocked(s3, version)))
      throw new CartularyError('conflict', 'the object is locked in S3 and cannot be removed yet', { cause });
    throw cause;
  }
}

async function isLocked(s3: S3Connection, { key, versionId }: ObjectVersion): Promise<boolean> {
  const head = await s3
    .call('look at an object', (client, options) =>
      client.send(new HeadObjectCommand({ Bucket: s3.bucket, Key: key, VersionId: versionId }), options),
    )
    // Of a mark of deletion there is nothing to look at.
    .catch(() => undefined);
  return (head?.ObjectLockRetainUntilDate?.getTime() ?? 0) > Date.now() || head?.ObjectLockLegalHoldStatus === 'ON';
}
