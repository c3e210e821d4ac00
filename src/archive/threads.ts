/**
 * The threads of an open archive and what keeps them going: the follower is told of every commit, the log is published about once a second, the
 * write-ahead log is moved into its file from outside the append.
 */
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { decodeResults } from '../store/batch-codec.ts';
import { createGroupQueue } from '../store/group-queue.ts';
import type { StoreReader, StoreWriter } from '../store/store.ts';
import { isDiskFailed, startThread, threadUrl } from '../store/thread.ts';
import type { StartThread, Thread } from '../store/thread.ts';
import type { ThreadStarter } from '../store/thread-sharing.ts';
import { destructionListPath, noteDestruction } from './destruction-list.ts';
import type { Destruction } from './destruction-list.ts';
import { openSealBatch } from './seal-batch.ts';
import type { SealBatch } from './seal-batch.ts';
import type { FiledRecord } from './filed-record.ts';
import { isPublished } from './published.ts';
import type { Sealing } from './sealing.ts';
import { createStateWriter } from './state-writer.ts';
import type { StateWriter } from './state-writer.ts';
import type { FollowCalls, FollowEvent, FollowNote, FollowSetup } from './threads/follow-thread.ts';
import type { LogCalls } from './threads/log-thread.ts';
import type { CountOwnerCalls, CountSetup } from './threads/count-thread.ts';
import type { ReadCalls, ReadSetup } from './threads/read-thread.ts';
import type { SealCalls, SealSetup } from './threads/seal-thread.ts';
import type { VerifyCalls, VerifyReport } from './threads/verify-thread.ts';
import type { ThreadSetup } from './threads/workspace.ts';

export type ArchiveThreads = {
  readonly read: Thread<ReadCalls>;
  readonly follow: Thread<FollowCalls>;
  readonly log: Thread<LogCalls>;
  /** Seals and commits in a thread of its own. */
  readonly sealing: Sealing;
  /** To be told after each commit. */
  onCommitted(size: number): void;
  /** To be told how far the log reaches by what other nodes append. */
  onGrown(size: number): void;
  /** Checks the archive in a thread of its own, which ends with the check. */
  runVerify(
    args: VerifyCalls['verify']['args'],
    context: { signal?: AbortSignal; onProgress?: (progress: { done: number; total: number }) => void },
  ): Promise<VerifyReport>;
  /** Adds a line to the destruction list beside the data, which a restore replays. */
  noteDestruction(entry: Destruction): Promise<void>;
  close(): Promise<void>;
};

/** Bytes that a batch for the sealing thread is given from the start at most. */
const SEAL_BATCH_BYTES_MAX = 1024 * 1024;
/** Milliseconds after a commit until the follower is told: it is told of many at once, since large batches are what makes the index cheap. */
const FOLLOW_EVERY_MS = 100;
/** The same where many come: fewer and larger batches, and still found within a second. */
const FOLLOW_BUSY_MS = 500;
/** Records a second that are many. */
const BUSY_RECORDS = 4000;
/** Milliseconds between two publications of the log while records come in. */
const PUBLISH_EVERY_MS = 1000;
/** The same while records come in by other nodes, which publish them. */
const PUBLISH_OTHERS_EVERY_MS = 5000;
/** Milliseconds between two moves of the write-ahead log. */
const CHECKPOINT_EVERY_MS = 2000;
/** Milliseconds between two looks for a month of the index to be merged, and how long such a month must have been left alone. */
const OPTIMISE_EVERY_MS = 600_000;

/** What starting the threads of an archive takes. */
export type ArchiveThreadsOptions = {
  /** How they are started. */
  readonly threads: ThreadStarter;
  /** A thread died, the process must end. */
  readonly onFatal: (cause: unknown) => void;
  /** Signing failed, capture goes on, a person must look. */
  readonly onStalled: (cause: unknown) => void;
  /** Is there an index to be kept, and a log to be published? */
  readonly follows: boolean;
};

