/**
 * Where backups lie that are made by themselves. Four parts, each below a name of its own and, where that is set, with somebody else, so that whoever steals one opens nothing:
 *
 *     content/<archive>/<time>/    archive.db cartulary.json checkpoint destroyed.jsonl media.txt manifest.json       no key is in it
 *     content/<archive>/blobs/…    sealed media, which all backups of the archive share; media.txt names those of one
 *     keys/<archive>/<time>/       keys.db keyring.json manifest.json                          short-lived; under the root key, which is nowhere here
 *     heads/<archive>/             checkpoint: the newest that was signed
 *     destroyed/<archive>/         destroyed.jsonl, and head.json: up to which head it is whole
 *
 * Invariant: manifest.json is written last and removed first, so that what was cut off is no backup.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { parseId } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import { openPlace } from '../store/blob-engine.ts';
import type { BlobLocation, PlaceSetting } from '../store/blob-location.ts';
import { isBlobName } from '../store/blobs.ts';
import type { ObjectPlace } from '../store/objects.ts';
import { writeFileDurably } from '../vault/durable-file.ts';
import type { BackupMedia } from './backup.ts';
import { parseManifest } from './backup-manifest.ts';
import type { BackupManifest } from './backup-manifest.ts';
import { besideBackups } from './restore-heads.ts';

/** The parts, and where each goes. */
export type BackupPlaces = {
  /** Records and media. */
  readonly content: PlaceSetting;
  readonly keys: PlaceSetting;
  /** Signed checkpoint. */
  readonly heads: PlaceSetting;
  /** The list of destructions. */
  readonly destroyed: PlaceSetting;
};

/** The same, to be written to and read from. */
export type ReachedPlaces = Readonly<Record<keyof BackupPlaces, ObjectPlace>>;

export const CONTENT_FILES = ['archive.db', 'cartulary.json', 'checkpoint', 'destroyed.jsonl', 'media.txt'] as const;
export const KEY_FILES = ['keys.db', 'keyring.json'] as const;
const TIME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/;

/** Opens all places; nothing is sent yet. */
export async function reachPlaces({ content, keys, heads, destroyed }: BackupPlaces): Promise<ReachedPlaces> {
  return {
    content: await openPlace(content),
    keys: await openPlace(keys),
    heads: await openPlace(heads),
    destroyed: await openPlace(destroyed),
  };
}

/** Where the media of an archive are that its backups share. @param spool directory in which one waits until it is sent */
export function sharedMedia(place: PlaceSetting, id: ArchiveId, spool: string): BlobLocation {
  return place.engine === 'directory'
    ? { engine: 'directory', path: join(place.path, 'content', id, 'blobs') }
    : { ...place, prefix: `${place.prefix}content/${id}/`, spool };
}

/** Begin of the names of a part of a backup. */
export function partName(part: 'content' | 'keys', id: ArchiveId, time: string): string {
  return `${part}/${id}/${time}/`;
}

/** When a backup was made, ms since 1970. @param time as in its name */
export function timeOfName(time: string): number {
  return Date.parse(time.replace(/T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z$/, 'T$1:$2:$3.$4Z'));
}

/** Backups of a part, oldest first: `whole` have a manifest, `cutOff` do not. */
export async function listParts(
  place: ObjectPlace,
  part: 'content' | 'keys',
  id: ArchiveId,
): Promise<{ readonly whole: string[]; readonly cutOff: string[] }> {
  const whole = new Set<string>();
  const all = new Set<string>();
  // The first digit of every year to come keeps the shared media, of which there may be millions, out of the list.
  for await (const { name } of place.list(`${part}/${id}/2`)) {
    const [time = '', file] = name.slice(`${part}/${id}/`.length).split('/');
    if (!TIME.test(time)) continue;
    all.add(time);
    if (file === 'manifest.json') whole.add(time);
  }
  return { whole: [...whole].sort(), cutOff: [...all].filter((time) => !whole.has(time)).sort() };
}

/** A backup that was fetched. */
export type FetchedBackup = {
  /** Directory in the form of a backup that is written by hand, but for its media. */
  readonly from: string;
  readonly archiveId: ArchiveId;
  /** As in its name. */
  readonly time: string;
  readonly media: BackupMedia;
  /** Signed checkpoints that lay apart. */
  readonly checkpoints: readonly string[];
};

/** Which backup. Without `archive` the only one that is there; without `time` the newest. */
export type WantedBackup = { readonly archive?: string | undefined; readonly time?: string | undefined };

