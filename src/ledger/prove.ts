/**
 * Roots and proofs out of tiles.
 *
 * Everything a proof lists is the root of a range of leaves. Such a range falls apart into perfect subtrees, and a perfect
 * subtree of height h that starts at leaf i·2^h lies in one tile: level h ÷ 8, and the 2^(h mod 8) hashes of it that start
 * at (i·2^(h mod 8)) mod 256. So a proof is planned first, then all of its tiles are read side by side (three for ten
 * million leaves), then at most 247 hashes a tile are computed. Whoever makes many proofs hands in a cache, which keeps
 * tiles together with the inner hashes already computed: some 1,000 tiles hold all upper levels of ten million leaves, and
 * a proof then costs a third.
 */
import { LedgerError, assertCount } from './error.ts';
import { HASH_BYTES } from './hash.ts';
import { TILE_HEIGHT, TILE_WIDTH, readTileHashes, tileWidth } from './tile-geometry.ts';
import type { ReadTile, TileAddress } from './tile-geometry.ts';
import { emptyRoot, foldNodes, nodeHashInto } from './tree.ts';

/** A perfect subtree: `2^height` leaves from leaf `index · 2^height`. */
type Subtree = { height: number; index: number };

/** A tile with the inner hashes computed so far. Heights 1 to 7 lie one after the other in `inner`. */
type TileNodes = { hashes: Uint8Array; inner: Uint8Array; known: Uint8Array };

/** Tiles of one log kept in memory, the least recently used one dropped first. */
export type TileCache = { readonly tilesMax: number; readonly tiles: Map<string, TileNodes> };

/** Makes a cache of at most `tilesMax` tiles of some 16 KiB each. One cache belongs to one log. Throws `bad-argument`. */
export function createTileCache(tilesMax: number): TileCache {
  assertCount(tilesMax, 'the number of tiles');
  return { tilesMax, tiles: new Map() };
}

/**
 * The root of the tree of the first `size` leaves (32 bytes), for any size up to that of the log. Throws `bad-tile`,
 * `bad-argument`.
 */
export async function rootAt(size: number, readTile: ReadTile, cache?: TileCache): Promise<Uint8Array> {
  assertCount(size, 'the size');
  const [root] = await hashRanges([[0, size]], size, readTile, cache);
  return root ?? emptyRoot();
}

/**
 * The inclusion proof of the leaf at `index` in the tree of the first `size` leaves (RFC 6962 §2.1.1): sibling hashes
 * from the leaf up. Throws `bad-argument` for an index outside the tree, `bad-tile`.
 */
export async function inclusionProof(request: {
  index: number;
  size: number;
  readTile: ReadTile;
  cache?: TileCache;
}): Promise<Uint8Array[]> {
  const { index, size } = request;
  assertCount(index, 'the index');
  assertCount(size, 'the size');
  if (index >= size) throw new LedgerError('bad-argument', 'the index lies outside the tree');
  const siblings: Range[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      siblings.unshift([middle, to]);
      to = middle;
    } else {
      siblings.unshift([from, middle]);
      from = middle;
    }
  }
  return hashRanges(siblings, size, request.readTile, request.cache);
}

/**
 * The proof that the tree of the first `oldSize` leaves is a prefix of that of the first `newSize` (RFC 6962 §2.1.2).
 * Empty for equal sizes, and for an old size of 0, from which nothing can be proven. Throws `bad-argument`, `bad-tile`.
 */
export async function consistencyProof(request: {
  oldSize: number;
  newSize: number;
  readTile: ReadTile;
  cache?: TileCache;
}): Promise<Uint8Array[]> {
  const { oldSize, newSize } = request;
  assertCount(oldSize, 'the old size');
  assertCount(newSize, 'the new size');
  if (oldSize > newSize) throw new LedgerError('bad-argument', 'the old size is larger than the new one');
  if (oldSize === 0) return [];
  const ranges: Range[] = [];
  let [from, to] = [0, newSize];
  while (to !== oldSize) {
    const middle = from + splitPoint(to - from);
    if (oldSize <= middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
    }
  }
  // When the old tree is one perfect subtree at the very left, the verifier knows its hash: it is the old root.
  if (from > 0) ranges.unshift([from, to]);
  return hashRanges(ranges, newSize, request.readTile, request.cache);
}

/** Leaves `from` to `to - 1`. */
type Range = readonly [from: number, to: number];

