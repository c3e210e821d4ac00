/**
 * Everything the one writer of the SQLite engine does besides appending, synchronously and inside its own thread.
 */
import { CartularyError } from '../../model/errors.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import { toJobRow } from '../job-columns.ts';
import type { JobColumns } from '../job-columns.ts';
import type { JobClaim, JobRow, SettingChange, StateRow } from '../store.ts';
import { FIND_SEEN, findSlot } from './append.ts';

/** Writes state rows; an older version never replaces a newer one, and a message without a key gets none. */
export function putStates(database: EncryptedDatabase, rows: readonly StateRow[]): void {
  const put = database.prepare(
    `INSERT INTO state (no, version, sealed) SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM message_key WHERE no = ?)
     ON CONFLICT (no) DO UPDATE SET version = excluded.version, sealed = excluded.sealed WHERE excluded.version >= state.version`,
  );
  database.transaction(() => {
    for (const row of rows) put.run(row.messageNo, row.version, row.sealed, row.messageNo);
  })();
}

/** Writes or removes settings. */
export function putSettings(database: EncryptedDatabase, changes: readonly SettingChange[]): void {
  const put = database.prepare(
    'INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  const drop = database.prepare('DELETE FROM setting WHERE name = ?');
  database.transaction(() => {
    for (const { name, value } of changes) {
      if (value === undefined) drop.run(name);
      else put.run(name, value);
    }
  })();
}

const JOB_COLUMNS = 'id, kind, no, seq, attempts, loss_at, payload';

/** Claims due jobs: earliest loss first, then earliest due. Who claims one moves its due time to the end of the lease, so that one index tells both. */
export function claimJobs(database: EncryptedDatabase, { kinds, limit, nowMs, leaseMs }: JobClaim): JobRow[] {
  const urgent = database.prepare(
    `SELECT ${JOB_COLUMNS} FROM job WHERE kind = ? AND loss_at IS NOT NULL AND due_at <= ? ORDER BY loss_at, due_at LIMIT ?`,
  );
  const patient = database.prepare(
    `SELECT ${JOB_COLUMNS} FROM job WHERE kind = ? AND loss_at IS NULL AND due_at <= ? ORDER BY due_at LIMIT ?`,
  );
  const lease = database.prepare('UPDATE job SET due_at = ?, lease_until = ?, attempts = attempts + 1 WHERE id = ?');
  const find = (statement: typeof urgent): JobColumns[] =>
    kinds.flatMap((kind) => statement.all(kind, nowMs, limit) as JobColumns[]);
  return database.transaction(() => {
    const byLoss = find(urgent).sort((one, other) => (one.loss_at ?? 0) - (other.loss_at ?? 0));
    const rows = [...byLoss, ...find(patient)].slice(0, limit);
    for (const row of rows) lease.run(nowMs + leaseMs, nowMs + leaseMs, row.id);
    return rows.map((row) => toJobRow({ ...row, attempts: row.attempts + 1 }));
  })();
}

/** What a process had claimed that is no more is due at once. One process holds the file, so every lease found at its opening is such a one. */
export function releaseJobs(database: EncryptedDatabase): void {
  database.prepare('UPDATE job SET due_at = 0, lease_until = 0 WHERE lease_until > 0').run();
}

export function finishJob(database: EncryptedDatabase, id: number): void {
  database.prepare('DELETE FROM job WHERE id = ?').run(id);
}

export function retryJob(database: EncryptedDatabase, id: number, dueAtMs: number): void {
  database.prepare('UPDATE job SET due_at = ?, lease_until = 0 WHERE id = ?').run(dueAtMs, id);
}

export function pinKey(database: EncryptedDatabase, messageId: Uint8Array, hold: string): void {
  const no = getMessageNo(database, messageId);
  translateRefusal(() =>
    database.prepare('INSERT INTO pin (no, hold) VALUES (?, ?) ON CONFLICT DO NOTHING').run(no, hold),
  );
}

export function unpinKey(database: EncryptedDatabase, messageId: Uint8Array, hold: string): void {
  database.prepare('DELETE FROM pin WHERE no = ? AND hold = ?').run(getMessageNo(database, messageId), hold);
}

export function closeKey(database: EncryptedDatabase, messageId: Uint8Array): void {
  const no = getMessageNo(database, messageId);
  const { changes } = translateRefusal(() =>
    database.prepare('UPDATE message_key SET closed = 1 WHERE no = ?').run(no),
  );
  if (changes === 0) throw new CartularyError('key-destroyed', 'the key of this message is gone');
}

export function destroyKey(database: EncryptedDatabase, messageId: Uint8Array): void {
  const no = getMessageNo(database, messageId);
  translateRefusal(() =>
    database.transaction(() => {
      const { changes } = database.prepare('DELETE FROM message_key WHERE no = ?').run(no);
      if (changes === 0) throw new CartularyError('key-destroyed', 'the key of this message is gone');
      database.prepare('DELETE FROM state WHERE no = ?').run(no);
      database.prepare('DELETE FROM job WHERE no = ?').run(no);
    })(),
  );
}

/**
 * Empties the write-ahead log into the file, where deleted bytes are overwritten (`secure_delete`).
 * @returns false where a reader stands in the way; the writer does not wait for it, since capture waits for the writer
 */
export function scrub(database: EncryptedDatabase): boolean {
  const waits = database.pragma('busy_timeout', { simple: true });
  database.pragma('busy_timeout = 0');
  try {
    const [row] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    return row?.busy === 0;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('SQLITE_BUSY')) return false;
    throw cause;
  } finally {
    database.pragma(`busy_timeout = ${String(waits)}`);
  }
}

/** The number of a message. */
export function findMessageNo(database: EncryptedDatabase, messageId: Uint8Array): number | undefined {
  return findSlot(database.prepare(FIND_SEEN), messageId).row?.no;
}

function getMessageNo(database: EncryptedDatabase, messageId: Uint8Array): number {
  const no = findMessageNo(database, messageId);
  if (no === undefined) throw new CartularyError('not-found', 'there is no such message');
  return no;
}

function translateRefusal<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : '';
    if (text.includes('key-pinned'))
      throw new CartularyError('key-pinned', 'a hold pins the key of this message', { cause });
    if (text.includes('key-open'))
      throw new CartularyError('conflict', 'the key must be closed before it is destroyed', { cause });
    if (text.includes('FOREIGN KEY'))
      throw new CartularyError('key-destroyed', 'the key of this message is gone', { cause });
    throw cause;
  }
}
