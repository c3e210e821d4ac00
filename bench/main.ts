/**
 * `npm run bench`: every figure of docs/performance.md, each against its baseline in the same run. Ratios are what counts; the load of the machine is printed beside them.
 *
 *   npm run bench -- [SUBJECT…] [--messages 200000] [--mix plain|shop] [--seed 7] [--runs 3] [--json FILE]
 *                    [--data DIR] [--keep] [--archive DIR] [--alone] [--check | --store]
 *   npm run bench -- plot FILE… --out FILE.svg
 *   npm run bench -- capacity FILE… [--price 0.08] [--out FILE.svg] [--store]
 *   npm run bench -- report FILE…
 *
 * Subjects: capture searchable start search proof verify export disk rebuild backup ack memory import shares limits others postgres nodes at-size; all but the last where none is named. `--data DIR` measures on the disk of
 * DIR, `--keep` leaves the archive there, `--archive DIR` measures one that was left: ack, memory and at-size add some messages to it; at-size is capture in turns with a baseline that holds as much. `--alone` leaves the baseline out of capture. `--check` fails where a ratio is
 * worse than the stored one by a fifth, `--store` stores them. `plot` draws how figures grow, from what several runs left with `--json`;
 * `capacity` continues them to a mid-sized shop (`--store`: for `cartulary capacity` as well); `report` prints them as Markdown.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { MEASURED } from '../src/archive/capacity-measured.ts';
import { capacityPanels, formatCapacity, storeMeasurements, toMeasurements } from './capacity.ts';
import { formatNumber, toFigure } from './figure.ts';
import type { Figure, Measured } from './figure.ts';
import { growthPanels } from './growth.ts';
import { toMarkdown } from './markdown.ts';
import { findPlace, openPlace } from './place.ts';
import type { Place } from './place.ts';
import { plot } from './plot.ts';
import { checkRun, storeRun } from './ratios.ts';
import { describeMachine, formatLoad, formatMachine, readReport } from './report-file.ts';
import type { RunReport } from './report-file.ts';
import type { BenchOptions } from './run.ts';
import { capture } from './steps/capture.ts';
import { BY_NAME_ONLY, MAKING, SUBJECTS } from './subjects.ts';
import { belowFloor, formatFigure } from './table.ts';
import { MIXES } from './texts/shop.ts';

const { values, positionals } = readArguments();

await main();

async function main(): Promise<void> {
  const [first, ...files] = positionals;
  if (first === 'plot') return drawGrowth(files);
  if (first === 'capacity') return tellCapacity(files);
  if (first === 'report') return console.log(toMarkdown(files.map(readReport)));
  const report = await measure(readOptions(), readSubjects());
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  if (belowFloor(report.figures).length > 0) process.exitCode = 1;
  if (values.check) {
    const { compared, worse } = checkRun(report);
    for (const { id, stored, measured } of worse)
      console.log(`WORSE: ${id} was ${formatNumber(stored)} ×, is ${formatNumber(measured)} ×`);
    console.log(`${compared} ratios compared, ${worse.length} worse by more than a fifth`);
    process.exitCode = worse.length > 0 ? 1 : 0;
  }
  if (values.store) storeRun(report);
}

/** What was asked for. */
function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        messages: { type: 'string', default: '200000' },
        mix: { type: 'string', default: 'plain' },
        seed: { type: 'string', default: '7' },
        runs: { type: 'string', default: '3' },
        json: { type: 'string' },
        data: { type: 'string' },
        keep: { type: 'boolean', default: false },
        alone: { type: 'boolean', default: false },
        archive: { type: 'string' },
        check: { type: 'boolean', default: false },
        store: { type: 'boolean', default: false },
        out: { type: 'string' },
        price: { type: 'string', default: '0.08' },
      },
    });
  } catch (cause) {
    return refuse(cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : 'the arguments cannot be read');
  }
}

/** Ends it with one line, for whoever has mistyped. */
function refuse(text: string): never {
  console.error(text);
  process.exit(2);
}

