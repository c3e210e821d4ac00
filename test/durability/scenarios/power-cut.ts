/** The power of the archive's disk cut under load, every other time upon a kill: what was not made durable is gone. */
import { startProduct } from '../product.ts';
import { makeLoopDisk } from '../loop-disk.ts';
import type { LoopDisk } from '../loop-disk.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';
import { killOnce } from './kill.ts';

const DISK_MB = 2048;
/** Milliseconds after the start's readiness at which the power goes at the latest; sooner more often than later. */
const LOAD_MS_MAX = 1500;
/** About what a start takes, ms. */
const START_MS = 1500;
const CHECK_EVERY = 10;

export const POWER_CUT: Scenario = {
  name: 'power-cut',
  proves: 'A power cut takes nothing that was acknowledged, and no published checkpoint covers what it took.',
  needs: ['linux', 'root', 'mkfs.ext4', 'xfs_io'],
  rounds: { short: 3, long: 100 },
  async run(run) {
    const disk = await makeLoopDisk(run.data, DISK_MB);
    try {
      const rig = await makeRig(run, `${disk.path}/data`);
      try {
        await disk.sync();
        await rig.tell('go');
        for (let round = 1; round <= run.rounds; round += 1) {
          // What a killed process leaves unsynced is what the next one finds and a power cut takes.
          if (round % 2 === 0) await killOnce(rig, START_MS);
          await cutOnce(rig, disk, round % CHECK_EVERY === 0);
          const { sent, acked } = await rig.tell('counts');
          run.report(`${round} of ${run.rounds} power cuts, ${sent} sent, ${acked} acknowledged`);
        }
        return await rig.finish(['power cut']);
      } finally {
        await rig.close();
      }
    } finally {
      await disk.remove();
    }
  },
};

/** One start and one power cut. The clients go on sending through it: nothing may be acknowledged any more. */
export async function cutOnce(rig: Rig, disk: LoopDisk, isChecked: boolean): Promise<void> {
  const server = startProduct(rig.product);
  try {
    if (!(await server.ready()))
      rig.complain(`the server did not start after a power cut: ${server.log().slice(-500)}`);
    if (isChecked) for (const line of await rig.checker.checkNew()) rig.complain(line);
    await rig.watch(server, rig.random() ** 2 * LOAD_MS_MAX);
    await disk.cutPower();
    rig.count('power cut');
    // What it answers now was promised as well.
    await rig.watch(server, rig.random() * 200);
  } finally {
    await server.kill();
  }
  await disk.remount();
  await rig.checker.keepCheckpoint();
}
