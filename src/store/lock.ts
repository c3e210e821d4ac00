/**
 * One process holds a data directory. The lock is one of the operating system's (an exclusive lock on an empty SQLite file), so that it goes when its
 * holder dies, however it dies; a file that merely exists would stay behind.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

import Database from 'better-sqlite3-multiple-ciphers';

import { CartularyError } from '../model/errors.ts';

/** A held lock. */
export type DirectoryLock = { release(): void };

/**
 * Takes the lock.
 * @throws CartularyError `data-held` where another process has it
 */
export function lockDirectory(path: string): DirectoryLock {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new Database(path, { timeout: 200 });
  try {
    // Nothing is ever written, so the file stays empty and holds no header.
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new CartularyError('data-held', 'another process holds the data directory', { cause });
  }
  return {
    release() {
      if (database.open) {
        database.exec('ROLLBACK');
        database.close();
      }
    },
  };
}
