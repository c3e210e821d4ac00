/**
 * An index that begins with months that were shared (`share-months.ts`) rather than with the first record. Only what they lack is derived from the records.
 *
 * What they lack is found by comparing sets, not believed: every message that has a key, with the place in the log of its last record, against what stands in the months and how far the log
 * was followed in each. What stands in a month and has no key any more is taken out, and the file it stood in is written anew. All of it happens in a directory of its own, so that nothing is
 * answered from a month before that is done. A month that cannot be had, or is not what was shared, counts as not shared.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { isFirstLeaf } from '../../ledger/leaf.ts';
import { CartularyError } from '../../model/errors.ts';
import type { Hit, IndexChange } from '../../search/document.ts';
import { openIndexReader } from '../../search/index-reader.ts';
import type { IndexReader } from '../../search/index-reader.ts';
import { openIndexWriter } from '../../search/index-writer.ts';
import type { IndexWriter } from '../../search/index-writer.ts';
import { removeLog } from '../../search/month-file.ts';
import { monthFileName, monthOf } from '../../search/months.ts';
import type { Month } from '../../search/months.ts';
import { openBlobs } from '../../store/blob-engine.ts';
import type { BlobLocation } from '../../store/blob-location.ts';
import type { BlobStore } from '../../store/blobs.ts';
import type { StateRow, StoreReader } from '../../store/store.ts';
import { isDiskFailed } from '../../store/thread.ts';
import { decryptChunked } from '../../vault/chunked.ts';
import { findLeastSizeUnderWay } from '../under-way.ts';
import { findSharedMonths, monthContext } from '../shared-month.ts';
import type { SharedMonth } from '../shared-month.ts';
import { deriveMessages, deriveOnly } from './derive-range.ts';
import type { Deriver } from './derive-range.ts';
import { breathe } from './workspace.ts';
import type { ThreadSetup } from './workspace.ts';

/** What taking months needs. */
export type Taking = {
  readonly setup: Pick<ThreadSetup, 'archiveId' | 'indexKey'>;
  readonly deriver: Deriver;
  readonly location: BlobLocation;
  /** Not there yet; afterwards an index, where there was anything to take. */
  readonly directory: string;
  readonly writeStates: (states: readonly StateRow[]) => Promise<void>;
  readonly isStopped: () => boolean;
};

/** Messages that are compared at a time, or records that are read. */
const CHUNK = 5000;
/** Messages that are looked up one by one at a time. */
const NUMBERS = 500;
/** Where more than this part of them are lacking, they are read in the order of the log. */
const LACKING_PART = 1 / 4;
/** Where no more than this part stands in the months up to the end of the log, all of it is followed as any other. */
const STANDING_PART = 1 / 16;
/** So many months are compared without opening a file twice, each with little memory. */
const OPEN_FILES = 256;
const CACHE_KIB = 256;

/**
 * Takes months into a directory and brings them up to the log.
 * @returns whether there is an index now, which is to be followed from its watermark on
 * @throws CartularyError `stopping`; the errors of the store
 */
export async function takeMonths(taking: Taking): Promise<boolean> {
  const { deriver, directory, setup } = taking;
  const shared = await findSharedMonths(deriver);
  if (shared.size === 0) return false;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fetched = await fetchMonths(taking, shared);
  const index = openIndexReader({ directory, key: setup.indexKey, openFilesMax: OPEN_FILES, cacheKib: CACHE_KIB });
  try {
    const taken = { index, months: await keepSound(index, directory, fetched) };
    if (taken.months.size === 0) return false;
    const lack = await findLack(taking, taken);
    const writer = openIndexWriter({ directory, key: setup.indexKey });
    try {
      await fillIn(taking, taken, writer, lack);
    } finally {
      writer.close();
    }
    return true;
  } finally {
    index.close();
  }
}

