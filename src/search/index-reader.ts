/**
 * Reads the index: pages of hits, counts, facets, and the list of what is in it.
 *
 * Months are walked from the newest back (or from the oldest on), and the walk ends as soon as the page is full and the count has
 * reached its cap. A reader sees what the writer has committed at the moment it opens each month; it never waits for the writer.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { compileQuery } from './compile.ts';
import type { CompiledQuery } from './compile.ts';
import { formatCursor, parseCursor } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import type { FacetResult, Hit, SearchOptions, SearchResult } from './document.ts';
import { countFacets } from './facets.ts';
import type { FacetOptions } from './facets.ts';
import { makeHandles } from './handles.ts';
import type { Handles } from './handles.ts';
import { COUNT_CEILING, COUNT_MAX, LIST_RANGE_MAX, PAGE_HITS_MAX, READER_FILES_MAX } from './limits.ts';
import { openIndexFile, STATE_FILE } from './month-file.ts';
import { openMonthReader } from './month-reader.ts';
import type { MonthReader } from './month-reader.ts';
import { listMonths, monthBounds, monthFileName, UNDATED } from './months.ts';
import type { Month } from './months.ts';
import type { Query } from './query-types.ts';
import { stepFrom } from './rows.ts';
import type { Direction, RowBounds, RowSet } from './rows.ts';

/** How an index is opened for reading. */
export type IndexReaderOptions = {
  readonly directory: string;
  /** 32 bytes, the page key of all files. */
  readonly key: Uint8Array;
  /** Month files open at a time. */
  readonly openFilesMax?: number;
  /** Page cache of each open file. */
  readonly cacheKib?: number;
};

/** Months dealt out to several that count: part `part` (from 0) of `parts`. */
export type CountShare = {
  readonly part: number;
  readonly parts: number;
  /**
   * Processor time in milliseconds after which no further month is counted. Words that are frequent and seldom meet are counted as slowly as the archive is large, and nobody
   * waits for the last of them. Processor time, so that the same archive gives the same count however busy the machine is.
   */
  readonly cpuMsMax?: number;
};

/** What was counted of one part; `isWhole`: nothing was left out but what lies beyond the cap. */
export type Counted = { readonly count: number; readonly isWhole: boolean };

/** A search whose page is read and whose own part is counted. */
export type SharedSearch = {
  readonly hits: readonly Hit[];
  /** @param countedElsewhere what the other parts counted */
  finish(countedElsewhere: Counted): SearchResult;
};

/** Reads the index of one archive. */
export type IndexReader = {
  /**
   * A page of the messages that fit a query, newest (or oldest) first; messages without a credible date are the oldest.
   * @throws CartularyError `bad-input` for a limit out of bounds or a cursor of another query, `too-large` where a wildcard stands
   *   for too many words, `index-damaged` for a damaged file
   */
  search(query: Query, options: SearchOptions): SearchResult;
  /**
   * The same, where some of the counting is done by another reader at the same time (`count` with another part of the share).
   * @throws CartularyError as `search`
   */
  searchShared(query: Query, options: SearchOptions, share: CountShare): SharedSearch;
  /** Counts the messages that fit a query in one part of the months, to `countMax` and one more. @throws CartularyError as `search` */
  count(query: Query, countMax: number, share: CountShare): Counted;
  /** Histogram and facets over the newest hits. @throws CartularyError as `search` */
  facets(query: Query, options?: FacetOptions): FacetResult;
  /**
   * Numbers of all messages in the index from `fromNo` up to but not including `toNo`, ascending; a number that stands in two places
   * comes twice.
   * @param except months that are left out
   * @throws CartularyError `too-large` over a range of 1,000,000
   */
  listMessageNos(fromNo: number, toNo: number, except?: ReadonlySet<string>): number[];
  /** Where messages of these numbers stand, as `listMessageNos`, in any order. */
  listPlaces(fromNo: number, toNo: number): Hit[];
  /** Words in the index that belong to no message. */
  countStrays(except?: ReadonlySet<string>): number;
  /** Months that have a file, or should have one. */
  listMonths(): string[];
  /** Is the file of a month there, as new as what was written (no old copy in its place), and can every page of it be read? */
  isSound(month: string): boolean;
  /** Closes open files, so that files replaced or brought from elsewhere are opened anew. New months are seen without it. */
  refresh(): void;
  close(): void;
};

