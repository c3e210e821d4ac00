/**
 * Files by name in a place on another machine: what backups are sent to. A file is there whole or not at all. This is the place that is a directory, mounted here from that
 * machine; the other is a bucket (`s3/objects.ts`).
 */
import { randomBytes } from 'node:crypto';
import { copyFile, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { syncDirectory, syncFile } from '../vault/durable-file.ts';
import { isMissing } from '../vault/missing-file.ts';
import { ensureDirectory } from './blobs.ts';

/** Files of a place. Names are of letters, digits and `._-` between single slashes. */
export type ObjectPlace = {
  /** Keeps a file of this machine under a name, in the place of the one that has it. Durable when it answers. */
  put(name: string, path: string): Promise<void>;
  /** Fetches into a new file. @throws CartularyError `not-found` */
  get(name: string, path: string): Promise<void>;
  /** Names that begin so, and how large each is. */
  list(prefix: string): AsyncIterable<{ readonly name: string; readonly bytes: number }>;
  /** Removes what was being written below a prefix when a process was killed. Only where no other writes there. */
  sweep(prefix: string): Promise<void>;
  /** Removes for good; one that is not there is removed already. */
  remove(name: string): Promise<void>;
};

const NAME = /^[\w.-]+(?:\/[\w.-]+)*$/;
/** Files that are not whole yet, or that a killed process has left. */
const PART = '.part';

/** @throws CartularyError `internal` for what is no name, or leads out of the place */
export function assertObjectName(name: string): void {
  if (!NAME.test(name) || name.split('/').some((part) => part === '.' || part === '..') || name.endsWith(PART))
    throw new CartularyError('internal', 'this is not the name of a file of a backup');
}

/** Opens a directory as a place. */
export function openDirectoryPlace(directory: string): ObjectPlace {
  const pathOf = (name: string): string => {
    assertObjectName(name);
    return join(directory, name);
  };
  return {
    async put(name, path) {
      const to = pathOf(name);
      // A mount that is away must not become a directory of this disk, which would fill.
      await assertThere(directory);
      await ensureDirectory(dirname(to));
      const part = `${to}.${randomBytes(6).toString('hex')}${PART}`;
      try {
        await copyFile(path, part);
        await syncPath(part);
        await rename(part, to);
      } catch (cause) {
        await rm(part, { force: true });
        throw cause;
      }
      await syncDirectory(dirname(to));
    },
    async get(name, path) {
      await assertThere(directory);
      try {
        await copyFile(pathOf(name), path);
      } catch (cause) {
        if (isMissing(cause)) throw new CartularyError('not-found', `the backup has no ${name}`, { cause });
        throw cause;
      }
    },
    async *list(prefix) {
      await assertThere(directory);
      const at = prefix.lastIndexOf('/') + 1;
      for await (const found of listBelow(directory, prefix.slice(0, at), prefix.slice(at)))
        if (!found.name.endsWith(PART)) yield found;
    },
    async sweep(prefix) {
      const at = prefix.lastIndexOf('/') + 1;
      for await (const { name } of listBelow(directory, prefix.slice(0, at), prefix.slice(at)))
        if (name.endsWith(PART)) await removeWithDirectory(join(directory, name));
    },
    async remove(name) {
      await removeWithDirectory(pathOf(name));
    },
  };
}

/** The directory of a backup goes with its last file. */
async function removeWithDirectory(path: string): Promise<void> {
  await rm(path, { force: true });
  await rmdir(dirname(path)).catch(() => undefined);
}

async function assertThere(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (found?.isDirectory() !== true)
    throw new CartularyError('file', `there is no directory ${directory}: is it mounted? Make it where it is new`);
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.chmod(0o600);
    await syncFile(file, path);
  } finally {
    await file.close();
  }
}

async function* listBelow(
  base: string,
  below: string,
  begin: string,
): AsyncIterable<{ readonly name: string; readonly bytes: number }> {
  const entries = await readdir(join(base, below), { withFileTypes: true }).catch((cause: unknown) => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  for (const entry of entries) {
    if (!entry.name.startsWith(begin)) continue;
    const name = below + entry.name;
    if (entry.isDirectory()) yield* listBelow(base, `${name}/`, '');
    else if (entry.isFile()) {
      const found = await stat(join(base, name)).catch(() => undefined);
      if (found !== undefined) yield { name, bytes: found.size };
    }
  }
}
