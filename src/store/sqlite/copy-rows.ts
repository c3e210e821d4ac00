/**
 * The copies of a backup, row by row, for an engine that keeps its rows elsewhere. A copy is always a pair of SQLite files (`copy.ts`), so that a backup of one engine is restored into
 * the other, looked at by `backup check`, and an archive moves between them.
 */
import { openEncryptedDatabase } from '../../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import { findSlot, FIND_SEEN, joinHash } from './append.ts';
import { dropKeyTriggers, KEY_COPY_SCHEMA } from './copy.ts';
import { migrate } from './schema.ts';

/** The rows of an archive, by table. Byte strings are as in `store.ts`; a secret is as it is, not wrapped. */
export type CopyRows = {
  readonly message: { readonly no: number; readonly id: Uint8Array; readonly lastSeq: number };
  readonly record: {
    readonly seq: number;
    readonly no: number;
    readonly previousSeq: number | null;
    readonly leaf: Uint8Array;
    readonly sealed: Uint8Array | null;
  };
  readonly seen: { readonly key: Uint8Array; readonly no: number; readonly seq: number | null };
  readonly state: { readonly no: number; readonly version: number; readonly sealed: Uint8Array };
  readonly job: {
    readonly kind: string;
    readonly no: number;
    readonly seq: number;
    readonly dueAtMs: number;
    readonly lossAtMs: number | null;
    readonly attempts: number;
    readonly payload: Uint8Array;
  };
  readonly setting: { readonly name: string; readonly value: Uint8Array };
  readonly key: { readonly no: number; readonly secret: Uint8Array; readonly closed: boolean };
  readonly pin: { readonly no: number; readonly hold: string };
};

/** A table of a copy. */
export type CopyTable = keyof CopyRows;

const INSERTS: { readonly [Table in CopyTable]: string } = {
  message: 'INSERT INTO message (no, id, last_seq) VALUES (?, ?, ?)',
  record: 'INSERT INTO record (seq, no, prev_seq, leaf, sealed) VALUES (?, ?, ?, ?, ?)',
  seen: 'INSERT INTO seen (k, rest, no, seq) VALUES (?, ?, ?, ?)',
  state: 'INSERT INTO state (no, version, sealed) VALUES (?, ?, ?)',
  job: 'INSERT INTO job (kind, no, seq, due_at, loss_at, attempts, payload) VALUES (?, ?, ?, ?, ?, ?, ?)',
  setting: 'INSERT INTO setting (name, value) VALUES (?, ?)',
  key: 'INSERT INTO message_key (no, secret, closed) VALUES (?, ?, ?)',
  pin: 'INSERT INTO pin (no, hold) VALUES (?, ?)',
};

/** A copy that is being written. */
export type CopyWriter = {
  add<Table extends CopyTable>(table: Table, rows: readonly CopyRows[Table][]): void;
  /** Both files are whole and nothing of them is elsewhere. */
  finish(): void;
};

/** Begins a copy in two new files. */
export function createCopy(contentPath: string, keysPath: string, key: Uint8Array): CopyWriter {
  const content = openEncryptedDatabase(contentPath, { key });
  migrate(content);
  dropKeyTriggers(content);
  const keys = openEncryptedDatabase(keysPath, { key });
  keys.exec(KEY_COPY_SCHEMA);
  const databaseOf = (table: CopyTable): EncryptedDatabase => (table === 'key' || table === 'pin' ? keys : content);
  const findSeen = content.prepare(FIND_SEEN);
  const values: { readonly [Table in CopyTable]: (row: CopyRows[Table]) => unknown[] } = {
    message: ({ no, id, lastSeq }) => [no, id, lastSeq],
    record: ({ seq, no, previousSeq, leaf, sealed }) => [seq, no, previousSeq, leaf, sealed],
    seen({ key: hash, no, seq }) {
      const { k, rest } = findSlot(findSeen, hash);
      return [k, rest, no, seq];
    },
    state: ({ no, version, sealed }) => [no, version, sealed],
    job: ({ kind, no, seq, dueAtMs, lossAtMs, attempts, payload }) => [
      kind,
      no,
      seq,
      dueAtMs,
      lossAtMs,
      attempts,
      payload,
    ],
    setting: ({ name, value }) => [name, value],
    key: ({ no, secret, closed }) => [no, secret, closed ? 1 : 0],
    pin: ({ no, hold }) => [no, hold],
  };
  return {
    add(table, rows) {
      const database = databaseOf(table);
      const insert = database.prepare(INSERTS[table]);
      const toValues = values[table];
      database.transaction(() => {
        for (const row of rows) insert.run(...toValues(row));
      })();
    },
    finish() {
      for (const database of [content, keys]) {
        database.pragma('wal_checkpoint(TRUNCATE)');
        database.pragma('journal_mode = DELETE');
        database.close();
      }
    },
  };
}

