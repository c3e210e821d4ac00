/** A month of the index on its way to other nodes: copied, sealed under a key of its own, sent. */
import { randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CartularyError } from '../../model/errors.ts';
import type { ArchiveId } from '../../model/ids.ts';
import type { IndexWriter } from '../../search/index-writer.ts';
import type { Month } from '../../search/months.ts';
import { openBlobs } from '../../store/blob-engine.ts';
import type { BlobLocation } from '../../store/blob-location.ts';
import { encryptChunked } from '../../vault/chunked.ts';
import { monthContext } from '../shared-month.ts';
import type { MonthCopy } from '../shared-month.ts';

/**
 * Copies a month as the index has it now, and sends the copy.
 * @param index copied from before this first yields; `directory`: where the copy waits until it is sent
 * @returns undefined where somebody who reads it stands in the way
 * @throws CartularyError `overloaded` where the server is away, `stopping`, `index-damaged`
 */
export async function sendMonth(
  archiveId: ArchiveId,
  index: Pick<IndexWriter, 'copyMonth' | 'watermark'>,
  month: Month,
  to: { readonly directory: string; readonly location: BlobLocation; readonly signal: AbortSignal },
): Promise<MonthCopy | undefined> {
  const path = join(to.directory, `${month}.db`);
  const followed = index.watermark();
  mkdirSync(to.directory, { recursive: true, mode: 0o700 });
  try {
    if (!index.copyMonth(month, path)) return undefined;
    const key = randomBytes(32);
    const blobs = await openBlobs(to.location);
    const source = untilStopped(createReadStream(path, { highWaterMark: 256 * 1024 }), to.signal);
    const { name } = await blobs.put(encryptChunked(key, monthContext(archiveId, month), source));
    return { object: name, key: key.toString('hex'), followed };
  } finally {
    await rm(path, { force: true });
  }
}

async function* untilStopped(source: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  for await (const chunk of source) {
    if (signal.aborted) throw new CartularyError('stopping', 'the archive is being closed');
    yield chunk;
  }
}