/** Starts the threads, or has them start when something is first asked of them. */
export async function startArchiveThreads(
  setup: ThreadSetup,
  logKey: Uint8Array,
  store: { readonly writer: StoreWriter; readonly reader: StoreReader; connect(): Promise<MessagePort> },
  options: ArchiveThreadsOptions,
): Promise<ArchiveThreads> {
  const { onFatal, threads, follows } = options;
  // What is derived may wait for a person; a disk that fails may not.
  const onStalled = (cause: unknown): void => (isDiskFailed(cause) ? onFatal(cause) : options.onStalled(cause));
  const { writer } = store;
  const { port1: freshTo, port2: freshFrom } = new MessageChannel();
  const underWay = new SharedArrayBuffer(4);
  // How far the index has followed, how far the log is, and whether what is in the index is being put together.
  const followed = new SharedArrayBuffer(12);
  const stateWriter = createStateWriter(writer, { onFatal });
  const follow = await threads.open(
    () =>
      startFollowing(threads.start, { ...setup, followed, fresh: { port: freshFrom, underWay } }, stateWriter, options),
    onStalled,
  );
  const seal = await threads.open(async () => {
    const port = await store.connect();
    return threads.start<SealCalls>(
      threadUrl('./threads/seal-thread.ts', import.meta.url),
      { ...setup, port, fresh: follows ? { port: freshTo, underWay } : undefined } satisfies SealSetup,
      { name: 'seal', onFatal, transfer: follows ? [port, freshTo] : [port] },
    );
  }, onStalled);
  const queue = createSealQueue(seal);
  const counting: { count?: Thread<CountOwnerCalls> } = {};
  const [read, log] = await Promise.all([
    threads.open(async () => {
      // It throws an index away that is damaged, and says how far the index has come.
      await follow.call('ready', undefined);
      const { read: reading, count } = await startReading(threads.start, { ...setup, followed }, onFatal);
      counting.count = count;
      return reading;
    }, onStalled),
    threads.open(
      () =>
        threads.start<LogCalls>(
          threadUrl('./threads/log-thread.ts', import.meta.url),
          { ...setup, logKey },
          { name: 'log', onFatal },
        ),
      onStalled,
    ),
  ]);

  const timers = startTimers(writer, follows ? { follow, log } : undefined, onStalled);
  return {
    read,
    follow,
    log,
    sealing: { keep: (records) => queue.push(records) },
    onCommitted: (size) => timers.onGrown(size, true),
    onGrown: (size) => timers.onGrown(size, false),
    runVerify: (args, context) => verifyInThread(setup, args, context, { onFatal, start: threads.start }),
    noteDestruction: (entry) =>
      noteDestruction(destructionListPath(setup.layout), entry).catch((cause: unknown) => {
        if (isDiskFailed(cause)) onFatal(cause);
        throw cause;
      }),
    async close() {
      timers.stop();
      stateWriter.stop();
      await queue.drain();
      await seal.end();
      // A thread that has not been needed so far need not start for nothing.
      if (follows && !(await isPublished({ ...setup, logKey }, store.reader)))
        await log.call('publish', undefined).catch(onStalled);
      await Promise.all([read.end(), log.end(), follow.end()]);
      await counting.count?.end();
    },
  };
}

/** The thread that follows the log; what it asks to be written is written, and it is told. */
async function startFollowing(
  start: StartThread,
  setup: FollowSetup,
  stateWriter: StateWriter,
  { onFatal, follows }: Pick<ArchiveThreadsOptions, 'onFatal' | 'follows'>,
): Promise<Thread<FollowCalls>> {
  const follow = await start<FollowCalls>(threadUrl('./threads/follow-thread.ts', import.meta.url), setup, {
    name: 'follow',
    onFatal,
    onEvent(event) {
      const { states, ticket } = event as FollowEvent;
      void stateWriter.write(states).then(() => follow.tell({ written: ticket } satisfies FollowNote));
    },
    transfer: [setup.fresh.port],
  });
  // From here on somebody answers for the state rows.
  if (follows) follow.tell({ size: 0 } satisfies FollowNote);
  return follow;
}

/**
 * Verifies in a thread of its own, which ends with the verification.
 * @param options `onFatal`: the thread died; where nothing is given, only the verification fails
 */
export async function verifyInThread(
  setup: ThreadSetup,
  args: VerifyCalls['verify']['args'],
  context: { signal?: AbortSignal; onProgress?: (progress: { done: number; total: number }) => void } = {},
  options: { readonly onFatal?: (cause: unknown) => void; readonly start?: StartThread } = {},
): Promise<VerifyReport> {
  const { onFatal = () => undefined, start = startThread } = options;
  const verify = await start<VerifyCalls>(threadUrl('./threads/verify-thread.ts', import.meta.url), setup, {
    name: 'verify',
    onFatal,
  });
  const { signal, onProgress } = context;
  try {
    return await verify.call('verify', args, {
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined
        ? {}
        : { onProgress: (value) => onProgress(value as { done: number; total: number }) }),
    });
  } finally {
    await verify.end();
  }
}

