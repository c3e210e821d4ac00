/** Imports. Paths are those of the machine the archive runs on. */
import { resolve } from 'node:path';

import { z } from 'zod';

import { importFile } from '../../capture/import-run.ts';
import { findImporter, IMPORTERS } from '../../capture/imports/list.ts';
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

/** Operations that read files. */
export const IMPORT_OPERATIONS = [runImport];
