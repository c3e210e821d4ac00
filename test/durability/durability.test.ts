/** The short form. The long one: `npm run test:durability`. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { removeGoTlog } from '../judges/go-tlog.ts';
import { journalRoot, runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { KILL } from './scenarios/kill.ts';
import { MIXED } from './scenarios/mixed.ts';
import { UNSYNCED } from './scenarios/unsynced.ts';
import { DEFAULT_SEED } from './seeds.ts';
import { missingNeed } from './tools.ts';

const TEST_MS_MAX = 900_000;
/** Where the tools for all faults are missing, the server is at least killed. */
const MAIN = missingNeed(MIXED.needs) === undefined ? MIXED : KILL;
afterAll(() => removeGoTlog());

describe('nothing acknowledged is lost', () => {
  for (const scenario of [UNSYNCED, MAIN]) {
    const missing = existsSync('/dev/shm')
      ? missingNeed(scenario.needs)
      : 'there is no second file system for the journal';
    const title = missing === undefined ? scenario.name : `skipped, ${scenario.name}: ${missing}`;
    it.skipIf(missing !== undefined)(title, { timeout: TEST_MS_MAX }, () => expectAllHeld(scenario));
  }
});

async function expectAllHeld(scenario: Scenario): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), `cartulary-${scenario.name}-`));
  const journal = await mkdtemp(join(journalRoot(), `cartulary-${scenario.name}-`));
  const report: string[] = [];
  try {
    const run = { rounds: scenario.rounds.short, seed: DEFAULT_SEED, data, journal };
    const ran = await runScenario(scenario, { ...run, report: (line) => report.push(line) });
    expect(ran.violations, report.join('\n')).toEqual([]);
    expect(ran).toMatchObject({ lost: 0, doubled: 0 });
    expect(ran.acknowledged).toBeGreaterThanOrEqual(scenario.rounds.short);
    expect(ran.checkpoints).toBeGreaterThan(0);
  } finally {
    for (const path of [data, journal]) await rm(path, { recursive: true, force: true });
  }
}