const CACHE_KIB = 1_024;

type State = { readonly options: IndexReaderOptions; readonly months: Handles<OpenMonth> };

type OpenMonth = { readonly reader: MonthReader; readonly inode: bigint | undefined };

/** Opens the index for reading; files are opened as queries need them. */
export function openIndexReader(options: IndexReaderOptions): IndexReader {
  const { directory, key, cacheKib = CACHE_KIB, openFilesMax = READER_FILES_MAX } = options;
  const open = (month: Month): OpenMonth => {
    const inode = inodeOf(directory, month);
    return { reader: openMonthReader(month, { directory, key, cacheKib }), inode };
  };
  const state: State = { options, months: makeHandles(openFilesMax, open, ({ reader }) => reader.close()) };
  return {
    search: (query, searchOptions) => search(state, query, searchOptions, WHOLE).finish(NOTHING_COUNTED),
    searchShared: (query, searchOptions, share) => search(state, query, searchOptions, share),
    count: (query, countMax, share) => countPart(state, query, countMax, share),
    facets: (query, facetOptions) => {
      const compiled = compileQuery(query);
      return countFacets(
        monthsOf(state, compiled, 'newest'),
        (month) => findMonth(state, month),
        compiled,
        facetOptions ?? {},
      );
    },
    listMessageNos: (fromNo, toNo, except) => listMessageNos(state, fromNo, toNo, except),
    listPlaces: (fromNo, toNo) =>
      listExistingMonths(directory).flatMap((month) => findMonth(state, month)?.places(fromNo, toNo) ?? []),
    countStrays: (except) =>
      monthsExcept(directory, except).reduce((sum, month) => sum + (findMonth(state, month)?.strays() ?? 0), 0),
    listMonths: () => [...new Set([...listExistingMonths(directory), ...readChanges(options).map(({ name }) => name)])],
    isSound: (month) => isSound(state, month),
    refresh: () => state.months.close(),
    close: () => state.months.close(),
  };
}

/** How often each month was changed, as far as that is durable. */
function readChanges({ directory, key }: IndexReaderOptions): { name: Month; changes: number }[] {
  const path = join(directory, STATE_FILE);
  if (!existsSync(path)) return [];
  const stateFile = openIndexFile(path, { key, readonly: true, mustExist: true, synchronous: 'FULL' });
  try {
    return stateFile.prepare<[], { name: Month; changes: number }>('SELECT name, changes FROM month').all();
  } finally {
    stateFile.close();
  }
}

function isSound(state: State, month: Month): boolean {
  const noted = readChanges(state.options).find(({ name }) => name === month)?.changes ?? 0;
  try {
    const reader = findMonth(state, month);
    return reader !== undefined && reader.changes() >= noted && reader.isSound();
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'index-damaged') return false;
    throw cause;
  }
}

/** Nothing where the file is gone. */
function inodeOf(directory: string, month: Month): bigint | undefined {
  return statSync(join(directory, monthFileName(month)), { bigint: true, throwIfNoEntry: false })?.ino;
}

/** A month that was damaged and built anew has another file under its name; one whose index was thrown away has none. */
function findMonth(state: State, month: Month): MonthReader | undefined {
  const inode = inodeOf(state.options.directory, month);
  if (inode === undefined) {
    state.months.release(month);
    return undefined;
  }
  const opened = state.months.get(month);
  if (opened.inode === inode) return opened.reader;
  state.months.release(month);
  return state.months.get(month).reader;
}

function monthsOf(state: State, query: CompiledQuery, direction: Direction): Month[] {
  const { fromMs, toMs } = query;
  const months = listExistingMonths(state.options.directory).filter((month) => {
    const { startMs, endMs } = monthBounds(month);
    return startMs < toMs && endMs > fromMs;
  });
  return direction === 'newest' ? months.reverse() : months;
}

