/**
 * The append path of the SQLite engine: synchronous, inside the writer's thread, no caller code in the transaction.
 *
 * Many entries share one transaction (group commit). Entries are independent: where one fails, the transaction is rolled back and run again with
 * a savepoint around each entry, so that the bad one fails alone. The first try runs without savepoints because they cost 3 µs an entry and almost
 * never matter.
 */
import type Database from 'better-sqlite3';

import { LEAF_PREVIOUS_OFFSET, LEAF_RECORD_ID_OFFSET } from '../../ledger/leaf.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import type { AppendEntry, AppendResult } from '../store.ts';

const ID_BYTES = 16;
/** Slots tried when the first 64 bits of two hashes agree; at 100 M rows one agreement is expected in 4,000 archives. */
const PROBES_MAX = 8;

type SeenRow = { rest: Buffer; no: number; seq: number | null };
type Slot = { k: bigint; rest: Buffer; row: SeenRow | undefined };

/** For `findSlot`. */
export const FIND_SEEN = 'SELECT rest, no, seq FROM seen WHERE k = ?';

/** Prepared statements and counters of the one writer. */
export type Appender = { append(entries: readonly AppendEntry[]): AppendResult[] };

/** Prepares appending on an open database. The database must have no other writer. */
export function createAppender(database: EncryptedDatabase): Appender {
  const statements = prepare(database);
  const counters = readCounters(database);

  const runAll = (entries: readonly AppendEntry[], each: (entry: AppendEntry) => AppendResult): AppendResult[] => {
    const before = { ...counters };
    statements.begin.run();
    try {
      const results = entries.map(each);
      statements.commit.run();
      return results;
    } catch (cause) {
      Object.assign(counters, before);
      if (database.inTransaction) statements.rollback.run();
      throw cause;
    }
  };
  const appendPlain = (entry: AppendEntry): AppendResult => appendEntry(statements, counters, entry);
  const appendGuarded = (entry: AppendEntry): AppendResult => {
    const before = { ...counters };
    statements.savepoint.run();
    try {
      const result = appendEntry(statements, counters, entry);
      statements.release.run();
      return result;
    } catch (cause) {
      // A full disk or a failing one is everybody's trouble; only what the entry itself broke is the entry's.
      if (!isEntryFault(cause)) throw cause;
      statements.rollbackTo.run();
      statements.release.run();
      Object.assign(counters, before);
      return { status: 'failed', reason: faultReason(cause) };
    }
  };
  return {
    append(entries) {
      try {
        return runAll(entries, appendPlain);
      } catch (cause) {
        if (!isEntryFault(cause)) throw cause;
        return runAll(entries, appendGuarded);
      }
    },
  };
}

type Counters = { nextSeq: number; nextNo: number };

