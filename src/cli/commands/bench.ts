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
    .allowUnknownOption()
    .argument('[options...]')
    .action(async (options: string[]) => {
      const script = join(fileURLToPath(new URL('../../../bench', import.meta.url)), 'main.ts');
      if (!existsSync(script))
        throw new CartularyError('not-found', 'benchmarks come with the source, not with the package');
      const child = spawn(process.execPath, [...process.execArgv, script, ...options], { stdio: 'inherit' });
      process.exitCode = await new Promise<number>((resolve) => {
        child.on('exit', (code) => resolve(code ?? 1));
      });
    });
}
