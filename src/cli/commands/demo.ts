import type { Command } from 'commander';

import { settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { initHouse } from '../../archive/house.ts';
import { isInitialised } from '../../archive/house-file.ts';
import { say } from '../output.ts';
import { serve } from './start.ts';

/** `demo`: a living archive of a make-believe shop, in a directory of its own. */
export function registerDemo(program: Command): void {
  withCommonOptions(program.command('demo').description('run the archive with a make-believe shop')).action(
    async (options: CommonOptions) => {
      const settings = settingsOf({ ...options, data: options.data ?? './demo-data' });
      if (!(await isInitialised(settings.data))) {
        const made = await initHouse({ directory: settings.data, name: 'Lindgren & Daughters' });
        say(`API key: ${made.apiKey}`);
      }
      await serve(settings, true);
    },
  );
}
