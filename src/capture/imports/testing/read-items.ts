/**
 * Helpers of the import tests: a source out of bytes, and items as plain values that can be compared.
 */
import type { Importer, ImportItem, ImportOptions } from '../importer.ts';

/** An item with its media read. */
export type ReadItem =
  | (Omit<Extract<ImportItem, { kind: 'event' }>, 'media'> & {
      media: { part: number; bytes: Buffer; sha256: string }[];
    })
  | Exclude<ImportItem, { kind: 'event' }>;

/** Cuts bytes at the given places (any numbers; they are brought into range and order). */
export function cutBytes(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : places[index - 1], end));
}

/** Chunks that are overwritten once the next is asked for, as a reader with one buffer would do. */
async function* reuseMemory(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    const copy = Uint8Array.from(chunk);
    yield copy;
    copy.fill(0x5a);
  }
}

/** Reads everything but the progress. */
export async function readItems(
  importer: Importer,
  input: Uint8Array | string | readonly Uint8Array[],
  options: ImportOptions = {},
): Promise<ReadItem[]> {
  const chunks = typeof input === 'string' ? [Buffer.from(input)] : input instanceof Uint8Array ? [input] : input;
  const items: ReadItem[] = [];
  const bytesTotal = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  for await (const item of importer.read({ chunks: reuseMemory(chunks), fileSha256: '', bytesTotal }, options)) {
    if (item.kind === 'progress') continue;
    if (item.kind !== 'event') {
      items.push(item);
      continue;
    }
    const media = [];
    for (const { part, bytes, sha256 } of item.media ?? []) media.push({ part, bytes: await readAll(bytes), sha256 });
    items.push({ ...item, media });
  }
  return items;
}

/** All bytes of a medium. */
export async function readAll(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<Buffer> {
  if (bytes instanceof Uint8Array) return Buffer.from(bytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Only the items with events. */
export function eventItems(items: readonly ReadItem[]): Extract<ReadItem, { kind: 'event' }>[] {
  return items.filter((item) => item.kind === 'event');
}

/** Only the rejections. */
export function rejections(items: readonly ReadItem[]): Extract<ReadItem, { kind: 'rejected' }>[] {
  return items.filter((item) => item.kind === 'rejected');
}
