/**
 * The SQLite engine as others see it: a client of its two threads. Appends that arrive while a commit runs wait together and share the next.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

import { CartularyError } from '../../model/errors.ts';
import { decodeResults, encodeBatch } from '../batch-codec.ts';
import type { AppendEntry, AppendResult, StoreReader, StoreWriter } from '../store.ts';
import { startThread, threadUrl } from '../thread.ts';
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
export type SqliteStore = { readonly writer: StoreWriter; readonly reader: StoreReader; close(): Promise<void> };

/** Appends that wait at most; beyond it new ones are refused as `overloaded` rather than let memory grow. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Batches under way at once: one being committed, one packed behind it. */
const IN_FLIGHT_MAX = 2;

/** Opens or makes the database, its threads and a reader. */
export async function openSqliteStore(location: SqliteLocation): Promise<SqliteStore> {
  mkdirSync(dirname(location.path), { recursive: true, mode: 0o700 });
  const writer = await startRole('writer', location);
  const maintenance = await startRole('maintenance', location);
  const reader = openSqliteReader(location.path, location.key);
  const queue = createAppendQueue(writer);
  const close = async (): Promise<void> => {
    await queue.drain();
    await reader.close();
    await maintenance.end();
    await writer.call('truncate', undefined);
    await writer.end();
  };
  return {
    reader,
    close,
    writer: {
      append: queue.append,
      putStates: (rows) => writer.call('putStates', rows),
      putSettings: (changes) => writer.call('putSettings', changes),
      claimJobs: (kinds, limit, nowMs, leaseMs) => writer.call('claimJobs', { kinds, limit, nowMs, leaseMs }),
      finishJob: (id) => writer.call('finishJob', id),
      retryJob: (id, dueAtMs) => writer.call('retryJob', { id, dueAtMs }),
      pinKey: (messageId, hold) => writer.call('pinKey', { messageId, hold }),
      unpinKey: (messageId, hold) => writer.call('unpinKey', { messageId, hold }),
      closeKey: (messageId) => writer.call('closeKey', messageId),
      destroyKey: (messageId) => writer.call('destroyKey', messageId),
      async checkpoint() {
        await maintenance.call('checkpoint', undefined);
      },
      copyTo: (contentPath, keysPath) => maintenance.call('copyTo', { contentPath, keysPath }),
      close,
    },
  };
}

function startRole(role: WorkerRole, location: SqliteLocation): Promise<Thread<StoreCalls>> {
  const setup: WorkerSetup = { role, path: location.path, key: location.key };
  return startThread<StoreCalls>(threadUrl('./worker.ts', import.meta.url), setup, { name: `store-${role}`, onFatal: location.onFatal });
}

type Pending = { readonly entries: readonly AppendEntry[]; readonly bytes: number; resolve(results: AppendResult[]): void; reject(cause: unknown): void };

function createAppendQueue(writer: Thread<StoreCalls>) {
  let pending: Pending[] = [];
  let pendingBytes = 0;
  let inFlight = 0;
  let idle: (() => void)[] = [];

  const send = (): void => {
    while (inFlight < IN_FLIGHT_MAX && pending.length > 0) {
      const group = pending;
      pending = [];
      inFlight += 1;
      void sendGroup(group);
    }
  };
  const sendGroup = async (group: readonly Pending[]): Promise<void> => {
    try {
      const batch = encodeBatch(group.flatMap((item) => item.entries));
      const results = decodeResults(await writer.call('append', batch, { transfer: [batch] }));
      let at = 0;
      for (const item of group) {
        item.resolve(results.slice(at, at + item.entries.length));
        at += item.entries.length;
      }
    } catch (cause) {
      for (const item of group) item.reject(cause);
    } finally {
      for (const item of group) pendingBytes -= item.bytes;
      inFlight -= 1;
      send();
      if (inFlight === 0 && pending.length === 0) {
        for (const resolve of idle) resolve();
        idle = [];
      }
    }
  };
  return {
    append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
      const bytes = entries.reduce((sum, entry) => sum + entry.sealed.length + entry.leaf.length + 64, 0);
      if (pendingBytes + bytes > WAITING_BYTES_MAX && pendingBytes > 0) {
        return Promise.reject(new CartularyError('overloaded', `more than ${WAITING_BYTES_MAX} bytes wait to be written`));
      }
      pendingBytes += bytes;
      return new Promise((resolve, reject) => {
        pending.push({ entries, bytes, resolve, reject });
        // One turn of the loop is waited for, so that requests that arrived together are committed together.
        if (inFlight < IN_FLIGHT_MAX) setImmediate(send);
      });
    },
    drain(): Promise<void> {
      return inFlight === 0 && pending.length === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve));
    },
  };
}
