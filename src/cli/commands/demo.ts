import type { Command } from 'commander';

import { initHouse } from '../../archive/house.ts';
import { isInitialised, readHouseFile } from '../../archive/house-file.ts';
import { dataLayout } from '../../archive/layout.ts';
import { CartularyError } from '../../model/errors.ts';
import { settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { say } from '../output.ts';
import { serve } from '../serve.ts';

const SHOP = 'Lindgren & Daughters (demo)';

/** `demo`: a living archive of a make-believe shop, in a directory of its own. */
export function defineDemo(command: Command): void {
  withCommonOptions(command).action(startDemo);
}

/**
 * Runs the demo in the directory named, or in one of its own: never where the settings say that the shop's archive is, because what is captured stays.
 * @throws CartularyError `conflict` where the directory holds an archive that no demo has made
 */
export async function startDemo(options: CommonOptions): Promise<void> {
  // Where the shop's records, media and backups go, those of a make-believe one have no place.
  const {
    backup: _backup,
    database: _database,
    blobs: _blobs,
    shared: _shared,
    ...settings
  } = settingsOf({ ...options, data: options.data ?? './demo-data' });
  const layout = dataLayout(settings.data);
  if (await isInitialised(layout)) {
    const { name } = await readHouseFile(layout);
    if (name !== SHOP)
      throw new CartularyError(
        'conflict',
        `${settings.data} holds the archive of ${name}. What is captured stays, so the demo plays only in an archive that it made itself: name another directory with --data`,
      );
  } else {
    const made = await initHouse({ directory: settings.data, name: SHOP });
    say(`API key: ${made.apiKey}`);
  }
  await serve(settings, true);
}
