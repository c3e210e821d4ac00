import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { isMissing } from '../vault/missing-file.ts';

/**
 * Paths of all files below a directory, relative to it. Directories that go while they are looked at (those of partial tiles) count as empty.
 * @throws the error of the file system for any other reason
 */
export async function listTree(directory: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(directory, below), { withFileTypes: true }).catch((cause: unknown) => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  const paths: string[] = [];
  for (const entry of entries) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) paths.push(...(await listTree(directory, path)));
    else if (entry.isFile()) paths.push(path);
  }
  return paths;
}
