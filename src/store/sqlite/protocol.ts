/** What crosses between the store's client and its threads. */
import type { PackedResults } from '../batch-codec.ts';
import type { JobRow, SettingChange, StateRow } from '../store.ts';

/** `writer` owns every change; `maintenance` does what takes long and must not stand in the append's way. */
export type WorkerRole = 'writer' | 'maintenance';

export type WorkerSetup = { readonly role: WorkerRole; readonly path: string; readonly key: Uint8Array };

/** Calls by name: their arguments and their answers. */
export type Calls = {
  append: { args: [batch: ArrayBuffer]; result: PackedResults };
  putStates: { args: [rows: readonly StateRow[]]; result: undefined };
  putSettings: { args: [changes: readonly SettingChange[]]; result: undefined };
  claimJobs: { args: [kinds: readonly string[], limit: number, nowMs: number, leaseMs: number]; result: JobRow[] };
  finishJob: { args: [id: number]; result: undefined };
  retryJob: { args: [id: number, dueAtMs: number]; result: undefined };
  pinKey: { args: [messageId: Uint8Array, hold: string]; result: undefined };
  unpinKey: { args: [messageId: Uint8Array, hold: string]; result: undefined };
  closeKey: { args: [messageId: Uint8Array]; result: undefined };
  destroyKey: { args: [messageId: Uint8Array]; result: undefined };
  truncate: { args: []; result: undefined };
  checkpoint: { args: []; result: number };
  copyTo: { args: [contentPath: string, keysPath: string]; result: number };
  close: { args: []; result: undefined };
};

export type CallName = keyof Calls;

export type Request = { [Name in CallName]: { readonly id: number; readonly name: Name; readonly args: Calls[Name]['args'] } }[CallName];

export type Reply =
  | { readonly id: number; readonly ok: true; readonly result: Calls[CallName]['result'] }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };
