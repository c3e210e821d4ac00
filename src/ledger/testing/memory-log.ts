/** A log held in memory, for tests: files by path, as a directory or an object store would hold them. */
import { signCheckpoint } from '../checkpoint.ts';
import { LedgerError } from '../error.ts';
import type { NoteSigner } from '../note.ts';
import { createNoteSigner } from '../note.ts';
import { TILE_WIDTH, encodeEntryBundle, entriesPath, integrateLeaves, tilePath } from '../tiles.ts';
import type { ReadTile, TreeEdge } from '../tiles.ts';
import { emptyRoot, leafHash } from '../tree.ts';
import type { ReadEntries } from '../verify-log.ts';

/** A log and its files. */
export type MemoryLog = {
  readonly origin: string;
  readonly signer: NoteSigner;
  readonly files: Map<string, Uint8Array>;
  readonly entries: Uint8Array[];
  readonly readTile: ReadTile;
  readonly readEntries: ReadEntries;
  size: number;
  root: Uint8Array;
  edge: TreeEdge | undefined;
};

/** A seed of 32 equal bytes: keys of tests are never random. */
export function testSeed(fill: number): Uint8Array {
  return new Uint8Array(32).fill(fill);
}

/** An empty log of this origin, signed with a fixed key. */
export function createMemoryLog(origin = 'archive.example/log', seed = 1): MemoryLog {
  const files = new Map<string, Uint8Array>();
  const read = (path: string): Promise<Uint8Array> => {
    const bytes = files.get(path);
    return bytes === undefined ? Promise.reject(new Error(`no file ${path}`)) : Promise.resolve(bytes);
  };
  return {
    origin,
    signer: createNoteSigner({ name: origin, seed: testSeed(seed) }),
    files,
    entries: [],
    readTile: (level, n, width) => read(tilePath(level, n, width)),
    readEntries: (n, width) => read(entriesPath(n, width)),
    size: 0,
    root: emptyRoot(),
    edge: undefined,
  };
}

/** Appends entries, and writes all files of the new size. */
export async function appendEntries(log: MemoryLog, entries: readonly Uint8Array[]): Promise<void> {
  const oldSize = log.size;
  const leafHashes = entries.map(leafHash);
  const { size, root, tiles, edge } = await integrateLeaves({
    oldSize,
    leafHashes,
    readTile: log.readTile,
    ...(log.edge === undefined ? { oldRoot: log.root } : { edge: log.edge }),
  });
  for (const entry of entries) log.entries.push(entry);
  for (const tile of tiles) {
    if (log.files.has(tile.path)) throw new LedgerError('bad-tile', `${tile.path} was written before`);
    log.files.set(tile.path, tile.bytes);
    if (tile.level !== 0) continue;
    const bundle = log.entries.slice(tile.n * TILE_WIDTH, tile.n * TILE_WIDTH + tile.width);
    log.files.set(entriesPath(tile.n, tile.width), encodeEntryBundle(bundle));
  }
  Object.assign(log, { size, root, edge });
}

/** The signed checkpoint of the log as it is. */
export function signMemoryLog(log: MemoryLog): string {
  return signCheckpoint({ origin: log.origin, size: log.size, root: log.root }, log.signer);
}

/** A log of `size` small entries, each different. */
export async function buildMemoryLog(size: number, origin?: string, seed?: number): Promise<MemoryLog> {
  const log = createMemoryLog(origin, seed);
  await appendEntries(log, testEntries(0, size));
  return log;
}

/** Small entries for the positions `from` to `to - 1`. */
export function testEntries(from: number, to: number): Uint8Array[] {
  return Array.from({ length: to - from }, (_, index) => new TextEncoder().encode(`entry ${from + index}`));
}
