/** Every command of the command line, each in a file of its own. */
import { Command } from 'commander';

import { version } from '../version.ts';
import { registerAlert } from './commands/alert.ts';
import { registerBackup, registerRestore } from './commands/backup.ts';
import { registerBench } from './commands/bench.ts';
import { registerCapacity } from './commands/capacity.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerExport } from './commands/export.ts';
import { registerImport } from './commands/import.ts';
import { registerInit } from './commands/init.ts';
import { registerKey } from './commands/key.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerProof } from './commands/proof.ts';
import { registerRebuild } from './commands/rebuild.ts';
import { registerReprocess } from './commands/reprocess.ts';
import { registerSearch } from './commands/search.ts';
import { registerShow } from './commands/show.ts';
import { registerSource } from './commands/source.ts';
import { registerStart } from './commands/start.ts';
import { registerUpgrade } from './commands/upgrade.ts';
import { registerVerify } from './commands/verify.ts';

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
  registerMigrate,
  registerUpgrade,
  registerRebuild,
  registerReprocess,
  registerKey,
  registerAlert,
  registerDoctor,
  registerCapacity,
  registerBench,
];

/** Builds the command line. */
export function buildProgram(): Command {
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
