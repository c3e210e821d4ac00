/** All faults in a random order on one archive, each upon what the others left. */
import { makeLoopDisk } from '../loop-disk.ts';
import type { LoopDisk } from '../loop-disk.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';
import { jumpOnce } from './clock.ts';
import { fillOnce } from './disk-full.ts';
import { failOnce } from './io-error.ts';
import { killOnce } from './kill.ts';
import { cutOnce } from './power-cut.ts';

const DISK_MB = 512;

type Fault = 'kill' | 'power cut' | 'full disk' | 'io error' | 'clock';

/** How often each fault comes before all come again. The short form is one such round. */
const DECK_COUNTS: Readonly<Record<Fault, number>> = {
  kill: 4,
  'power cut': 2,
  'full disk': 1,
  'io error': 2,
  clock: 1,
};
/** What must have happened by then; which call fails in a short run is chance. */
const EXPECTED = ['kill in service', 'power cut', 'full disk', 'start on a full disk', 'clock jumps in service'];
const DECK = (Object.keys(DECK_COUNTS) as Fault[]).flatMap((fault) => Array<Fault>(DECK_COUNTS[fault]).fill(fault));

export const MIXED: Scenario = {
  name: 'mixed',
  proves: 'Any sequence of these faults takes nothing that was acknowledged.',
  needs: ['linux', 'root', 'mkfs.ext4', 'xfs_io', 'strace', 'faketime'],
  rounds: { short: 7, long: 170 },
  async run(run) {
    const disk = await makeLoopDisk(run.data, DISK_MB);
    try {
      const rig = await makeRig({ perSecond: 200, ...run }, `${disk.path}/data`, { clocksAgree: false });
      try {
        await disk.sync();
        await rig.tell('go');
        let deck: Fault[] = [];
        for (let round = 1; round <= run.rounds; round += 1) {
          if (deck.length === 0) deck = shuffle(DECK, rig.random);
          const fault = deck.pop() ?? 'kill';
          await doFault(rig, disk, fault, run.journal, round);
          run.report(`${round} of ${run.rounds}: ${fault}`);
        }
        return await rig.finish(run.rounds < DECK.length ? [] : EXPECTED);
      } finally {
        await rig.close();
      }
    } finally {
      await disk.remove();
    }
  },
};

async function doFault(rig: Rig, disk: LoopDisk, fault: Fault, directory: string, round: number): Promise<void> {
  switch (fault) {
    case 'kill':
      return void (await killOnce(rig, 2000));
    case 'power cut':
      return cutOnce(rig, disk, false);
    case 'full disk':
      return fillOnce(rig, disk);
    case 'io error':
      return failOnce(rig, directory, round);
    case 'clock':
      return jumpOnce(rig, directory);
    default:
      fault satisfies never;
  }
}

function shuffle(deck: readonly Fault[], random: () => number): Fault[] {
  return deck
    .map((fault) => ({ fault, place: random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ fault }) => fault);
}
