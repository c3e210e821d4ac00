/**
 * Writing an object whose bytes are in a file. It counts as written when the server has shown that it holds them: not every server looks at the checksum that it is sent, so
 * where none comes back the object is read.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { CompletedPart } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import type { S3Connection } from './connection.ts';
import { readObject } from './read-object.ts';
import type { ObjectName } from './read-object.ts';

/** What is to be written. */
export type Upload = {
  readonly key: string;
  readonly file: FileHandle;
  readonly bytes: number;
  /** SHA-256 of all bytes. */
  readonly sha256: Buffer;
};

/** @source Amazon S3 User Guide, "Amazon S3 multipart upload limits" */
const PARTS_MAX = 10_000;
/** How often what was written is looked at: what comes back wrong may have been altered on its way back. */
const LOOKS_MAX = 3;

/**
 * Writes an object. Durable when it answers, and read back.
 * @throws CartularyError `too-large` where it would have too many parts, `corrupt` where the server does not hold what it was sent; then that version is gone again
 */
export async function writeObject(s3: S3Connection, upload: Upload): Promise<ObjectName> {
  const { key, bytes } = upload;
  const { versionId, checksum } =
    bytes <= s3.limits.partBytes ? await writeAtOnce(s3, upload) : await writeInParts(s3, upload);
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const found = await findWritten(s3, upload, versionId, checksum);
    if (found !== undefined) return { key, versionId: versionId ?? found.versionId };
  }
  // Only a version that is known to be the one written just now; another of this name may be whole.
  if (versionId !== undefined)
    await s3.call('remove an object', (client, options) =>
      client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: key, VersionId: versionId }), options),
    );
  throw new CartularyError('corrupt', 'the S3 server does not hold the bytes that it was sent');
}

type Written = { readonly versionId: string | undefined; readonly checksum: string };

const base64 = (algorithm: 'md5' | 'sha256', bytes: Uint8Array): string =>
  createHash(algorithm).update(bytes).digest('base64');

async function writeAtOnce(s3: S3Connection, { key, file, bytes, sha256 }: Upload): Promise<Written> {
  const body = await readPart(file, 0, bytes);
  const checksum = sha256.toString('base64');
  const { VersionId } = await s3.call(
    'keep an object',
    (client, options) =>
      client.send(
        new PutObjectCommand({ Bucket: s3.bucket, Key: key, Body: body, ...checksums(body), ChecksumSHA256: checksum }),
        options,
      ),
    bytes,
  );
  return { versionId: VersionId, checksum };
}

/** Both, since one server looks at this and another at that. */
function checksums(body: Buffer) {
  return { ContentLength: body.length, ContentMD5: base64('md5', body), ChecksumSHA256: base64('sha256', body) };
}

async function writeInParts(s3: S3Connection, upload: Upload): Promise<Written> {
  const { key, bytes } = upload;
  const count = Math.ceil(bytes / s3.limits.partBytes);
  if (count > PARTS_MAX)
    throw new CartularyError('too-large', `an object may have ${PARTS_MAX * s3.limits.partBytes} bytes`, {
      detail: { limit: PARTS_MAX * s3.limits.partBytes },
    });
  const { UploadId } = await s3.call('begin an object', (client, options) =>
    client.send(
      new CreateMultipartUploadCommand({ Bucket: s3.bucket, Key: key, ChecksumAlgorithm: 'SHA256' }),
      options,
    ),
  );
  if (UploadId === undefined) throw new CartularyError('overloaded', 'the S3 server begins no upload');
  try {
    const parts = await sendParts(s3, upload, UploadId, count);
    const versionId = await complete(s3, key, UploadId, parts);
    const digests = parts.map(({ ChecksumSHA256 }) => Buffer.from(ChecksumSHA256 ?? '', 'base64'));
    return { versionId, checksum: `${base64('sha256', Buffer.concat(digests))}-${count}` };
  } catch (cause) {
    // What stays after all is swept when it is old.
    await abort(s3, key, UploadId).catch(() => undefined);
    throw cause;
  }
}

