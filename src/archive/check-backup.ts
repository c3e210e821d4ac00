/**
 * Can a backup be restored? Found out by restoring it, into a place of its own that goes afterwards, and by verifying what came of it. The archive is not touched, nothing
 * is signed, and no root key is written anywhere: what lies in that place meanwhile is sealed as in the archive.
 */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import { CartularyError } from '../model/errors.ts';
import { formatId } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import { openStoreReader, withTrial } from '../store/engine.ts';
import type { SchemaUpdate, StoreLocation } from '../store/engine.ts';
import { lockDirectory } from '../store/lock.ts';
import { openTileFiles } from '../store/tile-files.ts';
import { equalConstantTime } from '../vault/hash.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import type { Keyring } from '../vault/keyring.ts';
import { readKit } from '../vault/kit-shares.ts';
import { holdRoot, openLocalRoot } from '../vault/root-provider.ts';
import type { LocalRoot, RootProvider } from '../vault/root-provider.ts';
import { assertNothingLost, restoreUnder } from './backup.ts';
import type { RestoreOptions } from './backup.ts';
import { checkFiles } from './backup-manifest.ts';
import type { BackupManifest } from './backup-manifest.ts';
import { destructionListPath, findDestructionList } from './destruction-list.ts';
import { growLog } from './grow-log.ts';
import { readHouseFile } from './house-file.ts';
import { databaseStore, fileBlobs, fileStore } from './house-place.ts';
import { archiveLayout, dataLayout } from './layout.ts';
import type { ArchiveLayout, DataLayout } from './layout.ts';
import { verifyOwn } from './restore-heads.ts';
import { writeSignerMemory } from './signer-memory.ts';
import { formerVkeysOf } from './succession.ts';
import { verifyInThread } from './threads.ts';
import { threadSetup } from './threads/workspace.ts';
import type { Fault } from './threads/verify-thread.ts';

/** The verdict on a backup. */
export type BackupCheck = {
  /** The backup that was looked at. */
  readonly path: string;
  /** Can it be restored with what was given, and is what comes back sound? */
  readonly ok: boolean;
  /** When it was made, RFC 3339; empty where nothing of it can be read. */
  readonly madeAt: string;
  readonly records: number;
  /** Records that were opened and compared with their leaves. */
  readonly checked: number;
  readonly blobs: number;
  /** Size and root of its checkpoint. */
  readonly size: number;
  readonly root: string;
  /** Messages whose destruction a restore replays. */
  readonly destroyedReplayed: number;
  /** From which schema the records came to that of this program; undefined where it did not come to that. */
  readonly schema?: SchemaUpdate;
  readonly faults: readonly Fault[];
};

/** What a check is given: what a restore is, and a directory for the place in which it is tried. */
export type BackupCheckOptions = Omit<RestoreOptions, 'directory' | 'shared' | 'database' | 'blobs'> & {
  readonly workIn: string;
  /** Paths of the archive where it is on this machine: what was destroyed since must stand on a list beside the backups. */
  readonly live?: DataLayout;
  readonly signal?: AbortSignal;
  /** Where the change of the tables is tried as well, if the records of the archive are in PostgreSQL. */
  readonly tables?: {
    /** `postgres://…` in which a schema of its own is made, which goes afterwards. */
    readonly url: string;
    /** `postgres://…` of the archive in service, which is asked for its schema. */
    readonly inService: string;
  };
  /** Done with what was restored, once it was found to be sound, before it goes. */
  readonly afterwards?: (restored: Restored) => Promise<void>;
};

/** What was restored, in a place of its own. */
export type Restored = { readonly data: DataLayout; readonly archiveId: ArchiveId; readonly root: RootProvider };

const PREFIX = 'cartulary-check-';
const NOTHING_FOUND = { madeAt: '', records: 0, checked: 0, blobs: 0, size: 0, root: '', destroyedReplayed: 0 };

/**
 * Checks a backup, or the newest in a directory of backups.
 * @throws CartularyError `not-found` where there is none, `bad-input` where kit or checkpoints cannot be read, `key-missing` where no root key was given
 */
