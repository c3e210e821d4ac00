import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeEach, describe, expect, it } from 'vitest';

import { openBlobDirectory } from './blobs.ts';
import type { BlobStore } from './blobs.ts';

const base = await mkdtemp(join(tmpdir(), 'cartulary-blobs-'));
afterAll(() => rm(base, { recursive: true, force: true }));

let directory = '';
let blobs: BlobStore;
let count = 0;
beforeEach(() => {
  directory = join(base, String(count++));
  blobs = openBlobDirectory(directory);
});

async function* chunks(...parts: string[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}
async function read(name: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of blobs.get(name)) parts.push(part);
  return Buffer.concat(parts);
}
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const pathOf = (name: string): string => join(directory, name.slice(0, 2), name);
async function listAll(): Promise<string[]> {
  const names: string[] = [];
  for await (const name of blobs.list()) names.push(name);
  return names;
}

describe('blobs', () => {
  it('are named by their bytes, and read back', async () => {
    const put = await blobs.put(chunks('one ', '', 'two'));
    expect(put).toEqual({ name: sha256('one two'), bytes: 7 });
    expect((await read(put.name)).toString()).toBe('one two');
    expect(await blobs.has(put.name)).toBe(true);
    expect((await stat(pathOf(put.name))).mode & 0o777).toBe(0o600);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  it('may be empty, and may be put twice', async () => {
    const [a, b] = await Promise.all([blobs.put(chunks()), blobs.put(chunks())]);
    expect(a).toEqual({ name: sha256(''), bytes: 0 });
    expect(b).toEqual(a);
    expect(await read(a.name)).toHaveLength(0);
  });

  it('are listed in the order of their names; what else lies about is passed over', async () => {
    const names = [];
    for (let index = 0; index < 20; index += 1) names.push((await blobs.put(chunks(`blob ${index}`))).name);
    await mkdir(join(directory, 'zz'));
    await writeFile(join(directory, names[0]?.slice(0, 2) ?? '', 'notes.txt'), 'x');
    expect(await listAll()).toEqual([...names].sort());
  });

  it('are none before the first', async () => {
    expect(await listAll()).toEqual([]);
    expect(await blobs.has(sha256('x'))).toBe(false);
    await expect(read(sha256('x'))).rejects.toMatchObject({ code: 'not-found' });
  });

  it('leave nothing behind where their source fails', async () => {
    async function* failing(): AsyncIterable<Uint8Array> {
      yield Buffer.from('begun');
      throw new Error('the line went dead');
    }
    await expect(blobs.put(failing())).rejects.toThrow('the line went dead');
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
    expect(await listAll()).toEqual([]);
  });

  it.each([
    ['altered', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 3), Buffer.from('X'), bytes.subarray(4)])],
    ['cut off', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from(' ')])],
    ['emptied', () => Buffer.alloc(0)],
  ])('that were %s are not read to the end', async (_name, change) => {
    const { name } = await blobs.put(chunks('some bytes of a medium'));
    await writeFile(pathOf(name), change(await readFile(pathOf(name))));
    await expect(read(name)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('can be removed, and removing what is gone already is done', async () => {
    const { name } = await blobs.put(chunks('x'));
    await blobs.remove(name);
    expect(await blobs.has(name)).toBe(false);
    await blobs.remove(name);
    await rm(join(directory, name.slice(0, 2)), { recursive: true });
    await blobs.remove(name);
    await openBlobDirectory(join(base, 'never made')).remove(name);
  });

  it.each(['', '..', '../../etc/passwd', 'A'.repeat(64), 'a'.repeat(63), `${'a'.repeat(64)}/x`, `${'a'.repeat(63)}\n`])(
    'have no such name as %j',
    async (name) => {
      await expect(read(name)).rejects.toMatchObject({ code: 'bad-input' });
      await expect(blobs.has(name)).rejects.toMatchObject({ code: 'bad-input' });
      await expect(blobs.remove(name)).rejects.toMatchObject({ code: 'bad-input' });
    },
  );
});