/** An index that was never written, or is thrown away at this moment, has no months. */
function listExistingMonths(directory: string): Month[] {
  return existsSync(directory) ? listMonths(readdirSync(directory)) : [];
}

function assertBetween(value: number, least: number, most: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new CartularyError('bad-input', `${what} is a whole number from ${least} to ${most}`);
  }
}

const WHOLE: CountShare = { part: 0, parts: 1 };
const NOTHING_COUNTED: Counted = { count: 0, isWhole: true };

function search(state: State, query: Query, options: SearchOptions, share: CountShare): SharedSearch {
  const { limit, countMax = COUNT_MAX, order = 'newest' } = options;
  assertBetween(limit, 1, PAGE_HITS_MAX, 'the limit');
  assertBetween(countMax, 0, COUNT_CEILING, 'the cap of counting');
  const compiled = compileQuery(query);
  const cursor = options.cursor === undefined ? undefined : parseCursor(options.cursor, query, order);
  const { hits, rest, counted } = readPage(state, compiled, { limit, countMax, direction: order, share }, cursor);
  return {
    hits,
    finish(countedElsewhere) {
      // A page that holds all hits has counted them.
      const least = rest === undefined ? hits.length : hits.length + 1;
      const count = Math.max(least, counted.count + countedElsewhere.count);
      const isWhole = rest === undefined || (counted.isWhole && countedElsewhere.isWhole);
      const { total, totalRelation } = cursor ?? relateTotal({ count, isWhole }, countMax);
      if (rest === undefined) return { hits, total, totalRelation };
      return { hits, nextCursor: formatCursor({ ...rest, order, total, totalRelation }, query), total, totalRelation };
    },
  };
}

function relateTotal({ count, isWhole }: Counted, countMax: number): Pick<SearchResult, 'total' | 'totalRelation'> {
  return { total: Math.min(count, countMax), totalRelation: count <= countMax && isWhole ? 'eq' : 'gte' };
}

/** Watches what counting costs this thread. */
function openBudget({ cpuMsMax }: CountShare) {
  let spentUs = 0;
  return {
    isSpent: (): boolean => cpuMsMax !== undefined && spentUs >= cpuMsMax * 1000,
    spend<Result>(work: () => Result): Result {
      if (cpuMsMax === undefined) return work();
      const before = process.threadCpuUsage();
      const result = work();
      const { user, system } = process.threadCpuUsage(before);
      spentUs += user + system;
      return result;
    },
  };
}

/** By the month itself, so that both who share see it alike, also where a month begins between them. */
function isPartOf({ part, parts }: CountShare, month: Month): boolean {
  const [year = 0, number = 0] = month === UNDATED ? [] : month.split('-').map(Number);
  return (year * 12 + number) % parts === part;
}

function countPart(state: State, query: Query, countMax: number, share: CountShare): Counted {
  assertBetween(countMax, 0, COUNT_CEILING, 'the cap of counting');
  const compiled = compileQuery(query);
  const budget = openBudget(share);
  let count = 0;
  for (const month of monthsOf(state, compiled, 'newest')) {
    if (!isPartOf(share, month)) continue;
    if (count > countMax) break;
    if (budget.isSpent()) return { count, isWhole: false };
    const reader = findMonth(state, month);
    reader?.read(() => {
      const { set, bounds } = reader.rows(compiled, 'newest');
      count += budget.spend(() => countAll(set, bounds.high, [], 0, countMax + 1 - count, 'newest'));
    });
  }
  return { count, isWhole: true };
}

type PageOptions = {
  readonly limit: number;
  readonly countMax: number;
  readonly direction: Direction;
  readonly share: CountShare;
};

type Page = {
  readonly hits: Hit[];
  /** Where the last hit stands, if more follow. */
  readonly rest: { readonly month: Month; readonly row: number } | undefined;
  /** What was counted of this share. */
  readonly counted: Counted;
};

