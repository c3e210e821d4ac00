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
  /** Is the index what it should be? */
  readonly ok: boolean;
  readonly expected: number;
  readonly indexed: number;
  /** Should be found and cannot be; at most 100 are listed. */
  readonly missing: readonly number[];
  readonly missingCount: number;
  /** Can be found and should not be. */
  readonly extra: readonly number[];
  readonly extraCount: number;
  /** Months whose file is gone, damaged or an old copy. What stands in them counts as missing. */
  readonly unsoundMonths: readonly string[];
};

const CHUNK = 5000;
const LISTED_MAX = 100;
/** Message numbers of the index that are looked through at a time; also beyond the last message. */
const WINDOW = 500_000;
const MESSAGE_KINDS: ReadonlySet<number> = new Set([LEAF_KINDS['message.created'], LEAF_KINDS['message.status']]);

/** What is compared. */
export type Compared = {
  readonly reader: StoreReader;
  readonly sealer: Sealer;
  readonly index: IndexReader;
  /** Records that the index had followed when the comparison began; what came later is not missed. */
  readonly followed: number;
};

/** Compares the store and the index chunk by chunk, with memory bounded by the chunk. */
export async function compareIndex(compared: Compared): Promise<IndexComparison> {
  const { reader, index } = compared;
  const missing: number[] = [];
  const extra: number[] = [];
  const unsoundMonths: string[] = [];
  for (const month of index.listMonths()) {
    if (!index.isSound(month)) unsoundMonths.push(month);
    await breathe();
  }
  const unsound = new Set(unsoundMonths);
  const counts = { expected: 0, indexed: 0, missing: 0, extra: index.countStrays(unsound) };
  const note = (list: number[], messageNo: number): number => {
    if (list.length < LISTED_MAX) list.push(messageNo);
    return 1;
  };
  let from = 0;
  for (;;) {
    const messageNos = await reader.listMessageNos(from, CHUNK);
    const last = messageNos.at(-1);
    // After the last message the index may still hold what should not be there.
    const to = last === undefined ? from + WINDOW : last + 1;
    const listed = listIndexed(index, from, to, unsound);
    const indexed = new Set(listed);
    counts.indexed += indexed.size;
    for (const messageNo of findDoubled(listed)) counts.extra += note(extra, messageNo);
    for (const messageNo of messageNos) {
      if (indexed.delete(messageNo)) counts.expected += 1;
      else if (await shouldBeFound(compared, messageNo)) {
        counts.expected += 1;
        counts.missing += note(missing, messageNo);
      }
    }
    for (const messageNo of indexed) if (!(await isNewer(reader, messageNo))) counts.extra += note(extra, messageNo);
    if (last === undefined) break;
    from = to;
    await breathe();
  }
  const { expected, indexed, missing: missingCount, extra: extraCount } = counts;
  const ok = missingCount === 0 && extraCount === 0 && unsoundMonths.length === 0;
  return { ok, expected, indexed, missing, missingCount, extra, extraCount, unsoundMonths };
}

/** Ascending; between two messages there may be millions of numbers whose messages were destroyed. */
function listIndexed(index: IndexReader, from: number, to: number, except: ReadonlySet<string>): number[] {
  const listed: number[] = [];
  for (let start = from; start < to; start += WINDOW) {
    for (const messageNo of index.listMessageNos(start, Math.min(to, start + WINDOW), except)) listed.push(messageNo);
  }
  return listed;
}

/** Numbers that stand in two places. @param listed ascending */
function findDoubled(listed: readonly number[]): number[] {
  return listed.filter((messageNo, at) => at > 0 && messageNo === listed[at - 1]);
}

async function shouldBeFound({ reader, sealer, followed }: Compared, messageNo: number): Promise<boolean> {
  const [row] = await reader.readMessages([messageNo]);
  if (row?.secret === undefined) return false;
  const known = row.records.filter(({ seq }) => seq < followed);
  if (!known.some((record) => MESSAGE_KINDS.has(leafKindOf(record.leaf)))) return false;
  const message = foldMessage(openMessageRecords(sealer, row));
  return message !== undefined && toIndexDocument(messageNo, message) !== undefined;
}

/** Did the message come while the sets were read? */
async function isNewer(reader: StoreReader, messageNo: number): Promise<boolean> {
  const [row] = await reader.readMessages([messageNo]);
  return row?.secret !== undefined;
}
