/** Object Lock and versions, on the real server; where the bucket is not ours, what would change it is left out. */
import { randomBytes } from 'node:crypto';

import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';

import { startFaultProxy } from '../../../test/support/fault-proxy.ts';
import type { Seen } from '../../../test/support/fault-proxy.ts';
import { freePort } from '../../../test/support/cli.ts';
import { isGivenS3 } from '../../../test/support/s3.ts';
import type { TestS3 } from '../../../test/support/s3.ts';
import type { S3Location } from '../blob-location.ts';
import { openS3Blobs } from '../s3/blobs.ts';
import type { S3Blobs } from '../s3/blobs.ts';
import { openConnection } from '../s3/connection.ts';
import { lockVersion } from '../s3/object-lock.ts';
import { LOCK_CHECKS, probeS3 } from '../s3/probe.ts';
import type { LockCheck } from '../s3/probe.ts';
import { inPieces, readWhole, sha256Of } from './blob-conformance.ts';
import { LARGE_BYTES, SMALL, useProxiedPlace } from './s3-blobs.ts';

const LIMITS = { ...SMALL, pauseMsMin: 1, pauseMsMax: 4 };
/** So that nothing of a test is there for ever. */
const soon = (): number => Date.now() + 3_600_000;

type Version = { readonly Key: string; readonly VersionId: string; readonly isMark: boolean };

async function versionsOf({ client }: TestS3, { bucket, prefix }: S3Location): Promise<Version[]> {
  const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix }));
  return [
    ...(page.Versions ?? []).map((version) => ({ ...version, isMark: false })),
    ...(page.DeleteMarkers ?? []).map((version) => ({ ...version, isMark: true })),
  ].map(({ Key = '', VersionId = '', isMark }) => ({ Key, VersionId, isMark }));
}

