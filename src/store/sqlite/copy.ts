/**
 * Consistent copies for a backup: content in one file, keys in another, because copies of keys must be short-lived while copies of content
 * may be kept as long as anybody likes.
 */
import { statSync } from 'node:fs';

import { openEncryptedDatabase } from '../../vault/page-encryption.ts';
import { BESIDE_SETTINGS } from '../store.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import type { RowCounts, SchemaUpdate } from '../schema-update.ts';
import { KEY_TRIGGER_NAMES, KEY_TRIGGERS } from './key-triggers.ts';
import { migrate } from './schema.ts';

/** Tables that hold keys. */
const KEY_TABLES = ['pin', 'message_key'] as const;

/**
 * Copies the database while others write. The keys are copied after the content, so that the copy lacks no key of a record it has, but for those
 * destroyed meanwhile.
 * @returns the size of the log in the copy
 */
export function copyDatabase(
  database: EncryptedDatabase,
  pageKey: Uint8Array,
  contentPath: string,
  keysPath: string,
): number {
  // VACUUM INTO keeps the page encryption and its key; the driver's own backup call cannot read encrypted files.
  database.prepare('VACUUM INTO ?').run(contentPath);
  const keys = database.prepare('SELECT no, secret, closed FROM message_key ORDER BY no');
  const pins = database.prepare('SELECT no, hold FROM pin ORDER BY no, hold');
  writeKeys(keysPath, pageKey, keys.iterate() as Iterable<KeyColumns>, pins.iterate() as Iterable<PinColumns>);
  return dropKeys(contentPath, pageKey);
}

/** The file of the keys. */
export const KEY_COPY_SCHEMA = `
  CREATE TABLE message_key (no INTEGER PRIMARY KEY, secret BLOB NOT NULL, closed INTEGER NOT NULL);
  CREATE TABLE pin (no INTEGER NOT NULL, hold TEXT NOT NULL, PRIMARY KEY (no, hold)) WITHOUT ROWID;`;

/** A copy of the content has no keys to watch over. */
export function dropKeyTriggers(copy: EncryptedDatabase): void {
  for (const trigger of KEY_TRIGGER_NAMES) copy.exec(`DROP TRIGGER ${trigger}`);
}

type KeyColumns = { no: number; secret: Buffer; closed: number };
type PinColumns = { no: number; hold: string };

function writeKeys(path: string, key: Uint8Array, rows: Iterable<KeyColumns>, pins: Iterable<PinColumns>): void {
  const copy = openEncryptedDatabase(path, { key });
  try {
    copy.exec(KEY_COPY_SCHEMA);
    const addKey = copy.prepare('INSERT INTO message_key VALUES (?, ?, ?)');
    const addPin = copy.prepare('INSERT INTO pin VALUES (?, ?)');
    copy.transaction(() => {
      for (const row of rows) addKey.run(row.no, row.secret, row.closed);
      for (const row of pins) addPin.run(row.no, row.hold);
    })();
    copy.pragma('wal_checkpoint(TRUNCATE)');
    copy.pragma('journal_mode = DELETE');
  } finally {
    copy.close();
  }
}

function dropKeys(path: string, key: Uint8Array): number {
  const copy = openEncryptedDatabase(path, { key });
  try {
    copy.pragma('foreign_keys = OFF');
    dropKeyTriggers(copy);
    for (const table of KEY_TABLES) copy.exec(`DELETE FROM ${table}`);
    copy.prepare('DELETE FROM setting WHERE substr(name, 1, ?) = ?').run(BESIDE_SETTINGS.length, BESIDE_SETTINGS);
    const row = copy.prepare('SELECT max(seq) AS seq FROM record').get() as { seq: number | null };
    copy.pragma('wal_checkpoint(TRUNCATE)');
    copy.pragma('journal_mode = DELETE');
    return row.seq === null ? 0 : row.seq + 1;
  } finally {
    copy.close();
  }
}

const COUNTS: Readonly<Record<keyof RowCounts, string>> = {
  records: 'SELECT count(*) FROM record',
  messages: 'SELECT count(*) FROM message',
  keys: 'SELECT count(*) FROM message_key',
  holds: 'SELECT count(*) FROM pin',
};

function countRows(database: EncryptedDatabase): RowCounts {
  const count = (sql: string): number => database.prepare(sql).pluck().get() as number;
  return {
    records: count(COUNTS.records),
    messages: count(COUNTS.messages),
    keys: count(COUNTS.keys),
    holds: count(COUNTS.holds),
  };
}

/** Brings a copy to the schema of this program, and measures that. */
function updateCopy(database: EncryptedDatabase, path: string): SchemaUpdate {
  // So that what is measured is the change alone.
  database.pragma('wal_checkpoint(TRUNCATE)');
  const before = countRows(database);
  const bytes = statSync(path).size;
  const begun = performance.now();
  const step = migrate(database);
  const logBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  database.pragma('wal_checkpoint(TRUNCATE)');
  const ms = Math.round(performance.now() - begun);
  const grownBytes = statSync(path).size - bytes;
  return { ...step, ms, grownBytes, roomBytes: grownBytes + logBytes, before, after: countRows(database) };
}

/** `joinCopies` of engine.ts. Both copies are of one program, whichever: what it joins has been the same in every schema. */
export function joinSqliteCopies(
  contentPath: string,
  keysPath: string,
  key: Uint8Array,
  destroyed: ReadonlySet<string>,
): SchemaUpdate {
  const content = openEncryptedDatabase(contentPath, { key, mustExist: true });
  const keys = openEncryptedDatabase(keysPath, { key, readonly: true, mustExist: true });
  try {
    const idOf = content.prepare('SELECT id FROM message WHERE no = ?').pluck();
    const isKept = (no: number): boolean => {
      const id = idOf.get(no) as Buffer | undefined;
      return id !== undefined && !destroyed.has(id.toString('hex'));
    };
    const addKey = content.prepare('INSERT OR REPLACE INTO message_key (no, secret, closed) VALUES (?, ?, ?)');
    const addPin = content.prepare('INSERT OR IGNORE INTO pin (no, hold) VALUES (?, ?)');
    content.transaction(() => {
      for (const row of keys.prepare('SELECT no, secret, closed FROM message_key').iterate() as Iterable<KeyColumns>) {
        if (isKept(row.no)) addKey.run(row.no, row.secret, row.closed);
      }
      for (const row of keys.prepare('SELECT no, hold FROM pin').iterate() as Iterable<PinColumns>) {
        if (isKept(row.no)) addPin.run(row.no, row.hold);
      }
      content.exec(KEY_TRIGGERS);
      // Files outside that were being written when the copy was made are those of the archive that was copied, which may be at work beside this one.
      content.exec("DELETE FROM setting WHERE name >= 'unfinished/' AND name < 'unfinished0'");
    })();
    return updateCopy(content, contentPath);
  } finally {
    keys.close();
    content.close();
  }
}
