/**
 * The records of a bundle, one after the other beside their proofs, their messages and their gaps: four files read side by side, so that no more
 * than one message is held.
 */
import { equalBytes, formatHex } from '../ledger/bytes.ts';
import type { Checkpoint } from '../ledger/checkpoint.ts';
import { LEAF_KINDS, decodeLeaf } from '../ledger/leaf.ts';
import type { Leaf, LeafKind } from '../ledger/leaf.ts';
import { leafHash, verifyInclusion } from '../ledger/tree.ts';
import { foldMessage } from '../model/fold.ts';
import { ID_PREFIX } from '../model/ids.ts';
import { parseRecord } from '../model/record.ts';
import type { ArchiveRecord, LoggedRecord } from '../model/record.ts';
import { commitRecord } from '../vault/seal.ts';
import {
  BUNDLE_FILES,
  BUNDLE_LIMITS,
  formatGapLine,
  formatMessageLine,
  formatProofLine,
  formatRecordLine,
  proofLine,
  recordLine,
  storedMedium,
} from './bundle-format.ts';
import { BundleFault, readBundleLines } from './bundle-reader.ts';
import type { FileDigest, OpenBundle } from './bundle-reader.ts';
import { addFault, addThrown } from './fault-list.ts';
import type { FaultList } from './fault-list.ts';

/** A medium that a record says was stored: by which record, and how large. */
export type MediaClaim = { readonly seq: number; readonly bytes: number };

/** What was found. */
export type RecordsFound = {
  readonly records: number;
  readonly messages: number;
  readonly gaps: number;
  readonly media: ReadonlyMap<string, MediaClaim>;
};

/** What records are checked against. */
export type RecordsExpectation = {
  readonly list: FaultList;
  /** The head to which proofs must lead; without it every proof is a fault. */
  readonly checkpoint: Checkpoint | undefined;
  readonly archiveId: string | undefined;
  readonly compareMessages: boolean;
  readonly onDigest: (name: string, digest: FileDigest) => void;
};

/** A file of lines that ends at its first fault. */
type LineSource = { readonly next: () => Promise<string | undefined>; readonly drain: () => Promise<number> };

/** One pass over the records. */
type Pass = {
  readonly expected: RecordsExpectation;
  readonly proofs: LineSource;
  readonly messages: LineSource;
  readonly gaps: LineSource;
  readonly seen: SeenSet;
  readonly messageIds: Set<string>;
  readonly media: Map<string, MediaClaim>;
  /** Records of the current message. */
  group: { readonly logged: LoggedRecord; readonly leaf: Leaf }[];
  readonly counts: { records: number; messages: number; gaps: number };
};

/** Checks all records, proofs, messages and gaps; what is wrong goes to the list. */
export async function checkRecords(bundle: OpenBundle, expected: RecordsExpectation): Promise<RecordsFound> {
  const open = (name: string): LineSource => openLines(bundle, name, expected);
  const records = open(BUNDLE_FILES.records);
  const pass: Pass = {
    expected,
    proofs: open(BUNDLE_FILES.proofs),
    messages: open(BUNDLE_FILES.messages),
    gaps: bundle.names.includes(BUNDLE_FILES.gaps) ? open(BUNDLE_FILES.gaps) : NO_LINES,
    seen: { blocks: new Map() },
    messageIds: new Set(),
    media: new Map(),
    group: [],
    counts: { records: 0, messages: 0, gaps: 0 },
  };
  for (let line = await records.next(); line !== undefined; line = await records.next()) await passRecord(pass, line);
  await passMessage(pass);
  await expectEnd(pass, pass.proofs, 'proof-invalid', BUNDLE_FILES.proofs);
  const more = await expectEnd(pass, pass.messages, 'message-mismatch', BUNDLE_FILES.messages);
  await expectEnd(pass, pass.gaps, 'gap-mismatch', BUNDLE_FILES.gaps);
  if (!expected.compareMessages) pass.counts.messages += more;
  return { ...pass.counts, media: pass.media };
}

const NO_LINES: LineSource = { next: async () => undefined, drain: async () => 0 };

