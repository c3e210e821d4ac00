import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8 } from './bytes.ts';
import { sha256 } from './hash.ts';
import { readTileHashes } from './tile-geometry.ts';
import { codeOf, codeOfAsync } from './testing/code-of.ts';
import { appendEntries, buildMemoryLog, createMemoryLog, testEntries } from './testing/memory-log.ts';
import {
  consistencyProof,
  createTileCache,
  encodeEntryBundle,
  entriesPath,
  inclusionProof,
  integrateLeaves,
  parseEntryBundle,
  parseTilePath,
  perfectRoot,
  readEdge,
  rootAt,
  tilePath,
  tileWidth,
  tilesForGrowth,
} from './tiles.ts';
import {
  appendLeafHashes,
  emptyRange,
  emptyRoot,
  leafHash,
  rangeRoot,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';

describe('paths', () => {
  test.each([
    [0, 0, 256, 'tile/0/000'],
    [1, 1, 17, 'tile/1/001.p/17'],
    [63, 999, 255, 'tile/63/999.p/255'],
    [0, 1000, 256, 'tile/0/x001/000'],
    [0, 1234067, 256, 'tile/0/x001/x234/067'],
    [2, 1234067, 1, 'tile/2/x001/x234/067.p/1'],
  ])('level %d, tile %d, width %d is %s', (level, n, width, path) => {
    expect(tilePath(level, n, width)).toBe(path);
    expect(parseTilePath(path)).toEqual({ level, n, width });
  });

  test('entries', () => {
    expect(entriesPath(1234067, 9)).toBe('tile/entries/x001/x234/067.p/9');
    expect(parseTilePath('tile/entries/x001/x234/067.p/9')).toEqual({ level: 'entries', n: 1234067, width: 9 });
  });

  test('every address comes back from its path', () => {
    const address = fc.tuple(fc.nat({ max: 63 }), fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }));
    fc.assert(
      fc.property(address, ([level, n, width]) => {
        expect(parseTilePath(tilePath(level, n, width))).toEqual({ level, n, width });
        expect(parseTilePath(entriesPath(n, width))).toEqual({ level: 'entries', n, width });
      }),
      { seed: 1 },
    );
  });

  test.each([
    '',
    'tile',
    'tile/0/0',
    'tile/00/000',
    'tile/64/000',
    'tile/99/000',
    'tile/-1/000',
    'tile/0/x000/000',
    'tile/0/001/000',
    'tile/0/x001/x000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/999',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000/',
    '/tile/0/000',
    'tile/0/../000',
    'tile/entries/000.p/256',
    'tile/0/x999/x999/x999/x999/x999/999',
    'tile/data/000',
  ])('refuses %j', (path) => {
    expect(codeOf(() => parseTilePath(path))).toBe('bad-format');
  });

  test('refuses addresses that cannot be', () => {
    expect(codeOf(() => tilePath(64, 0, 1))).toBe('bad-argument');
    expect(codeOf(() => tilePath(-1, 0, 1))).toBe('bad-argument');
    expect(codeOf(() => tilePath(0.5, 0, 1))).toBe('bad-argument');
    expect(codeOf(() => tilePath(0, -1, 1))).toBe('bad-argument');
    expect(codeOf(() => tilePath(0, 0, 0))).toBe('bad-argument');
    expect(codeOf(() => tilePath(0, 0, 257))).toBe('bad-argument');
    expect(codeOf(() => tilePath(0, 0, 1.5))).toBe('bad-argument');
  });
});

describe('which tiles a tree has', () => {
  const pathsOf = (from: number, to: number): string[] =>
    tilesForGrowth(from, to).map(({ level, n, width }) => tilePath(level, n, width));

  test('the example of the standard: 70,000 leaves', () => {
    const paths = pathsOf(0, 70_000);
    expect(paths).toHaveLength(273 + 1 + 1 + 1 + 1);
    expect(paths.slice(-4)).toEqual(['tile/0/273.p/112', 'tile/1/000', 'tile/1/001.p/17', 'tile/2/000.p/1']);
    expect(pathsOf(0, 256)).toEqual(['tile/0/000', 'tile/1/000.p/1']);
  });

  test('only what changed', () => {
    expect(pathsOf(5, 5)).toEqual([]);
    expect(pathsOf(5, 7)).toEqual(['tile/0/000.p/7']);
    expect(pathsOf(255, 257)).toEqual(['tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1']);
    expect(pathsOf(256, 300)).toEqual(['tile/0/001.p/44']);
    expect(codeOf(() => tilesForGrowth(2, 1))).toBe('bad-argument');
    expect(codeOf(() => tilesForGrowth(-1, 1))).toBe('bad-argument');
    expect(tileWidth(300, 0, 0)).toBe(256);
    expect(tileWidth(300, 0, 1)).toBe(44);
    expect(tileWidth(300, 0, 2)).toBe(0);
  });
});

