/**
 * The thread that follows the log: from each new record it brings the state row and the search index up to date.
 *
 * Everything here is derived; it may be thrown away and rebuilt. Records are applied in order, idempotently, and the index keeps how far it
 * has followed, so that a crash between the two leads to a repetition, never to a hole. An index is built anew beside the one in use, which
 * goes on following and answering until the new one is whole.
 */
import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';

import { makeSealer } from '../make-sealer.ts';
import { CartularyError } from '../../model/errors.ts';
import { openIndexWriter, replaceIndex } from '../../search/index-writer.ts';
import type { IndexWriter } from '../../search/index-writer.ts';
import type { MonthFacts } from '../../search/month-writer.ts';
import { monthOf } from '../../search/months.ts';
import type { StateRow } from '../../store/store.ts';
import { isDiskFailed, servePort, takePlace } from '../../store/thread.ts';
import type { ThreadReply } from '../../store/thread.ts';
import { createRandomPool } from '../../vault/random.ts';
import { receiveFreshDocuments } from '../fresh-documents.ts';
import type { FreshDocuments, FreshLink } from '../fresh-documents.ts';
import { monthsLocation } from '../house-place.ts';
import type { MonthCopy } from '../shared-month.ts';
import { deriveRange } from './derive-range.ts';
import { breathe, openReader, stepBack } from './workspace.ts';
import type { ThreadSetup } from './workspace.ts';

/** Calls of this thread. */
export type FollowCalls = {
  ready: { args: undefined; result: undefined };
  /** How far the index has followed. */
  position: { args: undefined; result: number };
  /** Resolves when the index has followed to this size of the log. */
  reach: { args: number; result: number };
  /** Builds the index again beside the one in use, then puts it in its place. */
  rebuild: { args: undefined; result: { records: number } };
  /** Merges the pieces of one month of the index that is over and was left alone for `quietMs`; tells which. */
  optimise: { args: { quietMs: number }; result: string | undefined };
  /** Months that are over and were left alone for `quietMs`. */
  pastMonths: { args: { quietMs: number }; result: readonly MonthFacts[] };
  /** Sends a copy of a month, followed to this size of the log at least, to where other nodes find it; undefined where that cannot be now. */
  shareMonth: { args: { month: string; size: number }; result: MonthCopy | undefined };
  close: { args: undefined; result: undefined };
};

/** What this thread asks of its owner: to write state rows, and to say when they are written. */
export type FollowEvent = { readonly states: readonly StateRow[]; readonly ticket: number };
/** What the owner tells: the log has grown, or state rows are written. */
export type FollowNote = { readonly size: number } | { readonly written: number };

/** What this thread is given: besides the keys, the short way from the sealing thread. */
export type FollowSetup = ThreadSetup & { readonly fresh: FreshLink; readonly followed: SharedArrayBuffer };

/** Records applied in one go: large transactions are what makes the index cheap. */
const BATCH_RECORDS = 8000;
/** How far the index in use may lie behind and still be followed while another is built. */
const BEHIND_MAX = 10 * BATCH_RECORDS;

const { setup, port, isShared } = takePlace<FollowSetup>();
// In a thread that several share, those who wait for it would step back as well.
if (!isShared) stepBack();
const fresh = receiveFreshDocuments(setup.fresh);
const reader = await openReader(setup);
const deriver = { reader, sealer: makeSealer(setup.archiveId, setup), random: createRandomPool() };
const followed = new Int32Array(setup.followed);
const building = `${setup.layout.index}.building`;
/** Where copies of months wait until they are sent. */
const sharing = `${setup.layout.index}.sharing`;
for (const left of [building, sharing]) await rm(left, { recursive: true, force: true });
const monthsAt = monthsLocation(setup.blobs);
let index = openIndex();

/** Opens the index; one that is damaged or of another version is thrown away, since it is a replica and follows again from the first record. */
function openIndex(): IndexWriter {
  try {
    return openWriter(setup.layout.index);
  } catch (cause) {
    if (!isCorrupt(cause)) throw cause;
    rmSync(setup.layout.index, { recursive: true, force: true });
    return openWriter(setup.layout.index);
  }
}

