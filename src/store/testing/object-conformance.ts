/** What a place for files by name must do, wherever it is. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CartularyError } from '../../model/errors.ts';
import type { ObjectPlace } from '../objects.ts';

/** Runs the tests of a kind of place. @param newPlace an empty one */
export function describeObjects(name: string, newPlace: () => Promise<ObjectPlace>, largeBytes: number): void {
  describe(`files by name in ${name}`, () => {
    let work: string;
    let place: ObjectPlace;
    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'cartulary-objects-'));
      place = await newPlace();
    });
    afterAll(() => rm(work, { recursive: true, force: true }));
    const put = async (object: string, bytes: string | Buffer): Promise<void> => {
      await writeFile(join(work, 'out'), bytes);
      await place.put(object, join(work, 'out'));
    };
    const get = async (object: string): Promise<string> => {
      await place.get(object, join(work, 'in'));
      return readFile(join(work, 'in'), 'latin1');
    };
    const list = async (prefix: string): Promise<string[]> =>
      (await Array.fromAsync(place.list(prefix))).map((found) => `${found.name} ${found.bytes}`).sort();

    it('keeps them, replaces them, lists them by how they begin, removes them for good', async () => {
      const large = Buffer.alloc(largeBytes, 'a large file ').toString('latin1');
      await put('content/arc_1/2026-a/archive.db', large);
      await put('content/arc_1/2026-a/manifest.json', 'one');
      await put('content/arc_1/2026-b/manifest.json', 'two');
      await put('content/arc_1/blobs/xx', 'not asked for');
      await put('content/arc_1/2026-b/manifest.json', 'three');
      expect(await get('content/arc_1/2026-a/archive.db')).toBe(large);
      expect(await get('content/arc_1/2026-b/manifest.json')).toBe('three');
      expect(await list('content/arc_1/2')).toEqual([
        `content/arc_1/2026-a/archive.db ${largeBytes}`,
        'content/arc_1/2026-a/manifest.json 3',
        'content/arc_1/2026-b/manifest.json 5',
      ]);
      await place.remove('content/arc_1/2026-b/manifest.json');
      await place.remove('content/arc_1/2026-b/manifest.json');
      expect(await list('content/arc_1/2026-b')).toEqual([]);
      expect(await list('nothing/')).toEqual([]);
    });

    it('says what is not there, and takes no name that leads elsewhere', async () => {
      const codeOf = (act: Promise<unknown>): Promise<unknown> =>
        act.then(
          () => 'none',
          (cause: unknown) => (cause instanceof CartularyError ? cause.code : cause),
        );
      expect(await codeOf(place.get('content/none', join(work, 'in')))).toBe('not-found');
      for (const wrong of ['../x', 'a/../../x', '/x', 'a//x', 'x y', 'x.part', ''])
        expect([wrong, await codeOf((async () => place.get(wrong, join(work, 'in')))())]).toEqual([wrong, 'internal']);
    });
  });
}
