/** Files by name in a bucket (`ObjectPlace`): what backups are sent to. S3 gives an object its name when all of it is there, so that an upload that was cut off is none. */
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { ListObjectsV2Command } from '@aws-sdk/client-s3';

import { hashFile } from '../../vault/hash-file.ts';
import type { BlobSetting } from '../blob-location.ts';
import { assertObjectName } from '../objects.ts';
import type { ObjectPlace } from '../objects.ts';
import { openConnection, S3_LIMITS } from './connection.ts';
import type { S3Limits } from './connection.ts';
import { readObject } from './read-object.ts';
import { sweepUploads, writeObject } from './upload.ts';
import { removeAllVersions } from './versions.ts';

/** S3 takes 10,000 parts; with some to spare. */
const PARTS = 9000;

/** Opens a place in a bucket; nothing is sent yet. */
export function openS3Place(setting: BlobSetting, limits: S3Limits = S3_LIMITS): ObjectPlace {
  // Nothing waits here: what is sent is a file already.
  const location = { ...setting, engine: 's3' as const, spool: '' };
  const s3 = openConnection(location, limits);
  const keyOf = (name: string): string => {
    assertObjectName(name);
    return setting.prefix + name;
  };
  return {
    async put(name, path) {
      const key = keyOf(name);
      const sha256 = Buffer.from(await hashFile(path), 'hex');
      const file = await open(path, 'r');
      try {
        const { size: bytes } = await file.stat();
        const partBytes = Math.max(limits.partBytes, Math.ceil(bytes / PARTS));
        await writeObject({ ...s3, limits: { ...limits, partBytes } }, { key, file, bytes, sha256 });
      } finally {
        await file.close();
      }
    },
    async get(name, path) {
      await pipeline(readObject(s3, { key: keyOf(name) }), createWriteStream(path, { mode: 0o600 }));
    },
    async *list(prefix) {
      let ContinuationToken: string | undefined;
      do {
        const page = await s3.call('list the files of backups', (client, options) =>
          client.send(
            new ListObjectsV2Command({
              Bucket: s3.bucket,
              Prefix: setting.prefix + prefix,
              ContinuationToken,
              MaxKeys: limits.listMax,
            }),
            options,
          ),
        );
        for (const { Key = '', Size = 0 } of page.Contents ?? [])
          yield { name: Key.slice(setting.prefix.length), bytes: Size };
        ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },
    // Of other nodes there may be younger ones, so that only those of yesterday go.
    sweep: (prefix) => sweepUploads(s3, setting.prefix + prefix),
    remove: (name) => removeAllVersions(s3, keyOf(name)),
  };
}
