/** A real S3 server for tests: the bucket that `CARTULARY_TEST_S3` names, or a server of its own where the programs are (test/services/ceph.sh). */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';

import { credentialsOf, parseBlobUrl, parseCredentials } from '../../src/store/blob-location.ts';
import type { S3Credentials, S3Location, S3Place } from '../../src/store/blob-location.ts';
import { freePort } from './cli.ts';

const CEPH = join(import.meta.dirname, '../services/ceph.sh');
const run = promisify(execFile);
const CEPH_CREDENTIALS = { accessKeyId: 'TESTKEY00000000000001', secretAccessKey: 'test-secret-of-no-value' };

/** Kinds of buckets: one with Object Lock, one with versions, one with neither. */
export type BucketKind = 'lock' | 'versions' | 'plain';

export type TestS3 = {
  /** A place of its own in a bucket of this kind; where the server is not ours, in the one bucket that was given. */
  newPlace(kind: BucketKind, hasOwnBucket?: boolean): Promise<S3Location>;
  /** A client that goes around the store. */
  client: S3Client;
  /** The same as a setting, without credentials. */
  urlOf(place: S3Place): string;
  credentials: S3Credentials;
  /** Kills the server and starts it again; undefined where it is not ours. */
  kill: (() => Promise<void>) | undefined;
  revive: (() => Promise<void>) | undefined;
  stop(): Promise<void>;
};

function hasPrograms(): boolean {
  try {
    execFileSync(CEPH, ['have'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Is the bucket somebody's, so that only what stays below a prefix of it is tried? */
export const isGivenS3 = process.env['CARTULARY_TEST_S3'] !== undefined;

/** Why there is none; undefined where there is. */
export function whyNoS3(): string | undefined {
  return !isGivenS3 && !hasPrograms()
    ? 'Ceph (ceph-mon, ceph-osd, radosgw) is not installed, and CARTULARY_TEST_S3 is not set'
    : undefined;
}

/** Starts it. Ends with this process at the latest. */
export async function startS3(): Promise<TestS3> {
  const directory = await mkdtemp(join(tmpdir(), 'cartulary-s3-'));
  const given = process.env['CARTULARY_TEST_S3'];
  return given === undefined ? startCeph(directory) : useGiven(given, directory);
}

/** As a setting. */
function urlOf({ bucket, prefix, region, endpoint }: S3Place): string {
  const url = new URL(`s3://${bucket}/${prefix}`);
  url.searchParams.set('region', region);
  if (endpoint !== undefined) url.searchParams.set('endpoint', endpoint);
  return url.href;
}

function clientOf(place: Omit<S3Place, 'bucket' | 'prefix'>, credentials: S3Credentials): S3Client {
  return new S3Client({
    region: place.region,
    credentials,
    endpoint: place.endpoint ?? `https://s3.${place.region}.amazonaws.com`,
    forcePathStyle: place.endpoint !== undefined,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** A bucket of somebody else's: with Object Lock, and its places are below a prefix that no other run has. */
function useGiven(url: string, directory: string): TestS3 {
  const { place, credentialsFile } = parseBlobUrl(url);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  const credentials =
    credentialsFile === undefined
      ? credentialsOf(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)
      : parseCredentials(readFileSync(credentialsFile, 'utf8'));
  const client = clientOf(place, credentials);
  return {
    client,
    credentials,
    urlOf,
    newPlace: async () => locationIn(place, `${place.prefix}${newName()}/`, credentials, directory),
    kill: undefined,
    revive: undefined,
    async stop() {
      client.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const newName = (): string => `test-${randomBytes(6).toString('hex')}`;

function locationIn(place: S3Place, prefix: string, credentials: S3Credentials, directory: string): S3Location {
  return { ...place, prefix, engine: 's3', credentials, spool: join(directory, newName()) };
}

async function startCeph(directory: string): Promise<TestS3> {
  const data = join(directory, 'ceph');
  const [port, ...own] = await Promise.all([freePort(), freePort(), freePort()]);
  await run(CEPH, ['up', data, String(port), ...own.map(String), String(process.pid)]);
  const place = { region: 'us-east-1', endpoint: `http://127.0.0.1:${port}` };
  const client = clientOf(place, CEPH_CREDENTIALS);
  const buckets = new Map<BucketKind, string>();
  const bucketOf = async (kind: BucketKind, hasOwn: boolean): Promise<string> => {
    const known = hasOwn ? undefined : buckets.get(kind);
    if (known !== undefined) return known;
    const bucket = newName();
    await makeBucket(client, bucket, kind);
    if (!hasOwn) buckets.set(kind, bucket);
    return bucket;
  };
  return {
    client,
    credentials: CEPH_CREDENTIALS,
    urlOf,
    newPlace: async (kind, hasOwnBucket = false) =>
      locationIn(
        { ...place, bucket: await bucketOf(kind, hasOwnBucket), prefix: '' },
        `${newName()}/`,
        CEPH_CREDENTIALS,
        directory,
      ),
    kill: async () => void (await run(CEPH, ['kill-gateway', data])),
    revive: async () => void (await run(CEPH, ['gateway', data])),
    async stop() {
      client.destroy();
      await run(CEPH, ['down', data]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function makeBucket(client: S3Client, Bucket: string, kind: BucketKind): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: kind === 'lock' }));
  if (kind === 'versions')
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
}