/** A copy, or the database of an archive that nobody writes, as it is read. */
export type CopyReader = {
  /** Rows of a table, some thousands at a time, in the order of the table's key. */
  read<Table extends CopyTable>(table: Table): Generator<readonly CopyRows[Table][]>;
  /** Size of the log. */
  size(): number;
  close(): void;
};

const CHUNK_ROWS = 2000;

const SELECTS: { readonly [Table in CopyTable]: string } = {
  message: 'SELECT no, id, last_seq AS lastSeq FROM message ORDER BY no',
  record: 'SELECT seq, no, prev_seq AS previousSeq, leaf, sealed FROM record ORDER BY seq',
  seen: 'SELECT k, rest, no, seq FROM seen ORDER BY k',
  state: 'SELECT no, version, sealed FROM state ORDER BY no',
  job: 'SELECT kind, no, seq, due_at AS dueAtMs, loss_at AS lossAtMs, attempts, payload FROM job ORDER BY id',
  setting: 'SELECT name, value FROM setting ORDER BY name',
  key: 'SELECT no, secret, closed FROM message_key ORDER BY no',
  pin: 'SELECT no, hold FROM pin ORDER BY no, hold',
};

/** Rows whose form in the file is another. */
const FROM_COLUMNS: { readonly [Table in CopyTable]?: (row: never) => CopyRows[Table] } = {
  seen: ({ k, rest, no, seq }: { k: bigint; rest: Buffer; no: bigint; seq: bigint | null }) => ({
    key: joinHash(k, rest),
    no: Number(no),
    seq: seq === null ? null : Number(seq),
  }),
  key: ({ no, secret, closed }: { no: number; secret: Buffer; closed: number }) => ({
    no,
    secret,
    closed: closed !== 0,
  }),
};

/**
 * Opens a copy. @param keysPath undefined where the keys stand beside the content, as in the database of an archive
 * @throws CartularyError `corrupt` where a file is not one of these under this key
 */
export function openCopy(contentPath: string, keysPath: string | undefined, key: Uint8Array): CopyReader {
  const open = (path: string): EncryptedDatabase =>
    openEncryptedDatabase(path, { key, readonly: true, mustExist: true });
  const content = open(contentPath);
  const keys = keysPath === undefined ? content : open(keysPath);
  return {
    *read<Table extends CopyTable>(table: Table) {
      const database = table === 'key' || table === 'pin' ? keys : content;
      // The first half of a hash has 64 bits.
      const statement = database.prepare(SELECTS[table]).safeIntegers(table === 'seen');
      const toRow = FROM_COLUMNS[table];
      let chunk: CopyRows[Table][] = [];
      for (const row of statement.iterate()) {
        chunk.push(toRow === undefined ? (row as CopyRows[Table]) : (toRow(row as never) as CopyRows[Table]));
        if (chunk.length < CHUNK_ROWS) continue;
        yield chunk;
        chunk = [];
      }
      if (chunk.length > 0) yield chunk;
    },
    size() {
      const { seq } = content.prepare('SELECT max(seq) AS seq FROM record').get() as { seq: number | null };
      return seq === null ? 0 : seq + 1;
    },
    close() {
      content.close();
      if (keys !== content) keys.close();
    },
  };
}