/** Fetches what can be had; a server that is away is not asked for the others. */
async function fetchMonths(
  { location, directory, setup, isStopped }: Taking,
  shared: ReadonlyMap<Month, SharedMonth>,
): Promise<Map<Month, SharedMonth>> {
  const blobs = await openBlobs(location, false);
  const fetched = new Map<Month, SharedMonth>();
  for (const [month, one] of shared) {
    assertGoesOn(isStopped);
    const path = join(directory, monthFileName(month));
    try {
      await fetchMonth(blobs, one, monthContext(setup.archiveId, month), path);
      fetched.set(month, one);
    } catch (cause) {
      if (isDiskFailed(cause)) throw cause;
      await rm(path, { force: true });
      if (cause instanceof CartularyError && cause.code === 'overloaded') break;
    }
  }
  return fetched;
}

async function fetchMonth(blobs: BlobStore, one: SharedMonth, context: Uint8Array, path: string): Promise<void> {
  const key = Buffer.from(one.key, 'hex');
  await pipeline(
    decryptChunked(key, context, blobs.get(one.object)),
    createWriteStream(path, { mode: 0o600, flush: true }),
  );
}

/** Files of another version, or that were damaged before they were shared, go. */
async function keepSound(
  index: IndexReader,
  directory: string,
  fetched: ReadonlyMap<Month, SharedMonth>,
): Promise<Map<Month, SharedMonth>> {
  const sound = new Map<Month, SharedMonth>();
  for (const [month, one] of fetched) {
    const path = join(directory, monthFileName(month));
    const isSound = index.isSound(month);
    index.refresh();
    if (isSound) sound.set(month, one);
    else {
      removeLog(path);
      await rm(path);
    }
    await breathe();
  }
  return sound;
}

/** What the months lack. */
type Lack = {
  /** Begins of stretches of message numbers in which some are lacking. */
  readonly stretches: readonly number[];
  /** Where what has no key any more stands. */
  readonly gone: readonly Hit[];
  /** From here on the log is followed: what came after is not looked for by the message. */
  readonly watermark: number;
};

/** Files that were taken, and how they are read. */
type Taken = { readonly index: IndexReader; readonly months: ReadonlyMap<Month, SharedMonth> };

async function findLack({ deriver: { reader }, isStopped }: Taking, taken: Taken): Promise<Lack> {
  // In this order: what is being destroyed while the sets are compared has its record after this place, or is under way and says where it can be.
  const size = await reader.size();
  const underWay = await findLeastSizeUnderWay(reader);
  const stretches: number[] = [];
  const gone: Hit[] = [];
  let tail = Number.POSITIVE_INFINITY;
  for (let from = 0; ;) {
    assertGoesOn(isStopped);
    const stretch = await compareStretch(reader, taken, from);
    if (stretch === undefined) {
      assertNothingFrom(taken, from);
      break;
    }
    gone.push(...stretch.gone);
    if (stretch.lacking.size > 0) stretches.push(stretch.first);
    if (stretch.standing > stretch.count * STANDING_PART) tail = Number.POSITIVE_INFINITY;
    else tail = Math.min(tail, stretch.first);
    from = stretch.to;
    await breathe();
  }
  return {
    stretches: stretches.filter((first) => first < tail),
    gone,
    watermark: Math.min(size, underWay, await findFirstSeq(reader, tail)),
  };
}

function assertNothingFrom({ index }: Taken, from: number): void {
  if (index.listPlaces(from, Number.MAX_SAFE_INTEGER).length > 0)
    throw new CartularyError('corrupt', 'a month of the index names messages that are not there');
}

/** Where the first record of a message is; infinity where there is no such message. */
async function findFirstSeq(reader: StoreReader, messageNo: number): Promise<number> {
  const [row] = Number.isFinite(messageNo) ? await reader.readMessages([messageNo]) : [];
  return row?.records[0]?.seq ?? Number.POSITIVE_INFINITY;
}

type Stretch = {
  /** The least number. */
  readonly first: number;
  /** Where the next stretch begins. */
  readonly to: number;
  /** Messages that have a key; those of them that stand in a month as they are now. */
  readonly count: number;
  readonly standing: number;
  /** Those that stand in none, or have newer records than the log was followed to, with the place of their last record. */
  readonly lacking: ReadonlyMap<number, number>;
  readonly gone: readonly Hit[];
};

