/**
 * Before an update: the new version is tried on a backup. After one that went wrong: what an older version says of newer data, and the way back.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import type { BackupManifest } from '../../src/archive/backup-manifest.ts';
import { listFiles } from '../../src/archive/backup-files.ts';
import { checkBackup } from '../../src/archive/check-backup.ts';
import type { BackupCheck } from '../../src/archive/check-backup.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { parseSignedCheckpoint } from '../../src/ledger/checkpoint.ts';
import type * as schema from '../../src/store/sqlite/schema.ts';
import { hashFile } from '../../src/vault/hash-file.ts';
import { unwrapKeyring } from '../../src/vault/keyring.ts';
import { openEncryptedDatabase } from '../../src/vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../src/vault/page-encryption.ts';
import { parseRecoveryKit } from '../../src/vault/recovery-kit.ts';
import { holdRoot } from '../../src/vault/root-provider.ts';
import { makePlace, runCli, runJson } from '../support/cli.ts';
import { copyData, listAllFiles, makeWholeArchive } from '../support/whole-archive.ts';
import type { WholeArchive } from '../support/whole-archive.ts';

/** What a program with a fault does to a database when it changes the schema. */
const fault = vi.hoisted(() => ({ sql: '' }));
vi.mock('../../src/store/sqlite/schema.ts', async (importOriginal) => {
  const real = await importOriginal<typeof schema>();
  return {
    ...real,
    migrate: (database: EncryptedDatabase) => {
      const step = real.migrate(database);
      database.exec(fault.sql);
      return step;
    },
  };
});

const place = await makePlace('upgrade');
const aged = join(place.path, 'aged', 'cartulary-arc_old');
const temporary = join(place.path, 'tmp');
let whole: WholeArchive;
let databaseKey: Uint8Array;

beforeAll(async () => {
  mkdirSync(temporary);
  whole = await makeWholeArchive(place.path);
  const root = holdRoot(parseRecoveryKit(whole.recoveryKit).rootKey);
  const keyring = readFileSync(join(whole.backup, 'keys', 'keyring.json'), 'utf8');
  ({ databaseKey } = await unwrapKeyring(keyring, root));
  await age(TO_SCHEMA_1);
}, 240_000);
afterAll(() => place.remove());

const TO_SCHEMA_1 = `
  DROP INDEX job_due; DROP INDEX job_loss; CREATE INDEX job_due ON job (kind, due_at); DELETE FROM migration WHERE version > 1`;

/** Makes a copy of the backup as another version would have written it; its manifest says so. */
async function age(sql: string): Promise<void> {
  rmSync(aged, { recursive: true, force: true });
  cpSync(whole.backup, aged, { recursive: true });
  const database = openEncryptedDatabase(join(aged, 'content', 'archive.db'), { key: databaseKey, mustExist: true });
  database.exec(sql);
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.pragma('journal_mode = DELETE');
  database.close();
  const path = join(aged, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as BackupManifest;
  rmSync(path);
  writeFileSync(path, JSON.stringify({ ...manifest, files: await listFiles(aged) }));
}

type Checked = BackupCheck & { program: string; wayBack: string; freeBytes?: number };

async function check(...more: string[]): Promise<{ code: number; report: Checked }> {
  const args = ['upgrade', '--check', '--backup', aged, '--data', whole.closed, ...more];
  const { code, stdout, stderr } = await runCli([...args, '--json'], { TMPDIR: temporary });
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as Checked };
}

/** Every file of a directory with what is in it and when it was written. */
async function stateOf(directory: string): Promise<string[]> {
  return Promise.all(
    listAllFiles(directory).map(async (name) => {
      const path = join(directory, name);
      return `${name} ${statSync(path).mtimeMs} ${await hashFile(path)}`;
    }),
  );
}

