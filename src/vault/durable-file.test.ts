import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { writeFileDurably } from './durable-file.ts';
import { codeOfAsync, testBytes, toHex } from './testing/vectors.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-durable-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('writeFileDurably', () => {
  it('writes a file with its mode, whatever the umask is, and leaves nothing else', async () => {
    const path = join(directory, 'a');
    await writeFileDurably(path, testBytes(100), 0o666);
    expect(toHex(await readFile(path))).toBe(toHex(testBytes(100)));
    expect((await stat(path)).mode & 0o777).toBe(0o666);
    expect(await readdir(directory)).toEqual(['a']);
  });

  it('replaces the old content as a whole, so that a reader who has it open keeps it', async () => {
    const path = join(directory, 'a');
    await writeFileDurably(path, testBytes(100), 0o600);
    const before = (await stat(path)).ino;
    await writeFileDurably(path, testBytes(3, 2), 0o600);
    expect(toHex(await readFile(path))).toBe(toHex(testBytes(3, 2)));
    expect((await stat(path)).ino).not.toBe(before);
    expect(await readdir(directory)).toEqual(['a']);
  });

  it('can refuse to replace, and then changes nothing', async () => {
    const path = join(directory, 'a');
    await writeFileDurably(path, testBytes(4), 0o600, { ifAbsent: true });
    expect(await codeOfAsync(writeFileDurably(path, testBytes(4, 2), 0o600, { ifAbsent: true }))).toBe('conflict');
    expect(toHex(await readFile(path))).toBe(toHex(testBytes(4)));
    expect(await readdir(directory)).toEqual(['a']);
  });

  it('lets only one of many writers win', async () => {
    const path = join(directory, 'a');
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        writeFileDurably(path, testBytes(1000, index), 0o600, { ifAbsent: true }),
      ),
    );
    const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(toHex(await readFile(path))).toBe(toHex(testBytes(1000, winners[0])));
    expect(await readdir(directory)).toEqual(['a']);
  });

  it('leaves no temporary file when the last step fails', async () => {
    const path = join(directory, 'taken');
    await mkdir(path);
    await writeFile(join(path, 'x'), 'x');
    await expect(writeFileDurably(path, testBytes(4), 0o600)).rejects.toThrow();
    await expect(writeFileDurably(join(directory, 'absent', 'a'), testBytes(4), 0o600)).rejects.toThrow('ENOENT');
    await expect(
      writeFileDurably(join(directory, 'absent', 'a'), testBytes(4), 0o600, { ifAbsent: true }),
    ).rejects.toThrow('ENOENT');
    expect(await readdir(directory)).toEqual(['taken']);
  });
});
