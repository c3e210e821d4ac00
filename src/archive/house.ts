/**
 * The house: a data directory with its root key and its archives. Makes it, opens it, says who could read it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';

import { ALL_SCOPES, createApiKey } from '../access/api-keys.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import { emptyRoot } from '../ledger/tree.ts';
import { CartularyError } from '../model/errors.ts';
import { formatId, idBytes } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import { openBlobs, probeBlobs } from '../store/blob-engine.ts';
import { lockDirectory } from '../store/lock.ts';
import { openNodeLink, openStore, prepareStore } from '../store/engine.ts';
import type { StoreReader } from '../store/store.ts';
import { reviveError } from '../store/thread.ts';
import { createThreadStarter } from '../store/thread-sharing.ts';
import type { ThreadStarter } from '../store/thread-sharing.ts';
import { openTileFiles } from '../store/tile-files.ts';
import { removeTemporaries, writeFileDurably } from '../vault/durable-file.ts';
import { createKeyring, unwrapKeyring, wrapKeyring } from '../vault/keyring.ts';
import { createRandomPool } from '../vault/random.ts';
import { formatRecoveryKit } from '../vault/recovery-kit.ts';
import { createLocalRoot, openLocalRoot } from '../vault/root-provider.ts';
import type { HpkeKeyPair } from '../vault/hpke.ts';
import type { Keyring } from '../vault/keyring.ts';
import type { LocalRoot, RootDescription } from '../vault/root-provider.ts';
import { makeSealer } from './make-sealer.ts';
import { createArchive } from './archive.ts';
import { recordBlobs } from './blob-care.ts';
import type { Archive } from './archive.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { destructionListPath, writeDestructionList } from './destruction-list.ts';
import { assertEngine, blobLocation, monthsLocation, storeLocation } from './house-place.ts';
import type { HousePlace } from './house-place.ts';
import { isInitialised, readHouseFile, writeHouseFile } from './house-file.ts';
import type { HouseEntry } from './house-file.ts';
import { createIdentifier } from './identify.ts';
import { archiveLayout, dataLayout, firstOriginOf } from './layout.ts';
import type { ArchiveLayout, DataLayout } from './layout.ts';
import { createMediaVault } from './media.ts';
import { createRecorder } from './recorder.ts';
import { finishWhatWasBegun } from './on-opening.ts';
import { nameNode } from './node-name.ts';
import { openRegistry } from './registry.ts';
import { readSignerMemory, writeSignerMemory } from './signer-memory.ts';
import { formerVkeysOf, leaveFormerLog } from './succession.ts';
import { startArchiveThreads } from './threads.ts';
import { threadSetup } from './threads/workspace.ts';

/** What a house needs to be opened. */
export type HouseOptions = HousePlace & {
  readonly now?: () => number;
  /** Does this node keep an index and publish the log? One that only takes in what platforms send does neither. */
  readonly follows?: boolean;
  /** How its threads run; all of them from the start on where nothing is said. */
  readonly threads?: ThreadStarter;
  /** Does the caller hold the data directory already? */
  readonly isHeld?: boolean;
  /** A thread died or the disk failed: the process must end. */
  readonly onFatal?: (cause: unknown) => void;
  /** Something derived has stalled (signing, moving the log): capture goes on, a person must look. */
  readonly onStalled?: (cause: unknown) => void;
};

/** An open house. */
export type House = {
  readonly layout: DataLayout;
  readonly archive: Archive;
  readonly root: RootDescription;
  /** Id of the root key, as it stands on the recovery kit. */
  readonly rootId: string;
  close(): Promise<void>;
};

/** What `init` gives; the key and the kit are shown this once. */
export type Initialised = {
  readonly archiveId: ArchiveId;
  readonly apiKey: string;
  readonly logKey: string;
  readonly recoveryKit: string;
};

/**
 * Makes a data directory with one archive, its keys and its first API key.
 * @throws CartularyError `conflict` where there is one already
 */
