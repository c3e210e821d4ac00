/**
 * The change of the tables is tried before it is made: a copy is brought into tables as the archive in service has them, in a schema of its own, and these are changed as a start
 * would. That schema is never an archive's, so that what is there goes, also where a trial was killed.
 */
import { DatabaseError } from 'pg';
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import type { RowCounts, SchemaUpdate } from '../schema-update.ts';
import { bringIn } from './bring-in.ts';
import { keepConnected, uuidOf } from './connection.ts';
import type { KeptConnection, PostgresLocation } from './connection.ts';
import { listMade, migrate, migrateWithin, SCHEMA_VERSION } from './schema.ts';
import { inTransaction } from './transaction.ts';

/** The schema of a trial. */
export const SCRATCH_SCHEMA = 'cartulary_check';

/** Any number that nobody else locks on. */
const SCRATCH_LOCK = 7_232_627_332;

/** What a trial is given. */
export type Trial = {
  /** Where it happens: any database in which a schema may be made. */
  readonly at: PostgresLocation;
  /** `postgres://…` of the archive in service, which is asked for its schema and nothing else. */
  readonly inService: string;
  /** The copy. */
  readonly from: { readonly path: string; readonly key: Uint8Array };
  readonly onProgress: (done: number, total: number) => void;
};

/**
 * Tries it.
 * @param act does something with the tables as they are then
 * @throws CartularyError `conflict` where another trial is under way there, `data-newer`, `database-away`
 */
export async function withTrial<Result>(
  { at, inService, from, onProgress }: Trial,
  act: (location: PostgresLocation, update: SchemaUpdate) => Promise<Result>,
): Promise<Result> {
  const version = await readVersion({ ...at, url: inService });
  // Not in the schema of the trial, which may be there from another version.
  const holding = keepConnected(at);
  try {
    await holding.use((client) => takeLock(client));
    try {
      const location = { ...at, schema: SCRATCH_SCHEMA };
      await bringIn(location, from, onProgress, (client) =>
        migrate(client, { schema: SCRATCH_SCHEMA, upTo: Math.min(version, SCHEMA_VERSION) }),
      );
      const changed = await changeTables(location).catch((cause: unknown) => refuseChange(cause));
      const result = await act(location, { ...changed, from: version, to: Math.max(version, SCHEMA_VERSION) });
      await clear(holding);
      return result;
    } catch (cause) {
      await clear(holding).catch(() => undefined);
      throw cause;
    }
  } finally {
    await holding.close();
  }
}

/** The schema of the archive in service. @throws CartularyError `data-newer`, `database-away`, `conflict` where there are no tables */
async function readVersion(place: PostgresLocation): Promise<number> {
  const connection = keepConnected(place);
  try {
    return await connection.use(async (client) => {
      const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('migration') IS NOT NULL AS there");
      if (rows[0]?.there !== true)
        throw new CartularyError('conflict', 'the database that CARTULARY_DATABASE names has no tables of an archive');
      return Math.max(0, ...(await listMade(client)));
    });
  } finally {
    await connection.close();
  }
}

/** The lock goes with the connection, however this process ends. */
async function takeLock(client: Client): Promise<void> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [SCRATCH_LOCK]);
  if (rows[0]?.locked !== true)
    throw new CartularyError('conflict', 'another check is under way in this database; wait for it, or give another');
  await client.query(`DROP SCHEMA IF EXISTS ${SCRATCH_SCHEMA} CASCADE`);
}

function clear(connection: KeptConnection): Promise<unknown> {
  return connection.use((client) => client.query(`DROP SCHEMA IF EXISTS ${SCRATCH_SCHEMA} CASCADE`));
}

/** A statement that the server refuses is what a trial is there to find. */
function refuseChange(cause: unknown): never {
  if (!(cause instanceof DatabaseError)) throw cause;
  throw new CartularyError(
    'conflict',
    `the tables cannot be changed (SQLSTATE ${cause.code ?? '?'}): stay with the version that you have`,
    { cause },
  );
}

/** Changes the tables as a start does, and measures that. */
async function changeTables(location: PostgresLocation): Promise<SchemaUpdate> {
  const connection = keepConnected(location);
  try {
    return await connection.use((client) => measureChange(client, uuidOf(location.archiveId)));
  } finally {
    await connection.close();
  }
}

async function measureChange(client: Client, archive: string): Promise<SchemaUpdate> {
  const before = await countRows(client, archive);
  const [bytes, log] = [await databaseBytes(client), await logPosition(client)];
  const begun = performance.now();
  const { step, meanwhile } = await inTransaction(client, async () => ({
    step: await migrateWithin(client, { schema: SCRATCH_SCHEMA }),
    // What was before is still there.
    meanwhile: await databaseBytes(client),
  }));
  const ms = Math.round(performance.now() - begun);
  const logBytes = (await logPosition(client)) - log;
  return {
    ...step,
    ms,
    grownBytes: (await databaseBytes(client)) - bytes,
    roomBytes: Math.max(0, meanwhile - bytes) + logBytes,
    before,
    after: await countRows(client, archive),
  };
}

const TABLES: Readonly<Record<keyof RowCounts, string>> = {
  records: 'record',
  messages: 'message',
  keys: 'message_key',
  holds: 'pin',
};

async function countRows(client: Client, archive: string): Promise<RowCounts> {
  const count = async (name: keyof RowCounts): Promise<number> => {
    const sql = `SELECT count(*) AS count FROM ${TABLES[name]} WHERE archive = $1`;
    return (await client.query<{ count: number }>(sql, [archive])).rows[0]?.count ?? 0;
  };
  return {
    records: await count('records'),
    messages: await count('messages'),
    keys: await count('keys'),
    holds: await count('holds'),
  };
}

async function databaseBytes(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>('SELECT pg_database_size(current_database()) AS bytes');
  return rows[0]?.bytes ?? 0;
}

/** Bytes that were ever written to the write-ahead log of this server. */
async function logPosition(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS bytes");
  return Number(rows[0]?.bytes ?? 0);
}
