import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from './hash.ts';
import { codeOf } from './testing/code-of.ts';
import { buildMemoryLog } from './testing/memory-log.ts';
import { consistencyProof, createTileCache, inclusionProof, rootAt } from './tiles.ts';
import {
  ENTRY_BYTES_MAX,
  appendLeafHash,
  appendLeafHashes,
  decodeRange,
  emptyRange,
  emptyRoot,
  encodeRange,
  leafHash,
  nodeHash,
  pushLeaf,
  rangeRoot,
  rangeSize,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';

const VECTORS = join(import.meta.dirname, '../../test/vectors');

const base64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** RFC 6962 §2.1, as it stands there: the outside measure for the loops. */
function rootByRecursion(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  if (only === undefined) return sha256();
  if (hashes.length === 1) return only;
  const split = splitPoint(hashes.length);
  return sha256(Uint8Array.of(1), rootByRecursion(hashes.slice(0, split)), rootByRecursion(hashes.slice(split)));
}

function splitPoint(count: number): number {
  return 2 ** Math.ceil(Math.log2(count) - 1);
}

/** PATH(m, D[n]) of RFC 6962 §2.1.1. */
function pathByRecursion(index: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  if (hashes.length === 1) return [];
  const split = splitPoint(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return index < split
    ? [...pathByRecursion(index, left), rootByRecursion(right)]
    : [...pathByRecursion(index - split, right), rootByRecursion(left)];
}

/** SUBPROOF(m, D[n], b) of RFC 6962 §2.1.2. */
function subproofByRecursion(size: number, hashes: readonly Uint8Array[], isWhole: boolean): Uint8Array[] {
  if (size === hashes.length) return isWhole ? [] : [rootByRecursion(hashes)];
  const split = splitPoint(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return size <= split
    ? [...subproofByRecursion(size, left, isWhole), rootByRecursion(right)]
    : [...subproofByRecursion(size - split, right, false), rootByRecursion(left)];
}

describe('the reference tree of RFC 6962', () => {
  const vectors = JSON.parse(readFileSync(join(VECTORS, 'rfc6962-reference-tree.json'), 'utf8'));

  test('hashes of nothing, leaves and nodes', () => {
    const wanted = new Map<string, string>(
      vectors.hash_vectors.map(({ desc, hex }: { desc: string; hex: string }) => [desc, hex]),
    );
    const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(hex(emptyRoot())).toBe(wanted.get('empty root'));
    expect(hex(leafHash(ascii('')))).toBe(wanted.get('empty leaf'));
    expect(hex(leafHash(ascii('L123456')))).toBe(wanted.get('leaf L123456'));
    // The vector's inputs are no hashes, so that `nodeHash` refuses them.
    expect(hex(sha256(Uint8Array.of(1), ascii('N123'), ascii('N456')))).toBe(wanted.get('node(N123,N456)'));
    expect(codeOf(() => nodeHash(ascii('N123'), ascii('N456')))).toBe('bad-format');
    expect(codeOf(() => nodeHash(sha256(), ascii('N456')))).toBe('bad-format');
  });

  test('roots of sizes 0 to 8', () => {
    let range = emptyRange();
    const roots = [hex(rangeRoot(range))];
    for (const input of vectors.leaf_inputs_hex) {
      range = appendLeafHash(range, leafHash(Uint8Array.from(Buffer.from(input, 'hex'))));
      roots.push(hex(rangeRoot(range)));
    }
    expect(roots).toEqual(vectors.root_hashes_by_size);
  });
});

type Probe = { desc: string; wantErr: boolean; root: string; leafHash: string; root1: string; root2: string };

/** Numbers as bigint, since two probes use 2^64 - 1; a missing proof is an empty one. */
function readProbe(path: string): { probe: Probe; counts: Record<string, bigint>; proof: Uint8Array[] } {
  const text = readFileSync(path, 'utf8');
  const probe = JSON.parse(text);
  const counts: Record<string, bigint> = {};
  for (const [, name = '', value = ''] of text.matchAll(/"(leafIdx|treeSize|size1|size2)":\s*([0-9]+)/g)) {
    counts[name] = BigInt(value);
  }
  return { probe, counts, proof: (probe.proof ?? []).map(base64) };
}

function listProbes(kind: string): string[] {
  const root = join(VECTORS, 'transparency-dev-merkle/testdata', kind);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(root, name));
}

describe('probes of transparency-dev', () => {
  test('98 inclusion proofs', () => {
    const paths = listProbes('inclusion');
    expect(paths).toHaveLength(98);
    for (const path of paths) {
      const { probe, counts, proof } = readProbe(path);
      const claim = {
        index: counts['leafIdx'] ?? 0n,
        size: counts['treeSize'] ?? 0n,
        leafHash: base64(probe.leafHash),
        root: base64(probe.root),
        proof,
      };
      expect({ path, failed: codeOf(() => verifyInclusion(claim)) !== 'ok' }).toEqual({ path, failed: probe.wantErr });
    }
  });

  test('98 consistency proofs', () => {
    const paths = listProbes('consistency');
    expect(paths).toHaveLength(98);
    const differing: string[] = [];
    for (const path of paths) {
      const { probe, counts, proof } = readProbe(path);
      const claim = {
        oldSize: counts['size1'] ?? 0n,
        newSize: counts['size2'] ?? 0n,
        oldRoot: base64(probe.root1),
        newRoot: base64(probe.root2),
        proof,
      };
      if ((codeOf(() => verifyConsistency(claim)) !== 'ok') !== probe.wantErr) differing.push(path);
    }
    // Its roots are not 32 bytes long, and are refused before they are compared.
    expect(differing.map((path) => path.split('/').at(-1))).toEqual(['sizes-are-equal-one-and-proof-is-empty.json']);
  });
});

describe('compact range', () => {
  test('gives the root of the recursion, for any leaves and any batches', () => {
    const leaves = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 70 });
    fc.assert(
      fc.property(leaves, fc.nat({ max: 70 }), (entries, cut) => {
        const hashes = entries.map(leafHash);
        const range = appendLeafHashes(appendLeafHashes(emptyRange(), hashes.slice(0, cut)), hashes.slice(cut));
        expect(rangeSize(range)).toBe(entries.length);
        expect(rangeRoot(range)).toEqual(rootByRecursion(hashes));
        expect(decodeRange(encodeRange(range))).toEqual(range);
        expect(structuredClone(range)).toEqual(range);
      }),
      { seed: 6962, numRuns: 150 },
    );
  });

  test('appending leaves the range passed in as it was', () => {
    const before = appendLeafHashes(emptyRange(), [sha256(), sha256()]);
    const copy = structuredClone(before);
    appendLeafHash(before, sha256());
    expect(before).toEqual(copy);
  });

  test('refuses what cannot be a range or a hash', () => {
    expect(codeOf(() => appendLeafHash(emptyRange(), new Uint8Array(31)))).toBe('bad-format');
    expect(codeOf(() => appendLeafHash({ size: Number.MAX_SAFE_INTEGER, nodes: [] }, sha256()))).toBe('bad-argument');
    expect(codeOf(() => pushLeaf([], 1, sha256()))).toBe('bad-argument');
    expect(codeOf(() => decodeRange(new Uint8Array(7)))).toBe('bad-format');
    expect(codeOf(() => decodeRange(new Uint8Array(8).fill(255)))).toBe('limit');
    expect(codeOf(() => decodeRange(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 3, ...sha256())))).toBe('bad-format');
    expect(codeOf(() => leafHash(new Uint8Array(ENTRY_BYTES_MAX + 1)))).toBe('limit');
    expect(codeOf(() => leafHash(new Uint8Array(ENTRY_BYTES_MAX)))).toBe('ok');
  });

  test('sizes past 2^32 carry on as small ones do', () => {
    const nodes = [sha256(Uint8Array.of(1)), sha256(Uint8Array.of(2))];
    const grown = appendLeafHash({ size: 2 ** 40 + 1, nodes }, sha256());
    expect(grown.nodes).toHaveLength(2);
    expect(grown.nodes[1]).toEqual(nodeHash(sha256(Uint8Array.of(2)), sha256()));
  });
});

