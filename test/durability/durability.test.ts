/** The short form: kills. All other faults: `npm run test:durability`. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { removeGoTlog } from '../judges/go-tlog.ts';
import { journalRoot, runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { KILL } from './scenarios/kill.ts';
import { DEFAULT_SEED } from './seeds.ts';

const TEST_MS_MAX = 900_000;
const hasOtherDisk = existsSync('/dev/shm');
afterAll(() => removeGoTlog());

describe('nothing acknowledged is lost', () => {
  it.skipIf(!hasOtherDisk)(
    hasOtherDisk ? 'kills' : 'skipped, kills: there is no second file system for the journal',
    { timeout: TEST_MS_MAX },
    () => expectAllHeld(KILL),
  );
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
    expect(ran.acknowledged).toBeGreaterThan(scenario.rounds.short);
    expect(ran.checkpoints).toBeGreaterThan(0);
  } finally {
    for (const path of [data, journal]) await rm(path, { recursive: true, force: true });
  }
}
