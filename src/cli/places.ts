/** Backups as they are given on the command line: a directory that was written by hand, or a place to which they were sent in parts. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { fetchBackup } from '../archive/backup-places.ts';
import type { BackupPlaces } from '../archive/backup-places.ts';
import type { RestoreOptions } from '../archive/backup.ts';
import { readPlace } from '../settings.ts';
import type { Settings } from '../settings.ts';

/** Where a backup is: what a restore is told of it. */
export type GivenBackup = Pick<RestoreOptions, 'from' | 'media'> & {
  /** Signed checkpoints that lay beside it. */
  readonly checkpoints: readonly string[];
  /** When it was made, as in its name; undefined for a directory that was written by hand. */
  readonly time?: string;
};

/** Which one of a place. */
export type WantedOptions = { readonly archive?: string; readonly made?: string };

/**
 * Works with a backup; what had to be fetched goes afterwards.
 * @param given a directory or s3://…; parts that are kept elsewhere are where the settings say
 * @throws CartularyError as `fetchBackup`
 */
export async function withGivenBackup<Result>(
  settings: Settings,
  given: string,
  wanted: WantedOptions,
  act: (backup: GivenBackup) => Promise<Result>,
): Promise<Result> {
  if (!(await isPlaceOfParts(given))) return act({ from: resolve(given), checkpoints: [] });
  const into = await mkdtemp(join(tmpdir(), 'cartulary-fetch-'));
  try {
    return await act(
      await fetchBackup(placesOf(settings, given), { archive: wanted.archive, time: wanted.made }, into),
    );
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

/** The places of the parts, where content is at the place that was given. */
export function placesOf({ backup }: Settings, given: string): BackupPlaces {
  const place = readPlace('the place of the backups', given, process.env);
  return { keys: place, heads: place, destroyed: place, ...backup?.places, content: place };
}

async function isPlaceOfParts(given: string): Promise<boolean> {
  if (given.startsWith('s3:')) return true;
  const isThere = async (name: string): Promise<boolean> =>
    (await stat(join(given, name)).catch(() => undefined)) !== undefined;
  return (await isThere('content')) && !(await isThere('manifest.json'));
}
