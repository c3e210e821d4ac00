/** Reading an object as a stream that goes on where it was cut off. */
import type { Readable } from 'node:stream';

import { GetObjectCommand } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import type { S3Connection } from './connection.ts';

/** An answer that was cut off before so many bytes counts as another failure in a row. */
const PROGRESS_BYTES = 65_536;

/** An object, or one version of it. */
export type ObjectName = { readonly key: string; readonly versionId?: string | undefined };

/**
 * Reads an object. Its bytes are not checked: whoever knows their hash does that.
 * @throws CartularyError `not-found`; `overloaded` where the server is away, or the connection was cut or stood still too often without a byte in between; `corrupt` where the
 *   server goes on elsewhere than it was asked to
 */
export async function* readObject(s3: S3Connection, { key, versionId }: ObjectName): AsyncIterable<Buffer> {
  let offset = 0;
  let failures = 0;
  let total: number | undefined;
  for (;;) {
    const from = offset;
    const answer = await s3.call('read an object', (client, options) =>
      client.send(
        new GetObjectCommand({
          Bucket: s3.bucket,
          Key: key,
          VersionId: versionId,
          ...(from === 0 ? {} : { Range: `bytes=${from}-` }),
        }),
        options,
      ),
    );
    const body = answer.Body as Readable;
    total ??= lengthOf(answer.ContentLength);
    if (from > 0 && answer.ContentRange !== `bytes ${from}-${total - 1}/${total}`) {
      body.destroy();
      throw new CartularyError('corrupt', 'an object in S3 changed while it was read');
    }
    try {
      for await (const chunk of inTime(body, s3.limits.idleMsMax)) {
        offset += chunk.length;
        yield chunk;
      }
    } catch {
      // Whatever ends a stream before its time; the server's own refusals come before its first byte.
    }
    if (offset >= total) return;
    failures = offset - from < PROGRESS_BYTES ? failures + 1 : 1;
    if (failures >= s3.limits.attemptsMax)
      throw new CartularyError('overloaded', 'the connection to the S3 server is cut whenever an object is read');
    await s3.waitFor(failures);
  }
}

function lengthOf(said: number | undefined): number {
  if (said === undefined) throw new CartularyError('overloaded', 'the S3 server does not say how long an object is');
  return said;
}

/** Gives out what comes, and ends where nothing came for too long. The time that the reader takes does not count. */
async function* inTime(body: Readable, idleMsMax: number): AsyncIterable<Buffer> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  try {
    for (;;) {
      const timer = setTimeout(() => body.destroy(new Error('timeout')), idleMsMax);
      const next = await chunks.next().finally(() => clearTimeout(timer));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}