function drawGrowth(files: readonly string[]): void {
  if (files.length === 0 || values.out === undefined) return refuse('plot takes files of runs and --out FILE.svg');
  writeFileSync(values.out, plot(growthPanels(files.map(readReport)), 'How figures grow with the archive'));
}

function tellCapacity(files: readonly string[]): void {
  const price = Number(values.price);
  if (!(price > 0)) return refuse('--price is dollars a GB and month');
  // Without files, what the product's own forecast stands on.
  const measured = files.length === 0 ? MEASURED : toMeasurements(files.map(readReport));
  console.log(formatCapacity(measured, price));
  if (values.out !== undefined)
    writeFileSync(values.out, plot(capacityPanels(measured), 'What a mid-sized shop will need'));
  if (values.store) storeMeasurements(measured);
}

function readOptions(): BenchOptions {
  const mix = MIXES.find((name) => name === values.mix);
  if (mix === undefined) return refuse(`--mix is one of ${MIXES.join(', ')}`);
  const count = (name: 'messages' | 'seed' | 'runs'): number => {
    if (!/^\d{1,9}$/.test(values[name])) return refuse(`--${name} is a whole number`);
    return Math.max(1, Number(values[name]));
  };
  return { messages: count('messages'), seed: count('seed'), runs: count('runs'), mix, alone: values.alone };
}

function readSubjects(): readonly string[] {
  const known = [...MAKING, ...SUBJECTS.keys()];
  for (const name of positionals) if (!known.includes(name)) return refuse(`"${name}" is none of ${known.join(', ')}`);
  const usual = known.filter((name) => !BY_NAME_ONLY.includes(name));
  if (values.archive === undefined) return positionals.length === 0 ? usual : positionals;
  const made = positionals.filter((name) => MAKING.includes(name));
  if (made.length > 0) return refuse(`${made.join(' and ')} are measured while an archive is made: without --archive`);
  return positionals.length === 0 ? usual.filter((name) => SUBJECTS.has(name)) : positionals;
}

async function measure(options: BenchOptions, subjects: readonly string[]): Promise<RunReport> {
  const machine = describeMachine();
  const before = loadavg();
  console.log(`${formatMachine(machine)}; load ${formatLoad(before)}`);
  const figures: Figure[] = [];
  const missing: string[] = [];
  const note = (measured: Measured): void => {
    const figure = toFigure(measured);
    figures.push(figure);
    console.log(formatFigure(figure, figures));
  };
  const miss = (what: string): void => {
    missing.push(what);
    console.log(`not measured: ${what}`);
  };
  const base = resolve(values.archive ?? values.data ?? tmpdir());
  mkdirSync(base, { recursive: true });
  const directory = values.archive === undefined ? mkdtempSync(join(base, 'cartulary-bench-')) : base;
  const scratch = mkdtempSync(join(directory, 'scratch-'));
  try {
    const place = await preparePlace(directory, options, subjects, note);
    const actual = { ...options, messages: place.known.messages, mix: place.known.mix };
    for (const [name, subject] of SUBJECTS)
      if (subjects.includes(name)) await subject({ options: actual, place, scratch, note, miss });
    const after = loadavg();
    console.log(`load at the end ${formatLoad(after)}`);
    if (values.keep) console.log(`kept: ${directory}`);
    return {
      command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(),
      machine,
      load: { before, after },
      messages: place.known.messages,
      records: await countRecords(place),
      envelopeBytes: place.known.envelopeBytes,
      mix: actual.mix,
      seed: place.known.seed,
      figures,
      missing,
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    if (!values.keep && values.archive === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

/** Finds the archive to be measured or makes it, which is a measurement itself. */
async function preparePlace(
  directory: string,
  options: BenchOptions,
  subjects: readonly string[],
  note: (measured: Measured) => void,
): Promise<Place> {
  if (values.archive !== undefined) return findPlace(directory);
  const { place, figures } = await capture(directory, options);
  for (const figure of figures) if (subjects.includes(figure.id.split('.')[0] ?? '')) note(figure);
  return place;
}

async function countRecords(place: Place): Promise<number> {
  const service = await openPlace(place.data);
  try {
    return await service.archive.size();
  } finally {
    await service.close();
  }
}
