/**
 * Capture over HTTP by one, two and three nodes of an archive in PostgreSQL: what more nodes bring, what each text costs the nodes and the database, and for how much of the time the
 * log's head was locked, which all nodes share. On one machine more nodes bring no more processors; what they cost says how far more machines would reach.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';

import { runJson, serve } from '../../test/support/cli.ts';
import type { Served } from '../../test/support/cli.ts';
import { readTimes } from '../../test/durability/process-figures.ts';
import type { ProcessTimes } from '../../test/durability/process-figures.ts';
import { openArchiveDatabase, startPostgres } from '../baselines/postgres-server.ts';
import type { PostgresServer } from '../baselines/postgres-server.ts';
import { median } from '../figure.ts';
import { load } from '../http-load.ts';
import type { LoadResult } from '../http-load.ts';
import { AUTH_TOKEN } from '../place.ts';
import type { BenchRun } from '../run.ts';

const NODES_MAX = 3;
const REQUESTS_MAX = 20_000;
const CONNECTIONS = 96;
const SAMPLE_MS = 20;

type Taken = {
  readonly perSecond: number;
  /** Microseconds of processor time a text. */
  readonly nodeMicros: number;
  readonly databaseMicros: number;
  /** Share of the time in which a transaction that appends was open. */
  readonly locked: number;
};

/** Measures it on a server of its own. */
export async function measureNodes(run: BenchRun): Promise<void> {
  const directory = join(run.scratch, 'nodes');
  mkdirSync(directory);
  const server = await startPostgres(directory);
  if (server === undefined) return run.miss('nodes: PostgreSQL is not installed');
  try {
    await measureOn(run, directory, server);
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureOn(run: BenchRun, directory: string, server: PostgresServer): Promise<void> {
  const database = await openArchiveDatabase(server.url);
  const env = { CARTULARY_DATABASE: database, CARTULARY_SHARED: join(directory, 'shared') };
  const dataOf = (at: number): string => join(directory, `node-${at}`);
  await runJson(['init', '--name', 'Bench', '--data', dataOf(1)], env);
  const source = ['source', 'add', 'twilio', '--name', 'bench', '--secret', AUTH_TOKEN, '--data', dataOf(1)];
  const path = new URL((await runJson<{ hookUrl: string }>(source, env)).hookUrl).pathname;
  const requests = Math.min(REQUESTS_MAX, run.options.messages);
  let alone: number | undefined;
  for (let count = 1; count <= NODES_MAX; count += 1) {
    const nodes: Served[] = [];
    const taken: Taken[] = [];
    try {
      for (let at = 1; at <= count; at += 1) nodes.push(await serve(dataOf(at), { env }));
      // The first is the warm-up.
      for (let round = 0; round <= run.options.runs; round += 1) {
        const seed = run.options.seed + 10_000 * count + 100 * round;
        const one = await takeOnce(nodes, server, { path, requests, seed });
        if (round > 0) taken.push(one);
      }
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
    alone = note(run, count, taken, alone);
  }
}

/** One load on all nodes at once, each with its share of the texts and of the connections. */
async function takeOnce(
  nodes: readonly Served[],
  server: PostgresServer,
  { path, requests, seed }: { readonly path: string; readonly requests: number; readonly seed: number },
): Promise<Taken> {
  const plan = { requests: Math.ceil(requests / nodes.length), connections: Math.ceil(CONNECTIONS / nodes.length) };
  const pids = nodes.map((node) => node.process.pid ?? 0);
  const before = { nodes: processorTime(pids), database: databaseTime(server) };
  const watching = watchLock(Object.assign(new URL(server.url), { pathname: '/archive' }).href);
  const results = await Promise.all(
    nodes.map(({ url }, at) =>
      load({ ...plan, url: `${url}${path}`, signUrl: `${url}${path}`, token: AUTH_TOKEN, seed: seed + at }),
    ),
  );
  const locked = await watching.stop();
  const failed = sumOf(results, (result) => result.failed);
  if (failed > 0) throw new Error(`${failed} requests were not acknowledged`);
  const sent = plan.requests * nodes.length;
  const microsSince = (seconds: number, then: number): number => ((seconds - then) / sent) * 1e6;
  return {
    perSecond: sumOf(results, (result) => result.perSecond),
    nodeMicros: microsSince(processorTime(pids), before.nodes),
    databaseMicros: microsSince(databaseTime(server), before.database),
    locked,
  };
}

const sumOf = (results: readonly LoadResult[], of: (result: LoadResult) => number): number =>
  results.reduce((sum, result) => sum + of(result), 0);

/** Seconds of processor time that processes have had. */
function processorTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readTimes(pid).cpuSeconds, 0);
}

/** The same of a database server: of its first process, of those that it has now, and of those that have ended. */
function databaseTime({ pid }: PostgresServer): number {
  if (pid === undefined) return Number.NaN;
  const own = readTimes(pid);
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => timesIfThere(Number(name)))
    .filter((times) => times?.parent === pid);
  return children.reduce((sum, times) => sum + (times?.cpuSeconds ?? 0), own.cpuSeconds + own.endedSeconds);
}

/** Undefined where the process has ended since it was listed. */
function timesIfThere(pid: number): ProcessTimes | undefined {
  try {
    return readTimes(pid);
  } catch {
    return undefined;
  }
}

/** Looks now and then whether an appending transaction is open; it locks the head of the log from beginning to end. */
function watchLock(url: string): { stop(): Promise<number> } {
  const stopping = new AbortController();
  const looking = (async (): Promise<number> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    let samples = 0;
    let held = 0;
    while (!stopping.signal.aborted) {
      const { rows } = await client.query<{ held: boolean }>(
        `SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
           WHERE c.relname = 'log_head' AND l.mode IN ('RowShareLock', 'RowExclusiveLock') AND l.granted) AS held`,
      );
      samples += 1;
      if (rows[0]?.held === true) held += 1;
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
    await client.end();
    return held / samples;
  })();
  return {
    stop() {
      stopping.abort();
      return looking;
    },
  };
}

/** @returns messages a second of one node */
function note(run: BenchRun, count: number, taken: readonly Taken[], alone: number | undefined): number {
  const whose = count === 1 ? 'one node' : `${count} nodes`;
  const rates = taken.map(({ perSecond }) => perSecond);
  const baseline = alone === undefined ? {} : { baseline: { what: 'one node', value: alone } };
  run.note({
    ...{ id: `nodes.${count}.rate`, what: `capture over HTTP, ${whose}`, unit: 'messages/s', better: 'more' },
    ...baseline,
    value: rates,
  });
  const costs = [
    ['nodes', (one: Taken) => one.nodeMicros],
    ['database', (one: Taken) => one.databaseMicros],
  ] as const;
  for (const [who, of] of costs)
    run.note({
      ...{ id: `nodes.${count}.${who}`, what: `processor time of the ${who}, ${whose}` },
      ...{ unit: 'µs/message', better: 'less', value: taken.map(of) },
    });
  run.note({
    ...{ id: `nodes.${count}.locked`, what: `time in which the head of the log was locked, ${whose}` },
    ...{ unit: '× of the time', better: 'less', value: taken.map(({ locked }) => locked) },
  });
  return alone ?? median(rates);
}
