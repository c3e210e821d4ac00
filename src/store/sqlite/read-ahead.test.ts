import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { makePlace, until } from '../../../test/support/cli.ts';
import { openReadAhead } from './read-ahead.ts';

const MIB = 1024 * 1024;
const place = await makePlace('ahead');
afterAll(() => place.remove());

/** A file of a size; without holes nothing could be told, and with them it costs nothing. */
async function makeFile(name: string, bytes: number): Promise<string> {
  const path = join(place.path, name);
  await writeFile(path, 'x');
  await truncate(path, bytes);
  return path;
}

describe('reading ahead', () => {
  it('begins when somebody reads on, keeps a window ahead, and ends with the file', async () => {
    const ahead = openReadAhead(await makeFile('long', 400 * MIB));
    const size = 4000;
    const sizeOf = (): number => size;
    ahead.note(0, 10, sizeOf);
    ahead.note(500, 510, sizeOf);
    ahead.note(20, 30, sizeOf);
    expect(ahead.position()).toBe(0);
    for (let from = 0; from < 100; from += 10) ahead.note(from, from + 10, sizeOf);
    await until('the window is read', async () => ahead.position() >= 128 * MIB);
    expect(ahead.position()).toBeLessThan(150 * MIB);
    for (let from = 100; from < size; from += 10) ahead.note(from, from + 10, sizeOf);
    await until('the end is reached', async () => ahead.position() === 400 * MIB);
    await ahead.close();
  });

  it('bears with a file that is not there', async () => {
    const ahead = openReadAhead(join(place.path, 'none'));
    for (let from = 0; from < 100; from += 10) ahead.note(from, from + 10, () => 100);
    await ahead.close();
    expect(ahead.position()).toBe(0);
  });
});
