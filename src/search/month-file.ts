/** Opens the file of one month and knows its tables. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../vault/page-encryption.ts';
import { FORMAT_VERSION } from './index-version.ts';
import { monthFileName } from './months.ts';
import type { Month } from './months.ts';
import { FTS_TOKENIZER, TOKENS_VERSION } from './tokens.ts';
import { isDatabaseDamage } from '../vault/database-damage.ts';

/** How far the index has followed, and how often each month was changed. */
export const STATE_FILE = 'index-state.db';

const PAGE_BYTES = 8192;

/**
 * ft: words and terms. Contentless: what a message says is nowhere in it as text. Leaves of 3,990 bytes, two to a page (with the
 * default of 4,050 only one fits beside the cipher's reserve, and 40 % of the file stays empty). No automerge: many small merges
 * cost 5 µs a message; instead 16 segments of a level are merged at once (crisismerge), the rest by `optimise`.
 *
 * doc: one narrow row a message. `mark` tells whether words or terms changed, so that a new delivery state costs no new index entry.
 * doc_no: numbers ascend with arrival, so it only ever grows at its end (1 µs a message), and comparing the index with the store reads
 * just the range in question. `listed`: the first rows of every profile are also in doc_listed, so that what is rare (queued) is found without reading all rows.
 */
const SCHEMA = `
  CREATE VIRTUAL TABLE ft USING fts5(t, content='', contentless_delete=1, tokenize="${FTS_TOKENIZER}");
  INSERT INTO ft(ft, rank) VALUES ('pgsz', 3990), ('automerge', 0), ('crisismerge', 16), ('hashsize', 33554432);
  CREATE TABLE doc(
    id INTEGER PRIMARY KEY, no INTEGER NOT NULL, profile INTEGER NOT NULL, party INTEGER, mark INTEGER NOT NULL, at INTEGER, listed INTEGER
  );
  CREATE INDEX doc_no ON doc(no);
  CREATE INDEX doc_listed ON doc(profile) WHERE listed = 1;
  CREATE TABLE profile(
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, direction TEXT NOT NULL, state TEXT NOT NULL, types TEXT NOT NULL,
    listed INTEGER NOT NULL DEFAULT 0, unlisted INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('format', ${FORMAT_VERSION}), ('tokens', ${TOKENS_VERSION}), ('displaced', 0), ('traces', 0), ('changes', 0);
`;

/** How a month's file is opened. */
export type MonthFileOptions = {
  readonly directory: string;
  readonly key: Uint8Array;
  readonly cacheKib: number;
  /** A file is vacuumed in memory only if at most this would be left of it. */
  readonly vacuumBytesMax?: number;
};

/**
 * Opens the file of a month for writing and makes it if need be. A new file appears under its name only with all its tables in it.
 * @throws CartularyError `index-damaged` where it is damaged or of another version
 */
export function openMonthForWriting(month: Month, options: MonthFileOptions): EncryptedDatabase {
  const path = join(options.directory, monthFileName(month));
  if (!existsSync(path)) {
    createTables(makingPath(path), options).close();
    renameSync(makingPath(path), path);
    syncDirectory(options.directory);
  }
  return openForWriting(path, options);
}

/**
 * Opens an empty file that takes the place of a month once it is filled: close it, then call `replaceMonthFile`.
 * @throws CartularyError `index-damaged`
 */
export function openReplacement(month: Month, options: MonthFileOptions): EncryptedDatabase {
  const path = makingPath(join(options.directory, monthFileName(month)));
  createTables(path, options).close();
  return openForWriting(path, options);
}

/**
 * Puts the replacement in the place of a month that cannot be read any more. Connections that are open keep seeing the old file.
 * The old log goes first: it must not be taken for the new file's, and what it could add to a damaged file is lost anyway.
 */
export function replaceMonthFile(month: Month, options: MonthFileOptions): void {
  const path = join(options.directory, monthFileName(month));
  removeLog(path);
  renameSync(makingPath(path), path);
  syncDirectory(options.directory);
}

