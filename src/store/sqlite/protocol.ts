/** What crosses between the SQLite store's client and its threads. */
import type { StoreCalls } from '../store-calls.ts';

/** `writer` owns every change; `maintenance` does what takes long and must not stand in the append's way. */
export type WorkerRole = 'writer' | 'maintenance';

export type WorkerSetup = { readonly role: WorkerRole; readonly path: string; readonly key: Uint8Array };

/** Pages of the write-ahead log: in it, and not yet moved into the file. */
export type WalPages = { readonly written: number; readonly waiting: number };

/** Calls by name: those of every store, and those that only SQLite needs. */
export type SqliteCalls = StoreCalls & {
  checkpoint: { args: undefined; result: WalPages };
  restart: { args: undefined; result: undefined };
};

type CallName = keyof SqliteCalls;

/** A call as it arrives in the thread. */
export type SqliteRequest = {
  [Name in CallName]: { readonly id: number; readonly name: Name; readonly args: SqliteCalls[Name]['args'] };
}[CallName];