function readCounters(database: EncryptedDatabase): Counters {
  const row = database
    .prepare('SELECT (SELECT max(seq) FROM record) AS seq, (SELECT max(no) FROM message) AS no')
    .get() as {
    seq: number | null;
    no: number | null;
  };
  return { nextSeq: row.seq === null ? 0 : row.seq + 1, nextNo: row.no === null ? 1 : row.no + 1 };
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: EncryptedDatabase) {
  const p = (sql: string): Database.Statement => database.prepare(sql);
  return {
    begin: p('BEGIN IMMEDIATE'),
    commit: p('COMMIT'),
    rollback: p('ROLLBACK'),
    savepoint: p('SAVEPOINT entry'),
    release: p('RELEASE entry'),
    rollbackTo: p('ROLLBACK TO entry'),
    findSeen: p(FIND_SEEN),
    addSeen: p('INSERT INTO seen (k, rest, no, seq) VALUES (?, ?, ?, ?)'),
    claimSeen: p('INSERT INTO seen (k, rest, no, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING'),
    setSeenSeq: p('UPDATE seen SET seq = ? WHERE k = ?'),
    addMessage: p('INSERT INTO message (no, id, last_seq) VALUES (?, ?, ?)'),
    setLast: p('UPDATE message SET last_seq = ? WHERE no = ?'),
    addKey: p('INSERT INTO message_key (no, secret) VALUES (?, ?)'),
    findKey: p('SELECT secret, closed FROM message_key WHERE no = ?'),
    findLast: p(
      'SELECT m.last_seq AS seq, r.leaf AS leaf FROM message m JOIN record r ON r.seq = m.last_seq WHERE m.no = ?',
    ),
    addRecord: p('INSERT INTO record (seq, no, prev_seq, leaf, sealed) VALUES (?, ?, ?, ?, ?)'),
    addJob: p('INSERT INTO job (kind, no, seq, due_at, loss_at, payload) VALUES (?, ?, ?, ?, ?, ?)'),
    findJob: p('SELECT 1 FROM job WHERE no = ? AND kind = ?'),
    putSetting: p(
      'INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    ),
    dropSetting: p('DELETE FROM setting WHERE name = ?'),
  };
}

function appendEntry(s: Statements, counters: Counters, entry: AppendEntry): AppendResult {
  let event: Slot | undefined;
  if (entry.unique instanceof Uint8Array) {
    event = findSlot(s.findSeen, entry.unique);
    if (event.row !== undefined) return { status: 'duplicate', seq: event.row.seq ?? 0, messageNo: event.row.no };
  }
  const seq = counters.nextSeq;
  const message = claimSlot(s, entry.messageId, counters.nextNo, entry.unique === 'message' ? seq : null);
  if (message.row === undefined) {
    const no = counters.nextNo++;
    entry.leaf.fill(0, LEAF_PREVIOUS_OFFSET, LEAF_PREVIOUS_OFFSET + ID_BYTES);
    s.addMessage.run(no, entry.messageId, seq);
    s.addKey.run(no, entry.secret);
    return addRecord(s, counters, entry, { no, previousSeq: null, hasContent: entry.unique === 'message' }, event);
  }
  const { no } = message.row;
  if (entry.unique === 'message' && message.row.seq !== null)
    return { status: 'duplicate', seq: message.row.seq, messageNo: no };
  const key = s.findKey.get(no) as { secret: Buffer; closed: number } | undefined;
  if (key === undefined || key.closed === 1) return { status: 'closed' };
  if (!key.secret.equals(entry.secret)) return { status: 'rekey', secret: key.secret };
  const last = s.findLast.get(no) as { seq: number; leaf: Buffer };
  entry.leaf.set(last.leaf.subarray(LEAF_RECORD_ID_OFFSET, LEAF_RECORD_ID_OFFSET + ID_BYTES), LEAF_PREVIOUS_OFFSET);
  if (entry.unique === 'message') s.setSeenSeq.run(seq, message.k);
  s.setLast.run(seq, no);
  const hasContent = entry.unique === 'message' || message.row.seq !== null;
  return addRecord(s, counters, entry, { no, previousSeq: last.seq, hasContent }, event);
}

function addRecord(
  s: Statements,
  counters: Counters,
  entry: AppendEntry,
  place: { readonly no: number; readonly previousSeq: number | null; readonly hasContent: boolean },
  event: Slot | undefined,
): AppendResult {
  const { no } = place;
  const seq = counters.nextSeq++;
  s.addRecord.run(seq, no, place.previousSeq, entry.leaf, entry.sealed);
  if (event !== undefined) s.addSeen.run(event.k, event.rest, no, seq);
  for (const job of entry.jobs ?? []) {
    if (job.onlyWithoutContent === true && (place.hasContent || s.findJob.get(no, job.kind) !== undefined)) continue;
    s.addJob.run(job.kind, no, seq, job.dueAtMs, job.lossAtMs ?? null, job.payload);
  }
  for (const { name, value } of entry.settings ?? []) {
    if (value === undefined) s.dropSetting.run(name);
    else s.putSetting.run(name, value);
  }
  return { status: 'stored', seq, messageNo: no };
}

/** The slot of a 16-byte keyed hash: its first 64 bits are the key, the rest is compared, so that agreement of 64 bits is no duplicate. */
export function findSlot(findSeen: Database.Statement, hash: Uint8Array): Slot {
  const { k: first, rest } = splitHash(hash);
  for (let probe = 0n; probe < PROBES_MAX; probe += 1n) {
    const k = BigInt.asIntN(64, first + probe);
    const row = findSeen.get(k) as SeenRow | undefined;
    if (row === undefined || row.rest.equals(rest)) return { k, rest, row };
  }
  throw new EntryFault('too many hashes agree in 64 bits');
}

/** Finds the slot of a hash and takes it if it is free. Taking first and looking only where it is taken saves most messages a look into a large tree. */
function claimSlot(s: Statements, hash: Uint8Array, no: number, seq: number | null): Slot {
  const { k, rest } = splitHash(hash);
  if (s.claimSeen.run(k, rest, no, seq).changes === 1) return { k, rest, row: undefined };
  const slot = findSlot(s.findSeen, hash);
  if (slot.row === undefined) s.addSeen.run(slot.k, slot.rest, no, seq);
  return slot;
}

/** How a 16-byte keyed hash is looked up. */
function splitHash(hash: Uint8Array): { k: bigint; rest: Buffer } {
  if (hash.length !== ID_BYTES) throw new EntryFault('a keyed hash is 16 bytes');
  const bytes = Buffer.from(hash.buffer, hash.byteOffset, ID_BYTES);
  return { k: bytes.readBigInt64BE(0), rest: bytes.subarray(8) };
}

/** The 16-byte hash of a slot. One that was moved on because its first half was taken comes back as another; there is one such in 4,000 archives of 100 M rows. */
export function joinHash(k: bigint, rest: Uint8Array): Buffer {
  const hash = Buffer.alloc(ID_BYTES);
  hash.writeBigInt64BE(k, 0);
  hash.set(rest, ID_BYTES / 2);
  return hash;
}

/** Something wrong with one entry. */
class EntryFault extends Error {}

function isEntryFault(cause: unknown): boolean {
  if (cause instanceof EntryFault || cause instanceof TypeError || cause instanceof RangeError) return true;
  const code = sqliteCode(cause);
  return code.startsWith('SQLITE_CONSTRAINT') || code === 'SQLITE_TOOBIG' || code === 'SQLITE_MISMATCH';
}

function faultReason(cause: unknown): string {
  if (cause instanceof EntryFault) return cause.message;
  return sqliteCode(cause) || 'the entry is malformed';
}

function sqliteCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}
