/**
 * The long form: `npm run test:durability -- [scenario…] [--rounds N | --minutes N | --messages N] [--svg FILE] [--seed S] [--target NAME] [--json FILE] [--data DIR] [--journal DIR] [--short]`.
 * Exit codes: 0 all held, 1 something did not, 2 not understood. A scenario that cannot run here is named with the reason.
 */
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { removeGoTlog } from '../judges/go-tlog.ts';
import { journalRoot, runScenario } from './run-scenario.ts';
import type { Ran } from './run-scenario.ts';
import { SCENARIOS } from './scenarios/list.ts';
import { DEFAULT_SEED } from './seeds.ts';
import { panelsOf } from './soak-watch.ts';
import { plotOverTime } from './time-plot.ts';

type Options = {
  readonly names: readonly string[];
  readonly rounds: number | undefined;
  readonly seed: number;
  readonly target: string | undefined;
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly data: string;
  readonly journal: string;
  readonly short: boolean;
};

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      minutes: { type: 'string' },
      messages: { type: 'string' },
      svg: { type: 'string' },
      seed: { type: 'string' },
      target: { type: 'string' },
      json: { type: 'string' },
      data: { type: 'string' },
      journal: { type: 'string' },
      short: { type: 'boolean' },
    },
  });
  const unknown = positionals.find((name) => SCENARIOS.every((scenario) => scenario.name !== name));
  if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  const rounds = values.rounds ?? values.minutes ?? values.messages;
  for (const text of [rounds, values.seed])
    if (text !== undefined && !/^\d{1,9}$/.test(text)) throw new Error('--rounds and --seed are whole numbers');
  return {
    names: positionals.length === 0 ? SCENARIOS.map(({ name }) => name) : positionals,
    rounds: rounds === undefined ? undefined : Number(rounds),
    seed: Number(values.seed ?? DEFAULT_SEED),
    target: values.target,
    json: values.json,
    svg: values.svg,
    data: values.data ?? tmpdir(),
    journal: values.journal ?? journalRoot(),
    short: values.short ?? false,
  };
}

async function main(options: Options): Promise<number> {
  mkdirSync(options.data, { recursive: true });
  mkdirSync(options.journal, { recursive: true });
  const results: Ran[] = [];
  for (const scenario of SCENARIOS.filter(({ name }) => options.names.includes(name))) {
    const data = await mkdtemp(join(options.data, `cartulary-${scenario.name}-`));
    const journal = await mkdtemp(join(options.journal, `cartulary-${scenario.name}-`));
    const rounds = options.rounds ?? (options.short ? scenario.rounds.short : scenario.rounds.long);
    say(`\n== ${scenario.name}: ${scenario.proves} ${rounds} rounds, seed ${options.seed}`);
    const ran = await runScenario(scenario, {
      ...{ rounds, seed: options.seed, data, journal, report: say },
      ...(options.target === undefined ? {} : { only: options.target }),
    });
    results.push(ran);
    for (const line of ran.violations) say(`   VIOLATION ${line}`);
    // What failed is kept for whoever looks into it.
    if (ran.violations.length > 0) say(`   kept: ${data} ${journal}`);
    else for (const path of [data, journal]) await rm(path, { recursive: true, force: true });
  }
  await removeGoTlog();
  say(`\n${formatTable(results)}`);
  if (options.json !== undefined) {
    const { version, arch, platform } = process;
    const head = { at: new Date().toISOString(), node: version, machine: `${platform} ${arch}`, seed: options.seed };
    await writeFile(options.json, `${JSON.stringify({ ...head, results }, undefined, 2)}\n`);
  }
  const samples = results.find((ran) => ran.samples !== undefined)?.samples;
  if (options.svg !== undefined && samples !== undefined)
    await writeFile(
      options.svg,
      plotOverTime(
        samples.map(({ second }) => second),
        panelsOf(samples),
      ),
    );
  return results.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

const COLUMNS = ['sent', 'acknowledged', 'lost', 'doubled', 'checkpoints', 'leaves'] as const;

function formatTable(results: readonly Ran[]): string {
  const rows = results.map((ran) => [
    ran.scenario,
    ...(ran.skipped === undefined
      ? [
          ...COLUMNS.map((column) => String(ran[column])),
          String(ran.violations.length),
          `${Math.round(ran.seconds)} s`,
          ran.judge,
        ]
      : ['', '', '', '', '', '', '', '', `skipped: ${ran.skipped}`]),
    Object.entries(ran.faults)
      .map(([fault, times]) => `${times} × ${fault}`)
      .join(', '),
  ]);
  const all = [['scenario', ...COLUMNS, 'violations', 'time', 'log judged by', 'faults'], ...rows];
  const widths = (all[0] ?? []).map((_head, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

try {
  process.exitCode = await main(readOptions());
} catch (error) {
  process.stderr.write(
    `${error instanceof Error ? (process.env['DEBUG'] === undefined ? error.message : error.stack) : 'failed'}\n`,
  );
  process.exitCode = 2;
}
