/**
 * Where a hash of the tree lies in the tiles of C2SP tlog-tiles, and what a tile is called. `tiles.ts` opens with how
 * tiles work.
 */
import { plainBytes } from './bytes.ts';
import { LedgerError, assertCount } from './error.ts';
import { HASH_BYTES } from './hash.ts';

/** Hashes in a full tile, and entries in a full bundle. */
export const TILE_WIDTH = 256;
/** Levels of the tree that one tile spans: 2^8 = 256. */
export const TILE_HEIGHT = 8;
/** The highest tile level a path may name (C2SP tlog-tiles, "Merkle Tree"). */
export const TILE_LEVEL_MAX = 63;
/** Bytes of a full tile. */
export const TILE_BYTES_MAX = TILE_WIDTH * HASH_BYTES;

/** One tile: its level, its index in the level, and how many hashes it has (1 to 256; 256 = full). */
export type TileAddress = { readonly level: number; readonly n: number; readonly width: number };

/**
 * Gives the hashes of a tile: 32 bytes for each of the first `width`. A reader that only has a wider tile of the same
 * place may answer with that one, or with its first hashes: a tile only ever grows at its end. Rejects when there is none.
 */
export type ReadTile = (level: number, n: number, width: number) => Promise<Uint8Array>;

/** The path of a tile of hashes, `tile/<L>/<N>[.p/<W>]`. Throws `bad-argument`. */
export function tilePath(level: number, n: number, width: number): string {
  if (!Number.isInteger(level) || level < 0 || level > TILE_LEVEL_MAX) {
    throw new LedgerError('bad-argument', `a tile level is a whole number from 0 to ${TILE_LEVEL_MAX}`);
  }
  return `tile/${level}/${indexPath(n, width)}`;
}

/** The path of a bundle of entries, `tile/entries/<N>[.p/<W>]`. Throws `bad-argument`. */
export function entriesPath(n: number, width: number): string {
  return `tile/entries/${indexPath(n, width)}`;
}

/** Three digits an element, `x` before all but the last: no directory gets more than some thousand names. */
function indexPath(n: number, width: number): string {
  assertCount(n, 'a tile index');
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) {
    throw new LedgerError('bad-argument', `a tile is 1 to ${TILE_WIDTH} hashes wide`);
  }
  const digits = String(n);
  const path = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').replaceAll(/([0-9]{3})(?=[0-9])/g, 'x$1/');
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/** What a tile path names; `level` is `'entries'` for a bundle of entries. */
export type ParsedTilePath = { readonly level: number | 'entries'; readonly n: number; readonly width: number };

const TILE_PATH = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/;

/**
 * Reads a path that anyone may have asked for. Only the one form that `tilePath` and `entriesPath` give is accepted, so
 * that two paths never mean one tile. Throws `bad-format`.
 */
export function parseTilePath(path: string): ParsedTilePath {
  const [, level, index, width] = TILE_PATH.exec(path) ?? [];
  if (level === undefined || index === undefined) throw new LedgerError('bad-format', 'this is not a tile path');
  const n = Number(index.replaceAll(/[x/]/g, ''));
  const parsed: ParsedTilePath = {
    level: level === 'entries' ? level : Number(level),
    n,
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  if (!isCanonical(parsed, path)) throw new LedgerError('bad-format', 'this is not a tile path');
  return parsed;
}

function isCanonical({ level, n, width }: ParsedTilePath, path: string): boolean {
  if (!Number.isSafeInteger(n) || width < 1 || width > TILE_WIDTH) return false;
  if (level === 'entries') return entriesPath(n, width) === path;
  return level <= TILE_LEVEL_MAX && tilePath(level, n, width) === path;
}

/** How many hashes level `level` has in a tree of `size` leaves: one for each 256^level leaves. */
export function levelCount(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** The width of tile `n` of a level in a tree of `size` leaves; 0 when the tree does not reach it. */
export function tileWidth(size: number, level: number, n: number): number {
  return Math.max(0, Math.min(TILE_WIDTH, levelCount(size, level) - n * TILE_WIDTH));
}

/**
 * The tiles that a tree of `newSize` leaves has and one of `oldSize` leaves has not, level by level: all tiles that became
 * full, and the partial tile at the right edge. The bundles of entries that change are those of level 0, at the same
 * indexes and widths. Throws `bad-argument`.
 */
export function tilesForGrowth(oldSize: number, newSize: number): TileAddress[] {
  assertCount(oldSize, 'the old size');
  assertCount(newSize, 'the new size');
  if (newSize < oldSize) throw new LedgerError('bad-argument', 'a log never becomes smaller');
  const tiles: TileAddress[] = [];
  for (let level = 0; levelCount(newSize, level) > levelCount(oldSize, level); level += 1) {
    const oldCount = levelCount(oldSize, level);
    const newCount = levelCount(newSize, level);
    const last = Math.ceil(newCount / TILE_WIDTH);
    for (let n = Math.floor(oldCount / TILE_WIDTH); n < last; n += 1) {
      tiles.push({ level, n, width: tileWidth(newSize, level, n) });
    }
  }
  return tiles;
}

/**
 * Reads a tile and checks its length. Returns exactly `width` hashes. Throws `bad-tile` with the tile's path when the
 * reader fails or gives bytes that cannot be this tile.
 */
export async function readTileHashes(readTile: ReadTile, { level, n, width }: TileAddress): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readTile(level, n, width);
  } catch (cause) {
    throw new LedgerError('bad-tile', `${tilePath(level, n, width)} cannot be read`, { cause });
  }
  const wanted = width * HASH_BYTES;
  if (bytes.length < wanted || bytes.length > TILE_BYTES_MAX || bytes.length % HASH_BYTES !== 0) {
    throw new LedgerError('bad-tile', `${tilePath(level, n, width)} has ${bytes.length} bytes in place of ${wanted}`);
  }
  return plainBytes(bytes).subarray(0, wanted);
}
