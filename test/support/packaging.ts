/** What an operator installs with (packaging/), as tests hold it against the program. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { readSettings } from '../../src/settings.ts';
import type { Settings } from '../../src/settings.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
export const PACKAGING = join(ROOT, 'packaging');
/** User in containers, and ports there. */
export const [UID, API, HOOKS] = [10001, 8787, 8788] as const;
/** What services run. */
export const START = ['start', '--must-exist'];
/** Where several nodes keep their records. */
export const DATABASE = 'postgres://cartulary@db.example:5432/cartulary?sslmode=verify-full';

const server = readFileSync(join(ROOT, 'src/api/server.ts'), 'utf8');

/** Does the server answer at this path, without a key? */
export function isServed(path: string): boolean {
  return server.includes(`app.get('${path}'`);
}

/** The text of a file. */
export function readPackaging(name: string): string {
  return readFileSync(join(PACKAGING, name), 'utf8');
}

/**
 * What the program makes of an environment in which secrets are mounted; these are files of the test's own.
 * @param place directory of the test
 * @throws where one of its settings does not exist or is unsafe
 */
export function settingsFrom(environment: Readonly<Record<string, string>>, place: string): Settings {
  const secret = (name: string, text: string): string => {
    const path = join(place, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const env: Record<string, string> = { ...environment };
  if (env['CARTULARY_PASSPHRASE_FILE'] !== undefined)
    env['CARTULARY_PASSPHRASE_FILE'] = secret('passphrase', 'a long enough passphrase\n');
  const blobs = env['CARTULARY_BLOBS'];
  if (blobs !== undefined)
    env['CARTULARY_BLOBS'] = blobs.replace(
      '/run/secrets/aws-credentials',
      secret('aws', '[default]\naws_access_key_id = id\naws_secret_access_key = secret\n'),
    );
  return readSettings(env, {}, join(place, 'no.yaml'));
}
