/** What the commands share that restore a backup, or try to. */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import type { RestoreOptions } from '../archive/backup.ts';
import { checkBackup } from '../archive/check-backup.ts';
import type { BackupCheck, BackupCheckOptions } from '../archive/check-backup.ts';
import { isInitialised } from '../archive/house-file.ts';
import { dataLayout } from '../archive/layout.ts';
import { housePlaceOf } from '../settings.ts';
import { settingsOf, withCommonOptions } from './context.ts';
import type { CommonOptions } from './context.ts';
import { collect } from './given.ts';
import { joinKitFiles } from './kit-files.ts';
import { createProgress } from './output.ts';
import { withGivenBackup } from './places.ts';
import type { GivenBackup, WantedOptions } from './places.ts';

/** What was given. */
export type RestoreCommand = CommonOptions &
  WantedOptions & {
    readonly kit: string[];
    readonly destroyed?: string;
    readonly checkpoint: string[];
    readonly successor?: boolean;
    readonly listLost?: boolean;
  };

/** Adds them. */
export function withRestoreOptions(command: Command): Command {
  return withCommonOptions(command)
    .option(
      '--kit <file>',
      'text of the recovery kit, where the root key is not on this machine; of its shares as many as it takes',
      collect,
      [],
    )
    .option('--archive <id>', 'whose backup, where those of several archives are in one place')
    .option('--made <time>', 'which backup of the place, by its name; the newest where nothing is said')
    .option(
      '--destroyed <file>',
      'a newer list of destructions than the one in the backup, with its .head.json beside it',
    )
    .option(
      '--checkpoint <file>',
      'a signed checkpoint of the archive that somebody else holds; may be given several times',
      collect,
      [],
    )
    .option('--successor', 'open a successor of the log where a later head was signed than this backup can continue')
    .option('--list-lost', 'restore although destructions since the newest list may come back: you answer for it');
}

/** Reads what they name. */
export async function restoreOptionsOf(
  options: RestoreCommand,
  { from, media, checkpoints }: GivenBackup,
): Promise<Omit<RestoreOptions, 'onProgress'>> {
  const kit = await joinKitFiles(options.kit);
  const named = await Promise.all(options.checkpoint.map((path) => readFile(path, 'utf8')));
  return {
    ...housePlaceOf(settingsOf(options)),
    from,
    ...(media === undefined ? {} : { media }),
    ...(kit === undefined ? {} : { kit }),
    ...(options.destroyed === undefined ? {} : { destroyed: resolve(options.destroyed) }),
    checkpoints: [...checkpoints, ...named],
    successor: options.successor === true,
    listLost: options.listLost === true,
  };
}

/**
 * Tries a backup, or the newest of a place, in a place of its own, wherever the records and the media of the archive are.
 * @param tables where the change of tables in PostgreSQL is tried as well
 */
export async function tryBackup(
  backup: string,
  options: RestoreCommand,
  tables?: BackupCheckOptions['tables'],
): Promise<BackupCheck> {
  const settings = settingsOf(options);
  const live = dataLayout(settings.data, settings.shared);
  const progress = createProgress('checking');
  try {
    return await withGivenBackup(settings, backup, options, async (given) => {
      const {
        shared: _shared,
        database: _database,
        blobs: _blobs,
        ...restoring
      } = await restoreOptionsOf(options, given);
      return checkBackup({
        ...restoring,
        ...(given.media === undefined ? {} : { media: { ...given.media, stay: true } }),
        workIn: tmpdir(),
        ...((await isInitialised(live)) ? { live } : {}),
        ...(tables === undefined ? {} : { tables }),
        onProgress: (done, total) => progress.update({ done, total }),
      });
    });
  } finally {
    progress.end();
  }
}
