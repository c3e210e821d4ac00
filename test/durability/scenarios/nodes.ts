/** Three nodes of one archive behind a balancer; one after the other is killed under load, clocks go apart, and the database is cut off, killed, and fails over to its standby. */
import { whyNoStandby } from '../../support/postgres.ts';
import { makeInstallation, revive } from '../installation.ts';
import type { Installation } from '../installation.ts';
import { cutConnections, failOver, jumpClock, killNode, restartDatabase } from '../node-faults.ts';
import type { NodeFault } from '../node-faults.ts';
import type { Scenario } from '../scenario.ts';
import { findFaketimeLibrary } from '../tools.ts';

/** Shares of the rounds in which it is not a node that is killed. */
const SHARES: readonly (readonly [NodeFault, number])[] = [
  [cutConnections, 0.08],
  [restartDatabase, 0.04],
  [failOver, 0.04],
  [jumpClock, 0.08],
];
const CHECK_EVERY = 20;

export const NODES: Scenario = {
  name: 'nodes',
  proves:
    'A node killed at any moment beside two others, a database that is cut off, killed or fails over to its standby, and clocks that are apart take nothing that was acknowledged.',
  needs: ['postgres'],
  rounds: { short: 10, long: 300 },
  async run(run) {
    const [standby, clocks] = [whyNoStandby() === undefined, findFaketimeLibrary() !== undefined];
    const installation = await makeInstallation(run, { standby, clocks });
    const { rig, nodes } = installation;
    try {
      // Apart from the first.
      if (clocks) await installation.setClock(-7200);
      await rig.tell('go');
      const must = [killNode, ...(standby ? [failOver] : []), ...(clocks ? [jumpClock] : [])];
      for (let round = 1; round <= run.rounds; round += 1) {
        await (must[round - 1] ?? choose(installation, { standby, clocks }))(installation);
        if (round % CHECK_EVERY !== 0 && round !== run.rounds) continue;
        for (const node of nodes) await revive(rig, node);
        for (const line of await rig.checker.checkNew()) rig.complain(line);
        const { sent, acked } = await rig.tell('counts');
        run.report(`${round} of ${run.rounds} rounds, ${sent} sent, ${acked} acknowledged`);
      }
      return await installation.finish([
        'root equal on all nodes',
        ...(standby && run.rounds > 1 ? ['failed over to the standby'] : []),
        ...(clocks && run.rounds > 2 ? ['clocks apart'] : []),
      ]);
    } finally {
      await installation.close();
    }
  },
};

function choose({ rig }: Installation, has: { readonly standby: boolean; readonly clocks: boolean }): NodeFault {
  let left = rig.random();
  for (const [fault, share] of SHARES) {
    left -= share;
    if (left >= 0) continue;
    const isMissing = (fault === failOver && !has.standby) || (fault === jumpClock && !has.clocks);
    return isMissing ? killNode : fault;
  }
  return killNode;
}