describe('proofs of all sizes up to 300', async () => {
  const log = await buildMemoryLog(300);
  const hashes = log.entries.map(leafHash);
  const roots = Array.from({ length: 301 }, (_, size) => rootByRecursion(hashes.slice(0, size)));
  const cache = createTileCache(16);
  const { readTile } = log;
  // The tiles of size 300 hold those of each smaller size.
  const readPrefix = (level: number, n: number): ReturnType<typeof readTile> =>
    readTile(level, n, n === 0 && level === 0 ? 256 : level === 1 ? 1 : 44);
  const rootOf = (size: number): Uint8Array => roots[size] ?? sha256();

  test('roots', async () => {
    for (let size = 0; size <= 300; size += 1) expect(await rootAt(size, readPrefix, cache)).toEqual(roots[size]);
  });

  test('inclusion', async () => {
    for (let size = 1; size <= 300; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const proof = await inclusionProof({ index, size, readTile: readPrefix, cache });
        verifyInclusion({ index, size, leafHash: hashes[index] ?? sha256(), root: rootOf(size), proof });
        if ((index + size) % 97 === 0) expect(proof).toEqual(pathByRecursion(index, hashes.slice(0, size)));
      }
    }
  });

  test('consistency', async () => {
    for (let newSize = 1; newSize <= 300; newSize += 1) {
      for (let oldSize = 1; oldSize <= newSize; oldSize += 1) {
        const proof = await consistencyProof({ oldSize, newSize, readTile: readPrefix, cache });
        verifyConsistency({ oldSize, newSize, oldRoot: rootOf(oldSize), newRoot: rootOf(newSize), proof });
        if ((oldSize + newSize) % 97 === 0) {
          expect(proof).toEqual(subproofByRecursion(oldSize, hashes.slice(0, newSize), true));
        }
      }
    }
  });

  const place = fc
    .integer({ min: 2, max: 300 })
    .chain((size) => fc.tuple(fc.constant(size), fc.nat({ max: size - 1 })));

  test('one flipped bit, one hash more or less, another index or size: no inclusion', async () => {
    const change = fc.tuple(fc.constantFrom('bit', 'drop', 'add', 'index', 'size'), fc.nat(), fc.nat({ max: 255 }));
    await fc.assert(
      fc.asyncProperty(place, change, async ([size, index], [kind, pick, bit]) => {
        const proof = await inclusionProof({ index, size, readTile: readPrefix, cache });
        const claim = { index, size, leafHash: hashes[index] ?? sha256(), root: rootOf(size), proof };
        const parts = [claim.leafHash.slice(), claim.root.slice(), ...proof];
        if (kind === 'bit') {
          const part = parts[pick % parts.length] ?? sha256();
          part[bit >> 3] = (part[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          [claim.leafHash = sha256(), claim.root = sha256()] = parts;
        } else if (kind === 'drop') claim.proof = proof.toSpliced(pick % proof.length, 1);
        else if (kind === 'add') claim.proof = proof.toSpliced(pick % (proof.length + 1), 0, sha256());
        else if (kind === 'index') claim.index = (index + 1 + (pick % (size - 1))) % size;
        // Not every other size changes the shape of a proof, but an index outside the tree always fails.
        else claim.size = index;
        expect(codeOf(() => verifyInclusion(claim))).toBe('bad-proof');
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  test('one flipped bit, one hash more or less: no consistency', async () => {
    const change = fc.tuple(fc.constantFrom('bit', 'drop', 'add', 'swap'), fc.nat(), fc.nat({ max: 255 }));
    await fc.assert(
      fc.asyncProperty(place, change, async ([newSize, below], [kind, pick, bit]) => {
        const oldSize = Math.max(1, below);
        const proof = await consistencyProof({ oldSize, newSize, readTile: readPrefix, cache });
        const claim = { oldSize, newSize, oldRoot: rootOf(oldSize), newRoot: rootOf(newSize), proof };
        const parts = [claim.oldRoot.slice(), claim.newRoot.slice(), ...proof];
        if (kind === 'bit') {
          const part = parts[pick % parts.length] ?? sha256();
          part[bit >> 3] = (part[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          [claim.oldRoot = sha256(), claim.newRoot = sha256()] = parts;
        } else if (kind === 'drop') claim.proof = proof.toSpliced(pick % proof.length, 1);
        else if (kind === 'add') claim.proof = proof.toSpliced(pick % (proof.length + 1), 0, sha256());
        else Object.assign(claim, { oldSize: newSize, newSize: oldSize });
        expect(codeOf(() => verifyConsistency(claim))).toBe('bad-proof');
      }),
      { seed: 2, numRuns: 2000 },
    );
  });
});

describe('claims that cannot be', () => {
  const hash = sha256();

  test('are refused with their reason', () => {
    const claim = { index: 0, size: 1, leafHash: hash, root: hash, proof: [] };
    expect(codeOf(() => verifyInclusion(claim))).toBe('ok');
    expect(codeOf(() => verifyInclusion({ ...claim, index: -1 }))).toBe('bad-argument');
    expect(codeOf(() => verifyInclusion({ ...claim, index: -1n }))).toBe('bad-argument');
    expect(codeOf(() => verifyInclusion({ ...claim, index: 0.5 }))).toBe('bad-argument');
    expect(codeOf(() => verifyInclusion({ ...claim, index: 1 }))).toBe('bad-proof');
    expect(codeOf(() => verifyInclusion({ ...claim, leafHash: new Uint8Array(31) }))).toBe('bad-format');
    expect(codeOf(() => verifyInclusion({ ...claim, root: new Uint8Array(33) }))).toBe('bad-format');
    expect(codeOf(() => verifyInclusion({ ...claim, proof: [new Uint8Array(33)] }))).toBe('bad-format');
    expect(codeOf(() => verifyInclusion({ ...claim, proof: Array.from({ length: 65 }, () => hash) }))).toBe('limit');
    expect(codeOf(() => verifyInclusion({ ...claim, proof: [hash] }))).toBe('bad-proof');
  });

  test('nothing is proven from an empty tree, and equal trees need no proof', () => {
    const claim = { oldSize: 0, newSize: 0, oldRoot: emptyRoot(), newRoot: emptyRoot(), proof: [] };
    expect(codeOf(() => verifyConsistency(claim))).toBe('ok');
    expect(codeOf(() => verifyConsistency({ ...claim, newSize: 1 }))).toBe('bad-proof');
    expect(codeOf(() => verifyConsistency({ ...claim, oldSize: 1, newSize: 2 }))).toBe('bad-proof');
    expect(codeOf(() => verifyConsistency({ ...claim, oldSize: 3, newSize: 4 }))).toBe('bad-proof');
  });
});
