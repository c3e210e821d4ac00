/** Runs one scenario, and says why where it cannot be run. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

import { emptyResult } from './checker.ts';
import type { Scenario, ScenarioResult, ScenarioRun } from './scenario.ts';
import { missingNeed } from './tools.ts';

/** A scenario that was run, or was not. */
export type Ran = ScenarioResult & {
  readonly scenario: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly skipped?: string;
};

const NOTHING: ScenarioResult = { ...emptyResult(), faults: {} };

/** Where journals are kept by default: memory, which is another file system than that of the archive. */
export function journalRoot(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
}

/** Runs a scenario. What it cannot get over is a violation, too. */
export async function runScenario(scenario: Scenario, run: ScenarioRun): Promise<Ran> {
  const begunAt = performance.now();
  const head = { scenario: scenario.name, rounds: run.rounds };
  const skipped = missingNeed(scenario.needs);
  if (skipped !== undefined) return { ...NOTHING, ...head, seconds: 0, skipped };
  let result: ScenarioResult;
  try {
    result = await scenario.run(run);
  } catch (cause) {
    result = { ...NOTHING, violations: [cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)] };
  }
  return { ...result, ...head, seconds: (performance.now() - begunAt) / 1000 };
}
