/**
 * A backup that is made by itself: copied while capture goes on, sent in parts to their places, fetched back and tried, and what is too old removed. The copy lies in the data
 * directory meanwhile, sealed as the archive is; the media go straight to their place, each once.
 */
import { mkdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId } from '../model/ids.ts';
import { openBlobs } from '../store/blob-engine.ts';
import { writeFileDurably } from '../vault/durable-file.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { copyParts, nameOfTime } from './backup.ts';
import { addMedia, listFiles } from './backup-files.ts';
import type { BackupManifest } from './backup-manifest.ts';
import {
  CONTENT_FILES,
  fetchBackup,
  KEY_FILES,
  listParts,
  partName,
  reachPlaces,
  removePart,
  sharedMedia,
  timeOfName,
} from './backup-places.ts';
import type { BackupPlaces, ReachedPlaces } from './backup-places.ts';
import type { KnownBackup } from './care.ts';
import { checkBackup } from './check-backup.ts';
import type { BackupCheck } from './check-backup.ts';
import { destructionListPath } from './destruction-list.ts';
import type { DataLayout } from './layout.ts';
import { readSignerMemory } from './signer-memory.ts';

/** What is to be done. */
export type SendRequest = {
  readonly data: DataLayout;
  readonly places: BackupPlaces;
  /** Content is kept for so many days, keys for so many; the newest that can be restored never goes. */
  readonly keepDays: number;
  readonly keepKeysDays: number;
  /** Where the root key is, for trying. */
  readonly rootKeyPath?: string | undefined;
  readonly passphrase?: string | undefined;
  /** Times of backups that were found to be sound. */
  readonly sound: ReadonlySet<string>;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
};

/** What was done. */
export type SentBackup = KnownBackup & { readonly check: BackupCheck; readonly removed: number };

const DAY_MS = 86_400_000;
/** Room that must stay on the disk beside the copies: capture goes before. */
const SPARE_BYTES = 1024 ** 3;
/** Copies of the database that lie there at the same time: the one that was fetched, and what is restored of it. */
const COPIES = 2;

/**
 * Makes a backup, sends it, tries it, removes old ones.
 * @throws CartularyError `file` where a place is away or the disk has no room, `overloaded`, `setting` from the S3 server, `stopping`
 */
export async function sendBackup(parts: ArchiveParts, request: SendRequest): Promise<SentBackup> {
  const work = join(request.data.run, 'backup');
  // One that was cut off has left it.
  await rm(work, { recursive: true, force: true });
  await assertRoom(parts, request.data);
  await mkdir(work, { recursive: true, mode: 0o700 });
  const beganMs = performance.now();
  const atMs = parts.now();
  const time = nameOfTime(atMs);
  try {
    const places = await reachPlaces(request.places);
    await removeCutOff(places, parts.id);
    await (await openBlobs(sharedMedia(request.places.content, parts.id, join(work, 'incoming')))).sweep();
    const sent = await send(parts, request, places, { work, time, atMs });
    const ms = Math.round(performance.now() - beganMs);
    if (request.signal.aborted) throw new CartularyError('stopping', 'the backup was stopped before it was tried');
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true, mode: 0o700 });
    const check = await tryBackup(request, parts.id, time, work);
    const checkMs = Math.round(performance.now() - beganMs) - ms;
    const faults = [...new Set(check.faults.map(({ code }) => code))].slice(0, 20);
    const sound = check.ok ? new Set([...request.sound, time]) : request.sound;
    const removed = await prune(parts, { ...request, sound }, places, work);
    return { time, atMs, ...sent, ms, checkMs, ok: check.ok, faults, check, removed };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function assertRoom({ layout }: ArchiveParts, data: DataLayout): Promise<void> {
  const database = (await stat(layout.database).catch(() => undefined))?.size ?? 0;
  const { bavail, bsize } = await statfs(data.directory);
  const needed = COPIES * database + SPARE_BYTES;
  if (bavail * bsize < needed)
    throw new CartularyError(
      'file',
      `a backup needs ${Math.ceil(needed / 1024 ** 2)} MiB of room beside the archive for its copies, and less is free`,
    );
}

