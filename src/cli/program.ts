/** Every command of the command line, each in a file of its own, which is loaded when its command is named: most load in less time than all of them. */
import { Command } from 'commander';

import { version } from '../version.ts';

/** A command: its name with its arguments, what it is for, and what adds its options, its own commands and what it does. */
type Definition = readonly [usage: string, description: string, load: () => Promise<(command: Command) => void>];

const COMMANDS: readonly Definition[] = [
  ['init', 'make an archive', async () => (await import('./commands/init.ts')).defineInit],
  ['start', 'run the archive: hooks, API, log, jobs', async () => (await import('./commands/start.ts')).defineStart],
  ['demo', 'run the archive with a make-believe shop', async () => (await import('./commands/demo.ts')).defineDemo],
  ['source', 'connect platforms', async () => (await import('./commands/source.ts')).defineSource],
  [
    'import <format> <file>',
    'bring old messages in; may be repeated, nothing is kept twice',
    async () => (await import('./commands/import.ts')).defineImport,
  ],
  [
    'search [query...]',
    'find messages, newest first (docs/search.md)',
    async () => (await import('./commands/search.ts')).defineSearch,
  ],
  [
    'show <id>',
    'a message with its history, or a conversation',
    async () => (await import('./commands/show.ts')).defineShow,
  ],
  [
    'export [query...]',
    'hand messages out with media, proofs and a manifest',
    async () => (await import('./commands/export.ts')).defineExport,
  ],
  [
    'verify',
    'check the archive against its log, or a bundle offline',
    async () => (await import('./commands/verify.ts')).defineVerify,
  ],
  [
    'proof <message>',
    'inclusion proofs of a message as .tlog-proof files',
    async () => (await import('./commands/proof.ts')).defineProof,
  ],
  [
    'backup [dir]',
    'write a backup into a new directory under DIR, or send one to where CARTULARY_BACKUP says; capture goes on',
    async () => (await import('./commands/backup.ts')).defineBackup,
  ],
  [
    'restore <backup>',
    'make a data directory from a backup',
    async () => (await import('./commands/backup.ts')).defineRestore,
  ],
  [
    'migrate',
    'move the records of a stopped archive into PostgreSQL and its media into S3, and prove that they are the same there',
    async () => (await import('./commands/migrate.ts')).defineMigrate,
  ],
  [
    'upgrade',
    'before an update: try this version on a backup of the archive, which is not touched',
    async () => (await import('./commands/upgrade.ts')).defineUpgrade,
  ],
  [
    'rebuild',
    'build the search index, the states and the files of the log again from the records, and compare index and records as sets',
    async () => (await import('./commands/rebuild.ts')).defineRebuild,
  ],
  [
    'reprocess',
    'read quarantined envelopes again, after an update of a connector',
    async () => (await import('./commands/reprocess.ts')).defineReprocess,
  ],
  ['key', "API keys, and the archive's own keys", async () => (await import('./commands/key.ts')).defineKey],
  [
    'alert',
    'who is told when something is wrong, and what is wrong',
    async () => (await import('./commands/alert.ts')).defineAlert,
  ],
  [
    'nodes',
    'which nodes this archive has, and how far each is',
    async () => (await import('./commands/nodes.ts')).defineNodes,
  ],
  [
    'relay',
    'machines in front of this network that take in what platforms send',
    async () => (await import('./commands/relay.ts')).defineRelay,
  ],
  [
    'unlock',
    'open an archive that was started while its root key was locked',
    async () => (await import('./commands/unlock.ts')).defineUnlock,
  ],
  [
    'doctor',
    'what is well, what is not, and what to do about it',
    async () => (await import('./commands/doctor.ts')).defineDoctor,
  ],
  [
    'drill',
    'restore a backup with the recovery kit alone, try it, put the figures on record; nothing in service is touched',
    async () => (await import('./commands/drill.ts')).defineDrill,
  ],
  [
    'handover',
    'the page for whoever takes over: sources, owners, deadlines, keys, backups, alerts; no secret in it',
    async () => (await import('./commands/handover.ts')).defineHandover,
  ],
  [
    'capacity',
    'how far this archive will carry on one machine',
    async () => (await import('./commands/capacity.ts')).defineCapacity,
  ],
  [
    'bench [subjects...]',
    'measure this machine against a baseline (in a checkout); all subjects, or those named',
    async () => (await import('./commands/bench.ts')).defineBench,
  ],
];

/**
 * Builds the command line.
 * @param isNamed of which commands the options are known; of the others only what they are for
 */
export async function buildProgram(isNamed: (name: string) => boolean): Promise<Command> {
  const program = new Command('cartulary')
    .description(
      "Archive of a shop's text messages: sealed, logged so that anyone can check it, found in milliseconds.",
    )
    .version(version())
    // The same whether the options of a command are known or not.
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .showHelpAfterError('(run with --help for what there is)')
    .exitOverride();
  for (const [usage, description, load] of COMMANDS) {
    const command = program.command(usage).description(description);
    if (isNamed(command.name())) (await load())(command);
  }
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
