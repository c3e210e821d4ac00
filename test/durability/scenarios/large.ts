/**
 * The large run: three nodes, PostgreSQL with a synchronous standby, S3; a million messages, and every fault of the list meanwhile. In the end all that was acknowledged is found, the whole
 * is verified, and the root is equal on every node.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { makeInstallation, revive } from '../installation.ts';
import type { Installation } from '../installation.ts';
import { startMediaFeeder } from '../media-feeder.ts';
import {
  cutBlobs,
  cutConnections,
  cutDatabase,
  failOver,
  jumpClock,
  killNode,
  restartDatabase,
  spoilBlobs,
} from '../node-faults.ts';
import type { NodeFault } from '../node-faults.ts';
import type { Scenario } from '../scenario.ts';
import { missingMedia } from './netcut.ts';

/** All faults; each comes before all come again. */
const DECK: readonly NodeFault[] = [
  ...[killNode, killNode, killNode, killNode],
  ...[cutConnections, restartDatabase, failOver],
  ...[cutDatabase, cutBlobs, spoilBlobs, spoilBlobs, jumpClock],
];
/** What must have happened where all of it was gone through once. */
const EXPECTED = [
  ...['kill in service', 'database cut off', 'database killed', 'failed over to the standby'],
  ...['network to S3 cut', 'S3 failing', 'clocks apart'],
];
/** Faults of a run, whatever its length, and the share of its messages between which they lie. */
const FAULTS = { min: DECK.length, perMessages: 15_000 };
const WAIT_MS_MAX = 600_000;

export const LARGE: Scenario = {
  name: 'large',
  proves:
    'Of so many messages, with media, taken in by three nodes while nodes, database, network, S3 and clocks fail, all that were acknowledged are found and verified, and every node has the same root.',
  needs: ['postgres', 'standby', 'namespace', 'openssl', 's3', 'faketime'],
  rounds: { short: 5000, long: 1_000_000 },
  async run(run) {
    const installation = await makeInstallation(run, { standby: true, network: true, blobs: true, clocks: true });
    const { rig, nodes } = installation;
    try {
      await rig.tell('go');
      // A node of its own, which does nothing but bring in media.
      const data = join(run.data, 'feeder');
      await mkdir(data);
      const feeder = startMediaFeeder(data, { ...rig.product.env }, run.data);
      const faults = Math.max(FAULTS.min, Math.ceil(run.rounds / FAULTS.perMessages));
      let deck: NodeFault[] = [];
      for (let done = 1; done <= faults; done += 1) {
        await untilAcked(installation, (run.rounds * (done - 1)) / faults);
        if (deck.length === 0) deck = shuffle(DECK, rig.random);
        const fault = deck.pop() ?? killNode;
        await fault(installation);
        const { sent, acked } = await rig.tell('counts');
        const media = `${feeder.counts.acknowledged} media, ${feeder.counts.refused} times refused`;
        run.report(`${done} of ${faults} faults (${fault.name}), ${sent} sent, ${acked} acknowledged, ${media}`);
        if (deck.length > 0) continue;
        for (const node of nodes) await revive(rig, node);
        for (const line of await rig.checker.checkNew()) rig.complain(line);
      }
      await untilAcked(installation, run.rounds);
      installation.s3?.clear();
      await feeder.stop();
      const result = await installation.finish([...EXPECTED, 'root equal on all nodes']);
      return {
        ...result,
        violations: [...result.violations, ...missingMedia(result.blobs, feeder.counts.acknowledged)],
      };
    } finally {
      await installation.close();
    }
  },
};

/** Waits until so many are acknowledged. @throws Error where they stop coming */
async function untilAcked({ rig }: Installation, count: number): Promise<void> {
  let [last, lastAt] = [0, performance.now()];
  for (;;) {
    const { acked } = await rig.tell('counts');
    if (acked >= count) return;
    if (acked > last) [last, lastAt] = [acked, performance.now()];
    if (performance.now() - lastAt > WAIT_MS_MAX) throw new Error(`${acked} were acknowledged, and no more come`);
    await pause(100);
  }
}

function shuffle(deck: readonly NodeFault[], random: () => number): NodeFault[] {
  return deck
    .map((fault) => ({ fault, place: random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ fault }) => fault);
}