async function send(
  parts: ArchiveParts,
  { data, places: settings, signal, onProgress }: SendRequest,
  places: ReachedPlaces,
  { work, time, atMs }: { readonly work: string; readonly time: string; readonly atMs: number },
): Promise<{ readonly records: number; readonly bytes: number }> {
  const { id, threads, blobPlace } = parts;
  const { records, media } = await copyParts(data, parts, () => threads.log.call('publish', undefined), work);
  const to = sharedMedia(settings.content, id, join(work, 'incoming'));
  await addMedia(media, { from: blobPlace, to, mayGo: true, signal }, onProgress);
  // Of those that were there when the records were copied, a destruction may have taken some since.
  const there = new Set(await Array.fromAsync((await openBlobs(to)).list()));
  const named = media.filter((name) => there.has(name));
  for (const name of media)
    if (!there.has(name) && (await parts.blobs.has(name)))
      throw new CartularyError('file', 'a medium did not arrive at the place of the backups; is it still there?');
  await writeFileDurably(
    join(work, 'content', 'media.txt'),
    Buffer.from(named.map((name) => `${name}\n`).join('')),
    0o600,
  );
  const files = await listFiles(work);
  const manifest: Omit<BackupManifest, 'files'> = {
    version: 1,
    archive: id,
    madeAt: new Date(atMs).toISOString(),
    records,
  };
  // Keys without content are nothing; content without keys would be a backup that cannot be restored.
  for (const [part, names] of [['keys', KEY_FILES] as const, ['content', CONTENT_FILES] as const]) {
    const own = files.filter(({ path }) => names.some((name) => path === `${part}/${name}`));
    const path = join(work, `${part}.manifest.json`);
    await writeFileDurably(path, Buffer.from(`${JSON.stringify({ ...manifest, files: own }, null, 1)}\n`), 0o600);
    const prefix = partName(part, id, time);
    for (const name of names) {
      if (signal.aborted) throw new CartularyError('stopping', 'the backup was stopped');
      await places[part].put(prefix + name, join(work, part, name));
    }
    if (part === 'content') await sendApart(parts, places, work);
    await places[part].put(`${prefix}manifest.json`, path);
  }
  return { records, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/**
 * Sends what must be as new as can be: the list of destructions, and the newest signed head.
 * @returns size of the head
 */
export async function sendApart(
  parts: ArchiveParts,
  places: Pick<ReachedPlaces, 'heads' | 'destroyed'>,
  work: string,
): Promise<number> {
  const { id, layout } = parts;
  await mkdir(work, { recursive: true, mode: 0o700 });
  const checkpoint = await parts.threads.log.call('publish', undefined);
  const { size } = parseSignedCheckpoint(checkpoint);
  // The head first, then the list: what is destroyed meanwhile is in the list, and the list is whole up to the head at least.
  const head = await readSignerMemory(layout.signerMemory);
  const copies = { head: join(work, 'head.json'), list: join(work, 'list.jsonl'), checkpoint: join(work, 'newest') };
  if (head !== undefined) {
    const text = JSON.stringify({ ...head, root: Buffer.from(head.root).toString('base64') });
    await writeFileDurably(copies.head, Buffer.from(text), 0o600);
  }
  await writeFileDurably(copies.list, await readFile(destructionListPath(layout)), 0o600);
  await writeFileDurably(copies.checkpoint, Buffer.from(checkpoint), 0o600);
  await places.destroyed.put(`destroyed/${id}/destroyed.jsonl`, copies.list);
  if (head !== undefined) await places.destroyed.put(`destroyed/${id}/head.json`, copies.head);
  await places.heads.put(`heads/${id}/checkpoint`, copies.checkpoint);
  return size;
}

/** Fetches what was sent, and finds out whether it can be restored. The media are read where they are. */
async function tryBackup(request: SendRequest, id: ArchiveId, time: string, work: string): Promise<BackupCheck> {
  const { data, rootKeyPath, passphrase, places, signal, onProgress } = request;
  const { from, media, checkpoints } = await fetchBackup(places, { archive: id, time }, work);
  return checkBackup({
    from,
    media: { ...media, stay: true },
    checkpoints,
    workIn: work,
    live: data,
    ...(rootKeyPath === undefined ? {} : { rootKeyPath }),
    ...(passphrase === undefined ? {} : { passphrase }),
    signal,
    onProgress,
  });
}

/** What runs that were cut off have left; only one is under way at a time. */
async function removeCutOff(places: ReachedPlaces, id: ArchiveId): Promise<void> {
  await places.content.sweep(`content/${id}/2`);
  await places.keys.sweep(`keys/${id}/2`);
  const content = await listParts(places.content, 'content', id);
  for (const time of content.cutOff) await removePart(places.content, 'content', id, time);
  const keys = await listParts(places.keys, 'keys', id);
  const orphans = keys.whole.filter((time) => !content.whole.includes(time));
  for (const time of [...keys.cutOff, ...orphans]) await removePart(places.keys, 'keys', id, time);
}

/**
 * Removes what is older than it may be: content, keys, and the shared media that no backup names any more. The newest backup that was found to be sound stays, and the keys
 * that open it.
 * @returns how many backups went
 */
async function prune(
  { id, now }: ArchiveParts,
  { keepDays, keepKeysDays, sound, places: settings }: SendRequest,
  places: ReachedPlaces,
  work: string,
): Promise<number> {
  const { whole } = await listParts(places.content, 'content', id);
  const newest = whole.filter((time) => sound.has(time)).at(-1) ?? whole.at(-1);
  const isOld = (time: string, days: number): boolean => now() - timeOfName(time) > days * DAY_MS;
  const gone = whole.filter((time) => time !== newest && isOld(time, keepDays));
  for (const time of gone) await removePart(places.content, 'content', id, time);
  const keys = await listParts(places.keys, 'keys', id);
  for (const time of keys.whole)
    if (gone.includes(time) || (time !== newest && isOld(time, keepKeysDays)))
      await removePart(places.keys, 'keys', id, time);
  if (gone.length > 0) {
    const kept = whole.filter((time) => !gone.includes(time));
    await removeUnnamed(settings, places, { id, kept, work });
  }
  return gone.length;
}

async function removeUnnamed(
  settings: BackupPlaces,
  places: ReachedPlaces,
  { id, kept, work }: { readonly id: ArchiveId; readonly kept: readonly string[]; readonly work: string },
): Promise<void> {
  const named = new Set<string>();
  const list = join(work, 'media.txt');
  for (const time of kept) {
    await rm(list, { force: true });
    await places.content.get(`${partName('content', id, time)}media.txt`, list);
    for (const name of (await readFile(list, 'utf8')).split('\n')) named.add(name);
  }
  const blobs = await openBlobs(sharedMedia(settings.content, id, join(work, 'incoming')));
  for (const name of await Array.fromAsync(blobs.list())) if (!named.has(name)) await blobs.remove(name);
}
