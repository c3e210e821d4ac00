import { resolve } from 'node:path';

import type { Command } from 'commander';

import type { ImportReport } from '../../capture/import-run.ts';
import { IMPORTERS } from '../../capture/imports/list.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly region?: string; readonly own?: string; readonly account?: string };

/** `import`: brings old messages in. */
export function defineImport(command: Command): void {
  withCommonOptions(command)
    .description(`${command.description()}. Formats: ${IMPORTERS.map(({ name }) => name).join(', ')}`)
    .option('--region <code>', 'country of numbers written without country code, e.g. US')
    .option('--own <number>', "the shop's own number, where the file does not say it")
    .option('--account <name>', 'account under which the messages are kept')
    .action(async (format: string, file: string, options: Options) => {
      const report = await runOperation<ImportReport>(
        options,
        'import',
        {
          importer: format,
          // The process that does it may stand in another directory.
          path: resolve(file),
          region: options.region,
          ownAddress: options.own,
          account: options.account,
        },
        'importing',
      );
      if (report.rejectedTotal > 0) process.exitCode = 1;
      if (options.json === true) return printJson(report);
      say(
        `${report.read} read, ${report.sealed} sealed, ${report.duplicates} known already, ${report.media} media, ${report.rejectedTotal} rejected.`,
      );
      for (const { position, reason } of report.warnings.slice(0, 20))
        say(paint('yellow', `row ${position}: ${reason}`));
      for (const { position, reason } of report.rejected) print(`row ${position}: ${reason}`);
      if (report.rejectedTotal > report.rejected.length)
        say(`... and ${report.rejectedTotal - report.rejected.length} more that are not listed.`);
      if (report.rejectedTotal > 0)
        say('What is good is kept. Put the listed rows right and import the file again: nothing is kept twice.');
    });
}
