/** What a run leaves for machines: its figures and what they depend on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

import type { Figure } from './figure.ts';

/** Where and when it was measured. */
export type Machine = {
  readonly date: string;
  readonly cpus: number;
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly node: string;
  readonly commit?: string;
};

export type RunReport = {
  readonly command: string;
  readonly machine: Machine;
  /** Load averages over 1, 5 and 15 minutes at the beginning and at the end. */
  readonly load: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly messages: number;
  readonly records: number;
  readonly envelopeBytes: number;
  readonly mix: string;
  readonly seed: number;
  readonly figures: readonly Figure[];
  /** What was to be measured and could not be, with the reason. */
  readonly missing: readonly string[];
};

/** Looks at the machine. */
export function describeMachine(): Machine {
  const commit = findCommit();
  return {
    date: new Date().toISOString(),
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    node: process.version,
    ...(commit === undefined ? {} : { commit }),
  };
}

/** One line for people. */
export function formatMachine(machine: Machine): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GB`;
  const commit = machine.commit === undefined ? '' : `; commit ${machine.commit}`;
  return `${machine.date.slice(0, 10)}; ${machine.cpus} × ${machine.cpu}, ${memory}; Node ${machine.node}${commit}`;
}

/** Load averages as people read them. */
export function formatLoad(load: readonly number[] = loadavg()): string {
  return load.map((value) => value.toFixed(2)).join(' ');
}

/** Reads what a run left. @throws Error where it is none */
export function readReport(path: string): RunReport {
  const report = JSON.parse(readFileSync(path, 'utf8')) as Partial<RunReport>;
  if (!Array.isArray(report.figures) || typeof report.messages !== 'number')
    throw new Error(`${path} is no file of a run: it has no figures`);
  return report as RunReport;
}

function findCommit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
