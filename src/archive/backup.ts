/**
 * Backup and restore. A backup is a directory: `content/` may be kept as long as anybody likes; `keys/` must be short-lived, since whoever has both and the root key
 * can read what was destroyed after it was made. A restore replays the destructions that are on the list before anything is served.
 */
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import type { KnownHead } from '../ledger/signer.ts';
import { emptyRoot } from '../ledger/tree.ts';
import { CartularyError } from '../model/errors.ts';
import { idBytes } from '../model/ids.ts';
import type { ArchiveId, MessageId } from '../model/ids.ts';
import { joinCopies, moveStore, openStoreReader } from '../store/engine.ts';
import type { RowCounts, SchemaUpdate } from '../store/engine.ts';
import { syncDirectory, writeFileDurably } from '../vault/durable-file.ts';
import { openBlobs } from '../store/blob-engine.ts';
import type { BlobLocation } from '../store/blob-location.ts';
import { openTileFiles } from '../store/tile-files.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import type { Keyring } from '../vault/keyring.ts';
import { readKit, restoreLocalRootFromKit } from '../vault/kit-shares.ts';
import { openLocalRoot } from '../vault/root-provider.ts';
import type { LocalRoot, RootProvider } from '../vault/root-provider.ts';
import { addMedia, copyMedia, listFiles } from './backup-files.ts';
import { checkFiles } from './backup-manifest.ts';
import type { BackupManifest } from './backup-manifest.ts';
import { destructionListPath, findDestructionList, writeDestructionList } from './destruction-list.ts';
import { growLog } from './grow-log.ts';
import { isInitialised, readHouseFile, writeHouseFile } from './house-file.ts';
import { blobLocation, fileStore, storeLocation } from './house-place.ts';
import type { HousePlace } from './house-place.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { findLateMedia } from './find-late-media.ts';
import { archiveLayout, dataLayout } from './layout.ts';
import type { ArchiveLayout, DataLayout } from './layout.ts';
import { besideBackups, decideContinuation, gatherKnown } from './restore-heads.ts';
import type { Continuation, KnownBesides } from './restore-heads.ts';
import { writeSignerMemory } from './signer-memory.ts';

/** What a backup holds. */
export type BackupReport = {
  readonly path: string;
  readonly records: number;
  readonly files: number;
  readonly bytes: number;
};

/** What a restore did. */
export type RestoreReport = {
  readonly archiveId: string;
  readonly records: number;
  readonly destroyedReplayed: number;
  /** Size of the newest head that is known. */
  readonly checkpointSize: number;
  /** The log's public key from now on. */
  readonly logKey: string;
  /** The log that could not go on, where a successor was opened. */
  readonly succeeds?: { readonly origin: string; readonly size: number; readonly lostFrom: number };
  /** From which schema the records came to that of this program. */
  readonly schema: SchemaUpdate;
};

/**
 * Writes a backup of a running archive into a new directory under `into`. Capture goes on meanwhile.
 * @param publish brings the signed log up to date and gives its checkpoint
 */
