/** The contract of blobs.ts as a suite that every engine must pass. */
import { createHash, randomBytes } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import type { BlobStore } from '../blobs.ts';

/** A place of blobs under test, and what somebody does to it who does not go through the store. */
export type BlobPlace = {
  readonly blobs: BlobStore;
  /** Writes other bytes where a blob lies. */
  change(name: string, bytes: Uint8Array): Promise<void>;
  /** Puts something there that is no blob: beside the blob named, and elsewhere. */
  addStrangers(name: string): Promise<void>;
  /** What is half written: on this machine and where the blobs are. */
  listUnfinished(): Promise<string[]>;
  /** Leaves what a process leaves that is killed while it writes a blob. */
  leaveUnfinished(): Promise<void>;
};

/** An engine under test: makes an empty place. */
export type BlobEngineUnderTest = {
  readonly name: string;
  /** So many bytes are written in more than one piece. */
  readonly largeBytes: number;
  /** So many blobs are more than are listed at a time. */
  readonly manyBlobs: number;
  newPlace(): Promise<BlobPlace>;
};

/** Bytes in pieces, as a blob comes. */
export async function* inPieces(...parts: readonly (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}
/** What `inPieces` of these bytes is called. */
export const sha256Of = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** Reads a blob to its end. */
export async function readWhole(blobs: BlobStore, name: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(blobs.get(name)));
}

