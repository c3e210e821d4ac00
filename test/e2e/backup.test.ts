/** Backup while it runs, restore on "another machine" with the recovery kit only, same root; and what must be refused. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { makePlace, runCli, runJson, serve } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

const place = await makePlace('backup');
afterAll(() => place.remove());

describe('a backup', () => {
  it('is restored with the recovery kit only, with the same root and all messages', { timeout: 120_000 }, async () => {
    const kit = join(place.path, 'kit.txt');
    const init = ['init', '--data', place.data, '--name', 'Backup', '--kit', kit];
    const { archiveId } = await runJson<{ archiveId: string }>(init);
    const server = await serve(place.data);
    const source = await runJson<{ hookUrl: string }>([
      'source',
      'add',
      'twilio',
      '--data',
      place.data,
      '--name',
      'b',
      '--secret',
      AUTH_TOKEN,
    ]);
    await inParallel(
      Array.from({ length: 120 }, (_none, index) => index),
      8,
      async (index) => {
        const fields = inboundFields(`SM${String(index).padStart(32, '0')}`, `parcel number ${index}`);
        expect((await fetch(source.hookUrl, signedForm(source.hookUrl, fields))).status).toBe(200);
      },
    );
    // What a backup that was killed has left.
    const cutOff = join(place.path, 'backups', `cartulary-${archiveId}-2026-01-01T00-00-00-000Z.part`);
    await mkdir(cutOff, { recursive: true });
    await writeFile(join(cutOff, 'archive.db'), 'with keys in it');
    const backup = await runJson<{ path: string; records: number }>([
      'backup',
      join(place.path, 'backups'),
      '--data',
      place.data,
    ]);
    expect((await readdir(join(place.path, 'backups'))).filter((name) => name.endsWith('.part'))).toEqual([]);
    const before = await runJson<VerifyReport>(['verify', '--data', place.data]);
    const checkpoint = await readFile(join(backup.path, 'content', 'checkpoint'), 'utf8');
    await server.stop();

    // Another machine: nothing but the backup and the kit.
    const other = join(place.path, 'other', 'data');
    await rename(place.data, `${place.data}.gone`);
    await rename(`${place.data}.signer`, `${place.data}.gone.signer`);
    const restored = await runJson<{ records: number }>(['restore', backup.path, '--data', other, '--kit', kit]);
    expect(restored.records).toBe(backup.records);
    expect((await runJson<MessagePage>(['search', 'parcel', '--data', other, '--limit', '1'])).total).toBe(120);
    await writeFile(join(place.path, 'old-checkpoint'), checkpoint);
    const after = await runJson<VerifyReport>([
      'verify',
      '--data',
      other,
      '--checkpoint',
      join(place.path, 'old-checkpoint'),
    ]);
    expect(after).toMatchObject({ ok: true, faults: [] });
    expect(after.size).toBeGreaterThanOrEqual(backup.records);
    expect(before.ok).toBe(true);

    // Over an archive nothing is restored, and a damaged backup is named.
    expect((await runCli(['restore', backup.path, '--data', other, '--kit', kit])).code).toBe(1);
    const database = join(backup.path, 'content', 'archive.db');
    const bytes = await readFile(database);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
    await writeFile(database, bytes);
    const damaged = await runCli(['restore', backup.path, '--data', join(place.path, 'third'), '--kit', kit]);
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toContain('content/archive.db');
  });

  it(
    'an old copy put in the place of the data is found, because the signer remembers',
    { timeout: 60_000 },
    async () => {
      const data = join(place.path, 'other', 'data');
      const server = await serve(data);
      const [archive] = await readdir(join(data, 'archives'));
      await server.stop();
      const head = join(`${data}.signer`, `${archive ?? ''}.head.json`);
      const remembered = JSON.parse(await readFile(head, 'utf8')) as { size: number };
      await writeFile(head, JSON.stringify({ ...remembered, size: remembered.size + 1000 }));
      const { code, stdout } = await runCli(['verify', '--data', data, '--json']);
      expect(code).toBe(1);
      expect((JSON.parse(stdout) as VerifyReport).faults.map((fault) => fault.code)).toContain('rolled-back');
      await writeFile(head, JSON.stringify(remembered));
    },
  );
});

describe('the keys', () => {
  it('are rotated, and what was sealed before still opens', { timeout: 60_000 }, async () => {
    const data = join(place.path, 'other', 'data');
    const rotated = await runJson<{ recoveryKit: string }>(['key', 'rotate-root', '--data', data]);
    expect(rotated.recoveryKit).toContain('CARTULARY');
    expect(await runJson(['key', 'rotate-archive', '--data', data])).toEqual({ version: 2 });
    const server = await serve(data);
    expect((await runCli(['key', 'rotate-archive', '--data', data])).code).toBe(1);
    await server.stop();
    expect(await runJson<VerifyReport>(['verify', '--data', data])).toMatchObject({ ok: true });
    expect((await runJson<MessagePage>(['search', 'parcel', '--data', data, '--limit', '1'])).total).toBe(120);
    await rm(join(place.path, 'backups'), { recursive: true, force: true });
  });
});