/** Leaf hashes that cost little: the tree does not care what they are hashes of. */
function leafHashes(from: number, to: number): Uint8Array[] {
  return Array.from({ length: to - from }, (_, index) => sha256(utf8(`${from + index}`)));
}

describe('integration', () => {
  test('in any batches, with or without the edge, it gives the same files and the root of the range', async () => {
    const batches = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(batches, fc.infiniteStream(fc.boolean()), async (sizes, keepsEdge) => {
        const log = createMemoryLog();
        for (const size of sizes) {
          await appendEntries(log, testEntries(log.size, log.size + size));
          if (keepsEdge.next().value === false) log.edge = undefined;
        }
        const hashes = log.entries.map(leafHash);
        expect(log.root).toEqual(rangeRoot(appendLeafHashes(emptyRange(), hashes)));
        const once = await buildMemoryLog(log.size);
        for (const [path, bytes] of once.files) expect({ path, bytes: log.files.get(path) }).toEqual({ path, bytes });
      }),
      { seed: 1, numRuns: 25 },
    );
  });

  test('writes exactly the tiles of the growth', async () => {
    const log = await buildMemoryLog(200);
    const { tiles } = await integrateLeaves({ oldSize: 200, leafHashes: leafHashes(0, 700), readTile: log.readTile });
    const wanted = tilesForGrowth(200, 900).map(({ level, n, width }) => tilePath(level, n, width));
    expect(tiles.map(({ path }) => path).toSorted()).toEqual(wanted.toSorted());
  });

  test('70,000 leaves reach level 2, and proofs hold across all levels', async () => {
    const files = new Map<string, Uint8Array>();
    const readTile = (level: number, n: number, width: number): Promise<Uint8Array> =>
      Promise.resolve(files.get(tilePath(level, n, width)) ?? new Uint8Array(0));
    const hashes = leafHashes(0, 70_000);
    let grown = await integrateLeaves({ oldSize: 0, leafHashes: hashes.slice(0, 65_530), readTile });
    for (const { path, bytes } of grown.tiles) files.set(path, bytes);
    const { size: oldSize, root: oldRoot } = grown;
    grown = await integrateLeaves({ oldSize, oldRoot, leafHashes: hashes.slice(oldSize), readTile });
    for (const { path, bytes } of grown.tiles) files.set(path, bytes);
    const { size, root } = grown;
    expect(root).toEqual(rangeRoot(appendLeafHashes(emptyRange(), hashes)));
    expect(files.get('tile/2/000.p/1')).toEqual(perfectRoot(files.get('tile/1/000') ?? new Uint8Array(0)));
    for (const index of [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999]) {
      const proof = await inclusionProof({ index, size, readTile });
      verifyInclusion({ index, size, leafHash: hashes[index] ?? sha256(), root, proof });
    }
    const proof = await consistencyProof({ oldSize, newSize: size, readTile });
    verifyConsistency({ oldSize, newSize: size, oldRoot, newRoot: root, proof });
    expect(await rootAt(oldSize, readTile)).toEqual(oldRoot);
  });

  test('no leaves, no tiles', async () => {
    const log = createMemoryLog();
    const { size, root, tiles } = await integrateLeaves({ oldSize: 0, leafHashes: [], readTile: log.readTile });
    expect({ size, root, tiles }).toEqual({ size: 0, root: emptyRoot(), tiles: [] });
  });

  test('tiles that do not lead to the remembered root stop it', async () => {
    const log = await buildMemoryLog(300);
    log.files.set('tile/0/001.p/44', new Uint8Array(44 * 32));
    expect(await codeOfAsync(() => readEdge(300, log.readTile, log.root))).toBe('root-mismatch');
    expect(await codeOfAsync(() => readEdge(0, log.readTile, log.root))).toBe('root-mismatch');
    expect(await codeOfAsync(() => readEdge(301, log.readTile))).toBe('bad-tile');
    const full = await buildMemoryLog(512);
    expect((await readEdge(512, full.readTile, full.root)).partials.map(({ length }) => length / 32)).toEqual([0, 2]);
  });

  test('refuses what does not fit', async () => {
    const { readTile, edge } = await buildMemoryLog(3);
    const hashes = [new Uint8Array(31)];
    expect(await codeOfAsync(() => integrateLeaves({ oldSize: 3, leafHashes: hashes, readTile }))).toBe('bad-format');
    const huge = { oldSize: Number.MAX_SAFE_INTEGER, leafHashes: [sha256()], readTile };
    expect(await codeOfAsync(() => integrateLeaves(huge))).toBe('bad-argument');
    if (edge === undefined) throw new Error('the log has an edge');
    const other = { oldSize: 4, leafHashes: [sha256()], readTile, edge };
    expect(await codeOfAsync(() => integrateLeaves(other))).toBe('bad-argument');
  });

  test('keeps no memory of its caller: neither of leaf hashes nor of tiles', async () => {
    const buffer = Buffer.alloc(32, 1);
    const { edge } = await integrateLeaves({ oldSize: 0, leafHashes: [buffer], readTile: createMemoryLog().readTile });
    buffer.fill(2);
    expect(edge.nodes).toEqual([new Uint8Array(32).fill(1)]);
    expect(edge.partials).toEqual([new Uint8Array(32).fill(1)]);
    const tile = Buffer.alloc(64, 3);
    const { partials } = await readEdge(2, () => Promise.resolve(tile));
    tile.fill(4);
    expect(partials).toEqual([new Uint8Array(64).fill(3)]);
  });
});

