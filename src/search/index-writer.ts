/**
 * Writes the index: changes in, month files and a watermark out. One writer at a time.
 *
 * What a crash leaves: a month file commits its part of a batch in one transaction with `synchronous=NORMAL`, so a process that dies
 * loses nothing, and a machine that dies may lose the last transactions of some files. The watermark lies in `index-state.db`
 * (`synchronous=FULL`) and moves only after the write-ahead logs of all files changed since have been synced: it is never ahead
 * of what is durable. Changes after it are applied once more when the log is followed again, and applying twice leaves one.
 * It moves every 2,000 changes, on `flush` and on `close`. A month that is built anew changes in one transaction, or by one rename where its file is damaged.
 */
import { closeSync, existsSync, fdatasyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import type { EncryptedDatabase } from '../vault/page-encryption.ts';
import type { IndexChange, IndexDocument } from './document.ts';
import { INDEX_VERSION } from './index-version.ts';
import { makeHandles } from './handles.ts';
import type { Handles } from './handles.ts';
import { BATCH_CHANGES_MAX, VACUUM_BYTES_MAX, WRITER_FILES_MAX } from './limits.ts';
import { openIndexFile, removeLog, STATE_FILE, syncDirectory } from './month-file.ts';
import type { MonthFileOptions } from './month-file.ts';
import { openMonthWriter, replaceMonth } from './month-writer.ts';
import type { MonthFacts, MonthWriter } from './month-writer.ts';
import { listMonths, monthFileName, monthOf, toSentAt, UNDATED } from './months.ts';
import type { Month } from './months.ts';
import { isMissing } from '../vault/missing-file.ts';

/** How an index is opened for writing. */
export type IndexWriterOptions = {
  /** Made if it is missing; belongs to the index alone. */
  readonly directory: string;
  /** 32 bytes, the page key of all files. */
  readonly key: Uint8Array;
  /** Month files open at a time. */
  readonly openFilesMax?: number;
  /** Page cache of each open file. */
  readonly cacheKib?: number;
  /** Changes after which the watermark is made durable. */
  readonly durableChanges?: number;
  /** Largest file, without its free pages, that is vacuumed; the copy is made in memory. */
  readonly vacuumBytesMax?: number;
};

/** Writes the index of one archive. */
export type IndexWriter = {
  /**
   * Applies changes in the order given; of several of one message the last counts. Safe to repeat, whole or in part.
   * @param watermark log sequence that is followed to once these changes are in; not below the present one
   * @returns months whose files changed
   * @throws CartularyError `too-large` over 100,000 changes, `conflict` where the watermark goes back, `bad-input` for a bad number
   */
  apply(changes: readonly IndexChange[], watermark: number): Month[];
  /** Log sequence followed to; after a crash the durable one, from which to follow again. 0 for a new index. */
  watermark(): number;
  /** Makes all that was applied, and the watermark, durable. */
  flush(): void;
  /**
   * Puts `documents` in the place of all that a month holds; readers see the old or the new. A damaged file is replaced.
   * @param documents all messages sent in that month, in any order
   * @throws CartularyError `bad-input` for a document of another month
   */
  rebuildMonth(month: Month, documents: Iterable<IndexDocument>): void;
  /**
   * Rewrites a month so that no word and no term of a removed or replaced message is left in its file or write-ahead log.
   * @throws CartularyError `overloaded` where a reader stands in the way for ten seconds; repeat it
   */
  eraseMonth(month: Month): void;
  /** Months with entries that were removed or replaced since they were last erased or rebuilt. */
  monthsWithTraces(): Month[];
  /**
   * Merges the pieces of one month that is over: a word is then looked up in one place of it rather than in a dozen. Takes seconds for a million messages.
   * @param nowMs tells which months are over
   * @param isQuiet whether a month may be merged now; one that still changes would soon be in pieces again
   * @returns the month, or undefined where none needs it
   */
  optimise(nowMs: number, isQuiet?: (month: Month) => boolean): Month | undefined;
  /** Months that are over. @param nowMs tells which are */
  pastMonths(nowMs: number): MonthFacts[];
  /**
   * Copies the file of a month, with all that was applied so far and nothing of what was removed.
   * @returns whether it could be done, which readers can prevent
   * @throws CartularyError `index-damaged` where the file is damaged
   */
  copyMonth(month: Month, path: string): boolean;
  /** Takes the file of a month, which was brought from elsewhere and is durable, for one of its own writing. @throws CartularyError `index-damaged` */
  adoptMonth(month: Month): void;
  close(): void;
};

type MonthBatch = { puts: IndexDocument[]; removals: { messageNo: number; sentAtMs: number }[] };

type State = {
  readonly options: IndexWriterOptions;
  readonly stateFile: EncryptedDatabase;
  readonly months: Handles<MonthWriter>;
  /** Files changed since the watermark was last made durable, with their number of changes. */
  readonly dirty: Map<Month, number>;
  watermark: number;
  durable: number;
  pending: number;
};

const STATE_SCHEMA = `
  CREATE TABLE IF NOT EXISTS watermark(id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL);
  INSERT OR IGNORE INTO watermark VALUES (1, 0);
  CREATE TABLE IF NOT EXISTS month(name TEXT PRIMARY KEY, changes INTEGER NOT NULL) WITHOUT ROWID;
`;
const DURABLE_CHANGES = 2_000;
const CACHE_KIB = 2_048;

/** Opens the index for writing. @throws CartularyError `index-damaged` where the state file cannot be opened with the key, or is of another version */
export function openIndexWriter(options: IndexWriterOptions): IndexWriter {
  mkdirSync(options.directory, { recursive: true });
  const stateFile = openIndexFile(join(options.directory, STATE_FILE), {
    key: options.key,
    synchronous: 'FULL',
    pageBytes: 4096,
    cacheKib: 64,
  });
  try {
    assertVersion(stateFile);
    stateFile.transaction(() => stateFile.exec(STATE_SCHEMA)).immediate();
  } catch (cause) {
    stateFile.close();
    throw cause;
  }
  const watermark = Number(stateFile.prepare('SELECT sequence FROM watermark').pluck().get());
  const state: State = {
    options,
    stateFile,
    months: makeHandles(
      options.openFilesMax ?? WRITER_FILES_MAX,
      (month) => openNewestMonth(month, options, stateFile),
      (month) => month.close(),
    ),
    dirty: new Map(),
    watermark,
    durable: watermark,
    pending: 0,
  };
  return {
    apply: (changes, sequence) => apply(state, changes, sequence),
    watermark: () => state.watermark,
    flush: () => flush(state),
    rebuildMonth: (month, documents) => rebuildMonth(state, month, documents),
    eraseMonth: (month) => eraseMonth(state, month),
    monthsWithTraces: () =>
      listMonths(readdirSync(options.directory)).filter((month) => state.months.get(month).traces() > 0),
    optimise: (nowMs, isQuiet) => optimise(state, nowMs, isQuiet ?? (() => true)),
    pastMonths: (nowMs) => pastMonths(state, nowMs).map((month) => state.months.get(month).facts()),
    adoptMonth: (month) => void state.dirty.set(month, state.months.get(month).changes()),
    copyMonth: (month, path) => hasFile(state, month) && state.months.get(month).copyTo(path),
    close: () => {
      try {
        flush(state);
      } finally {
        state.months.close();
        stateFile.close();
      }
    },
  };
}

/**
 * Puts an index that was built in another directory of the same disk in the place of this one; both are closed for writing. Month by month, each by one
 * rename, the watermark last: what a crash leaves is followed again from the older watermark. Readers find the new files by themselves.
 */
export function replaceIndex(directory: string, built: string): void {
  mkdirSync(directory, { recursive: true });
  const months = listMonths(readdirSync(built)).map(monthFileName);
  for (const name of listMonths(readdirSync(directory)).map(monthFileName)) {
    if (!months.includes(name)) {
      removeLog(join(directory, name));
      rmSync(join(directory, name));
    }
  }
  for (const name of [...months, STATE_FILE]) {
    removeLog(join(directory, name));
    renameSync(join(built, name), join(directory, name));
  }
  syncDirectory(directory);
  rmSync(built, { recursive: true, force: true });
}

function fileOptions(options: IndexWriterOptions): MonthFileOptions {
  const { directory, key, cacheKib = CACHE_KIB, vacuumBytesMax = VACUUM_BYTES_MAX } = options;
  return { directory, key, cacheKib, vacuumBytesMax };
}

/** @throws CartularyError `index-damaged` for a file that is older than what was written: a copy that somebody put in its place */
function openNewestMonth(month: Month, options: IndexWriterOptions, stateFile: EncryptedDatabase): MonthWriter {
  const writer = openMonthWriter(month, fileOptions(options));
  const noted = stateFile.prepare('SELECT changes FROM month WHERE name = ?').pluck().get(month);
  if (writer.changes() >= Number(noted ?? 0)) return writer;
  writer.close();
  throw new CartularyError('index-damaged', 'a file of the search index is an old copy; run "cartulary rebuild"');
}

/** An index of another version is told at the start, not month by month when each is needed. */
function assertVersion(stateFile: EncryptedDatabase): void {
  const isNew = stateFile.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'watermark'").get() === undefined;
  if (isNew) stateFile.pragma(`user_version = ${INDEX_VERSION}`);
  else if (stateFile.pragma('user_version', { simple: true }) !== INDEX_VERSION)
    throw new CartularyError('index-damaged', 'the search index is of another version; run "cartulary rebuild"');
}

function apply(state: State, changes: readonly IndexChange[], watermark: number): Month[] {
  if (changes.length > BATCH_CHANGES_MAX) {
    throw new CartularyError('too-large', `at most ${BATCH_CHANGES_MAX} changes are applied at a time`);
  }
  assertNumber(watermark, 'the watermark');
  if (watermark < state.watermark) throw new CartularyError('conflict', 'the watermark of the index cannot go back');
  const changed: Month[] = [];
  for (const [month, batch] of splitByMonth(changes)) {
    // A removal makes no file.
    if (batch.puts.length === 0 && !hasFile(state, month)) continue;
    const writer = state.months.get(month);
    writer.apply(batch, watermark);
    state.dirty.set(month, writer.changes());
    changed.push(month);
  }
  state.watermark = watermark;
  state.pending += changes.length;
  if (state.pending >= (state.options.durableChanges ?? DURABLE_CHANGES)) flush(state);
  return changed;
}

function assertNumber(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new CartularyError('bad-input', `${what} is not a whole number`);
}

function hasFile(state: State, month: Month): boolean {
  return existsSync(join(state.options.directory, monthFileName(month)));
}

/** Of each message the last put or removal, and every place it may have stood before. */
function splitByMonth(changes: readonly IndexChange[]): Map<Month, MonthBatch> {
  const batches = new Map<Month, MonthBatch>();
  const batchOf = (sentAtMs: number) => {
    const month = monthOf(sentAtMs);
    let batch = batches.get(month);
    if (batch === undefined) batches.set(month, (batch = { puts: [], removals: [] }));
    return batch;
  };
  const last = new Map<number, IndexDocument | undefined>();
  const places: { messageNo: number; sentAtMs: number }[] = [];
  const leave = (messageNo: number, sentAtMs: number | undefined) => {
    if (sentAtMs !== undefined) places.push({ messageNo, sentAtMs: toSentAt(sentAtMs) });
  };
  for (const change of changes) {
    if ('remove' in change) {
      assertNumber(change.remove.messageNo, 'a message number');
      const { messageNo, sentAtMs } = change.remove;
      leave(messageNo, sentAtMs);
      leave(messageNo, last.get(messageNo)?.sentAtMs);
      last.set(messageNo, undefined);
      continue;
    }
    const { put } = change;
    assertNumber(put.messageNo, 'a message number');
    leave(put.messageNo, last.get(put.messageNo)?.sentAtMs);
    last.set(put.messageNo, put);
  }
  for (const place of places) {
    const final = last.get(place.messageNo);
    // A put at the same place replaces what stands there anyway.
    if (final === undefined || toSentAt(final.sentAtMs) !== place.sentAtMs)
      batchOf(place.sentAtMs).removals.push(place);
  }
  for (const document of last.values()) {
    if (document !== undefined) batchOf(document.sentAtMs).puts.push(document);
  }
  return batches;
}

function flush(state: State): void {
  const { stateFile, options, dirty } = state;
  const changed = [...dirty];
  for (const [month] of changed) syncLog(join(options.directory, `${monthFileName(month)}-wal`));
  if (changed.length > 0) syncDirectory(options.directory);
  dirty.clear();
  state.pending = 0;
  if (state.watermark === state.durable && changed.length === 0) return;
  const note = stateFile.prepare('INSERT OR REPLACE INTO month VALUES (?, ?)');
  stateFile
    .transaction(() => {
      for (const [month, changes] of changed) note.run(month, changes);
      stateFile.prepare('UPDATE watermark SET sequence = ?').run(state.watermark);
    })
    .immediate();
  state.durable = state.watermark;
}

/** A log that is gone was moved into its file, which SQLite syncs before it removes the log. */
function syncLog(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r+');
  } catch (cause) {
    if (isMissing(cause)) return;
    throw cause;
  }
  try {
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function rebuildMonth(state: State, month: Month, documents: Iterable<IndexDocument>): void {
  const checked = onlyOfMonth(month, documents);
  const writer = findSoundWriter(state, month);
  if (writer === undefined) {
    state.months.release(month);
    state.stateFile.prepare('DELETE FROM month WHERE name = ?').run(month);
    replaceMonth(month, fileOptions(state.options), checked);
    return;
  }
  writer.replaceAll(checked);
  state.dirty.set(month, writer.changes());
  writer.erase(state.watermark);
}

function findSoundWriter(state: State, month: Month): MonthWriter | undefined {
  try {
    const writer = state.months.get(month);
    return writer.isSound() ? writer : undefined;
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'index-damaged') return undefined;
    throw cause;
  }
}

function* onlyOfMonth(month: Month, documents: Iterable<IndexDocument>): Generator<IndexDocument> {
  for (const document of documents) {
    assertNumber(document.messageNo, 'a message number');
    if (monthOf(document.sentAtMs) !== month) {
      throw new CartularyError('bad-input', 'a document belongs to another month than the one that is rebuilt');
    }
    yield document;
  }
}

function eraseMonth(state: State, month: Month): void {
  if (!hasFile(state, month)) return;
  const writer = state.months.get(month);
  if (writer.traces() > 0) writer.erase(state.watermark);
}

function optimise(state: State, nowMs: number, isQuiet: (month: Month) => boolean): Month | undefined {
  return pastMonths(state, nowMs).find((month) => isQuiet(month) && state.months.get(month).optimise());
}

function pastMonths(state: State, nowMs: number): Month[] {
  const current = monthOf(nowMs);
  return listMonths(readdirSync(state.options.directory)).filter((month) => month !== UNDATED && month < current);
}
