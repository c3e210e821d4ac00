/** What reads and writes files: imports, exports, backups. Paths are those of the machine the archive runs on. */
import { resolve } from 'node:path';

import { z } from 'zod';

import { importFile } from '../../capture/import-run.ts';
import { findImporter, IMPORTERS } from '../../capture/imports/list.ts';
import { exportMessages } from '../../evidence/export-run.ts';
import { EXPORTERS, findExporter } from '../../evidence/exports/list.ts';
import { CartularyError } from '../../model/errors.ts';
import { defineOperation } from '../operation.ts';

const runImport = defineOperation(
  'import',
  z.strictObject({
    importer: z.string(),
    path: z.string(),
    region: z.string().optional(),
    ownAddress: z.string().optional(),
    account: z.string().optional(),
  }),
  async ({ importer: name, path, region, ownAddress, account }, { service, caller, signal, progress }) => {
    const importer = findImporter(name);
    if (importer === undefined)
      throw new CartularyError(
        'bad-input',
        `there is no importer "${name.slice(0, 40)}"; there are ${IMPORTERS.map((known) => known.name).join(', ')}`,
      );
    const options = {
      ...(region === undefined ? {} : { region }),
      ...(ownAddress === undefined ? {} : { ownAddress }),
      ...(account === undefined ? {} : { account }),
    };
    return importFile(
      service.archive,
      caller,
      { importer, path: resolve(path), options },
      { now: service.now, signal, onProgress: progress },
    );
  },
);

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

/** Operations on files. */
export const FILE_OPERATIONS = [runImport, runExport, runBackup, sendBackup];
