/** The import formats. */
import { CartularyError } from '../../model/errors.ts';
import type { Importer } from './importer.ts';
import { createJsonlImporter } from './jsonl.ts';
import { smsBackupImporter } from './sms-backup.ts';

export const IMPORTERS: readonly Importer[] = [
  smsBackupImporter,
  createJsonlImporter(() => {
    throw new CartularyError('bad-input', 'the line is not a record of an export');
  }),
];

/** The importer of a name. */
export function findImporter(name: string): Importer | undefined {
  return IMPORTERS.find((importer) => importer.name === name);
}