/** The largest power of two below `count`, for `count` > 1: where RFC 6962 splits a tree. */
function splitPoint(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/** The perfect subtrees of a range that starts where RFC 6962 lets one start, largest first. */
function subtreesOf([from, to]: Range): Subtree[] {
  const subtrees: Subtree[] = [];
  let start = from;
  while (start < to) {
    let height = 0;
    while (2 ** (height + 1) <= to - start) height += 1;
    subtrees.push({ height, index: start / 2 ** height });
    start += 2 ** height;
  }
  return subtrees;
}

/** The tile that holds a perfect subtree in a tree of `size` leaves. */
function tileOf({ height, index }: Subtree, size: number): TileAddress {
  const level = Math.floor(height / TILE_HEIGHT);
  const n = Math.floor((index * 2 ** (height % TILE_HEIGHT)) / TILE_WIDTH);
  return { level, n, width: tileWidth(size, level, n) };
}

/** The roots of the ranges, in their order; the ranges are non-empty and lie in the tree of `size` leaves. */
async function hashRanges(
  ranges: readonly Range[],
  size: number,
  readTile: ReadTile,
  cache: TileCache | undefined,
): Promise<Uint8Array[]> {
  const tiles = new Map<string, Promise<TileNodes>>();
  const load = (address: TileAddress): Promise<TileNodes> => {
    const key = keyOf(address);
    const tile = tiles.get(key) ?? loadTile(key, address, readTile, cache);
    tiles.set(key, tile);
    return tile;
  };
  const rows = ranges
    .filter(([from, to]) => to > from)
    .map((range) => subtreesOf(range).map((subtree) => ({ subtree, tile: load(tileOf(subtree, size)) })));
  // All at once: were they awaited one by one, a second one that fails would have no listener yet.
  await Promise.all(tiles.values());
  const hashes: Uint8Array[] = [];
  for (const row of rows) {
    const nodes: Uint8Array[] = [];
    for (const { subtree, tile } of row) nodes.push(subtreeHash(await tile, subtree));
    hashes.push(foldNodes(nodes));
  }
  return hashes;
}

function keyOf({ level, n, width }: TileAddress): string {
  return `${level}/${n}/${width}`;
}

async function loadTile(
  key: string,
  address: TileAddress,
  readTile: ReadTile,
  cache: TileCache | undefined,
): Promise<TileNodes> {
  const cached = cache?.tiles.get(key);
  if (cache !== undefined && cached !== undefined) {
    // Putting it last again makes the order of the map the order of last use.
    cache.tiles.delete(key);
    cache.tiles.set(key, cached);
    return cached;
  }
  const hashes = await readTileHashes(readTile, address);
  const nodes: TileNodes = {
    // A copy: a reader's bytes may be a view into memory that it uses again.
    hashes: hashes.slice(),
    inner: new Uint8Array(TILE_WIDTH * HASH_BYTES),
    known: new Uint8Array(TILE_WIDTH),
  };
  if (cache === undefined) return nodes;
  cache.tiles.set(key, nodes);
  for (const oldest of cache.tiles.keys()) {
    if (cache.tiles.size <= cache.tilesMax) break;
    cache.tiles.delete(oldest);
  }
  return nodes;
}

function subtreeHash(tile: TileNodes, { height, index }: Subtree): Uint8Array {
  const within = height % TILE_HEIGHT;
  const position = index % (TILE_WIDTH / 2 ** within);
  const from = within === 0 ? tile.hashes : tile.inner;
  const slot = within === 0 ? position : computeInner(tile, within, position);
  return from.slice(slot * HASH_BYTES, (slot + 1) * HASH_BYTES);
}

/** Computes an inner hash of a tile and all below it that are not known yet; returns its slot in `inner`. */
function computeInner(tile: TileNodes, height: number, position: number): number {
  // In `inner` stand 128 hashes of height 1, then 64 of height 2, and so on.
  const slot = TILE_WIDTH - ((2 * TILE_WIDTH) >> height) + position;
  if (tile.known[slot] === 1) return slot;
  if (height === 1) {
    nodeHashInto(tile.inner, slot * HASH_BYTES, tile.hashes, 2 * position * HASH_BYTES);
  } else {
    const left = computeInner(tile, height - 1, 2 * position);
    computeInner(tile, height - 1, 2 * position + 1);
    nodeHashInto(tile.inner, slot * HASH_BYTES, tile.inner, left * HASH_BYTES);
  }
  tile.known[slot] = 1;
  return slot;
}