function openLines(bundle: OpenBundle, name: string, { list, onDigest }: RecordsExpectation): LineSource {
  let lines: AsyncGenerator<string> | undefined;
  let digest: FileDigest | undefined;
  let ended = false;
  const next = async (): Promise<string | undefined> => {
    if (ended) return undefined;
    try {
      if (lines === undefined) {
        const file = bundle.read(name);
        digest = file.digest;
        lines = readBundleLines(name, file.chunks);
      }
      const { done, value } = await lines.next();
      if (done !== true) return value;
      if (digest !== undefined) onDigest(name, digest);
    } catch (error) {
      addThrown(list, error, 'file-changed', { file: name });
    }
    ended = true;
    return undefined;
  };
  const drain = async (): Promise<number> => {
    let count = 0;
    while ((await next()) !== undefined) count += 1;
    return count;
  };
  return { next, drain };
}

async function expectEnd(
  { expected }: Pass,
  source: LineSource,
  code: 'proof-invalid' | 'message-mismatch' | 'gap-mismatch',
  file: string,
): Promise<number> {
  const more = await source.drain();
  const compared = code !== 'message-mismatch' || expected.compareMessages;
  if (more > 0 && compared)
    addFault(expected.list, code, `the file has ${more} lines more than the records bear out`, { file });
  return more;
}

async function passRecord(pass: Pass, line: string): Promise<void> {
  const { list } = pass.expected;
  const file = BUNDLE_FILES.records;
  const proof = await pass.proofs.next();
  pass.counts.records += 1;
  let seq: number | undefined;
  try {
    const raw = parseRecordLine(line);
    seq = raw.seq;
    if (wasSeen(pass.seen, seq))
      addFault(list, 'record-repeated', 'this place of the log was given before', { file, seq });
    const checked = checkRecord(pass.expected, raw);
    checkProof(pass.expected, raw, proof);
    const logged = { seq, record: checked.record };
    await passGap(pass, logged);
    claimMedium(pass, logged);
    if (pass.group[0] !== undefined && pass.group[0].logged.record.message !== checked.record.message)
      await passMessage(pass);
    if (pass.group.length >= BUNDLE_LIMITS.messageRecordsMax) {
      throw new BundleFault('hostile-zip', `a message has at most ${BUNDLE_LIMITS.messageRecordsMax} records`, {
        file,
      });
    }
    pass.group.push({ logged, leaf: checked.leaf });
  } catch (error) {
    addThrown(list, error, 'record-invalid', { file, ...(seq === undefined ? {} : { seq }) });
  }
}

type RawRecord = {
  readonly seq: number;
  readonly leaf: Uint8Array;
  readonly r: Uint8Array;
  readonly recordBytes: Uint8Array;
};

function parseRecordLine(line: string): RawRecord {
  const { seq, leaf, r, record } = recordLine.parse(JSON.parse(line));
  const raw = {
    seq,
    leaf: Buffer.from(leaf, 'base64'),
    r: Buffer.from(r, 'base64'),
    recordBytes: Buffer.from(record, 'base64'),
  };
  // One form only, which also refuses whatever the decoder skips.
  if (formatRecordLine(raw) !== line)
    throw new BundleFault('record-invalid', 'the line is not in its one form', { seq });
  return raw;
}

/** Leaf and record must be about the same thing, and the leaf must have committed to these bytes. */
function checkRecord(expected: RecordsExpectation, raw: RawRecord): { record: ArchiveRecord; leaf: Leaf } {
  const { seq } = raw;
  const file = BUNDLE_FILES.records;
  const leaf = decodeLeaf(raw.leaf);
  if (raw.r.length !== 32 || !equalBytes(commitRecord(raw.r, raw.recordBytes), leaf.commitment)) {
    throw new BundleFault('commitment-mismatch', 'the record is not the one that its leaf committed to', { file, seq });
  }
  const record = parseRecord(raw.recordBytes);
  const { list } = expected;
  const differ = (what: string): void =>
    addFault(list, 'leaf-mismatch', `leaf and record differ in ${what}`, { file, seq });
  if (record.record !== ID_PREFIX.record + formatHex(leaf.recordId)) differ('the id of the record');
  if (record.archive !== ID_PREFIX.archive + formatHex(leaf.archiveId)) differ('the archive');
  if (expected.archiveId !== undefined && record.archive !== expected.archiveId) {
    addFault(list, 'leaf-mismatch', 'the record belongs to another archive than the manifest names', { file, seq });
  }
  if (record.capturedAt.ms !== leaf.timeMs) differ('the time');
  const kinds: Partial<Record<string, number>> = LEAF_KINDS satisfies Record<LeafKind, number>;
  if (kinds[record.event.kind] !== leaf.kind) differ('the kind');
  return { record, leaf };
}