export async function writeBackup(
  data: DataLayout,
  parts: CopySource,
  options: {
    readonly into: string;
    readonly nowMs: number;
    readonly publish: () => Promise<string>;
    readonly onProgress: (done: number, total: number) => void;
  },
): Promise<BackupReport> {
  const { blobPlace, layout: place } = parts;
  const { id } = await readHouseFile(data);
  const madeAt = new Date(options.nowMs).toISOString();
  const path = join(options.into, `cartulary-${id}-${nameOfTime(options.nowMs)}`);
  const partial = `${path}.part`;
  await removeCutOff(options.into, id);
  const { records, media, checkpoint } = await copyParts(data, parts, options.publish, partial);
  const to: BlobLocation = { engine: 'directory', path: join(partial, 'content', 'blobs') };
  await copyMedia(media, { from: blobPlace, to, mayGo: true }, options.onProgress);
  const files = await listFiles(partial);
  await writeFileDurably(
    join(partial, 'manifest.json'),
    Buffer.from(
      `${JSON.stringify({ version: 1, archive: id, madeAt, records, files } satisfies BackupManifest, null, 1)}\n`,
    ),
    0o600,
  );
  await syncTree(partial, files);
  await rename(partial, path);
  await putBeside(place, id, options.into, checkpoint);
  await syncDirectory(options.into);
  return { path, records, files: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

/** A time as names have it: in the order of time, and of characters that every file system takes. */
export function nameOfTime(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[:.]/g, '-');
}

/** What copying takes of a running archive. */
export type CopySource = Pick<ArchiveParts, 'blobPlace' | 'layout' | 'reader' | 'sealer' | 'writer'>;

/** Copies everything but the media into `content/` and `keys/` of a directory, as it is at one moment. @returns the media that belong to it, too */
export async function copyParts(
  data: DataLayout,
  source: CopySource,
  publish: () => Promise<string>,
  into: string,
): Promise<{ readonly records: number; readonly media: readonly string[]; readonly checkpoint: string }> {
  await mkdir(join(into, 'content'), { recursive: true, mode: 0o700 });
  await mkdir(join(into, 'keys'), { recursive: true, mode: 0o700 });
  const { layout: place } = source;
  const checkpoint = await publish();
  const copied = await copyRecords(source, into);
  await copyFile(data.house, join(into, 'content', 'cartulary.json'));
  await writeFileDurably(join(into, 'content', 'checkpoint'), Buffer.from(checkpoint), 0o600);
  await copyFile(place.keyring, join(into, 'keys', 'keyring.json'));
  await copyFile(destructionListPath(place), join(into, 'content', 'destroyed.jsonl'));
  return { ...copied, checkpoint };
}

/** What a backup that was cut off has left: in its copy of the content the keys may still be. */
async function removeCutOff(into: string, id: string): Promise<void> {
  for (const name of await readdir(into).catch((): string[] => []))
    if (name.startsWith(`cartulary-${id}-`) && name.endsWith('.part'))
      await rm(join(into, name), { recursive: true, force: true });
}

/** Makes files and the names that lead to them durable, before the directory gets the name of a backup. */
async function syncTree(base: string, files: readonly { readonly path: string }[]): Promise<void> {
  const directories = new Set([base]);
  for (const { path } of files) {
    const file = await open(join(base, path), 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    for (let directory = dirname(path); directory !== '.'; directory = dirname(directory))
      directories.add(join(base, directory));
  }
  for (const directory of directories) await syncDirectory(directory);
}

/** Copies the records as they are at one moment. @returns how many, and the media that they may name */
async function copyRecords(
  { blobPlace, reader, sealer, writer }: Pick<ArchiveParts, 'blobPlace' | 'reader' | 'sealer' | 'writer'>,
  partial: string,
): Promise<{ readonly records: number; readonly media: readonly string[] }> {
  const records = await writer.copyTo(join(partial, 'content', 'archive.db'), join(partial, 'keys', 'keys.db'));
  const there = await Array.fromAsync((await openBlobs(blobPlace)).list());
  const late = await findLateMedia({ reader, sealer }, records);
  return { records, media: there.filter((name) => !late.has(name)) };
}

/** The head of the newest backup and the newest list of destructions lie beside the backups as well: an older backup is restored with them. */
async function putBeside(place: ArchiveLayout, id: string, into: string, checkpoint: string): Promise<void> {
  const beside = besideBackups(into, id);
  const destroyed = await findDestructionList(destructionListPath(place));
  if (destroyed === undefined) throw new CartularyError('corrupt', 'the list of destructions is missing');
  await writeDestructionList(beside.destroyed, destroyed.values());
  await writeSignerMemory(beside.head, parseSignedCheckpoint(checkpoint));
}

/** Media that several backups of one place share. */
export type BackupMedia = {
  readonly location: BlobLocation;
  readonly names: readonly string[];
  /** Are they left where they are, because the copy is only looked at? */
  readonly stay?: boolean;
};

/** What a restore is given. */
export type RestoreOptions = HousePlace & {
  readonly from: string;
  /** Where its media are, and which are its own, where they are not with it. */
  readonly media?: BackupMedia;
  /** Text of the recovery kit, or of as many of its shares as it takes; without it the root key must be where the settings say. */
  readonly kit?: string;
  /** Path of a newer destruction list, with the file of the head beside it. */
  readonly destroyed?: string;
  /** Signed checkpoints of the archive that others hold. */
  readonly checkpoints?: readonly string[];
  /** May a successor of the log be opened, where the backup is older than a head that was signed? */
  readonly successor?: boolean;
  /** Does a person answer for what is brought back, where no list of destructions is as new as the newest head? */
  readonly listLost?: boolean;
  readonly onProgress: (done: number, total: number) => void;
};

/**
 * Makes a data directory from a backup.
 * @throws CartularyError `conflict` where the directory holds an archive, where the list of destructions is older than the newest head that is known, and where the log
 *   cannot go on and no successor may be opened; `corrupt` where a file of the backup is not what its manifest says
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { from, directory } = options;
  const data = dataLayout(directory, options.shared);
  if (await isInitialised(data))
    throw new CartularyError('conflict', `${directory} holds an archive already; restore into an empty directory`);
  const manifest = await checkFiles(from, options.onProgress);
  const rootOptions = { path: options.rootKeyPath ?? data.rootKey, passphrase: options.passphrase };
  const root = await openRoot(options.kit, rootOptions);
  try {
    return await restoreUnder(options, manifest, root);
  } finally {
    root.destroy();
  }
}

/** The same with files that were checked and a root key that is at hand. @throws CartularyError as `restoreBackup` */
export async function restoreUnder(
  options: RestoreOptions,
  manifest: BackupManifest,
  root: RootProvider,
): Promise<RestoreReport> {
  const text = await readFile(join(options.from, 'keys', 'keyring.json'), 'utf8');
  const keyring = await unwrapKeyring(text, root);
  try {
    return await restoreWithKeys(options, dataLayout(options.directory, options.shared), manifest, { text, keyring });
  } finally {
    keyring.destroy();
  }
}

/** The root key that is there, or else that of the kit. One that is there and is not the kit's is not replaced. */
async function openRoot(
  kit: string | undefined,
  rootOptions: { readonly path: string; readonly passphrase: string | undefined },
): Promise<LocalRoot> {
  if (kit === undefined) return openLocalRoot(rootOptions);
  if (!(await isThere(rootOptions.path))) return restoreLocalRootFromKit(kit, rootOptions);
  const { rootKey, rootId } = await readKit(kit);
  rootKey.fill(0);
  const root = await openLocalRoot(rootOptions);
  if (root.rootId === rootId) return root;
  root.destroy();
  throw new CartularyError('conflict', `another root key than that of the kit is at ${rootOptions.path}`);
}

async function restoreWithKeys(
  options: RestoreOptions,
  data: DataLayout,
  manifest: BackupManifest,
  keys: { readonly text: string; readonly keyring: Keyring },
): Promise<RestoreReport> {
  const { from } = options;
  const { records } = manifest;
  await mkdir(data.keys, { recursive: true, mode: 0o700 });
  const archiveId = manifest.archive as ArchiveId;
  const place = archiveLayout(data, archiveId);
  const { keyring } = keys;
  const { logKey } = keyring;
  const known = await gatherKnown({
    place,
    archiveId,
    logKey,
    from,
    records,
    checkpoint: await readFile(join(from, 'content', 'checkpoint'), 'utf8'),
    checkpoints: options.checkpoints ?? [],
    destroyed: options.destroyed,
  });
  assertListIsNew(known, options.listLost === true);
  const schema = await bringBackDatabase(from, place, keyring, known.destroyed.keys());
  const entry = await readHouseFile({ house: join(from, 'content', 'cartulary.json') });
  const continuation = await decideFor(place, keyring, { archiveId, origin: entry.origin, heads: known.heads });
  if (continuation.succeeds !== undefined && options.successor !== true) {
    throw new CartularyError(
      'conflict',
      `a head of ${continuation.succeeds.size} records was signed, and this backup cannot continue it: it holds ${records}. Restore a newer backup, or open a successor of the log with --successor`,
    );
  }
  await bringBackMedia(options, place, archiveId);
  await writeFileDurably(place.keyring, Buffer.from(keys.text), 0o600);
  const isNew = continuation.succeeds !== undefined;
  await writeSignerMemory(place.signerMemory, isNew ? { ...continuation.head, root: emptyRoot() } : continuation.head);
  // What stands in the log of the backup is on record; the rest is put on record when the archive is opened.
  const destroyed = Array.from(known.destroyed.values(), ({ message, seq }) =>
    seq !== undefined && seq < records ? { message, seq } : { message },
  );
  await writeDestructionList(destructionListPath(place), destroyed);
  const succeeds =
    continuation.succeeds === undefined
      ? {}
      : { succeeds: { ...continuation.succeeds, destructionsAsOf: known.destructionsAsOf } };
  await putRecords(options, place, archiveId, keyring);
  const { engine: _engine, blobs: _blobs, ...named } = entry;
  // Last, because a directory counts as an archive from then on.
  await writeHouseFile(data, {
    ...named,
    ...(options.database === undefined ? {} : { engine: 'postgres' }),
    ...(options.blobs === undefined ? {} : { blobs: 's3' }),
    origin: continuation.head.origin,
    ...succeeds,
  });
  await rm(`${place.directory}.restoring`);
  return {
    archiveId,
    records,
    destroyedReplayed: destroyed.length,
    checkpointSize: Math.max(...known.heads.map(({ head }) => head.size)),
    logKey: formatVkey(createNoteSigner({ name: continuation.head.origin, seed: logKey })),
    ...(continuation.succeeds === undefined ? {} : { succeeds: continuation.succeeds }),
    schema,
  };
}

/** The records are where they belong, or are moved there. */
async function putRecords(
  { database, onProgress }: RestoreOptions,
  place: ArchiveLayout,
  archiveId: ArchiveId,
  keyring: Keyring,
): Promise<void> {
  if (database === undefined) return;
  const from = fileStore(place, keyring);
  await moveStore(from, storeLocation(place, archiveId, keyring, database), onProgress);
  for (const suffix of ['', '-wal', '-shm']) await rm(from.path + suffix, { force: true });
}

/** A list that is older than a head may lack a destruction, and a restore without it would bring back what was erased. */
function assertListIsNew(known: KnownBesides, isLostAccepted: boolean): void {
  const newest = Math.max(...known.heads.map(({ head }) => head.size));
  if (known.destructionsAsOf >= newest || isLostAccepted) return;
  throw new CartularyError(
    'conflict',
    `a head of ${newest} records is known, and the newest list of destructions is as of ${known.destructionsAsOf}: what was destroyed since then would come back. Give a newer list with --destroyed FILE (with its .head.json beside it), or answer for it with --list-lost`,
  );
}

async function bringBackMedia(options: RestoreOptions, place: ArchiveLayout, archiveId: ArchiveId): Promise<void> {
  const { media, onProgress } = options;
  const to = blobLocation(place, archiveId, options.blobs);
  if (media === undefined) {
    const from: BlobLocation = { engine: 'directory', path: join(options.from, 'content', 'blobs') };
    const names = await Array.fromAsync((await openBlobs(from)).list());
    await copyMedia(names, { from, to, mayGo: false }, onProgress);
    // Those that backups share stand in no manifest, so each is compared with its name on its way.
  } else if (media.stay !== true) await addMedia(media.names, { from: media.location, to, mayGo: false }, onProgress);
}

async function bringBackDatabase(
  from: string,
  place: ArchiveLayout,
  keyring: Keyring,
  destroyed: Iterable<string>,
): Promise<SchemaUpdate> {
  // Only what a restore that was refused or cut off has left may be in the way.
  const mark = `${place.directory}.restoring`;
  if (await isThere(place.directory)) {
    if (!(await isThere(mark)))
      throw new CartularyError('conflict', `${place.directory} is there already; restore into an empty directory`);
    await rm(place.directory, { recursive: true });
  }
  await mkdir(dirname(mark), { recursive: true, mode: 0o700 });
  await writeFileDurably(mark, new Uint8Array(), 0o600);
  await mkdir(place.directory, { recursive: true, mode: 0o700 });
  const keys = `${place.database}.keys`;
  await copyFile(join(from, 'content', 'archive.db'), place.database);
  await copyFile(join(from, 'keys', 'keys.db'), keys);
  const ids = new Set(Array.from(destroyed, (message) => Buffer.from(idBytes(message as MessageId)).toString('hex')));
  const schema = joinCopies(place.database, keys, keyring.databaseKey, ids);
  for (const suffix of ['', '-wal', '-shm']) await rm(keys + suffix, { force: true });
  assertNothingLost(schema);
  return schema;
}

/** @throws CartularyError `conflict` where a change of the schema took rows away, or added some */
export function assertNothingLost({ from, to, before, after }: SchemaUpdate): void {
  for (const [name, count] of Object.entries(after)) {
    const former = before[name as keyof RowCounts];
    if (count !== former)
      throw new CartularyError(
        'conflict',
        `there were ${former} ${name}, and after the change from schema ${from} to ${to} there are ${count}: stay with the version that you have`,
      );
  }
}

async function decideFor(
  place: ArchiveLayout,
  keyring: Keyring,
  known: { readonly archiveId: ArchiveId; readonly origin: string; readonly heads: readonly KnownHead[] },
): Promise<Continuation> {
  const files = openTileFiles(place.log);
  const reader = await openStoreReader(fileStore(place, keyring));
  try {
    const size = await reader.size();
    await growLog({ reader, files, from: 0, size });
    return await decideContinuation({ ...known, size, readTile: files.readTile });
  } finally {
    await reader.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
