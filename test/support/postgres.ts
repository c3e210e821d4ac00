/** A real PostgreSQL for tests: the one that `CARTULARY_TEST_DATABASE` names, or a server of its own where the programs are. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client } from 'pg';

import { findPrograms, startPostgres, untilReady } from '../../bench/baselines/postgres-server.ts';

export type TestServer = {
  /** A database of its own. */
  readonly url: string;
  newDatabase(): Promise<string>;
  /** Ends all connections to a database, as a failover or an administrator does. */
  cutConnections(url: string): Promise<void>;
  /** Copies a database as it is now, as a replica that gets nothing more. @returns what puts the copy in its place, as a failover to it does */
  makeReplica(url: string): Promise<() => Promise<void>>;
  /** All rows of all tables as text, as somebody sees them who has the disk. */
  dump(): Promise<string[]>;
  /** Kills the server and starts it again; undefined where it is not ours. */
  restart: (() => Promise<void>) | undefined;
  stop(): Promise<void>;
};

/** Why there is none; undefined where there is. */
export function whyNoServer(): string | undefined {
  return process.env['CARTULARY_TEST_DATABASE'] === undefined && findPrograms() === undefined
    ? 'PostgreSQL is not installed, and CARTULARY_TEST_DATABASE is not set'
    : undefined;
}

/** Starts it. */
export async function startTestServer(): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'cartulary-postgres-'));
  const given = process.env['CARTULARY_TEST_DATABASE'];
  const server = given === undefined ? await startPostgres(directory) : undefined;
  const base = given ?? server?.url ?? '';
  await untilReady(() => withClient(base, () => Promise.resolve()));
  const newDatabase = async (): Promise<string> => {
    const name = `cartulary_test_${randomBytes(6).toString('hex')}`;
    const owner = `${name}_owner`;
    await withClient(base, async (client) => {
      // Not the superuser, to whom row-level security does not apply.
      await client.query(`CREATE ROLE ${owner} LOGIN PASSWORD 'test'`);
      await client.query(`CREATE DATABASE ${name} OWNER ${owner}`);
    });
    const url = new URL(base);
    url.pathname = `/${name}`;
    url.username = owner;
    url.password = 'test';
    return url.href;
  };
  const first = await newDatabase();
  return {
    url: first,
    newDatabase,
    cutConnections: (url) =>
      withClient(base, (client) =>
        client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
          new URL(url).pathname.slice(1),
        ]),
      ),
    async makeReplica(url) {
      const name = new URL(url).pathname.slice(1);
      const alone = (act: (client: Client) => Promise<unknown>): Promise<void> =>
        withClient(base, async (client) => {
          // Whoever reconnects at once would stand in the way.
          await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
          await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
          await client.query('SELECT pg_sleep(0.2)');
          await act(client);
          await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
        });
      const owner = new URL(url).username;
      await alone((client) => client.query(`CREATE DATABASE ${name}_replica TEMPLATE ${name} OWNER ${owner}`));
      return () =>
        alone(async (client) => {
          await client.query(`ALTER DATABASE ${name} RENAME TO ${name}_former`);
          await client.query(`ALTER DATABASE ${name}_replica RENAME TO ${name}`);
        });
    },
    async dump() {
      const rows: string[] = [];
      const url = new URL(base);
      url.pathname = new URL(first).pathname;
      await withClient(url.href, async (client) => {
        const tables = await client.query<{ name: string }>(
          "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'cartulary'",
        );
        for (const { name } of tables.rows) {
          const found = await client.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`);
          rows.push(...found.rows.map(({ text }) => text));
        }
      });
      return rows;
    },
    restart:
      server?.restart === undefined
        ? undefined
        : async () => {
            await server.restart?.();
            await untilReady(() => withClient(base, () => Promise.resolve()));
          },
    async stop() {
      await server?.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function withClient(url: string, act: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await act(client);
  } finally {
    await client.end();
  }
}
