/** What crosses between the store's client and its threads. */
import type { MessagePort } from 'node:worker_threads';

import type { PackedResults } from '../batch-codec.ts';
import type { JobRow, SettingChange, StateRow } from '../store.ts';

/** `writer` owns every change; `maintenance` does what takes long and must not stand in the append's way. */
export type WorkerRole = 'writer' | 'maintenance';

export type WorkerSetup = { readonly role: WorkerRole; readonly path: string; readonly key: Uint8Array };

/** Pages of the write-ahead log: in it, and not yet moved into the file. */
export type WalPages = { readonly written: number; readonly waiting: number };

/** Calls by name: their argument and their answer. */
export type StoreCalls = {
  ready: { args: undefined; result: undefined };
  /** Serves the same calls on another port, so that another thread may append without going through the main one. */
  connect: { args: MessagePort; result: undefined };
  append: { args: ArrayBuffer; result: PackedResults };
  putStates: { args: readonly StateRow[]; result: undefined };
  putSettings: { args: readonly SettingChange[]; result: undefined };
  claimJobs: { args: { kinds: readonly string[]; limit: number; nowMs: number; leaseMs: number }; result: JobRow[] };
  finishJob: { args: number; result: undefined };
  retryJob: { args: { id: number; dueAtMs: number }; result: undefined };
  pinKey: { args: { messageId: Uint8Array; hold: string }; result: undefined };
  unpinKey: { args: { messageId: Uint8Array; hold: string }; result: undefined };
  closeKey: { args: Uint8Array; result: undefined };
  destroyKey: { args: Uint8Array; result: undefined };
  scrub: { args: undefined; result: boolean };
  checkpoint: { args: undefined; result: WalPages };
  restart: { args: undefined; result: undefined };
  copyTo: { args: { contentPath: string; keysPath: string }; result: number };
  close: { args: undefined; result: undefined };
};

type CallName = keyof StoreCalls;

/** A call as it arrives in the thread. */
export type StoreRequest = {
  [Name in CallName]: { readonly id: number; readonly name: Name; readonly args: StoreCalls[Name]['args'] };
}[CallName];
