/** What an append has planned, on its way into the database: one statement for what nearly every batch has, and one each for what few have; sent one behind the other. */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import type { SettingChange } from '../store.ts';
import type { AppendPlan, LogHead, PreparedEntry } from './append-plan.ts';
import { clockAhead } from './clock.ts';
import { arrayText, joinBytes } from './columns.ts';
import { WRAPPED_BYTES, wrapSecret } from './secret-wrap.ts';
import type { EpochKey } from './secret-wrap.ts';
import { recordColumns, selectRecords } from './write-records.ts';

/** Where a plan is written. */
export type Writing = {
  readonly head: LogHead;
  readonly month: number;
  readonly isNewMonth: boolean;
  readonly epoch: EpochKey;
};

/** Numbers of new messages follow one another, as those of records do: only what differs from row to row crosses. */
const APPEND = `
  WITH new_message AS (
    INSERT INTO message (archive, no, id, last_seq, last_record)
      SELECT $1, $2 + u.at - 1, u.id, u.seq, u.record FROM unnest($3::uuid[], $4::bigint[], $5::uuid[]) WITH ORDINALITY AS u(id, seq, record, at)
  ), new_key AS (
    INSERT INTO message_key (archive, no, secret, epoch)
      SELECT $1, $2 + u.at, substring($6::bytea FROM u.at * ${WRAPPED_BYTES} + 1 FOR ${WRAPPED_BYTES}), $7 FROM generate_series(0, $8::int - 1) AS u(at)
  ), new_seen AS (
    INSERT INTO seen (archive, key, no, seq) SELECT $1, u.key, u.no, u.seq FROM unnest($9::uuid[], $10::bigint[], $11::bigint[]) AS u(key, no, seq)
  ), new_record AS (${selectRecords(12)})
  UPDATE log_head SET size = size + $20::int, next_no = next_no + $8::int, month = $12 WHERE archive = $1 AND size = $13`;

/** Writes a plan, except its commit. @throws CartularyError `internal` where the head of the log has moved under its lock */
export async function writePlan(client: Client, archive: string, plan: AppendPlan, writing: Writing): Promise<void> {
  const { head, month, isNewMonth, epoch } = writing;
  const { newMessages, lasts, newSeen } = plan;
  const seen = [...newSeen];
  const records = plan.records.map(({ entry, no, previousSeq }) => ({ no, previousSeq, ...entry }));
  const [{ rowCount }] = await Promise.all([
    client.query({
      name: 'append',
      text: APPEND,
      values: [
        archive,
        head.nextNo,
        arrayText(newMessages.map(({ first }) => first.id)),
        arrayText(newMessages.map(({ no }) => lasts.get(no)?.seq ?? 0)),
        arrayText(newMessages.map(({ no }) => lasts.get(no)?.record ?? '')),
        Buffer.concat(newMessages.map(({ first }) => wrappedUnder(epoch, first))),
        epoch.epoch,
        newMessages.length,
        arrayText(seen.map(([key]) => key)),
        arrayText(seen.map(([, { no }]) => no)),
        arrayText(seen.map(([, { seq }]) => seq)),
        ...recordColumns(records, head.size, month),
        records.length,
      ],
    }),
    setLasts(client, archive, plan, head),
    setContents(client, archive, plan),
    addJobs(client, archive, plan),
    ...[...plan.settings].map(([name, value]) => putSetting(client, archive, { name, value })),
    isNewMonth
      ? client.query('INSERT INTO log_month (archive, month, from_seq) VALUES ($1, $2, $3)', [
          archive,
          month,
          head.size,
        ])
      : undefined,
  ]);
  if (rowCount !== 1) throw new CartularyError('internal', 'the head of the log has moved under its lock');
}

/** The secret of a message under the key of an epoch: as it was prepared, unless another epoch has begun since. */
function wrappedUnder(epoch: EpochKey, { entry, wrapped }: PreparedEntry): Uint8Array {
  return wrapped?.epoch === epoch.epoch ? wrapped.bytes : wrapSecret(epoch, entry.secret);
}

/** Messages that were known, with what is now their last record. */
async function setLasts(client: Client, archive: string, { lasts }: AppendPlan, { nextNo }: LogHead): Promise<void> {
  const known = [...lasts].filter(([no]) => no < nextNo);
  if (known.length === 0) return;
  await client.query({
    name: 'set-last',
    text: `UPDATE message m SET last_seq = u.seq, last_record = u.record FROM unnest($2::bigint[], $3::bigint[], $4::uuid[]) AS u(no, seq, record)
      WHERE m.archive = $1 AND m.no = u.no`,
    values: [
      archive,
      arrayText(known.map(([no]) => no)),
      arrayText(known.map(([, { seq }]) => seq)),
      arrayText(known.map(([, { record }]) => record)),
    ],
  });
}

/** Messages whose content has come after a report. */
async function setContents(client: Client, archive: string, { contents }: AppendPlan): Promise<void> {
  if (contents.size === 0) return;
  await client.query({
    name: 'set-content',
    text: 'UPDATE seen s SET seq = u.seq FROM unnest($2::uuid[], $3::bigint[]) AS u(key, seq) WHERE s.archive = $1 AND s.key = u.key',
    values: [archive, arrayText([...contents.keys()]), arrayText([...contents.values()])],
  });
}

async function addJobs(client: Client, archive: string, { jobs }: AppendPlan): Promise<void> {
  if (jobs.length === 0) return;
  const { bytes, begins, ends } = joinBytes(jobs.map(({ job }) => job.payload));
  const aheadMs = await clockAhead(client);
  await client.query({
    name: 'add-jobs',
    text: `INSERT INTO job (archive, kind, no, seq, due_at, loss_at, payload)
      SELECT $1, u.kind, u.no, u.seq, u.due, u.loss, substring($2::bytea FROM u.begins + 1 FOR u.ends - u.begins)
      FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[], $9::int[])
        WITH ORDINALITY AS u(kind, no, seq, due, loss, begins, ends, at) ORDER BY u.at`,
    values: [
      archive,
      bytes,
      jobs.map(({ job }) => job.kind),
      arrayText(jobs.map(({ no }) => no)),
      arrayText(jobs.map(({ seq }) => seq)),
      arrayText(jobs.map(({ job }) => job.dueAtMs + aheadMs)),
      arrayText(jobs.map(({ job }) => (job.lossAtMs === undefined ? null : job.lossAtMs + aheadMs))),
      arrayText(begins),
      arrayText(ends),
    ],
  });
}

/** Writes or removes a setting. */
export async function putSetting(client: Client, archive: string, { name, value }: SettingChange): Promise<void> {
  if (value === undefined) await client.query('DELETE FROM setting WHERE archive = $1 AND name = $2', [archive, name]);
  else
    await client.query(
      'INSERT INTO setting (archive, name, value) VALUES ($1, $2, $3) ON CONFLICT (archive, name) DO UPDATE SET value = excluded.value',
      [archive, name, Buffer.from(value)],
    );
}
