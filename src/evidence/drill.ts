/**
 * A restore drill: what would have to be done after a fire is done, in a place of its own that goes afterwards. From the backup and the kit alone the archive is restored, verified
 * against the head that was signed, opened, searched, and a part of it exported and the export verified.
 *
 * Owns: the figures. Never: touches the archive in service, serves, tells anybody, or signs with the archive's key. A copy that went on signing would be a second history of one log, so
 * it is opened with a log key of its own that goes with it; and its root key lies there under a passphrase that nobody knows, so that what a killed drill leaves opens nothing.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { BackupMedia } from '../archive/backup.ts';
import type { Drill } from '../archive/care.ts';
import type { Caller } from '../archive/caller.ts';
import { checkBackup } from '../archive/check-backup.ts';
import type { Restored } from '../archive/check-backup.ts';
import { readHouseFile } from '../archive/house-file.ts';
import { openHouse } from '../archive/house.ts';
import type { House } from '../archive/house.ts';
import { archiveLayout } from '../archive/layout.ts';
import { writeSignerMemory } from '../archive/signer-memory.ts';
import { emptyRoot } from '../ledger/tree.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId } from '../model/ids.ts';
import { writeFileDurably } from '../vault/durable-file.ts';
import { unwrapKeyring, wrapKeyring } from '../vault/keyring.ts';
import { createLocalRoot } from '../vault/root-provider.ts';
import { exportMessages } from './export-run.ts';
import { findExporter } from './exports/list.ts';
import { verifyBundle } from './verify-bundle.ts';

/** What a drill is given. */
export type DrillRequest = {
  readonly from: string;
  readonly media?: BackupMedia;
  readonly checkpoints: readonly string[];
  /** Text of the kit, or of as many of its shares as it takes. */
  readonly kit: string;
  /** Directory in which it happens, on a disk with room for the whole archive. */
  readonly workIn: string;
  /** How long it took to fetch the backup, ms. */
  readonly fetchMs: number;
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
};

/** A drill, and of which archive. */
export type DrillReport = { readonly archiveId?: ArchiveId; readonly drill: Drill; readonly texts: readonly string[] };

type Found = Pick<Drill, 'newestMs' | 'messages' | 'searchMs' | 'exportMs'> & { readonly archiveId: ArchiveId };

/** Who searches and exports in the copy. */
const DRILL: Caller = { kind: 'local', user: 'drill' };

/**
 * Holds a drill.
 * @returns what was found; a backup that cannot be restored is a finding
 * @throws CartularyError `not-found` where there is no backup, `bad-input` where the kit cannot be read
 */
export async function holdDrill(request: DrillRequest): Promise<DrillReport> {
  const atMs = request.now();
  const beganMs = performance.now();
  const box: { found?: Found } = {};
  const check = await checkBackup({
    from: request.from,
    ...(request.media === undefined ? {} : { media: request.media }),
    checkpoints: request.checkpoints,
    kit: request.kit,
    // After a fire the log goes on as a successor where a head was signed that no backup reaches.
    successor: true,
    workIn: request.workIn,
    signal: request.signal,
    onProgress: request.onProgress,
    async afterwards(restored) {
      box.found = await tryCopy(restored, request);
    },
  });
  const nothing: Omit<Found, 'archiveId'> & Partial<Pick<Found, 'archiveId'>> = {
    messages: 0,
    searchMs: 0,
    exportMs: 0,
  };
  const { archiveId, ...figures } = box.found ?? nothing;
  const restMs = Math.round(performance.now() - beganMs);
  const { ok, records, blobs: media, size, root } = check;
  return {
    ...(archiveId === undefined ? {} : { archiveId }),
    texts: check.faults.map(({ text }) => text),
    drill: {
      ...{ atMs, ok, records, media, size, root },
      backupMs: check.madeAt === '' ? atMs : Date.parse(check.madeAt),
      ...figures,
      fetchMs: request.fetchMs,
      checkMs: restMs - figures.searchMs - figures.exportMs,
      totalMs: request.fetchMs + restMs,
      faults: [...new Set(check.faults.map(({ code }) => code))].slice(0, 100),
    },
  };
}

/** Opens what was restored, searches it and exports a part. @throws CartularyError where that fails, which is a finding */
async function tryCopy({ data, archiveId, root }: Restored, request: DrillRequest): Promise<Found> {
  const beganMs = performance.now();
  const place = archiveLayout(data, archiveId);
  const passphrase = randomBytes(32).toString('base64');
  await takeLogKeyAway(place.keyring, { rootKeyPath: data.rootKey, passphrase, root });
  await rm(join(place.log, 'checkpoint'), { force: true });
  const { origin } = await readHouseFile(data);
  await writeSignerMemory(place.signerMemory, { origin, size: 0, root: emptyRoot() });
  let failure: unknown;
  const house = await openHouse({
    directory: data.directory,
    passphrase,
    onFatal: (cause) => (failure ??= cause),
    onStalled: (cause) => (failure ??= cause),
  });
  try {
    const { archive } = house;
    const index = await archive.compareIndex();
    if (!index.ok) throw new CartularyError('index-damaged', 'not every restored message can be found');
    const { items } = await archive.search(DRILL, { q: '', limit: 1 });
    const searchedMs = performance.now();
    const [newest] = items;
    if (newest !== undefined) await exportPart(house, newest.conversationId, request);
    if (failure !== undefined)
      throw new CartularyError('internal', 'a part of the restored archive failed', { cause: failure });
    const newestMs = Date.parse(newest?.sentAt ?? newest?.capturedAt ?? '');
    return {
      archiveId,
      messages: index.expected,
      ...(Number.isNaN(newestMs) ? {} : { newestMs }),
      searchMs: Math.round(searchedMs - beganMs),
      exportMs: Math.round(performance.now() - searchedMs),
    };
  } finally {
    await house.close();
  }
}

/** In the copy another key signs the log, and another root key, under a passphrase that is nowhere, wraps them all. */
async function takeLogKeyAway(
  path: string,
  {
    rootKeyPath,
    passphrase,
    root,
  }: { readonly rootKeyPath: string; readonly passphrase: string } & Pick<Restored, 'root'>,
): Promise<void> {
  const keyring = await unwrapKeyring(await readFile(path, 'utf8'), root);
  const own = await createLocalRoot({ path: rootKeyPath, passphrase });
  try {
    const entries = keyring.entries.map((entry) =>
      entry.name === 'log' ? { ...entry, bytes: new Uint8Array(randomBytes(entry.bytes.length)) } : entry,
    );
    const text = await wrapKeyring({ ...keyring, entries }, own);
    await writeFileDurably(path, Buffer.from(text), 0o600);
  } finally {
    own.destroy();
    keyring.destroy();
  }
}

async function exportPart(
  { archive, layout }: House,
  conversation: string | null,
  { now, signal }: DrillRequest,
): Promise<void> {
  const exporter = findExporter('jsonl');
  if (exporter === undefined) throw new CartularyError('internal', 'there is no export to try');
  const path = join(layout.directory, 'drill.zip');
  const q = conversation === null ? '' : `conversation:${conversation}`;
  await exportMessages(archive, DRILL, { exporter, q, path }, { now, signal, onProgress: () => undefined });
  const { ok, messages } = await verifyBundle(path, { logKey: archive.vkey });
  if (!ok || messages === 0 || (await stat(path)).size === 0)
    throw new CartularyError('corrupt', 'what was exported from the restored archive cannot be verified');
}
