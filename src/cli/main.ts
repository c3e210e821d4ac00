/**
 * The command line. Exit codes: 0 done, 1 it failed or found something, 2 the command was not understood.
 */
import { Command, CommanderError } from 'commander';

import { CartularyError, ERRORS } from '../model/errors.ts';
import { version } from '../version.ts';
import { registerBackup, registerRestore } from './commands/backup.ts';
import { registerBench } from './commands/bench.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerExport } from './commands/export.ts';
import { registerImport } from './commands/import.ts';
import { registerInit } from './commands/init.ts';
import { registerKey } from './commands/key.ts';
import { registerProof } from './commands/proof.ts';
import { registerRebuild } from './commands/rebuild.ts';
import { registerReprocess } from './commands/reprocess.ts';
import { registerSearch } from './commands/search.ts';
import { registerShow } from './commands/show.ts';
import { registerSource } from './commands/source.ts';
import { registerStart } from './commands/start.ts';
import { registerVerify } from './commands/verify.ts';
import { paint, say } from './output.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const REGISTRARS = [
  registerInit,
  registerStart,
  registerDemo,
  registerSource,
  registerImport,
  registerSearch,
  registerShow,
  registerExport,
  registerVerify,
  registerProof,
  registerBackup,
  registerRestore,
  registerRebuild,
  registerReprocess,
  registerKey,
  registerDoctor,
  registerBench,
];

/** Builds the command line. */
function buildProgram(): Command {
  const program = new Command('cartulary')
    .description(
      "Archive of a shop's text messages: sealed, logged so that anyone can check it, found in milliseconds.",
    )
    .version(version())
    .showHelpAfterError('(run with --help for what there is)')
    .exitOverride();
  for (const register of REGISTRARS) register(program);
  overrideExits(program);
  return program;
}

/** Commands inherit neither exitOverride nor the help hint. */
function overrideExits(command: Command): void {
  for (const child of command.commands) {
    child.exitOverride().showHelpAfterError('(run with --help for what there is)');
    overrideExits(child);
  }
}

async function main(): Promise<number> {
  try {
    await buildProgram().parseAsync(process.argv);
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (cause) {
    return report(cause);
  }
}

function report(cause: unknown): number {
  if (cause instanceof CommanderError) return cause.exitCode === 0 ? 0 : EXIT_USAGE;
  if (cause instanceof CartularyError) {
    say(`${paint('red', 'cartulary:')} ${cause.message}`);
    say(ERRORS[cause.code].hint);
    return cause.code === 'bad-input' || cause.code === 'bad-query' || cause.code === 'setting'
      ? EXIT_USAGE
      : EXIT_FAILED;
  }
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  say(
    `${paint('red', 'cartulary:')} something failed here${code}: ${cause instanceof Error ? cause.name : typeof cause}`,
  );
  if (process.env['CARTULARY_LOG_LEVEL'] === 'debug' && cause instanceof Error) say(cause.stack ?? '');
  return EXIT_FAILED;
}

process.exitCode = await main();