/** The thread that reads and the one that counts with it. */
async function startReading(
  start: StartThread,
  setup: Omit<ReadSetup, 'counter'>,
  onFatal: (cause: unknown) => void,
): Promise<{ readonly read: Thread<ReadCalls>; readonly count: Thread<CountOwnerCalls> }> {
  const { port1: counter, port2: port } = new MessageChannel();
  const [count, read] = await Promise.all([
    start<CountOwnerCalls>(
      threadUrl('./threads/count-thread.ts', import.meta.url),
      { layout: setup.layout, indexKey: setup.indexKey, port } satisfies CountSetup,
      { name: 'count', onFatal, transfer: [port] },
    ),
    start<ReadCalls>(
      threadUrl('./threads/read-thread.ts', import.meta.url),
      { ...setup, counter } satisfies ReadSetup,
      { name: 'read', onFatal, transfer: [counter] },
    ),
  ]);
  return { read, count };
}

/** Gathers filed records into batches for the sealing thread. */
function createSealQueue(seal: Thread<SealCalls>) {
  // Batches are as large as the load makes them, so the next is about as large as the last.
  let bytesExpected = 0;
  return createGroupQueue<FiledRecord, SealBatch>({
    bytesOf: ({ head, raw = '' }) => head.length + raw.length + 128,
    open: () => openSealBatch(bytesExpected),
    add: (batch, record) => batch.add(record),
    async send(batch) {
      const buffer = batch.finish();
      bytesExpected = Math.min(buffer.byteLength, SEAL_BATCH_BYTES_MAX);
      return decodeResults(await seal.call('keep', buffer, { transfer: [buffer] }));
    },
  });
}

/** Does something so many milliseconds after it is first asked for: once, however often it is asked for meanwhile. */
function createDelay(ms: number | (() => number), act: () => void): { ask(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    ask: () => {
      timer ??= setTimeout(
        () => {
          timer = undefined;
          act();
        },
        typeof ms === 'number' ? ms : ms(),
      );
    },
    stop: () => clearTimeout(timer),
  };
}

function startTimers(
  writer: StoreWriter,
  derived: { readonly follow: Thread<FollowCalls>; readonly log: Thread<LogCalls> } | undefined,
  onStalled: (cause: unknown) => void,
) {
  let committed = 0;
  let stopped = false;
  const publish = (): void => void derived?.log.call('publish', undefined).catch(onStalled);
  let told = 0;
  let followMs = FOLLOW_EVERY_MS;
  const following = createDelay(
    () => followMs,
    () => {
      const isBusy = committed - told >= (BUSY_RECORDS * followMs) / 1000;
      followMs = isBusy ? FOLLOW_BUSY_MS : FOLLOW_EVERY_MS;
      told = committed;
      derived?.follow.tell({ size: committed } satisfies FollowNote);
    },
  );
  const publishing = createDelay(PUBLISH_EVERY_MS, publish);
  const publishingOthers = createDelay(PUBLISH_OTHERS_EVERY_MS, publish);
  const moving = createDelay(CHECKPOINT_EVERY_MS, () => void writer.checkpoint().catch(onStalled));
  const optimising = setInterval(() => {
    // A damaged month is told by whoever searches it, and built anew by the follower.
    derived?.follow.call('optimise', { quietMs: OPTIMISE_EVERY_MS }).catch(() => undefined);
  }, OPTIMISE_EVERY_MS);
  optimising.unref();
  return {
    /** @param isOwn did this node commit something? */
    onGrown(size: number, isOwn: boolean) {
      if (stopped || (!isOwn && size <= committed)) return;
      committed = Math.max(committed, size);
      following.ask();
      (isOwn ? publishing : publishingOthers).ask();
      if (isOwn) moving.ask();
    },
    stop() {
      stopped = true;
      clearInterval(optimising);
      for (const delay of [following, publishing, publishingOthers, moving]) delay.stop();
    },
  };
}
