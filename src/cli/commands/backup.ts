import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { tmpdir } from 'node:os';

import { checkBackup } from '../../archive/check-backup.ts';
import { restoreBackup } from '../../archive/backup.ts';
import { isInitialised } from '../../archive/house-file.ts';
import { dataLayout } from '../../archive/layout.ts';
import type { BackupReport, RestoreOptions } from '../../archive/backup.ts';
import type { SentBackup } from '../../archive/send-backup.ts';
import { housePlaceOf } from '../../settings.ts';
import { runOperation, settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { collect } from '../given.ts';
import { joinKitFiles } from '../kit-files.ts';
import { withGivenBackup } from '../places.ts';
import type { GivenBackup, WantedOptions } from '../places.ts';
import { createProgress, paint, print, printJson, say } from '../output.ts';

/** Options of what restores, or tries to. */
type RestoreCommand = CommonOptions &
  WantedOptions & {
    readonly kit: string[];
    readonly destroyed?: string;
    readonly checkpoint: string[];
    readonly successor?: boolean;
    readonly listLost?: boolean;
  };

/** `backup`: copies the archive while it runs; `backup check` finds out whether a copy can be restored. */
export function defineBackup(backup: Command): void {
  withCommonOptions(backup).action(async (into: string | undefined, options: CommonOptions) => {
    if (into === undefined) return sendCommand(options);
    const report = await runOperation<BackupReport>(options, 'backup', { into: resolve(into) }, 'backing up');
    if (options.json === true) return printJson(report);
    print(report.path);
    say(
      `${report.records} records, ${report.files} files, ${report.bytes} bytes. Keep "content" as long as you like, "keys" only for days; the root key is in neither.`,
    );
  });
  withRestoreOptions(
    backup
      .command('check <backup>')
      .description('find out whether a backup, or the newest in a directory of backups, can be restored'),
  ).action(checkCommand);
}

async function sendCommand(options: CommonOptions): Promise<void> {
  const sent = await runOperation<SentBackup>(options, 'backup.send', {}, 'backing up');
  if (!sent.ok) process.exitCode = 1;
  if (options.json === true) return printJson(sent);
  print(sent.time);
  for (const { code, text } of sent.check.faults) print(`${paint('red', code)}: ${text}`);
  say(
    `${sent.records} records, sent in ${sent.ms} ms and tried in ${sent.checkMs} ms: ${sent.ok ? paint('green', 'can be restored') : paint('red', 'CANNOT be restored')}. ${sent.removed} old backup(s) removed.`,
  );
}

async function checkCommand(backup: string, _options: RestoreCommand, command: Command): Promise<void> {
  // Options that the command above has, too, are given to it.
  const options = command.optsWithGlobals<RestoreCommand>();
  const settings = settingsOf(options);
  const live = dataLayout(settings.data, settings.shared);
  const progress = createProgress('checking');
  // It is tried in a place of its own, wherever the records and the media of the archive are.
  const report = await withGivenBackup(settings, backup, options, async (given) => {
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
      onProgress: (done, total) => progress.update({ done, total }),
    });
  });
  progress.end();
  if (!report.ok) process.exitCode = 1;
  if (options.json === true) return printJson(report);
  for (const { code, leafIndex, text } of report.faults)
    print(`${paint('red', code)}${leafIndex === undefined ? '' : ` at leaf ${leafIndex}`}: ${text}`);
  say(
    report.ok
      ? `${paint('green', 'Can be restored')}: ${report.path}: ${report.records} records, ${report.checked} opened, ${report.blobs} media, ${report.destroyedReplayed} destruction(s) to replay. Root ${report.root}`
      : `${paint('red', 'CANNOT be restored')} as it is: ${report.path}`,
  );
}

function withRestoreOptions(command: Command): Command {
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

async function restoreOptionsOf(
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

/** `restore`: makes a data directory from a backup. */
export function defineRestore(command: Command): void {
  withRestoreOptions(command).action(async (backup: string, options: RestoreCommand) => {
    const settings = settingsOf(options);
    const progress = createProgress('restoring');
    const report = await withGivenBackup(settings, backup, options, async (given) =>
      restoreBackup({
        ...(await restoreOptionsOf(options, given)),
        onProgress: (done, total) => progress.update({ done, total }),
      }),
    );
    progress.end();
    if (options.json === true) return printJson(report);
    if (report.succeeds !== undefined) {
      const { origin, size, lostFrom } = report.succeeds;
      say(
        `The log ${origin} had ${size} records; those from ${lostFrom} on are lost. Its successor is signed with a new key, which must be published: ${report.logKey}`,
      );
    }
    say(
      `${report.records} records are back in ${settings.data}; ${report.destroyedReplayed} destruction(s) were replayed. Next: "cartulary verify --data ${settings.data}".`,
    );
  });
}
