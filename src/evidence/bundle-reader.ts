/**
 * A ZIP that anybody may have made, read so that it cannot hurt: names from a closed list, each once; sizes, counts and ratios bounded; no
 * entry inside another; what an entry gives is counted, and its CRC-32 and SHA-256 are known when it ends.
 *
 * Everything wrong is a `BundleFault` thrown with a closed code and a text that quotes nothing but names from the list.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { fromRandomAccessReaderPromise, openPromise } from 'yauzl';
import type { Entry, RandomAccessReader, ZipFile } from 'yauzl';

import { BUNDLE_FILES, BUNDLE_LIMITS, MEDIA_NAME } from './bundle-format.ts';

/** Codes of what can be wrong with a bundle. Stable, never reused. */
export const BUNDLE_FAULTS = [
  'not-a-bundle',
  'hostile-zip',
  'bad-key',
  'file-missing',
  'file-unexpected',
  'file-changed',
  'manifest-invalid',
  'checkpoint-invalid',
  'record-invalid',
  'record-repeated',
  'record-missing',
  'leaf-mismatch',
  'commitment-mismatch',
  'proof-invalid',
  'message-mismatch',
  'gap-mismatch',
  'media-missing',
  'media-changed',
  'count-mismatch',
] as const;
export type BundleFaultCode = (typeof BUNDLE_FAULTS)[number];

/** One thing that is wrong. */
export class BundleFault extends Error {
  readonly code: BundleFaultCode;
  readonly file: string | undefined;
  readonly seq: number | undefined;

  constructor(code: BundleFaultCode, message: string, where: { file?: string; seq?: number; cause?: unknown } = {}) {
    super(message, where.cause === undefined ? {} : { cause: where.cause });
    this.name = 'BundleFault';
    this.code = code;
    this.file = where.file;
    this.seq = where.seq;
  }
}

/** A file on disk, or any other bytes that can be read at a place. */
export type BundleSource = string | { readonly reader: RandomAccessReader; readonly bytes: number };

/** An open bundle. */
export type OpenBundle = {
  /** Names in the order of the ZIP's directory. */
  readonly names: readonly string[];
  /** Reads a file; the digest is complete when the chunks have ended. Throws `file-missing`, `hostile-zip`, `file-changed`. */
  readonly read: (name: string) => { readonly chunks: AsyncIterable<Buffer>; readonly digest: FileDigest };
  readonly close: () => void;
};

/** What is known of a file that was read to its end. */
export type FileDigest = { bytes: number; sha256: string | undefined };

const FIXED_NAMES: ReadonlySet<string> = new Set(Object.values(BUNDLE_FILES));
const ENTRIES_MAX = BUNDLE_LIMITS.mediaFilesMax + FIXED_NAMES.size;
/** Deflate reaches 1,032 : 1 on zeros; JSON Lines of hashes and Base 64 stay below 50 : 1. */
const RATIO_MAX = 200;
/** Below this an entry may have any ratio. */
const RATIO_FREE_BYTES = 1024 * 1024;

/** Opens a bundle and checks its directory. Throws `BundleFault`; whatever the file system throws is `not-a-bundle`. */
export async function openBundle(source: BundleSource): Promise<OpenBundle> {
  const options = { autoClose: false, lazyEntries: true, decodeStrings: false, validateEntrySizes: true };
  let zip: ZipFile;
  try {
    zip =
      typeof source === 'string'
        ? await openPromise(source, options)
        : await fromRandomAccessReaderPromise(source.reader, source.bytes, options);
  } catch (cause) {
    throw new BundleFault(
      'not-a-bundle',
      'the file cannot be read as a ZIP: it is missing, cut off or another kind of file',
      { cause },
    );
  }
  // Errors come through the calls that caused them; without a listener one that comes late would end the process.
  zip.on('error', () => undefined);
  try {
    const entries = await readDirectory(zip);
    await assertApart(zip, entries);
    return {
      names: [...entries.keys()],
      read(name) {
        const entry = entries.get(name);
        if (entry === undefined) throw new BundleFault('file-missing', 'the bundle lacks this file', { file: name });
        const digest: FileDigest = { bytes: 0, sha256: undefined };
        return { chunks: readEntry(zip, name, entry, digest), digest };
      },
      close: () => zip.close(),
    };
  } catch (error) {
    zip.close();
    throw error;
  }
}

