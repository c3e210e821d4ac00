/**
 * The public files of a log: tiles, entry bundles, checkpoint, under the paths of C2SP tlog-tiles. Derived from the records and rebuilt from them at will;
 * still each is made durable before the checkpoint that needs it, since outsiders read them.
 */
import { readFileSync } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { HASH_BYTES } from '../ledger/hash.ts';
import {
  encodeEntryBundle,
  entriesPath,
  parseTilePath,
  splitEntryBundle,
  TILE_WIDTH,
  tilePath,
} from '../ledger/tiles.ts';
import type { ParsedTilePath, ReadTile } from '../ledger/tiles.ts';
import { CartularyError } from '../model/errors.ts';
import { orDiskFailed, syncDirectory, syncFile } from '../vault/durable-file.ts';
import { ensureDirectory } from './blobs.ts';
import { isMissing } from '../vault/missing-file.ts';

export type TileFiles = {
  readonly readTile: ReadTile;
  /** Bytes of the entry bundle `n` with `width` entries. */
  readEntries(n: number, width: number): Promise<Uint8Array>;
  readCheckpoint(): Promise<string | undefined>;
  /** Writes files; durable when it answers. */
  write(files: readonly { readonly path: string; readonly bytes: Uint8Array }[]): Promise<void>;
  writeCheckpoint(text: string): Promise<void>;
  /** A file by its public path, for the HTTP face; undefined where it is none of the log's. */
  findPublic(path: string): Promise<Uint8Array | undefined>;
};

/** Opens a directory as the files of one log. */
export function openTileFiles(directory: string): TileFiles {
  const write = async (files: readonly { readonly path: string; readonly bytes: Uint8Array }[]): Promise<void> => {
    const directories = new Set<string>();
    for (const file of files) {
      const path = join(directory, file.path);
      await writeDurably(path, file.bytes);
      directories.add(dirname(path));
    }
    for (const touched of directories) await syncDirectory(touched);
    for (const file of files) await dropPartials(directory, file.path);
  };
  return {
    readTile: (level, n, width) => readTileOrWider(directory, (wide) => tilePath(level, n, wide), width),
    readEntries: (n, width) => readTileOrWider(directory, (wide) => entriesPath(n, wide), width),
    async readCheckpoint() {
      return (await findFile(join(directory, 'checkpoint')))?.toString('utf8');
    },
    write,
    async writeCheckpoint(text) {
      await writeDurably(join(directory, 'checkpoint'), Buffer.from(text, 'utf8'));
      await syncDirectory(directory);
    },
    async findPublic(path) {
      if (path === 'checkpoint') return findFile(join(directory, path));
      const asked = tryParse(path);
      if (asked === undefined) return undefined;
      return (await findFile(join(directory, path))) ?? cutWider(directory, asked);
    },
  };
}

/**
 * A tile of a given width: its own file, the full one, or a wider partial one, of all of which it is the beginning. One that was never published is missing where the log was
 * written anew from its records, and an older head is asked about.
 */
async function readTileOrWider(directory: string, path: (width: number) => string, width: number): Promise<Uint8Array> {
  // Whoever reads tiles has a thread for it. Asynchronously, opening, asking for the size, reading and closing wait for another thread each: 0.2 ms a file instead of 0.02.
  const read = (wide: number): Uint8Array => readFileSync(join(directory, path(wide)));
  try {
    return read(width);
  } catch (cause) {
    if (width === TILE_WIDTH || !isMissing(cause)) throw missing(cause);
  }
  try {
    return read(TILE_WIDTH);
  } catch (cause) {
    const wider = isMissing(cause) ? await findWider(join(directory, `${path(TILE_WIDTH)}.p`), width) : undefined;
    if (wider === undefined) throw missing(cause);
    return read(wider);
  }
}

function tryParse(path: string): ParsedTilePath | undefined {
  try {
    return parseTilePath(path);
  } catch {
    return undefined;
  }
}

/** A partial tile or bundle that this log never wrote, out of one of which it is the beginning: another node has published a head of that size. */
async function cutWider(directory: string, { level, n, width }: ParsedTilePath): Promise<Uint8Array | undefined> {
  const path = (wide: number): string => (level === 'entries' ? entriesPath(n, wide) : tilePath(level, n, wide));
  if (width === TILE_WIDTH) return undefined;
  const wider = await readTileOrWider(directory, path, width).catch(undefinedWhereMissing);
  if (wider === undefined || level !== 'entries') return wider?.subarray(0, width * HASH_BYTES);
  return encodeEntryBundle(splitEntryBundle(wider, width).entries);
}

function undefinedWhereMissing(cause: unknown): undefined {
  if (!(cause instanceof CartularyError && cause.code === 'log-damaged')) throw cause;
}

/** The narrowest partial tile that is wider than `width`. */
async function findWider(directory: string, width: number): Promise<number | undefined> {
  const names = await readdir(directory).catch((): string[] => []);
  const widths = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return widths.filter((wide) => wide > width).sort((one, other) => one - other)[0];
}

function missing(cause: unknown): unknown {
  return isMissing(cause) ? new CartularyError('log-damaged', 'a file of the log is missing', { cause }) : cause;
}

async function findFile(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (
      isMissing(cause) ||
      (cause instanceof Error && 'code' in cause && (cause.code === 'EISDIR' || cause.code === 'ENOTDIR'))
    )
      return undefined;
    throw cause;
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await ensureDirectory(dirname(path));
  const temporary = `${path}.new`;
  const handle = await open(temporary, 'w', 0o644);
  try {
    await orDiskFailed(path, handle.writeFile(bytes));
    await syncFile(handle, path);
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}

/** Once a full tile stands, its partial ones may go (tlog-tiles, "Partial Tiles"). */
async function dropPartials(directory: string, path: string): Promise<void> {
  if (!path.includes('.p/')) await rm(join(directory, `${path}.p`), { recursive: true, force: true });
}
