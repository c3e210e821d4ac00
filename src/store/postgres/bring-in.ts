/**
 * An archive on its way into PostgreSQL, out of the copies of a backup or out of another engine's database. A run that was cut off is finished by the next, also where the archive went
 * on in between. The head of the log is written last, once everything was counted; until then there is no archive here.
 */
import type { Client } from 'pg';

import { leafTimeOf } from '../../ledger/leaf.ts';
import { CartularyError } from '../../model/errors.ts';
import { openCopy } from '../sqlite/copy-rows.ts';
import type { CopyReader, CopyRows } from '../sqlite/copy-rows.ts';
import { keepConnected, uuidOf } from './connection.ts';
import type { PostgresLocation } from './connection.ts';
import { openEpochs } from './epochs.ts';
import type { EpochKey } from './secret-wrap.ts';
import { wrapSecret } from './secret-wrap.ts';
import { ensureMonth, migrate, monthNumber } from './schema.ts';
import { inTransaction } from './transaction.ts';
import { writeRecords } from './write-records.ts';

/** What goes in. */
type BringIn = { readonly copy: CopyReader; readonly epoch: EpochKey; readonly nowMs: number };

/** `moveStore` of engine.ts. Its statements fit every schema from the first one on, since `scratch.ts` brings a copy into tables as an older program has them. @param makeTables makes them where they are not there */
export async function bringIn(
  to: PostgresLocation,
  from: { readonly path: string; readonly key: Uint8Array },
  onProgress: (done: number, total: number) => void,
  makeTables: (client: Client) => Promise<unknown> = (client) => migrate(client),
): Promise<void> {
  const copy = openCopy(from.path, undefined, from.key);
  const connection = keepConnected(to);
  try {
    const epoch = openEpochs(to).newest();
    await connection.use(makeTables);
    await connection.use((client) =>
      bringAll(client, uuidOf(to.archiveId), { copy, epoch, nowMs: Date.now() }, onProgress),
    );
  } finally {
    await connection.close();
    copy.close();
  }
}

async function bringAll(
  client: Client,
  archive: string,
  input: BringIn,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const head = await client.query('SELECT 1 FROM log_head WHERE archive = $1', [archive]);
  if (head.rowCount !== 0)
    throw new CartularyError('conflict', 'the database holds this archive already; give another database');
  const month = await bringRecords(client, archive, input, onProgress);
  const target = { client, archive };
  await bringTable(target, 'message', INTO.message, input);
  await bringTable(target, 'seen', INTO.seen, input);
  await bringTable(target, 'state', INTO.state, input);
  await bringTable(target, 'setting', INTO.setting, input);
  await bringTable(target, 'key', INTO.key, input);
  await bringTable(target, 'pin', INTO.pin, input);
  await inTransaction(client, async () => {
    await writeJobs(client, archive, input.copy);
    await client.query(
      `INSERT INTO log_head (archive, size, next_no, month, epoch)
       VALUES ($1, $2, (SELECT coalesce(max(no), 0) + 1 FROM message WHERE archive = $1), $3, $4)`,
      [archive, input.copy.size(), month, input.epoch.epoch],
    );
  });
}

/** Records, with the months by which they are partitioned: those of their leaves, never back. @returns the last month */
async function bringRecords(
  client: Client,
  archive: string,
  { copy, nowMs }: BringIn,
  onProgress: (done: number, total: number) => void,
): Promise<number> {
  const months = await client.query<{ month: number }>('SELECT max(month) AS month FROM log_month WHERE archive = $1', [
    archive,
  ]);
  const there = await client.query<{ seq: number | null }>('SELECT max(seq) AS seq FROM record WHERE archive = $1', [
    archive,
  ]);
  const now = monthNumber(nowMs);
  let month = months.rows[0]?.month ?? 0;
  let next = (there.rows[0]?.seq ?? -1) + 1;
  const total = copy.size();
  for (const chunk of copy.read('record')) {
    const rows = chunk.filter(({ seq }) => seq >= next);
    for (const part of splitByMonth(rows, month, now)) {
      if (part.month !== month) await ensureMonth(client, part.month);
      await inTransaction(client, async () => {
        if (part.month !== month)
          await client.query('INSERT INTO log_month (archive, month, from_seq) VALUES ($1, $2, $3)', [
            archive,
            part.month,
            next,
          ]);
        await writeRecords(client, archive, part.rows, next, part.month);
      });
      month = part.month;
      next += part.rows.length;
    }
    onProgress(next, total);
  }
  return month;
}

