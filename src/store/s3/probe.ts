/**
 * What a bucket does, found out by trying. "Object Lock: enabled" is a word; whether a server keeps it is seen when it is asked to remove a locked object. The object that is
 * tried is one of the probe's own, a few bytes that stay for a day; the next probe removes it.
 */
import { createHash, randomBytes } from 'node:crypto';

import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import type { ObjectLockRetentionMode, S3Client } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import type { S3Location } from '../blob-location.ts';
import { openConnection, S3_LIMITS } from './connection.ts';
import type { S3Connection, S3Limits, SendOptions } from './connection.ts';
import { holdVersion, isRefusal, readRetention } from './object-lock.ts';
import { listVersions, removeVersion } from './versions.ts';
import type { ObjectVersion } from './versions.ts';

/** What a lock must do. */
export const LOCK_CHECKS = [
  'sets the lock it is told',
  'refuses to remove',
  'refuses to remove with bypass',
  'refuses to shorten',
  'refuses to shorten with bypass',
  'refuses a weaker mode',
  'keeps a version that is written over',
  'keeps a version that is hidden',
  'keeps what is held',
  'lets go what is held no more',
] as const;
export type LockCheck = (typeof LOCK_CHECKS)[number];

/** What a bucket does. Plain values: it becomes a record. */
export type S3Probe = {
  readonly versioning: 'on' | 'suspended' | 'off';
  readonly objectLock: 'honoured' | 'not honoured' | 'off';
  /** What it did not do of `LOCK_CHECKS`. */
  readonly failed: readonly LockCheck[];
  /** Days for which the bucket locks whatever it is given, whether it is to be locked or not. */
  readonly defaultRetentionDays?: number;
  /** What it compares with the bytes that it is sent. What it does not compare is read back by the store. */
  readonly checksums: 'sha256' | 'md5' | 'none';
};

const DAY_MS = 86_400_000;
const FOLDER = 'probe/';
/** Objects of former probes that are looked at. */
const FORMER_MAX = 200;

/**
 * Tries what a bucket does.
 * @throws CartularyError `setting` where the bucket is not there or may not be looked at, `overloaded` where the server is away
 */
export async function probeS3(location: S3Location, nowMs: number, limits: S3Limits = S3_LIMITS): Promise<S3Probe> {
  const s3 = openConnection(location, limits);
  const folder = location.prefix + FOLDER;
  const { Status } = await s3.call('look at the bucket', (client, options) =>
    client.send(new GetBucketVersioningCommand({ Bucket: s3.bucket }), options),
  );
  await removeFormer(s3, folder);
  const lock = await readLockRule(s3);
  const key = folder + randomBytes(16).toString('hex');
  const checksums = await probeChecksums(openConnection(location, { ...limits, attemptsMax: 1 }), key);
  const failed = lock === undefined ? [] : await probeLock(s3, key, new Date(toSecond(nowMs + DAY_MS)));
  return {
    versioning: Status === 'Enabled' ? 'on' : Status === 'Suspended' ? 'suspended' : 'off',
    objectLock: lock === undefined ? 'off' : failed.length === 0 ? 'honoured' : 'not honoured',
    failed,
    ...(lock?.days === undefined ? {} : { defaultRetentionDays: lock.days }),
    checksums,
  };
}

const toSecond = (ms: number): number => Math.ceil(ms / 1000) * 1000;

async function removeFormer(s3: S3Connection, folder: string): Promise<void> {
  let count = 0;
  for await (const version of listVersions(s3, folder)) {
    count += 1;
    if (count > FORMER_MAX) return;
    await removeVersion(s3, version).catch((cause: unknown) => {
      // Locked until its day is over.
      if (!(cause instanceof CartularyError && (cause.code === 'conflict' || isRefusal(cause)))) throw cause;
    });
  }
}

/** @returns undefined where the bucket has no Object Lock */
async function readLockRule(s3: S3Connection): Promise<{ readonly days: number | undefined } | undefined> {
  try {
    const { ObjectLockConfiguration } = await s3.call('look at the lock of the bucket', (client, options) =>
      client.send(new GetObjectLockConfigurationCommand({ Bucket: s3.bucket }), options),
    );
    if (ObjectLockConfiguration?.ObjectLockEnabled !== 'Enabled') return undefined;
    const { Days, Years } = ObjectLockConfiguration.Rule?.DefaultRetention ?? {};
    return { days: Days ?? (Years === undefined ? undefined : Years * 365) };
  } catch (cause) {
    const status = cause instanceof CartularyError ? cause.detail['status'] : undefined;
    // A right that is missing is no answer; everything else of this kind says that there is none.
    if (status === 501 || (isRefusal(cause) && status !== 403)) return undefined;
    throw cause;
  }
}

type Act = (client: S3Client, options: SendOptions) => Promise<unknown>;

async function refuses(s3: S3Connection, act: Act): Promise<boolean> {
  try {
    await s3.call('try the bucket', act);
    return false;
  } catch (cause) {
    if (isRefusal(cause)) return true;
    throw cause;
  }
}