function openWriter(directory: string): IndexWriter {
  return openIndexWriter({ directory, key: setup.indexKey });
}

function isCorrupt(cause: unknown): boolean {
  return cause instanceof CartularyError && cause.code === 'index-damaged';
}

let target = await reader.size();
/** When each month last changed, by our clock; what changed before the start may well go on changing. */
const changedAtMs = new Map<string, number>();
const startedAtMs = Date.now();
const life = { closed: false, mended: false, building: false, hasLooked: false };
/** Whatever is being done to the index; never rejects. */
let running: Promise<void> | undefined;
let waiters: { size: number; resolve: () => void; reject: (cause: unknown) => void }[] = [];
const tickets = new Map<number, () => void>();
let nextTicket = 1;
showPosition();

/**
 * Follows until the end is reached. A failure is told to whoever waits and tried again at the next commit; capture goes on meanwhile. Where the disk failed nobody may go on,
 * though the index could be built anew: the records lie on the same disk.
 */
function follow(): void {
  if (running !== undefined || life.closed) return;
  running = followOrMend().then(
    () => {
      running = undefined;
      if (!life.closed && !life.building && index.watermark() < target) follow();
    },
    (cause: unknown) => {
      running = undefined;
      failWaiters(cause);
      if (isDiskFailed(cause)) endThread(cause);
    },
  );
}

/** An error that nobody catches ends the thread, and with it the process. */
function endThread(cause: unknown): void {
  setImmediate(() => {
    throw cause;
  });
}

/** Waits until nothing is being done to the index. */
async function settle(): Promise<void> {
  for (let current = running; current !== undefined; current = running) await current;
}

/** A damaged file would end the following of all months, so the index is built anew; once, since damage that comes back is the disk's. */
async function followOrMend(): Promise<void> {
  try {
    await beginWithMonths();
    while (!life.closed && !life.building && index.watermark() < target) await followBatch();
    index.flush();
  } catch (cause) {
    if (!isCorrupt(cause) || life.mended) throw cause;
    life.mended = true;
    await buildAnew(
      () => life.closed,
      () => undefined,
    );
  }
}

/** An index that has followed nothing yet begins with months that were shared, where there are any. */
async function beginWithMonths(): Promise<void> {
  if (life.hasLooked || monthsAt === undefined || index.watermark() > 0 || target === 0) return;
  Atomics.store(followed, 2, 1);
  try {
    // Only loaded by who needs it.
    const { takeMonths } = await import('./take-months.ts');
    const isStopped = (): boolean => life.closed || life.building;
    if (await takeMonths({ setup, deriver, location: monthsAt, directory: building, writeStates, isStopped }))
      putInPlace();
    life.hasLooked = true;
  } catch (cause) {
    const code = cause instanceof CartularyError ? cause.code : undefined;
    if (code === 'stopping') return;
    // While the database is away nothing can be followed either; then it is looked again.
    if (isDiskFailed(cause) || code === 'database-away') throw cause;
    life.hasLooked = true;
  } finally {
    Atomics.store(followed, 2, 0);
    await rm(building, { recursive: true, force: true });
  }
}

/** Puts an index that was built aside in the place of the one in use. In one go, so that nobody finds it closed. */
function putInPlace(): void {
  index.close();
  replaceIndex(setup.layout.index, building);
  index = openIndex();
  settleWaiters();
}

async function followBatch(): Promise<void> {
  await breathe();
  const from = index.watermark();
  await applyRange(index, fresh, from, Math.min(target, from + BATCH_RECORDS));
  settleWaiters();
}

/**
 * Builds the index from the first record on. Meanwhile the one in use follows as well as it can; where records come faster than both can take them, the new one goes first, or it would
 * never be whole.
 */
