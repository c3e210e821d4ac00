/**
 * Moves the records of an archive from its file into PostgreSQL, and its media from their directory into S3. Keys, log and index stay where they are; what was moved stays,
 * too, under another name, until a person deletes it.
 */
import { readFile, rename } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';

import { appendLeafHashes, emptyRange, leafHash, rangeRoot } from '../ledger/tree.ts';
import { CartularyError } from '../model/errors.ts';
import { openBlobs, probeBlobs } from '../store/blob-engine.ts';
import { moveStore, openStoreReader } from '../store/engine.ts';
import type { StoreLocation } from '../store/engine.ts';
import { syncDirectory } from '../vault/durable-file.ts';
import { equalConstantTime } from '../vault/hash.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import { openLocalRoot } from '../vault/root-provider.ts';
import { copyMedia } from './backup-files.ts';
import { writeHouseFile } from './house-file.ts';
import { blobLocation, fileBlobs, fileStore, storeLocation } from './house-place.ts';
import type { HousePlace } from './house-place.ts';
import { withStoppedArchive } from './key-care.ts';

/** What was done. */
export type Migration = {
  readonly records: number;
  /** Root of the Merkle tree over all records, the same on both sides; base64. */
  readonly root: string;
  /** Where the former file is now. */
  readonly former: string;
};

/** Leaves that are read at a time. */
const LEAVES = 8192;

/**
 * Moves the records of a stopped archive; a run that was cut off is finished by the next.
 * @param place without `database`; `to`: `postgres://…`
 * @throws CartularyError `data-held` where a process has the archive open, `conflict` where the records are in a database already or the database holds them, `corrupt` where root or
 *   counts differ in the end: then nothing has changed here
 */
export function migrateRecords(
  place: Omit<HousePlace, 'database'>,
  to: string,
  onProgress: (done: number, total: number) => void,
): Promise<Migration> {
  return withStoppedArchive(place, async ({ data, entry, layout, rootOptions, id }) => {
    if (entry.engine !== undefined)
      throw new CartularyError('conflict', `the records of ${entry.name} are in a database already`);
    const root = await openLocalRoot(rootOptions);
    const keyring = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
    root.destroy();
    const from = fileStore(layout, keyring);
    const target = storeLocation(layout, id, keyring, to);
    await moveStore(from, target, onProgress);
    const [before, after] = [await treeOf(from), await treeOf(target)];
    keyring.destroy();
    if (before.size !== after.size || !equalConstantTime(before.root, after.root))
      throw new CartularyError(
        'corrupt',
        `the log of what was moved is another one (${after.size} records instead of ${before.size}); begin again in another database`,
      );
    const former = `${layout.database}.moved`;
    // First: an archive that knows that its records are in a database never looks at the file.
    await writeHouseFile(data, { ...entry, engine: 'postgres' });
    for (const suffix of ['', '-wal', '-shm'])
      await rename(layout.database + suffix, former + suffix).catch(() => undefined);
    await syncDirectory(layout.directory);
    return { records: after.size, root: Buffer.from(after.root).toString('base64'), former };
  });
}

/** What was done with the media. */
export type MediaMigration = {
  readonly media: number;
  /** Where the former directory is now; undefined where there was none. */
  readonly former?: string;
};

/**
 * Moves the media of a stopped archive; a run that was cut off is finished by the next. Every byte is compared with the name of its blob on the way.
 * @param place with `blobs`, where they go
 * @throws CartularyError `data-held` where a process has the archive open, `conflict` where the media are in S3 already, `corrupt` where a medium is damaged or in the end others
 *   are there: then nothing has changed here
 */
export function migrateMedia(
  place: HousePlace,
  onProgress: (done: number, total: number) => void,
): Promise<MediaMigration> {
  return withStoppedArchive(place, async ({ data, entry, layout, id }) => {
    const [from, to] = [fileBlobs(layout), blobLocation(layout, id, place.blobs)];
    if (entry.blobs !== undefined || to.engine !== 's3')
      throw new CartularyError('conflict', `the media of ${entry.name} are in S3 already`);
    await probeBlobs(to, Date.now(), true);
    const names = await Array.fromAsync((await openBlobs(from)).list());
    await copyMedia(names, { from, to, mayGo: false }, onProgress);
    const there = await Array.fromAsync((await openBlobs(to)).list());
    if (!isDeepStrictEqual(there, names))
      throw new CartularyError(
        'corrupt',
        `the bucket holds ${there.length} media instead of these ${names.length}; begin again with another prefix`,
      );
    const former = `${layout.blobs}.moved`;
    // First: an archive that knows that its media are in S3 never looks at the directory.
    await writeHouseFile(data, { ...entry, blobs: 's3' });
    const isMoved = await rename(layout.blobs, former).then(
      () => true,
      () => false,
    );
    await syncDirectory(layout.directory);
    return { media: names.length, ...(isMoved ? { former } : {}) };
  });
}

async function treeOf(location: StoreLocation): Promise<{ readonly size: number; readonly root: Uint8Array }> {
  const reader = await openStoreReader(location);
  try {
    let range = emptyRange();
    for (;;) {
      const leaves = await reader.readLeaves(range.size, LEAVES);
      if (leaves.length === 0) return { size: range.size, root: rangeRoot(range) };
      range = appendLeafHashes(
        range,
        leaves.map((leaf) => leafHash(leaf)),
      );
    }
  } finally {
    await reader.close();
  }
}
