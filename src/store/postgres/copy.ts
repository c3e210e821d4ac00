/** An archive on its way out of PostgreSQL into the copies of a backup. */
import type { Client } from 'pg';

import { createCopy } from '../sqlite/copy-rows.ts';
import type { CopyRows, CopyTable } from '../sqlite/copy-rows.ts';
import { BESIDE_SETTINGS } from '../store.ts';
import { uuidOf } from './connection.ts';
import type { PostgresLocation } from './connection.ts';
import type { Epochs } from './epochs.ts';
import { unwrapSecret } from './secret-wrap.ts';

/** Rows that cross at a time. */
const FETCH_ROWS = 2000;

const SELECTS: { readonly [Table in CopyTable]: string } = {
  message: 'SELECT no, uuid_send(id) AS id, last_seq AS "lastSeq" FROM message WHERE archive = $1 ORDER BY no',
  record: 'SELECT seq, no, prev_seq AS "previousSeq", leaf, sealed FROM record WHERE archive = $1 ORDER BY month, seq',
  seen: 'SELECT uuid_send(key) AS key, no, seq FROM seen WHERE archive = $1',
  state: 'SELECT no, version, sealed FROM state WHERE archive = $1 ORDER BY no',
  job: 'SELECT kind, no, seq, due_at AS "dueAtMs", loss_at AS "lossAtMs", attempts, payload FROM job WHERE archive = $1 ORDER BY id',
  setting: `SELECT name, value FROM setting WHERE archive = $1 AND NOT starts_with(name, '${BESIDE_SETTINGS}') ORDER BY name`,
  key: 'SELECT no, secret, epoch, closed FROM message_key WHERE archive = $1 ORDER BY no',
  pin: 'SELECT no, hold FROM pin WHERE archive = $1 ORDER BY no, hold',
};

/**
 * Writes the copies of a backup (`copyTo` of store.ts) while others append: content as of one moment, then keys as of another, so that the copy lacks no key of a record it has,
 * but for those destroyed meanwhile.
 * @returns the size of the log in the copy
 */
export async function writeCopies(
  client: Client,
  location: PostgresLocation,
  epochs: Epochs,
  paths: { readonly contentPath: string; readonly keysPath: string },
): Promise<number> {
  const archive = uuidOf(location.archiveId);
  const copy = createCopy(paths.contentPath, paths.keysPath, location.key);
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { rows } = await client.query<{ size: number }>('SELECT size FROM log_head WHERE archive = $1', [archive]);
  for (const table of ['message', 'record', 'seen', 'state', 'job', 'setting'] as const)
    await fetchAll(client, archive, table, (found) => copy.add(table, found as CopyRows[typeof table][]));
  await client.query('COMMIT');
  await client.query('BEGIN READ ONLY');
  await fetchAll(client, archive, 'pin', (found) => copy.add('pin', found as CopyRows['pin'][]));
  await fetchAll(client, archive, 'key', (found) =>
    copy.add(
      'key',
      (found as WrappedKey[]).map(({ no, secret, epoch, closed }) => ({
        no,
        secret: unwrapSecret(epochs.get(epoch), secret),
        closed,
      })),
    ),
  );
  await client.query('COMMIT');
  copy.finish();
  return rows[0]?.size ?? 0;
}

type WrappedKey = { readonly no: number; readonly secret: Buffer; readonly epoch: number; readonly closed: boolean };

/** All rows of a table, some at a time, as they stand in the database. */
async function fetchAll(
  client: Client,
  archive: string,
  table: CopyTable,
  take: (rows: readonly unknown[]) => void,
): Promise<void> {
  // A cursor takes no parameters; the archive's id is hexadecimal digits that we made.
  await client.query(`DECLARE rows_of_${table} NO SCROLL CURSOR FOR ${SELECTS[table].replace('$1', `'${archive}'`)}`);
  for (;;) {
    const { rows } = await client.query(`FETCH ${FETCH_ROWS} FROM rows_of_${table}`);
    if (rows.length === 0) break;
    take(rows);
  }
  await client.query(`CLOSE rows_of_${table}`);
}
