import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Command } from 'commander';

import { CartularyError } from '../../model/errors.ts';

/** `bench`: measures this machine, in a checkout. */
export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('measure this machine against a baseline (in a checkout)')
    .option('--messages <n>', 'how many (default: 200000)')
    .option('--seed <n>', 'seed of the texts')
    .option('--json <file>', 'write the figures to this file, too')
    .option('--data <dir>', 'measure in a new directory under this one, on its disk (default: the temporary directory)')
    .action(async (options: Readonly<Record<string, string>>) => {
      const script = join(fileURLToPath(new URL('../../../bench', import.meta.url)), 'main.ts');
      if (!existsSync(script))
        throw new CartularyError('not-found', 'benchmarks come with the source, not with the package');
      const child = spawn(
        process.execPath,
        [...process.execArgv, script, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])],
        { stdio: 'inherit' },
      );
      process.exitCode = await new Promise<number>((resolve) => {
        child.on('exit', (code) => resolve(code ?? 1));
      });
    });
}
