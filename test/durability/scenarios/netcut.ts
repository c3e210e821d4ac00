/** The network between a node and its database, or between it and S3, swallows what is sent, for seconds, again and again; the other nodes stay reachable. */
import { makeInstallation } from '../installation.ts';
import { startMediaFeeder } from '../media-feeder.ts';
import { cutBlobs, cutDatabase } from '../node-faults.ts';
import type { Scenario } from '../scenario.ts';

export const NETCUT: Scenario = {
  name: 'netcut',
  proves:
    'A network that swallows packets between a node and its database or S3 takes nothing that was acknowledged; every request is answered, and the other nodes are not held up.',
  needs: ['postgres', 'standby', 'namespace', 'openssl', 's3'],
  rounds: { short: 3, long: 30 },
  async run(run) {
    const installation = await makeInstallation({ perSecond: 150, ...run }, { network: true, blobs: true });
    const { rig, nodes } = installation;
    const [cut] = nodes;
    try {
      await rig.tell('go');
      const { data, env } = cut?.product ?? rig.product;
      // Through the node whose links are cut.
      const feeder = startMediaFeeder(data, { ...env }, run.data);
      for (let round = 1; round <= run.rounds; round += 1) {
        await (round % 3 === 2 ? cutBlobs : cutDatabase)(installation);
        for (const line of await rig.checker.checkNew()) rig.complain(line);
        const { sent, acked } = await rig.tell('counts');
        const media = `${feeder.counts.acknowledged} media, ${feeder.counts.refused} times refused`;
        run.report(`${round} of ${run.rounds} rounds, ${sent} sent, ${acked} acknowledged, ${media}`);
      }
      await feeder.stop();
      const result = await installation.finish(['root equal on all nodes', 'network to S3 cut']);
      return {
        ...result,
        violations: [...result.violations, ...missingMedia(result.blobs, feeder.counts.acknowledged)],
      };
    } finally {
      await installation.close();
    }
  },
};

/** One line where not all media are there that were acknowledged. */
export function missingMedia(found: number, acknowledged: number): string[] {
  if (acknowledged === 0) return ['no medium was acknowledged: none was checked'];
  return found === acknowledged ? [] : [`${acknowledged} media were acknowledged, ${found} are there`];
}
