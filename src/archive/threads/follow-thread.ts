/**
 * The thread that follows the log: from each new record it brings the state row and the search index up to date.
 *
 * Everything here is derived; it may be thrown away and rebuilt. Records are applied in order, idempotently, and the index keeps how far it
 * has followed, so that a crash between the two leads to a repetition, never to a hole.
 */
import { rm } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';

import { isFirstLeaf, leafKindOf, LEAF_KINDS } from '../../ledger/leaf.ts';
import { CartularyError } from '../../model/errors.ts';
import { foldMessage } from '../../model/fold.ts';
import type { IndexChange, IndexDocument } from '../../search/document.ts';
import { openIndexWriter } from '../../search/index-writer.ts';
import type { IndexWriter } from '../../search/index-writer.ts';
import { monthOf } from '../../search/months.ts';
import type { RecordRow, StateRow } from '../../store/store.ts';
import { serveThread } from '../../store/thread.ts';
import type { ThreadReply } from '../../store/thread.ts';
import { createRandomPool } from '../../vault/random.ts';
import { receiveFreshDocuments } from '../fresh-documents.ts';
import type { FreshLink } from '../fresh-documents.ts';
import { firstIndexDocument, toIndexDocument } from '../index-document.ts';
import { openForDerivation, openMessageRecords, openRecord, sealState } from '../opening.ts';
import { breathe, openReader, openSealer, stepBack } from './workspace.ts';
import type { ThreadSetup } from './workspace.ts';

/** Calls of this thread. */
export type FollowCalls = {
  ready: { args: undefined; result: undefined };
  /** How far the index has followed. */
  position: { args: undefined; result: number };
  /** Resolves when the index has followed to this size of the log. */
  reach: { args: number; result: number };
  /** Throws the index away and builds it again. */
  rebuild: { args: undefined; result: { records: number } };
  close: { args: undefined; result: undefined };
};

/** What this thread asks of its owner: to write state rows, and to say when they are written. */
export type FollowEvent = { readonly states: readonly StateRow[]; readonly ticket: number };
/** What the owner tells: the log has grown, or state rows are written. */
export type FollowNote = { readonly size: number } | { readonly written: number };

/** What this thread is given: besides the keys, the short way from the sealing thread. */
export type FollowSetup = ThreadSetup & { readonly fresh: FreshLink };

/** Records applied in one go: large transactions are what makes the index cheap. */
const BATCH_RECORDS = 8000;

const setup = workerData as FollowSetup;
stepBack();
const fresh = receiveFreshDocuments(setup.fresh);
const reader = openReader(setup);
const sealer = openSealer(setup);
const random = createRandomPool();
let index = await openIndex();

/** Opens the index; one that is damaged or of another version is thrown away, since it is a replica and follows again from the first record. */
async function openIndex(): Promise<IndexWriter> {
  const options = { directory: setup.layout.index, key: setup.indexKey, nowMs: Date.now() };
  try {
    return openIndexWriter(options);
  } catch (cause) {
    if (!(cause instanceof CartularyError) || cause.code !== 'corrupt') throw cause;
    await rm(setup.layout.index, { recursive: true, force: true });
    return openIndexWriter(options);
  }
}

/** Kinds that say something of a message people look for. */
const SKIPPED_KINDS: ReadonlySet<number> = new Set([
  LEAF_KINDS.audit,
  LEAF_KINDS['settings.changed'],
  LEAF_KINDS['log.succeeded'],
  LEAF_KINDS.quarantine,
  LEAF_KINDS['hold.placed'],
  LEAF_KINDS['hold.released'],
]);

let target = await reader.size();
const life = { closed: false };
let running: Promise<void> | undefined;
let waiters: { size: number; resolve: () => void; reject: (cause: unknown) => void }[] = [];
const tickets = new Map<number, () => void>();
let nextTicket = 1;

/** Follows until the end is reached. A failure (a damaged index file) is told to whoever waits and tried again at the next commit; capture goes on meanwhile. */
function follow(): void {
  if (running !== undefined || life.closed) return;
  running = run()
    .then(
      () => true,
      () => false,
    )
    .then((isDone) => {
      running = undefined;
      if (isDone && !life.closed && index.watermark() < target) follow();
      if (!isDone)
        failWaiters(new CartularyError('corrupt', 'the search index could not be followed; run "cartulary rebuild"'));
    });
}

async function run(): Promise<void> {
  try {
    while (!life.closed && index.watermark() < target) {
      await breathe();
      await applyRange(index.watermark(), Math.min(target, index.watermark() + BATCH_RECORDS));
      settleWaiters();
    }
    index.flush();
  } catch (cause) {
    failWaiters(cause);
    throw cause;
  }
}

function failWaiters(cause: unknown): void {
  for (const waiter of waiters) waiter.reject(cause);
  waiters = [];
}

function settleWaiters(): void {
  const reached = index.watermark();
  waiters = waiters.filter((waiter) => {
    if (waiter.size > reached) return true;
    waiter.resolve();
    return false;
  });
}

/** One record that is to be indexed: its document where the sealing thread handed it over, else its row in the log. */
type Followed = { readonly messageNo: number } & ({ readonly document: IndexDocument } | { readonly row: RecordRow });

/** Records from one place in the log to another: what was handed over, and what must be read. */
async function readRange(from: number, to: number): Promise<Followed[]> {
  const range: Followed[] = [];
  let missingFrom: number | undefined;
  const readMissing = async (until: number): Promise<void> => {
    if (missingFrom === undefined) return;
    for (const row of await reader.readLog(missingFrom, until - missingFrom))
      range.push({ messageNo: row.messageNo, row });
    missingFrom = undefined;
  };
  for (let seq = from; seq < to; seq += 1) {
    const taken = fresh.take(seq);
    if (taken === undefined) {
      missingFrom ??= seq;
      continue;
    }
    await readMissing(seq);
    range.push({ messageNo: taken.messageNo, document: taken });
  }
  await readMissing(to);
  fresh.forget(to);
  return range;
}

