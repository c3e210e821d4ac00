/**
 * What the index and the state rows are told of a stretch of the log: records are read, opened and folded into changes. Computation; nothing is written here.
 */
import { isFirstLeaf, leafKindOf, LEAF_KINDS } from '../../ledger/leaf.ts';
import { CartularyError } from '../../model/errors.ts';
import { foldMessage } from '../../model/fold.ts';
import type { IndexChange, IndexDocument } from '../../search/document.ts';
import type { MessageRow, RecordRow, StateRow, StoreReader } from '../../store/store.ts';
import type { RandomPool } from '../../vault/random.ts';
import type { Sealer } from '../../vault/seal.ts';
import type { FreshDocuments } from '../fresh-documents.ts';
import { firstIndexDocument, placesOf, toIndexDocument } from '../index-document.ts';
import { openForDerivation, openMessageRecords, openRecord, sealState } from '../opening.ts';

/** What reads the log and opens it. */
export type Deriver = {
  readonly reader: StoreReader;
  readonly sealer: Sealer;
  readonly random: RandomPool;
};

/** What a stretch of the log comes to. */
export type Derived = {
  readonly changes: readonly IndexChange[];
  readonly states: readonly StateRow[];
  /** Times of sending under which destroyed messages stood. */
  readonly destroyedAtMs: readonly number[];
};

/** Kinds that say nothing of a message people look for. */
const SKIPPED_KINDS: ReadonlySet<number> = new Set([
  LEAF_KINDS.audit,
  LEAF_KINDS['settings.changed'],
  LEAF_KINDS['log.succeeded'],
  LEAF_KINDS.quarantine,
  LEAF_KINDS['hold.placed'],
  LEAF_KINDS['hold.released'],
]);

/** One record that is to be indexed: its document where the sealing thread handed it over, else its row in the log. */
type Followed = { readonly messageNo: number } & ({ readonly document: IndexDocument } | { readonly row: RecordRow });

/**
 * Derives the changes of the records `from ≤ seq < to`. May be asked again for the same stretch: the changes then lead to the same index.
 * @param fresh documents that were handed over; without it everything is read from the log
 */
export async function deriveRange(
  deriver: Deriver,
  fresh: FreshDocuments | undefined,
  from: number,
  to: number,
): Promise<Derived> {
  const changes: IndexChange[] = [];
  const states: StateRow[] = [];
  const destroyed: { readonly messageNo: number; readonly sentAtMs: number }[] = [];
  const groups = new Map<number, Followed[]>();
  for (const one of await readRange(deriver, fresh, from, to)) {
    if ('row' in one) {
      const kind = leafKindOf(one.row.leaf);
      if (SKIPPED_KINDS.has(kind) || one.row.secret === undefined || one.row.sealed === undefined) continue;
      if (kind === LEAF_KINDS['key.destroyed']) {
        destroyed.push(...findDestroyed(deriver, one.row));
        continue;
      }
    }
    const group = groups.get(one.messageNo);
    if (group === undefined) groups.set(one.messageNo, [one]);
    else group.push(one);
  }
  // A document that was handed over does not know that its message is gone since.
  for (const { messageNo } of destroyed) groups.delete(messageNo);
  const later: number[] = [];
  for (const [messageNo, group] of groups) {
    const [only] = group;
    if (group.length > 1 || only === undefined) later.push(messageNo);
    else if ('document' in only) changes.push({ put: only.document });
    else if (!isFirstLeaf(only.row.leaf)) later.push(messageNo);
    else {
      const document = openFirst(deriver, only.row);
      if (document !== undefined) changes.push({ put: document });
    }
  }
  for (const row of await deriver.reader.readMessages(later)) deriveGrown(deriver, row, changes, states);
  for (const remove of destroyed) changes.push({ remove });
  return { changes, states, destroyedAtMs: destroyed.map(({ sentAtMs }) => sentAtMs) };
}

