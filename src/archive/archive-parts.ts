import type { ArchiveId } from '../model/ids.ts';
import type { BlobLocation } from '../store/blob-location.ts';
import type { BlobStore } from '../store/blobs.ts';
import type { StoreLocation } from '../store/engine.ts';
import type { NodeLink } from '../store/node-link.ts';
import type { StoreReader, StoreWriter } from '../store/store.ts';
import type { TileFiles } from '../store/tile-files.ts';
import type { HpkeKeyPair } from '../vault/hpke.ts';
import type { RandomPool } from '../vault/random.ts';
import type { Sealer } from '../vault/seal.ts';
import type { Identifier } from './identify.ts';
import type { ArchiveLayout } from './layout.ts';
import type { MediaVault } from './media.ts';
import type { Recorder } from './recorder.ts';
import type { Registry } from './registry.ts';
import type { ArchiveThreads } from './threads.ts';

/** Everything an open archive is made of. */
export type ArchiveParts = {
  readonly id: ArchiveId;
  readonly name: string;
  /** What this node is called, where the archive has several. */
  readonly node: string | undefined;
  readonly link: NodeLink;
  readonly origin: string;
  readonly vkey: string;
  /** Public keys of the logs that this one succeeds, oldest first. */
  readonly formerVkeys: readonly string[];
  readonly layout: ArchiveLayout;
  readonly store: StoreLocation;
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  readonly blobs: BlobStore;
  readonly blobPlace: BlobLocation;
  /** Months of the index for other nodes; undefined where there is no place for them. */
  readonly months: BlobStore | undefined;
  readonly tiles: TileFiles;
  readonly sealer: Sealer;
  readonly random: RandomPool;
  readonly recorder: Recorder;
  readonly identifier: Identifier;
  readonly media: MediaVault;
  readonly registry: Registry;
  readonly threads: ArchiveThreads;
  readonly spool: HpkeKeyPair;
  readonly now: () => number;
};