async function applyRange(from: number, to: number): Promise<void> {
  const changes: IndexChange[] = [];
  const states: StateRow[] = [];
  const groups = new Map<number, Followed[]>();
  for (const one of await readRange(from, to)) {
    if ('row' in one) {
      const kind = leafKindOf(one.row.leaf);
      if (SKIPPED_KINDS.has(kind) || one.row.secret === undefined || one.row.sealed === undefined) continue;
      if (kind === LEAF_KINDS['key.destroyed']) {
        changes.push(...destroyedChanges(one.row));
        continue;
      }
    }
    const group = groups.get(one.messageNo);
    if (group === undefined) groups.set(one.messageNo, [one]);
    else group.push(one);
  }
  const later: number[] = [];
  for (const [messageNo, group] of groups) {
    const [only] = group;
    if (group.length > 1 || only === undefined) later.push(messageNo);
    else if ('document' in only) changes.push({ put: only.document });
    else if (!isFirstLeaf(only.row.leaf)) later.push(messageNo);
    else {
      const document = openFirst(only.row);
      if (document !== undefined) changes.push({ put: document });
    }
  }
  await applyGrown(later, from, changes, states);
  if (states.length > 0) await writeStates(states);
  index.apply(changes, to);
  // What was destroyed must not stay readable as words of the index: the files it stood in are written anew.
  const erased = new Set(changes.flatMap((change) => ('remove' in change ? [monthOf(change.remove.sentAtMs)] : [])));
  for (const month of erased) index.eraseMonth(month);
}

/** The document of a message that has but the record it began with. */
function openFirst({ seq, messageNo, messageId, secret, leaf, sealed }: RecordRow): IndexDocument | undefined {
  if (secret === undefined || sealed === undefined) return undefined;
  return firstIndexDocument(messageNo, seq, openForDerivation(sealer, { messageId, secret, leaf, sealed }));
}

/** Messages that have more than one record: their state is folded anew and kept. */
async function applyGrown(
  messageNos: readonly number[],
  from: number,
  changes: IndexChange[],
  states: StateRow[],
): Promise<void> {
  for (const row of await reader.readMessages(messageNos)) {
    if (row.secret === undefined) continue;
    const records = openMessageRecords(sealer, row);
    const message = foldMessage(records);
    const last = records.at(-1);
    if (message === undefined || last === undefined) continue;
    const before = foldMessage(records.filter(({ seq }) => seq < from));
    const document = toIndexDocument(row.messageNo, message);
    if (document !== undefined) {
      const indexed = before === undefined ? undefined : toIndexDocument(row.messageNo, before);
      changes.push({ put: document, ...(indexed === undefined ? {} : { previousSentAtMs: indexed.sentAtMs }) });
    }
    const place = { messageId: row.messageId, secret: row.secret };
    states.push({
      messageNo: row.messageNo,
      version: last.seq,
      sealed: sealState(sealer, place, random.take(16), message),
    });
  }
}

/** A destroyed message leaves the index; where it stood was noted when its key went. */
function destroyedChanges(row: RecordRow): IndexChange[] {
  const { event } = openRecord(sealer, row).record;
  const messageNo = event.extra?.['messageNo'];
  const sentAt = event.extra?.['sentAtMs'];
  return typeof messageNo === 'number' && typeof sentAt === 'number'
    ? [{ remove: { messageNo, sentAtMs: sentAt } }]
    : [];
}

function writeStates(states: readonly StateRow[]): Promise<void> {
  const ticket = nextTicket++;
  const event: FollowEvent = { states, ticket };
  parentPort?.postMessage({ event } satisfies ThreadReply);
  return new Promise((resolve) => {
    tickets.set(ticket, resolve);
  });
}

function onNote(note: unknown): void {
  const told = note as FollowNote;
  if ('written' in told) {
    tickets.get(told.written)?.();
    tickets.delete(told.written);
  } else {
    target = Math.max(target, told.size);
    follow();
  }
}

async function reach(size: number): Promise<number> {
  target = Math.max(target, size);
  if (index.watermark() < size) {
    follow();
    await new Promise<void>((resolve, reject) => {
      waiters.push({ size, resolve, reject });
    });
  }
  return index.watermark();
}

// Following begins with the first note of the owner: before it, nobody would answer for the state rows.
serveThread<FollowCalls>(
  {
    async ready() {
      return undefined;
    },
    async position() {
      return index.watermark();
    },
    reach,
    async rebuild(_none, { progress, signal }) {
      target = await reader.size();
      await running;
      index.close();
      await rm(setup.layout.index, { recursive: true, force: true });
      index = await openIndex();
      while (index.watermark() < target) {
        if (signal.aborted)
          throw new CartularyError('stopping', 'the rebuild was stopped; it goes on at the next start');
        const from = index.watermark();
        await applyRange(from, Math.min(target, from + BATCH_RECORDS));
        progress({ done: index.watermark(), total: target });
        await breathe();
      }
      index.flush();
      return { records: target };
    },
    async close() {
      life.closed = true;
      setup.fresh.port.close();
      for (const resolve of tickets.values()) resolve();
      await running?.catch(() => undefined);
      index.close();
      await reader.close();
      return undefined;
    },
  },
  onNote,
);