async function buildAnew(
  isStopped: () => boolean,
  progress: (done: { done: number; total: number }) => void,
): Promise<void> {
  await rm(building, { recursive: true, force: true });
  const built = openWriter(building);
  try {
    for (let batch = 0; built.watermark() < target; batch += 1) {
      if (isStopped()) throw new CartularyError('stopping', 'the rebuild was stopped; the index is as it was');
      const from = built.watermark();
      await applyRange(built, undefined, from, Math.min(target, from + BATCH_RECORDS));
      progress({ done: built.watermark(), total: target });
      // One that is damaged cannot follow, and need not: it is about to be replaced.
      const behind = target - index.watermark();
      if (batch % 2 === 1 && behind > 0 && behind < BEHIND_MAX) await followBatch().catch(() => undefined);
    }
    while (built.optimise(Date.now()) !== undefined) await breathe();
  } finally {
    built.close();
  }
  putInPlace();
}

function isQuiet(month: string, quietMs: number): boolean {
  return Date.now() - (changedAtMs.get(month) ?? startedAtMs) >= quietMs;
}

/** Tells those who search how far the index has followed, and how far the log is. */
function showPosition(): void {
  Atomics.store(followed, 0, index.watermark());
  Atomics.store(followed, 1, target);
}

function failWaiters(cause: unknown): void {
  for (const waiter of waiters) waiter.reject(cause);
  waiters = [];
}

function settleWaiters(): void {
  showPosition();
  const reached = index.watermark();
  waiters = waiters.filter((waiter) => {
    if (waiter.size > reached) return true;
    waiter.resolve();
    return false;
  });
}

async function applyRange(
  into: IndexWriter,
  handed: FreshDocuments | undefined,
  from: number,
  to: number,
): Promise<void> {
  const { changes, states, destroyedAtMs } = await deriveRange(deriver, handed, from, to);
  if (states.length > 0) await writeStates(states);
  for (const month of into.apply(changes, from)) changedAtMs.set(month, Date.now());
  // What was destroyed must not stay readable as words of the index: the files it stood in are written anew. Only then has the index followed,
  // so that an erasure which a crash or a reader prevented is done again.
  for (const month of new Set(destroyedAtMs.map(monthOf))) into.eraseMonth(month);
  into.apply([], to);
}

function writeStates(states: readonly StateRow[]): Promise<void> {
  const ticket = nextTicket++;
  const event: FollowEvent = { states, ticket };
  port.postMessage({ event } satisfies ThreadReply);
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
    showPosition();
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
servePort<FollowCalls>(
  port,
  {
    async ready() {
      return undefined;
    },
    async position() {
      return index.watermark();
    },
    reach,
    async rebuild(_none, { progress, signal }) {
      target = Math.max(target, await reader.size());
      // Whoever follows under load is never done by itself.
      life.building = true;
      await settle();
      const rebuilding = buildAnew(() => signal.aborted || life.closed, progress);
      running = rebuilding.then(
        () => undefined,
        () => undefined,
      );
      try {
        await rebuilding;
      } catch (cause) {
        if (isDiskFailed(cause)) endThread(cause);
        throw cause;
      } finally {
        running = undefined;
        life.building = false;
        follow();
      }
      return { records: index.watermark() };
    },
    async optimise({ quietMs }) {
      return index.optimise(Date.now(), (month) => isQuiet(month, quietMs));
    },
    async pastMonths({ quietMs }) {
      return index.pastMonths(Date.now()).filter(({ month }) => isQuiet(month, quietMs));
    },
    async shareMonth({ month, size }, { signal }) {
      // Only loaded by who needs it.
      const { sendMonth } = await import('./send-month.ts');
      await reach(size);
      if (monthsAt === undefined || index.watermark() < size) return undefined;
      return sendMonth(setup.archiveId, index, month, { directory: sharing, location: monthsAt, signal });
    },
    async close() {
      life.closed = true;
      setup.fresh.port.close();
      for (const resolve of tickets.values()) resolve();
      await settle();
      index.close();
      await reader.close();
      return undefined;
    },
  },
  onNote,
);
