import type { Command } from 'commander';

import type { Check } from '../../api/operations/doctor.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printJson } from '../output.ts';

const COLOUR = { ok: 'green', warning: 'yellow', failed: 'red' } as const;

/** `doctor`: what is well, what is not, what to do. */
export function defineDoctor(command: Command): void {
  withCommonOptions(command).action(async (options: CommonOptions) => {
    const report = await runOperation<{ ok: boolean; checks: Check[] }>(options, 'doctor', {}, 'looking');
    if (!report.ok) process.exitCode = 1;
    if (options.json === true) return printJson(report);
    for (const { name, state, text, hint } of report.checks) {
      print(`${paint(COLOUR[state], state.padEnd(8))}${name}: ${text}`);
      if (state !== 'ok' && hint !== undefined) print(`        ${hint}`);
    }
  });
}
