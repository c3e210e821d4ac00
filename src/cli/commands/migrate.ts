import { text } from 'node:stream/consumers';

import type { Command } from 'commander';

import { migrateRecords } from '../../archive/migrate.ts';
import { CartularyError } from '../../model/errors.ts';
import { housePlaceOf, readSettings } from '../../settings.ts';
import { withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { createProgress, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly to?: string };

/** `migrate`: moves the records of an archive into PostgreSQL. */
export function registerMigrate(program: Command): void {
  withCommonOptions(
    program
      .command('migrate')
      .description('move the records of a stopped archive into PostgreSQL, and prove that they are the same there'),
  )
    .option(
      '--to <url>',
      'postgres://USER@HOST:PORT/DATABASE; "-" reads it from standard input (default: CARTULARY_DATABASE)',
    )
    .action(async (options: Options) => {
      const to = options.to === '-' ? (await text(process.stdin)).trim() : options.to;
      const settings = readSettings(process.env, {
        ...(options.data === undefined ? {} : { data: options.data }),
        ...(to === undefined ? {} : { database: to }),
      });
      const { database, ...place } = housePlaceOf(settings);
      if (database === undefined)
        throw new CartularyError('bad-input', 'say where the records go: --to postgres://…, or CARTULARY_DATABASE');
      const progress = createProgress('moving');
      const moved = await migrateRecords(place, database, (done, total) => progress.update({ done, total }));
      progress.end();
      if (options.json === true) return printJson(moved);
      say(`${moved.records} records are in PostgreSQL, with the same root: ${moved.root}`);
      say(
        `Next: set CARTULARY_DATABASE, start, and run "cartulary verify --data ${settings.data}". The former file is ${moved.former}: delete it when you need it no more.`,
      );
    });
}
