/**
 * The evidence bundle (`bundle-format.ts`): JSON Lines with media, hashes, proofs and manifest as a ZIP that `verify --bundle` checks
 * offline with nothing but the log's public key.
 *
 * Records pass once. While they are written, their proofs, messages and gaps go to sealed spools and become files after them; of the media
 * only hashes and openers are remembered until the end. Every inclusion proof is checked before it is written: an export that does not
 * verify helps nobody.
 */
import type { Writable } from 'node:stream';

import { verifyCheckpoint } from '../../ledger/checkpoint.ts';
import type { VerifiedCheckpoint } from '../../ledger/checkpoint.ts';
import { formatBase64 } from '../../ledger/bytes.ts';
import { LedgerError } from '../../ledger/error.ts';
import { leafHash, verifyInclusion } from '../../ledger/tree.ts';
import { CartularyError } from '../../model/errors.ts';
import { foldMessage } from '../../model/fold.ts';
import { parseRecord } from '../../model/record.ts';
import type { LoggedRecord } from '../../model/record.ts';
import {
  BUNDLE_FILES,
  BUNDLE_FORMAT,
  BUNDLE_LIMITS,
  BUNDLE_VERSION,
  FOLD_VERSION,
  formatGapLine,
  formatManifest,
  formatMessageLine,
  formatProofLine,
  formatRecordLine,
  formatSums,
  mediaFileName,
  storedMedium,
} from '../bundle-format.ts';
import type { BundleFile, BundleManifest } from '../bundle-format.ts';
import { formatReadme } from '../bundle-readme.ts';
import type { Exporter, ExportInput, ExportPlace, ExportRecord, ExportSummary } from './exporter.ts';
import { openSealedSpool } from './sealed-spool.ts';
import type { SealedSpool } from './sealed-spool.ts';
import { createZipWriter } from './zip-writer.ts';
import type { ZipWriter } from './zip-writer.ts';

export const jsonlBundleExporter: Exporter = {
  name: 'jsonl',
  version: BUNDLE_VERSION,
  title: 'Evidence bundle: JSON Lines with media, proofs and manifest',
  extension: 'zip',
  contentType: 'application/zip',
  write: writeBundle,
};

/** Characters of lines that are gathered before they are compressed: one by one they would cost more than their content. */
const BLOCK_CHARS = 64 * 1024;

type Spools = { readonly proofs: SealedSpool; readonly messages: SealedSpool; readonly gaps: SealedSpool };
type Medium = { readonly name: string; readonly bytes: number; readonly open: () => AsyncIterable<Uint8Array> };

/** What is known while records pass. */
type Writing = {
  readonly input: ExportInput;
  readonly head: VerifiedCheckpoint;
  readonly spools: Spools;
  readonly media: Map<string, Medium>;
  readonly missing: Set<string>;
  readonly counts: { messages: number; records: number; gaps: number };
};

async function writeBundle(input: ExportInput, output: Writable, place: ExportPlace): Promise<ExportSummary> {
  const zip = createZipWriter(output, input.exportedAtMs);
  const opened: SealedSpool[] = [];
  const openSpool = async (): Promise<SealedSpool> => {
    const spool = await openSealedSpool(place.spoolDirectory);
    opened.push(spool);
    return spool;
  };
  try {
    const spools = { proofs: await openSpool(), messages: await openSpool(), gaps: await openSpool() };
    const head = checkLog(() => verifyCheckpoint(input.checkpoint, input.logKey));
    const counts = { messages: 0, records: 0, gaps: 0 };
    return await writeFiles(zip, { input, head, spools, media: new Map(), missing: new Set(), counts });
  } catch (error) {
    await zip.abort(error);
    throw error;
  } finally {
    for (const spool of opened) await spool.close();
  }
}

