/**
 * The thread that writes to PostgreSQL: batches are unpacked, transactions spoken and answers packed beside the thread that receives. One connection appends; another does everything
 * else, so that neither jobs nor states wait for a batch. What came to nothing because the database was away is answered `database-away`: nothing was acknowledged, and whoever sent it
 * comes again; if it was committed after all, it is a duplicate then.
 */
import { decodeBatch, encodeResults } from '../batch-codec.ts';
import type { PackedResults } from '../batch-codec.ts';
import { releaseBuffer } from '../growing-buffer.ts';
import type { AppendResult } from '../store.ts';
import type { StoreCalls } from '../store-calls.ts';
import { servePort, takePlace } from '../thread.ts';
import type { Handlers } from '../thread.ts';
import { createAppender } from './append.ts';
import { prepareEntry } from './append-plan.ts';
import type { PreparedEntry } from './append-plan.ts';
import { keepConnected, uuidOf } from './connection.ts';
import type { PostgresLocation } from './connection.ts';
import { writeCopies } from './copy.ts';
import { openEpochs } from './epochs.ts';
import { migrate } from './schema.ts';
import {
  claimJobs,
  closeKey,
  destroyKey,
  finishJob,
  pinKey,
  putSettings,
  putStates,
  retryJob,
  unpinKey,
} from './writer.ts';

/** Entries of one transaction at most. */
const GROUP_ENTRIES_MAX = 4000;

const { setup: location, port: ownPort } = takePlace<PostgresLocation>();
const archive = uuidOf(location.archiveId);
const epochs = openEpochs(location);
const appending = keepConnected(location);
const others = keepConnected(location);
const appendGroup = createAppender({ archiveId: location.archiveId, epochs, now: Date.now });
const append = createAppendTurns((entries) => appending.use((client) => appendGroup(client, entries)));
await appending.use((client) => migrate(client));

type Waiting = {
  readonly entries: readonly PreparedEntry[];
  readonly resolve: (results: readonly AppendResult[]) => void;
  readonly reject: (cause: unknown) => void;
};

/** One transaction at a time; what comes meanwhile shares the next. */
function createAppendTurns(act: (entries: readonly PreparedEntry[]) => Promise<readonly AppendResult[]>) {
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  const takeGroup = (): Waiting[] => {
    let count = 0;
    const end = waiting.findIndex(({ entries }) => (count += entries.length) >= GROUP_ENTRIES_MAX);
    const group = end < 0 ? waiting : waiting.slice(0, end + 1);
    waiting = waiting.slice(group.length);
    return group;
  };
  const run = async (): Promise<void> => {
    for (let group = takeGroup(); group.length > 0; group = takeGroup()) {
      try {
        const results = await act(group.flatMap(({ entries }) => entries));
        let at = 0;
        for (const { entries, resolve } of group) resolve(results.slice(at, (at += entries.length)));
      } catch (cause) {
        for (const { reject } of group) reject(cause);
      }
    }
    running = undefined;
  };
  return {
    push: (entries: readonly PreparedEntry[]): Promise<readonly AppendResult[]> =>
      new Promise((resolve, reject) => {
        waiting.push({ entries, resolve, reject });
        running ??= run();
      }),
    drain: async (): Promise<void> => running,
  };
}

async function appendBatch(batch: ArrayBuffer): Promise<PackedResults> {
  try {
    const epoch = epochs.newest();
    // While the batch before is with the server.
    return encodeResults(await append.push(decodeBatch(batch).map((entry) => prepareEntry(entry, epoch))));
  } finally {
    releaseBuffer(batch);
  }
}

const handlers: Handlers<StoreCalls> = {
  ready: async () => undefined,
  async connect(port) {
    servePort<StoreCalls>(port, handlers);
    return undefined;
  },
  append: appendBatch,
  putStates: (rows) => others.use((client) => putStates(client, archive, rows)),
  putSettings: (changes) => others.use((client) => putSettings(client, archive, changes)),
  claimJobs: (wanted) => others.use((client) => claimJobs(client, archive, wanted)),
  finishJob: (id) => others.use((client) => finishJob(client, archive, id)),
  retryJob: ({ id, dueAtMs }) => others.use((client) => retryJob(client, archive, id, dueAtMs)),
  pinKey: ({ messageId, hold }) => others.use((client) => pinKey(client, archive, messageId, hold)),
  unpinKey: ({ messageId, hold }) => others.use((client) => unpinKey(client, archive, messageId, hold)),
  closeKey: (messageId) => others.use((client) => closeKey(client, archive, messageId)),
  destroyKey: (messageId) => others.use((client) => destroyKey(client, archive, messageId)),
  // What was deleted stays readable in the database's own log and copies until the key of its epoch is destroyed (`rotate-epoch.ts`).
  scrub: async () => true,
  async copyTo({ contentPath, keysPath }) {
    const copying = keepConnected(location);
    try {
      return await copying.use((client) => writeCopies(client, location, epochs, { contentPath, keysPath }));
    } finally {
      await copying.close();
    }
  },
  async close() {
    await append.drain();
    await Promise.all([appending.close(), others.close()]);
    return undefined;
  },
};

servePort<StoreCalls>(ownPort, handlers);
