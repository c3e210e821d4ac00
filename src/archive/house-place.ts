/** Where an archive is, what opens it, and which engine keeps its records. */
import { CartularyError } from '../model/errors.ts';
import { idBytes } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import type { StoreLocation } from '../store/engine.ts';
import type { Keyring } from '../vault/keyring.ts';
import type { HouseEntry } from './house-file.ts';
import type { ArchiveLayout } from './layout.ts';

/** What whoever makes, opens, restores or rekeys an archive is told of it. */
export type HousePlace = {
  readonly directory: string;
  /** Path of the root key's file; by default inside the data directory. */
  readonly rootKeyPath?: string;
  readonly passphrase?: string;
  /** `postgres://…`, where the records are not in the data directory. */
  readonly database?: string;
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
  if (database === undefined) return fileStore(layout, keyring);
  return {
    engine: 'postgres',
    url: database,
    archiveId: idBytes(archiveId),
    epochs: layout.epochs,
    key: keyring.databaseKey,
  };
}

/**
 * An archive whose records are elsewhere than the settings say would be taken for an empty one.
 * @throws CartularyError `setting`
 */
export function assertEngine({ engine, name }: HouseEntry, database: string | undefined): void {
  if (engine === 'postgres' && database === undefined)
    throw new CartularyError('setting', `the records of ${name} are in PostgreSQL: give CARTULARY_DATABASE`);
  if (engine === undefined && database !== undefined)
    throw new CartularyError(
      'setting',
      `the records of ${name} are in its data directory: leave CARTULARY_DATABASE out, or move them with "cartulary migrate"`,
    );
}
