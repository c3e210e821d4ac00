/**
 * The way to an engine. Everything outside of `store/` opens a store, reads, appends from another thread and puts copies together through these, so that an engine is one
 * folder that passes `testing/conformance.ts`, and a choice in this file.
 */
import type { MessagePort } from 'node:worker_threads';

import { CartularyError } from '../model/errors.ts';
import { ONLY_NODE } from './node-link.ts';
import type { NodeLink } from './node-link.ts';
import type { PostgresLocation } from './postgres/connection.ts';
import type { EpochRotation } from './postgres/rotate-epoch.ts';
import { joinSqliteCopies } from './sqlite/copy.ts';
import type { SchemaUpdate } from './schema-update.ts';
import { openSqliteReader } from './sqlite/reader.ts';
import { openSqliteStore } from './sqlite/sqlite-store.ts';
import type { StoreReader, StoreWriter } from './store.ts';
import { createThreadStarter } from './thread-sharing.ts';
import type { ThreadStarter } from './thread-sharing.ts';

export { appendThrough } from './store-calls.ts';
export type { EpochRotation } from './postgres/rotate-epoch.ts';
export type { RowCounts, SchemaUpdate } from './schema-update.ts';

/** Where an archive's records are and how they are sealed at rest. Plain values, since it crosses to threads. */
export type StoreLocation =
  | {
      readonly engine: 'sqlite';
      readonly path: string;
      /** 32 bytes. */
      readonly key: Uint8Array;
    }
  | ({ readonly engine: 'postgres' } & PostgresLocation);

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
 * @param threads how its threads are started
 * @throws CartularyError as the engine's own
 */
export async function openStore(
  location: StoreLocation,
  onFatal: (cause: unknown) => void,
  threads: ThreadStarter = createThreadStarter('ready'),
): Promise<OpenStore> {
  if (location.engine === 'sqlite') return openSqliteStore({ ...location, onFatal, threads });
  // Only loaded by who uses it.
  const { openPostgresStore } = await import('./postgres/postgres-store.ts');
  return openPostgresStore(location, onFatal, threads);
}

/** Opens a reader of a store that exists, in the thread that calls. */
export async function openStoreReader(location: StoreLocation): Promise<StoreReader> {
  if (location.engine === 'sqlite') return openSqliteReader(location.path, location.key);
  const { openPostgresReader } = await import('./postgres/reader.ts');
  return openPostgresReader(location);
}

/**
 * Puts a content copy and a key copy (`copyTo`) together again as a store at `path`, where the content copy lies already, and brings it to the schema of this program.
 * `moveStore` brings it into another engine.
 * @param destroyed hex ids of messages whose destruction stands in the log or on the destruction list: their keys are not brought back. Not numbers: one that was given to a
 *   message after the backup is given again after the restore
 * @throws CartularyError `data-newer` where a newer program wrote the copies
 */
export function joinCopies(
  path: string,
  keysPath: string,
  key: Uint8Array,
  destroyed: ReadonlySet<string>,
): SchemaUpdate {
  return joinSqliteCopies(path, keysPath, key, destroyed);
}

/**
 * Brings the records of a store that nobody writes into another engine; what is there stays there. A run that was cut off is finished by the next.
 * @throws CartularyError `conflict` where the archive is there already, `corrupt` where in the end another number of rows is there
 */
export async function moveStore(
  from: Extract<StoreLocation, { engine: 'sqlite' }>,
  to: StoreLocation,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  if (to.engine === 'sqlite') throw new CartularyError('bad-input', 'records are moved into a database');
  await prepareStore(to);
  const { bringIn } = await import('./postgres/bring-in.ts');
  await bringIn(to, from, onProgress);
}

/**
 * Tries the change of the schema in another database before it is made: brings a store into tables as those of the archive in service are, and changes them as a start would. All of it
 * goes afterwards.
 * @param inService `postgres://…` of the archive in service, which is asked for its schema
 * @param act does something with what it comes to
 * @throws CartularyError `conflict` where another trial is under way there, `data-newer`, `database-away`
 */
export async function withTrial<Result>(
  from: Extract<StoreLocation, { engine: 'sqlite' }>,
  at: Extract<StoreLocation, { engine: 'postgres' }>,
  options: { readonly inService: string; readonly onProgress: (done: number, total: number) => void },
  act: (store: StoreLocation, schema: SchemaUpdate) => Promise<Result>,
): Promise<Result> {
  await prepareStore(at);
  const scratch = await import('./postgres/scratch.ts');
  return scratch.withTrial({ at, from, ...options }, (location, schema) =>
    act({ ...location, engine: 'postgres' }, schema),
  );
}

/**
 * Makes what an engine needs besides the keyring before the first record, where it is not there yet: for PostgreSQL the first epoch's key.
 */
export async function prepareStore(location: StoreLocation): Promise<void> {
  if (location.engine === 'sqlite') return;
  const { beginEpochs } = await import('./postgres/epochs.ts');
  await beginEpochs(location, Date.now());
}

/** Links a node with the others of its archive. @throws CartularyError `data-held` where somebody works on the archive as a stopped one */
export async function openNodeLink(location: StoreLocation): Promise<NodeLink> {
  if (location.engine === 'sqlite') return ONLY_NODE;
  const { openPostgresLink } = await import('./postgres/node-link.ts');
  return openPostgresLink(location);
}

/**
 * Does something while no node of an archive in PostgreSQL is there, and none comes.
 * @param archiveId 16 bytes
 * @throws CartularyError `data-held` where one is
 */
export async function withoutNodes<Result>(
  place: { readonly url: string; readonly archiveId: Uint8Array },
  act: () => Promise<Result>,
): Promise<Result> {
  const link = await import('./postgres/node-link.ts');
  return link.withoutNodes(place, act);
}

/** When the epochs began whose keys are there (ms since 1970), oldest first; none for an engine without epochs. */
export async function listEpochStarts(location: StoreLocation): Promise<number[]> {
  if (location.engine === 'sqlite') return [];
  const { readEpochs } = await import('./postgres/epochs.ts');
  return readEpochs(location)
    .toSorted((one, other) => one.epoch - other.epoch)
    .map(({ sinceMs }) => sinceMs);
}

/**
 * Begins a new epoch and destroys the keys of those before.
 * @param keepsFormer but for that of the epoch that ends, until `finishEpoch`
 * @throws CartularyError `conflict` where another node does it, `database-away`
 */
export async function rotateEpoch(
  location: Extract<StoreLocation, { engine: 'postgres' }>,
  nowMs: number,
  keepsFormer: boolean,
): Promise<EpochRotation> {
  const postgres = await import('./postgres/rotate-epoch.ts');
  return postgres.rotateEpoch(location, nowMs, keepsFormer);
}

/** Destroys the keys of all epochs but the newest. @throws CartularyError as `rotateEpoch` */
export async function finishEpoch(location: Extract<StoreLocation, { engine: 'postgres' }>): Promise<EpochRotation> {
  const postgres = await import('./postgres/rotate-epoch.ts');
  return postgres.finishEpoch(location);
}
