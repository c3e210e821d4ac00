/** The archive's disk full under load: senders are told to come again, capture goes on by itself when there is room; a start says what to do. */
import { open, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import { makeLoopDisk } from '../loop-disk.ts';
import type { LoopDisk } from '../loop-disk.ts';
import { startProduct } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';

const DISK_MB = 192;
const WAIT_MS_MAX = 60_000;
/** Bytes that are written at once until there is no room: large ones first. */
const CHUNKS = [1024 * 1024, 4096];

export const DISK_FULL: Scenario = {
  name: 'disk-full',
  proves: 'On a full disk nothing is acknowledged that is not kept, and capture goes on by itself when there is room.',
  needs: ['linux', 'root', 'mkfs.ext4'],
  rounds: { short: 1, long: 20 },
  async run(run) {
    const disk = await makeLoopDisk(run.data, DISK_MB);
    try {
      // A small disk must not be full of messages before it is made full.
      const rig = await makeRig({ perSecond: 200, ...run }, `${disk.path}/data`);
      try {
        await rig.tell('go');
        for (let round = 1; round <= run.rounds; round += 1) {
          await fillOnce(rig, disk);
          run.report(`${round} of ${run.rounds} full disks`);
        }
        return await rig.finish(['full disk', 'start on a full disk']);
      } finally {
        await rig.close();
      }
    } finally {
      await disk.remove();
    }
  },
};

/** The disk becomes full under load and empty again; then the server is started on a full one. */
export async function fillOnce(rig: Rig, disk: LoopDisk): Promise<void> {
  const filler = `${disk.path}/filler`;
  const server = startProduct(rig.product);
  try {
    if (!(await server.ready())) return rig.complain(`the server did not start: ${server.log().slice(-500)}`);
    await rig.moves('acked', 20);
    await fill(filler);
    if (await rig.moves('refused', 20, () => server.isOver())) rig.count('full disk');
    await rig.watch(server, 300);
    if (server.isOver()) rig.complain(`the server ended on a full disk: ${server.log().slice(-500)}`);
    await rm(filler, { force: true });
    if (!(await rig.moves('acked', 20, () => server.isOver())))
      rig.complain(`capture did not go on when there was room: ${server.log().slice(-500)}`);
    await fill(filler);
    await server.stop();
  } finally {
    await server.kill();
  }
  try {
    await startOnFullDisk(rig);
  } finally {
    await rm(filler, { force: true });
  }
}

/** It serves (refusing what it cannot keep), or ends with a line that says what to do. */
async function startOnFullDisk(rig: Rig): Promise<void> {
  const server = startProduct(rig.product);
  try {
    const isReady = await server.ready();
    rig.count('start on a full disk');
    if (isReady) return await rig.watch(server, 300);
    const { code } = await server.ended;
    const line = server.log().trim().split('\n')[0] ?? '';
    if (code !== 1 || !line.includes(rig.product.data) || !line.includes('make room'))
      rig.complain(
        `a start on a full disk ended with ${code} and does not say what to do: ${server.log().slice(-500)}`,
      );
  } finally {
    await server.kill();
  }
}

/** Takes all room there is. What the server frees meanwhile is taken, too. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'a');
  const deadline = performance.now() + WAIT_MS_MAX;
  try {
    for (const bytes of CHUNKS) {
      const chunk = Buffer.alloc(bytes, 1);
      let isFull = false;
      while (!isFull && performance.now() < deadline) {
        try {
          await file.write(chunk);
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
          isFull = true;
        }
      }
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  await pause(10);
}