async function sendParts(
  s3: S3Connection,
  { key, file, bytes }: Upload,
  UploadId: string,
  count: number,
): Promise<CompletedPart[]> {
  const { partBytes } = s3.limits;
  const parts: CompletedPart[] = [];
  for (let index = 0; index < count; index += 1) {
    const body = await readPart(file, index * partBytes, Math.min(partBytes, bytes - index * partBytes));
    const sums = checksums(body);
    const { ETag } = await s3.call(
      'keep a part of an object',
      (client, options) =>
        client.send(
          new UploadPartCommand({ Bucket: s3.bucket, Key: key, UploadId, PartNumber: index + 1, Body: body, ...sums }),
          options,
        ),
      body.length,
    );
    if (ETag === undefined) throw new CartularyError('overloaded', 'the S3 server does not say what it has kept');
    parts.push({ ETag, PartNumber: index + 1, ChecksumSHA256: sums.ChecksumSHA256 });
  }
  return parts;
}

/** @returns the version, where the server says it */
async function complete(
  s3: S3Connection,
  key: string,
  UploadId: string,
  Parts: CompletedPart[],
): Promise<string | undefined> {
  const finished = await s3
    .call('finish an object', (client, options) =>
      client.send(
        new CompleteMultipartUploadCommand({ Bucket: s3.bucket, Key: key, UploadId, MultipartUpload: { Parts } }),
        options,
      ),
    )
    // Finished by an earlier attempt whose answer was lost; whether it is there is seen when it is read back.
    .catch(undefinedWhereMissing);
  return finished?.VersionId;
}

async function readPart(file: FileHandle, from: number, bytes: number): Promise<Buffer> {
  const part = Buffer.alloc(bytes);
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await file.read(part, done, bytes - done, from + done);
    if (bytesRead === 0) throw new CartularyError('corrupt', 'a file was cut off while it was sent');
    done += bytesRead;
  }
  return part;
}

/** Looks at what the server holds. @returns undefined where it is not what was sent */
async function findWritten(
  s3: S3Connection,
  { key, bytes, sha256 }: Upload,
  versionId: string | undefined,
  checksum: string,
): Promise<{ readonly versionId: string | undefined } | undefined> {
  const head = await s3
    .call('look at an object', (client, options) =>
      client.send(
        new HeadObjectCommand({ Bucket: s3.bucket, Key: key, VersionId: versionId, ChecksumMode: 'ENABLED' }),
        options,
      ),
    )
    .catch(undefinedWhereMissing);
  if (head?.ContentLength !== bytes) return undefined;
  const found = { versionId: head.VersionId };
  if (head.ChecksumSHA256 !== undefined)
    return [checksum, sha256.toString('base64')].includes(head.ChecksumSHA256) ? found : undefined;
  const hash = createHash('sha256');
  for await (const chunk of readObject(s3, { key, versionId })) hash.update(chunk);
  return hash.digest().equals(sha256) ? found : undefined;
}

function undefinedWhereMissing(cause: unknown): undefined {
  if (!(cause instanceof CartularyError && cause.code === 'not-found')) throw cause;
}

/** Ends uploads below a prefix that were begun and never finished, and frees what they hold. */
export async function sweepUploads(s3: S3Connection, prefix: string): Promise<void> {
  let KeyMarker: string | undefined;
  let UploadIdMarker: string | undefined;
  do {
    const page = await s3.call('list uploads', (client, options) =>
      client.send(
        new ListMultipartUploadsCommand({
          Bucket: s3.bucket,
          Prefix: prefix,
          KeyMarker,
          UploadIdMarker,
          MaxUploads: s3.limits.listMax,
        }),
        options,
      ),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      const isOld = Initiated !== undefined && Date.now() - Initiated.getTime() >= s3.limits.abandonedMs;
      if (isOld && Key?.startsWith(prefix) === true && UploadId !== undefined) await abort(s3, Key, UploadId);
    }
    KeyMarker = page.IsTruncated === true ? page.NextKeyMarker : undefined;
    UploadIdMarker = page.NextUploadIdMarker;
  } while (KeyMarker !== undefined);
}

async function abort(s3: S3Connection, Key: string, UploadId: string): Promise<void> {
  await s3
    .call('end an upload', (client, options) =>
      client.send(new AbortMultipartUploadCommand({ Bucket: s3.bucket, Key, UploadId }), options),
    )
    .catch(undefinedWhereMissing);
}
