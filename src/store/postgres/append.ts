/**
 * The append path of the PostgreSQL engine: one transaction a batch. It begins by locking the head of the archive's log and ends by moving it, so that whichever node appends,
 * numbers have no holes and what it looked up is still so when it writes. What is prepared outside (sealing, packing) is not in the lock; many entries share it.
 */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import type { AppendEntry, AppendResult } from '../store.ts';
import { planAppend } from './append-plan.ts';
import type { AppendPlan, Known, LogHead } from './append-plan.ts';
import { clockAhead } from './clock.ts';
import { bytesOfUuid, uuidOf } from './connection.ts';
import { ensureMonth, monthNumber } from './schema.ts';
import { commitDurably } from './transaction.ts';
import { unwrapSecret, WRAPPED_BYTES, wrapSecret } from './secret-wrap.ts';
import type { Epochs } from './epochs.ts';
import type { EpochKey } from './secret-wrap.ts';
import { writeRecords } from './write-records.ts';

/** What an appender needs. */
export type AppenderParts = {
  readonly archiveId: Uint8Array;
  readonly epochs: Epochs;
  readonly now: () => number;
};

type HeadRow = { size: number; next_no: number; month: number; epoch: number };

/** Makes the appender of an archive: a connection and a batch in, results out; one batch at a time. */
export function createAppender({ archiveId, epochs, now }: AppenderParts) {
  const archive = uuidOf(archiveId);
  const months = new Set<number>();

  /** The month that records go to: that of now, but never before that of the last record, so that months and numbers rise together. */
  const openMonth = async (client: Client): Promise<number> => {
    const { rows } = await client.query<HeadRow>('SELECT size, next_no, month FROM log_head WHERE archive = $1', [
      archive,
    ]);
    const month = Math.max(monthNumber(now()), rows[0]?.month ?? 0);
    if (!months.has(month)) await ensureMonth(client, month);
    months.add(month);
    return month;
  };

  const appendOnce = async (
    client: Client,
    entries: readonly AppendEntry[],
    month: number,
  ): Promise<readonly AppendResult[] | undefined> => {
    await client.query('BEGIN');
    try {
      const head = await lockHead(client, archive, epochs);
      if (head.month > month) {
        await client.query('ROLLBACK');
        return undefined;
      }
      const plan = planAppend(entries, await lookUp(client, archive, entries, epochs), {
        size: head.size,
        nextNo: head.next_no,
      });
      if (plan.records.length === 0) {
        await confirmKnown(client, archive, plan.results);
        return plan.results;
      }
      await write(client, archive, plan, {
        head: { size: head.size, nextNo: head.next_no },
        month,
        isNewMonth: head.month !== month,
        // Whoever rotates has said so under this lock: nothing is wrapped under an epoch whose key is about to go.
        epoch: epochs.get(head.epoch),
      });
      await commitDurably(client);
      return plan.results;
    } catch (cause) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw cause;
    }
  };

  return async (client: Client, entries: readonly AppendEntry[]): Promise<readonly AppendResult[]> => {
    for (let tries = 0; tries < MONTH_TRIES_MAX; tries += 1) {
      const results = await appendOnce(client, entries, await openMonth(client));
      if (results !== undefined) return results;
    }
    throw new CartularyError('overloaded', 'the clocks of the nodes are apart by more than a month');
  };
}

/**
 * A duplicate is acknowledged after its original is durable, and what a server shows after a crash need not be at its replica yet: so something is written, and the wait for its commit
 * covers everything before it.
 */
async function confirmKnown(client: Client, archive: string, results: readonly AppendResult[]): Promise<void> {
  if (!results.some(({ status }) => status === 'duplicate')) {
    await client.query('ROLLBACK');
    return;
  }
  await client.query('UPDATE log_head SET size = size WHERE archive = $1', [archive]);
  await commitDurably(client);
}

/** Another node may be in the next month already. */
const MONTH_TRIES_MAX = 3;

