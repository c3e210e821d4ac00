/** The manifest of a backup: which files it has and what is in them. It is written last, so that what has none is no backup. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { CartularyError } from '../model/errors.ts';
import { assertNotNewer } from './house-file.ts';
import { hashFile } from '../vault/hash-file.ts';

const manifestSchema = z.strictObject({
  version: z.literal(1),
  archive: z.string(),
  madeAt: z.string(),
  records: z.number().int(),
  files: z.array(z.strictObject({ path: z.string(), bytes: z.number().int(), sha256: z.string() })),
});

/** What stands in `manifest.json`. */
export type BackupManifest = z.infer<typeof manifestSchema>;

/** Files without which there is nothing to restore; whatever else a manifest names is checked all the same. */
const NEEDED = [
  'content/archive.db',
  'content/cartulary.json',
  'content/checkpoint',
  'content/destroyed.jsonl',
  'keys/keys.db',
  'keys/keyring.json',
] as const;

/**
 * Reads a backup's manifest and checks every file against it.
 * @throws CartularyError `not-found` where it is no backup, `corrupt` naming the file that is not what was saved
 */
export async function checkFiles(
  from: string,
  onProgress: (done: number, total: number) => void,
): Promise<BackupManifest> {
  const text = await readFile(join(from, 'manifest.json'), 'utf8').catch(() => undefined);
  if (text === undefined) throw new CartularyError('not-found', `${from} is not a backup: it has no manifest.json`);
  const manifest = parseManifest(text);
  const named = new Set(manifest.files.map(({ path }) => path));
  const unnamed = NEEDED.find((path) => !named.has(path));
  if (unnamed !== undefined)
    throw new CartularyError('corrupt', `the manifest of the backup does not name ${unnamed}; use another backup`);
  for (const [index, file] of manifest.files.entries()) {
    const found = file.path.includes('..') ? undefined : await hashFile(join(from, file.path)).catch(() => undefined);
    if (found !== file.sha256)
      throw new CartularyError(
        'corrupt',
        `the backup's file ${file.path} is ${found === undefined ? 'missing' : 'not what the manifest says'}; use another backup`,
      );
    onProgress(index + 1, manifest.files.length);
  }
  return manifest;
}

/** Reads the text of a manifest. @throws CartularyError `corrupt`, `data-newer` */
export function parseManifest(text: string): BackupManifest {
  try {
    const value: unknown = JSON.parse(text);
    assertNotNewer('manifest.json', value, manifestSchema);
    return manifestSchema.parse(value);
  } catch (cause) {
    if (cause instanceof CartularyError) throw cause;
    throw new CartularyError('corrupt', 'the manifest of the backup cannot be read; use another backup', { cause });
  }
}