/** The first page is read and counted in one walk; later pages take the count from their cursor and stop when they are full. */
function readPage(state: State, query: CompiledQuery, options: PageOptions, cursor: Cursor | undefined): Page {
  const { limit, countMax, direction, share } = options;
  const found: (Hit & { readonly month: Month; readonly row: number })[] = [];
  const budget = openBudget(share);
  let count = 0;
  let isWhole = true;
  for (const month of monthsAfter(monthsOf(state, query, direction), cursor, direction)) {
    const isFull = found.length > limit;
    if (isFull && (cursor !== undefined || count > countMax)) break;
    const isCounted = cursor === undefined && isPartOf(share, month);
    if (isFull && !isCounted) continue;
    if (isCounted && budget.isSpent()) isWhole = false;
    if (isFull && !isWhole) break;
    const reader = findMonth(state, month);
    if (reader === undefined) continue;
    reader.read(() => {
      const { set, bounds } = reader.rows(query, direction);
      const start = startRow(bounds, month, cursor, direction);
      const wanted = limit + 1 - found.length;
      const ids = readAhead(set, start, wanted, direction);
      for (const { id, messageNo, sentAtMs } of reader.messages(ids))
        found.push({ messageNo, sentAtMs, month, row: id });
      if (isCounted && isWhole)
        count += budget.spend(() => countAll(set, start, ids, wanted, countMax + 1 - count, direction));
    });
  }
  const last = found.length > limit ? found[limit - 1] : undefined;
  const hits = found.slice(0, limit).map(({ messageNo, sentAtMs }) => ({ messageNo, sentAtMs }));
  const rest = last === undefined ? undefined : { month: last.month, row: last.row };
  return { hits, rest, counted: { count, isWhole } };
}

function monthsAfter(months: readonly Month[], cursor: Cursor | undefined, direction: Direction): readonly Month[] {
  if (cursor === undefined) return months;
  const age = (month: Month) => (month === UNDATED ? '' : month);
  return months.filter((month) =>
    direction === 'newest' ? age(month) <= age(cursor.month) : age(month) >= age(cursor.month),
  );
}

function startRow(bounds: RowBounds, month: Month, cursor: Cursor | undefined, direction: Direction): number {
  if (cursor?.month === month) return stepFrom(cursor.row, direction);
  return direction === 'newest' ? bounds.high : bounds.low;
}

function readAhead(set: RowSet, start: number, limit: number, direction: Direction): readonly number[] {
  if (limit <= 0 || start < 0) return [];
  if (set.whole !== undefined) return set.whole.read(start, limit);
  const rows: number[] = [];
  let row = set.seek(start);
  while (row !== undefined && rows.length < limit) {
    rows.push(row);
    if (rows.length < limit) row = set.seek(stepFrom(row, direction));
  }
  return rows;
}

/** Counts all rows of the month up to `limit`. `ids` are its first rows, `wanted` how many of them were asked for. */
function countAll(
  set: RowSet,
  start: number,
  ids: readonly number[],
  wanted: number,
  limit: number,
  direction: Direction,
): number {
  if (limit <= 0) return 0;
  if (ids.length < wanted) return Math.min(limit, ids.length);
  if (set.whole !== undefined) return set.whole.count(limit);
  const last = ids.at(-1);
  let count = ids.length;
  let row = set.seek(last === undefined ? start : stepFrom(last, direction));
  for (; row !== undefined && count < limit; count++) row = set.seek(stepFrom(row, direction));
  return Math.min(limit, count);
}

function monthsExcept(directory: string, except: ReadonlySet<string> = new Set()): Month[] {
  return listExistingMonths(directory).filter((month) => !except.has(month));
}

function listMessageNos(state: State, fromNo: number, toNo: number, except?: ReadonlySet<string>): number[] {
  assertBetween(fromNo, 0, Number.MAX_SAFE_INTEGER, 'the first number');
  assertBetween(toNo, 0, Number.MAX_SAFE_INTEGER, 'the last number');
  if (toNo - fromNo > LIST_RANGE_MAX) {
    throw new CartularyError('too-large', `at most ${LIST_RANGE_MAX} message numbers are listed at a time`);
  }
  const numbers: number[] = [];
  for (const month of monthsExcept(state.options.directory, except)) {
    for (const no of findMonth(state, month)?.messageNos(fromNo, toNo) ?? []) numbers.push(no);
  }
  return numbers.sort((a, b) => a - b);
}