describe('upgrade --check', () => {
  it('changes the schema of a backup in a place of its own, finds all of it, and touches nothing', async () => {
    const copy = openEncryptedDatabase(join(aged, 'content', 'archive.db'), { key: databaseKey, readonly: true });
    const statements = copy.prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL').pluck().all() as string[];
    const first = readFileSync(join(import.meta.dirname, '../../src/store/sqlite/testing/schema-1.sql.txt'), 'utf8');
    copy.close();
    expect(statements.filter((sql) => !first.includes(`${sql.replaceAll(/^ +/gm, '  ')};\n`))).toEqual([]);

    const before = [await stateOf(whole.closed), await stateOf(`${whole.closed}.signer`), await stateOf(aged)];
    const { code, report } = await check();
    expect(report.faults).toEqual([]);
    expect(code).toBe(0);
    const { records } = JSON.parse(readFileSync(join(aged, 'manifest.json'), 'utf8')) as BackupManifest;
    expect(report).toMatchObject({ ok: true, wayBack: 'same data', schema: { from: 1, to: 2, breaking: false } });
    expect(report.schema?.before.records).toBe(records);
    expect(report.schema?.after).toEqual(report.schema?.before);
    expect(report.schema?.roomBytes).toBeGreaterThan(0);
    expect(report.freeBytes).toBeGreaterThan(0);
    const head = parseSignedCheckpoint(readFileSync(join(aged, 'content', 'checkpoint'), 'utf8'));
    expect(report).toMatchObject({ size: head.size, root: Buffer.from(head.root).toString('base64') });
    expect([await stateOf(whole.closed), await stateOf(`${whole.closed}.signer`), await stateOf(aged)]).toEqual(before);
    expect(readdirSync(temporary)).toEqual([]);
    // A restore does the same.
    const data = join(place.path, 'restored', 'data');
    expect(await runJson(['restore', aged, '--data', data, '--kit', whole.kit])).toMatchObject({
      records,
      schema: { from: 1, to: 2 },
    });
    expect(await runJson<VerifyReport>(['verify', '--data', data])).toMatchObject({ ok: true, faults: [] });
  }, 120_000);

  it('refuses what a newer version wrote, but not where that goes with this one', async () => {
    await age('INSERT INTO migration (version, breaking, applied_at) VALUES (99, 0, 0)');
    expect(await check()).toMatchObject({ code: 0, report: { ok: true, schema: { from: 99, to: 99 } } });
    await age('INSERT INTO migration (version, breaking, applied_at) VALUES (99, 1, 0)');
    const { code, report } = await check();
    expect({ code, codes: report.faults.map((found) => found.code) }).toEqual({ code: 1, codes: ['data-newer'] });
    expect(readdirSync(temporary)).toEqual([]);
  }, 120_000);

  it.each([
    ['a record', 'DROP TRIGGER record_is_kept; DELETE FROM record WHERE seq = 9', /there were \d+ records/],
    ['a key', 'DROP TRIGGER key_open_stays; DELETE FROM message_key WHERE no = 9', /there were \d+ keys/],
    ['a leaf', 'DROP TRIGGER record_never_changes; UPDATE record SET leaf = zeroblob(length(leaf)) WHERE seq = 9', /./],
  ])('finds that a change of the schema spoils %s', { timeout: 60_000 }, async (_what, sql, text) => {
    await age(TO_SCHEMA_1);
    fault.sql = sql;
    try {
      const kit = readFileSync(whole.kit, 'utf8');
      const report = await checkBackup({ from: aged, kit, workIn: temporary, onProgress: () => undefined });
      expect(report.ok).toBe(false);
      expect(report.faults[0]?.text).toMatch(text);
    } finally {
      fault.sql = '';
    }
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('is asked for in full', async () => {
    const { code, stderr } = await runCli(['upgrade', '--check', '--data', whole.closed]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('upgrade --check --backup DIR')]);
  });
});

describe('the way back', () => {
  it('is a backup where a newer version changed the data for good: said by the older one, and done as it says', async () => {
    const data = join(place.path, 'updated', 'data');
    copyData(whole.closed, data);
    const { archiveId } = whole;
    const archive = join(data, 'archives', archiveId);
    const database = openEncryptedDatabase(join(archive, 'archive.db'), { key: databaseKey, mustExist: true });
    const mark = database.prepare('INSERT INTO migration (version, breaking, applied_at) VALUES (?, ?, 0)');
    mark.run(99, 0);
    const total = async (text: string, where: string): Promise<number> =>
      (await runJson<{ total: number }>(['search', text, '--data', where, '--limit', '1'])).total;
    // What goes with this version is opened by it: nothing to bring back.
    const refunds = await total('refund', data);
    expect([refunds > 300, await total('"after the backup"', data)]).toEqual([true, 1]);
    mark.run(100, 1);
    database.close();
    const started = await runCli(['start', '--data', data], { CARTULARY_LISTEN: '127.0.0.1:0' });
    expect(started.code).toBe(1);
    expect(started.stderr).toMatch(/newer version \(schema 100, this program knows \d+\)/);
    expect(started.stderr).toContain('cartulary restore BACKUP --data NEW-DIRECTORY');

    const back = join(place.path, 'back', 'data');
    const restore = ['restore', whole.backup, '--data', back, '--kit', whole.kit];
    const known = [
      ...['--checkpoint', join(archive, 'log', 'checkpoint')],
      ...['--destroyed', join(`${data}.signer`, `${archiveId}.destroyed.jsonl`)],
    ];
    const refused = await runCli([...restore, ...known]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--successor')]);
    const restored = await runJson<{ logKey: string }>([...restore, ...known, '--successor']);
    expect(restored.logKey).toContain(`cartulary/${archiveId}/2+`);
    expect(await runJson<VerifyReport>(['verify', '--data', back])).toMatchObject({ ok: true, faults: [] });
    expect([await total('refund', back), await total('"after the backup"', back)]).toEqual([refunds, 0]);
  }, 120_000);

  it('is told of files, too, that say a newer version', async () => {
    const data = join(place.path, 'newer', 'data');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'cartulary.json'), JSON.stringify({ version: 2, houses: [] }));
    const { code, stderr } = await runCli(['start', '--data', data]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('newer version (2, this program knows 1)')]);
  });
});

describe('start --must-exist', () => {
  it('makes no archive', async () => {
    const data = join(place.path, 'nothing', 'data');
    const { code, stderr, stdout } = await runCli(['start', '--must-exist', '--data', data]);
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining('there is no archive')]);
    expect(existsSync(data)).toBe(false);
  });
});
