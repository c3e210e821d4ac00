/** A small disk that can lose its power: an ext4 image on a loop device. */
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { runTool } from './tools.ts';

const UNMOUNT_TRIES = 50;

export type LoopDisk = {
  /** Where it is mounted. */
  readonly path: string;
  /** Cuts its power: what was not made durable is gone, what is asked of it from now on fails. */
  cutPower(): Promise<void>;
  /** Takes it off and puts it on again, as a machine that starts does. Nothing may have a file open. */
  remount(): Promise<void>;
  /** Makes all that was written to it durable. */
  sync(): Promise<void>;
  /** Unmounts it, which frees the loop device, and deletes the image. */
  remove(): Promise<void>;
};

/** Makes a disk and mounts it. @param directory for the image and the mount point */
export async function makeLoopDisk(directory: string, megabytes: number): Promise<LoopDisk> {
  const image = join(directory, 'disk.img');
  const path = join(directory, 'disk');
  await mkdir(path, { recursive: true });
  const file = await open(image, 'w');
  await file.truncate(megabytes * 1024 * 1024);
  await file.close();
  await runTool('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  // `-o loop` frees the loop device by itself with the last unmount, so that none is left behind.
  const mount = (): Promise<string> => runTool('mount', ['-o', 'loop', image, path]);
  await mount();
  return {
    path,
    cutPower: async () => void (await runTool('xfs_io', ['-x', '-c', 'shutdown', path])),
    async remount() {
      await unmount(path);
      await mount();
    },
    sync: async () => void (await runTool('sync', ['-f', path])),
    async remove() {
      await unmount(path).catch(() => runTool('umount', ['-l', path]));
      await rm(image, { force: true });
    },
  };
}

/** A process that was killed a moment ago may still hold a file. */
async function unmount(path: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await runTool('umount', [path]);
      return;
    } catch (cause) {
      if (tries >= UNMOUNT_TRIES) throw cause;
      await pause(100);
    }
  }
}
