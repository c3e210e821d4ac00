/** Where an archive is, what opens it, and which engines keep its records and its media. */
import { dirname, join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { idBytes } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import type { BlobDirectory, BlobLocation, BlobSetting, PlaceSetting, S3Location } from '../store/blob-location.ts';
import type { StoreLocation } from '../store/engine.ts';
import type { Keyring } from '../vault/keyring.ts';
import type { HouseEntry } from './house-file.ts';
import type { ArchiveLayout } from './layout.ts';

/** What whoever makes, opens, restores or rekeys an archive is told of it. */
export type HousePlace = {
  readonly directory: string;
  /** The directory that the nodes of an archive share, where it has several. */
  readonly shared?: string;
  /** Path of the root key's file; by default inside the data directory. */
  readonly rootKeyPath?: string;
  readonly passphrase?: string;
  /** `postgres://…`, where the records are not in the data directory. */
  readonly database?: string;
  /** A place in a bucket, where the media are not in the data directory. */
  readonly blobs?: BlobSetting;
};

/** Records in the data directory: those of an archive on one machine, and of every copy. */
export function fileStore(
  layout: ArchiveLayout,
  { databaseKey }: Pick<Keyring, 'databaseKey'>,
): StoreLocation & { engine: 'sqlite' } {
  return { engine: 'sqlite', path: layout.database, key: databaseKey };
}

/** Where the records of an archive are. */
export function storeLocation(
  layout: ArchiveLayout,
  archiveId: ArchiveId,
  keyring: Pick<Keyring, 'databaseKey'>,
  database: string | undefined,
): StoreLocation {
  return database === undefined ? fileStore(layout, keyring) : databaseStore(layout, archiveId, keyring, database);
}

/** Records in PostgreSQL. */
export function databaseStore(
  layout: ArchiveLayout,
  archiveId: ArchiveId,
  { databaseKey }: Pick<Keyring, 'databaseKey'>,
  url: string,
): StoreLocation & { engine: 'postgres' } {
  return { engine: 'postgres', url, archiveId: idBytes(archiveId), epochs: layout.epochs, key: databaseKey };
}

/** Media in the data directory: those of an archive on one machine, and of every copy. */
export function fileBlobs(layout: ArchiveLayout, node?: string): BlobDirectory {
  return { engine: 'directory', path: layout.blobs, ...(node === undefined ? {} : { node }) };
}

/** Where the media of an archive are. @param node the name of this node, where it is one of several */
export function blobLocation(
  layout: ArchiveLayout,
  archiveId: ArchiveId,
  blobs: BlobSetting | undefined,
  node?: string,
): BlobLocation {
  if (blobs === undefined) return fileBlobs(layout, node);
  return {
    ...blobs,
    engine: 's3',
    // Several archives may be given one bucket.
    prefix: `${blobs.prefix}${archiveId}/`,
    spool: layout.incoming,
  };
}

/** Where an archive keeps months of its index for nodes that have none yet; undefined where one node has its disk alone. */
export function monthsLocation(blobs: BlobLocation): BlobLocation | undefined {
  if (blobs.engine === 's3') return { ...blobs, folder: 'months/', spool: `${blobs.spool}.months` };
  return blobs.node === undefined ? undefined : { ...blobs, path: join(dirname(blobs.path), 'months') };
}

/** Where the tiles of an archive's log are in its bucket. */
export function logPlace(blobs: S3Location): PlaceSetting {
  return { ...blobs, prefix: `${blobs.prefix}log/` };
}

/**
 * An archive whose records or media are elsewhere than the settings say would be taken for an empty one.
 * @throws CartularyError `setting`
 */
export function assertEngine(entry: HouseEntry, { database, blobs }: Pick<HousePlace, 'database' | 'blobs'>): void {
  const { engine, name } = entry;
  if (engine === 'postgres' && database === undefined)
    throw new CartularyError('setting', `the records of ${name} are in PostgreSQL: give CARTULARY_DATABASE`);
  if (engine === undefined && database !== undefined)
    throw new CartularyError(
      'setting',
      `the records of ${name} are in its data directory: leave CARTULARY_DATABASE out, or move them with "cartulary migrate"`,
    );
  if (entry.blobs === 's3' && blobs === undefined)
    throw new CartularyError('setting', `the media of ${name} are in S3: give CARTULARY_BLOBS`);
  if (entry.blobs === undefined && blobs !== undefined)
    throw new CartularyError(
      'setting',
      `the media of ${name} are in its data directory: leave CARTULARY_BLOBS out, or move them with "cartulary migrate"`,
    );
}