describe('reading tiles', () => {
  test('a wider tile answers for a narrower one, and Buffers are as good', async () => {
    const log = await buildMemoryLog(300);
    const small = await buildMemoryLog(290);
    const readTile = async (level: number, n: number): Promise<Uint8Array> =>
      Buffer.from(await log.readTile(level, n, tileWidth(300, level, n)));
    expect(await rootAt(290, readTile)).toEqual(small.root);
    const hashes = await readTileHashes(readTile, { level: 0, n: 1, width: 2 });
    expect(hashes).toEqual((await log.readTile(0, 1, 44)).slice(0, 64));
  });

  test.each([
    ['too short', 31],
    ['not whole hashes', 33],
    ['too long', 257 * 32],
  ])('bytes that are %s are no tile', async (_, length) => {
    const readTile = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(length));
    expect(await codeOfAsync(() => rootAt(1, readTile))).toBe('bad-tile');
  });

  test('requests outside the tree', async () => {
    const { readTile } = await buildMemoryLog(3);
    expect(await codeOfAsync(() => inclusionProof({ index: 3, size: 3, readTile }))).toBe('bad-argument');
    expect(await codeOfAsync(() => inclusionProof({ index: -1, size: 3, readTile }))).toBe('bad-argument');
    expect(await codeOfAsync(() => consistencyProof({ oldSize: 4, newSize: 3, readTile }))).toBe('bad-argument');
    expect(await consistencyProof({ oldSize: 0, newSize: 3, readTile })).toEqual([]);
    expect(await codeOfAsync(() => rootAt(-1, readTile))).toBe('bad-argument');
    expect(await rootAt(0, readTile)).toEqual(emptyRoot());
  });

  test('a cache reads each tile once, and holds no more than its limit', async () => {
    const log = await buildMemoryLog(1000);
    let reads = 0;
    const readTile = (level: number, n: number, width: number): Promise<Uint8Array> => {
      reads += 1;
      return log.readTile(level, n, width);
    };
    const cache = createTileCache(100);
    for (let index = 0; index < 1000; index += 1) {
      const proof = await inclusionProof({ index, size: 1000, readTile, cache });
      verifyInclusion({
        index,
        size: 1000,
        leafHash: leafHash(testEntries(index, index + 1)[0] ?? sha256()),
        root: log.root,
        proof,
      });
    }
    expect(reads).toBe(5);
    const small = createTileCache(1);
    await inclusionProof({ index: 0, size: 1000, readTile, cache: small });
    await inclusionProof({ index: 999, size: 1000, readTile, cache: small });
    expect(small.tiles.size).toBe(1);
  });
});

describe('bundles of entries', () => {
  const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 });

  test('come back', () => {
    fc.assert(
      fc.property(entries, (list) => {
        expect(parseEntryBundle(encodeEntryBundle(list))).toEqual(list);
      }),
      { seed: 1 },
    );
    const long = [new Uint8Array(65_535).fill(1), new Uint8Array(256).fill(2), new Uint8Array(0)];
    expect(parseEntryBundle(Buffer.from(encodeEntryBundle(long)))).toEqual(long);
  });

  test('are refused when they are cut off or too many', () => {
    const bytes = encodeEntryBundle(testEntries(0, 3));
    expect(codeOf(() => parseEntryBundle(bytes.subarray(0, -1)))).toBe('bad-format');
    expect(codeOf(() => parseEntryBundle(Uint8Array.of(0)))).toBe('bad-format');
    expect(codeOf(() => parseEntryBundle(Uint8Array.of(1, 0)))).toBe('bad-format');
    expect(codeOf(() => parseEntryBundle(new Uint8Array(2 * 257)))).toBe('limit');
    expect(codeOf(() => encodeEntryBundle(testEntries(0, 257)))).toBe('limit');
    expect(codeOf(() => encodeEntryBundle([new Uint8Array(65_536)]))).toBe('limit');
  });
});
