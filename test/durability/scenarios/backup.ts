/** Backups while the server captures as fast as it can, each restored elsewhere with the recovery kit only. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { VerifyReport } from '../../../src/archive/threads/verify-thread.ts';
import { parseSignedCheckpoint } from '../../../src/ledger/checkpoint.ts';
import { runCli, runJson } from '../../support/cli.ts';
import { readExport } from '../export-reader.ts';
import { readJournals } from '../journal.ts';
import { startReady } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';

/** Messages that are acknowledged before a backup begins, and while it runs. */
const BEFORE = 300;

export const BACKUP: Scenario = {
  name: 'backup',
  proves:
    'A backup taken at full rate is restored elsewhere with the recovery kit only: everything acknowledged before it, the same root, sound.',
  needs: [],
  rounds: { short: 1, long: 20 },
  async run(run) {
    const rig = await makeRig(run, `${run.data}/data`);
    try {
      const kit = join(run.journal, 'kit.txt');
      const { recoveryKit } = await runJson<{ recoveryKit: string }>(['key', 'kit', '--data', rig.product.data]);
      await writeFile(kit, recoveryKit);
      const server = await startReady(rig.product);
      try {
        await rig.tell('go');
        for (let round = 1; round <= run.rounds; round += 1) {
          const captured = await backUpAndRestore(rig, {
            journal: run.journal,
            place: join(run.data, String(round)),
            kit,
          });
          run.report(`${round} of ${run.rounds} backups, ${captured} messages acknowledged while it was made`);
        }
      } finally {
        await server.stop();
      }
      return await rig.finish(['restored backup']);
    } finally {
      await rig.close();
    }
  },
};

/** @returns messages acknowledged while the backup was made */
async function backUpAndRestore(
  rig: Rig,
  { journal, place, kit }: { readonly journal: string; readonly place: string; readonly kit: string },
): Promise<number> {
  if (!(await rig.moves('acked', BEFORE))) rig.complain('nothing was acknowledged before the backup');
  const acknowledged = [...readJournals(journal).values()].filter(({ ackedAtMs }) => ackedAtMs !== undefined);
  const { acked: before } = await rig.tell('counts');
  const { path } = await runJson<{ path: string }>(['backup', join(place, 'backups'), '--data', rig.product.data]);
  const { acked: after } = await rig.tell('counts');
  const check = await runCli(['backup', 'check', path, '--kit', kit]);
  if (check.code !== 0) rig.complain(`backup check ended with ${check.code}: ${check.stderr}${check.stdout}`);
  const data = join(place, 'elsewhere', 'data');
  await runJson(['restore', path, '--data', data, '--kit', kit]);
  const checkpoint = join(path, 'content', 'checkpoint');
  const { ok, faults, size } = await runJson<VerifyReport>(['verify', '--data', data, '--checkpoint', checkpoint]);
  if (!ok) rig.complain(`the restored archive is not sound: ${JSON.stringify(faults[0])}`);
  // That the log continues the head of the backup is its root again, at that size.
  const head = parseSignedCheckpoint(await readFile(checkpoint, 'utf8'));
  if (size < head.size) rig.complain(`the restored log has ${size} leaves, the backup's head ${head.size}`);
  const bundle = join(place, 'export.zip');
  await runJson(['export', '--data', data, '--out', bundle]);
  const restored = new Map((await readExport(bundle)).map((record) => [record.sid, record.bodyHash]));
  for (const { sid, hash } of acknowledged)
    if (restored.get(sid) !== hash) rig.complain(`(a) ${sid} was acknowledged before the backup and is not restored`);
  await rm(place, { recursive: true, force: true });
  rig.count('restored backup');
  return after - before;
}
