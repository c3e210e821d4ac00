import type { Command } from 'commander';

import { wasHereBefore } from '../../api/closed.ts';
import { initHouse } from '../../archive/house.ts';
import { isInitialised } from '../../archive/house-file.ts';
import { dataLayout } from '../../archive/layout.ts';
import { CartularyError } from '../../model/errors.ts';
import { housePlaceOf } from '../../settings.ts';
import type { Settings } from '../../settings.ts';
import { settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, say } from '../output.ts';
import { serve, serveRelay } from '../serve.ts';
import { startDemo } from './demo.ts';

type Options = CommonOptions & { readonly demo?: boolean; readonly name?: string; readonly mustExist?: boolean };

/** `start`: runs the whole product; makes the archive first where there is none. */
export function defineStart(command: Command): void {
  withCommonOptions(command)
    .option('--demo', 'run a make-believe shop instead, in ./demo-data')
    .option('--name <shop>', 'name of the shop, where the archive is made at this start', 'My shop')
    .option(
      '--must-exist',
      'end where there is no archive: for services, whose log is no place for a recovery kit, and whose disk may not be mounted',
    )
    .action(async (options: Options) => {
      if (options.demo === true) return startDemo(options);
      const settings = settingsOf(options, true);
      if (settings.roles.includes('relay')) return serveRelay(settings);
      const layout = dataLayout(settings.data, settings.shared);
      if (!(await isInitialised(layout)) && !(await wasHereBefore(layout))) {
        // What is made under a passphrase must have it.
        settingsOf(options);
        if (options.mustExist === true)
          throw new CartularyError(
            'not-found',
            `there is no archive in ${settings.data}: is its disk mounted? A new one is made by "cartulary init"`,
          );
        await makeArchive(settings, options.name ?? 'My shop');
      }
      await serve(settings, false);
    });
}

async function makeArchive(settings: Settings, name: string): Promise<void> {
  const made = await initHouse({
    ...housePlaceOf(settings),
    name,
  });
  print(made.recoveryKit);
  say(`A new archive was made in ${settings.data}. Print the recovery kit above and keep it away from this machine.`);
  say(`API key (shown this once): ${paint('bold', made.apiKey)}`);
}
