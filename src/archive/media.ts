/**
 * Media: sealed as a stream under a key of their own, which is sealed with the message. When the message's secret goes, the medium goes.
 *
 * A blob is `CTM1 ‖ record id (16) ‖ u16 length ‖ sealed media key ‖ C2SP chunked encryption`.
 */
import { createHash } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import type { StoredMedia } from '../model/event.ts';
import { ID_BYTES } from '../model/ids.ts';
import type { BlobStore } from '../store/blobs.ts';
import { decryptChunked, encryptChunked } from '../vault/chunked.ts';
import type { RandomPool } from '../vault/random.ts';
import type { Sealer } from '../vault/seal.ts';

const MAGIC = Buffer.from('CTM1', 'latin1');
const HEAD_BYTES = MAGIC.length + ID_BYTES + 2;

/** Settings that name media whose record is not committed yet (keep-medium.ts). */
export const STORING = 'storing/';

/** The message a medium belongs to. */
export type MediaOwner = { readonly messageId: Uint8Array; readonly secret: Uint8Array };

export type MediaVault = {
  /**
   * Seals and stores a medium as it streams in.
   * @param limit bytes beyond which it is refused
   * @param onNamed told the blob's name before the blob has it
   * @throws CartularyError `too-large`
   */
  store(
    owner: MediaOwner,
    source: AsyncIterable<Uint8Array>,
    limit: number,
    onNamed: (name: string) => Promise<void>,
  ): Promise<{ stored: StoredMedia; head: Uint8Array }>;
  /** Opens a medium; every chunk is checked before it is given out. */
  open(owner: MediaOwner, blob: string): AsyncIterable<Uint8Array>;
};

/** First bytes of a medium that are kept for finding out what it is. */
const SNIFF_BYTES = 4100;

/** Makes the media vault of one archive. */
export function createMediaVault(parts: {
  readonly sealer: Sealer;
  readonly random: RandomPool;
  readonly blobs: BlobStore;
}): MediaVault {
  return {
    async store(owner, source, limit, onNamed) {
      const recordId = parts.random.take(ID_BYTES);
      const key = parts.random.take(32);
      const wrapped = parts.sealer.seal({
        purpose: 'media-key',
        messageId: owner.messageId,
        recordId,
        secret: owner.secret,
        plaintext: key,
      });
      const measured = measure(source, limit);
      const { name, bytes } = await parts.blobs.put(
        prepend(formatHead(recordId, wrapped), encryptChunked(key, mediaContext(owner, recordId), measured.chunks)),
        onNamed,
      );
      key.fill(0);
      const { sha256, size, head } = measured.result();
      return { stored: { blob: name, blobBytes: bytes, bytes: size, sha256 }, head };
    },
    open: (owner, blob) => openBlob(parts, owner, blob),
  };
}

async function* openBlob(
  parts: { readonly sealer: Sealer; readonly blobs: BlobStore },
  owner: MediaOwner,
  blob: string,
): AsyncIterable<Uint8Array> {
  const source = parts.blobs.get(blob)[Symbol.asyncIterator]();
  let buffer = Buffer.alloc(0);
  const need = async (bytes: number): Promise<void> => {
    while (buffer.length < bytes) {
      const next = await source.next();
      if (next.done === true) throw new CartularyError('corrupt', 'a medium is cut off');
      buffer = Buffer.concat([buffer, next.value]);
    }
  };
  await need(HEAD_BYTES);
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC))
    throw new CartularyError('corrupt', 'a medium has an unknown format');
  const recordId = Buffer.from(buffer.subarray(MAGIC.length, MAGIC.length + ID_BYTES));
  const wrappedBytes = buffer.readUInt16BE(MAGIC.length + ID_BYTES);
  await need(HEAD_BYTES + wrappedBytes);
  const wrapped = buffer.subarray(HEAD_BYTES, HEAD_BYTES + wrappedBytes);
  const key = parts.sealer.open({
    purpose: 'media-key',
    messageId: owner.messageId,
    recordId,
    secret: owner.secret,
    sealed: wrapped,
  });
  const rest = prepend(buffer.subarray(HEAD_BYTES + wrappedBytes), { [Symbol.asyncIterator]: () => source });
  yield* decryptChunked(key, mediaContext(owner, recordId), rest);
}

function formatHead(recordId: Uint8Array, wrapped: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(wrapped.length);
  return Buffer.concat([MAGIC, recordId, length, wrapped]);
}

function mediaContext(owner: MediaOwner, recordId: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('cartulary/media/v1'), owner.messageId, recordId]);
}

async function* prepend(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (first.length > 0) yield first;
  yield* rest;
}

function measure(source: AsyncIterable<Uint8Array>, limit: number) {
  const hash = createHash('sha256');
  let size = 0;
  let head = Buffer.alloc(0);
  async function* chunks(): AsyncIterable<Uint8Array> {
    for await (const chunk of source) {
      size += chunk.length;
      if (size > limit)
        throw new CartularyError('too-large', `a medium may have ${limit} bytes`, { detail: { limit } });
      if (head.length < SNIFF_BYTES) head = Buffer.concat([head, chunk.subarray(0, SNIFF_BYTES - head.length)]);
      hash.update(chunk);
      yield chunk;
    }
  }
  return { chunks: chunks(), result: () => ({ sha256: hash.digest('hex'), size, head }) };
}