export async function initHouse(options: HouseOptions & { readonly name: string }): Promise<Initialised> {
  const layout = dataLayout(options.directory, options.shared);
  if (await isInitialised(layout)) throw new CartularyError('conflict', 'this data directory holds an archive already');
  for (const directory of [layout.directory, layout.common]) await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(layout.lock);
  try {
    const now = options.now ?? Date.now;
    const random = createRandomPool();
    const archiveId = formatId('archive', randomBytes(16));
    const root = await createLocalRoot({
      path: options.rootKeyPath ?? layout.rootKey,
      passphrase: options.passphrase,
      now,
    });
    const keyring = createKeyring({ archiveId: idBytes(archiveId), random, now });
    await writeFileDurably(
      archiveLayout(layout, archiveId).keyring,
      Buffer.from(await wrapKeyring(keyring, root)),
      0o600,
    );
    const origin = firstOriginOf(archiveId);
    const logKey = formatVkey(createNoteSigner({ name: origin, seed: keyring.logKey }));
    const rootKey = root.exportRootKey();
    const recoveryKit = formatRecoveryKit({
      rootKey,
      archives: [{ name: options.name, id: archiveId, logKey }],
      madeAt: now(),
    });
    rootKey.fill(0);
    const place = archiveLayout(layout, archiveId);
    await writeSignerMemory(place.signerMemory, { origin, size: 0, root: emptyRoot() });
    await writeDestructionList(destructionListPath(place), []);
    await prepareStore(storeLocation(place, archiveId, keyring, options.database));
    const media = blobLocation(place, archiveId, options.blobs);
    // Before there is an archive: one that cannot be opened at once would be made without its first key.
    if (media.engine === 's3') await probeBlobs(media, now(), true);
    await writeHouseFile(layout, {
      id: archiveId,
      name: options.name,
      origin,
      createdAt: new Date(now()).toISOString(),
      ...(options.database === undefined ? {} : { engine: 'postgres' }),
      ...(options.blobs === undefined ? {} : { blobs: 's3' }),
    });
    keyring.destroy();
    root.destroy();
    lock.release();
    const house = await openBriefly(options);
    const { key, text } = createApiKey('first key', ALL_SCOPES, now(), (bytes) => random.take(bytes));
    await house.archive.putKey({ kind: 'local', user: 'init' }, key);
    await house.close();
    return { archiveId, apiKey: text, logKey, recoveryKit };
  } finally {
    lock.release();
  }
}

/** Opens a data directory for a moment. */
async function openBriefly(options: HouseOptions): Promise<House> {
  const threads = createThreadStarter('shared');
  return openHouse({ ...options, threads }).catch(async (cause: unknown) => {
    await threads.end();
    throw cause;
  });
}

/**
 * Opens a data directory for this process alone.
 * @throws CartularyError `data-held` where another process has it, `not-found` where there is no archive, `key-missing`
 */
export async function openHouse(options: HouseOptions): Promise<House> {
  const layout = dataLayout(options.directory, options.shared);
  if (!(await isInitialised(layout))) {
    throw new CartularyError(
      'not-found',
      `there is no archive in ${layout.common}; run "cartulary init --data ${layout.directory} --name SHOP"`,
    );
  }
  const lock = options.isHeld === true ? undefined : lockDirectory(layout.lock);
  try {
    // First: where a newer version wrote it, that is what is wrong with every other file as well.
    const entry = await readHouseFile(layout);
    const root = await openRoot(layout, options);
    const archive = await openArchive(layout, entry, root, options);
    return {
      layout,
      archive,
      root: root.describe(),
      rootId: root.rootId,
      async close() {
        await archive.close();
        root.destroy();
        lock?.release();
      },
    };
  } catch (cause) {
    lock?.release();
    throw reviveError(cause);
  }
}

async function openRoot(layout: DataLayout, { rootKeyPath, passphrase, shared }: HousePlace): Promise<LocalRoot> {
  const path = rootKeyPath ?? layout.rootKey;
  if (shared === undefined) await removeTemporaries(path);
  return openLocalRoot({ path, passphrase });
}

/**
 * The key pair of an archive's spool, without opening the archive: for a node whose database is away.
 * @throws CartularyError `key-missing`, `corrupt`
 */
export async function openSpoolKey(options: HousePlace): Promise<HpkeKeyPair> {
  const layout = dataLayout(options.directory, options.shared);
  const entry = await readHouseFile(layout);
  const root = await openRoot(layout, options);
  try {
    const keyring = await openKeyring(archiveLayout(layout, entry.id as ArchiveId), root);
    const { publicKey, privateKey } = keyring.spoolKey;
    const own = { publicKey, privateKey: new Uint8Array(privateKey) };
    keyring.destroy();
    return own;
  } finally {
    root.destroy();
  }
}

