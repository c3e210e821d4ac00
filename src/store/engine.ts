/**
 * The way to an engine. Everything outside of `store/` opens a store, reads, appends from another thread and puts copies together through these four, so that a second engine
 * is one folder that passes `testing/conformance.ts`, and a choice in this file.
 */
import type { MessagePort } from 'node:worker_threads';

import type { PackedResults } from './batch-codec.ts';
import { joinSqliteCopies } from './sqlite/copy.ts';
import { openSqliteReader } from './sqlite/reader.ts';
import { appendToSqlite, openSqliteStore } from './sqlite/sqlite-store.ts';
import type { StoreReader, StoreWriter } from './store.ts';

/** Where an archive's records are and how they are sealed at rest. Plain values, since it crosses to threads. */
export type StoreLocation = {
  readonly path: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
};

/** An open store: the writer, and a reader for small reads. */
export type OpenStore = {
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  /** A port over which another thread may append (`appendThrough`). */
  connect(): Promise<MessagePort>;
  close(): Promise<void>;
};

/**
 * Opens or makes a store.
 * @param onFatal called when a part of it has died; the process must end, since what is on disk is unknown
 */
export function openStore(location: StoreLocation, onFatal: (cause: unknown) => void): Promise<OpenStore> {
  return openSqliteStore({ ...location, onFatal });
}

/** Opens a reader of a store that exists, in the thread that calls. */
export function openStoreReader({ path, key }: StoreLocation): StoreReader {
  return openSqliteReader(path, key);
}

/** Appends batches (`openAppendBatch`) from another thread over a port that `connect` gave; the batch is transferred. */
export function appendThrough(port: MessagePort): (batch: ArrayBuffer) => Promise<PackedResults> {
  return appendToSqlite(port);
}

/**
 * Puts a content copy and a key copy (`copyTo`) together again as a store at `location`, where the content copy lies already.
 * @param destroyed hex ids of messages whose destruction stands in the log or on the destruction list: their keys are not brought back. Not numbers: one that was given to a
 *   message after the backup is given again after the restore
 */
export function joinCopies(location: StoreLocation, keysPath: string, destroyed: ReadonlySet<string>): void {
  joinSqliteCopies(location.path, keysPath, location.key, destroyed);
}
