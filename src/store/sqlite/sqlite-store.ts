/**
 * The SQLite engine as others see it: a client of its two threads.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import type { StoreReader, StoreWriter } from '../store.ts';
import { createWriterClient } from '../store-calls.ts';
import { threadUrl } from '../thread.ts';
import type { Thread } from '../thread.ts';
import { createThreadStarter } from '../thread-sharing.ts';
import type { ThreadStarter } from '../thread-sharing.ts';
import type { SqliteCalls, WorkerRole, WorkerSetup } from './protocol.ts';
import { openSqliteReader } from './reader.ts';

/** Where an archive's database is and how its pages are sealed. */
export type SqliteLocation = {
  readonly path: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** Called when a thread has died; the process must end, since what is on disk is unknown. */
  readonly onFatal: (cause: unknown) => void;
  /** How its threads are started; all at once where nothing is said. */
  readonly threads?: ThreadStarter;
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
  const { threads = createThreadStarter('ready') } = location;
  const startRole = (role: WorkerRole): Promise<Thread<SqliteCalls>> => {
    const setup: WorkerSetup = { role, path: location.path, key: location.key };
    return threads.start<SqliteCalls>(threadUrl('./worker.ts', import.meta.url), setup, {
      name: `store-${role}`,
      onFatal: location.onFatal,
    });
  };
  // Never later: it makes durable what an earlier process has left, and finds out whether there is a database.
  const writer = await startRole('writer');
  const maintenance = await threads.open(() => startRole('maintenance'), location.onFatal);
  const reader = openSqliteReader(location.path, location.key);
  const client = createWriterClient(writer);
  const close = async (): Promise<void> => {
    await client.drain();
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
      ...client.writer,
      checkpoint: () => moveLog(writer, maintenance),
      copyTo: (contentPath, keysPath) => maintenance.call('copyTo', { contentPath, keysPath }),
      close,
    },
  };
}

/**
 * Moves the write-ahead log into the file, beside the appends; where it has grown long, the writer is asked to move the little that came meanwhile and to begin it anew.
 */
async function moveLog(writer: Thread<SqliteCalls>, maintenance: Thread<SqliteCalls>): Promise<void> {
  for (let pass = 0; pass < MOVES_MAX; pass += 1) {
    const { written, waiting } = await maintenance.call('checkpoint', undefined);
    if (written < WAL_PAGES_LONG) return;
    if (waiting < WAL_PAGES_FEW) break;
  }
  await writer.call('restart', undefined);
}
