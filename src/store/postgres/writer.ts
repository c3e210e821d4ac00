/** Everything a node writes into PostgreSQL besides appending. Each call is one transaction. */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import { toJobRow } from '../job-columns.ts';
import type { JobColumns } from '../job-columns.ts';
import type { JobClaim, JobRow, SettingChange, StateRow } from '../store.ts';
import { clockAhead } from './clock.ts';
import { uuidOf } from './connection.ts';
import { arrayText, joinBytes } from './columns.ts';
import { inTransaction } from './transaction.ts';
import { putSetting } from './write-plan.ts';

/** Writes state rows; an older version never replaces a newer one, and a message without a key gets none. */
export async function putStates(client: Client, archive: string, rows: readonly StateRow[]): Promise<void> {
  if (rows.length === 0) return;
  const { bytes, begins, ends } = joinBytes(rows.map(({ sealed }) => sealed));
  await client.query({
    name: 'put-states',
    text: `INSERT INTO state (archive, no, version, sealed)
      SELECT $1, u.no, u.version, substring($2::bytea FROM u.begins + 1 FOR u.ends - u.begins)
      FROM unnest($3::bigint[], $4::bigint[], $5::int[], $6::int[]) AS u(no, version, begins, ends)
      JOIN message_key k ON k.archive = $1 AND k.no = u.no
      ON CONFLICT (archive, no) DO UPDATE SET version = excluded.version, sealed = excluded.sealed WHERE excluded.version >= state.version`,
    values: [
      archive,
      bytes,
      arrayText(rows.map(({ messageNo }) => messageNo)),
      arrayText(rows.map(({ version }) => version)),
      arrayText(begins),
      arrayText(ends),
    ],
  });
}

/** Writes or removes settings. */
export function putSettings(client: Client, archive: string, changes: readonly SettingChange[]): Promise<void> {
  return inTransaction(client, async () => {
    for (const change of changes) await putSetting(client, archive, change);
  });
}

/** Claims due jobs: earliest loss first, then earliest due. What another node is claiming is passed over rather than waited for. */
export async function claimJobs(
  client: Client,
  archive: string,
  { kinds, limit, nowMs, leaseMs }: JobClaim,
): Promise<JobRow[]> {
  const aheadMs = await clockAhead(client);
  const { rows } = await client.query<JobColumns>({
    name: 'claim-jobs',
    text: `WITH due AS (
        SELECT id FROM job WHERE archive = $1 AND kind = ANY($2::text[]) AND due_at <= $3
        ORDER BY loss_at NULLS LAST, due_at LIMIT $4 FOR UPDATE SKIP LOCKED
      ) UPDATE job j SET due_at = $5, lease_until = $5, attempts = attempts + 1 FROM due WHERE j.archive = $1 AND j.id = due.id
      RETURNING j.id, j.kind, j.no, j.seq, j.attempts, j.loss_at, j.payload`,
    values: [archive, kinds, nowMs + aheadMs, limit, nowMs + aheadMs + leaseMs],
  });
  const byLoss = (row: JobColumns): number => row.loss_at ?? Number.POSITIVE_INFINITY;
  return rows
    .toSorted((one, other) => (byLoss(one) === byLoss(other) ? one.id - other.id : byLoss(one) - byLoss(other)))
    .map((row) => toJobRow({ ...row, loss_at: row.loss_at === null ? null : row.loss_at - aheadMs }));
}

export async function finishJob(client: Client, archive: string, id: number): Promise<void> {
  await client.query('DELETE FROM job WHERE archive = $1 AND id = $2', [archive, id]);
}

export async function retryJob(client: Client, archive: string, id: number, dueAtMs: number): Promise<void> {
  await client.query('UPDATE job SET due_at = $3, lease_until = 0 WHERE archive = $1 AND id = $2', [
    archive,
    id,
    dueAtMs + (await clockAhead(client)),
  ]);
}

/** Nobody appends while a key is pinned, closed or destroyed: whoever appends holds the same lock. */
function underHead<Result>(client: Client, archive: string, act: () => Promise<Result>): Promise<Result> {
  return inTransaction(client, async () => {
    await client.query('SELECT 1 FROM log_head WHERE archive = $1 FOR UPDATE', [archive]);
    return translateRefusal(act);
  });
}

export function pinKey(client: Client, archive: string, messageId: Uint8Array, hold: string): Promise<void> {
  return underHead(client, archive, async () => {
    const no = await getMessageNo(client, archive, messageId);
    await client.query('INSERT INTO pin (archive, no, hold) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
      archive,
      no,
      hold,
    ]);
  });
}

export async function unpinKey(client: Client, archive: string, messageId: Uint8Array, hold: string): Promise<void> {
  const no = await getMessageNo(client, archive, messageId);
  await client.query('DELETE FROM pin WHERE archive = $1 AND no = $2 AND hold = $3', [archive, no, hold]);
}

export function closeKey(client: Client, archive: string, messageId: Uint8Array): Promise<void> {
  return underHead(client, archive, async () => {
    const no = await getMessageNo(client, archive, messageId);
    const { rowCount } = await client.query('UPDATE message_key SET closed = true WHERE archive = $1 AND no = $2', [
      archive,
      no,
    ]);
    if (rowCount === 0) throw new CartularyError('key-destroyed', 'the key of this message is gone');
  });
}

export function destroyKey(client: Client, archive: string, messageId: Uint8Array): Promise<void> {
  return underHead(client, archive, async () => {
    const no = await getMessageNo(client, archive, messageId);
    const { rowCount } = await client.query('DELETE FROM message_key WHERE archive = $1 AND no = $2', [archive, no]);
    if (rowCount === 0) throw new CartularyError('key-destroyed', 'the key of this message is gone');
    await client.query('DELETE FROM state WHERE archive = $1 AND no = $2', [archive, no]);
    await client.query('DELETE FROM job WHERE archive = $1 AND no = $2', [archive, no]);
  });
}

async function getMessageNo(client: Client, archive: string, messageId: Uint8Array): Promise<number> {
  const { rows } = await client.query<{ no: number }>('SELECT no FROM seen WHERE archive = $1 AND key = $2', [
    archive,
    uuidOf(messageId),
  ]);
  if (rows[0] === undefined) throw new CartularyError('not-found', 'there is no such message');
  return rows[0].no;
}

/** What the database itself refuses (`schema.ts`), in our words. */
async function translateRefusal<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (cause) {
    const { code, message } = cause as { code?: string; message?: string };
    if (message === 'key-pinned')
      throw new CartularyError('key-pinned', 'a hold pins the key of this message', { cause });
    if (message === 'key-open')
      throw new CartularyError('conflict', 'the key must be closed before it is destroyed', { cause });
    if (code === FOREIGN_KEY_VIOLATION)
      throw new CartularyError('key-destroyed', 'the key of this message is gone', { cause });
    throw cause;
  }
}

const FOREIGN_KEY_VIOLATION = '23503';
