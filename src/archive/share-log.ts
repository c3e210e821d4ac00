/**
 * The log's full tiles and entry bundles in the bucket of the media, under the paths of C2SP tlog-tiles, for whoever mirrors or watches the log: nearly all that they read, and none of it
 * ever changes. Checkpoint and partial tiles, which do, come from a node. Nothing here reads them.
 */
import { z } from 'zod';

import { entriesPath, TILE_WIDTH, tilePath, tilesForGrowth } from '../ledger/tiles.ts';
import { checkShape } from '../model/check-shape.ts';
import type { S3Location } from '../store/blob-location.ts';
import { BESIDE_SETTINGS } from '../store/store.ts';
import type { ArchiveParts } from './archive-parts.ts';

const SETTING = `${BESIDE_SETTINGS}log`;
/** Leaves whose tiles are sent in one go: so long a stop may have to wait. */
const LEAVES = 32 * TILE_WIDTH;

const schema = z.strictObject({ bucket: z.string(), prefix: z.string(), size: z.int().nonnegative() });

/** Paths of the tiles and entry bundles that are full in a log of `to` leaves and were not in one of `from`. */
export function listFullTiles(from: number, to: number): string[] {
  return tilesForGrowth(from, to)
    .filter(({ width }) => width === TILE_WIDTH)
    .flatMap(({ level, n, width }) => [tilePath(level, n, width), ...(level === 0 ? [entriesPath(n, width)] : [])]);
}

type Parts = Pick<ArchiveParts, 'blobPlace' | 'link' | 'reader' | 'threads' | 'writer'>;

/**
 * Sends what became full since it was last called. Only for the node that leads.
 * @returns up to which size of the log all that is full is there; undefined where the archive has no bucket
 * @throws CartularyError `overloaded` where the server is away, `database-away`
 */
export async function shareLog(
  { blobPlace, link, reader, threads, writer }: Parts,
  signal?: AbortSignal,
): Promise<number | undefined> {
  if (blobPlace.engine !== 's3') return undefined;
  const published = await threads.log.call('published', undefined);
  const end = published - (published % TILE_WIDTH);
  let size = findSize(await reader.readSetting(SETTING), blobPlace);
  // A log that was put back begins anew: other leaves may be in its place.
  if (size > end) size = 0;
  while (size < end) {
    if (signal?.aborted === true || !(await link.leads())) break;
    const to = Math.min(end, size + LEAVES);
    await threads.log.call('share', listFullTiles(size, to));
    size = to;
    const { bucket, prefix } = blobPlace;
    await writer.putSettings([{ name: SETTING, value: Buffer.from(JSON.stringify({ bucket, prefix, size })) }]);
  }
  return size;
}

/** How far they were sent to this place. */
function findSize(value: Uint8Array | undefined, { bucket, prefix }: S3Location): number {
  if (value === undefined) return 0;
  const checked = checkShape(schema, JSON.parse(Buffer.from(value).toString('utf8')));
  return checked.success && checked.data.bucket === bucket && checked.data.prefix === prefix ? checked.data.size : 0;
}
