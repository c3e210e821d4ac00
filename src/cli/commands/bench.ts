import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Command } from 'commander';

import { CartularyError } from '../../model/errors.ts';

/** `bench`: measures this machine, in a checkout. */
export function defineBench(command: Command): void {
  command
    .option('--messages <n>', 'how many (default: 200000)')
    .option('--mix <name>', 'plain: inbound texts; shop: what the shop sends and its states as well (default: plain)')
    .option('--seed <n>', 'seed of the texts')
    .option('--runs <n>', 'times that each measurement is repeated (default: 3)')
    .option('--json <file>', 'write the figures to this file, too')
    .option('--data <dir>', 'measure in a new directory under this one, on its disk (default: the temporary directory)')
    .option('--keep', 'leave the archive there')
    .option('--archive <dir>', 'measure an archive that --keep has left')
    .option('--check', 'fail where a ratio is worse than the stored one by a fifth')
    .option('--store', 'store the ratios')
    .action(async (subjects: string[], options: Readonly<Record<string, string | true>>) => {
      const script = join(fileURLToPath(new URL('../../../bench', import.meta.url)), 'main.ts');
      if (!existsSync(script))
        throw new CartularyError('not-found', 'benchmarks come with the source, not with the package');
      const child = spawn(
        process.execPath,
        [...process.execArgv, script, ...subjects, ...Object.entries(options).flatMap(toArguments)],
        { stdio: 'inherit' },
      );
      process.exitCode = await new Promise<number>((resolve) => {
        child.on('exit', (code) => resolve(code ?? 1));
      });
    });
}

function toArguments([name, value]: readonly [string, string | true]): string[] {
  return value === true ? [`--${name}`] : [`--${name}`, value];
}
