/** What a soak measures while it runs, and whether it stayed flat. */
import { statSync } from 'node:fs';
import { join } from 'node:path';

import { listTree } from '../../src/archive/list-tree.ts';
import { quantile } from './latencies.ts';
import type { Latencies } from './latencies.ts';
import { readFigures } from './process-figures.ts';
import type { Product, Server } from './product.ts';
import type { TimePanel } from './time-plot.ts';

/** One look. Latencies are those since the look before. */
export type Sample = {
  readonly second: number;
  readonly rssMb: number;
  readonly files: number;
  readonly threads: number;
  readonly walMb: number;
  readonly diskMb: number;
  /** Files below the data directory. */
  readonly diskFiles: number;
  readonly searchP50Ms: number;
  readonly searchP99Ms: number;
  ackP50Ms: number;
  ackP99Ms: number;
  perSecond: number;
};

/** Looks at the server and its directory. */
export async function takeSample(
  product: Product,
  server: Server,
  second: number,
  searches: Latencies,
): Promise<Sample> {
  const { rssMb, files, threads } = readFigures(server.process.pid ?? 0);
  const disk = await measureTree(product.data);
  return {
    second,
    rssMb,
    files,
    threads,
    walMb: disk.walBytes / 1e6,
    diskMb: disk.bytes / 1e6,
    diskFiles: disk.files,
    searchP50Ms: quantile(searches, 0.5),
    searchP99Ms: quantile(searches, 0.99),
    ackP50Ms: 0,
    ackP99Ms: 0,
    perSecond: 0,
  };
}

async function measureTree(directory: string): Promise<{ bytes: number; files: number; walBytes: number }> {
  const sum = { bytes: 0, files: 0, walBytes: 0 };
  for (const path of await listTree(directory)) {
    // Files go while they are looked at: index files that are replaced, write-ahead logs.
    const found = statSync(join(directory, path), { throwIfNoEntry: false });
    if (found === undefined) continue;
    sum.files += 1;
    sum.bytes += found.size;
    if (path.endsWith('-wal')) sum.walBytes += found.size;
  }
  return sum;
}

type Figure = Exclude<keyof Sample, 'second'>;

type Bound = {
  readonly figure: Figure;
  readonly ratio: number;
  /** What does not count, in the figure's own unit. */
  readonly slack: number;
  readonly of?: (values: readonly number[]) => number;
};

/** How much a figure of the last third may exceed that of the first, by medians where nothing else is said. */
const FLAT: readonly Bound[] = [
  { figure: 'rssMb', ratio: 1.1, slack: 0 },
  // A rebuild or a backup that is under way has files of its own; what is left behind is there all the while.
  { figure: 'files', ratio: 1, slack: 4, of: (values) => Math.min(...values) },
  { figure: 'threads', ratio: 1, slack: 2 },
  { figure: 'walMb', ratio: 1.5, slack: 32 },
  { figure: 'ackP50Ms', ratio: 1.5, slack: 5 },
  { figure: 'ackP99Ms', ratio: 2, slack: 25 },
  { figure: 'searchP50Ms', ratio: 2, slack: 10 },
];

export type Comparison = {
  readonly figure: Figure;
  readonly first: number;
  readonly last: number;
  readonly flat: boolean;
};

/** Compares the last third with the first; the first tenth is left out, in which caches fill. */
export function compareThirds(samples: readonly Sample[]): Comparison[] {
  const warm = samples.slice(Math.ceil(samples.length / 10));
  const third = Math.max(1, Math.floor(warm.length / 3));
  return FLAT.map(({ figure, ratio, slack, of = median }) => {
    const first = of(warm.slice(0, third).map((sample) => sample[figure]));
    const last = of(warm.slice(-third).map((sample) => sample[figure]));
    return { figure, first, last, flat: last <= first * ratio + slack };
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

const TITLES: readonly (readonly [Figure, string])[] = [
  ['rssMb', 'resident memory, MB'],
  ['files', 'open files'],
  ['ackP50Ms', 'acknowledgement, p50, ms'],
  ['ackP99Ms', 'acknowledgement, p99, ms'],
  ['searchP50Ms', 'search, p50, ms'],
  ['searchP99Ms', 'search, p99, ms'],
  ['walMb', 'write-ahead logs, MB'],
  ['diskMb', 'data directory, MB'],
];

/** What is drawn. */
export function panelsOf(samples: readonly Sample[]): TimePanel[] {
  return TITLES.map(([figure, title]) => ({ title, values: samples.map((sample) => sample[figure]) }));
}