/** Pieces of which each goes into one month. */
function splitByMonth(
  rows: readonly CopyRows['record'][],
  current: number,
  now: number,
): { month: number; rows: CopyRows['record'][] }[] {
  const parts: { month: number; rows: CopyRows['record'][] }[] = [];
  let month = current;
  for (const row of rows) {
    const last = parts.at(-1);
    month = Math.max(month, Math.min(monthNumber(leafTimeOf(row.leaf)), now));
    if (last?.month === month) last.rows.push(row);
    else parts.push({ month, rows: [row] });
  }
  return parts;
}

type KeyedTable = 'message' | 'seen' | 'state' | 'setting' | 'key' | 'pin';

/** How rows of a table go in: their values as columns, each an array. What is there from a run that was cut off becomes as it is now: the archive may have gone on in between. */
type Into<Row> = { readonly sql: string; readonly values: (row: Row, epoch: EpochKey) => readonly unknown[] };

const INTO: { readonly [Table in KeyedTable]: Into<CopyRows[Table]> } = {
  message: {
    // The id of its last record stands in that record's leaf, from byte 19 on.
    sql: `INSERT INTO message (archive, no, id, last_seq, last_record)
      SELECT $1, u.no, u.id, u.seq, encode(substring(r.leaf FROM 20 FOR 16), 'hex')::uuid FROM unnest($2::bigint[], $3::uuid[], $4::bigint[]) AS u(no, id, seq)
      JOIN record r ON r.archive = $1 AND r.seq = u.seq
      ON CONFLICT (archive, no) DO UPDATE SET last_seq = excluded.last_seq, last_record = excluded.last_record`,
    values: ({ no, id, lastSeq }) => [no, uuidOf(id), lastSeq],
  },
  seen: {
    sql: 'INSERT INTO seen (archive, key, no, seq) SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) ON CONFLICT (archive, key) DO UPDATE SET seq = excluded.seq',
    values: ({ key, no, seq }) => [uuidOf(key), no, seq],
  },
  state: {
    sql: 'INSERT INTO state (archive, no, version, sealed) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) ON CONFLICT (archive, no) DO UPDATE SET version = excluded.version, sealed = excluded.sealed',
    values: ({ no, version, sealed }) => [no, version, sealed],
  },
  setting: {
    sql: 'INSERT INTO setting (archive, name, value) SELECT $1, * FROM unnest($2::text[], $3::bytea[]) ON CONFLICT (archive, name) DO UPDATE SET value = excluded.value',
    values: ({ name, value }) => [name, value],
  },
  key: {
    sql: 'INSERT INTO message_key (archive, no, secret, closed, epoch) SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::boolean[], $5::int[]) ON CONFLICT (archive, no) DO UPDATE SET closed = excluded.closed',
    values: ({ no, secret, closed }, epoch) => [no, wrapSecret(epoch, secret), closed, epoch.epoch],
  },
  pin: {
    sql: 'INSERT INTO pin (archive, no, hold) SELECT $1, * FROM unnest($2::bigint[], $3::text[]) ON CONFLICT DO NOTHING',
    values: ({ no, hold }) => [no, hold],
  },
};

const TABLE_NAMES: Partial<Record<KeyedTable, string>> = { key: 'message_key' };

/** Brings in the rows of a table, and counts them here and there. @throws CartularyError `corrupt` where the counts differ */
async function bringTable<Table extends KeyedTable>(
  { client, archive }: { readonly client: Client; readonly archive: string },
  table: Table,
  { sql, values }: Into<CopyRows[Table]>,
  { copy, epoch }: BringIn,
): Promise<void> {
  let count = 0;
  for (const chunk of copy.read(table)) {
    const rows = chunk.map((row) => values(row, epoch));
    count += rows.length;
    const columns = rows[0]?.map((_value, at) => rows.map((row) => row[at])) ?? [];
    await client.query({ name: `bring-${table}`, text: sql, values: [archive, ...columns] });
  }
  const name = TABLE_NAMES[table] ?? table;
  const here = await client.query<{ count: number }>(`SELECT count(*) AS count FROM ${name} WHERE archive = $1`, [
    archive,
  ]);
  if (here.rows[0]?.count !== count)
    throw new CartularyError(
      'corrupt',
      `${count} rows of ${name} were brought in, and ${here.rows[0]?.count} are there; begin again in another database`,
    );
}

/** Jobs have numbers of their own here, so they go in with the head, or not at all. */
async function writeJobs(client: Client, archive: string, copy: CopyReader): Promise<void> {
  for (const jobs of copy.read('job'))
    for (const { kind, no, seq, dueAtMs, lossAtMs, attempts, payload } of jobs)
      await client.query({
        name: 'bring-job',
        text: 'INSERT INTO job (archive, kind, no, seq, due_at, loss_at, attempts, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
        values: [archive, kind, no, seq, dueAtMs, lossAtMs, attempts, payload],
      });
}
