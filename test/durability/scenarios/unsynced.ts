/**
 * What was written and never synced, read back by the next process, and taken by a power cut: sent again in between it is a duplicate, and whoever acknowledges it must have
 * made it durable first.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { until } from '../../support/cli.ts';
import { signedForm } from '../../support/twilio.ts';
import { openJournal } from '../journal.ts';
import type { Journal } from '../journal.ts';
import { makeLoopDisk } from '../loop-disk.ts';
import type { LoopDisk } from '../loop-disk.ts';
import { makePayload } from '../payload.ts';
import { startReady } from '../product.ts';
import type { Product } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';
import { findTool } from '../tools.ts';

const DISK_MB = 512;
const CLIENT = 'c';
const FAULT = 'acknowledged upon what was never synced';
/** Longer than anything here waits. */
const DELAY_MS = 60_000;

export const UNSYNCED: Scenario = {
  name: 'unsynced',
  proves: 'A message that is a duplicate only of something never synced is made durable before it is acknowledged.',
  needs: ['linux', 'root', 'mkfs.ext4', 'xfs_io', 'strace'],
  rounds: { short: 1, long: 20 },
  async run(run) {
    const disk = await makeLoopDisk(run.data, DISK_MB);
    try {
      const rig = await makeRig(run, `${disk.path}/data`);
      const journal = openJournal(run.journal, CLIENT);
      try {
        await disk.sync();
        for (let round = 1; round <= run.rounds; round += 1) {
          await leaveUnsynced(rig.product, journal, round);
          await acknowledgeAndCut(rig.product, disk, journal, round);
          rig.count(FAULT);
          await rig.checker.keepCheckpoint();
          run.report(`${round} of ${run.rounds} messages acknowledged upon what was never synced`);
        }
        return await rig.finish([FAULT]);
      } finally {
        journal.close();
        await rig.close();
      }
    } finally {
      await disk.remove();
    }
  },
};

/** Sends a message to a server that is killed after it has written it and before it has synced it. */
async function leaveUnsynced(product: Product, journal: Journal, n: number): Promise<void> {
  const server = await startReady(product);
  const log = join(dirname(product.logDirectory), 'archive.db-wal');
  const output = join(dirname(product.data), 'strace.out');
  const strace = holdSyncs(Number(server.process.pid), log, output);
  try {
    await until('strace has every thread', () => isTraced(Number(server.process.pid)));
    const sent = send(product, journal, n);
    await until('the write-ahead log is to be synced', async () =>
      (await readFile(output, 'utf8').catch(() => '')).includes('sync('),
    );
    // Both at once: a process that is traced ends for its parent only when strace lets it, and by then the kernel has synced by itself.
    server.process.kill('SIGKILL');
    strace.kill('SIGKILL');
    if ((await sent) !== undefined) throw new Error('it was acknowledged before it was synced');
  } finally {
    strace.kill('SIGKILL');
    await server.kill();
  }
}

/** Sends it again, and cuts the power as soon as it is acknowledged. */
async function acknowledgeAndCut(product: Product, disk: LoopDisk, journal: Journal, n: number): Promise<void> {
  const server = await startReady(product);
  try {
    const status = await send(product, journal, n);
    await disk.cutPower();
    if (status !== 200) throw new Error(`the second sending was answered with ${status}`);
  } finally {
    await server.kill();
  }
  await disk.remount();
}

/** Has every sync of a file wait, so long that it never comes to it. */
function holdSyncs(pid: number, path: string, output: string): ChildProcess {
  const syncs = 'fsync,fdatasync';
  const what = ['-e', `trace=${syncs}`, '-e', `inject=${syncs}:delay_enter=${DELAY_MS * 1000}`];
  return spawn(findTool('strace') ?? 'strace', ['-f', '-qq', '-p', String(pid), '-o', output, '-P', path, ...what], {
    stdio: 'ignore',
  });
}

async function isTraced(pid: number): Promise<boolean> {
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const status = await readFile(`/proc/${pid}/task/${task}/status`, 'utf8').catch(() => '');
    if (/^TracerPid:\t0$/m.test(status)) return false;
  }
  return true;
}

async function send(product: Product, journal: Journal, n: number): Promise<number | undefined> {
  const { sid, hash, form } = makePayload(CLIENT, n);
  journal.write(n, sid, hash, 'sent');
  const request = signedForm(product.hookUrl, Object.fromEntries(new URLSearchParams(form)));
  const status = await fetch(product.hookUrl, request).then(
    (answer) => answer.status,
    () => undefined,
  );
  journal.write(n, sid, hash, status === 200 ? 'acked' : status === undefined ? 'unknown' : `error:${status}`);
  return status;
}
