import { readFile } from 'node:fs/promises';

import type { Command } from 'commander';

import { isInitialised, readHouseFile } from '../../archive/house-file.ts';
import { archiveLayout, dataLayout } from '../../archive/layout.ts';
import type { VerifyReport } from '../../archive/threads/verify-thread.ts';
import { CartularyError } from '../../model/errors.ts';
import type { ArchiveId } from '../../model/ids.ts';
import { runOperation, settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly bundle?: string; readonly logKey?: string; readonly checkpoint: string[] };

/** `verify`: checks the archive, or a bundle without it. */
export function defineVerify(command: Command): void {
  withCommonOptions(command)
    .option('--bundle <file>', 'check an exported bundle; needs nothing but the log key')
    .option(
      '--log-key <vkey>',
      "the log's public key, from a source you trust (default: the one in the data directory)",
    )
    .option(
      '--checkpoint <file>',
      'an earlier signed checkpoint that the log must continue; may be given several times',
      (value: string, known: string[]) => [...known, value],
      [],
    )
    .action(async (options: Options) => {
      if (options.bundle !== undefined) return verifyOffline(options, options.bundle);
      const earlier = await Promise.all(options.checkpoint.map((path) => readFile(path, 'utf8')));
      const report = await runOperation<VerifyReport>(
        options,
        'verify',
        { earlier, ...(options.logKey === undefined ? {} : { vkey: options.logKey }) },
        'verifying',
      );
      if (!report.ok) process.exitCode = 1;
      if (options.json === true) return printJson(report);
      for (const { code, leafIndex, text } of report.faults)
        print(`${paint('red', code)}${leafIndex === undefined ? '' : ` at leaf ${leafIndex}`}: ${text}`);
      for (const line of remediesOf(report)) say(line);
      for (const { origin, size, from } of report.succeeds)
        say(`This log succeeds ${origin}; of its ${size} leaves those from ${from} on are lost.`);
      say(
        `${report.ok ? paint('green', 'Sound') : paint('red', 'NOT sound')}: ${report.size} leaves, ${report.checked} records opened, ${report.destroyed} destroyed, ${report.blobs} media. Root ${report.root}`,
      );
    });
}

const REBUILT = /^(?:checkpoint-(?:invalid|missing)|entr|tile-|subtree-|state-|signing-refused)/;
const REMEMBERED: ReadonlySet<string> = new Set(['memory-missing', 'list-incomplete']);
const SHORT: ReadonlySet<string> = new Set(['leaf-differs', 'records-missing', 'rolled-back']);
const FROM_BACKUP: ReadonlySet<string> = new Set(['blob-missing', 'blob-altered']);

/** What to do about what was found, a line for each way. */
function remediesOf({ faults }: VerifyReport): string[] {
  const codes = faults.map(({ code }) => code);
  const isRest = (code: string): boolean =>
    !REBUILT.test(code) && !REMEMBERED.has(code) && !FROM_BACKUP.has(code) && code !== 'audit-not-kept';
  return [
    ...(codes.some((code) => REBUILT.test(code))
      ? ['What is derived from the records is built again by "cartulary rebuild"; then verify again.']
      : []),
    ...(codes.includes('signing-refused') && codes.some((code) => SHORT.has(code))
      ? [
          'Records that were signed are not there, as after a failover to a replica that lacked them: "cartulary key successor" says which, while the archive is stopped.',
        ]
      : []),
    ...(codes.some((code) => REMEMBERED.has(code))
      ? ['What lies beside the data is written again by "cartulary key remember", while the archive is stopped.']
      : []),
    ...(codes.some((code) => FROM_BACKUP.has(code))
      ? ['The named media lie in content/blobs of a backup: copy them to blobs in the data directory.']
      : []),
    ...(codes.some(isRest)
      ? [
          'Keep this data directory as it is, and restore the newest backup beside it: "cartulary restore BACKUP --data NEW-DIRECTORY".',
        ]
      : []),
  ];
}

async function verifyOffline(options: Options, bundle: string): Promise<void> {
  const { verifyBundle } = await import('../../evidence/verify-bundle.ts');
  const report = await verifyBundle(bundle, { logKey: options.logKey ?? (await readOwnLogKey(options)) });
  if (!report.ok) process.exitCode = 1;
  if (options.json === true) return printJson(report);
  for (const fault of report.faults) print(`${paint('red', fault.code)}: ${fault.text}`);
  say(
    `${report.ok ? paint('green', 'Sound') : paint('red', 'NOT sound')}: ${report.messages} messages, ${report.records} records, ${report.media} media.`,
  );
}

/** The key of the archive in the data directory, which is elsewhere than the bundle, too. */
async function readOwnLogKey(options: Options): Promise<string> {
  const { data, shared } = settingsOf(options);
  const layout = dataLayout(data, shared);
  if (!(await isInitialised(layout)))
    throw new CartularyError('bad-input', '--bundle needs --log-key: the key must come from elsewhere than the bundle');
  const { id } = await readHouseFile(layout);
  return (await readFile(archiveLayout(layout, id as ArchiveId).vkey, 'utf8')).trim();
}
