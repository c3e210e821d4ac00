/**
 * What every thread of an archive opens for itself: its own connection, its own sealer. The keys cross as bytes inside the process and nowhere else.
 */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';

import type { ArchiveLayout } from '../layout.ts';
import type { ArchiveId } from '../../model/ids.ts';
import type { BlobLocation } from '../../store/blob-location.ts';
import { openStoreReader } from '../../store/engine.ts';
import type { StoreLocation } from '../../store/engine.ts';
import type { StoreReader } from '../../store/store.ts';
import type { Keyring } from '../../vault/keyring.ts';

/** What a thread is given at its start. */
export type ThreadSetup = {
  readonly archiveId: ArchiveId;
  readonly name: string;
  readonly layout: ArchiveLayout;
  /** Origin and key name of the log. */
  readonly origin: string;
  readonly sealKeys: ReadonlyMap<number, Uint8Array>;
  readonly currentSealVersion: number;
  readonly idKey: Uint8Array;
  readonly store: StoreLocation;
  readonly blobs: BlobLocation;
  readonly indexKey: Uint8Array;
  /** Only the thread that signs is given it. */
  readonly logKey?: Uint8Array;
};

/** What threads are given of a keyring: everything but the log's signing key. */
export function threadSetup(
  keyring: Keyring,
  named: Pick<ThreadSetup, 'archiveId' | 'name' | 'origin' | 'layout' | 'store' | 'blobs'>,
): ThreadSetup {
  return {
    ...named,
    sealKeys: keyring.sealKeys,
    currentSealVersion: keyring.currentSealVersion,
    idKey: keyring.idKey,
    indexKey: keyring.indexKey,
  };
}

/** Opens a reader of the archive's records. */
export function openReader(setup: ThreadSetup): Promise<StoreReader> {
  return openStoreReader(setup.store);
}

/** Lets waiting calls and notes in between two pieces of long work. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** How far a thread steps back: enough that capture goes first, not so far that it would starve. */
const NICENESS = 10;

/** Lets the threads that capture go first where processors are short. Only on Linux, where each thread has a priority of its own. */
export function stepBack(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), NICENESS);
  } catch {
    // Where it may not be done, threads go on as equals.
  }
}
