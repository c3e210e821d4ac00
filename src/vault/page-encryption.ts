/**
 * Opens SQLite files whose every page is sealed (AEGIS-256 of SQLite3 Multiple Ciphers), and refuses to open anything else.
 *
 * Owns: the pragmas that decide whether an acknowledged write survives a power cut and whether a stolen disk can be read.
 * Never: knows a table. store/ and search/ bring their own.
 * Invariants, asserted on every open: the file does not begin with SQLite's plaintext header; `synchronous` is FULL *after* the
 * first write (the library is compiled so that a WAL connection silently falls back to NORMAL); temporary tables stay in memory.
 */
import { closeSync, openSync, readSync } from 'node:fs';

import Database from 'better-sqlite3-multiple-ciphers';

import { CartularyError } from '../model/errors.ts';

/** An open, page-encrypted SQLite connection. */
export type EncryptedDatabase = Database.Database;

/** How a file is opened. */
export type OpenOptions = {
  /** 32 random bytes; never a passphrase, so no key derivation takes place. */
  readonly key: Uint8Array;
  readonly readonly?: boolean;
  /** Must the file exist already? Default false. */
  readonly mustExist?: boolean;
  /** Bytes of a page when the file is made; larger pages cost less CPU for each row (measured: 8 k and 16 k beat 4 k by 15–30 %). */
  readonly pageBytes?: 4096 | 8192 | 16384;
  /** Page cache of this connection in KiB. */
  readonly cacheKib?: number;
  /** `FULL` for what is acknowledged; `NORMAL` only for what can be rebuilt. */
  readonly synchronous?: 'FULL' | 'NORMAL';
};

/** Milliseconds that a connection waits for another before it gives up. */
export const BUSY_WAIT_MS = 10_000;

const PLAINTEXT_HEADER = Buffer.from('SQLite format 3\0', 'latin1');
const SYNCHRONOUS_LEVEL = { NORMAL: 1, FULL: 2 } as const;

/**
 * Opens or makes a page-encrypted SQLite database in WAL mode.
 * @param path file; its directory must exist
 * @throws CartularyError `corrupt` where the file is plaintext or not a database under this key; `key-missing` where the key is not 32 bytes
 */
export function openEncryptedDatabase(path: string, options: OpenOptions): EncryptedDatabase {
  if (options.key.length !== 32) throw new CartularyError('key-missing', 'a page key is 32 bytes');
  assertNotPlaintext(path);
  const database = openHandle(path, options);
  try {
    database.pragma("cipher = 'aegis'");
    database.pragma("aegis_algorithm = 'aegis-256'");
    // A malformed raw key would silently be taken as a passphrase, hence exactly 64 lower-case hex digits.
    database.pragma(`key = "raw:${Buffer.from(options.key).toString('hex')}"`);
    if (options.readonly !== true) {
      database.pragma(`page_size = ${options.pageBytes ?? 8192}`);
      database.pragma('journal_mode = WAL');
    }
    database.pragma('temp_store = MEMORY');
    database.pragma('secure_delete = ON');
    database.pragma('foreign_keys = ON');
    database.pragma(`busy_timeout = ${BUSY_WAIT_MS}`);
    database.pragma('trusted_schema = OFF');
    database.pragma(`cache_size = -${options.cacheKib ?? 16384}`);
    assertSynchronous(database, options.readonly === true, options.synchronous ?? 'FULL');
    return database;
  } catch (cause) {
    database.close();
    if (cause instanceof CartularyError) throw cause;
    throw new CartularyError('corrupt', 'a database file cannot be opened with its key', { cause });
  }
}

/**
 * Does a file begin with SQLite's plaintext header? Such a file must never be written to.
 * @throws CartularyError `corrupt`
 */
export function assertNotPlaintext(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return; // not there yet
  }
  try {
    const head = Buffer.alloc(PLAINTEXT_HEADER.length);
    const read = readSync(descriptor, head, 0, head.length, 0);
    if (read === head.length && head.equals(PLAINTEXT_HEADER)) {
      throw new CartularyError('corrupt', 'a database file is not encrypted; it was not written by this archive');
    }
  } finally {
    closeSync(descriptor);
  }
}

function openHandle(path: string, options: OpenOptions): EncryptedDatabase {
  try {
    return new Database(path, { readonly: options.readonly ?? false, fileMustExist: options.mustExist ?? false });
  } catch (cause) {
    throw new CartularyError('corrupt', 'a database file cannot be opened', { cause });
  }
}

function assertSynchronous(database: EncryptedDatabase, readonly: boolean, wanted: 'FULL' | 'NORMAL'): void {
  database.pragma(`synchronous = ${wanted}`);
  // The first read decides whether the key fits; the level is only reliable after it.
  database.prepare('SELECT count(*) FROM sqlite_schema').get();
  database.pragma(`synchronous = ${wanted}`);
  const level = database.pragma('synchronous', { simple: true });
  if (!readonly && level !== SYNCHRONOUS_LEVEL[wanted]) {
    throw new CartularyError('corrupt', `synchronous is ${String(level)}, not ${wanted}`);
  }
}