async function compareStretch(
  reader: StoreReader,
  { index, months }: Taken,
  from: number,
): Promise<Stretch | undefined> {
  const rows = await reader.listLastSeqs(from, CHUNK);
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const to = last.messageNo + 1;
  const keyed = new Set((await reader.listMessageNos(from, CHUNK)).filter((messageNo) => messageNo < to));
  /** Up to where the log was followed in the month of each; the least where it stands in several. */
  const followed = new Map<number, number>();
  const gone: Hit[] = [];
  for (const place of index.listPlaces(from, to)) {
    const { messageNo, sentAtMs } = place;
    if (!keyed.has(messageNo)) gone.push(place);
    const upTo = months.get(monthOf(sentAtMs))?.followed ?? 0;
    followed.set(messageNo, Math.min(upTo, followed.get(messageNo) ?? upTo));
  }
  const lacking = new Map<number, number>();
  for (const { messageNo, lastSeq } of rows)
    if (keyed.has(messageNo) && lastSeq >= (followed.get(messageNo) ?? 0)) lacking.set(messageNo, lastSeq);
  return { first: first.messageNo, to, count: keyed.size, standing: keyed.size - lacking.size, lacking, gone };
}

/** Takes out what is gone, adds what is lacking. */
async function fillIn(taking: Taking, taken: Taken, writer: IndexWriter, lack: Lack): Promise<void> {
  const { reader } = taking.deriver;
  const apply = (changes: readonly IndexChange[]): void => void writer.apply(changes, lack.watermark);
  // A file that is read meanwhile would keep what is written beside it when the writer closes it.
  taken.index.refresh();
  for (const month of taken.months.keys()) writer.adoptMonth(month);
  apply(lack.gone.map((remove) => ({ remove })));
  for (const from of lack.stretches) {
    const stretch = await compareStretch(reader, taken, from);
    taken.index.refresh();
    if (stretch === undefined) break;
    const isMany = stretch.lacking.size > stretch.count * LACKING_PART;
    await (isMany ? fillFromLog(taking, stretch, apply) : fillByNumber(taking, [...stretch.lacking.keys()], apply));
  }
  for (const month of new Set(lack.gone.map(({ sentAtMs }) => monthOf(sentAtMs)))) writer.eraseMonth(month);
}

type Apply = (changes: readonly IndexChange[]) => void;

async function fillByNumber(
  { deriver, isStopped, writeStates }: Taking,
  numbers: readonly number[],
  apply: Apply,
): Promise<void> {
  for (let at = 0; at < numbers.length; at += NUMBERS) {
    assertGoesOn(isStopped);
    const { changes, states } = await deriveMessages(deriver, numbers.slice(at, at + NUMBERS));
    if (states.length > 0) await writeStates(states);
    apply(changes);
    await breathe();
  }
}

/** Messages begin in the order of their numbers, and the log is read faster from one end to the other than message by message. */
async function fillFromLog(taking: Taking, { first, to, lacking }: Stretch, apply: Apply): Promise<void> {
  const { deriver, isStopped } = taking;
  const grown: number[] = [];
  let seq = await findFirstSeq(deriver.reader, first);
  for (let isOver = !Number.isFinite(seq); !isOver;) {
    assertGoesOn(isStopped);
    const rows = await deriver.reader.readLog(seq, CHUNK);
    const changes: IndexChange[] = [];
    for (const row of rows) {
      if (!isFirstLeaf(row.leaf)) continue;
      isOver ||= row.messageNo >= to;
      const lastSeq = lacking.get(row.messageNo);
      if (lastSeq === row.seq) changes.push(...deriveOnly(deriver, row));
      else if (lastSeq !== undefined) grown.push(row.messageNo);
    }
    apply(changes);
    isOver ||= rows.length === 0;
    seq += rows.length;
    await breathe();
  }
  await fillByNumber(taking, grown, apply);
}

function assertGoesOn(isStopped: () => boolean): void {
  if (isStopped()) throw new CartularyError('stopping', 'the archive is being closed');
}