async function lockHead(client: Client, archive: string, epochs: Epochs): Promise<HeadRow> {
  const text = 'SELECT size, next_no, month, epoch FROM log_head WHERE archive = $1 FOR UPDATE';
  const { rows } = await client.query<HeadRow>({ name: 'lock-head', text, values: [archive] });
  if (rows[0] !== undefined) return rows[0];
  await client.query('INSERT INTO log_head (archive, epoch) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    archive,
    epochs.newest().epoch,
  ]);
  const again = await client.query<HeadRow>({ name: 'lock-head', text, values: [archive] });
  if (again.rows[0] === undefined) throw new CartularyError('internal', 'the log has no head');
  return again.rows[0];
}

/** Everything that is known of what a batch concerns. Under the lock of the head nobody changes it. */
async function lookUp(
  client: Client,
  archive: string,
  entries: readonly AppendEntry[],
  epochs: Epochs,
): Promise<Known> {
  const keys = new Set<string>();
  let asksForJobs = false;
  for (const { messageId, unique, jobs } of entries) {
    keys.add(uuidOf(messageId));
    if (unique instanceof Uint8Array) keys.add(uuidOf(unique));
    asksForJobs ||= jobs?.some(({ onlyWithoutContent }) => onlyWithoutContent === true) === true;
  }
  const known: Known = { seen: new Map(), messages: new Map(), jobs: new Set() };
  const seen = await client.query<{ key: string; no: number; seq: number | null }>({
    name: 'find-seen',
    text: 'SELECT key, no, seq FROM seen WHERE archive = $1 AND key = ANY($2::uuid[])',
    values: [archive, [...keys].filter((key) => key.length === 32)],
  });
  for (const { key, no, seq } of seen.rows) known.seen.set(uuidOf(bytesOfUuid(key)), { no, seq });
  const numbers = [...new Set(seen.rows.map(({ no }) => no))];
  if (numbers.length === 0) return known;
  const messages = await client.query<{
    no: number;
    last_seq: number;
    last_record: string;
    secret: Buffer | null;
    epoch: number | null;
    closed: boolean | null;
  }>({
    name: 'find-messages',
    text: `SELECT m.no, m.last_seq, m.last_record, k.secret, k.epoch, k.closed FROM message m LEFT JOIN message_key k ON k.archive = m.archive AND k.no = m.no
      WHERE m.archive = $1 AND m.no = ANY($2::bigint[])`,
    values: [archive, numbers],
  });
  for (const { no, last_seq, last_record, secret, epoch, closed } of messages.rows)
    known.messages.set(no, {
      lastSeq: last_seq,
      lastRecord: uuidOf(bytesOfUuid(last_record)),
      secret: secret === null ? undefined : unwrapSecret(epochs.get(epoch ?? 0), secret),
      closed: closed !== false,
    });
  if (!asksForJobs) return known;
  const jobs = await client.query<{ no: number; kind: string }>(
    'SELECT no, kind FROM job WHERE archive = $1 AND no = ANY($2::bigint[])',
    [archive, numbers],
  );
  for (const { no, kind } of jobs.rows) known.jobs.add(`${no} ${kind}`);
  return known;
}

type Writing = {
  readonly head: LogHead;
  readonly month: number;
  readonly isNewMonth: boolean;
  readonly epoch: EpochKey;
};

