/**
 * What a batch of entries comes to, worked out from what the database holds already. Pure: given the same rows it gives the same plan, so that the rules of appending
 * can be read, and tested, without a database.
 */
import { LEAF_BYTES, LEAF_PREVIOUS_OFFSET, LEAF_RECORD_ID_OFFSET } from '../../ledger/leaf.ts';
import type { AppendEntry, AppendResult, NewJob } from '../store.ts';
import { uuidOf } from './connection.ts';
import { wrapSecret } from './secret-wrap.ts';
import type { EpochKey } from './secret-wrap.ts';

const ID_BYTES = 16;
const SECRET_BYTES = 32;

/** An entry with everything that can be worked out before the head of the log is locked. */
export type PreparedEntry = {
  readonly entry: AppendEntry;
  /** What is wrong with it by itself. */
  readonly fault: string | undefined;
  /** Ids in hexadecimal: of its message, its event and its record. */
  readonly id: string;
  readonly event: string | undefined;
  readonly record: string;
  /** The message's secret, as it is wrapped should the message be new. */
  readonly wrapped: WrappedSecret | undefined;
};

/** A secret under the key of an epoch. */
export type WrappedSecret = { readonly epoch: number; readonly bytes: Uint8Array };

/** Prepares an entry. @param epoch the one that is most likely still the newest under the lock */
export function prepareEntry(entry: AppendEntry, epoch: EpochKey): PreparedEntry {
  const { leaf, messageId, unique, secret } = entry;
  const fault = findFault(entry);
  return {
    entry,
    fault,
    id: uuidOf(messageId),
    event: unique instanceof Uint8Array ? uuidOf(unique) : undefined,
    record: uuidOf(leaf.subarray(LEAF_RECORD_ID_OFFSET, LEAF_RECORD_ID_OFFSET + ID_BYTES)),
    wrapped:
      fault === undefined && unique === 'message'
        ? { epoch: epoch.epoch, bytes: wrapSecret(epoch, secret) }
        : undefined,
  };
}

/** A row of `seen`: a message, or an event, that is known. `seq`: its content, or its record; null where a message's content has not come. */
export type SeenRow = { readonly no: number; seq: number | null };

/** What must be known of a message to add a record to it. */
export type MessageHead = {
  lastSeq: number;
  /** Id of its last record, hex. */
  lastRecord: string;
  /** Undefined once destroyed. */
  readonly secret: Uint8Array | undefined;
  readonly closed: boolean;
};

/** What the database holds of what a batch concerns; changed while the batch is planned. */
export type Known = {
  /** By hex of a message id or of an event's hash. */
  readonly seen: Map<string, SeenRow>;
  readonly messages: Map<number, MessageHead>;
  /** `no kind` of jobs that wait. */
  readonly jobs: Set<string>;
};

/** Where the log ends. */
export type LogHead = { readonly size: number; readonly nextNo: number };

/** A message that a batch begins, and the entry that begins it. */
export type NewMessage = { readonly no: number; readonly first: PreparedEntry };

type RecordPlan = { readonly entry: AppendEntry; readonly no: number; readonly previousSeq: number | null };

/** Rows to be written, and what is answered. */
export type AppendPlan = {
  readonly results: readonly AppendResult[];
  /** In log order: the first has the number `head.size`. */
  readonly records: readonly RecordPlan[];
  readonly newMessages: readonly NewMessage[];
  /** Messages, new ones too, by number, with the record that is now their last. */
  readonly lasts: ReadonlyMap<number, { readonly seq: number; readonly record: string }>;
  readonly newSeen: ReadonlyMap<string, SeenRow>;
  /** Messages whose content has come after a report. */
  readonly contents: ReadonlyMap<string, number>;
  readonly jobs: readonly { readonly no: number; readonly seq: number; readonly job: NewJob }[];
  readonly settings: ReadonlyMap<string, Uint8Array | undefined>;
};

