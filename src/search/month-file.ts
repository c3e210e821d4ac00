/** Opens the file of one month and knows its tables. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../vault/page-encryption.ts';
import { monthFileName } from './months.ts';
import type { Month } from './months.ts';
import { FTS_TOKENIZER, TOKENS_VERSION } from './tokens.ts';

/** Raised when tables change; an index of another version must be built anew. */
export const FORMAT_VERSION = 1;

const PAGE_BYTES = 8192;

/**
 * ft: words and terms. Contentless: what a message says is nowhere in it as text. Leaves of 3,990 bytes, two to a page (with the
 * default of 4,050 only one fits beside the cipher's reserve, and 40 % of the file stays empty). No automerge: many small merges
 * cost 5 µs a message; instead 16 segments of a level are merged at once (crisismerge), the rest by `optimise`.
 *
 * doc: one narrow row a message. `mark` tells whether words or terms changed, so that a new delivery state costs no new index entry.
 * `listed`: the first rows of every profile are also in doc_listed, so that what is rare (failed) is found without reading all rows.
 */
const SCHEMA = `
  CREATE VIRTUAL TABLE ft USING fts5(t, content='', contentless_delete=1, tokenize="${FTS_TOKENIZER}");
  INSERT INTO ft(ft, rank) VALUES ('pgsz', 3990), ('automerge', 0), ('crisismerge', 16), ('hashsize', 33554432);
  CREATE TABLE doc(
    id INTEGER PRIMARY KEY, no INTEGER NOT NULL, profile INTEGER NOT NULL, party INTEGER, mark INTEGER NOT NULL, at INTEGER, listed INTEGER
  );
  CREATE INDEX doc_displaced ON doc(no) WHERE at IS NOT NULL;
  CREATE INDEX doc_listed ON doc(profile) WHERE listed = 1;
  CREATE TABLE profile(
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, direction TEXT NOT NULL, state TEXT NOT NULL, types TEXT NOT NULL,
    listed INTEGER NOT NULL DEFAULT 0, unlisted INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('format', ${FORMAT_VERSION}), ('tokens', ${TOKENS_VERSION}), ('displaced', 0), ('traces', 0);
`;

/** How a month's file is opened. */
export type MonthFileOptions = {
  readonly directory: string;
  readonly key: Uint8Array;
  readonly cacheKib: number;
};

/**
 * Opens the file of a month for writing and makes it if need be. A new file appears under its name only with all its tables in it.
 * @throws CartularyError `corrupt` where it is damaged or of another version
 */
export function openMonthForWriting(month: Month, options: MonthFileOptions): EncryptedDatabase {
  const path = join(options.directory, monthFileName(month));
  if (!existsSync(path)) createMonthFile(path, options);
  const database = openEncryptedDatabase(path, {
    key: options.key,
    mustExist: true,
    pageBytes: PAGE_BYTES,
    cacheKib: options.cacheKib,
    synchronous: 'NORMAL',
  });
  try {
    database.pragma('journal_size_limit = 67108864');
    assertVersion(database);
    return database;
  } catch (cause) {
    database.close();
    throw cause;
  }
}

/** Opens the file of a month for reading. @throws CartularyError `corrupt` */
export function openMonthForReading(month: Month, options: MonthFileOptions): EncryptedDatabase {
  const path = join(options.directory, monthFileName(month));
  const database = openEncryptedDatabase(path, {
    key: options.key,
    readonly: true,
    mustExist: true,
    cacheKib: options.cacheKib,
    synchronous: 'NORMAL',
  });
  try {
    assertVersion(database);
    // Belongs to the connection, not to the file: words of the vocabulary, and where in a message they stand.
    database.exec(`
      CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'ft', 'row');
      CREATE VIRTUAL TABLE temp.instances USING fts5vocab('main', 'ft', 'instance');
    `);
    return database;
  } catch (cause) {
    database.close();
    throw cause;
  }
}

/** Removes the file of a month with what SQLite keeps beside it. Connections that are open go on seeing the old one. */
export function removeMonthFile(directory: string, month: Month): void {
  const path = join(directory, monthFileName(month));
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  syncDirectory(directory);
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

function createMonthFile(path: string, options: MonthFileOptions): void {
  const making = `${path}.making`;
  for (const suffix of ['', '-wal', '-shm']) rmSync(making + suffix, { force: true });
  const database = openEncryptedDatabase(making, { key: options.key, pageBytes: PAGE_BYTES, synchronous: 'FULL' });
  try {
    database.transaction(() => database.exec(SCHEMA)).immediate();
  } finally {
    // The last connection moves the write-ahead log into the file, syncs and removes it.
    database.close();
  }
  renameSync(making, path);
  syncDirectory(options.directory);
}

function assertVersion(database: EncryptedDatabase): void {
  const rows = database.prepare("SELECT name, value FROM meta WHERE name IN ('format', 'tokens')").raw().all() as [string, number][];
  const versions = new Map(rows);
  if (versions.get('format') !== FORMAT_VERSION || versions.get('tokens') !== TOKENS_VERSION) {
    throw new CartularyError('corrupt', 'the search index is of another version; delete its directory and run "cartulary rebuild"');
  }
}