async function writeFiles(zip: ZipWriter, writing: Writing): Promise<ExportSummary> {
  const { input, head, spools, media, counts } = writing;
  const files: BundleFile[] = [];
  files.push(await zip.add(BUNDLE_FILES.records, writeRecords(writing)));
  files.push(await zip.add(BUNDLE_FILES.proofs, spools.proofs.read()));
  files.push(await zip.add(BUNDLE_FILES.messages, spools.messages.read()));
  if (counts.gaps > 0) files.push(await zip.add(BUNDLE_FILES.gaps, spools.gaps.read()));
  for (const [sha256, medium] of media) {
    // Pictures, sound and film are compressed already.
    const file = await zip.add(medium.name, medium.open(), { compress: false });
    if (file.sha256 !== sha256 || file.bytes !== medium.bytes) {
      throw new CartularyError('corrupt', 'a medium is not what its record says');
    }
    files.push(file);
  }
  files.push(await zip.add(BUNDLE_FILES.checkpoint, textOf(input.checkpoint)));
  // A medium that one record could not give may have come with another.
  const missingMedia = [...writing.missing].filter((sha256) => !media.has(sha256)).sort();
  const described: Omit<BundleManifest, 'files'> = {
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    archive: { id: input.archive.id, name: input.archive.name },
    log: { key: input.logKey, origin: head.origin, size: head.size, root: formatBase64(head.root) },
    exportedAt: new Date(input.exportedAtMs).toISOString(),
    exportedBy: input.exportedBy,
    query: input.query,
    foldVersion: FOLD_VERSION,
    counts: { messages: counts.messages, records: counts.records, media: media.size, gaps: counts.gaps },
    withheld: (input.withheld ?? []).map(({ reason, messages }) => ({ reason, messages })),
    missingMedia,
  };
  files.push(await zip.add(BUNDLE_FILES.readme, textOf(formatReadme(described))));
  const manifestFile = await zip.add(BUNDLE_FILES.manifest, textOf(formatManifest({ ...described, files })));
  await zip.add(BUNDLE_FILES.sums, textOf(formatSums([...files, manifestFile])));
  const { bytes, sha256 } = await zip.end();
  return { ...described.counts, missingMedia, bytes, sha256, manifestSha256: manifestFile.sha256 };
}

async function* textOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text, 'utf8');
}

/** `records.jsonl`; fills the spools on the way. */
async function* writeRecords(writing: Writing): AsyncGenerator<Uint8Array> {
  const { spools, counts } = writing;
  let gathered: string[] = [];
  let gatheredChars = 0;
  for await (const records of writing.input.messages) {
    if (records.length > BUNDLE_LIMITS.messageRecordsMax) {
      throw new CartularyError(
        'too-large',
        `a bundle holds at most ${BUNDLE_LIMITS.messageRecordsMax} records of one message`,
      );
    }
    const logged: LoggedRecord[] = [];
    for (const record of records) {
      logged.push(await passRecord(writing, record));
      const line = `${formatRecordLine(record)}\n`;
      gathered.push(line);
      gatheredChars += line.length;
      if (gatheredChars < BLOCK_CHARS) continue;
      yield Buffer.from(gathered.join(''), 'latin1');
      gathered = [];
      gatheredChars = 0;
    }
    assertOneMessage(logged);
    const message = foldMessage(logged);
    if (message === undefined) continue;
    counts.messages += 1;
    await spools.messages.write(`${formatMessageLine(message)}\n`);
  }
  yield Buffer.from(gathered.join(''), 'latin1');
}

async function passRecord(writing: Writing, exported: ExportRecord): Promise<LoggedRecord> {
  const { spools, counts, head } = writing;
  const { seq, proof, leaf, recordBytes } = exported;
  const hash = leafHash(leaf);
  checkLog(() => verifyInclusion({ index: seq, size: head.size, leafHash: hash, root: head.root, proof }));
  const logged = { seq, record: parseRecord(recordBytes) };
  rememberMedium(writing, exported, logged);
  const gap = formatGapLine(logged);
  if (gap !== undefined) {
    counts.gaps += 1;
    await spools.gaps.write(`${gap}\n`);
  }
  counts.records += 1;
  await spools.proofs.write(`${formatProofLine({ index: seq, leafHash: hash, proof })}\n`);
  return logged;
}

function rememberMedium({ media, missing }: Writing, { openMedium }: ExportRecord, { record }: LoggedRecord): void {
  const medium = storedMedium(record);
  if (medium === undefined || media.has(medium.sha256)) return;
  if (openMedium === undefined) {
    missing.add(medium.sha256);
    return;
  }
  if (media.size >= BUNDLE_LIMITS.mediaFilesMax) {
    throw new CartularyError(
      'too-large',
      `a bundle holds at most ${BUNDLE_LIMITS.mediaFilesMax} media; export less at a time`,
    );
  }
  media.set(medium.sha256, { name: mediaFileName(medium.sha256, medium.mime), bytes: medium.bytes, open: openMedium });
}

/** The caller groups records by message, oldest first; a bundle that breaks this could not be verified. */
function assertOneMessage(records: readonly LoggedRecord[]): void {
  for (const [index, { seq, record }] of records.entries()) {
    const before = records[index - 1];
    if (before !== undefined && (before.record.message !== record.message || before.seq >= seq)) {
      throw new CartularyError('internal', 'records of an export must come message by message, oldest first');
    }
  }
}

function checkLog<Result>(check: () => Result): Result {
  try {
    return check();
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CartularyError('corrupt', `the log does not bear the export out: ${cause.message}`, { cause });
  }
}
