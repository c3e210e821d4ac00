/**
 * # The evidence bundle: what writer and verifier agree on
 *
 * A ZIP of plain files that somebody who has never heard of us can check:
 *
 *     manifest.json     what this is, and SHA-256 and size of every other file but SHA256SUMS
 *     SHA256SUMS        the same sums, and that of the manifest, for `sha256sum -c`
 *     checkpoint        the signed head of the log to which all proofs lead (C2SP tlog-checkpoint), verbatim
 *     records.jsonl     a line a record: its leaf, its blinding value `r`, and its exact bytes, in Base 64
 *     proofs.jsonl      the same lines' inclusion proofs, in the same order
 *     messages.jsonl    a line a message: what its records add up to, for reading
 *     gaps.jsonl        a line for each time something was found missing; absent where nothing was
 *     media/<sha256>.*  the media, named by the hash of their bytes; the ending is from a closed list
 *     README.txt        how to check all this without us
 *
 * `records.jsonl` is the truth: hashes are over the bytes in it, and a parsed copy beside them would be a second truth. Records stand
 * grouped by message, oldest first, all records of a message together, so that whoever reads needs to hold one message at a time.
 *
 * Every text has one form only: the lines are what `JSON.stringify` gives for the object with its keys in the order below, each with `\n`.
 */
import { z } from 'zod';

import type { Message } from '../model/fold.ts';
import type { ArchiveRecord, LoggedRecord } from '../model/record.ts';
import { formatInstant } from '../model/time.ts';

export const BUNDLE_FORMAT = 'cartulary-bundle';
export const BUNDLE_VERSION = 1;
/** Raised whenever `foldMessage` gives something else for the same records: a bundle then says by which rule its messages were made. */
export const FOLD_VERSION = 1;

/** Names of the files that every bundle has, and of one that it may have. */
export const BUNDLE_FILES = {
  manifest: 'manifest.json',
  sums: 'SHA256SUMS',
  checkpoint: 'checkpoint',
  records: 'records.jsonl',
  proofs: 'proofs.jsonl',
  messages: 'messages.jsonl',
  gaps: 'gaps.jsonl',
  readme: 'README.txt',
} as const;

export const BUNDLE_LIMITS = {
  /** Media in one bundle; each is a ZIP entry. */
  mediaFilesMax: 100_000,
  /** Records of one message. */
  messageRecordsMax: 100_000,
  /** Bytes of one line: a record has up to 64 MiB, and Base 64 a third more. */
  lineBytesMax: 96 * 1024 * 1024,
  manifestBytesMax: 32 * 1024 * 1024,
  smallFileBytesMax: 2 * 1024 * 1024,
} as const;

/** Name of a medium's file. */
export const MEDIA_NAME = /^media\/([0-9a-f]{64})\.[a-z0-9]{2,5}$/;

const EXTENSIONS = new Map([
  ['image/jpeg', 'jpg'],
  ['image/png', 'png'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
  ['image/heic', 'heic'],
  ['video/mp4', 'mp4'],
  ['video/3gpp', '3gp'],
  ['video/quicktime', 'mov'],
  ['audio/mpeg', 'mp3'],
  ['audio/ogg', 'ogg'],
  ['audio/mp4', 'm4a'],
  ['audio/amr', 'amr'],
  ['audio/aac', 'aac'],
  ['application/pdf', 'pdf'],
  ['text/vcard', 'vcf'],
  ['text/x-vcard', 'vcf'],
]);

/** The file name of a medium: from its hash and a closed list of types, never from a name that somebody sent. */
export function mediaFileName(sha256: string, mime: string | undefined): string {
  const type = (mime ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return `media/${sha256}.${EXTENSIONS.get(type) ?? 'bin'}`;
}

const hexHash = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();

/** `manifest.json`. Who made a bundle controls all of it but what the log's signature and the records bear out. */
export const bundleManifest = z.strictObject({
  format: z.literal(BUNDLE_FORMAT),
  version: z.literal(BUNDLE_VERSION),
  archive: z.strictObject({ id: z.string().regex(/^arc_[0-9a-f]{32}$/), name: z.string().max(200) }),
  log: z.strictObject({
    key: z.string().max(1000),
    origin: z.string().max(255),
    size: count,
    root: z.string().max(64),
  }),
  exportedAt: z.iso.datetime({ precision: 3 }),
  exportedBy: z.string().max(200),
  query: z.string().max(100_000),
  foldVersion: z.int().positive(),
  counts: z.strictObject({ messages: count, records: count, media: count, gaps: count }),
  withheld: z.array(z.strictObject({ reason: z.string().max(200), messages: count })).max(1000),
  missingMedia: z.array(hexHash),
  files: z.array(z.strictObject({ name: z.string().max(200), bytes: count, sha256: hexHash })),
});
export type BundleManifest = z.infer<typeof bundleManifest>;
/** A file as the manifest names it. */
export type BundleFile = BundleManifest['files'][number];

/** The text of the manifest. */
export function formatManifest(manifest: BundleManifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** The text of `SHA256SUMS`, in the order in which the files are named. */
export function formatSums(files: readonly Pick<BundleFile, 'name' | 'sha256'>[]): string {
  return files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');
}

/** A line of `records.jsonl`. */
export const recordLine = z.strictObject({ seq: count, leaf: z.string(), r: z.string(), record: z.string() });

/** Writes a line of `records.jsonl`. */
export function formatRecordLine(record: {
  seq: number;
  leaf: Uint8Array;
  r: Uint8Array;
  recordBytes: Uint8Array;
}): string {
  const { seq, leaf, r, recordBytes } = record;
  return JSON.stringify({ seq, leaf: toBase64(leaf), r: toBase64(r), record: toBase64(recordBytes) });
}

/** A line of `proofs.jsonl`. */
export const proofLine = z.strictObject({ index: count, leafHash: z.string(), proof: z.array(z.string()).max(64) });

/** Writes a line of `proofs.jsonl`. */
export function formatProofLine(proof: { index: number; leafHash: Uint8Array; proof: readonly Uint8Array[] }): string {
  return JSON.stringify({ index: proof.index, leafHash: toBase64(proof.leafHash), proof: proof.proof.map(toBase64) });
}

/** Writes a line of `messages.jsonl`. */
export function formatMessageLine(message: Message): string {
  return JSON.stringify(message);
}

/** Writes a line of `gaps.jsonl`; undefined for a record that is not about a gap. */
export function formatGapLine({ seq, record }: LoggedRecord): string | undefined {
  const { event } = record;
  if (event.kind !== 'gap.opened' && event.kind !== 'gap.closed') return undefined;
  return JSON.stringify({
    seq,
    message: record.message,
    kind: event.kind,
    reason: event.reason,
    at: formatInstant(event.occurredAt),
    knownAt: formatInstant(record.capturedAt),
  });
}

/** The medium that a record says was stored, if it says so. */
export function storedMedium(
  record: ArchiveRecord,
): { sha256: string; bytes: number; mime: string | undefined } | undefined {
  if (record.event.kind !== 'media.stored') return undefined;
  const { sha256, bytes, mimeSniffed, mimeDeclared } = record.event.media;
  return { sha256, bytes, mime: mimeSniffed ?? mimeDeclared };
}

// Not the ledger's: that one runs in browsers, and took half the time of an export.
function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
