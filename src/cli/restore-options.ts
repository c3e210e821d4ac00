/** What the commands share that restore a backup, or try to. */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import type { RestoreOptions } from '../archive/backup.ts';
import { checkBackup } from '../archive/check-backup.ts';
import type { BackupCheck } from '../archive/check-backup.ts';
import { isInitialised } from '../archive/house-file.ts';
import { housePlaceOf } from '../settings.ts';
import { settingsOf, withCommonOptions } from './context.ts';
import type { CommonOptions } from './context.ts';
import { collect } from './given.ts';
import { createProgress } from './output.ts';

/** What was given. */
export type RestoreCommand = CommonOptions & {
  readonly kit?: string;
  readonly destroyed?: string;
  readonly checkpoint: string[];
  readonly successor?: boolean;
  readonly listLost?: boolean;
};

/** Adds them. */
export function withRestoreOptions(command: Command): Command {
  return withCommonOptions(command)
    .option('--kit <file>', 'text of the recovery kit, where the root key is not on this machine')
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
export async function restoreOptionsOf(options: RestoreCommand): Promise<Omit<RestoreOptions, 'from' | 'onProgress'>> {
  return {
    ...housePlaceOf(settingsOf(options)),
    ...(options.kit === undefined ? {} : { kit: await readFile(options.kit, 'utf8') }),
    ...(options.destroyed === undefined ? {} : { destroyed: resolve(options.destroyed) }),
    checkpoints: await Promise.all(options.checkpoint.map((path) => readFile(path, 'utf8'))),
    successor: options.successor === true,
    listLost: options.listLost === true,
  };
}

/** Tries a backup, or the newest in a directory of backups, in a place of its own, wherever the records and the media of the archive are. */
export async function tryBackup(backup: string, options: RestoreCommand): Promise<BackupCheck> {
  const { data } = settingsOf(options);
  const { database: _database, blobs: _blobs, ...restoring } = await restoreOptionsOf(options);
  const progress = createProgress('checking');
  try {
    return await checkBackup({
      ...restoring,
      from: resolve(backup),
      workIn: tmpdir(),
      ...((await isInitialised(data)) ? { live: data } : {}),
      onProgress: (done, total) => progress.update({ done, total }),
    });
  } finally {
    progress.end();
  }
}