/** Runs the tests. */
export function describeS3Lock(getServer: () => TestS3): void {
  describe('a bucket with versions', () => {
    it.each(['lock', 'versions', 'plain'] as const)('a blob that is removed leaves no version: %s', async (kind) => {
      const location = await getServer().newPlace(kind);
      const blobs = openS3Blobs(location, LIMITS);
      const { client } = getServer();
      // Written over: `If-None-Match` would not keep a server from that.
      const { name } = await blobs.put(inPieces('x'));
      await blobs.put(inPieces('x'));
      const object = { Bucket: location.bucket, Key: `${location.prefix}blobs/${name}` };
      const beside = `${object.Key}0`;
      await client.send(new PutObjectCommand({ Bucket: location.bucket, Key: beside, Body: Buffer.from('beside') }));
      for (let count = 0; count < 5; count += 1) {
        // Somebody's tool, which hides it.
        await client.send(new DeleteObjectCommand(object));
        expect([await blobs.has(name), await Array.fromAsync(blobs.list())]).toEqual([false, []]);
        await blobs.put(inPieces('x'));
      }
      const before = (await versionsOf(getServer(), location)).length;
      if (!isGivenS3) expect(before).toBe(kind === 'plain' ? 2 : 13);
      await blobs.remove(name);
      expect((await versionsOf(getServer(), location)).map(({ Key }) => Key)).toEqual([beside]);
    });
  });

  describe('Object Lock', () => {
    const at = useProxiedPlace(getServer);
    let blobs: S3Blobs;
    beforeEach(() => {
      blobs = openS3Blobs(at.location, LIMITS);
    });

    it.each([100, LARGE_BYTES])('a locked blob of %d bytes is one that the server refuses to remove', async (size) => {
      const bytes = randomBytes(size);
      const untilMs = soon();
      const named: string[] = [];
      const put = await blobs.putLocked(inPieces(bytes), untilMs, async (name) => void named.push(name));
      expect([put.name, put.bytes, named]).toEqual([sha256Of(bytes), size, [put.name]]);
      expect(put.lockedUntilMs - untilMs).toBeGreaterThanOrEqual(0);
      if (!isGivenS3) expect(put.lockedUntilMs - untilMs).toBeLessThan(1000);
      await expect(blobs.remove(put.name)).rejects.toMatchObject({ code: 'conflict' });
      const [version, ...others] = await versionsOf(getServer(), at.location);
      expect(others).toEqual([]);
      const { client } = getServer();
      const object = { Bucket: at.location.bucket, Key: version?.Key, VersionId: version?.VersionId };
      for (const BypassGovernanceRetention of [false, true])
        await expect(
          client.send(new DeleteObjectCommand({ ...object, BypassGovernanceRetention })),
        ).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
      expect((await client.send(new GetObjectRetentionCommand(object))).Retention?.Mode).toBe('COMPLIANCE');
      expect((await readWhole(blobs, put.name)).equals(bytes)).toBe(true);
    });

    it('a blob that was locked can be locked for longer, and never for less', async () => {
      const first = await blobs.putLocked(inPieces('x'), soon());
      const [version] = await versionsOf(getServer(), at.location);
      const s3 = openConnection(at.location, LIMITS);
      const object = { key: version?.Key ?? '', versionId: version?.VersionId ?? '' };
      expect(await lockVersion(s3, object, first.lockedUntilMs - 60_000)).toBe(first.lockedUntilMs);
      expect(await lockVersion(s3, object, first.lockedUntilMs + 60_000)).toBe(first.lockedUntilMs + 60_000);
    });

    it('a blob under a legal hold stays until the hold is taken away', async () => {
      const { name } = await blobs.put(inPieces('held'));
      await blobs.put(inPieces('held'));
      await blobs.hold(name, true);
      await blobs.hold(name, true);
      await expect(blobs.remove(name)).rejects.toMatchObject({ code: 'conflict' });
      await blobs.hold(name, false);
      await blobs.remove(name);
      expect(await versionsOf(getServer(), at.location)).toEqual([]);
      await expect(blobs.hold(name, true)).rejects.toMatchObject({ code: 'not-found' });
    });

    it.skipIf(isGivenS3).each(['versions', 'plain'] as const)(
      'nothing is kept as locked in a bucket without locks: %s',
      async (kind) => {
        const place = await getServer().newPlace(kind);
        const store = openS3Blobs(place, LIMITS);
        await expect(store.putLocked(inPieces('x'), soon())).rejects.toMatchObject({ code: 'setting' });
        expect(await versionsOf(getServer(), place)).toEqual([]);
        const { name } = await store.put(inPieces('x'));
        await expect(store.hold(name, true)).rejects.toMatchObject({ code: 'setting' });
      },
    );

    it('a server that says it locks and does not is noticed, and nothing is kept', async () => {
      const liar = openS3Blobs({ ...at.location, endpoint: at.proxy.url }, LIMITS);
      at.proxy.plan(
        { kind: 'answer', status: 200 },
        { match: ({ method, path }) => method === 'PUT' && path.includes('?retention') },
      );
      await expect(liar.putLocked(inPieces('x'), soon())).rejects.toMatchObject({ code: 'setting' });
      expect(await versionsOf(getServer(), at.location)).toEqual([]);
      const { name } = await blobs.put(inPieces('y'));
      at.proxy.plan(
        { kind: 'answer', status: 200 },
        { match: ({ method, path }) => method === 'PUT' && path.includes('legal-hold') },
      );
      await expect(liar.hold(name, true)).rejects.toMatchObject({ code: 'setting' });
    });
  });

  describe('the probe of a bucket', () => {
    it('finds out what it does', async () => {
      const found = [];
      for (const kind of ['lock', 'versions', 'plain'] as const)
        found.push(await probeS3(await getServer().newPlace(kind), Date.now(), LIMITS));
      const [lock, versions, plain] = found;
      expect(lock).toMatchObject({ versioning: 'on', objectLock: 'honoured', failed: [] });
      expect(['sha256', 'md5']).toContain(lock?.checksums);
      if (isGivenS3) return;
      expect(versions).toEqual({ ...lock, objectLock: 'off' });
      expect(plain).toEqual({ ...lock, versioning: 'off', objectLock: 'off' });
    });

    it('leaves one locked object, and takes away what former ones left', async () => {
      const location = await getServer().newPlace('lock');
      const { bucket: Bucket, prefix } = location;
      const Key = `${prefix}probe/former`;
      await getServer().client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from('its day is over') }));
      for (const count of [1, 2]) {
        await probeS3(location, Date.now(), LIMITS);
        const left = await versionsOf(getServer(), location);
        expect(left.filter(({ isMark }) => !isMark)).toHaveLength(count);
        expect(left.map((version) => version.Key)).not.toContain(Key);
      }
    });

    const lies: readonly (readonly [string, Partial<Seen>, number, readonly LockCheck[]])[] = [
      [
        'that removes what is locked',
        { method: 'DELETE', path: 'versionId=' },
        204,
        ['refuses to remove', 'refuses to remove with bypass', 'keeps what is held'],
      ],
      [
        'that shortens',
        { method: 'PUT', path: '?retention' },
        200,
        ['refuses to shorten', 'refuses to shorten with bypass', 'refuses a weaker mode'],
      ],
      ['that sets no lock', { method: 'GET', path: '?retention' }, 404, LOCK_CHECKS.slice(0, 8)],
      ['that holds nothing', { method: 'PUT', path: '?legal-hold' }, 200, LOCK_CHECKS.slice(8)],
    ];
    it.each(lies)('sees through a server %s', async (_, { method, path = '' }, status, failed) => {
      const location = await getServer().newPlace('lock');
      const proxy = await startFaultProxy(location.endpoint ?? '');
      const match = (seen: Seen): boolean => seen.method === method && seen.path.includes(path);
      proxy.plan({ kind: 'answer', status }, { times: Infinity, match });
      const found = await probeS3({ ...location, endpoint: proxy.url }, Date.now(), LIMITS);
      await proxy.stop();
      expect(found).toMatchObject({ objectLock: 'not honoured', failed });
    });

    it('says that the bucket is not there, or that the server is away', async () => {
      const location = await getServer().newPlace('lock');
      const missing = { ...location, bucket: 'no-such-bucket-of-ours' };
      await expect(probeS3(missing, Date.now(), LIMITS)).rejects.toMatchObject({ code: 'setting' });
      const away = { ...location, endpoint: `http://127.0.0.1:${await freePort()}` };
      await expect(probeS3(away, Date.now(), LIMITS)).rejects.toMatchObject({ code: 'overloaded' });
    });

    it.skipIf(isGivenS3)('says how long a bucket locks whatever it is given', async () => {
      const location = await getServer().newPlace('lock', true);
      const rule = (Days: number | undefined): PutObjectLockConfigurationCommand =>
        new PutObjectLockConfigurationCommand({
          Bucket: location.bucket,
          ObjectLockConfiguration: {
            ObjectLockEnabled: 'Enabled',
            ...(Days === undefined ? {} : { Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days } } }),
          },
        });
      await getServer().client.send(rule(3));
      expect(await probeS3(location, Date.now(), LIMITS)).toMatchObject({
        objectLock: 'honoured',
        defaultRetentionDays: 3,
      });
      const blobs = openS3Blobs(location, LIMITS);
      const untilMs = soon();
      expect((await blobs.putLocked(inPieces('x'), untilMs)).lockedUntilMs).toBeGreaterThan(untilMs + 86_400_000);
    });
  });
}
