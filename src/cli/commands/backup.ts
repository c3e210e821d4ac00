import { resolve } from 'node:path';

import type { Command } from 'commander';

import { restoreBackup } from '../../archive/backup.ts';
import type { BackupReport } from '../../archive/backup.ts';
import type { SentBackup } from '../../archive/send-backup.ts';
import { runOperation, settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { withGivenBackup } from '../places.ts';
import { createProgress, paint, print, printJson, say } from '../output.ts';
import { restoreOptionsOf, tryBackup, withRestoreOptions } from '../restore-options.ts';
import type { RestoreCommand } from '../restore-options.ts';

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
  const report = await tryBackup(backup, options);
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
