/**
 * # Tiles (C2SP tlog-tiles)
 *
 * A log's tree has twice as many hashes as leaves. Stored one by one they would need an index; stored as *tiles* they are
 * plain immutable files that any web server, cache or object store can hold, and from which anyone computes any proof.
 *
 * Level 0 is the row of all leaf hashes, cut into tiles of 256. Level 1 is the row of the roots of the full tiles of level
 * 0, cut the same way; level 2 stands on level 1, and so on: each level covers 256 times more with each hash. The seven
 * rows of the tree between two levels are not stored, since 256 hashes give them in some 200 µs. So a tree of 70,000
 * leaves is
 *
 *     level 0   273 full tiles, one of 112      70,000 leaf hashes
 *     level 1   1 full tile, one of 17          273 roots of full tiles
 *     level 2   one of 1                        1 root
 *
 * A tile that is not full is *partial*: it is published under its width and never hashed into the level above. For each
 * size that was signed, its partial tiles must exist until the full ones do.
 *
 * ## Growing
 *
 * A tree grows only at its right edge, so that integration needs no more than the edge: the partial tile of each level and
 * the compact range (`tree.ts`). One node hash a leaf is all the work, because the range passes through the root of every
 * tile anyway: when a carry reaches height 8, 16, …, the merged node is the next hash of level 1, 2, …
 *
 * Tiles are derived from the leaves in the database and can be made again from them at any time. Whoever writes them puts
 * them where they are durable before a checkpoint of that size is signed.
 */
import { equalBytes, plainBytes } from './bytes.ts';
import { LedgerError, assertCount } from './error.ts';
import { HASH_BYTES } from './hash.ts';
import { TILE_BYTES_MAX, TILE_HEIGHT, TILE_WIDTH, levelCount, readTileHashes, tilePath } from './tile-geometry.ts';
import type { ReadTile } from './tile-geometry.ts';
import { ENTRY_BYTES_MAX, assertHash, copyHashes, foldNodes, nodeHashInto, pushLeaf } from './tree.ts';

export { TILE_WIDTH, entriesPath, parseTilePath, tilePath, tileWidth, tilesForGrowth } from './tile-geometry.ts';
export type { ParsedTilePath, ReadTile, TileAddress } from './tile-geometry.ts';
export { consistencyProof, createTileCache, inclusionProof, rootAt } from './prove.ts';
export type { TileCache } from './prove.ts';

/** A tile to be written under its path. */
export type Tile = {
  readonly path: string;
  readonly level: number;
  readonly n: number;
  readonly width: number;
  readonly bytes: Uint8Array;
};

/** The right edge of a tree: all that integration must know of what came before. A plain value. */
export type TreeEdge = {
  readonly size: number;
  /** The compact range: perfect subtrees, largest first. */
  readonly nodes: readonly Uint8Array[];
  /** For each level the hashes of its partial tile; empty where a level has none. */
  readonly partials: readonly Uint8Array[];
};

/**
 * Reads the edge of a tree of `size` leaves from its partial tiles. With `root`, the edge must lead to it, or else
 * `root-mismatch` is thrown: the tiles at hand are not those of the tree one remembers. Throws `bad-tile`, too.
 */
export async function readEdge(size: number, readTile: ReadTile, root?: Uint8Array): Promise<TreeEdge> {
  assertCount(size, 'the size');
  const partials: Uint8Array[] = [];
  for (let level = 0; levelCount(size, level) > 0; level += 1) {
    const count = levelCount(size, level);
    const address = { level, n: Math.floor(count / TILE_WIDTH), width: count % TILE_WIDTH };
    partials.push(address.width === 0 ? new Uint8Array(0) : (await readTileHashes(readTile, address)).slice());
  }
  const nodes = partials.toReversed().flatMap(perfectRoots);
  if (root !== undefined && !equalBytes(foldNodes(nodes), root)) {
    throw new LedgerError('root-mismatch', `the tiles of size ${size} do not lead to the root that is remembered`);
  }
  return { size, nodes, partials };
}

/** The perfect subtrees over the hashes of a partial tile, largest first. */
export function perfectRoots(partial: Uint8Array): Uint8Array[] {
  const roots: Uint8Array[] = [];
  let start = 0;
  let left = partial.length / HASH_BYTES;
  for (let width = TILE_WIDTH / 2; width >= 1; width /= 2) {
    if (left < width) continue;
    roots.push(perfectRoot(partial.subarray(start * HASH_BYTES, (start + width) * HASH_BYTES)));
    start += width;
    left -= width;
  }
  return roots;
}

/** The root over the hashes of a tile, or of a part of one, whose number is a power of two. */
export function perfectRoot(hashes: Uint8Array): Uint8Array {
  const row = hashes.slice();
  for (let width = row.length / HASH_BYTES; width > 1; width /= 2) {
    for (let index = 0; index < width / 2; index += 1) {
      nodeHashInto(row, index * HASH_BYTES, row, 2 * index * HASH_BYTES);
    }
  }
  return row.slice(0, HASH_BYTES);
}

