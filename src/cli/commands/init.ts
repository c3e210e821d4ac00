import { open, rm } from 'node:fs/promises';

import type { Command } from 'commander';

import { initHouse } from '../../archive/house.ts';
import { housePlaceOf } from '../../settings.ts';
import { settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly name: string; readonly kit?: string };

/** `init`: makes a data directory with one archive, its keys and its first API key. */
export function defineInit(command: Command): void {
  withCommonOptions(command)
    .requiredOption('--name <shop>', 'name of the shop')
    .option('--kit <file>', 'write the recovery kit to this file instead of printing it')
    .action(async (options: Options) => {
      const settings = settingsOf(options);
      // Made before the archive: what is shown once must not be lost because a file could not be written.
      const kit = options.kit === undefined ? undefined : await open(options.kit, 'wx', 0o600);
      const made = await initHouse({
        ...housePlaceOf(settings),
        name: options.name,
      }).catch(async (cause: unknown) => {
        await kit?.close();
        if (options.kit !== undefined) await rm(options.kit, { force: true });
        throw cause;
      });
      await kit?.writeFile(made.recoveryKit);
      await kit?.close();
      if (options.json === true) return printJson(made);
      if (options.kit === undefined) print(made.recoveryKit);
      say(paint('bold', `The archive of ${options.name} is made in ${settings.data}.`));
      say(`  archive   ${made.archiveId}`);
      say(`  log key   ${made.logKey}`);
      say(`  API key   ${made.apiKey}   (shown this once)`);
      say(
        'Print the recovery kit and keep it away from this machine. Next: "cartulary source add twilio --name … --secret …", then "cartulary start".',
      );
    });
}
