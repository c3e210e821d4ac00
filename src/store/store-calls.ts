/** What crosses between the client of a store and the thread that writes it, whatever the engine. */
import type { MessagePort } from 'node:worker_threads';

import { decodeResults, encodeBatch } from './batch-codec.ts';
import type { PackedResults } from './batch-codec.ts';
import { createGroupQueue } from './group-queue.ts';
import type { AppendEntry, AppendResult, JobClaim, JobRow, SettingChange, StateRow, StoreWriter } from './store.ts';
import { callOverPort } from './thread.ts';
import type { Thread } from './thread.ts';

/** Calls by name: their argument and their answer. */
export type StoreCalls = {
  ready: { args: undefined; result: undefined };
  /** Serves the same calls on another port, so that another thread may append without going through the main one. */
  connect: { args: MessagePort; result: undefined };
  append: { args: ArrayBuffer; result: PackedResults };
  putStates: { args: readonly StateRow[]; result: void };
  putSettings: { args: readonly SettingChange[]; result: void };
  claimJobs: { args: JobClaim; result: JobRow[] };
  finishJob: { args: number; result: void };
  retryJob: { args: { id: number; dueAtMs: number }; result: void };
  pinKey: { args: { messageId: Uint8Array; hold: string }; result: void };
  unpinKey: { args: { messageId: Uint8Array; hold: string }; result: void };
  closeKey: { args: Uint8Array; result: void };
  destroyKey: { args: Uint8Array; result: void };
  scrub: { args: undefined; result: boolean };
  copyTo: { args: { contentPath: string; keysPath: string }; result: number };
  close: { args: undefined; result: undefined };
};

/** A thread, or a port to one, that serves at least these calls. */
type StoreThread = Pick<Thread<StoreCalls>, 'call'>;

/** What every engine's writer does in the same way: pass calls on. Appends that arrive while a commit runs wait together and share the next. */
export function createWriterClient(thread: StoreThread): {
  readonly writer: Omit<StoreWriter, 'checkpoint' | 'copyTo' | 'close'>;
  /** Resolves when nothing waits to be appended. */
  drain(): Promise<void>;
} {
  const queue = createGroupQueue<AppendEntry, AppendEntry[]>({
    bytesOf: (entry) => entry.sealed.length + entry.leaf.length + 64,
    open: () => [],
    add: (group, entry) => void group.push(entry),
    send: (group) => appendOver(thread, group),
  });
  return {
    drain: () => queue.drain(),
    writer: {
      append: (entries) => queue.push(entries),
      putStates: (rows) => thread.call('putStates', rows),
      putSettings: (changes) => thread.call('putSettings', changes),
      claimJobs: (kinds, limit, nowMs, leaseMs) => thread.call('claimJobs', { kinds, limit, nowMs, leaseMs }),
      finishJob: (id) => thread.call('finishJob', id),
      retryJob: (id, dueAtMs) => thread.call('retryJob', { id, dueAtMs }),
      pinKey: (messageId, hold) => thread.call('pinKey', { messageId, hold }),
      unpinKey: (messageId, hold) => thread.call('unpinKey', { messageId, hold }),
      closeKey: (messageId) => thread.call('closeKey', messageId),
      destroyKey: (messageId) => thread.call('destroyKey', messageId),
      scrub: () => thread.call('scrub', undefined),
    },
  };
}

async function appendOver(thread: StoreThread, entries: readonly AppendEntry[]): Promise<AppendResult[]> {
  const batch = encodeBatch(entries);
  return decodeResults(await thread.call('append', batch, { transfer: [batch] }));
}

/** Appends batches (`openAppendBatch`) over a port that a store's `connect` gave; the batch is transferred. */
export function appendThrough(port: MessagePort): (batch: ArrayBuffer) => Promise<PackedResults> {
  const writer = callOverPort<StoreCalls>(port);
  return (batch) => writer.call('append', batch, { transfer: [batch] });
}