export async function checkBackup(options: BackupCheckOptions): Promise<BackupCheck> {
  const from = await findNewest(options.from);
  const faults: Fault[] = [];
  const found: Omit<BackupCheck, 'path' | 'ok' | 'faults'> = { ...NOTHING_FOUND };
  const root = await openAnyRoot(options);
  try {
    const manifest = await checkFiles(from, options.onProgress);
    Object.assign(found, { records: manifest.records, madeAt: manifest.madeAt });
    await removeLeft(options.workIn);
    const place = await mkdtemp(join(options.workIn, PREFIX));
    const data = dataLayout(join(place, 'data'));
    const lock = lockDirectory(join(place, 'lock'));
    try {
      const restoring = { ...options, from, directory: data.directory };
      const { schema, destroyedReplayed } = await restoreUnder(restoring, manifest, root);
      const archiveId = manifest.archive as ArchiveId;
      const verdict = await verifyRestored(options, from, archiveLayout(data, archiveId), { archiveId, root });
      Object.assign(found, { schema, destroyedReplayed }, verdict.found);
      faults.push(...verdict.faults, ...(await findUnlisted(options.live, manifest, data.directory)));
      if (faults.length === 0) await options.afterwards?.({ data, archiveId, root });
    } finally {
      lock.release();
      await rm(place, { recursive: true, force: true });
    }
  } catch (cause) {
    // What was stopped is no finding.
    if (!(cause instanceof CartularyError) || cause.code === 'bad-input' || cause.code === 'stopping') throw cause;
    faults.push({ code: cause.code, text: cause.message });
  } finally {
    root.destroy();
  }
  return { path: from, ok: faults.length === 0, ...found, faults };
}

/** The backup itself, or the newest in a directory of backups: their names end with their time. */
async function findNewest(directory: string): Promise<string> {
  if (await isThere(join(directory, 'manifest.json'))) return directory;
  const names = await readdir(directory).catch((): string[] => []);
  const newest = names
    .filter((name) => /^cartulary-arc_.*Z$/.test(name))
    .sort(byTime)
    .at(-1);
  if (newest === undefined)
    throw new CartularyError('not-found', `${directory} is not a backup: it has no manifest.json`);
  return join(directory, newest);
}

function byTime(one: string, other: string): number {
  const timeOf = (name: string): string => name.slice(-'2026-01-01T00-00-00-000Z'.length);
  return timeOf(one) < timeOf(other) ? -1 : 1;
}

async function openAnyRoot({ kit, rootKeyPath, passphrase, live }: BackupCheckOptions): Promise<LocalRoot> {
  if (kit !== undefined) {
    const { rootKey } = await readKit(kit);
    try {
      return holdRoot(rootKey);
    } finally {
      rootKey.fill(0);
    }
  }
  const path = rootKeyPath ?? live?.rootKey;
  if (path === undefined) throw new CartularyError('key-missing', 'give the recovery kit with --kit FILE');
  return openLocalRoot({ path, passphrase });
}

/** What a check that was killed has left; one that still runs holds its lock. */
async function removeLeft(workIn: string): Promise<void> {
  for (const name of await readdir(workIn)) {
    const place = join(workIn, name);
    if (!name.startsWith(PREFIX) || (await stat(place)).uid !== process.getuid?.()) continue;
    try {
      lockDirectory(join(place, 'lock')).release();
    } catch {
      continue;
    }
    await rm(place, { recursive: true, force: true });
  }
}

/** What was found out about a restored store. */
type Verdict = {
  readonly found: Partial<Pick<BackupCheck, 'checked' | 'blobs' | 'size' | 'root' | 'schema'>>;
  readonly faults: readonly Fault[];
};

/** Verifies what was restored, in the engine of the archive where that is to be tried. */
async function verifyRestored(
  options: BackupCheckOptions,
  from: string,
  place: ArchiveLayout,
  { archiveId, root }: Pick<Restored, 'archiveId' | 'root'>,
): Promise<Verdict> {
  const { tables, onProgress } = options;
  const keyring = await unwrapKeyring(await readFile(place.keyring, 'utf8'), root);
  const file = fileStore(place, keyring);
  const verify = (store: StoreLocation): Promise<Verdict> =>
    verifyStore(options, from, { place, archiveId, keyring, store });
  try {
    if (tables === undefined) return await verify(file);
    const at = databaseStore(place, archiveId, keyring, tables.url);
    const { inService } = tables;
    return await withTrial(file, at, { inService, onProgress }, async (store, schema) => {
      assertNothingLost(schema);
      const { found, faults } = await verify(store);
      return { found: { ...found, schema }, faults };
    });
  } finally {
    keyring.destroy();
  }
}