async function readDirectory(zip: ZipFile): Promise<Map<string, Entry>> {
  if (zip.entryCount > ENTRIES_MAX) throw new BundleFault('hostile-zip', `a bundle has at most ${ENTRIES_MAX} files`);
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileNameRaw.toString('latin1');
      if (!FIXED_NAMES.has(name) && !MEDIA_NAME.test(name)) {
        // The name is not repeated: it may be anything.
        throw new BundleFault('file-unexpected', 'the bundle holds a file that no bundle has');
      }
      if (entries.has(name))
        throw new BundleFault('hostile-zip', 'the bundle holds two files of one name', { file: name });
      assertEntry(name, entry);
      entries.set(name, entry);
    }
  } catch (cause) {
    if (cause instanceof BundleFault) throw cause;
    throw new BundleFault('not-a-bundle', 'the directory of the ZIP is damaged', { cause });
  }
  return entries;
}

function assertEntry(name: string, entry: Entry): void {
  if (!entry.canDecodeFileData()) {
    throw new BundleFault('hostile-zip', 'the file is encrypted or compressed in an unusual way', { file: name });
  }
  const free = Math.max(entry.compressedSize, RATIO_FREE_BYTES / RATIO_MAX) * RATIO_MAX;
  if (entry.uncompressedSize > free) {
    throw new BundleFault('hostile-zip', `the file would grow to more than ${RATIO_MAX} times its size`, {
      file: name,
    });
  }
}

/** No entry may lie inside another: overlapping entries are how a small ZIP unfolds into a huge one. */
async function assertApart(zip: ZipFile, entries: ReadonlyMap<string, Entry>): Promise<void> {
  const byOffset = [...entries].sort(([, a], [, b]) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  let end = 0;
  for (const [name, entry] of byOffset) {
    let local;
    try {
      local = await zip.readLocalFileHeaderPromise(entry);
    } catch (cause) {
      throw new BundleFault('not-a-bundle', 'the file lies outside the ZIP', { file: name, cause });
    }
    const streamed = (local.generalPurposeBitFlag & 0x8) !== 0;
    const same =
      local.fileName.equals(entry.fileNameRaw) &&
      local.compressionMethod === entry.compressionMethod &&
      local.generalPurposeBitFlag === entry.generalPurposeBitFlag &&
      local.lastModFileTime === entry.lastModFileTime &&
      local.lastModFileDate === entry.lastModFileDate &&
      (streamed ? local.crc32 === 0 || local.crc32 === entry.crc32 : local.crc32 === entry.crc32);
    if (!same) throw new BundleFault('hostile-zip', 'the ZIP says two things of one file', { file: name });
    if (entry.relativeOffsetOfLocalHeader < end)
      throw new BundleFault('hostile-zip', 'two files of the ZIP overlap', { file: name });
    end = local.fileDataStart + entry.compressedSize;
  }
}

async function* readEntry(zip: ZipFile, name: string, entry: Entry, digest: FileDigest): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let sum = 0;
  try {
    const stream = await zip.openReadStreamPromise(entry);
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sum = crc32(chunk, sum);
      digest.bytes += chunk.length;
      yield chunk;
    }
  } catch (cause) {
    throw new BundleFault('file-changed', 'the file cannot be unpacked: it was changed or cut', { file: name, cause });
  }
  if (sum !== entry.crc32) throw new BundleFault('file-changed', 'the file does not have its CRC-32', { file: name });
  digest.sha256 = hash.digest('hex');
}

/** All of a small file. Throws as `read`, and `hostile-zip` above `bytesMax`. */
export async function readWhole(
  bundle: OpenBundle,
  name: string,
  bytesMax: number,
): Promise<{ bytes: Buffer; digest: FileDigest }> {
  const { chunks, digest } = bundle.read(name);
  const pieces: Buffer[] = [];
  for await (const chunk of chunks) {
    if (digest.bytes > bytesMax)
      throw new BundleFault('hostile-zip', `this file has at most ${bytesMax} bytes`, { file: name });
    pieces.push(chunk);
  }
  return { bytes: Buffer.concat(pieces), digest };
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The lines of a file, each ended by `\n` and valid UTF-8. Throws as `read`; `hostile-zip` for a line above the limit, `file-changed` where the last
 * line has no end or a line is not UTF-8.
 */
export async function* readBundleLines(name: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  const take = (last: Buffer): string => {
    pieces.push(last);
    const whole = pieces.length === 1 ? last : Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
    try {
      return strictUtf8.decode(whole);
    } catch (cause) {
      throw new BundleFault('file-changed', 'a line is not UTF-8', { file: name, cause });
    }
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      yield take(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from === chunk.length) continue;
    bytes += chunk.length - from;
    if (bytes > BUNDLE_LIMITS.lineBytesMax) {
      throw new BundleFault('hostile-zip', `a line has at most ${BUNDLE_LIMITS.lineBytesMax} bytes`, { file: name });
    }
    pieces.push(chunk.subarray(from));
  }
  if (pieces.length > 0) throw new BundleFault('file-changed', 'the last line has no end', { file: name });
}