/** Runs the suite on an engine. */
export function describeBlobs(engine: BlobEngineUnderTest): void {
  describe(`blobs in ${engine.name}`, () => {
    let place: BlobPlace;
    let blobs: BlobStore;
    beforeEach(async () => {
      place = await engine.newPlace();
      blobs = place.blobs;
    });
    const listAll = (): Promise<string[]> => Array.fromAsync(blobs.list());

    it('are named by their bytes, and read back', async () => {
      const put = await blobs.put(inPieces('one ', '', 'two'));
      expect(put).toEqual({ name: sha256Of('one two'), bytes: 7 });
      expect((await readWhole(blobs, put.name)).toString()).toBe('one two');
      expect(await blobs.has(put.name)).toBe(true);
      expect(await place.listUnfinished()).toEqual([]);
    });

    it('may be empty, and may be put twice', async () => {
      const [a, b] = await Promise.all([blobs.put(inPieces()), blobs.put(inPieces())]);
      expect(a).toEqual({ name: sha256Of(''), bytes: 0 });
      expect(b).toEqual(a);
      expect(await readWhole(blobs, a.name)).toHaveLength(0);
      expect(await listAll()).toEqual([a.name]);
      await blobs.remove(a.name);
      expect([await blobs.has(a.name), await listAll()]).toEqual([false, []]);
    });

    it('may be large', async () => {
      const bytes = randomBytes(engine.largeBytes);
      const pieces = Array.from({ length: Math.ceil(bytes.length / 65_000) }, (_, index) =>
        bytes.subarray(index * 65_000, (index + 1) * 65_000),
      );
      const { name, bytes: size } = await blobs.put(inPieces(...pieces));
      expect([name, size]).toEqual([sha256Of(bytes), bytes.length]);
      expect((await readWhole(blobs, name)).equals(bytes)).toBe(true);
      expect(await place.listUnfinished()).toEqual([]);
    });

    it.each(['small', 'large'])('have a name that is told before they have it: %s', async (size) => {
      const bytes = size === 'small' ? Buffer.from('told') : randomBytes(engine.largeBytes);
      const seen: unknown[] = [];
      await blobs.put(inPieces(bytes), async (name) => {
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(name, await blobs.has(name), await listAll());
      });
      expect(seen).toEqual([sha256Of(bytes), false, []]);
    });

    it('are not kept where whoever is told the name cannot take it', async () => {
      const refusal = new Error('the note could not be kept');
      await expect(blobs.put(inPieces('x'), () => Promise.reject(refusal))).rejects.toBe(refusal);
      expect([await listAll(), await place.listUnfinished()]).toEqual([[], []]);
    });

    it('are listed in the order of their names; what else lies about is passed over', async () => {
      const names = [];
      for (let index = 0; index < engine.manyBlobs; index += 1)
        names.push((await blobs.put(inPieces(`blob ${index}`))).name);
      await place.addStrangers(names[0] ?? '');
      expect(await listAll()).toEqual(names.toSorted());
    });

    it('are none before the first', async () => {
      expect(await listAll()).toEqual([]);
      expect(await blobs.has(sha256Of('x'))).toBe(false);
      await expect(readWhole(blobs, sha256Of('x'))).rejects.toMatchObject({ code: 'not-found' });
    });

    it.each([0, engine.largeBytes])('leave nothing behind where their source fails after %d bytes', async (after) => {
      async function* failing(): AsyncIterable<Uint8Array> {
        yield Buffer.from('begun');
        yield randomBytes(after);
        throw new Error('the line went dead');
      }
      await expect(blobs.put(failing())).rejects.toThrow('the line went dead');
      expect([await listAll(), await place.listUnfinished()]).toEqual([[], []]);
    });

    it.each([
      ['altered', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 3), Buffer.from('X'), bytes.subarray(4)])],
      ['cut off', (bytes: Buffer) => bytes.subarray(0, -1)],
      ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from(' ')])],
      ['emptied', () => Buffer.alloc(0)],
    ])('that were %s are not read to the end', async (_name, change) => {
      const bytes = Buffer.from('some bytes of a medium');
      const { name } = await blobs.put(inPieces(bytes));
      await place.change(name, change(bytes));
      await expect(readWhole(blobs, name)).rejects.toMatchObject({ code: 'corrupt' });
    });

    it('may be read in part, and by several', async () => {
      const bytes = randomBytes(engine.largeBytes);
      const { name } = await blobs.put(inPieces(bytes));
      const first = blobs.get(name)[Symbol.asyncIterator]();
      expect((await first.next()).done).toBe(false);
      const wholes = await Promise.all([readWhole(blobs, name), readWhole(blobs, name)]);
      expect(wholes.map((whole) => whole.equals(bytes))).toEqual([true, true]);
      expect(await first.return?.()).toMatchObject({ done: true });
    });

    it('can be removed, and removing what is gone already is done', async () => {
      const kept = await blobs.put(inPieces('kept'));
      const { name } = await blobs.put(inPieces('x'));
      await blobs.remove(name);
      expect(await blobs.has(name)).toBe(false);
      await expect(readWhole(blobs, name)).rejects.toMatchObject({ code: 'not-found' });
      await blobs.remove(name);
      expect(await listAll()).toEqual([kept.name]);
      await blobs.remove(kept.name);
      await blobs.remove(kept.name);
      await (await engine.newPlace()).blobs.remove(name);
      expect((await blobs.put(inPieces('x'))).name).toBe(name);
      expect((await readWhole(blobs, name)).toString()).toBe('x');
    });

    it('that a killed process left half written are swept, and no others', async () => {
      const { name } = await blobs.put(inPieces('whole'));
      await place.leaveUnfinished();
      expect(await place.listUnfinished()).not.toEqual([]);
      await blobs.sweep();
      await blobs.sweep();
      expect([await place.listUnfinished(), await listAll()]).toEqual([[], [name]]);
      await blobs.put(inPieces('after the sweep'));
    });

    it.each([
      '',
      '..',
      '../../etc/passwd',
      'A'.repeat(64),
      'a'.repeat(63),
      `${'a'.repeat(64)}/x`,
      `${'a'.repeat(63)}\n`,
    ])('have no such name as %j', async (name) => {
      await expect(readWhole(blobs, name)).rejects.toMatchObject({ code: 'bad-input' });
      await expect(blobs.has(name)).rejects.toMatchObject({ code: 'bad-input' });
      await expect(blobs.remove(name)).rejects.toMatchObject({ code: 'bad-input' });
    });
  });
}
