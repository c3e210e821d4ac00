import { describe, expect, test } from 'vitest';
import { verifyCheckpoint } from './checkpoint.ts';
import { sha256 } from './hash.ts';
import { LEAF_KINDS, encodeLeaf } from './leaf.ts';
import { SIGNATURE_COSIGNATURE, createNoteSigner } from './note.ts';
import { adoptHead, commitToHead, signHead, verifySuccessorEntry } from './signer.ts';
import type { Head, KnownHead, SignRequest, SignerMemory } from './signer.ts';
import { codeOf, codeOfAsync } from './testing/code-of.ts';
import { appendEntries, buildMemoryLog, testEntries, testSeed } from './testing/memory-log.ts';
import type { MemoryLog } from './testing/memory-log.ts';
import { emptyRoot } from './tree.ts';

type TestMemory = SignerMemory & { head: Head | undefined; writes: number };

function createMemory(head?: Head): TestMemory {
  const memory: TestMemory = {
    head,
    writes: 0,
    read: () => Promise.resolve(memory.head),
    write: async (head) => {
      // A durable write takes its time; whatever runs meanwhile must not see the old head.
      await new Promise((resolve) => setImmediate(resolve));
      memory.head = head;
      memory.writes += 1;
    },
  };
  return memory;
}

function requestFor(log: MemoryLog, memory: SignerMemory, change: Partial<SignRequest> = {}): SignRequest {
  const { origin, size, root, readTile, signer: key } = log;
  return { origin, size, root, readTile, memory, key, ...change };
}

const headOf = ({ origin, size, root }: Head): Head => ({ origin, size, root });

