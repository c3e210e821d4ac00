import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { blobPath, openBlobDirectory } from './blobs.ts';
import { describeBlobs, inPieces } from './testing/blob-conformance.ts';

const base = await mkdtemp(join(tmpdir(), 'cartulary-blobs-'));
afterAll(() => rm(base, { recursive: true, force: true }));
let count = 0;
const newDirectory = (): string => join(base, String(count++));
const unfinishedIn = (directory: string): Promise<string[]> =>
  readdir(join(directory, 'incoming')).catch((): string[] => []);

describeBlobs({
  name: 'a directory',
  largeBytes: 3_000_000,
  manyBlobs: 20,
  async newPlace() {
    const directory = newDirectory();
    return {
      blobs: openBlobDirectory(directory),
      change: (name, bytes) => writeFile(join(directory, blobPath(name)), bytes),
      async addStrangers(name) {
        await mkdir(join(directory, 'zz'));
        await writeFile(join(directory, 'zz', name), 'x');
        await writeFile(join(directory, name.slice(0, 2), 'notes.txt'), 'x');
      },
      listUnfinished: () => unfinishedIn(directory),
      async leaveUnfinished() {
        await mkdir(join(directory, 'incoming'), { recursive: true });
        await writeFile(join(directory, 'incoming', 'half'), 'begu');
      },
    };
  },
});

it('only their owner can read them', async () => {
  const directory = newDirectory();
  const { name } = await openBlobDirectory(directory).put(inPieces('x'));
  expect((await stat(join(directory, blobPath(name)))).mode & 0o777).toBe(0o600);
});
