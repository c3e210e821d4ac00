/** The machine's clock jumps, between two starts and while messages come in: years forward, days back, again and again. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { startProduct } from '../product.ts';
import type { Product } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';
import { findFaketimeLibrary } from '../tools.ts';

/** Days by which the server's clock is wrong. */
const OFFSETS = [1100, -2, 400, -30, 0, 3650, -1];
const DAY_MS = 86_400_000;

export const CLOCK: Scenario = {
  name: 'clock',
  proves:
    'Whatever the clock says, nothing is lost, the log keeps its order, search finds everything, and nothing hangs in a timer.',
  needs: ['linux', 'faketime'],
  rounds: { short: 2, long: 40 },
  async run(run) {
    const rig = await makeRig(run, `${run.data}/data`, { clocksAgree: false });
    try {
      await rig.tell('go');
      for (let round = 1; round <= run.rounds; round += 1) {
        await jumpOnce(rig, run.journal);
        run.report(`${round} of ${run.rounds} starts with three clocks each`);
      }
      return await rig.finish(['clock wrong at the start', 'clock jumps in service']);
    } finally {
      await rig.close();
    }
  },
};

/** One start with a wrong clock that jumps twice; each time messages must go on coming in, the log must be signed, and search must find. */
export async function jumpOnce(rig: Rig, directory: string): Promise<void> {
  const file = join(directory, 'faketime');
  const pick = (): number => OFFSETS[Math.floor(rig.random() * OFFSETS.length)] ?? 0;
  let offset = pick();
  await writeFile(file, formatOffset(offset));
  const server = startProduct(rig.product, {
    env: {
      LD_PRELOAD: findFaketimeLibrary() ?? '',
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // A jump of the wall clock leaves the monotonic one alone, which timers run by.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  });
  try {
    if (!(await server.ready())) rig.complain(`no start with a clock ${offset} days off: ${server.log().slice(-500)}`);
    for (const when of ['at the start', 'in service', 'in service']) {
      if (when === 'in service') {
        offset = pick();
        await writeFile(file, formatOffset(offset));
      }
      await rig.watch(server, 200 + rig.random() * 800);
      const daysOff = await readDaysOff(rig.product);
      if (Math.abs(daysOff - offset) < 0.1)
        rig.count(when === 'in service' ? 'clock jumps in service' : 'clock wrong at the start');
      if (!(await rig.moves('acked', 5, () => server.isOver())))
        rig.complain(`capture stood still with a clock ${offset} days off: ${server.log().slice(-500)}`);
    }
    for (const line of await rig.checker.checkNew()) rig.complain(line);
    await server.stop();
  } finally {
    await server.kill();
  }
  await rig.checker.keepCheckpoint();
}

function formatOffset(days: number): string {
  return `${days < 0 ? '-' : '+'}${Math.abs(days)}d\n`;
}

/** By how much the server's clock is wrong, as it says itself. */
async function readDaysOff({ url }: Product): Promise<number> {
  const answer = await fetch(`${url}/healthz`).catch(() => undefined);
  return (Date.parse(answer?.headers.get('date') ?? '') - Date.now()) / DAY_MS;
}