describe('signing', () => {
  test('follows a log from nothing, and remembers each head before it returns', async () => {
    const log = await buildMemoryLog(0);
    const memory = createMemory();
    for (const size of [0, 1, 255, 256, 257, 700]) {
      await appendEntries(log, testEntries(log.size, size));
      const note = await signHead(requestFor(log, memory));
      expect(verifyCheckpoint(note, log.signer)).toMatchObject(headOf(log));
      expect(memory.head).toEqual(headOf(log));
    }
  });

  test('the same head again: the same text, and no write', async () => {
    const log = await buildMemoryLog(300);
    const memory = createMemory();
    const note = await signHead(requestFor(log, memory));
    expect(await signHead(requestFor(log, memory, { key: [log.signer] }))).toBe(note);
    expect(memory.writes).toBe(1);
  });

  test('refuses smaller, forked and inconsistent heads, and tiles that do not fit; remembers none of them', async () => {
    const log = await buildMemoryLog(300);
    const last = headOf(log);
    const memory = createMemory(last);
    const code = (change: Partial<SignRequest>): Promise<string> =>
      codeOfAsync(() => signHead(requestFor(log, memory, change)));
    const small = await buildMemoryLog(299);
    expect(await code({ size: 299, root: small.root, readTile: small.readTile })).toBe('head-smaller');
    expect(await code({ size: 0, root: emptyRoot() })).toBe('head-smaller');
    expect(await code({ root: sha256() })).toBe('head-forked');
    const fork = await buildMemoryLog(299);
    await appendEntries(fork, [sha256(), sha256()]);
    expect(await code({ size: 301, root: fork.root, readTile: fork.readTile })).toBe('head-inconsistent');
    await appendEntries(log, testEntries(300, 400));
    expect(await code({ root: sha256() })).toBe('head-inconsistent');
    expect(await code({ size: 401, root: log.root })).toBe('bad-tile');
    expect(memory.head).toEqual(last);
    expect(memory.writes).toBe(0);
    expect(await code({})).toBe('ok');
  });

  test('a first head must be that of the tiles, and an empty memory may be refused', async () => {
    const log = await buildMemoryLog(5);
    const memory = createMemory();
    const code = (change: Partial<SignRequest>): Promise<string> =>
      codeOfAsync(() => signHead(requestFor(log, memory, change)));
    expect(await code({ root: sha256() })).toBe('root-mismatch');
    expect(await code({ isMemoryExpected: true })).toBe('memory-missing');
    expect(memory.writes).toBe(0);
    expect(await code({})).toBe('ok');
    expect(await code({ isMemoryExpected: true })).toBe('ok');
    const empty = createMemory({ origin: log.origin, size: 0, root: emptyRoot() });
    expect(await code({ memory: empty, root: sha256() })).toBe('root-mismatch');
    expect(await code({ memory: empty })).toBe('ok');
  });

  test('keys, origins and heads must belong together', async () => {
    const log = await buildMemoryLog(5);
    const memory = createMemory();
    const code = (change: Partial<SignRequest>): Promise<string> =>
      codeOfAsync(() => signHead(requestFor(log, memory, change)));
    const witness = createNoteSigner({ name: log.origin, seed: testSeed(1), type: SIGNATURE_COSIGNATURE });
    expect(await code({ origin: 'other.example' })).toBe('wrong-origin');
    expect(await code({ key: [] })).toBe('wrong-origin');
    expect(await code({ key: witness })).toBe('bad-key');
    expect(await code({ size: -1 })).toBe('bad-argument');
    expect(await code({ memory: createMemory({ ...headOf(log), origin: 'other.example' }) })).toBe('wrong-origin');
    expect(memory.writes).toBe(0);
  });

  test('when the memory fails, nothing is signed', async () => {
    const log = await buildMemoryLog(5);
    const full = new Error('disk full');
    const memory: SignerMemory = { read: () => Promise.resolve(undefined), write: () => Promise.reject(full) };
    await expect(signHead(requestFor(log, memory))).rejects.toBe(full);
    // A failed turn does not block the next one.
    await expect(signHead(requestFor(log, memory))).rejects.toBe(full);
  });

  test('of two heads at once, one memory lets only one history through', async () => {
    const log = await buildMemoryLog(10);
    const fork = await buildMemoryLog(9);
    await appendEntries(fork, [sha256()]);
    const memory = createMemory();
    const results = await Promise.allSettled([signHead(requestFor(log, memory)), signHead(requestFor(fork, memory))]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(memory.head).toEqual(headOf(log));
  });
});

describe('after a restore', async () => {
  const log = await buildMemoryLog(300);
  const atHand = { origin: log.origin, size: 300, readTile: log.readTile };
  const headAt = async (size: number): Promise<Head> => headOf(await buildMemoryLog(size));
  const known = (head: Head, source: KnownHead['source'], hasLeaves = false): KnownHead => ({
    head,
    source,
    hasLeaves,
  });

  // Tiles of size 300 answer for all smaller sizes, as a directory does that keeps partial tiles.
  const readTile: typeof log.readTile = (level, n) => log.readTile(level, n, level === 1 ? 1 : n === 0 ? 256 : 44);
  const adopt = (...heads: KnownHead[]): ReturnType<typeof adoptHead> =>
    adoptHead({ ...atHand, readTile, known: heads });

  test('goes on with the highest head when the tree holds all that are known', async () => {
    const [h100, h300] = [await headAt(100), await headAt(300)];
    expect(await adopt()).toEqual({ decision: 'continue', head: undefined });
    expect(await adopt(known(h300, 'witness'), known(h100, 'backup'))).toEqual({ decision: 'continue', head: h300 });
    expect(await adopt(known(h100, 'memory'))).toEqual({ decision: 'continue', head: h100 });
    expect(await adopt(known(h100, 'memory'), known(h100, 'mirror'))).toEqual({ decision: 'continue', head: h100 });
  });

  test('catches up from a source that has the leaves of the highest head', async () => {
    const h400 = await headAt(400);
    const mirror = known(h400, 'mirror', true);
    const wanted = { decision: 'catch-up-needed', range: { from: 300, to: 400 }, source: mirror };
    expect(await adopt(known(await headAt(100), 'backup', true), known(h400, 'witness'), mirror)).toEqual(wanted);
  });

  test('opens a successor when leaves are gone for good', async () => {
    const [h350, h400] = [await headAt(350), await headAt(400)];
    expect(await adopt(known(h400, 'witness'))).toEqual({
      decision: 'successor-needed',
      reason: 'leaves-lost',
      oldHead: h400,
      lost: { from: 300, to: 400 },
    });
    const mirror = known(h350, 'mirror', true);
    expect(await adopt(known(h400, 'witness'), mirror)).toEqual({
      decision: 'successor-needed',
      reason: 'leaves-lost',
      oldHead: h400,
      lost: { from: 350, to: 400 },
      catchUp: { range: { from: 300, to: 350 }, source: mirror },
    });
  });

  test('opens a successor when histories differ, and says from where', async () => {
    const [h100, h200, h400] = [await headAt(100), await headAt(200), await headAt(400)];
    const other = { ...h200, root: sha256() };
    const differs = { decision: 'successor-needed', reason: 'history-differs' };
    expect(await adopt(known(h100, 'backup'), known(other, 'witness'), known(h400, 'mirror', true))).toEqual({
      ...differs,
      oldHead: h400,
      lost: { from: 100, to: 400 },
    });
    expect(await adopt(known(other, 'witness'))).toEqual({ ...differs, oldHead: other, lost: { from: 0, to: 200 } });
    // Two heads of one size, both beyond the tree: at least one of them is false.
    const split = { ...h400, root: sha256() };
    expect(await adopt(known(h400, 'mirror', true), known(split, 'witness'))).toMatchObject({
      ...differs,
      lost: { from: 0, to: 400 },
    });
    const beyond = await headAt(350);
    expect(
      await adopt(known(h200, 'backup'), known(beyond, 'auditor'), known(h400, 'mirror'), known(split, 'witness')),
    ).toMatchObject({
      ...differs,
      lost: { from: 300, to: 400 },
    });
  });

  test('heads of another log are refused', async () => {
    const head = { ...(await headAt(3)), origin: 'other.example' };
    expect(await codeOfAsync(() => adopt(known(head, 'memory')))).toBe('wrong-origin');
  });
});

describe('a successor', async () => {
  const oldHead = headOf(await buildMemoryLog(300));
  const id = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
  const leaf = {
    version: 1,
    kind: LEAF_KINDS['log.succeeded'],
    archiveId: id(1),
    recordId: id(2),
    previous: id(0),
    commitment: commitToHead(oldHead),
    ciphertextHash: sha256(),
    timeMs: 1_700_000_000_000,
    actor: id(3),
  } as const;

  test('commits to the old head', () => {
    const entry = encodeLeaf(leaf);
    expect(codeOf(() => verifySuccessorEntry(entry, oldHead))).toBe('ok');
    expect(codeOf(() => verifySuccessorEntry(entry, { ...oldHead, size: 299 }))).toBe('root-mismatch');
    expect(codeOf(() => verifySuccessorEntry(entry, { ...oldHead, root: sha256() }))).toBe('root-mismatch');
    expect(codeOf(() => verifySuccessorEntry(entry, { ...oldHead, origin: 'x' }))).toBe('root-mismatch');
  });

  test('begins with no other leaf', () => {
    const audit = encodeLeaf({ ...leaf, kind: LEAF_KINDS.audit });
    expect(codeOf(() => verifySuccessorEntry(audit, oldHead))).toBe('bad-leaf');
    expect(codeOf(() => verifySuccessorEntry(new Uint8Array(3), oldHead))).toBe('bad-leaf');
  });
});
