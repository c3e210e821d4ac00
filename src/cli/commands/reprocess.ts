import type { Command } from 'commander';

import type { GuardedAgain } from '../../capture/guard-later.ts';
import type { Reprocessed } from '../../capture/reprocess.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { print, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly guard?: true; readonly destroy?: true };

/** `reprocess`: reads quarantined envelopes again, or all messages with the guard of this version. */
export function defineReprocess(command: Command): void {
  withCommonOptions(command)
    .option('--guard', 'read every message again for card security codes, and list those that hold one')
    .option('--destroy', 'with --guard: destroy what it finds, so that nobody can read it again')
    .action(async (options: Options) => {
      if (options.guard === true) return guardAgain(options, options.destroy === true);
      if (options.destroy === true)
        command.error('error: --destroy needs --guard; one message is destroyed by "cartulary key destroy"');
      return readAgain(options);
    });
}

async function readAgain(options: Options): Promise<void> {
  const result = await runOperation<Reprocessed>(options, 'reprocess', {}, 'reading again');
  if (options.json === true) return printJson(result);
  say(
    `${result.envelopes} envelopes: ${result.stored} new records, ${result.duplicates} known, ${result.stillUnreadable} still cannot be read.`,
  );
}

async function guardAgain(options: Options, destroy: boolean): Promise<void> {
  const result = await runOperation<GuardedAgain>(options, 'reprocess.guard', { destroy }, 'looking again');
  if (options.json === true) return printJson(result);
  for (const id of result.found) print(id);
  say(
    `${result.messages} messages: ${result.found.length} hold card data, ${result.destroyed} destroyed.${
      destroy || result.found.length === 0 ? '' : ' Destroy them with "cartulary reprocess --guard --destroy".'
    }`,
  );
}
