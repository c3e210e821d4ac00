/**
 * The SQLite engine as others see it: a client of its two threads. Appends that arrive while a commit runs wait together and share the next.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { decodeResults, encodeBatch } from '../batch-codec.ts';
import type { PackedResults } from '../batch-codec.ts';
import type { AppendEntry, AppendResult, StoreReader, StoreWriter } from '../store.ts';
import { createGroupQueue } from '../group-queue.ts';
import { callOverPort, startThread, threadUrl } from '../thread.ts';
import type { Thread } from '../thread.ts';
import type { StoreCalls, WorkerRole, WorkerSetup } from './protocol.ts';
import { openSqliteReader } from './reader.ts';

/** Where an archive's database is and how its pages are sealed. */
export type SqliteLocation = {
  readonly path: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** Called when a thread has died; the process must end, since what is on disk is unknown. */
  readonly onFatal: (cause: unknown) => void;
};

/** An open SQLite archive: the writer, and a reader in the calling thread for small reads. */
export type SqliteStore = {
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  /** A port over which another thread may append (`appendThrough`). */
  connect(): Promise<MessagePort>;
  close(): Promise<void>;
};

/** Pages of 8 KiB after which the write-ahead log begins anew: 64 MiB. */
const WAL_PAGES_LONG = 8192;
/** Pages that the writer moves in a few milliseconds. */
const WAL_PAGES_FEW = 512;
/** Passes of moving until only what came during the last one is left. */
const MOVES_MAX = 4;

/** Opens or makes the database, its threads and a reader. */
export async function openSqliteStore(location: SqliteLocation): Promise<SqliteStore> {
  mkdirSync(dirname(location.path), { recursive: true, mode: 0o700 });
  const writer = await startRole('writer', location);
  const maintenance = await startRole('maintenance', location);
  const reader = openSqliteReader(location.path, location.key);
  const queue = createGroupQueue<AppendEntry, AppendEntry[]>({
    bytesOf: (entry) => entry.sealed.length + entry.leaf.length + 64,
    open: () => [],
    add: (group, entry) => void group.push(entry),
    send: (group) => appendOver(writer, group),
  });
  const close = async (): Promise<void> => {
    await queue.drain();
    await reader.close();
    await maintenance.end();
    await writer.call('scrub', undefined);
    await writer.end();
  };
  return {
    reader,
    close,
    async connect() {
      const { port1, port2 } = new MessageChannel();
      await writer.call('connect', port1, { transfer: [port1] });
      return port2;
    },
    writer: {
      append: (entries) => queue.push(entries),
      putStates: (rows) => writer.call('putStates', rows),
      putSettings: (changes) => writer.call('putSettings', changes),
      claimJobs: (kinds, limit, nowMs, leaseMs) => writer.call('claimJobs', { kinds, limit, nowMs, leaseMs }),
      finishJob: (id) => writer.call('finishJob', id),
      retryJob: (id, dueAtMs) => writer.call('retryJob', { id, dueAtMs }),
      pinKey: (messageId, hold) => writer.call('pinKey', { messageId, hold }),
      unpinKey: (messageId, hold) => writer.call('unpinKey', { messageId, hold }),
      closeKey: (messageId) => writer.call('closeKey', messageId),
      destroyKey: (messageId) => writer.call('destroyKey', messageId),
      scrub: () => writer.call('scrub', undefined),
      checkpoint: () => moveLog(writer, maintenance),
      copyTo: (contentPath, keysPath) => maintenance.call('copyTo', { contentPath, keysPath }),
      close,
    },
  };
}

/**
 * Moves the write-ahead log into the file, beside the appends; where it has grown long, the writer is asked to move the little that came meanwhile and to begin it anew.
 */
async function moveLog(writer: Thread<StoreCalls>, maintenance: Thread<StoreCalls>): Promise<void> {
  for (let pass = 0; pass < MOVES_MAX; pass += 1) {
    const { written, waiting } = await maintenance.call('checkpoint', undefined);
    if (written < WAL_PAGES_LONG) return;
    if (waiting < WAL_PAGES_FEW) break;
  }
  await writer.call('restart', undefined);
}

function startRole(role: WorkerRole, location: SqliteLocation): Promise<Thread<StoreCalls>> {
  const setup: WorkerSetup = { role, path: location.path, key: location.key };
  return startThread<StoreCalls>(threadUrl('./worker.ts', import.meta.url), setup, {
    name: `store-${role}`,
    onFatal: location.onFatal,
  });
}

/** `appendThrough` of engine.ts. */
export function appendToSqlite(port: MessagePort): (batch: ArrayBuffer) => Promise<PackedResults> {
  const writer = callOverPort<StoreCalls>(port);
  return (batch) => writer.call('append', batch, { transfer: [batch] });
}

async function appendOver(
  writer: Pick<Thread<StoreCalls>, 'call'>,
  entries: readonly AppendEntry[],
): Promise<AppendResult[]> {
  const batch = encodeBatch(entries);
  return decodeResults(await writer.call('append', batch, { transfer: [batch] }));
}