/** Removes the write-ahead log of a file that is about to be replaced. */
export function removeLog(path: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
}

function makingPath(path: string): string {
  return `${path}.making`;
}

function openForWriting(path: string, options: MonthFileOptions): EncryptedDatabase {
  const database = openIndexFile(path, {
    key: options.key,
    mustExist: true,
    pageBytes: PAGE_BYTES,
    cacheKib: options.cacheKib,
    synchronous: 'NORMAL',
  });
  try {
    nameDamage(() => {
      database.pragma('journal_size_limit = 67108864');
      assertVersion(database);
    });
    return database;
  } catch (cause) {
    database.close();
    throw cause;
  }
}

/** The connection that made a file; closing it moves the write-ahead log into the file, syncs, and removes the log. */
function createTables(path: string, options: MonthFileOptions): EncryptedDatabase {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  const database = openIndexFile(path, { key: options.key, pageBytes: PAGE_BYTES, synchronous: 'FULL' });
  try {
    database.transaction(() => database.exec(SCHEMA)).immediate();
    return database;
  } catch (cause) {
    database.close();
    throw cause;
  }
}

/** Opens the file of a month for reading. @throws CartularyError `index-damaged` */
export function openMonthForReading(month: Month, options: MonthFileOptions): EncryptedDatabase {
  const path = join(options.directory, monthFileName(month));
  const database = openIndexFile(path, {
    key: options.key,
    readonly: true,
    mustExist: true,
    cacheKib: options.cacheKib,
    synchronous: 'NORMAL',
  });
  try {
    nameDamage(() => {
      assertVersion(database);
      // Belongs to the connection, not to the file: words of the vocabulary, and where in a message they stand.
      database.exec(`
        CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'ft', 'row');
        CREATE VIRTUAL TABLE temp.instances USING fts5vocab('main', 'ft', 'instance');
      `);
    });
    return database;
  } catch (cause) {
    database.close();
    throw cause;
  }
}

/**
 * Opens a file of the index.
 * @throws CartularyError `index-damaged` where it cannot be opened with the key
 */
export function openIndexFile(path: string, options: Parameters<typeof openEncryptedDatabase>[1]): EncryptedDatabase {
  return nameDamage(() => openEncryptedDatabase(path, options));
}

/**
 * Runs work on a file and names damage that shows only now.
 * @throws CartularyError `index-damaged` where a page cannot be read; anything else as it is
 */
export function nameDamage<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    // The opening of an encrypted file names its damage in its own way.
    const isNamed = cause instanceof CartularyError && cause.code === 'corrupt';
    if (!isNamed && !isDatabaseDamage(cause)) throw cause;
    throw new CartularyError('index-damaged', 'a file of the search index is damaged; run "cartulary rebuild"', {
      cause,
    });
  }
}

/** Can every page be read, and do they fit together? */
export function isSound(database: EncryptedDatabase): boolean {
  try {
    return database.pragma('main.quick_check(1)', { simple: true }) === 'ok';
  } catch {
    return false;
  }
}

/** Makes names in a directory durable. */
export function syncDirectory(directory: string): void {
  // Windows knows no fsync of a directory; its names are journaled with the file.
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function assertVersion(database: EncryptedDatabase): void {
  // A file of no bytes opens as an empty database.
  if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get() === undefined)
    throw new CartularyError('index-damaged', 'a file of the search index is empty; run "cartulary rebuild"');
  const rows = database.prepare("SELECT name, value FROM meta WHERE name IN ('format', 'tokens')").raw().all() as [
    string,
    number,
  ][];
  const versions = new Map(rows);
  if (versions.get('format') !== FORMAT_VERSION || versions.get('tokens') !== TOKENS_VERSION) {
    throw new CartularyError(
      'index-damaged',
      'the search index is of another version; delete its directory and run "cartulary rebuild"',
    );
  }
}