/** A store of a restored archive, and what opens it. */
type RestoredStore = {
  readonly place: ArchiveLayout;
  readonly archiveId: ArchiveId;
  readonly keyring: Keyring;
  readonly store: StoreLocation;
};

/** Verifies against the backup's own checkpoint, since nothing newer was signed over it. */
async function verifyStore(
  { media, signal }: BackupCheckOptions,
  from: string,
  restored: RestoredStore,
): Promise<Verdict> {
  const { place, archiveId, keyring, store } = restored;
  const entry = await readHouseFile({ house: join(from, 'content', 'cartulary.json') });
  const checkpoint = await readFile(join(from, 'content', 'checkpoint'), 'utf8');
  const head = verifyOwn(checkpoint, archiveId, keyring.logKey);
  if (!(await isAtRoot(restored, head, checkpoint))) {
    const text = 'the records are not those of the checkpoint of the backup; use another backup';
    return { found: {}, faults: [{ code: 'root-differs', text }] };
  }
  await writeSignerMemory(place.signerMemory, head);
  const report = await verifyInThread(
    threadSetup(keyring, {
      archiveId,
      name: entry.name,
      origin: entry.origin,
      layout: place,
      store,
      blobs: media?.stay === true ? media.location : fileBlobs(place),
    }),
    {
      vkey: formatVkey(createNoteSigner({ name: entry.origin, seed: keyring.logKey })),
      formerVkeys: formerVkeysOf(archiveId, entry.origin, keyring.logKey),
      earlier: [],
    },
    signal === undefined ? {} : { signal },
  );
  const { checked, blobs, size } = report;
  return {
    found: { checked, blobs, size, root: report.root },
    // Where media stay in a place that backups share, those of others are there, too.
    faults: await withoutReplayed(
      report.faults.filter(({ code }) => media?.stay !== true || code !== 'blob-not-logged'),
      restored,
    ),
  };
}

/** Builds the log up to a head and publishes its checkpoint. @returns is that the head's root? */
async function isAtRoot(
  { place, store }: RestoredStore,
  head: { readonly size: number; readonly root: Uint8Array },
  checkpoint: string,
): Promise<boolean> {
  await rm(place.log, { recursive: true, force: true });
  const files = openTileFiles(place.log);
  const reader = await openStoreReader(store);
  try {
    if ((await reader.size()) < head.size) return false;
    const { root } = await growLog({ reader, files, from: 0, size: head.size });
    await files.writeCheckpoint(checkpoint);
    return equalConstantTime(root, head.root);
  } finally {
    await reader.close();
  }
}

/** A restore takes away the keys of what was destroyed after the backup; the archive puts that on record when it is opened. */
async function withoutReplayed(faults: readonly Fault[], { place, store }: RestoredStore): Promise<Fault[]> {
  const listed = await findDestructionList(destructionListPath(place));
  const reader = await openStoreReader(store);
  const kept: Fault[] = [];
  try {
    for (const fault of faults) {
      const [row] =
        fault.code === 'key-missing' && fault.leafIndex !== undefined ? await reader.readLog(fault.leafIndex, 1) : [];
      if (row === undefined || listed?.has(formatId('message', row.messageId)) !== true) kept.push(fault);
    }
    return kept;
  } finally {
    await reader.close();
  }
}

/** What was destroyed in the running archive and stands on no list that a restore of this backup would find. */
async function findUnlisted(
  live: DataLayout | undefined,
  { archive }: BackupManifest,
  restored: string,
): Promise<Fault[]> {
  if (live === undefined) return [];
  const own = archiveLayout(live, archive as ArchiveId);
  const current = await findDestructionList(destructionListPath(own));
  const known = await findDestructionList(
    destructionListPath(archiveLayout(dataLayout(restored), archive as ArchiveId)),
  );
  const unlisted = [...(current?.keys() ?? [])].filter((message) => known?.has(message) !== true).length;
  if (unlisted === 0) return [];
  const text = `${unlisted} message(s) were destroyed since, and a restore would bring them back: copy ${live.signer}/ to the place of the backups`;
  return [{ code: 'list-old', text }];
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