/**
 * Fetches a backup into a directory of this machine, all but its media, with the newest head and list of destructions that are known there.
 * @throws CartularyError `not-found`, `bad-input` where there are several archives, `key-missing` where its keys have expired, `corrupt`
 */
export async function fetchBackup(settings: BackupPlaces, wanted: WantedBackup, into: string): Promise<FetchedBackup> {
  const places = await reachPlaces(settings);
  const archiveId = await findArchive(places, wanted.archive);
  const { whole } = await listParts(places.content, 'content', archiveId);
  const time = wanted.time === undefined ? whole.at(-1) : whole.find((one) => one === wanted.time);
  if (time === undefined) throw new CartularyError('not-found', 'there is no such backup in this place');
  const from = join(into, `cartulary-${archiveId}-${time}`);
  await mkdir(join(from, 'content'), { recursive: true, mode: 0o700 });
  await mkdir(join(from, 'keys'), { recursive: true, mode: 0o700 });
  const content = await fetchPart(
    places.content,
    { prefix: partName('content', archiveId, time), files: CONTENT_FILES },
    join(from, 'content'),
  );
  const keysTime = (await listParts(places.keys, 'keys', archiveId)).whole.find((one) => one >= time);
  if (keysTime === undefined)
    throw new CartularyError(
      'key-missing',
      `the keys of the backup of ${time}, and all newer ones, are gone from the place of keys`,
    );
  const keys = await fetchPart(
    places.keys,
    { prefix: partName('keys', archiveId, keysTime), files: KEY_FILES },
    join(from, 'keys'),
  );
  if (content.archive !== archiveId || keys.archive !== archiveId)
    throw new CartularyError('corrupt', 'the manifest of the backup is that of another archive');
  const manifest: BackupManifest = { ...content, files: [...content.files, ...keys.files] };
  await writeFileDurably(join(from, 'manifest.json'), Buffer.from(JSON.stringify(manifest)), 0o600);
  const names = (await readFile(join(from, 'content', 'media.txt'), 'utf8')).split('\n').filter((name) => name !== '');
  if (!names.every(isBlobName)) throw new CartularyError('corrupt', 'the list of media of the backup cannot be read');
  const location = sharedMedia(settings.content, archiveId, join(into, 'incoming'));
  return { from, archiveId, time, media: { location, names }, checkpoints: await fetchApart(places, archiveId, into) };
}

async function findArchive({ heads }: ReachedPlaces, wanted: string | undefined): Promise<ArchiveId> {
  if (wanted !== undefined) return parseId('archive', wanted);
  const ids = new Set<string>();
  for await (const { name } of heads.list('heads/')) ids.add(name.split('/')[1] ?? '');
  const [id, other] = ids;
  if (id === undefined) throw new CartularyError('not-found', 'there is no backup in this place');
  if (other !== undefined)
    throw new CartularyError(
      'bad-input',
      `there are backups of several archives: say which with --archive (${[...ids].slice(0, 20).join(', ')})`,
    );
  return parseId('archive', id);
}

async function fetchPart(
  place: ObjectPlace,
  { prefix, files }: { readonly prefix: string; readonly files: readonly string[] },
  into: string,
): Promise<BackupManifest> {
  for (const file of files) await place.get(prefix + file, join(into, file));
  const path = join(into, '..', 'part.json');
  await place.get(`${prefix}manifest.json`, path);
  return parseManifest(await readFile(path, 'utf8'));
}

/** What lies apart from content and keys, and may be newer. */
async function fetchApart({ heads, destroyed }: ReachedPlaces, id: ArchiveId, into: string): Promise<string[]> {
  const beside = besideBackups(into, id);
  const head = join(into, 'newest-checkpoint');
  await getWhereThere(destroyed, `destroyed/${id}/destroyed.jsonl`, beside.destroyed);
  await getWhereThere(destroyed, `destroyed/${id}/head.json`, beside.head);
  return (await getWhereThere(heads, `heads/${id}/checkpoint`, head)) ? [await readFile(head, 'utf8')] : [];
}

async function getWhereThere(place: ObjectPlace, name: string, path: string): Promise<boolean> {
  try {
    await place.get(name, path);
    return true;
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'not-found') return false;
    throw cause;
  }
}

/** Removes a part of a backup; its manifest first. */
export async function removePart(
  place: ObjectPlace,
  part: 'content' | 'keys',
  id: ArchiveId,
  time: string,
): Promise<void> {
  const prefix = partName(part, id, time);
  await place.remove(`${prefix}manifest.json`);
  for (const file of part === 'content' ? CONTENT_FILES : KEY_FILES) await place.remove(prefix + file);
}
