/** The guard against getting slower: ratios to the baselines of the same run, held against those that are stored. Absolute figures depend on the machine; ratios hardly do. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import type { Figure } from './figure.ts';
import type { Better } from './goals.ts';
import type { RunReport } from './report-file.ts';

type StoredRatio = { readonly ratio: number; readonly better: Better };

/** Ratios of one size of archive, and where they were measured. */
type StoredRun = {
  readonly date: string;
  readonly machine: string;
  readonly ratios: Readonly<Record<string, StoredRatio>>;
};

/** By mix and about how many messages, e.g. `plain 200000`. */
export type Stored = Readonly<Record<string, StoredRun>>;

/** A ratio that has become worse than it may. */
export type Worse = { readonly id: string; readonly stored: number; readonly measured: number };

export type Comparison = { readonly compared: number; readonly worse: readonly Worse[] };

/** Part by which a ratio may be worse. */
const TOLERANCE = 0.2;

const FILE = new URL('./stored-ratios.json', import.meta.url);

/** A figure's ratio to its baseline; undefined where it has none. */
function ratioOf({ ratio, unit, value }: Figure): number | undefined {
  return ratio ?? (unit.startsWith('× ') ? value : undefined);
}

/** Ratios of a run by figure. */
export function ratiosOf(figures: readonly Figure[]): Record<string, StoredRatio> {
  const ratios: Record<string, StoredRatio> = {};
  for (const figure of figures) {
    const ratio = ratioOf(figure);
    if (ratio !== undefined) ratios[figure.id] = { ratio, better: figure.better };
  }
  return ratios;
}

/**
 * Compares the ratios that both have.
 * @returns how many were compared, and which are worse by more than 20 %
 */
export function compareRatios(
  stored: Readonly<Record<string, StoredRatio>>,
  measured: Readonly<Record<string, StoredRatio>>,
): Comparison {
  const worse: Worse[] = [];
  let compared = 0;
  for (const [id, { ratio, better }] of Object.entries(stored)) {
    const now = measured[id]?.ratio;
    if (now === undefined) continue;
    compared += 1;
    const isWorse = better === 'more' ? now < ratio * (1 - TOLERANCE) : now > ratio * (1 + TOLERANCE);
    // What is no number is no better.
    if (isWorse || !Number.isFinite(now)) worse.push({ id, stored: ratio, measured: now });
  }
  return { compared, worse };
}

/** Name under which a run's ratios are stored: sizes that begin alike are alike. */
export function nameOfRun({ mix, messages }: Pick<RunReport, 'mix' | 'messages'>): string {
  const unit = 10 ** Math.floor(Math.log10(messages));
  return `${mix} ${Math.round(messages / unit) * unit}`;
}

/** Compares a run with what is stored. @throws Error where nothing can be compared, since that would look like a pass */
export function checkRun(report: RunReport): Comparison {
  const name = nameOfRun(report);
  const stored = readStored()[name];
  if (stored === undefined) throw new Error(`no ratios are stored for "${name}"; --store writes them`);
  const comparison = compareRatios(stored.ratios, ratiosOf(report.figures));
  if (comparison.compared === 0) throw new Error(`none of the ratios stored for "${name}" was measured`);
  return comparison;
}

/** Stores a run's ratios beside those of other subjects and sizes. */
export function storeRun(report: RunReport): void {
  const name = nameOfRun(report);
  const stored = readStored();
  const { date, cpus, cpu } = report.machine;
  const ratios = { ...stored[name]?.ratios, ...ratiosOf(report.figures) };
  const next: Stored = { ...stored, [name]: { date: date.slice(0, 10), machine: `${cpus} × ${cpu}`, ratios } };
  writeFileSync(FILE, `${JSON.stringify(next, null, 2)}\n`);
}

function readStored(): Stored {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Stored) : {};
}
