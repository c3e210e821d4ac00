/** The files of a backup: media on their way into it and out of it, and the list of all that it holds. */
import { constants } from 'node:fs';
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { openBlobDirectory } from '../store/blobs.ts';
import { hashFile } from '../vault/hash-file.ts';
import { listTree } from './list-tree.ts';

/** Names of all media in a directory of blobs. */
export async function listMedia(directory: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of openBlobDirectory(directory).list()) names.push(name);
  return names;
}

/** Copies media. One that goes meanwhile belongs to a message that is being destroyed, and no copy of it may stay. */
export async function copyMedia(
  names: readonly string[],
  { from, to }: { readonly from: string; readonly to: string },
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  for (const [index, name] of names.entries()) {
    const path = join(name.slice(0, 2), name);
    await mkdir(dirname(join(to, path)), { recursive: true, mode: 0o700 });
    await copyFile(join(from, path), join(to, path), constants.COPYFILE_FICLONE).catch((cause: unknown) => {
      if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'ENOENT') throw cause;
    });
    onProgress(index + 1, names.length);
  }
}

/** All files below a directory with their sizes and SHA-256, by path. */
export async function listFiles(base: string): Promise<{ path: string; bytes: number; sha256: string }[]> {
  const files = [];
  for (const path of await listTree(base)) {
    const full = join(base, path);
    files.push({ path, bytes: (await stat(full)).size, sha256: await hashFile(full) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}
