/**
 * Reading of the SQLite engine: a read-only connection of its own in whichever thread reads. Each call is one short read transaction, so that the
 * write-ahead log can be moved into the file behind it.
 */
import { LEAF_BYTES } from '../../ledger/leaf.ts';
import { CartularyError } from '../../model/errors.ts';
import { openEncryptedDatabase } from '../../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import type { MessageRow, RecordRow, StoreReader } from '../store.ts';
import { FIND_SEEN, findSlot } from './append.ts';
import { isDatabaseDamage } from '../../vault/database-damage.ts';

/** Of each reader, of which an archive has five: room for the upper pages of every tree; the others lie in the system's cache. */
const CACHE_KIB = 4096;

/** Tables that nobody reads from end to end who reads all records with their messages and keys. */
const UNREAD_TABLES = ['seen', 'state', 'job', 'setting', 'pin'] as const;

/** Rows one call may ask for. */
export const ROWS_MAX = 20_000;

/**
 * In the order of the statement: as lists rows cost less than as objects, and one byte string less than four (a tenth of a verification). `lengths` is what the first three parts
 * have, 1,000 to the one before, so that what somebody has edited is noticed and read by itself.
 */
type JoinedColumns = [
  seq: number,
  no: number,
  previous: number | null,
  lengths: number | null,
  hasSecret: number,
  hasSealed: number,
  joined: Buffer,
];
type RecordColumns = {
  seq: number;
  no: number;
  id: Buffer;
  secret: Buffer | null;
  prev_seq: number | null;
  leaf: Buffer;
  sealed: Buffer | null;
};
type ChainColumns = { seq: number; prev_seq: number | null; leaf: Buffer; sealed: Buffer | null };
type HeadColumns = {
  id: Buffer;
  last_seq: number;
  secret: Buffer | null;
  closed: number | null;
  version: number | null;
  state: Buffer | null;
};

/**
 * Opens a reader over an existing archive file.
 * @param key 32-byte page key
 */
export function openSqliteReader(path: string, key: Uint8Array): StoreReader {
  const database = openEncryptedDatabase(path, { key, readonly: true, mustExist: true, cacheKib: CACHE_KIB });
  const statements = prepare(database);
  return {
    async size() {
      const row = statements.size.get() as { seq: number | null };
      return row.seq === null ? 0 : row.seq + 1;
    },
    async readLog(fromSeq, limit) {
      const rows = statements.readLog.raw().all(fromSeq, Math.min(limit, ROWS_MAX)) as JoinedColumns[];
      return rows.map((row) => splitRow(row) ?? toRecordRow(statements.readOne.get(row[0]) as RecordColumns));
    },
    async readLeaves(fromSeq, limit) {
      return statements.readLeaves.pluck().all(fromSeq, Math.min(limit, ROWS_MAX)) as Buffer[];
    },
    async readMessages(messageNos, options = {}) {
      return database.transaction(() => {
        const rows: MessageRow[] = [];
        for (const no of messageNos) {
          const row = readMessage(statements, no, options.stateOnly === true);
          if (row !== undefined) rows.push(row);
        }
        return rows;
      })();
    },
    async findMessageNo(messageId) {
      return findSlot(statements.findSeen, messageId).row?.no;
    },
    async findSeqByUnique(unique) {
      return findSlot(statements.findSeen, unique).row?.seq ?? undefined;
    },
    async listMessageNos(fromNo, limit) {
      return statements.listNos.pluck().all(fromNo, Math.min(limit, ROWS_MAX)) as number[];
    },
    async listLastSeqs(fromNo, limit) {
      return statements.listLast.all(fromNo, Math.min(limit, ROWS_MAX)) as { messageNo: number; lastSeq: number }[];
    },
    async listStateNos(fromNo, limit) {
      return statements.listStates.pluck().all(fromNo, Math.min(limit, ROWS_MAX)) as number[];
    },
    async isSound() {
      try {
        return UNREAD_TABLES.every((name) => database.pragma(`quick_check(${name})`, { simple: true }) === 'ok');
      } catch (cause) {
        if (isDatabaseDamage(cause)) return false;
        throw cause;
      }
    },
    async readSetting(name) {
      return statements.readSetting.pluck().get(name) as Buffer | undefined;
    },
    async listSettings(prefix) {
      return statements.listSettings.all(prefix, `${prefix}\u{10ffff}`) as { name: string; value: Buffer }[];
    },
    async countJobs() {
      const rows = statements.countJobs.all() as { kind: string; waiting: number; due: number | null }[];
      return rows.map(({ kind, waiting, due }) => ({ kind, waiting, oldestDueAtMs: due ?? undefined }));
    },
    async close() {
      database.close();
    },
  };
}

