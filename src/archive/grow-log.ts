/** Leaves from the database into the tiles and entry bundles of a log. Signs nothing. */
import { setImmediate as breathe } from 'node:timers/promises';

import { encodeEntryBundle, entriesPath, integrateLeaves, parseEntryBundle, TILE_WIDTH } from '../ledger/tiles.ts';
import type { TreeEdge } from '../ledger/tiles.ts';
import { leafHash } from '../ledger/tree.ts';
import { CartularyError } from '../model/errors.ts';
import type { StoreReader } from '../store/store.ts';
import type { TileFiles } from '../store/tile-files.ts';

/** Leaves integrated at once. */
const BATCH_LEAVES = 8192;

/**
 * Grows a log to `size` leaves.
 * @param options `from`: how many the files hold already; `edge`: the tree at its end, where it is at hand, else it is read from the files
 * @throws CartularyError `corrupt` where a record is missing
 */
export async function growLog(options: {
  readonly reader: Pick<StoreReader, 'readLeaves'>;
  readonly files: TileFiles;
  readonly from: number;
  readonly size: number;
  readonly edge?: TreeEdge;
}): Promise<{ readonly edge: TreeEdge; readonly root: Uint8Array }> {
  const { reader, files, size } = options;
  let { edge } = options;
  let integrated = edge?.size ?? options.from;
  let root: Uint8Array | undefined;
  while (edge === undefined || root === undefined || integrated < size) {
    const leaves = await reader.readLeaves(integrated, Math.min(BATCH_LEAVES, size - integrated));
    if (leaves.length === 0 && integrated < size)
      throw new CartularyError('corrupt', 'a record is missing from the log');
    const result = await integrateLeaves({
      oldSize: integrated,
      leafHashes: leaves.map((leaf) => leafHash(leaf)),
      readTile: files.readTile,
      ...(edge === undefined ? {} : { edge }),
    });
    await files.write([...result.tiles, ...(await bundleEntries(files, integrated, leaves))]);
    ({ edge, root } = result);
    integrated = result.size;
    await breathe();
  }
  return { edge, root };
}

/** Entry bundles that a batch of leaves begins, fills or ends. */
async function bundleEntries(
  files: TileFiles,
  oldSize: number,
  leaves: readonly Uint8Array[],
): Promise<{ path: string; bytes: Uint8Array }[]> {
  const bundles: { path: string; bytes: Uint8Array }[] = [];
  const width = oldSize % TILE_WIDTH;
  const first = Math.floor(oldSize / TILE_WIDTH);
  const before = width === 0 ? [] : parseEntryBundle(await files.readEntries(first, width)).slice(0, width);
  const entries = [...before, ...leaves];
  for (let at = 0; at < entries.length; at += TILE_WIDTH) {
    const part = entries.slice(at, at + TILE_WIDTH);
    bundles.push({ path: entriesPath(first + at / TILE_WIDTH, part.length), bytes: encodeEntryBundle(part) });
  }
  return bundles;
}
