import type { Command } from 'commander';

import type { Reprocessed } from '../../capture/reprocess.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { printJson, say } from '../output.ts';

/** `reprocess`: reads quarantined envelopes again. */
export function registerReprocess(program: Command): void {
  withCommonOptions(
    program.command('reprocess').description('read quarantined envelopes again, after an update of a connector'),
  ).action(async (options: CommonOptions) => {
    const result = await runOperation<Reprocessed>(options, 'reprocess', {}, 'reading again');
    if (options.json === true) return printJson(result);
    say(
      `${result.envelopes} envelopes: ${result.stored} new records, ${result.duplicates} known, ${result.stillUnreadable} still cannot be read.`,
    );
  });
}
