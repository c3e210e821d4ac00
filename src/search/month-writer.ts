/**
 * Writes one month: puts and removals of a batch in one transaction.
 *
 * Rows that a batch touches are looked up in one statement, and only where the batch reaches behind the newest row: what arrives in
 * order needs no look-up at all. A put whose words and terms are unchanged (a new delivery state) changes its narrow row only.
 */
import { hash } from 'node:crypto';
import { constants, copyFileSync } from 'node:fs';
import { join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import type { EncryptedDatabase } from '../vault/page-encryption.ts';
import type { IndexDocument } from './document.ts';
import { VACUUM_BYTES_MAX } from './limits.ts';
import { isSound, nameDamage, openMonthForWriting, openReplacement, replaceMonthFile } from './month-file.ts';
import type { MonthFileOptions } from './month-file.ts';
import { countPieces, mergePieces, truncateLog } from './month-pieces.ts';
import { openProfiles } from './month-profiles.ts';
import type { Profiles } from './month-profiles.ts';
import { monthBounds, monthFileName, toSentAt, UNDATED } from './months.ts';
import type { Month } from './months.ts';
import { findPhoneDigits, findPlainNumber, makeTermFormatter, toDirection } from './terms.ts';
import type { FormatTerms } from './terms.ts';
import { prepareText } from './tokens.ts';

/** Rows of one profile that are also listed in an index of their own. */
const LISTED_ROWS_MAX = 1024;
/** Rows read at a time while a free one is looked for. */
const FREE_SCAN_ROWS = 4096;

/** What is done to one month in one transaction. A message occurs once, in one of the two. */
export type MonthChanges = {
  readonly puts: readonly IndexDocument[];
  readonly removals: readonly { readonly messageNo: number; readonly sentAtMs: number }[];
};

/** What is told of a month without looking through it. */
export type MonthFacts = {
  readonly month: Month;
  readonly messages: number;
  /** The watermark of the last change; 0 where nobody noted it. */
  readonly changedAt: number;
  /** The same of the last erasure. */
  readonly erasedAt: number;
};

/** An open month. */
export type MonthWriter = {
  readonly month: Month;
  /** Carries out the changes in one transaction. @param watermark how far the log is followed, as `IndexWriter.apply` is told */
  apply(changes: MonthChanges, watermark: number): void;
  /** Removes all and puts what is given in its place, in one transaction. */
  replaceAll(documents: Iterable<IndexDocument>): void;
  /** Merges what many batches left into one piece. Returns whether there was anything to do. */
  optimise(): boolean;
  /** Makes sure that nothing of removed or replaced messages is left in the file or its log. @param watermark as `apply`; noted */
  erase(watermark: number): void;
  /** Can every page be read, and do they fit together? */
  isSound(): boolean;
  /** Entries removed or replaced whose words may still be somewhere in the file. */
  traces(): number;
  /** Transactions so far: of two copies of a file the older one has fewer. */
  changes(): number;
  facts(): MonthFacts;
  /**
   * Copies the file, merged into one piece and with nothing removed left in it. All of the month is in the copy.
   * @returns whether it could be done, which readers can prevent
   * @throws CartularyError `index-damaged` where the file is
   */
  copyTo(path: string): boolean;
  close(): void;
};

type Row = {
  readonly id: number;
  readonly no: number;
  readonly at: number | null;
  readonly profile: number;
  readonly party: number | string | null;
  readonly mark: number;
  readonly listed: number | null;
};

/** A document and the row it takes if that is free. */
type Entry = { readonly document: IndexDocument; readonly base: number };

type State = {
  readonly month: Month;
  readonly path: string;
  readonly database: EncryptedDatabase;
  readonly sql: ReturnType<typeof prepareStatements>;
  /** Keeps marks of equal texts from telling anything, and nobody can choose a text with the mark of another. */
  readonly secret: string;
  /** First millisecond of the month. */
  readonly startMs: number;
  readonly formatTerms: FormatTerms;
  readonly vacuumBytesMax: number;
  readonly profiles: Profiles;
  maxId: number;
  displaced: boolean;
  traces: number;
  changes: number;
};

/** Opens the writer of a month. @throws CartularyError `index-damaged` */
export function openMonthWriter(month: Month, options: MonthFileOptions): MonthWriter {
  return makeMonthWriter(month, openMonthForWriting(month, options), options);
}

/** Replaces a month whose file cannot be used, from an empty one. Nothing changes before the new file is whole and durable. */
export function replaceMonth(month: Month, options: MonthFileOptions, documents: Iterable<IndexDocument>): void {
  const writer = makeMonthWriter(month, openReplacement(month, options), options);
  try {
    writer.replaceAll(documents);
    writer.erase(0);
  } finally {
    writer.close();
  }
  replaceMonthFile(month, options);
}

function makeMonthWriter(month: Month, database: EncryptedDatabase, options: MonthFileOptions): MonthWriter {
  try {
    return nameDamage(() => wrapMonthWriter(month, database, options));
  } catch (cause) {
    database.close();
    throw cause;
  }
}

function wrapMonthWriter(month: Month, database: EncryptedDatabase, options: MonthFileOptions): MonthWriter {
  const state: State = {
    month,
    path: join(options.directory, monthFileName(month)),
    database,
    sql: prepareStatements(database),
    secret: Buffer.from(options.key).toString('hex'),
    startMs: month === UNDATED ? 0 : monthBounds(month).startMs,
    formatTerms: makeTermFormatter(),
    vacuumBytesMax: options.vacuumBytesMax ?? VACUUM_BYTES_MAX,
    profiles: openProfiles(database),
    maxId: -1,
    displaced: false,
    traces: 0,
    changes: 0,
  };
  reload(state);
  return {
    month,
    apply: (changes, watermark) =>
      nameDamage(() =>
        inTransaction(state, () => {
          applyChanges(state, changes);
          state.sql.setMeta.run('changedAt', watermark);
        }),
      ),
    replaceAll: (documents) => nameDamage(() => inTransaction(state, () => replaceAll(state, documents))),
    optimise: () => nameDamage(() => optimise(state)),
    erase: (watermark) => nameDamage(() => erase(state, watermark)),
    isSound: () => isSound(database),
    traces: () => state.traces,
    changes: () => state.changes,
    facts: () => nameDamage(() => readFacts(state)),
    copyTo: (path) => nameDamage(() => copyTo(state, path)),
    close: () => database.close(),
  };
}

function prepareStatements(database: EncryptedDatabase) {
  const columns = 'd.id, d.no, d.at, d.profile, d.party, d.mark, d.listed';
  return {
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    rollback: database.prepare('ROLLBACK'),
    insertText: database.prepare('INSERT INTO ft(rowid, t) VALUES (?, ?)'),
    deleteText: database.prepare('DELETE FROM ft WHERE rowid = CAST(? AS INTEGER)'),
    insertRow: database.prepare(
      'INSERT INTO doc(id, no, profile, party, mark, at, listed) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    updateRow: database.prepare('UPDATE doc SET profile = ?, party = ?, mark = ?, at = ?, listed = ? WHERE id = ?'),
    deleteRow: database.prepare('DELETE FROM doc WHERE id = ?'),
    rowsById: database.prepare<[string], Row>(
      `SELECT ${columns} FROM json_each(?) j CROSS JOIN doc d ON d.id = j.value`,
    ),
    rowsByNo: database.prepare<[string], Row>(
      `SELECT ${columns} FROM json_each(?) j CROSS JOIN doc d INDEXED BY doc_no ON d.no = j.value WHERE d.at IS NOT NULL`,
    ),
    takenFrom: database
      .prepare<[number, number], number>('SELECT id FROM doc WHERE id >= ? ORDER BY id LIMIT ?')
      .pluck(),
    maxId: database.prepare<[], number | null>('SELECT max(id) FROM doc').pluck(),
    countRows: database.prepare<[], number>('SELECT coalesce(sum(listed + unlisted), 0) FROM profile').pluck(),
    getMeta: database.prepare<[string], number>('SELECT value FROM meta WHERE name = ?').pluck(),
    setMeta: database.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value'),
  };
}

/** Reads what is kept in memory; also after a transaction that failed. */
function reload(state: State): void {
  const { sql } = state;
  state.maxId = sql.maxId.get() ?? -1;
  state.displaced = sql.getMeta.get('displaced') === 1;
  state.traces = sql.getMeta.get('traces') ?? 0;
  state.changes = sql.getMeta.get('changes') ?? 0;
  state.profiles.reload();
}

/** What failed may have left wrong figures in memory; a file that cannot even be read will say so at its next use. */
function recover(state: State): void {
  try {
    reload(state);
  } catch {
    state.maxId = Number.MAX_SAFE_INTEGER;
  }
}

function inTransaction(state: State, work: () => void): void {
  const { sql, database } = state;
  sql.begin.run();
  try {
    work();
    state.profiles.save();
    sql.setMeta.run('changes', ++state.changes);
    sql.commit.run();
  } catch (cause) {
    if (database.inTransaction) sql.rollback.run();
    recover(state);
    throw cause;
  }
}

function applyChanges(state: State, changes: MonthChanges): void {
  const entries = changes.puts
    .map((document) => ({ document, base: rowOf(state, toSentAt(document.sentAtMs), document.messageNo) }))
    .sort(byRow);
  const existing = findRows(state, entries, changes.removals);
  removeRows(
    state,
    changes.removals.flatMap(({ messageNo, sentAtMs }) => existing.find(messageNo, sentAtMs) ?? []),
  );
  putEntries(state, entries, existing);
}

function byRow(a: Entry, b: Entry): number {
  return a.base - b.base || a.document.messageNo - b.document.messageNo;
}

/** Six bytes of a SHA-256 over words and terms; 'binary' is by far the cheapest way to get them out. */
function markOf(state: State, content: string): number {
  const digest = hash('sha256', state.secret + content, 'binary');
  const high = (digest.charCodeAt(0) << 16) | (digest.charCodeAt(1) << 8) | digest.charCodeAt(2);
  const low = (digest.charCodeAt(3) << 16) | (digest.charCodeAt(4) << 8) | digest.charCodeAt(5);
  return high * 0x1_00_00_00 + low;
}

/** The row a message takes if it is free. */
function rowOf(state: State, sentAtMs: number, messageNo: number): number {
  return state.month === UNDATED ? messageNo : sentAtMs - state.startMs;
}

type ExistingRows = {
  /** The row of a message that was sent at this time. */
  find(messageNo: number, sentAtMs: number): Row | undefined;
  /** Is the row taken by any message? */
  has(id: number): boolean;
};

function findRows(state: State, entries: readonly Entry[], removals: MonthChanges['removals']): ExistingRows {
  const { sql } = state;
  const ids: number[] = [];
  const numbers: number[] = [];
  const want = (id: number, messageNo: number) => {
    if (id > state.maxId) return;
    ids.push(id);
    if (state.displaced) numbers.push(messageNo);
  };
  for (const entry of entries) want(entry.base, entry.document.messageNo);
  for (const { messageNo, sentAtMs } of removals) want(rowOf(state, toSentAt(sentAtMs), messageNo), messageNo);
  const byId = new Map<number, Row>();
  for (const row of ids.length > 0 ? sql.rowsById.all(JSON.stringify(ids)) : []) byId.set(row.id, row);
  const displaced = new Map<string, Row>();
  for (const row of numbers.length > 0 ? sql.rowsByNo.all(JSON.stringify(numbers)) : [])
    displaced.set(`${row.no} ${row.at}`, row);
  return {
    find(messageNo, sentAtMs) {
      if (ids.length === 0) return undefined;
      const at = toSentAt(sentAtMs);
      const row = byId.get(rowOf(state, at, messageNo));
      if (row?.no === messageNo && (row.at === null || row.at === at)) return row;
      return displaced.size === 0 ? undefined : displaced.get(`${messageNo} ${at}`);
    },
    has: (id) => byId.has(id),
  };
}

function removeRows(state: State, rows: readonly Row[]): void {
  if (rows.length === 0) return;
  // One place may be named twice, but a row is removed, and counted out, once.
  const distinct = new Map(rows.map((row) => [row.id, row]));
  for (const row of [...distinct.values()].sort((a, b) => a.id - b.id)) {
    state.sql.deleteText.run(row.id);
    state.sql.deleteRow.run(row.id);
    state.profiles.count(row.profile, row.listed === 1, -1);
  }
  addTraces(state, distinct.size);
}

/**
 * Words are made, hashed and handed over one message at a time, so that a batch leaves little for the garbage collector.
 * Rows ascend but for those that were displaced long ago: FTS5 then begins a new segment, which costs time and nothing else.
 */
function putEntries(state: State, entries: readonly Entry[], existing: ExistingRows): void {
  const { sql, maxId } = state;
  let lastId = -1;
  let replaced = 0;
  for (const entry of entries) {
    const { document, base } = entry;
    const content = prepareText(document.text) + state.formatTerms(document);
    const mark = markOf(state, content);
    const row = existing.find(document.messageNo, document.sentAtMs);
    if (row !== undefined) {
      updateRow(state, document, mark, row);
      if (row.mark === mark) continue;
      sql.deleteText.run(row.id);
      sql.insertText.run(row.id, content);
      replaced++;
      continue;
    }
    let id = Math.max(base, lastId + 1);
    if (id <= maxId && (id !== base || existing.has(id))) id = findFreeRow(state, id);
    lastId = id;
    insertRow(state, entry, mark, id);
    sql.insertText.run(id, content);
  }
  if (replaced > 0) addTraces(state, replaced);
}

/** The first free row at or after `id`. Rows of this batch up to there are in the table already. */
function findFreeRow(state: State, id: number): number {
  let free = id;
  for (;;) {
    const taken = state.sql.takenFrom.all(free, FREE_SCAN_ROWS);
    for (const row of taken) {
      if (row !== free) return free;
      free++;
    }
    if (taken.length < FREE_SCAN_ROWS) return free;
  }
}

function insertRow(state: State, entry: Entry, mark: number, id: number): void {
  const { document } = entry;
  const profile = state.profiles.of(document);
  const listed = profile.listed < LISTED_ROWS_MAX;
  const isDisplaced = state.month === UNDATED || id !== entry.base;
  const at = isDisplaced ? toSentAt(document.sentAtMs) : null;
  state.sql.insertRow.run(id, document.messageNo, profile.id, partyOf(document), mark, at, listed ? 1 : null);
  state.profiles.count(profile.id, listed, 1);
  if (id > state.maxId) state.maxId = id;
  if (isDisplaced && !state.displaced) {
    state.sql.setMeta.run('displaced', 1);
    state.displaced = true;
  }
}

function updateRow(state: State, document: IndexDocument, mark: number, row: Row): void {
  const profile = state.profiles.of(document);
  const party = partyOf(document);
  if (row.mark === mark && row.profile === profile.id && row.party === party) return;
  state.profiles.count(row.profile, row.listed === 1, -1);
  const listed = profile.listed < LISTED_ROWS_MAX;
  state.profiles.count(profile.id, listed, 1);
  state.sql.updateRow.run(profile.id, party, mark, row.at, listed ? 1 : null, row.id);
}

function addTraces(state: State, count: number): void {
  state.traces += count;
  state.sql.setMeta.run('traces', state.traces);
}

/** The other side of the message, for facets: a number as integer, anything else as text after `=`, so that SQLite never takes it for one. */
function partyOf(document: IndexDocument): number | string | null {
  const [key] = toDirection(document.direction) === 'outbound' ? document.to : document.from;
  if (key === undefined) return null;
  const plain = findPlainNumber(key);
  if (plain !== undefined) return Number(plain);
  const phone = findPhoneDigits(key);
  return phone?.international === true && phone.digits.length <= 15 ? Number(phone.digits) : `=${key}`;
}

function replaceAll(state: State, documents: Iterable<IndexDocument>): void {
  const { database, sql } = state;
  database.exec("INSERT INTO ft(ft) VALUES ('delete-all'); DELETE FROM doc; DELETE FROM profile;");
  sql.setMeta.run('displaced', 0);
  // What stood here is in no list any more, but in free pages and in the log, until the month is erased.
  sql.setMeta.run('traces', 1);
  reload(state);
  const batchMax = 10_000;
  let batch: IndexDocument[] = [];
  for (const document of documents) {
    batch.push(document);
    if (batch.length < batchMax) continue;
    applyChanges(state, { puts: batch, removals: [] });
    batch = [];
  }
  applyChanges(state, { puts: batch, removals: [] });
}

function optimise(state: State): boolean {
  if (countPieces(state.database) <= 1 && state.traces === 0) return false;
  compact(state);
  return true;
}

/** @throws CartularyError `overloaded` where a reader holds the log for longer than the busy timeout */
function erase(state: State, watermark: number): void {
  state.sql.setMeta.run('erasedAt', watermark);
  if (!compact(state)) {
    throw new CartularyError('overloaded', 'a reader holds the search index; erase the month again');
  }
}

/** @returns whether nothing removed is left, which readers can prevent */
function compact(state: State): boolean {
  const { database, sql, vacuumBytesMax } = state;
  if (!mergePieces(database, vacuumBytesMax)) return false;
  if (state.traces === 0) return true;
  // Only now: a crash before leaves the mark that there is something to erase.
  sql.setMeta.run('traces', 0);
  state.traces = 0;
  return truncateLog(database);
}

function readFacts({ month, sql }: State): MonthFacts {
  const noted = (name: string): number => sql.getMeta.get(name) ?? 0;
  return { month, messages: sql.countRows.get() ?? 0, changedAt: noted('changedAt'), erasedAt: noted('erasedAt') };
}

function copyTo(state: State, path: string): boolean {
  if (!compact(state)) return false;
  if (!isSound(state.database)) throw new CartularyError('index-damaged', 'a file of the search index is damaged');
  // Nothing is in the log, and nobody else writes: the file is the month.
  copyFileSync(state.path, path, constants.COPYFILE_FICLONE);
  return true;
}
