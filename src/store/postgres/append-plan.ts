/**
 * What a batch of entries comes to, worked out from what the database holds already. Pure: given the same rows it gives the same plan, so that the rules of appending
 * can be read, and tested, without a database.
 */
import { LEAF_BYTES, LEAF_PREVIOUS_OFFSET, LEAF_RECORD_ID_OFFSET } from '../../ledger/leaf.ts';
import type { AppendEntry, AppendResult, NewJob } from '../store.ts';
import { uuidOf } from './connection.ts';

const ID_BYTES = 16;
const SECRET_BYTES = 32;

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

type RecordPlan = { readonly entry: AppendEntry; readonly no: number; readonly previousSeq: number | null };

/** Rows to be written, and what is answered. */
export type AppendPlan = {
  readonly results: readonly AppendResult[];
  /** In log order: the first has the number `head.size`. */
  readonly records: readonly RecordPlan[];
  readonly newMessages: readonly { readonly no: number; readonly id: string; readonly secret: Uint8Array }[];
  /** Messages, new ones too, by number, with the record that is now their last. */
  readonly lasts: ReadonlyMap<number, { readonly seq: number; readonly record: string }>;
  readonly newSeen: ReadonlyMap<string, SeenRow>;
  /** Messages whose content has come after a report. */
  readonly contents: ReadonlyMap<string, number>;
  readonly jobs: readonly { readonly no: number; readonly seq: number; readonly job: NewJob }[];
  readonly settings: ReadonlyMap<string, Uint8Array | undefined>;
};

/** Plans a batch. Fills in each leaf's `previous`, which only who knows the last record can. */
export function planAppend(entries: readonly AppendEntry[], known: Known, head: LogHead): AppendPlan {
  const records: RecordPlan[] = [];
  const newMessages: { no: number; id: string; secret: Uint8Array }[] = [];
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
  const add = (entry: AppendEntry, no: number, previousSeq: number | null, hasContent: boolean): AppendResult => {
    const seq = head.size + records.length;
    records.push({ entry, no, previousSeq });
    const record = uuidOf(entry.leaf.subarray(LEAF_RECORD_ID_OFFSET, LEAF_RECORD_ID_OFFSET + ID_BYTES));
    lasts.set(no, { seq, record });
    if (entry.unique instanceof Uint8Array) claim(uuidOf(entry.unique), { no, seq });
    for (const job of entry.jobs ?? []) {
      const name = `${no} ${job.kind}`;
      if (job.onlyWithoutContent === true && (hasContent || known.jobs.has(name))) continue;
      known.jobs.add(name);
      jobs.push({ no, seq, job });
    }
    for (const { name, value } of entry.settings ?? []) settings.set(name, value);
    return { status: 'stored', seq, messageNo: no };
  };

  const planEntry = (entry: AppendEntry): AppendResult => {
    const fault = findFault(entry);
    if (fault !== undefined) return { status: 'failed', reason: fault };
    const event = entry.unique instanceof Uint8Array ? known.seen.get(uuidOf(entry.unique)) : undefined;
    if (event !== undefined) return { status: 'duplicate', seq: event.seq ?? 0, messageNo: event.no };
    const id = uuidOf(entry.messageId);
    const isContent = entry.unique === 'message';
    const seq = head.size + records.length;
    const row = known.seen.get(id);
    if (row === undefined) {
      const no = nextNo++;
      claim(id, { no, seq: isContent ? seq : null });
      newMessages.push({ no, id, secret: entry.secret });
      entry.leaf.fill(0, LEAF_PREVIOUS_OFFSET, LEAF_PREVIOUS_OFFSET + ID_BYTES);
      const result = add(entry, no, null, isContent);
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
    const result = add(entry, row.no, message.lastSeq, hasContent);
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
