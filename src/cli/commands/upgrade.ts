import { statfs } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

import type { Command } from 'commander';

import type { BackupCheck, BackupCheckOptions } from '../../archive/check-backup.ts';
import { isInitialised } from '../../archive/house-file.ts';
import { dataLayout } from '../../archive/layout.ts';
import { CartularyError } from '../../model/errors.ts';
import { readSettings } from '../../settings.ts';
import { version } from '../../version.ts';
import { settingsOf } from '../context.ts';
import { paint, print, printJson, say } from '../output.ts';
import { tryBackup, withRestoreOptions } from '../restore-options.ts';
import type { RestoreCommand } from '../restore-options.ts';

type Options = RestoreCommand & { readonly check?: boolean; readonly backup?: string; readonly database?: string };

/** What is found out before a program is put in the place of another. */
type UpgradeCheck = BackupCheck & {
  /** The version that was tried: this one. */
  readonly program: string;
  /** May the program that wrote the backup go on with the data after this one? */
  readonly wayBack: 'same data' | 'backup';
  /** What is free where the archive is, if it is on this machine. */
  readonly freeBytes?: number;
  /** Without a database to try it in a backup is restored into a file only; the tables are changed when this version first starts. */
  readonly notTried?: 'postgres';
};

/** `upgrade --check`: tries this version on a backup before it gets the archive. */
export function defineUpgrade(command: Command): void {
  withRestoreOptions(command)
    .option('--check', 'restore the backup into a place of its own, change its schema, verify all of it')
    .option('--backup <dir>', 'a backup, or a directory of backups of which the newest is taken')
    .option(
      '--database <url>',
      'try the change of the tables in this database, in a schema of its own that goes afterwards; "-" reads it from standard input',
    )
    .action(upgrade);
}

async function upgrade(options: Options): Promise<void> {
  if (options.check !== true || options.backup === undefined)
    throw new CartularyError(
      'bad-input',
      'say upgrade --check --backup DIR, with a backup that the present version made; the update itself is: stop, install, start (docs/operate/upgrade.md)',
    );
  const { data, shared, database } = settingsOf(options);
  const tables = await readTables(options, database);
  const report = await tryBackup(options.backup, options, tables);
  // What tables take is on the disk of their server.
  const isHere = database === undefined && (await isInitialised(dataLayout(data, shared)));
  const checked: UpgradeCheck = {
    ...describe(report, isHere ? await freeBytesOf(data) : undefined),
    ...(database === undefined || tables !== undefined ? {} : { notTried: 'postgres' }),
  };
  if (!checked.ok) process.exitCode = 1;
  if (options.json === true) return printJson(checked);
  show(checked);
}

/** Where tables are tried. @throws CartularyError `bad-input` where the archive has none, `setting` where the way there is not private */
async function readTables(
  { database: given, data }: Options,
  inService: string | undefined,
): Promise<BackupCheckOptions['tables']> {
  if (given === undefined) return undefined;
  if (inService === undefined)
    throw new CartularyError(
      'bad-input',
      '--database is for an archive whose records are in PostgreSQL: give CARTULARY_DATABASE as well, which says where it is in service',
    );
  const url = given === '-' ? (await text(process.stdin)).trim() : given;
  // Under the same rules as the setting.
  readSettings(process.env, { database: url, ...(data === undefined ? {} : { data }) });
  return { url, inService };
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

function describe(report: BackupCheck, freeBytes: number | undefined): UpgradeCheck {
  const { schema } = report;
  const roomBytes = schema?.roomBytes ?? 0;
  const faults = [...report.faults];
  if (freeBytes !== undefined && freeBytes < roomBytes)
    faults.push({ code: 'no-room', text: `${roomBytes} bytes must be free, and ${freeBytes} are: make room first` });
  return {
    ...report,
    ok: faults.length === 0,
    faults,
    program: version(),
    wayBack: schema?.breaking === true ? 'backup' : 'same data',
    ...(freeBytes === undefined ? {} : { freeBytes }),
  };
}

function show(checked: UpgradeCheck): void {
  const { schema, program, path, root } = checked;
  for (const { code, leafIndex, text: what } of checked.faults)
    print(`${paint('red', code)}${leafIndex === undefined ? '' : ` at leaf ${leafIndex}`}: ${what}`);
  if (schema !== undefined) {
    const change = schema.from === schema.to ? `stays ${schema.to}` : `${schema.from} → ${schema.to}`;
    print(
      `schema ${change}: ${schema.ms} ms, ${schema.grownBytes} bytes more, ${schema.roomBytes} bytes of room meanwhile`,
    );
    const { records, messages, keys, holds } = schema.after;
    print(`${records} records, ${messages} messages, ${keys} keys, ${holds} holds: as many as before`);
    print(
      checked.wayBack === 'same data'
        ? 'the way back: the present version goes on with the same data'
        : 'the way back: only by restoring a backup from before (docs/operate/upgrade.md)',
    );
  }
  if (checked.notTried === 'postgres')
    print('not tried: the change of the tables in PostgreSQL, at the first start; give --database to try it');
  say(
    checked.ok
      ? `${paint('green', `Version ${program} can take over`)}: ${path}: ${checked.checked} records opened, ${checked.blobs} media. Root ${root}, as before.`
      : `${paint('red', `Version ${program} can NOT take over`)}. Stay with the version that you have: ${path}`,
  );
}
