/** An archive whose media are in S3, as its operator has it, on a real server: kept, found again, checked, destroyed, backed up, restored, moved, and the server going away. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { GetObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Check } from '../../src/api/operations/doctor.ts';
import { openHouse } from '../../src/archive/house.ts';
import type { SentBackup } from '../../src/archive/send-backup.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { MessagePage } from '../../src/archive/views.ts';
import { parseId } from '../../src/model/ids.ts';
import type { BlobSetting } from '../../src/store/blob-location.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { whyNoServer } from '../support/postgres.ts';
import { isGivenS3, startS3, whyNoS3 } from '../support/s3.ts';
import type { TestS3 } from '../support/s3.ts';
import { describeSharing } from '../support/sharing.ts';

const missing = whyNoS3();
const place = await makePlace('e2e-s3');
const LOCAL = { kind: 'local', user: 'test' } as const;
const PICTURE = 'a picture that nobody may see ';
let s3: TestS3;
let blobs: BlobSetting;
let env: Record<string, string>;
const running: Served[] = [];

const envOf = (setting: BlobSetting): Record<string, string> => ({
  CARTULARY_BLOBS: s3.urlOf(setting),
  AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
});

beforeAll(async () => {
  if (missing !== undefined) return;
  s3 = await startS3();
  blobs = await s3.newPlace('lock');
  env = envOf(blobs);
}, 120_000);
afterAll(async () => {
  for (const server of running) await server.kill();
  await s3?.stop();
  await place.remove();
});

const start = async (data = place.data): Promise<Served> => {
  const server = await serve(data, { env });
  running.push(server);
  return server;
};

/** Imports a message with a medium for each number. */
async function importMessages(data: string, from: number, to: number, withEnv = env): Promise<void> {
  const lines = Array.from({ length: to - from }, (_none, at) =>
    JSON.stringify({
      type: 'message.created',
      timestamp: '2026-11-22T10:00:00Z',
      data: {
        id: `m${from + at}`,
        channel: 'chat',
        direction: 'inbound',
        from: { address: 'customer' },
        to: [{ address: 'shop' }],
        sentAt: '2026-11-15T10:00:00Z',
        text: `parcel number ${from + at}`,
        media: [
          { base64: Buffer.from(`${PICTURE}${from + at}`.repeat(40)).toString('base64'), mimeType: 'text/plain' },
        ],
      },
    }),
  );
  const path = join(place.path, `lines-${from}.jsonl`);
  await writeFile(path, lines.join('\n'));
  await runJson(['import', 'jsonl', path, '--data', data], withEnv);
}

const verify = (data: string, withEnv = env): Promise<VerifyReport> =>
  runJson<VerifyReport>(['verify', '--data', data], withEnv);
const untilBlobs = (data: string, count: number): Promise<void> =>
  until(`${count} media are stored`, async () => (await verify(data)).blobs === count, 30);