/** Plans a batch. Fills in each leaf's `previous`, which only who knows the last record can. */
export function planAppend(entries: readonly PreparedEntry[], known: Known, head: LogHead): AppendPlan {
  const records: RecordPlan[] = [];
  const newMessages: NewMessage[] = [];
  const lasts = new Map<number, { seq: number; record: string }>();
  const newSeen = new Map<string, SeenRow>();
  const contents = new Map<string, number>();
  const jobs: { no: number; seq: number; job: NewJob }[] = [];
  const settings = new Map<string, Uint8Array | undefined>();
  let nextNo = head.nextNo;

  const claim = (key: string, row: SeenRow): void => {
    known.seen.set(key, row);
    newSeen.set(key, row);
  };
  const add = (prepared: PreparedEntry, no: number, previousSeq: number | null, hasContent: boolean): AppendResult => {
    const { entry, event, record } = prepared;
    const seq = head.size + records.length;
    records.push({ entry, no, previousSeq });
    lasts.set(no, { seq, record });
    if (event !== undefined) claim(event, { no, seq });
    for (const job of entry.jobs ?? []) {
      const name = `${no} ${job.kind}`;
      if (job.onlyWithoutContent === true && (hasContent || known.jobs.has(name))) continue;
      known.jobs.add(name);
      jobs.push({ no, seq, job });
    }
    for (const { name, value } of entry.settings ?? []) settings.set(name, value);
    return { status: 'stored', seq, messageNo: no };
  };

  const planEntry = (prepared: PreparedEntry): AppendResult => {
    const { entry, fault, id } = prepared;
    if (fault !== undefined) return { status: 'failed', reason: fault };
    const event = prepared.event === undefined ? undefined : known.seen.get(prepared.event);
    if (event !== undefined) return { status: 'duplicate', seq: event.seq ?? 0, messageNo: event.no };
    const isContent = entry.unique === 'message';
    const seq = head.size + records.length;
    const row = known.seen.get(id);
    if (row === undefined) {
      const no = nextNo++;
      claim(id, { no, seq: isContent ? seq : null });
      newMessages.push({ no, first: prepared });
      entry.leaf.fill(0, LEAF_PREVIOUS_OFFSET, LEAF_PREVIOUS_OFFSET + ID_BYTES);
      const result = add(prepared, no, null, isContent);
      known.messages.set(no, {
        lastSeq: seq,
        lastRecord: lasts.get(no)?.record ?? '',
        secret: entry.secret,
        closed: false,
      });
      return result;
    }
    if (isContent && row.seq !== null) return { status: 'duplicate', seq: row.seq, messageNo: row.no };
    const message = known.messages.get(row.no);
    if (message?.secret === undefined || message.closed) return { status: 'closed' };
    if (!Buffer.from(message.secret).equals(entry.secret)) return { status: 'rekey', secret: message.secret };
    entry.leaf.set(Buffer.from(message.lastRecord, 'hex'), LEAF_PREVIOUS_OFFSET);
    const hasContent = isContent || row.seq !== null;
    const result = add(prepared, row.no, message.lastSeq, hasContent);
    if (isContent) {
      row.seq = seq;
      if (!newSeen.has(id)) contents.set(id, seq);
    }
    message.lastSeq = seq;
    message.lastRecord = lasts.get(row.no)?.record ?? '';
    return result;
  };

  const results = entries.map(planEntry);
  return { results, records, newMessages, lasts, newSeen, contents, jobs, settings };
}

/** What is wrong with an entry by itself; what is wrong must be its own trouble, not that of the batch. */
function findFault({ leaf, messageId, secret, unique, jobs = [] }: AppendEntry): string | undefined {
  if (messageId.length !== ID_BYTES || (unique instanceof Uint8Array && unique.length !== ID_BYTES))
    return 'a keyed hash is 16 bytes';
  if (secret.length !== SECRET_BYTES) return 'a message secret is 32 bytes';
  if (leaf.length !== LEAF_BYTES) return `a leaf is ${LEAF_BYTES} bytes`;
  for (const { dueAtMs, lossAtMs } of jobs)
    if (!Number.isSafeInteger(dueAtMs) || (lossAtMs !== undefined && !Number.isSafeInteger(lossAtMs)))
      return 'the time of a job is no number';
  return undefined;
}
