import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { restoreBackup } from '../../archive/backup.ts';
import type { BackupReport } from '../../archive/backup.ts';
import { runOperation, settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { createProgress, print, printJson, say } from '../output.ts';

type RestoreCommand = CommonOptions & {
  readonly kit?: string;
  readonly destroyed?: string;
  readonly checkpoint: string[];
  readonly successor?: boolean;
  readonly listLost?: boolean;
};

/** `backup`: copies the archive while it runs. */
export function registerBackup(program: Command): void {
  withCommonOptions(
    program.command('backup <dir>').description('write a backup into a new directory under DIR; capture goes on'),
  ).action(async (into: string, options: CommonOptions) => {
    const report = await runOperation<BackupReport>(options, 'backup', { into: resolve(into) }, 'backing up');
    if (options.json === true) return printJson(report);
    print(report.path);
    say(
      `${report.records} records, ${report.files} files, ${report.bytes} bytes. Keep "content" as long as you like, "keys" only for days; the root key is in neither.`,
    );
  });
}

/** `restore`: makes a data directory from a backup. */
export function registerRestore(program: Command): void {
  withCommonOptions(program.command('restore <backup>').description('make a data directory from a backup'))
    .option('--kit <file>', 'text of the recovery kit, where the root key is not on this machine')
    .option(
      '--destroyed <file>',
      'a newer list of destructions than the one in the backup, with its .head.json beside it',
    )
    .option(
      '--checkpoint <file>',
      'a signed checkpoint of the archive that somebody else holds; may be given several times',
      (value: string, known: string[]) => [...known, value],
      [],
    )
    .option('--successor', 'open a successor of the log where a later head was signed than this backup can continue')
    .option('--list-lost', 'restore although destructions since the newest list may come back: you answer for it')
    .action(async (backup: string, options: RestoreCommand) => {
      const settings = settingsOf(options);
      const progress = createProgress('restoring');
      const report = await restoreBackup({
        from: resolve(backup),
        directory: settings.data,
        ...(settings.rootKeyPath === undefined ? {} : { rootKeyPath: settings.rootKeyPath }),
        ...(settings.passphrase === undefined ? {} : { passphrase: settings.passphrase }),
        ...(options.kit === undefined ? {} : { kit: await readFile(options.kit, 'utf8') }),
        ...(options.destroyed === undefined ? {} : { destroyed: resolve(options.destroyed) }),
        checkpoints: await Promise.all(options.checkpoint.map((path) => readFile(path, 'utf8'))),
        successor: options.successor === true,
        listLost: options.listLost === true,
        onProgress: (done, total) => progress.update({ done, total }),
      });
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
