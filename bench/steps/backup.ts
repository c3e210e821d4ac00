/** Backup and restore, against a plain copy of the same files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { timeOf } from '../figure.ts';
import { runLong } from '../product.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';

/** Measures seconds of both. The root key is handed over as it lies beside the archive. */
export async function measureBackup({ options, place, scratch, note }: BenchRun): Promise<void> {
  const backups: number[] = [];
  const restores: number[] = [];
  const copies: number[] = [];
  const service = await openPlace(place.data);
  await service.archive.reachIndex();
  await service.close();
  for (let run = 0; run < options.runs; run += 1) {
    const into = join(scratch, 'backups');
    const restored = join(scratch, 'restored');
    mkdirSync(into);
    backups.push((await timeOf(() => runLong(['backup', into, '--data', place.data]))) / 1000);
    const name = readdirSync(into, { withFileTypes: true }).find((entry) => entry.isDirectory())?.name ?? '';
    const key = join(scratch, 'root.key');
    execFileSync('cp', [join(place.data, 'keys', 'root.key'), key]);
    const env = { CARTULARY_KEYS: `file:${key}` };
    restores.push((await timeOf(() => runLong(['restore', join(into, name), '--data', restored], env))) / 1000);
    rmSync(restored, { recursive: true, force: true });
    rmSync(`${restored}.signer`, { recursive: true, force: true });
    copies.push(
      (await timeOf(() => execFileSync('sh', ['-c', 'cp -r "$1" "$2" && sync -f "$2"', 'sh', place.data, restored]))) /
        1000,
    );
    for (const path of [into, restored, key]) rmSync(path, { recursive: true, force: true });
  }
  const baseline = { what: 'cp and sync of the whole directory', value: Math.min(...copies) };
  note({ id: 'backup.time', what: 'backup', unit: 's', better: 'less', value: backups, baseline });
  note({
    id: 'restore.time',
    what: 'restore, index and log built again',
    unit: 's',
    better: 'less',
    value: restores,
    baseline,
  });
}
