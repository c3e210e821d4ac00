/** Import of lines of JSON into an archive of its own, against the same lines into the baseline. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { importFile } from '../../src/capture/import-run.ts';
import { IMPORTERS } from '../../src/capture/imports/list.ts';
import { openBaseline, readFields } from '../baselines/sqlite.ts';
import type { Arrival } from '../baselines/sqlite.ts';
import { median, timeOf } from '../figure.ts';
import { makePlace } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { openShop } from '../texts/shop.ts';
import { CALLER } from './search.ts';

/** Lines of one run at most: an import's speed does not depend on how long the file is. */
const LINES_MAX = 100_000;

/** Measures lines a second. Each run has an archive and lines of its own. */
export async function measureImport({ options, scratch, note }: BenchRun): Promise<void> {
  const lines = Math.min(LINES_MAX, options.messages);
  const rates: number[] = [];
  const baselineRates: number[] = [];
  for (let run = 0; run <= options.runs; run += 1) {
    const directory = join(scratch, `import-${run}`);
    await mkdir(directory);
    const file = join(directory, 'texts.jsonl');
    await writeLines(file, options.seed + 1000 + run, lines);
    const seconds = await importInto(directory, file, lines, options.seed);
    const baselineSeconds = await storeLines(directory, file);
    // The first is the warm-up.
    if (run === 0) continue;
    rates.push(lines / seconds);
    baselineRates.push(lines / baselineSeconds);
  }
  note({
    id: 'import.rate',
    what: 'import of lines of JSON',
    unit: 'lines/s',
    better: 'more',
    value: rates,
    baseline: {
      what: 'plaintext SQLite + FTS5',
      value: median(baselineRates),
    },
  });
}

async function writeLines(file: string, seed: number, count: number): Promise<void> {
  const shop = openShop(seed, count, 'plain');
  const lines = function* (): Generator<string> {
    for (let line = 0; line < count; line += 1) {
      const told = shop.next();
      const { sender, text } = readFields(told);
      const data = {
        id: told.key,
        channel: 'sms',
        direction: 'inbound',
        from: sender,
        to: ['+15550100100'],
        text,
      };
      const timestamp = new Date(told.atMs).toISOString();
      yield `${JSON.stringify({ type: 'message.created', timestamp, data })}\n`;
    }
  };
  await pipeline(Readable.from(lines()), createWriteStream(file));
}

async function importInto(directory: string, path: string, lines: number, seed: number): Promise<number> {
  const { service } = await makePlace(directory, { seed, mix: 'plain' });
  const importer = IMPORTERS.find(({ name }) => name === 'jsonl');
  if (importer === undefined) throw new Error('there is no importer for lines of JSON');
  try {
    const request = { importer, path, options: { region: 'US' } };
    const ms = await timeOf(async () => {
      const context = { now: Date.now, signal: new AbortController().signal, onProgress: () => {} };
      const report = await importFile(service.archive, CALLER, request, context);
      if (report.sealed < lines) throw new Error(`${report.sealed} of ${lines} lines were kept`);
    });
    return ms / 1000;
  } finally {
    await service.close();
  }
}

/** The same lines into the baseline; the time includes reading them. */
async function storeLines(directory: string, file: string): Promise<number> {
  const baseline = openBaseline(join(directory, 'baseline.db'));
  try {
    const ms = await timeOf(async () => {
      let page: Arrival[] = [];
      for await (const line of createInterface({ input: createReadStream(file) })) {
        page.push(toArrival(line));
        if (page.length < 1000) continue;
        baseline.store(page);
        page = [];
      }
      baseline.store(page);
    });
    return ms / 1000;
  } finally {
    baseline.close();
  }
}

function toArrival(line: string): Arrival {
  const event = JSON.parse(line) as { timestamp: string; data: { id: string; from: string; text: string } };
  const { id, from, text } = event.data;
  const body = Buffer.from(JSON.stringify({ from, body: text }));
  const atMs = Date.parse(event.timestamp);
  return {
    told: { transport: 'fetch', body, key: id, number: 0, atMs, isNew: true },
    envelope: { transport: 'import', method: 'GET', url: '', headers: [], body, receivedAtMs: atMs },
  };
}
