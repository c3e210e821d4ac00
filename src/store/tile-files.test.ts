import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeEach, describe, expect, it } from 'vitest';

import { encodeEntryBundle, entriesPath, tilePath } from '../ledger/tiles.ts';
import { openTileFiles } from './tile-files.ts';
import type { TileFiles } from './tile-files.ts';

const base = await mkdtemp(join(tmpdir(), 'cartulary-tiles-'));
afterAll(() => rm(base, { recursive: true, force: true }));

let directory = '';
let files: TileFiles;
let count = 0;
beforeEach(() => {
  directory = join(base, String(count++));
  files = openTileFiles(directory);
});

const bytes = (value: number, length = 32): Uint8Array => new Uint8Array(length).fill(value);

describe('tile files', () => {
  it('are read where they were written', async () => {
    await files.write([
      { path: tilePath(0, 1234, 256), bytes: bytes(1) },
      { path: tilePath(1, 4, 7), bytes: bytes(2) },
      { path: entriesPath(1234, 256), bytes: bytes(3) },
    ]);
    expect([...(await files.readTile(0, 1234, 256))]).toEqual([...bytes(1)]);
    expect([...(await files.readTile(1, 4, 7))]).toEqual([...bytes(2)]);
    expect([...(await files.readEntries(1234, 256))]).toEqual([...bytes(3)]);
    expect((await stat(join(directory, 'tile/0/x001/234'))).isFile()).toBe(true);
  });

  it('give the full tile in the place of a partial one that has gone, of which it is the continuation', async () => {
    await files.write([{ path: tilePath(0, 0, 5), bytes: bytes(5) }]);
    await files.write([{ path: tilePath(0, 0, 9), bytes: bytes(9) }]);
    expect([...(await files.readTile(0, 0, 5))]).toEqual([...bytes(5)]);
    await files.write([{ path: tilePath(0, 0, 256), bytes: bytes(0xff) }]);
    expect([...(await files.readTile(0, 0, 5))]).toEqual([...bytes(0xff)]);
    expect((await readdir(join(directory, 'tile/0'))).sort()).toEqual(['000']);
  });

  it('give a wider partial tile where the narrower one was never published, as after a restore of a backup made under load', async () => {
    await files.write([{ path: tilePath(1, 0, 9), bytes: bytes(9) }]);
    await files.write([{ path: tilePath(1, 0, 12), bytes: bytes(12) }]);
    expect([...(await files.readTile(1, 0, 8))]).toEqual([...bytes(9)]);
    expect([...(await files.readTile(1, 0, 11))]).toEqual([...bytes(12)]);
    await expect(files.readTile(1, 0, 13)).rejects.toMatchObject({ code: 'log-damaged' });
  });

  it('say that one is missing, never that it is empty', async () => {
    await expect(files.readTile(0, 0, 5)).rejects.toMatchObject({ code: 'log-damaged' });
    await expect(files.readTile(0, 0, 256)).rejects.toMatchObject({ code: 'log-damaged' });
    await expect(files.readEntries(7, 1)).rejects.toMatchObject({ code: 'log-damaged' });
    await mkdir(join(directory, tilePath(0, 3, 256)), { recursive: true });
    await expect(files.readTile(0, 3, 256)).rejects.toMatchObject({ code: 'EISDIR' });
  });

  it('replace the checkpoint whole', async () => {
    expect(await files.readCheckpoint()).toBeUndefined();
    await files.writeCheckpoint('a longer checkpoint — with a dash\n');
    await files.writeCheckpoint('short\n');
    expect(await files.readCheckpoint()).toBe('short\n');
    expect(await readdir(directory)).toEqual(['checkpoint']);
  });

  it('write over what a crash left half done', async () => {
    const path = join(directory, tilePath(0, 0, 3));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, 'half of something much longer');
    await files.write([{ path: tilePath(0, 0, 3), bytes: bytes(3) }]);
    expect([...(await files.readTile(0, 0, 3))]).toEqual([...bytes(3)]);
  });

  it('show the public nothing but the log', async () => {
    await files.write([{ path: tilePath(0, 0, 3), bytes: bytes(3) }]);
    await files.writeCheckpoint('head\n');
    await writeFile(join(directory, 'secret'), 'x');
    await writeFile(join(base, 'outside'), 'x');
    const found = async (path: string): Promise<string | undefined> => {
      const file = await files.findPublic(path);
      return file === undefined ? undefined : Buffer.from(file).toString('latin1');
    };
    expect(await found('checkpoint')).toBe('head\n');
    expect(await found('tile/0/000.p/3')).toBe('\x03'.repeat(32));
    for (const path of [
      'secret',
      '../outside',
      'tile/0/../../secret',
      'tile/0/../../../outside',
      '/etc/passwd',
      'tile/0/000.p/03',
      'tile/0/000.p',
      'tile/0/000.p/3.new',
      'tile/0/000.p/4',
      'tile/0',
      'tile/00/000.p/3',
      'checkpoint/',
      'checkpoint\0',
      '',
      '.',
    ])
      expect([path, await found(path)]).toEqual([path, undefined]);
    await files.write([
      { path: tilePath(0, 0, 7), bytes: Buffer.concat([bytes(3, 96), bytes(7, 128)]) },
      { path: entriesPath(0, 2), bytes: encodeEntryBundle([bytes(8, 5), bytes(9, 6)]) },
    ]);
    // Another node has published a head that this one has not.
    expect((await files.findPublic('tile/0/000.p/4'))?.length).toBe(128);
    expect(await files.findPublic('tile/0/000.p/8')).toBeUndefined();
    expect(await files.findPublic('tile/entries/000.p/1')).toEqual(encodeEntryBundle([bytes(8, 5)]));
    await rm(join(directory, 'checkpoint'));
    await mkdir(join(directory, 'checkpoint'));
    expect(await found('checkpoint')).toBeUndefined();
  });
});
