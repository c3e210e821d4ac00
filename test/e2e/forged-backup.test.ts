/**
 * A backup whose every file is what its manifest says, and which cannot be restored all the same: a fault of whoever made it, or the work of somebody with its keys. `backup check`
 * finds it by restoring it.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { BackupManifest } from '../../src/archive/backup.ts';
import type { BackupCheck } from '../../src/archive/check-backup.ts';
import { hashFile } from '../../src/vault/hash-file.ts';
import { unwrapKeyring } from '../../src/vault/keyring.ts';
import { parseRecoveryKit } from '../../src/vault/recovery-kit.ts';
import { holdRoot } from '../../src/vault/root-provider.ts';
import { changeRows } from '../support/change-rows.ts';
import { makePlace, runCli } from '../support/cli.ts';
import { makeWholeArchive } from '../support/whole-archive.ts';
import type { WholeArchive } from '../support/whole-archive.ts';

const place = await makePlace('forged-backup');
const forged = join(place.path, 'forged');
const CONTENT = 'content/archive.db';
const KEYS = 'keys/keys.db';
let whole: WholeArchive;
let databaseKey: Uint8Array;

beforeAll(async () => {
  whole = await makeWholeArchive(place.path);
  const root = holdRoot(parseRecoveryKit(whole.recoveryKit).rootKey);
  const keyring = readFileSync(join(whole.backup, 'keys', 'keyring.json'), 'utf8');
  ({ databaseKey } = await unwrapKeyring(keyring, root));
}, 240_000);
afterAll(() => place.remove());

/** Has the manifest say what the files are now. */
async function sayAnew(): Promise<void> {
  const path = join(forged, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as BackupManifest;
  for (const file of manifest.files) {
    file.sha256 = await hashFile(join(forged, file.path));
    file.bytes = (await stat(join(forged, file.path))).size;
  }
  writeFileSync(path, JSON.stringify(manifest));
}

async function check(): Promise<{ readonly code: number; readonly report: BackupCheck }> {
  const args = ['backup', 'check', forged, '--kit', whole.kit, '--data', join(place.path, 'none'), '--json'];
  const { code, stdout, stderr } = await runCli(args);
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as BackupCheck };
}

describe('backup check', () => {
  const forgeries: readonly (readonly [what: string, file: string, sql: string, faults: readonly string[]])[] = [
    ['a leaf', CONTENT, 'UPDATE record SET leaf = zeroblob(length(leaf)) WHERE seq = 17', ['conflict']],
    ['the last records', CONTENT, 'DELETE FROM record WHERE seq >= 200', ['conflict']],
    [
      'a text',
      CONTENT,
      'UPDATE record SET sealed = (SELECT sealed FROM record WHERE seq = 18) WHERE seq = 17',
      ['ciphertext-altered'],
    ],
    ['a key', KEYS, 'DELETE FROM message_key WHERE no = 20', ['key-missing']],
  ];

  it.each(forgeries)(
    'restores a backup in which was changed: %s',
    { timeout: 120_000 },
    async (_what, file, sql, faults) => {
      await rm(forged, { recursive: true, force: true });
      cpSync(whole.backup, forged, { recursive: true });
      changeRows(join(forged, file), databaseKey, (database) => {
        database.exec(sql);
        database.pragma('wal_checkpoint(TRUNCATE)');
        database.pragma('journal_mode = DELETE');
      });
      await sayAnew();
      const { code, report } = await check();
      expect([...new Set(report.faults.map((fault) => fault.code))]).toEqual(faults);
      expect({ code, ok: report.ok }).toEqual({ code: 1, ok: false });
    },
  );

  it('restores what a forged manifest hides, too: a medium that is left out', { timeout: 120_000 }, async () => {
    await rm(forged, { recursive: true, force: true });
    cpSync(whole.backup, forged, { recursive: true });
    const path = join(forged, 'manifest.json');
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as BackupManifest;
    const medium = manifest.files.find((file) => file.path.includes('blobs/'));
    expect(medium).toBeDefined();
    await rm(join(forged, medium?.path ?? ''));
    writeFileSync(path, JSON.stringify({ ...manifest, files: manifest.files.filter((file) => file !== medium) }));
    expect(await check()).toMatchObject({ code: 1, report: { ok: false, faults: [{ code: 'blob-missing' }] } });
  });
});