/** Writes a plan. Byte strings cross as one value with their places in it: as an array each would cross as hexadecimal text. */
async function write(
  client: Client,
  archive: string,
  plan: AppendPlan,
  { head, month, isNewMonth, epoch }: Writing,
): Promise<void> {
  const { newMessages, lasts, newSeen, contents, jobs, settings } = plan;
  if (newMessages.length > 0) await writeMessages(client, archive, plan, epoch);
  const known = [...lasts].filter(([no]) => no < head.nextNo);
  if (known.length > 0)
    await client.query({
      name: 'set-last',
      text: `UPDATE message m SET last_seq = u.seq, last_record = u.record FROM unnest($2::bigint[], $3::bigint[], $4::uuid[]) AS u(no, seq, record)
        WHERE m.archive = $1 AND m.no = u.no`,
      values: [
        archive,
        known.map(([no]) => no),
        known.map(([, { seq }]) => seq),
        known.map(([, { record }]) => record),
      ],
    });
  const rows = [...newSeen];
  if (rows.length > 0)
    await client.query({
      name: 'add-seen',
      text: 'INSERT INTO seen (archive, key, no, seq) SELECT $1, u.key, u.no, u.seq FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS u(key, no, seq)',
      values: [archive, rows.map(([key]) => key), rows.map(([, { no }]) => no), rows.map(([, { seq }]) => seq)],
    });
  if (contents.size > 0)
    await client.query({
      name: 'set-content',
      text: 'UPDATE seen s SET seq = u.seq FROM unnest($2::uuid[], $3::bigint[]) AS u(key, seq) WHERE s.archive = $1 AND s.key = u.key',
      values: [archive, [...contents.keys()], [...contents.values()]],
    });
  await writeRecords(
    client,
    archive,
    plan.records.map(({ entry, no, previousSeq }) => ({ no, previousSeq, leaf: entry.leaf, sealed: entry.sealed })),
    head.size,
    month,
  );
  const aheadMs = jobs.length === 0 ? 0 : await clockAhead(client);
  for (const { no, seq, job } of jobs)
    await client.query({
      name: 'add-job',
      text: 'INSERT INTO job (archive, kind, no, seq, due_at, loss_at, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)',
      values: [
        ...[archive, job.kind, no, seq, job.dueAtMs + aheadMs],
        job.lossAtMs === undefined ? null : job.lossAtMs + aheadMs,
        Buffer.from(job.payload),
      ],
    });
  for (const [name, value] of settings) await putSetting(client, archive, name, value);
  if (isNewMonth)
    await client.query('INSERT INTO log_month (archive, month, from_seq) VALUES ($1, $2, $3)', [
      archive,
      month,
      head.size,
    ]);
  const { rowCount } = await client.query({
    name: 'move-head',
    text: 'UPDATE log_head SET size = size + $2, next_no = next_no + $3, month = $4 WHERE archive = $1 AND size = $5 RETURNING size',
    values: [archive, plan.records.length, newMessages.length, month, head.size],
  });
  if (rowCount !== 1) throw new CartularyError('internal', 'the head of the log has moved under its lock');
}

/** Writes or removes a setting. */
export async function putSetting(
  client: Client,
  archive: string,
  name: string,
  value: Uint8Array | undefined,
): Promise<void> {
  if (value === undefined) await client.query('DELETE FROM setting WHERE archive = $1 AND name = $2', [archive, name]);
  else
    await client.query(
      'INSERT INTO setting (archive, name, value) VALUES ($1, $2, $3) ON CONFLICT (archive, name) DO UPDATE SET value = excluded.value',
      [archive, name, Buffer.from(value)],
    );
}

async function writeMessages(
  client: Client,
  archive: string,
  { newMessages, lasts }: AppendPlan,
  epoch: EpochKey,
): Promise<void> {
  const numbers = newMessages.map(({ no }) => no);
  await client.query({
    name: 'add-messages',
    text: `INSERT INTO message (archive, no, id, last_seq, last_record)
      SELECT $1, u.no, u.id, u.seq, u.record FROM unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[]) AS u(no, id, seq, record)`,
    values: [
      archive,
      numbers,
      newMessages.map(({ id }) => id),
      numbers.map((no) => lasts.get(no)?.seq ?? 0),
      numbers.map((no) => lasts.get(no)?.record ?? ''),
    ],
  });
  await client.query({
    name: 'add-keys',
    text: `INSERT INTO message_key (archive, no, secret, epoch)
      SELECT $1, u.no, substring($2::bytea FROM ((u.at - 1) * ${WRAPPED_BYTES} + 1)::int FOR ${WRAPPED_BYTES}), $3 FROM unnest($4::bigint[]) WITH ORDINALITY AS u(no, at)`,
    values: [archive, Buffer.concat(newMessages.map(({ secret }) => wrapSecret(epoch, secret))), epoch.epoch, numbers],
  });
}
