/**
 * Completeness of the index by comparing sets: every message that should be found against every message that can be. A flag on a row would only say
 * what the program believed when it wrote the row; silent drift is what users of archives complain of most.
 */
import { LEAF_KINDS, leafKindOf } from '../../ledger/leaf.ts';
import { foldMessage } from '../../model/fold.ts';
import type { IndexReader } from '../../search/index-reader.ts';
import type { StoreReader } from '../../store/store.ts';
import type { Sealer } from '../../vault/seal.ts';
import { toIndexDocument } from '../index-document.ts';
import { openMessageRecords } from '../opening.ts';
import { breathe } from './workspace.ts';

/** What a comparison found; numbers are the archive's own message numbers. */
export type IndexComparison = {
  readonly expected: number;
  readonly indexed: number;
  /** Should be found and cannot be; at most 100 are listed. */
  readonly missing: readonly number[];
  readonly missingCount: number;
  /** Can be found and should not be. */
  readonly extra: readonly number[];
  readonly extraCount: number;
};

const CHUNK = 5000;
const LISTED_MAX = 100;
/** Message numbers beyond the last that are looked through. */
const BEYOND = 500_000;
const MESSAGE_KINDS: ReadonlySet<number> = new Set([LEAF_KINDS['message.created'], LEAF_KINDS['message.status']]);

/** Compares the store and the index chunk by chunk, with memory bounded by the chunk. */
export async function compareIndex(reader: StoreReader, sealer: Sealer, index: IndexReader): Promise<IndexComparison> {
  const missing: number[] = [];
  const extra: number[] = [];
  const counts = { expected: 0, indexed: 0, missing: 0, extra: 0 };
  let from = 0;
  for (;;) {
    const messageNos = await reader.listMessageNos(from, CHUNK);
    const last = messageNos.at(-1);
    // After the last message the index may still hold what should not be there.
    const to = last === undefined ? from + BEYOND : last + 1;
    const indexed = new Set(index.listMessageNos(from, to));
    counts.indexed += indexed.size;
    for (const messageNo of messageNos) {
      if (indexed.delete(messageNo)) counts.expected += 1;
      else if (await shouldBeFound(reader, sealer, messageNo)) {
        counts.expected += 1;
        counts.missing += 1;
        if (missing.length < LISTED_MAX) missing.push(messageNo);
      }
    }
    for (const messageNo of indexed) {
      counts.extra += 1;
      if (extra.length < LISTED_MAX) extra.push(messageNo);
    }
    if (last === undefined) break;
    from = to;
    await breathe();
  }
  return {
    expected: counts.expected,
    indexed: counts.indexed,
    missing,
    missingCount: counts.missing,
    extra,
    extraCount: counts.extra,
  };
}

async function shouldBeFound(reader: StoreReader, sealer: Sealer, messageNo: number): Promise<boolean> {
  const [row] = await reader.readMessages([messageNo]);
  if (row?.secret === undefined) return false;
  if (!row.records.some((record) => MESSAGE_KINDS.has(leafKindOf(record.leaf)))) return false;
  const message = foldMessage(openMessageRecords(sealer, row));
  return message !== undefined && toIndexDocument(messageNo, message) !== undefined;
}
