import type { Command } from 'commander';

import { formatHandover } from '../../api/handover-page.ts';
import type { Handover } from '../../api/handover.ts';
import type { Missing } from '../../api/readiness.ts';
import { CartularyError } from '../../model/errors.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { collect } from '../given.ts';
import { print, printJson, say } from '../output.ts';
import { warnOfMissing } from '../warnings.ts';

type SetOptions = CommonOptions & { readonly owner: string[]; readonly keptAt?: string };

/** `handover`: the page for whoever takes over; `handover set` says what only people know. */
export function defineHandover(handover: Command): void {
  withCommonOptions(handover).action(async (options: CommonOptions) => {
    const page = await runOperation<Handover>(options, 'handover', {});
    if (options.json === true) return printJson(page);
    print(formatHandover(page));
  });
  withCommonOptions(handover.command('set').description('say who owns the archive, and where kits and keys are kept'))
    .option(
      '--owner <name>',
      'who answers for it and how to reach them; once for each, in the place of all that were named',
      collect,
      [],
    )
    .option('--kept-at <text>', 'where kits and keys are kept, in your words; never a key or a passphrase')
    .action(async (_options: SetOptions, command: Command) => {
      const options = command.optsWithGlobals<SetOptions>();
      if (options.owner.length === 0 && options.keptAt === undefined)
        throw new CartularyError('bad-input', 'say what: --owner NAME or --kept-at TEXT');
      const changed = await runOperation<{ missing: Missing[] }>(options, 'care.change', {
        ...(options.owner.length === 0 ? {} : { owners: options.owner }),
        ...(options.keptAt === undefined ? {} : { keptAt: options.keptAt }),
      });
      if (options.json === true) return printJson(changed);
      say('It is on record.');
      warnOfMissing(changed.missing);
    });
}
