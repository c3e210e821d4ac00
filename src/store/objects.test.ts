import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { openDirectoryPlace } from './objects.ts';
import { describeObjects } from './testing/object-conformance.ts';

const base = await mkdtemp(join(tmpdir(), 'cartulary-places-'));
afterAll(() => rm(base, { recursive: true, force: true }));

describeObjects('a directory', async () => openDirectoryPlace(base), 300_000);

it('a directory that is not mounted is not made', async () => {
  const path = join(base, 'mounted', 'here');
  await writeFile(join(base, 'file'), 'x');
  const place = openDirectoryPlace(path);
  await expect(place.put('a/b', join(base, 'file'))).rejects.toThrow(/is it mounted/);
  await expect(Array.fromAsync(place.list('a/'))).rejects.toThrow(/is it mounted/);
  await mkdir(path, { recursive: true });
  await place.put('a/b', join(base, 'file'));
  await place.remove('a/b');
  // The directory of what was removed went with it.
  expect(await readdir(path)).toEqual([]);
});
