/**
 * The append path of the PostgreSQL engine: one transaction a batch. It begins by locking the head of the archive's log and ends by moving it, so that whichever node appends,
 * numbers have no holes and what it looked up is still so when it writes. What is prepared outside (sealing, packing) is not in the lock; many entries share it.
 */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import type { AppendResult } from '../store.ts';
import { planAppend } from './append-plan.ts';
import type { Known, PreparedEntry } from './append-plan.ts';
import { arrayText } from './columns.ts';
import { bytesOfUuid, uuidOf } from './connection.ts';
import { ensureMonth, monthNumber } from './schema.ts';
import { commitDurably } from './transaction.ts';
import { unwrapSecret } from './secret-wrap.ts';
import type { Epochs } from './epochs.ts';
import { writePlan } from './write-plan.ts';

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
  const monthAfter = (last: number): number => Math.max(monthNumber(now()), last);

  /** Makes what an append needs and does not make itself: the head of a log that is new, and the partition of a month that has begun. */
  const prepare = async (client: Client): Promise<void> => {
    await client.query('INSERT INTO log_head (archive, epoch) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      archive,
      epochs.newest().epoch,
    ]);
    const { rows } = await client.query<HeadRow>('SELECT month FROM log_head WHERE archive = $1', [archive]);
    const month = monthAfter(rows[0]?.month ?? 0);
    await ensureMonth(client, month);
    months.add(month);
  };

  /** @returns undefined where something must be prepared first */
  const appendOnce = async (
    client: Client,
    entries: readonly PreparedEntry[],
  ): Promise<readonly AppendResult[] | undefined> => {
    try {
      // Sent one behind the other; each is begun when the one before it is done, so what is looked up is looked up under the lock.
      const [, head, seen] = await Promise.all([
        client.query('BEGIN'),
        lockHead(client, archive),
        findSeen(client, archive, entries),
      ]);
      const month = monthAfter(head?.month ?? 0);
      if (head === undefined || !months.has(month)) {
        await client.query('ROLLBACK');
        return undefined;
      }
      const known = await lookUp(client, archive, { entries, seen }, epochs);
      const plan = planAppend(entries, known, { size: head.size, nextNo: head.next_no });
      if (plan.records.length === 0) {
        await confirmKnown(client, archive, plan.results);
        return plan.results;
      }
      await writePlan(client, archive, plan, {
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

  return async (client: Client, entries: readonly PreparedEntry[]): Promise<readonly AppendResult[]> => {
    for (let tries = 0; tries < MONTH_TRIES_MAX; tries += 1) {
      const results = await appendOnce(client, entries);
      if (results !== undefined) return results;
      await prepare(client);
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

async function lockHead(client: Client, archive: string): Promise<HeadRow | undefined> {
  const { rows } = await client.query<HeadRow>({
    name: 'lock-head',
    text: 'SELECT size, next_no, month, epoch FROM log_head WHERE archive = $1 FOR UPDATE',
    values: [archive],
  });
  return rows[0];
}

type SeenColumns = { key: string; no: number; seq: number | null };

async function findSeen(client: Client, archive: string, entries: readonly PreparedEntry[]): Promise<SeenColumns[]> {
  const keys = new Set<string>();
  for (const { fault, id, event } of entries) {
    if (fault !== undefined) continue;
    keys.add(id);
    if (event !== undefined) keys.add(event);
  }
  const { rows } = await client.query<SeenColumns>({
    name: 'find-seen',
    text: 'SELECT key, no, seq FROM seen WHERE archive = $1 AND key = ANY($2::uuid[])',
    values: [archive, arrayText([...keys])],
  });
  return rows;
}

type MessageColumns = {
  no: number;
  last_seq: number;
  last_record: string;
  secret: Buffer | null;
  epoch: number | null;
  closed: boolean | null;
};

/** Everything that is known of what a batch concerns. Under the lock of the head nobody changes it. */
async function lookUp(
  client: Client,
  archive: string,
  { entries, seen }: { readonly entries: readonly PreparedEntry[]; readonly seen: readonly SeenColumns[] },
  epochs: Epochs,
): Promise<Known> {
  const known: Known = { seen: new Map(), messages: new Map(), jobs: new Set() };
  for (const { key, no, seq } of seen) known.seen.set(uuidOf(bytesOfUuid(key)), { no, seq });
  const numbers = arrayText([...new Set(seen.map(({ no }) => no))]);
  if (seen.length === 0) return known;
  const asksForJobs = entries.some(({ entry }) => entry.jobs?.some((job) => job.onlyWithoutContent === true) === true);
  const [messages, jobs] = await Promise.all([
    client.query<MessageColumns>({
      name: 'find-messages',
      text: `SELECT m.no, m.last_seq, m.last_record, k.secret, k.epoch, k.closed FROM message m LEFT JOIN message_key k ON k.archive = m.archive AND k.no = m.no
        WHERE m.archive = $1 AND m.no = ANY($2::bigint[])`,
      values: [archive, numbers],
    }),
    asksForJobs
      ? client.query<{ no: number; kind: string }>({
          name: 'find-jobs',
          text: 'SELECT no, kind FROM job WHERE archive = $1 AND no = ANY($2::bigint[])',
          values: [archive, numbers],
        })
      : undefined,
  ]);
  for (const { no, last_seq, last_record, secret, epoch, closed } of messages.rows)
    known.messages.set(no, {
      lastSeq: last_seq,
      lastRecord: uuidOf(bytesOfUuid(last_record)),
      secret: secret === null ? undefined : unwrapSecret(epochs.get(epoch ?? 0), secret),
      closed: closed !== false,
    });
  for (const { no, kind } of jobs?.rows ?? []) known.jobs.add(`${no} ${kind}`);
  return known;
}