function prepare(database: EncryptedDatabase) {
  const p = (sql: string) => database.prepare(sql);
  return {
    size: p('SELECT max(seq) AS seq FROM record'),
    readLog: p(
      `SELECT r.seq, r.no, r.prev_seq, length(m.id) * 1000000 + length(r.leaf) * 1000 + coalesce(length(k.secret), 0), k.secret IS NOT NULL, r.sealed IS NOT NULL,
       CAST(m.id || r.leaf || coalesce(k.secret, x'') || coalesce(r.sealed, x'') AS BLOB)
       FROM record r JOIN message m ON m.no = r.no LEFT JOIN message_key k ON k.no = r.no WHERE r.seq >= ? ORDER BY r.seq LIMIT ?`,
    ),
    readOne: p(
      `SELECT r.seq, r.no, m.id, k.secret, r.prev_seq, r.leaf, r.sealed FROM record r JOIN message m ON m.no = r.no
       LEFT JOIN message_key k ON k.no = r.no WHERE r.seq = ?`,
    ),
    readLeaves: p('SELECT leaf FROM record WHERE seq >= ? ORDER BY seq LIMIT ?'),
    head: p(
      `SELECT m.id, m.last_seq, k.secret, k.closed, s.version, s.sealed AS state FROM message m LEFT JOIN message_key k ON k.no = m.no
       LEFT JOIN state s ON s.no = m.no WHERE m.no = ?`,
    ),
    record: p('SELECT seq, prev_seq, leaf, sealed FROM record WHERE seq = ?'),
    findSeen: p(FIND_SEEN),
    listNos: p('SELECT no FROM message_key WHERE no >= ? ORDER BY no LIMIT ?'),
    listLast: p('SELECT no AS messageNo, last_seq AS lastSeq FROM message WHERE no >= ? ORDER BY no LIMIT ?'),
    listStates: p('SELECT no FROM state WHERE no >= ? ORDER BY no LIMIT ?'),
    readSetting: p('SELECT value FROM setting WHERE name = ?'),
    listSettings: p('SELECT name, value FROM setting WHERE name >= ? AND name < ? ORDER BY name'),
    countJobs: p('SELECT kind, count(*) AS waiting, min(due_at) AS due FROM job GROUP BY kind ORDER BY kind'),
  };
}

/** Records of one message that are read at most; more than that is damage or attack. */
const CHAIN_MAX = 100_000;

function readMessage(statements: ReturnType<typeof prepare>, no: number, stateOnly: boolean): MessageRow | undefined {
  const head = statements.head.get(no) as HeadColumns | undefined;
  if (head === undefined) return undefined;
  const state =
    head.state === null || head.version === null
      ? undefined
      : { messageNo: no, version: head.version, sealed: head.state };
  const records: { seq: number; leaf: Uint8Array; sealed: Uint8Array | undefined }[] = [];
  const current = stateOnly && state !== undefined && state.version === head.last_seq;
  let seq: number | null = current ? null : head.last_seq;
  while (seq !== null) {
    const row = statements.record.get(seq) as ChainColumns | undefined;
    if (row === undefined || records.length >= CHAIN_MAX)
      throw new CartularyError('corrupt', 'the chain of a message is broken');
    records.push({ seq: row.seq, leaf: row.leaf, sealed: row.sealed ?? undefined });
    seq = row.prev_seq;
  }
  return {
    messageNo: no,
    messageId: head.id,
    secret: head.secret ?? undefined,
    closed: head.closed !== 0,
    records: records.reverse(),
    state,
  };
}

const ID_BYTES = 16;
const SECRET_BYTES = 32;
const LENGTHS = ID_BYTES * 1_000_000 + LEAF_BYTES * 1000;

/** The parts of a row as views; undefined where they have not the lengths that we give them. */
function splitRow([seq, messageNo, previous, lengths, hasSecret, hasSealed, joined]: JoinedColumns):
  | RecordRow
  | undefined {
  if (lengths !== LENGTHS + hasSecret * SECRET_BYTES) return undefined;
  const afterLeaf = ID_BYTES + LEAF_BYTES;
  const afterSecret = afterLeaf + hasSecret * SECRET_BYTES;
  return {
    seq,
    messageNo,
    messageId: joined.subarray(0, ID_BYTES),
    secret: hasSecret === 1 ? joined.subarray(afterLeaf, afterSecret) : undefined,
    previousSeq: previous ?? undefined,
    leaf: joined.subarray(ID_BYTES, afterLeaf),
    sealed: hasSealed === 1 ? joined.subarray(afterSecret) : undefined,
  };
}

function toRecordRow({ seq, no, id, secret, prev_seq, leaf, sealed }: RecordColumns): RecordRow {
  return {
    seq,
    messageNo: no,
    messageId: id,
    secret: secret ?? undefined,
    previousSeq: prev_seq ?? undefined,
    leaf,
    sealed: sealed ?? undefined,
  };
}
