/**
 * The schema of all archives of one PostgreSQL database, as numbered migrations, forward only, under an advisory lock: of several nodes that start at once one migrates. A node
 * refuses a database whose newest migration is marked breaking and unknown to it.
 *
 * Archive id leads every key, so that tables can be distributed by it; row-level security shows a connection one archive, whatever a statement forgot. Records are partitioned by
 * the month in which they were added; what finds duplicates is not, since a duplicate may come in any month. Nothing here but ciphertext, keyed ids, times and numbers.
 */
import type { Client, QueryConfig } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import type { SchemaStep } from '../schema-update.ts';
import { MIGRATIONS } from './migrations.ts';
import { inTransaction } from './transaction.ts';

/** The schema that all tables live in. */
export const SCHEMA = 'cartulary';

/** The newest schema this program knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Any number that nobody else locks on. */
const MIGRATION_LOCK = 7_232_627_331;

/** Milliseconds that one change may take: a table is written anew at the speed of the disk. */
const CHANGE_MS_MAX = 12 * 3_600_000;

/** Which changes are made where. */
export type MigrateOptions = {
  /** Name of the schema; the usual one where nothing is said. */
  readonly schema?: string;
  /** The last change that is made; all where nothing is said. */
  readonly upTo?: number;
};

/**
 * Brings the database to the newest schema, in one transaction.
 * @throws CartularyError `data-newer` where it was written by a newer program whose change is breaking
 */
export function migrate(client: Client, options: MigrateOptions = {}): Promise<SchemaStep> {
  return inTransaction(client, () => migrateWithin(client, options));
}

/** The same within a transaction of the caller's. */
export async function migrateWithin(
  client: Client,
  { schema = SCHEMA, upTo = SCHEMA_VERSION }: MigrateOptions,
): Promise<SchemaStep> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await client.query(
    'CREATE TABLE IF NOT EXISTS migration (version integer PRIMARY KEY, breaking boolean NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const known = await listMade(client);
  const missing = MIGRATIONS.filter(({ version }) => version <= upTo && !known.includes(version));
  const forGood = known.length === 0 ? undefined : missing.findLast(({ breaking }) => breaking);
  if (forGood !== undefined && schema === SCHEMA) await assertNoneOlder(client, forGood.version);
  for (const { version, breaking, sql } of missing) {
    await client.query({ text: sql, query_timeout: CHANGE_MS_MAX } as QueryConfig);
    await client.query('INSERT INTO migration (version, breaking) VALUES ($1, $2)', [version, breaking]);
  }
  const from = Math.max(0, ...known);
  return { from, to: Math.max(from, upTo), breaking: missing.some(({ breaking }) => breaking) };
}

/** What a connection is called, so that it is seen which version of the tables its program knows. */
export const APPLICATION_NAME = `cartulary/${SCHEMA_VERSION}`;

/**
 * Programs that know an older schema go on beside a change that is not breaking; under one that is they would go wrong.
 * @throws CartularyError `data-held` where one is connected
 */
async function assertNoneOlder(client: Client, version: number): Promise<void> {
  const { rowCount } = await client.query(
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'cartulary%'
      AND coalesce(substring(application_name FROM '^cartulary/([0-9]+)$')::int, 0) < $1 LIMIT 1`,
    [version],
  );
  if (rowCount !== 0)
    throw new CartularyError(
      'data-held',
      'nodes of an older version are running, which cannot go on with what this one changes for good: stop all of them first',
    );
}

/** Refuses tables that a newer program has changed for good, also while this one was connected. @throws CartularyError `data-newer` */
export async function assertNotNewer(client: Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('migration') IS NOT NULL AS there");
  if (rows[0]?.there === true) await listMade(client);
}

/** The changes that were made to the tables of a connection. @throws CartularyError `data-newer` where one of them is breaking and not known here */
export async function listMade(client: Client): Promise<number[]> {
  const { rows } = await client.query<{ version: number; breaking: boolean }>(
    'SELECT version, breaking FROM migration',
  );
  const newer = rows.find(({ version, breaking }) => version > SCHEMA_VERSION && breaking);
  if (newer !== undefined)
    throw new CartularyError(
      'data-newer',
      `the data were written by a newer version (schema ${newer.version}, this program knows ${SCHEMA_VERSION})`,
    );
  return rows.map(({ version }) => version);
}

/** The month of a time, as partitions are named by it: 202611. */
export function monthNumber(ms: number): number {
  const date = new Date(ms);
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
}

/** Makes the partition of a month where it is not there. In a transaction of its own, so that no append waits for one that is refused. */
export function ensureMonth(client: Client, month: number): Promise<void> {
  const next = month % 100 === 12 ? month + 89 : month + 1;
  return inTransaction(client, async () => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(
      `CREATE TABLE IF NOT EXISTS record_${month} PARTITION OF record FOR VALUES FROM (${month}) TO (${next});
       ALTER TABLE record_${month} ENABLE ROW LEVEL SECURITY; ALTER TABLE record_${month} FORCE ROW LEVEL SECURITY;`,
    );
  });
}
