import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { relative } from 'node:path';

import type { Command } from 'commander';

import type { Drill } from '../../archive/care.ts';
import { isInitialised, readHouseFile } from '../../archive/house-file.ts';
import { dataLayout } from '../../archive/layout.ts';
import { holdDrill } from '../../evidence/drill.ts';
import type { DrillReport } from '../../evidence/drill.ts';
import { CartularyError } from '../../model/errors.ts';
import type { Settings } from '../../settings.ts';
import { runOperation, settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { collect } from '../given.ts';
import { joinKitFiles } from '../kit-files.ts';
import { createProgress, paint, print, printJson, say } from '../output.ts';
import { withGivenBackup } from '../places.ts';
import type { WantedOptions } from '../places.ts';

type Options = CommonOptions &
  WantedOptions & { readonly backup?: string; readonly kit: string[]; readonly report?: string };

/** `drill`: restores a backup with the kit alone, tries what came of it, and puts the figures on record. */
export function defineDrill(command: Command): void {
  withCommonOptions(command)
    .option('--backup <place>', 'a directory or s3://…: the newest backup in it')
    .option('--kit <file>', 'the recovery kit, or as many of its shares as it takes, a file each', collect, [])
    .option('--archive <id>', 'whose backup, where those of several archives are in one place')
    .option('--made <time>', 'which backup of the place, by its name')
    .option('--report <file>', 'put a drill on record that was held on another machine: what --json printed there')
    .action(async (options: Options) => {
      const settings = settingsOf(options);
      if (options.report !== undefined) return putOnRecord(options, readReport(await readFile(options.report, 'utf8')));
      const report = await hold(settings, options);
      if (!report.drill.ok) process.exitCode = 1;
      const isHere = await isInitialised(dataLayout(settings.data, settings.shared));
      if (isHere) await putOnRecord(options, report);
      if (options.json === true) return printJson(report);
      show(report);
      if (!isHere)
        say('Not on record: run it with --json, and "cartulary drill --report FILE" where the archive is in service.');
    });
}

/** What is in it is looked at by whoever puts it on record. @throws CartularyError `bad-input` */
function readReport(text: string): DrillReport {
  try {
    return JSON.parse(text) as DrillReport;
  } catch (cause) {
    throw new CartularyError('bad-input', 'this is not what "cartulary drill --json" prints', { cause });
  }
}

async function hold(settings: Settings, options: Options): Promise<DrillReport> {
  if (options.backup === undefined) throw new CartularyError('bad-input', 'say which backup: --backup PLACE');
  const kit = await joinKitFiles(options.kit);
  if (kit === undefined)
    throw new CartularyError('bad-input', 'a drill is held with the recovery kit: --kit FILE, once for each share');
  const workIn = tmpdir();
  if (!relative(settings.data, workIn).startsWith('..'))
    throw new CartularyError(
      'setting',
      'TMPDIR is in the data directory: a drill is held apart from what is in service',
    );
  const progress = createProgress('restoring');
  const beganMs = performance.now();
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  try {
    return await withGivenBackup(settings, options.backup, options, ({ from, media, checkpoints }) =>
      holdDrill({
        ...{ from, checkpoints, kit, workIn, now: Date.now, signal: abort.signal },
        ...(media === undefined ? {} : { media }),
        fetchMs: Math.round(performance.now() - beganMs),
        onProgress: (done, total) => progress.update({ done, total }),
      }),
    );
  } finally {
    progress.end();
  }
}

/** @throws CartularyError `conflict` where it was held with a backup of another archive */
async function putOnRecord(options: Options, { archiveId, drill }: DrillReport): Promise<void> {
  const { data, shared } = settingsOf(options);
  const { id } = await readHouseFile(dataLayout(data, shared));
  // One that failed before anything was restored does not say whose it was.
  if (drill.ok ? archiveId !== id : archiveId !== undefined && archiveId !== id)
    throw new CartularyError('conflict', `this was a drill of another archive than the one in ${data}`);
  await runOperation(options, 'care.drill', drill);
  say('The drill is on record.');
}

function show({ drill, texts }: DrillReport): void {
  const s = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  for (const [index, code] of drill.faults.entries()) print(`${paint('red', code)}: ${texts[index] ?? ''}`);
  print(`${drill.ok ? paint('green', 'Restored') : paint('red', 'NOT restored')}: ${describeDrill(drill)}`);
  say(
    `  took ${s(drill.totalMs)}: fetched ${s(drill.fetchMs)}, restored and verified ${s(drill.checkMs)}, opened and searched ${s(drill.searchMs)}, exported ${s(drill.exportMs)}`,
  );
  if (drill.ok) say(`  root ${drill.root} over ${drill.size} records, as it was signed`);
}

function describeDrill({ records, messages, media, atMs, backupMs, newestMs }: Drill): string {
  const hours = (ms: number): string => `${((atMs - ms) / 3_600_000).toFixed(1)} hours`;
  const newest = newestMs === undefined ? '' : `, its newest message ${hours(newestMs)}`;
  return `${records} records, ${messages} messages, ${media} media; the backup is ${hours(backupMs)} old${newest}`;
}
