import type { Command } from 'commander';

import type { IndexComparison } from '../../archive/threads/compare-index.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { printJson, say } from '../output.ts';

type Rebuilt = { records: number; leaves: number; index: IndexComparison };

/** `rebuild`: builds again what is derived from the records. */
export function defineRebuild(command: Command): void {
  withCommonOptions(command).action(async (options: CommonOptions) => {
    const rebuilt = await runOperation<Rebuilt>(options, 'rebuild', {}, 'rebuilding');
    if (!rebuilt.index.ok) process.exitCode = 1;
    if (options.json === true) return printJson(rebuilt);
    say(
      `${rebuilt.records} records read; ${rebuilt.index.indexed} of ${rebuilt.index.expected} messages can be found; the log has ${rebuilt.leaves} leaves.`,
    );
  });
}