/** What `integrateLeaves` is given. */
export type Integration = {
  /** Leaves that are in the tiles already. */
  oldSize: number;
  /** The leaf hashes that follow, in their order. */
  leafHashes: readonly Uint8Array[];
  /** Reads the partial tiles of `oldSize`; not called when `edge` is given. */
  readTile: ReadTile;
  /** The root of `oldSize` that is remembered; the tiles at hand are checked against it. */
  oldRoot?: Uint8Array;
  /** The edge that the integration before this one returned, which saves reading and hashing it again. */
  edge?: TreeEdge;
};

/** The grown tree, and all tiles that must be written before it is published: full ones and the new partial ones. */
export type Integrated = {
  readonly size: number;
  readonly root: Uint8Array;
  readonly tiles: Tile[];
  readonly edge: TreeEdge;
};

/**
 * Adds leaves to a tree (see the head of this file). Writes nothing: the caller writes `tiles`, in any order, before it
 * signs `size` and `root`. Throws `bad-argument`, `bad-format` for a leaf hash that is not 32 bytes, `bad-tile`,
 * `root-mismatch`.
 */
export async function integrateLeaves(integration: Integration): Promise<Integrated> {
  const { oldSize, leafHashes, readTile, oldRoot } = integration;
  assertCount(oldSize + leafHashes.length, 'the size of the tree');
  const edge = integration.edge ?? (await readEdge(oldSize, readTile, oldRoot));
  if (edge.size !== oldSize) throw new LedgerError('bad-argument', 'the edge belongs to a tree of another size');
  const rows = edge.partials.map((partial) => openRow(partial));
  const nodes = [...edge.nodes];
  const tiles: Tile[] = [];
  let size = oldSize;

  const append = (level: number, hash: Uint8Array): void => {
    const row = (rows[level] ??= openRow(new Uint8Array(0)));
    row.hashes.set(hash, row.width * HASH_BYTES);
    row.width += 1;
    row.isChanged = true;
    if (row.width < TILE_WIDTH) return;
    tiles.push(makeTile(level, levelCount(size, level + 1) - 1, row));
    row.width = 0;
  };
  const onNode = (height: number, node: Uint8Array): void => {
    if (height % TILE_HEIGHT === 0) append(height / TILE_HEIGHT, node);
  };

  for (const hash of leafHashes) {
    assertHash(hash, 'a leaf hash');
    size += 1;
    append(0, hash);
    pushLeaf(nodes, size - 1, hash, onNode);
  }
  for (const [level, row] of rows.entries()) {
    if (row.isChanged && row.width > 0) tiles.push(makeTile(level, levelCount(size, level + 1), row));
  }
  const partials = rows.map((row) => row.hashes.slice(0, row.width * HASH_BYTES));
  const root = foldNodes(nodes);
  return { size, root, tiles, edge: { size, nodes: copyHashes(nodes), partials } };
}

/** The tile under construction at one level. */
type Row = { hashes: Uint8Array; width: number; isChanged: boolean };

function openRow(partial: Uint8Array): Row {
  const hashes = new Uint8Array(TILE_BYTES_MAX);
  hashes.set(partial);
  return { hashes, width: partial.length / HASH_BYTES, isChanged: false };
}

function makeTile(level: number, n: number, { hashes, width }: Row): Tile {
  return { path: tilePath(level, n, width), level, n, width, bytes: hashes.slice(0, width * HASH_BYTES) };
}

/**
 * A bundle of entries: each with its length before it as a big-endian uint16 (C2SP tlog-tiles, "Log entries"). Throws
 * `limit` for more than 256 entries, or one of more than 65,535 bytes.
 */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length > TILE_WIDTH) throw new LedgerError('limit', `a bundle has at most ${TILE_WIDTH} entries`);
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  let offset = 0;
  for (const entry of entries) {
    if (entry.length > ENTRY_BYTES_MAX) throw new LedgerError('limit', `an entry has at most ${ENTRY_BYTES_MAX} bytes`);
    bytes[offset] = entry.length >> 8;
    bytes[offset + 1] = entry.length & 0xff;
    bytes.set(entry, offset + 2);
    offset += 2 + entry.length;
  }
  return bytes;
}

/**
 * The entries of a bundle that anyone may have written, as views into `bytes`. Throws `bad-format` when it ends inside an
 * entry, `limit` for more than 256.
 */
export function parseEntryBundle(bytes: Uint8Array): Uint8Array[] {
  const { entries, rest } = splitEntryBundle(bytes, TILE_WIDTH);
  if (rest.length > 0) throw new LedgerError('limit', `a bundle has at most ${TILE_WIDTH} entries`);
  return entries;
}

/** The first `entriesMax` entries of a bundle, and the bytes after them. Throws `bad-format`. */
export function splitEntryBundle(bytes: Uint8Array, entriesMax: number): { entries: Uint8Array[]; rest: Uint8Array } {
  const plain = plainBytes(bytes);
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length && entries.length < entriesMax) {
    const start = offset + 2;
    const end = start > bytes.length ? start : start + view.getUint16(offset);
    if (end > bytes.length) {
      throw new LedgerError('bad-format', 'the bundle ends inside an entry', { position: entries.length });
    }
    entries.push(plain.subarray(start, end));
    offset = end;
  }
  return { entries, rest: plain.subarray(offset) };
}
