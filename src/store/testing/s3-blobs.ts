/** The contract of blobs.ts over S3, in each kind of bucket. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

import { afterAll, beforeAll, beforeEach } from 'vitest';

import { startFaultProxy } from '../../../test/support/fault-proxy.ts';
import type { FaultProxy } from '../../../test/support/fault-proxy.ts';
import type { BucketKind, TestS3 } from '../../../test/support/s3.ts';
import type { S3Location } from '../blob-location.ts';
import { openS3Blobs } from '../s3/blobs.ts';
import { S3_LIMITS } from '../s3/connection.ts';
import type { S3Limits } from '../s3/connection.ts';
import { describeBlobs } from './blob-conformance.ts';
import type { BlobPlace } from './blob-conformance.ts';

/** Small enough that everything that is done in pieces is done in several. */
export const SMALL: S3Limits = {
  ...S3_LIMITS,
  partBytes: 5 * 1024 * 1024,
  listMax: 7,
  abandonedMs: 0,
  sendBytesPerSecondMin: 1e9,
};
/** In three parts. */
export const LARGE_BYTES = 11_000_000;

/** Runs the suite in a bucket of this kind. */
export function describeBlobsInS3(getServer: () => TestS3, kind: BucketKind): void {
  describeBlobs({
    name: `S3, bucket of kind ${kind}`,
    largeBytes: LARGE_BYTES,
    manyBlobs: 20,
    newPlace: () => newS3Place(getServer(), kind),
  });
}

async function newS3Place(server: TestS3, kind: BucketKind): Promise<BlobPlace> {
  const location = await server.newPlace(kind);
  const { client } = server;
  const { bucket: Bucket, prefix, spool } = location;
  const put = async (Key: string, Body: Uint8Array): Promise<void> => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body }));
  };
  return {
    blobs: openS3Blobs(location, SMALL),
    change: (name, bytes) => put(`${prefix}blobs/${name}`, bytes),
    async addStrangers(name) {
      for (const key of ['blobs/notes.txt', `blobs/${name}.old`, `blobs/zz/${name}`, name])
        await put(prefix + key, Buffer.from('x'));
    },
    listUnfinished: () => listUnfinished(server, location),
    async leaveUnfinished() {
      await mkdir(spool, { recursive: true });
      await writeFile(join(spool, 'half'), 'begu');
      const Key = `${prefix}blobs/${'ab'.repeat(32)}`;
      for (let count = 0; count < 9; count += 1) {
        const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
        const Body = Buffer.from('begun');
        await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body }));
      }
    },
  };
}

/** Where a test works: a new place in a bucket with Object Lock, and a proxy before its server that does what it is told. */
export type ProxiedPlace = { location: S3Location; proxy: FaultProxy };

/** Makes one anew before each test of the suite that calls. @returns what is filled in by then */
export function useProxiedPlace(getServer: () => TestS3): ProxiedPlace {
  const at = {} as ProxiedPlace;
  beforeAll(async () => {
    const { endpoint } = await getServer().newPlace('lock');
    at.proxy = await startFaultProxy(endpoint ?? '');
  });
  afterAll(() => at.proxy.stop());
  beforeEach(async () => {
    at.proxy.clear();
    at.location = await getServer().newPlace('lock');
  });
  return at;
}

/** Files that wait on this machine, and uploads that were begun. */
export async function listUnfinished({ client }: TestS3, { bucket, prefix, spool }: S3Location): Promise<string[]> {
  const files = await readdir(spool).catch((): string[] => []);
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }));
  return [...files, ...Uploads.map(({ Key }) => Key ?? '')];
}
