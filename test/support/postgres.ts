/** A real PostgreSQL for tests: the one that `CARTULARY_TEST_DATABASE` names, or a server of its own where the programs are. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client } from 'pg';

import { findPrograms, startPostgres, untilReady } from '../../bench/baselines/postgres-server.ts';
import type { PostgresMachine, PostgresOptions, PostgresServer } from '../../bench/baselines/postgres-server.ts';

export type TestServer = {
  /** A database of its own. */
  readonly url: string;
  newDatabase(): Promise<string>;
  /** Ends all connections to a database, as a failover or an administrator does. */
  cutConnections(url: string): Promise<void>;
  /** Copies a database as it is now, as a replica that gets nothing more. @returns what puts the copy in its place, as a failover to it does */
  makeReplica(url: string): Promise<() => Promise<void>>;
  /** Runs a statement with all rights; answers how many rows it gave. */
  asAdministrator(statement: string): Promise<number>;
  /** All rows of all tables as text, as somebody sees them who has the disk. */
  dump(): Promise<string[]>;
  /** Kills the server and starts it again; undefined where it is not ours. */
  restart: (() => Promise<void>) | undefined;
  /** What else can be done to it; undefined where it is not ours. */
  readonly machine: TestMachine | undefined;
  /** Stops it, and its standbys. */
  stop(): Promise<void>;
};

/** A server as the machine that it runs on. */
export type TestMachine = {
  /** Kills it, as a crash does, until it is started again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Kills it for good, with its data. */
  discard(): Promise<void>;
  /** A hot standby that streams from it, and is ready. @param name by which `synchronous_standby_names` calls it */
  makeStandby(name: string): Promise<TestServer>;
  /** Commits wait for the standby with this name from now on, or for none. */
  waitFor(name: string | undefined): Promise<void>;
  /** Makes it the primary. */
  promote(): Promise<void>;
};

/** Why there is none; undefined where there is. */
export function whyNoServer(): string | undefined {
  return process.env['CARTULARY_TEST_DATABASE'] === undefined && findPrograms() === undefined
    ? 'PostgreSQL is not installed, and CARTULARY_TEST_DATABASE is not set'
    : undefined;
}

/** Why there is none that a standby can be made of; undefined where there is. */
export function whyNoStandby(): string | undefined {
  return process.env['CARTULARY_TEST_DATABASE'] === undefined
    ? whyNoServer()
    : 'the server that CARTULARY_TEST_DATABASE names is not ours to be killed';
}

/** Starts it. @param options for one of ours */
export async function startTestServer(options: PostgresOptions = {}): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'cartulary-postgres-'));
  const given = process.env['CARTULARY_TEST_DATABASE'];
  const server = given === undefined ? await startPostgres(directory, options) : undefined;
  const base = given ?? server?.url ?? '';
  await untilReady(() => withClient(base, () => Promise.resolve()));
  const made = testServerOf({ server, base, directory, first: await newDatabaseOn(base) });
  return {
    ...made,
    async stop() {
      await made.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A database of its own, whose owner is not the superuser, to whom row-level security does not apply. */
async function newDatabaseOn(base: string): Promise<string> {
  const name = `cartulary_test_${randomBytes(6).toString('hex')}`;
  const owner = `${name}_owner`;
  await withClient(base, async (client) => {
    await client.query(`CREATE ROLE ${owner} LOGIN PASSWORD 'test'`);
    await client.query(`CREATE DATABASE ${name} OWNER ${owner}`);
  });
  const url = new URL(base);
  url.pathname = `/${name}`;
  url.username = owner;
  url.password = 'test';
  return url.href;
}

type Made = {
  readonly server: PostgresServer | undefined;
  readonly base: string;
  readonly directory: string;
  readonly first: string;
};

function testServerOf({ server, base, directory, first }: Made): TestServer {
  const standbys: TestServer[] = [];
  const isReady = (): Promise<void> => untilReady(() => withClient(base, () => Promise.resolve()));
  const ask = (statement: string): Promise<number> => countRows(base, statement);
  const machine = server?.machine;
  return {
    url: first,
    newDatabase: () => newDatabaseOn(base),
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
    asAdministrator: ask,
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
      machine === undefined
        ? undefined
        : async () => {
            await machine.kill();
            machine.start();
            await isReady();
          },
    machine: machine === undefined ? undefined : testMachineOf(machine, { base, directory, first, standbys, isReady }),
    async stop() {
      for (const standby of standbys) await standby.stop();
      await server?.stop();
    },
  };
}

type MadeMachine = Omit<Made, 'server'> & { readonly standbys: TestServer[]; readonly isReady: () => Promise<void> };

function testMachineOf(
  machine: PostgresMachine,
  { base, directory, first, standbys, isReady }: MadeMachine,
): TestMachine {
  const ask = (statement: string): Promise<number> => countRows(base, statement);
  return {
    kill: () => machine.kill(),
    discard: () => machine.discard(),
    async start() {
      machine.start();
      await isReady();
    },
    async makeStandby(name) {
      const path = await mkdtemp(join(directory, 'standby-'));
      await chmod(path, 0o711);
      const made = await machine.makeStandby(join(path, 'server'), name);
      const url = new URL(first);
      url.port = new URL(made.url).port;
      const standby = testServerOf({ server: made, base: made.url, directory: path, first: url.href });
      standbys.push(standby);
      await untilReady(async () => {
        await countRows(made.url, 'SELECT 1');
        const streaming = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'";
        if ((await ask(`${streaming} AND application_name = '${name}'`)) === 0) throw new Error('no stream');
      });
      return standby;
    },
    async waitFor(name) {
      await ask(`ALTER SYSTEM SET synchronous_standby_names = '${name ?? ''}'`);
      await ask('SELECT pg_reload_conf()');
    },
    promote: async () => void (await ask('SELECT pg_promote()')),
  };
}

async function countRows(url: string, statement: string): Promise<number> {
  let rows = 0;
  await withClient(url, async (client) => {
    rows = (await client.query(statement)).rowCount ?? 0;
  });
  return rows;
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
