/** What writes files: exports, backups. Paths are those of the machine the archive runs on. */
import { resolve } from 'node:path';

import { z } from 'zod';

import { exportMessages } from '../../evidence/export-run.ts';
import { EXPORTERS, findExporter } from '../../evidence/exports/list.ts';
import { CartularyError } from '../../model/errors.ts';
import { defineOperation } from '../operation.ts';

const runExport = defineOperation(
  'export',
  z.strictObject({ format: z.string().default('jsonl'), q: z.string().max(200_000).default(''), path: z.string() }),
  async ({ format, q, path }, { service, caller, signal, progress }) => {
    const exporter = findExporter(format);
    if (exporter === undefined)
      throw new CartularyError(
        'bad-input',
        `there is no format "${format.slice(0, 40)}"; there are ${EXPORTERS.map((known) => known.name).join(', ')}`,
      );
    const summary = await exportMessages(
      service.archive,
      caller,
      { exporter, q, path: resolve(path) },
      { now: service.now, signal, onProgress: progress },
    );
    return { path: resolve(path), ...summary };
  },
);

const runBackup = defineOperation(
  'backup',
  z.strictObject({ into: z.string() }),
  ({ into }, { service, caller, progress }) =>
    service.archive.backup(caller, resolve(into), service.house.layout, (done, total) => progress({ done, total })),
);

const sendBackup = defineOperation('backup.send', z.strictObject({}), (_args, { service, caller, progress }) => {
  if (service.backups === undefined)
    throw new CartularyError('bad-input', 'say where: cartulary backup DIR, or set CARTULARY_BACKUP');
  return service.backups.run(caller, (done, total) => progress({ done, total }));
});

/** Operations that write files. */
export const FILE_OPERATIONS = [runExport, runBackup, sendBackup];
