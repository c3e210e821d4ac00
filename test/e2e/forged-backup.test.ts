/**
 * A backup whose every file is what its manifest says, and which cannot be restored all the same: a fault of whoever made it, or the work of somebody with its keys. `backup check`
 * finds it by restoring it.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { BackupManifest } from '../../src/archive/backup-manifest.ts';
import { listFiles } from '../../src/archive/backup-files.ts';
import type { BackupCheck } from '../../src/archive/check-backup.ts';
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

/** A copy of the backup that is changed, and whose manifest says then what its files are. */
async function forge(change: (manifest: BackupManifest) => void | Promise<void>): Promise<void> {
  await rm(forged, { recursive: true, force: true });
  cpSync(whole.backup, forged, { recursive: true });
  const path = join(forged, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as BackupManifest;
  await change(manifest);
  await rm(path);
  writeFileSync(path, JSON.stringify({ ...manifest, files: await listFiles(forged) }));
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
      await forge(() =>
        changeRows(join(forged, file), databaseKey, (database) => {
          database.exec(sql);
          database.pragma('wal_checkpoint(TRUNCATE)');
          database.pragma('journal_mode = DELETE');
        }),
      );
      const { code, report } = await check();
      expect([...new Set(report.faults.map((fault) => fault.code))]).toEqual(faults);
      expect({ code, ok: report.ok }).toEqual({ code: 1, ok: false });
    },
  );

  it('restores what a forged manifest hides, too: a medium that is left out', { timeout: 120_000 }, async () => {
    await forge(async ({ files }) => {
      const medium = files.find((file) => file.path.includes('blobs/'));
      expect(medium).toBeDefined();
      await rm(join(forged, medium?.path ?? ''));
    });
    expect(await check()).toMatchObject({ code: 1, report: { ok: false, faults: [{ code: 'blob-missing' }] } });
  });
});
