/** The files of a backup: media on their way into it and out of it, and the list of all that it holds. */
import { constants } from 'node:fs';
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { blobPath } from '../store/blobs.ts';
import { hashFile } from '../vault/hash-file.ts';
import { isMissing } from '../vault/missing-file.ts';
import { listTree } from './list-tree.ts';

/**
 * Copies media.
 * @param options `mayGo`: from a running archive, in which one that goes meanwhile belongs to a message that is being destroyed, and no copy of it may stay
 */
export async function copyMedia(
  names: readonly string[],
  { from, to, mayGo }: { readonly from: string; readonly to: string; readonly mayGo: boolean },
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  for (const [index, name] of names.entries()) {
    const path = blobPath(name);
    await mkdir(dirname(join(to, path)), { recursive: true, mode: 0o700 });
    await copyFile(join(from, path), join(to, path), constants.COPYFILE_FICLONE).catch((cause: unknown) => {
      if (!mayGo || !isMissing(cause)) throw cause;
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
