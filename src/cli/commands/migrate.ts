import { text } from 'node:stream/consumers';

import type { Command } from 'commander';

import { migrateMedia, migrateRecords } from '../../archive/migrate.ts';
import { CartularyError } from '../../model/errors.ts';
import { housePlaceOf, readSettings } from '../../settings.ts';
import { withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { createProgress, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly to?: string; readonly blobs?: string };

/** `migrate`: moves the records of an archive into PostgreSQL, and its media into S3. */
export function defineMigrate(command: Command): void {
  withCommonOptions(command)
    .option(
      '--to <url>',
      'postgres://USER@HOST:PORT/DATABASE; "-" reads it from standard input (default: CARTULARY_DATABASE)',
    )
    .option('--blobs <url>', 's3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST (default: CARTULARY_BLOBS)')
    .action(migrate);
}

async function migrate(options: Options): Promise<void> {
  const to = options.to === '-' ? (await text(process.stdin)).trim() : options.to;
  const settings = readSettings(process.env, {
    ...(options.data === undefined ? {} : { data: options.data }),
    ...(to === undefined ? {} : { database: to }),
    ...(options.blobs === undefined ? {} : { blobs: options.blobs }),
  });
  const { database, ...place } = housePlaceOf(settings);
  // Where one is named, the other setting says where it is already.
  const wantsRecords = database !== undefined && (to !== undefined || options.blobs === undefined);
  const wantsMedia = place.blobs !== undefined && (options.blobs !== undefined || to === undefined);
  if (!wantsRecords && !wantsMedia)
    throw new CartularyError(
      'bad-input',
      'say where the records go (--to postgres://…, or CARTULARY_DATABASE) or the media (--blobs s3://…, or CARTULARY_BLOBS)',
    );
  const progress = createProgress('moving');
  const onProgress = (done: number, total: number): void => progress.update({ done, total });
  const records = wantsRecords ? await migrateRecords(place, database, onProgress) : undefined;
  const media = wantsMedia ? await migrateMedia(place, onProgress) : undefined;
  progress.end();
  if (options.json === true) return printJson(media === undefined ? records : { ...records, media });
  if (records !== undefined)
    say(`${records.records} records are in PostgreSQL, with the same root: ${records.root}. Set CARTULARY_DATABASE.`);
  if (media !== undefined) say(`${media.media} media are in S3, each read back. Set CARTULARY_BLOBS.`);
  say(`Next: start, and run "cartulary verify --data ${settings.data}".`);
  for (const former of [records?.former, media?.former])
    if (former !== undefined) say(`What was moved is still in ${former}: delete it when you need it no more.`);
}