const mediaCheck = async (withEnv = env): Promise<Check | undefined> => {
  const { stdout } = await runCli(['doctor', '--json', '--data', place.data], withEnv);
  return (JSON.parse(stdout) as { checks: Check[] }).checks.find(({ name }) => name === 'media');
};
/** Versions and marks of deletion of blobs below a place. */
async function versionsIn({ bucket, prefix }: BlobSetting): Promise<string[]> {
  const page = await s3.client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix }));
  return [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]
    .map(({ Key = '' }) => Key)
    .filter((key) => key.includes('/blobs/'));
}
async function filesIn(data: string): Promise<string[]> {
  const names = await readdir(join(data, 'archives'), { recursive: true });
  return names.filter((name) => /[0-9a-f]{64}$/.test(name));
}

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'an archive with media in S3' : `skipped, an archive with media in S3: ${missing}`,
  () => {
    const kit = join(place.path, 'kit.txt');

    it('keeps media there, sealed, and nowhere else', { timeout: 120_000 }, async () => {
      await runJson(['init', '--data', place.data, '--name', 'Large', '--kit', kit], env);
      await start();
      await importMessages(place.data, 0, 3);
      await untilBlobs(place.data, 3);
      expect(await verify(place.data)).toMatchObject({ ok: true, faults: [], blobs: 3 });
      expect(await filesIn(place.data)).toEqual([]);
      const keys = await versionsIn(blobs);
      expect(keys).toHaveLength(3);
      for (const Key of keys) {
        const { Body } = await s3.client.send(new GetObjectCommand({ Bucket: blobs.bucket, Key }));
        const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
        expect(bytes.length).toBeGreaterThan(1000);
        expect(bytes.includes(PICTURE)).toBe(false);
      }
    });

    it('shows what the bucket does', { timeout: 60_000 }, async () => {
      expect(await mediaCheck()).toMatchObject({
        state: 'ok',
        text: expect.stringContaining('versions on, Object Lock honoured') as string,
      });
    });

    it('puts on record what the bucket does, once', { timeout: 60_000 }, async () => {
      await running[0]?.stop();
      const sizes: number[] = [];
      for (let count = 0; count < 2; count += 1) {
        const house = await openHouse({ directory: place.data, blobs });
        expect(await house.archive.findBlobReport()).toMatchObject({ bucket: blobs.bucket, objectLock: 'honoured' });
        sizes.push(await house.archive.size());
        await house.close();
      }
      expect(sizes[1]).toBe(sizes[0]);
    });

    it('sends backups to a bucket, tries them there, and is restored from it', { timeout: 120_000 }, async () => {
      const to = s3.urlOf(await s3.newPlace('versions'));
      const sent = await runJson<SentBackup>(['backup', '--data', place.data], { ...env, CARTULARY_BACKUP: to });
      expect(sent).toMatchObject({ ok: true, faults: [], check: { blobs: 3 } });
      const other = join(place.path, 'from-bucket');
      const { CARTULARY_BLOBS: _blobs, ...credentials } = env;
      const restore = ['restore', to, '--kit', kit, '--data', other];
      expect(await runJson(restore, credentials)).toMatchObject({ records: sent.records });
      expect(await verify(other, credentials)).toMatchObject({ ok: true, faults: [], blobs: 3 });
    });

    it('removes every version of a medium whose message is destroyed', { timeout: 60_000 }, async () => {
      const house = await openHouse({ directory: place.data, blobs });
      const { items } = await house.archive.search(LOCAL, { q: '"parcel number 1"', limit: 10 });
      expect(items).toHaveLength(1);
      for (const { id } of items)
        await house.archive.destroyMessage(LOCAL, parseId('message', id), 'card-security-code');
      await house.close();
      expect(await versionsIn(blobs)).toHaveLength(2);
      expect(await verify(place.data)).toMatchObject({ ok: true, faults: [], blobs: 2 });
    });

    it('refuses to open without its bucket, and names no secret', { timeout: 60_000 }, async () => {
      const without = await runCli(['search', 'parcel', '--data', place.data]);
      expect([without.code === 0, without.stderr]).toEqual([false, expect.stringContaining('CARTULARY_BLOBS')]);
      const wrong = await runCli(['verify', '--data', place.data], { ...env, AWS_SECRET_ACCESS_KEY: 'guessed-secret' });
      expect(wrong.code).not.toBe(0);
      expect(wrong.stderr).toMatch(/S3 server refuses/);
      expect(wrong.stderr + wrong.stdout).not.toMatch(/guessed-secret|ignature=/);
    });

    it('is backed up, and restored into another bucket or none', { timeout: 180_000 }, async () => {
      const backups = join(place.path, 'backups');
      const { path } = await runJson<{ path: string }>(['backup', backups, '--data', place.data], env);
      expect(
        (await readdir(join(path, 'content', 'blobs'), { recursive: true })).filter((name) => name.length > 60),
      ).toHaveLength(2);
      expect(await runJson(['backup', 'check', path, '--kit', kit, '--data', place.data], env)).toMatchObject({
        ok: true,
        blobs: 2,
      });
      const other = await s3.newPlace('lock');
      for (const [name, withEnv, setting] of [
        ['restored-s3', envOf(other), other],
        ['restored', {}, undefined],
      ] as const) {
        const data = join(place.path, name);
        await runJson(['restore', path, '--data', data, '--kit', kit], withEnv);
        expect(await verify(data, withEnv)).toMatchObject({ ok: true, faults: [], blobs: 2 });
        if (setting === undefined) expect(await filesIn(data)).toHaveLength(2);
        else expect(await versionsIn(setting)).toHaveLength(2);
      }
    });

    it('is moved there from its directory, and moved once', { timeout: 120_000 }, async () => {
      const data = join(place.path, 'restored');
      const target = await s3.newPlace('lock');
      const move = ['migrate', '--data', data, '--blobs', s3.urlOf(target)];
      const { CARTULARY_BLOBS: _named, ...credentials } = envOf(target);
      const before = await filesIn(data);
      await runCli(move, { ...credentials, AWS_SECRET_ACCESS_KEY: 'wrong' });
      expect(await filesIn(data)).toEqual(before);
      expect(await runJson(move, credentials)).toMatchObject({ media: { media: 2 } });
      expect(await verify(data, envOf(target))).toMatchObject({ ok: true, faults: [], blobs: 2 });
      expect(await versionsIn(target)).toHaveLength(2);
      expect((await filesIn(data)).every((name) => name.includes('blobs.moved'))).toBe(true);
      expect((await runCli(move, credentials)).stderr).toContain('in S3 already');
    });

    it.skipIf(isGivenS3)(
      'goes on while the server is away, and keeps the media when it is back',
      { timeout: 180_000 },
      async () => {
        await s3.kill?.();
        await start();
        await importMessages(place.data, 10, 12);
        await until('they are found', async () => {
          const { total } = await runJson<MessagePage>(['search', 'parcel', '--data', place.data], env);
          return total === 4;
        });
        const away = await runCli(['verify', '--data', place.data], env);
        expect([away.code === 0, away.stderr]).toEqual([false, expect.stringContaining('cannot be reached')]);
        expect(away.stderr + away.stdout).not.toMatch(/altered|missing|not the one/);
        expect(await mediaCheck()).toMatchObject({ state: 'failed' });
        await s3.revive?.();
        await untilBlobs(place.data, 4);
        expect(await verify(place.data)).toMatchObject({ ok: true, faults: [] });
      },
    );
  },
);

describeSharing(() => s3, missing ?? whyNoServer());
