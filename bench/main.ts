/**
 * `npm run bench`: every figure of the README and of docs/ARCHITECTURE.md, measured side by side in one run. Ratios are what counts; the load of the machine is printed
 * beside them.
 *
 *   npm run bench -- [--messages 200000] [--seed 7] [--json FILE] [--data DIR]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { measureCapture } from './capture.ts';
import { measureDisk } from './disk.ts';
import { runHttp } from './http.ts';
import { runProofs, runSearch, runVerify } from './read.ts';
import { openBench, reopenBench } from './setup.ts';
import type { Bench } from './setup.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '7' },
    json: { type: 'string' },
    data: { type: 'string' },
    keep: { type: 'boolean' },
  },
});
const count = Number(values.messages);
const seed = Number(values.seed);

type Row = {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly floor?: number;
  readonly goal?: number;
  readonly better: 'more' | 'less';
};
const rows: Row[] = [];

function note(row: Row): void {
  rows.push(row);
  const isMet = (limit: number): boolean => (row.better === 'more' ? row.value >= limit : row.value <= limit);
  const verdict =
    row.floor === undefined
      ? ''
      : isMet(row.floor)
        ? row.goal !== undefined && isMet(row.goal)
          ? 'goal'
          : 'floor held'
        : 'BELOW FLOOR';
  const bounds = row.floor === undefined ? '' : `   floor ${row.floor}, goal ${row.goal ?? '-'}`;
  console.log(`${row.what.padEnd(58)} ${format(row.value).padStart(10)} ${row.unit.padEnd(12)}${bounds}   ${verdict}`);
}

function format(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

const directory = mkdtempSync(join(values.data ?? tmpdir(), 'cartulary-bench-'));
console.log(
  `${count.toLocaleString('en')} messages; ${cpus().length} × ${cpus()[0]?.model ?? 'cpu'}; Node ${process.version}; load ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}`,
);
try {
  const bench = await openBench(directory);
  const capture = await measureCapture(bench, directory, count, seed);
  const baselineRate = count / capture.baselineSeconds;
  note({ what: 'baseline (plaintext SQLite + FTS5)', value: baselineRate, unit: 'messages/s', better: 'more' });
  note({ what: 'capture in process', value: count / capture.seconds, unit: 'messages/s', better: 'more' });
  note({
    what: 'capture in process, ratio to the baseline',
    value: count / capture.seconds / baselineRate,
    unit: '×',
    floor: 0.6,
    goal: 1.2,
    better: 'more',
  });
  note({
    what: 'the same until searchable, ratio to the baseline',
    value: count / capture.searchableSeconds / baselineRate,
    unit: '×',
    floor: 0.5,
    goal: 1,
    better: 'more',
  });
  await bench.service.close();

  const http = await runHttp(bench);
  note({ what: 'HTTP server with an empty handler', value: http.emptyPerSecond, unit: 'requests/s', better: 'more' });
  note({
    what: 'capture over HTTP, one message a request',
    value: http.perSecond,
    unit: 'messages/s',
    floor: 2000,
    goal: http.emptyPerSecond * 0.5,
    better: 'more',
  });
  note({ what: 'acknowledgement at half load, p50', value: http.p50, unit: 'ms', better: 'less' });
  note({
    what: 'acknowledgement at half load, p99',
    value: http.p99,
    unit: 'ms',
    floor: 100,
    goal: 25,
    better: 'less',
  });
  for (const [doing, value] of Object.entries(http.memory))
    note({ what: `server's memory, peak after ${doing}`, value, unit: 'MB', floor: 512, goal: 256, better: 'less' });

  const startedAt = performance.now();
  const reading: Bench = { ...bench, service: await reopenBench(bench.data) };
  note({
    what: `start with ${(await reading.service.archive.size()).toLocaleString('en')} records`,
    value: (performance.now() - startedAt) / 1000,
    unit: 's',
    floor: 5,
    goal: 1,
    better: 'less',
  });
  await reading.service.archive.reachIndex();
  for (const { name, p50, p95 } of await runSearch(reading)) {
    note({ what: `search, ${name}, p50`, value: p50, unit: 'ms', better: 'less' });
    note({ what: `search, ${name}, p95`, value: p95, unit: 'ms', floor: 20, goal: 5, better: 'less' });
  }
  note({
    what: 'inclusion proof, p95',
    value: await runProofs(reading),
    unit: 'ms',
    floor: 5,
    goal: 1,
    better: 'less',
  });
  const verify = await runVerify(reading);
  note({
    what: 'full verify, records opened and hashed',
    value: verify,
    unit: 'records/s',
    floor: 25_000,
    goal: 50_000,
    better: 'more',
  });
  await reading.service.close();
  const disk = measureDisk(join(directory, 'data'));
  const envelopes = capture.envelopeBytes + http.envelopeBytes;
  for (const [name, bytes] of disk.parts)
    note({ what: `disk, ${name}`, value: bytes / envelopes, unit: '× envelopes', better: 'less' });
  note({
    what: 'disk, index included',
    value: disk.total / envelopes,
    unit: '× envelopes',
    floor: 2.5,
    goal: 1,
    better: 'less',
  });
  console.log(
    `load at the end ${loadavg()
      .map((load) => load.toFixed(2))
      .join(' ')}`,
  );
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ messages: count, rows }, null, 2));
  if (
    rows.some(
      (row) => row.floor !== undefined && (row.better === 'more' ? row.value < row.floor : row.value > row.floor),
    )
  )
    process.exitCode = 1;
} finally {
  if (values.keep !== true) rmSync(directory, { recursive: true, force: true });
}
