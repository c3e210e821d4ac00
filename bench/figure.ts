/** A figure: what was measured, how much it varied, and what it is to be compared with. */
import type { Better } from './goals.ts';

/** What it is measured against in the same run. */
export type Baseline = { readonly what: string; readonly value: number };

export type Figure = {
  /** Stable name, e.g. `search.phrase.p95`. */
  readonly id: string;
  readonly what: string;
  readonly unit: string;
  readonly better: Better;
  readonly value: number;
  /** Over several runs, where there were several. */
  readonly spread?: Spread;
  readonly baseline?: Baseline;
  /** The value over the baseline's. */
  readonly ratio?: number;
};

export type Spread = { readonly median: number; readonly min: number; readonly max: number; readonly runs: number };

/** What a measurement says of itself. */
export type Measured = Omit<Figure, 'ratio' | 'spread' | 'value'> & {
  /** One value, or one of each run: then the median is the figure. */
  readonly value: number | readonly number[];
  /** Values of runs beside a value over all of them. */
  readonly runs?: readonly number[];
};

/** Makes a figure of a measurement. */
export function toFigure({ value, runs, ...measured }: Measured): Figure {
  const several = typeof value === 'number' ? runs : value;
  const spread = several === undefined || several.length < 2 ? undefined : spreadOf(several);
  const one = typeof value === 'number' ? value : median(value);
  const { baseline } = measured;
  return {
    ...measured,
    value: one,
    ...(spread === undefined ? {} : { spread }),
    ...(baseline === undefined ? {} : { ratio: one / baseline.value }),
  };
}

/** Median and bounds of some values, at least one. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), runs: values.length };
}

/** The middle one of some values, at least one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The value below which a share of all values lies. @param share from 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** A number as people read it: three digits that count. */
export function formatNumber(value: number): string {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

/** Takes the time of work. @returns milliseconds */
export async function timeOf(work: () => unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
