/**
 * Media that are stored while a backup is made, by whichever node. A medium has its file before its record is committed, and the records of a backup are those of one moment: files that
 * only later records name are no part of it, and would be taken for what somebody has put there.
 */
import { leafKindOf, LEAF_KINDS } from '../ledger/leaf.ts';
import type { StoreReader } from '../store/store.ts';
import type { Sealer } from '../vault/seal.ts';
import { STORING } from './media.ts';
import { openRecord } from './opening.ts';

/** Leaves that are read at a time. */
const LEAVES = 8192;

/**
 * Finds them, after the media were listed.
 * @param from size of the log in the copy
 * @returns names of blobs that no record below `from` names
 */
export async function findLateMedia(
  { reader, sealer }: { readonly reader: StoreReader; readonly sealer: Sealer },
  from: number,
): Promise<Set<string>> {
  // Notes first: each goes in the transaction of its record, which is below the size that is asked for afterwards.
  const late = new Set((await reader.listSettings(STORING)).map(({ name }) => name.slice(STORING.length)));
  const size = await reader.size();
  for (let next = from; next < size;) {
    const leaves = await reader.readLeaves(next, Math.min(LEAVES, size - next));
    if (leaves.length === 0) break;
    for (const [at, leaf] of leaves.entries()) {
      if (leafKindOf(leaf) !== LEAF_KINDS['media.stored']) continue;
      const [row] = await reader.readLog(next + at, 1);
      if (row?.secret === undefined || row.sealed === undefined) continue;
      const { event } = openRecord(sealer, row).record;
      if (event.kind === 'media.stored') late.add(event.media.blob);
    }
    next += leaves.length;
  }
  return late;
}