function checkProof({ list, checkpoint }: RecordsExpectation, raw: RawRecord, line: string | undefined): void {
  const { seq } = raw;
  const place = { file: BUNDLE_FILES.proofs, seq };
  try {
    if (line === undefined) throw new BundleFault('proof-invalid', 'there is no proof for this record', place);
    const parsed = proofLine.parse(JSON.parse(line));
    const proof = parsed.proof.map((hash) => Buffer.from(hash, 'base64'));
    const hash = leafHash(raw.leaf);
    if (formatProofLine({ index: seq, leafHash: hash, proof }) !== line) {
      throw new BundleFault('proof-invalid', 'the proof is about another leaf, or not in its one form', place);
    }
    if (checkpoint === undefined)
      throw new BundleFault('proof-invalid', 'there is no checkpoint to which the proof could lead', place);
    verifyInclusion({ index: seq, size: checkpoint.size, leafHash: hash, root: checkpoint.root, proof });
  } catch (error) {
    addThrown(list, error, 'proof-invalid', place);
  }
}

async function passGap(pass: Pass, logged: LoggedRecord): Promise<void> {
  const line = formatGapLine(logged);
  if (line === undefined) return;
  pass.counts.gaps += 1;
  if ((await pass.gaps.next()) !== line) {
    addFault(pass.expected.list, 'gap-mismatch', 'the gap is not listed as its record has it', {
      file: BUNDLE_FILES.gaps,
      seq: logged.seq,
    });
  }
}

function claimMedium(pass: Pass, { seq, record }: LoggedRecord): void {
  const medium = storedMedium(record);
  if (medium === undefined || pass.media.has(medium.sha256)) return;
  if (pass.media.size >= BUNDLE_LIMITS.mediaFilesMax) {
    throw new BundleFault('hostile-zip', `a bundle has at most ${BUNDLE_LIMITS.mediaFilesMax} media`, { seq });
  }
  pass.media.set(medium.sha256, { seq, bytes: medium.bytes });
}

/** The records of one message have ended: are they all, and does the message say what they add up to? */
async function passMessage(pass: Pass): Promise<void> {
  const { group, expected, messageIds, counts } = pass;
  const [first] = group;
  if (first === undefined) return;
  pass.group = [];
  const { message } = first.logged.record;
  const { seq } = first.logged;
  const { list } = expected;
  const repeated = messageIds.has(message);
  messageIds.add(message);
  if (repeated)
    addFault(list, 'record-repeated', 'the records of one message do not stand together', {
      file: BUNDLE_FILES.records,
      seq,
    });
  checkChain(list, group);
  if (!expected.compareMessages) return;
  const line = await pass.messages.next();
  counts.messages += 1;
  let folded: string | undefined;
  try {
    const state = foldMessage(group.map(({ logged }) => logged));
    folded = state === undefined ? undefined : formatMessageLine(state);
  } catch {
    addFault(list, 'record-invalid', 'the records of this message do not add up to one', {
      file: BUNDLE_FILES.records,
      seq,
    });
  }
  if (line === undefined || line !== folded) {
    addFault(list, 'message-mismatch', 'the message is not what its records add up to', {
      file: BUNDLE_FILES.messages,
      seq,
    });
  }
}

/** Each leaf names the record of the same message before it, so that none between two can be left out unnoticed. */
function checkChain(list: FaultList, group: Pass['group']): void {
  let before = formatHex(new Uint8Array(16));
  let last = -1;
  for (const { logged, leaf } of group) {
    const place = { file: BUNDLE_FILES.records, seq: logged.seq };
    if (logged.seq <= last)
      addFault(list, 'record-repeated', 'the records of a message are not in the order of the log', place);
    if (formatHex(leaf.previous) !== before)
      addFault(list, 'record-missing', 'a record of this message before this one is missing', place);
    before = formatHex(leaf.recordId);
    last = logged.seq;
  }
}

/** Places of the log that were seen: a bit for each, in blocks that are made when they are needed. */
type SeenSet = { readonly blocks: Map<number, Uint8Array> };

// Small: a hostile bundle may name a place in every block.
const BLOCK_PLACES = 1024;

function wasSeen({ blocks }: SeenSet, seq: number): boolean {
  const index = Math.floor(seq / BLOCK_PLACES);
  const block = blocks.get(index) ?? new Uint8Array(BLOCK_PLACES / 8);
  blocks.set(index, block);
  const place = seq % BLOCK_PLACES;
  const bit = 1 << (place & 7);
  const byte = block[place >> 3] ?? 0;
  block[place >> 3] = byte | bit;
  return (byte & bit) !== 0;
}