async function openArchive(
  layout: DataLayout,
  entry: HouseEntry,
  root: LocalRoot,
  options: HouseOptions,
): Promise<Archive> {
  const now = options.now ?? Date.now;
  const onFatal = options.onFatal ?? rethrowLater;
  assertEngine(entry, options);
  const archiveId = entry.id as ArchiveId;
  const place = archiveLayout(layout, archiveId);
  const node = await nameNode(layout);
  // Another node may be writing what all share.
  const shared = [layout.house, place.keyring, destructionListPath(place)];
  for (const path of [place.vkey, ...(node === undefined ? shared : [])]) await removeTemporaries(path);
  const keyring = await openKeyring(place, root);
  const location = storeLocation(place, archiveId, keyring, options.database);
  if (location.engine === 'sqlite') await assertDatabase(place);
  await leaveFormerLog(place, archiveId, entry.origin);
  await mkdir(place.index, { recursive: true, mode: 0o700 });
  const random = createRandomPool();
  const sealer = makeSealer(archiveId, keyring);
  const link = await openNodeLink(location);
  const { threads: starter = createThreadStarter('ready') } = options;
  const store = await openStore(location, onFatal, starter).catch(async (cause: unknown) => {
    await link.close();
    throw cause;
  });
  if (location.engine === 'postgres') await assertRecords(place, store.reader);
  const media = blobLocation(place, archiveId, options.blobs, node);
  const blobs = await openBlobs(media);
  const monthsPlace = monthsLocation(media);
  const identifier = createIdentifier(keyring.idKey);
  const threads = await startArchiveThreads(
    threadSetup(keyring, {
      archiveId,
      name: entry.name,
      origin: entry.origin,
      layout: place,
      store: location,
      blobs: media,
    }),
    keyring.logKey,
    store,
    { threads: starter, onFatal, onStalled: options.onStalled ?? rethrowLater, follows: options.follows ?? true },
  );
  const parts: ArchiveParts = {
    id: archiveId,
    name: entry.name,
    node,
    link,
    origin: entry.origin,
    vkey: formatVkey(createNoteSigner({ name: entry.origin, seed: keyring.logKey })),
    formerVkeys: formerVkeysOf(archiveId, entry.origin, keyring.logKey),
    layout: place,
    store: location,
    writer: store.writer,
    reader: store.reader,
    blobs,
    blobPlace: media,
    months: monthsPlace === undefined ? undefined : await openBlobs(monthsPlace),
    tiles: openTileFiles(place.log),
    sealer,
    random,
    identifier,
    recorder: createRecorder({
      archiveId,
      identifier,
      random,
      sealing: threads.sealing,
      onCommitted: (size) => threads.onCommitted(size),
    }),
    media: createMediaVault({ sealer, random, blobs }),
    registry: await openRegistry(store.reader, sealer, random),
    threads,
    spool: keyring.spoolKey,
    now,
  };
  const archive = createArchive(parts);
  const areMediaThere = await recordBlobs(parts);
  await link.alone('destroy', () => finishWhatWasBegun(parts, entry.succeeds, areMediaThere));
  return archive;
}

async function openKeyring(place: ArchiveLayout, root: LocalRoot): Promise<Keyring> {
  const text = await readFile(place.keyring, 'utf8').catch(() => undefined);
  const remedy = `copy keys/keyring.json of the newest backup to ${place.keyring}`;
  if (text === undefined) throw new CartularyError('key-missing', `the keyring of the archive is missing; ${remedy}`);
  try {
    return await unwrapKeyring(text, root);
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code !== 'corrupt') throw cause;
    throw new CartularyError('corrupt', `the keyring of the archive is damaged; ${remedy}`, { cause });
  }
}

/**
 * An archive that has signed a log has a database. One that was made anew in its place would take in what comes as if nothing had been there, without the sources and their
 * secrets.
 */
async function assertDatabase(place: ArchiveLayout): Promise<void> {
  if ((await stat(place.database).catch(() => undefined))?.size) return;
  const signed = (await readSignerMemory(place.signerMemory))?.size ?? 0;
  if (signed > 0 || (await stat(place.log).catch(() => undefined)) !== undefined)
    throw new CartularyError(
      'corrupt',
      `the database ${place.database} is missing or empty; run "cartulary restore BACKUP --data NEW-DIRECTORY" with the newest backup`,
    );
}

/** The same where the records are in PostgreSQL: one that holds none of an archive that has signed a log is another database. */
async function assertRecords(place: ArchiveLayout, reader: StoreReader): Promise<void> {
  const signed = (await readSignerMemory(place.signerMemory))?.size ?? 0;
  if (signed > 0 && (await reader.size()) === 0)
    throw new CartularyError(
      'corrupt',
      'the database that CARTULARY_DATABASE names holds no record of this archive; name the right one, or run "cartulary restore BACKUP --data NEW-DIRECTORY" with the newest backup',
    );
}

function rethrowLater(cause: unknown): void {
  setImmediate(() => {
    throw cause;
  });
}
