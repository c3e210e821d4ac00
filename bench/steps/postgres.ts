/** Capture into PostgreSQL, in turns with a plain table in the same server; and searching there, in turns with the archive in SQLite. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';

import type { Service } from '../../src/api/service.ts';
import { findPrograms, openArchiveDatabase, startPostgres } from '../baselines/postgres-server.ts';
import { openPlainTable } from '../baselines/postgres-table.ts';
import type { Arrival } from '../baselines/sqlite.ts';
import { median, percentile } from '../figure.ts';
import { makeEnvelope, makePlace, openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { openShop } from '../texts/shop.ts';
import { takeAll } from './capture.ts';
import { KINDS, searchOften, settleIndex } from './search.ts';

/** Messages at most, and in a round: the two take turns, so that what else the machine does meets both. */
const MESSAGES_MAX = 200_000;
const ROUND = 20_000;

/** Measures it on a server of its own. */
export async function measurePostgres(run: BenchRun): Promise<void> {
  if (findPrograms() === undefined && process.env['CARTULARY_BENCH_POSTGRES'] === undefined)
    return run.miss('PostgreSQL: not installed');
  const directory = join(run.scratch, 'postgres-archive');
  mkdirSync(directory);
  const server = await startPostgres(directory);
  if (server === undefined) return run.miss('PostgreSQL: not installed');
  try {
    const archive = await openArchiveDatabase(server.url);
    const version = await ask(server.url, 'SHOW server_version');
    await measureOn(run, directory, { plain: server.url, archive, version });
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

type Databases = { readonly plain: string; readonly archive: string; readonly version: string };

async function measureOn(run: BenchRun, directory: string, databases: Databases): Promise<void> {
  const { seed, mix } = run.options;
  const messages = Math.min(MESSAGES_MAX, run.options.messages);
  const shop = openShop(seed + 700, messages + ROUND, mix);
  const table = await openPlainTable(databases.plain);
  const { service, source } = await makePlace(join(directory, 'place'), { seed, mix, database: databases.archive });
  const rounds: { told: number; plain: number; seconds: number; searchable: number }[] = [];
  try {
    for (let left = messages + ROUND; left > 0; left -= ROUND) {
      const arrivals = Array.from({ length: ROUND }, (): Arrival => {
        const told = shop.next();
        return { told, envelope: makeEnvelope(source.id, told) };
      });
      const plain = await table.store(arrivals);
      const { seconds, searchableSeconds } = await takeAll(
        service,
        source,
        arrivals.map(({ envelope }) => envelope),
      );
      rounds.push({ told: ROUND, plain, seconds, searchable: searchableSeconds });
    }
    // The first is the warm-up.
    note(run, rounds.slice(1), databases.version);
    await compareSearch(run, service);
  } finally {
    await service.close();
    await table.close();
  }
}

async function compareSearch(run: BenchRun, service: Service): Promise<void> {
  const local = await openPlace(run.place.data);
  try {
    for (const one of [local, service]) await settleIndex(one);
    for (const kind of KINDS) {
      const times: { local: number; postgres: number }[] = [];
      for (let round = 0; round <= run.options.runs; round += 1) {
        const [there, here] = [await searchOften(local.archive, kind), await searchOften(service.archive, kind)];
        if (round > 0) times.push({ local: percentile(there, 0.95), postgres: percentile(here, 0.95) });
      }
      run.note({
        id: `postgres.search.${kind.name}.p95`,
        what: `search, ${kind.name}, records in PostgreSQL, p95`,
        unit: 'ms',
        better: 'less',
        value: times.map(({ postgres }) => postgres),
        baseline: { what: 'records in SQLite', value: median(times.map((one) => one.local)) },
      });
    }
  } finally {
    await local.close();
  }
}

function note(
  run: BenchRun,
  rounds: readonly { told: number; plain: number; seconds: number; searchable: number }[],
  version: string,
): void {
  type Round = (typeof rounds)[number];
  const total = (of: (round: Round) => number): number => rounds.reduce((sum, round) => sum + of(round), 0);
  const rate = (of: (round: Round) => number) => ({
    value: total(({ told }) => told) / total(of),
    runs: rounds.map((round) => round.told / of(round)),
  });
  const unit = 'envelopes/s';
  const plain = rate((round) => round.plain);
  const what = `plain table, PostgreSQL ${version}`;
  run.note({ id: 'postgres.baseline', what, unit, better: 'more', ...plain });
  const baseline = { what, value: plain.value };
  for (const [id, name, of] of [
    ['postgres', 'capture in process into PostgreSQL', (round: Round) => round.seconds],
    ['postgres.searchable', 'the same until searchable', (round: Round) => round.searchable],
  ] as const) {
    run.note({ id: `${id}.rate`, what: name, unit, better: 'more', ...rate(of), baseline });
    run.note({
      id: `${id}.ratio`,
      what: name,
      unit: '× baseline',
      better: 'more',
      value: total((round) => round.plain) / total(of),
      runs: rounds.map((round) => round.plain / of(round)),
    });
  }
}

async function ask(url: string, text: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ server_version?: string }>(text);
    return rows[0]?.server_version ?? '';
  } finally {
    await client.end();
  }
}