/** Sends other bytes than the checksum is of. */
async function probeChecksums(s3: S3Connection, key: string): Promise<S3Probe['checksums']> {
  const sum = (algorithm: string): string => createHash(algorithm).update('other bytes').digest('base64');
  const put = (checksum: { ChecksumSHA256: string } | { ContentMD5: string }): Act => {
    return (client, options) =>
      client.send(
        new PutObjectCommand({ Bucket: s3.bucket, Key: `${key}-sum`, Body: Buffer.from('bytes'), ...checksum }),
        options,
      );
  };
  const looksAtSha256 = await refuses(s3, put({ ChecksumSHA256: sum('sha256') }));
  const looksAtMd5 = looksAtSha256 || (await refuses(s3, put({ ContentMD5: sum('md5') })));
  for await (const version of listVersions(s3, `${key}-sum`)) await removeIfFree(s3, version);
  return looksAtSha256 ? 'sha256' : looksAtMd5 ? 'md5' : 'none';
}

/** A bucket may lock whatever it is given. */
async function removeIfFree(s3: S3Connection, version: ObjectVersion): Promise<void> {
  await refuses(s3, (client, options) =>
    client.send(
      new DeleteObjectCommand({ Bucket: s3.bucket, Key: version.key, VersionId: version.versionId }),
      options,
    ),
  );
}

/** Tries whatever a lock must refuse. @returns what it did not */
async function probeLock(s3: S3Connection, Key: string, until: Date): Promise<LockCheck[]> {
  const object = { Bucket: s3.bucket, Key };
  const { VersionId } = await s3.call('try a lock', (client, options) =>
    client.send(
      new PutObjectCommand({
        ...object,
        Body: Buffer.from('locked'),
        ContentMD5: createHash('md5').update('locked').digest('base64'),
        ObjectLockMode: 'COMPLIANCE',
        ObjectLockRetainUntilDate: until,
      }),
      options,
    ),
  );
  // Without versions there is nothing that a lock could be on.
  if (VersionId === undefined) return [...LOCK_CHECKS];
  const version = { key: Key, versionId: VersionId };
  const isLocked = async (): Promise<boolean> => {
    const found = await readRetention(s3, version);
    return found?.mode === 'COMPLIANCE' && found.untilMs === until.getTime();
  };
  const isThere = async (): Promise<boolean> =>
    !(await refuses(s3, (client, options) => client.send(new HeadObjectCommand({ ...object, VersionId }), options)));
  const remove =
    (bypass: boolean): Act =>
    (client, options) =>
      client.send(new DeleteObjectCommand({ ...object, VersionId, BypassGovernanceRetention: bypass }), options);
  const retain =
    (Mode: ObjectLockRetentionMode, RetainUntilDate: Date, bypass: boolean): Act =>
    (client, options) =>
      client.send(
        new PutObjectRetentionCommand({
          ...object,
          VersionId,
          Retention: { Mode, RetainUntilDate },
          BypassGovernanceRetention: bypass,
        }),
        options,
      );
  const sooner = new Date(until.getTime() - DAY_MS / 2);
  const results: [LockCheck, boolean][] = [];
  // One after another: once the version is gone, all that follows is refused for another reason, hence the look at it in each.
  const check = async (name: LockCheck, tried: boolean): Promise<void> => {
    results.push([name, tried && (await isThere()) && (await isLocked())]);
  };
  await check('sets the lock it is told', true);
  await check('refuses to remove', await refuses(s3, remove(false)));
  await check('refuses to remove with bypass', await refuses(s3, remove(true)));
  await check('refuses to shorten', await refuses(s3, retain('COMPLIANCE', sooner, false)));
  await check('refuses to shorten with bypass', await refuses(s3, retain('COMPLIANCE', sooner, true)));
  await check('refuses a weaker mode', await refuses(s3, retain('GOVERNANCE', until, true)));
  const over = await s3.call('try a lock', (client, options) =>
    client.send(new PutObjectCommand({ ...object, Body: Buffer.from('over') }), options),
  );
  await check('keeps a version that is written over', over.VersionId !== undefined && over.VersionId !== VersionId);
  await refuses(s3, (client, options) => client.send(new DeleteObjectCommand(object), options));
  await check('keeps a version that is hidden', true);
  results.push(...(await probeHold(s3, Key, over.VersionId)));
  return results.filter(([, isGood]) => !isGood).map(([name]) => name);
}

async function probeHold(
  s3: S3Connection,
  key: string,
  versionId: string | undefined,
): Promise<[LockCheck, boolean][]> {
  const version = { key, versionId: versionId ?? 'null' };
  const remove: Act = (client, options) =>
    client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: key, VersionId: version.versionId }), options);
  try {
    await holdVersion(s3, version, true);
    const keeps = await refuses(s3, remove);
    await holdVersion(s3, version, false);
    const isFree = (await readRetention(s3, version)) !== undefined || !(await refuses(s3, remove));
    return [
      ['keeps what is held', keeps],
      ['lets go what is held no more', isFree],
    ];
  } catch (cause) {
    if (!(cause instanceof CartularyError && cause.code !== 'overloaded')) throw cause;
    return [
      ['keeps what is held', false],
      ['lets go what is held no more', false],
    ];
  }
}
