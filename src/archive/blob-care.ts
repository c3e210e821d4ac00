/**
 * What the bucket does in which an archive keeps its media: tried when the archive is opened, put on record the first time and whenever it does otherwise. Whoever looks at
 * the log later sees under which promises of the server each medium was kept.
 */
import { isDeepStrictEqual } from 'node:util';

import { CartularyError } from '../model/errors.ts';
import { probeBlobs } from '../store/blob-engine.ts';
import type { S3Probe } from '../store/blob-engine.ts';
import { openSetting, sealSetting } from '../vault/secrets.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import { systemDraft } from './system-draft.ts';

const SETTING = 'blobs/s3';

/** Where the media are, and what the server does. */
export type BlobReport = S3Probe & {
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly endpoint?: string;
};

type Parts = Pick<ArchiveParts, 'blobPlace' | 'id' | 'now' | 'random' | 'reader' | 'recorder' | 'sealer'>;

/** What is on record of the bucket; undefined where nothing is. */
export async function findBlobReport(parts: Pick<Parts, 'reader' | 'sealer'>): Promise<BlobReport | undefined> {
  const sealed = await parts.reader.readSetting(SETTING);
  if (sealed === undefined) return undefined;
  return JSON.parse(Buffer.from(openSetting(parts.sealer, SETTING, sealed)).toString('utf8')) as BlobReport;
}

/**
 * Tries the bucket and puts on record what it does. A server that is away is tried at the next start, where it was tried once: capture does not wait for it.
 * @returns can the media be reached?
 * @throws CartularyError `setting` where the bucket is not there or may not be used, `overloaded` where the server is away and was never tried
 */
export async function recordBlobs(parts: Parts): Promise<boolean> {
  const { blobPlace } = parts;
  if (blobPlace.engine !== 's3') return true;
  const known = await findBlobReport(parts);
  let found: S3Probe;
  try {
    found = await probeBlobs(blobPlace, parts.now(), known === undefined);
  } catch (cause) {
    if (known !== undefined && cause instanceof CartularyError && cause.code === 'overloaded') return false;
    throw cause;
  }
  const { bucket, prefix, region, endpoint } = blobPlace;
  const report: BlobReport = { bucket, prefix, region, ...(endpoint === undefined ? {} : { endpoint }), ...found };
  if (isDeepStrictEqual(known, report)) return true;
  const value = sealSetting(parts.sealer, SETTING, Buffer.from(JSON.stringify(report), 'utf8'), parts.random);
  const draft = systemDraft(
    parts,
    SYSTEM_ACTOR,
    { kind: 'settings.changed', name: SETTING, value: report },
    { settings: [{ name: SETTING, value }] },
  );
  const [outcome] = await parts.recorder.record([draft]);
  if (outcome?.status !== 'stored')
    throw new CartularyError('internal', 'what the bucket does could not be put on record');
  return true;
}
