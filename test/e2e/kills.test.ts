/**
 * Long work that is killed in the middle: a rebuild, a backup, a restore, an export, a rotation of keys, a change of the schema. Afterwards the archive is
 * sound, the work can be done again, nothing half made passes for whole, and nothing readable is left behind.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { archiveLayout, dataLayout } from '../../src/archive/layout.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { unwrapKeyring } from '../../src/vault/keyring.ts';
import { openEncryptedDatabase } from '../../src/vault/page-encryption.ts';
import { openLocalRoot } from '../../src/vault/root-provider.ts';
import { verifyBundle } from '../../src/evidence/verify-bundle.ts';
import { createRandom } from '../../bench/random.ts';
import { makePlace, runCli, runJson } from '../support/cli.ts';
import { killDuring } from '../support/kill-during.ts';
import { listAllFiles, makeWholeArchive } from '../support/whole-archive.ts';
import type { WholeArchive } from '../support/whole-archive.ts';

const SEED = 20_261_127;
/** Kills of each kind of work; `CARTULARY_KILLS=20` for the long form. */
const KILLS = Number(process.env['CARTULARY_KILLS'] ?? 1);
const random = createRandom(SEED);
const place = await makePlace('kills');
let whole: WholeArchive;
let data: string;

beforeAll(async () => {
  whole = await makeWholeArchive(place.path);
  data = whole.closed;
}, 240_000);
afterAll(() => place.remove());

/** Kills a command at several moments of its work; each must have hit it. */
async function killSeveral(
  args: () => readonly string[],
  isBegun: () => boolean,
  withinMs: number,
  between: () => Promise<void> = async () => undefined,
): Promise<void> {
  let hits = 0;
  for (let round = 0; round < KILLS * 4 && hits < KILLS; round += 1) {
    // Nearer to the beginning each time the work was done before the kill came.
    if (await killDuring(args(), isBegun, (random() * withinMs) / (1 + round - hits))) hits += 1;
    await between();
  }
  expect(hits).toBe(KILLS);
}

async function expectSound(directory = data): Promise<void> {
  expect(await runJson<VerifyReport>(['verify', '--data', directory])).toMatchObject({ ok: true, faults: [] });
}

const layout = () => archiveLayout(dataLayout(data), whole.archiveId);

describe('killed in the middle', { timeout: 300_000 }, () => {
  it('a backup is no backup, and the next removes what is left', async () => {
    const into = join(place.path, 'cut');
    const parts = (): string[] => (existsSync(into) ? readdirSync(into).filter((name) => name.endsWith('.part')) : []);
    await killSeveral(
      () => ['backup', into, '--data', data],
      () => parts().length > 0,
      40,
    );
    for (const name of readdirSync(into))
      if (!name.endsWith('.part') && name.startsWith('cartulary-'))
        expect((await runCli(['backup', 'check', join(into, name), '--data', data])).code).toBe(0);
    for (const name of parts())
      expect((await runCli(['backup', 'check', join(into, name), '--data', data])).code).toBe(1);
    const { path } = await runJson<{ path: string }>(['backup', into, '--data', data]);
    expect(parts()).toEqual([]);
    expect(await runJson(['backup', 'check', path, '--data', data])).toMatchObject({ ok: true });
  });

  it('a restore is no archive, and can be done again', async () => {
    const target = join(place.path, 'restored', 'data');
    const args = (): string[] => ['restore', whole.backup, '--data', target, '--kit', whole.kit];
    const isBegun = (): boolean => existsSync(join(target, 'archives'));
    await killSeveral(args, isBegun, 40, async () => {
      // Done before the kill came: again from nothing.
      if (existsSync(join(target, 'cartulary.json'))) await rm(join(place.path, 'restored'), { recursive: true });
      else expect((await runCli(['verify', '--data', target])).stderr).toContain('there is no archive');
    });
    await runJson(args());
    await expectSound(target);
    expect(listAllFiles(target).filter((name) => /\.(keys|restoring|tmp)$/.test(name))).toEqual([]);
  });

  it('an export is no bundle, and leaves nothing that can be read', async () => {
    const into = join(place.path, 'exports');
    await mkdir(into);
    let number = 0;
    const args = (): string[] => ['export', '', '--out', join(into, `${(number += 1)}.zip`), '--data', data];
    await killSeveral(args, () => readdirSync(into).length >= number, 60);
    // The next start removes what can be read; what has a name by then is whole.
    await expectSound();
    for (const name of readdirSync(into)) {
      expect(name).toMatch(/^\d+\.zip$/);
      expect((await verifyBundle(join(into, name), { logKey: whole.logKey })).ok).toBe(true);
    }
    const again = args();
    await runJson(again);
    expect((await verifyBundle(again[3] ?? '', { logKey: whole.logKey })).ok).toBe(true);
  });

  it('a rebuild leaves the index that was there, or the new one', async () => {
    const building = `${layout().index}.building`;
    const count = async (): Promise<number> =>
      (await runJson<{ total: number }>(['search', 'refund', '--data', data, '--limit', '1'])).total;
    const before = await count();
    expect(before).toBeGreaterThan(whole.texts / 2);
    await killSeveral(
      () => ['rebuild', '--data', data],
      () => existsSync(building),
      60,
    );
    expect(await count()).toBe(before);
    expect(await runJson(['rebuild', '--data', data])).toMatchObject({ index: { ok: true, missingCount: 0 } });
    expect(existsSync(building)).toBe(false);
  });

  it('a rotation of keys leaves keys that open everything', async () => {
    const { keys, rootKey } = dataLayout(data);
    const before = readFileSync(rootKey, 'utf8');
    const keyring = readFileSync(layout().keyring, 'utf8');
    const isTouched = (): boolean =>
      readFileSync(rootKey, 'utf8') !== before ||
      readFileSync(layout().keyring, 'utf8') !== keyring ||
      readdirSync(keys).some((name) => name.endsWith('.tmp'));
    await killSeveral(
      () => ['key', 'rotate-root', '--data', data],
      isTouched,
      5,
      () => expectSound(),
    );
    await runJson(['key', 'rotate-root', '--data', data]);
    await killSeveral(
      () => ['key', 'rotate-archive', '--data', data],
      () => true,
      900,
      () => expectSound(),
    );
    await runJson(['key', 'rotate-archive', '--data', data]);
    await expectSound();
    // What a kill left holds a root key.
    expect(readdirSync(keys).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('a change of the schema is done again', async () => {
    const root = await openLocalRoot({ path: dataLayout(data).rootKey });
    const { databaseKey } = await unwrapKeyring(readFileSync(layout().keyring, 'utf8'), root);
    const stepBack = async (): Promise<void> => {
      const database = openEncryptedDatabase(layout().database, { key: databaseKey });
      database.exec('DROP INDEX job_due; DROP INDEX IF EXISTS job_loss; CREATE INDEX job_due ON job (kind, due_at)');
      database.exec('DELETE FROM migration WHERE version = 2');
      database.close();
    };
    await stepBack();
    const wal = `${layout().database}-wal`;
    await killSeveral(
      () => ['doctor', '--data', data],
      () => existsSync(wal),
      30,
      stepBack,
    );
    await expectSound();
    const database = openEncryptedDatabase(layout().database, { key: databaseKey, readonly: true });
    expect(database.prepare('SELECT max(version) FROM migration').pluck().get()).toBe(2);
    database.close();
  });
});