/** Derives the changes of whole messages, as all their records of now come to. */
export async function deriveMessages(
  deriver: Deriver,
  messageNos: readonly number[],
): Promise<Pick<Derived, 'changes' | 'states'>> {
  const changes: IndexChange[] = [];
  const states: StateRow[] = [];
  for (const row of await deriver.reader.readMessages(messageNos)) {
    const { messageNo, messageId, secret, records } = row;
    const [only] = records;
    if (only === undefined) continue;
    if (records.length > 1) deriveGrown(deriver, row, changes, states);
    else changes.push(...deriveOnly(deriver, { messageNo, messageId, secret, ...only }));
  }
  return { changes, states };
}

/** The change of a message that has but this record, where it is one that people look for. */
export function deriveOnly(deriver: Deriver, row: FirstRow): IndexChange[] {
  const kind = leafKindOf(row.leaf);
  if (SKIPPED_KINDS.has(kind) || kind === LEAF_KINDS['key.destroyed']) return [];
  const document = openFirst(deriver, row);
  return document === undefined ? [] : [{ put: document }];
}

type FirstRow = Pick<RecordRow, 'seq' | 'messageNo' | 'messageId' | 'secret' | 'leaf' | 'sealed'>;

/** Records from one place in the log to another: what was handed over, and what must be read. */
async function readRange(
  { reader }: Deriver,
  fresh: FreshDocuments | undefined,
  from: number,
  to: number,
): Promise<Followed[]> {
  const range: Followed[] = [];
  let missingFrom: number | undefined;
  const readMissing = async (until: number): Promise<void> => {
    if (missingFrom === undefined) return;
    for (const row of await reader.readLog(missingFrom, until - missingFrom))
      range.push({ messageNo: row.messageNo, row });
    missingFrom = undefined;
  };
  for (let seq = from; seq < to; seq += 1) {
    const taken = fresh?.take(seq);
    if (taken === undefined) {
      missingFrom ??= seq;
      continue;
    }
    await readMissing(seq);
    range.push({ messageNo: taken.messageNo, document: taken });
  }
  await readMissing(to);
  fresh?.forget(to);
  return range;
}

/** The document of a message that has but the record it began with. */
function openFirst({ sealer }: Deriver, row: FirstRow): IndexDocument | undefined {
  const { seq, messageNo, messageId, secret, leaf, sealed } = row;
  if (secret === undefined || sealed === undefined) return undefined;
  const head = skipDamaged(() => openForDerivation(sealer, { messageId, secret, leaf, sealed }));
  return head === undefined ? undefined : firstIndexDocument(messageNo, seq, head);
}

/** A damaged record is left out: it must not hold up all that came after it. `verify` and the comparison of the index with the records tell of it. */
function skipDamaged<Value>(open: () => Value): Value | undefined {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'corrupt') return undefined;
    throw cause;
  }
}

/** A message that has more than one record: its state is folded anew and kept. */
function deriveGrown({ sealer, random }: Deriver, row: MessageRow, changes: IndexChange[], states: StateRow[]): void {
  const { messageNo, messageId, secret } = row;
  if (secret === undefined) return;
  const records = skipDamaged(() => openMessageRecords(sealer, row)) ?? [];
  const message = foldMessage(records);
  const last = records.at(-1);
  if (message === undefined || last === undefined) return;
  const document = toIndexDocument(messageNo, message);
  if (document !== undefined) {
    // Wherever it may stand: how far the index had followed before a crash is not known exactly.
    for (const sentAtMs of placesOf(records)) changes.push({ remove: { messageNo, sentAtMs } });
    changes.push({ put: document });
  }
  const sealed = sealState(sealer, { messageId, secret }, random.take(16), message);
  states.push({ messageNo, version: last.seq, sealed });
}

/** A destroyed message leaves the index; where it stood was noted when its key went. */
function findDestroyed({ sealer }: Deriver, row: RecordRow): { messageNo: number; sentAtMs: number }[] {
  const event = skipDamaged(() => openRecord(sealer, row).record.event);
  if (event === undefined) return [];
  const { messageNo, sentAtMs, formerMs = [] } = event.extra ?? {};
  if (typeof messageNo !== 'number' || typeof sentAtMs !== 'number' || !Array.isArray(formerMs)) return [];
  return [sentAtMs, ...(formerMs as unknown[])].flatMap((ms) =>
    typeof ms === 'number' ? [{ messageNo, sentAtMs: ms }] : [],
  );
}
