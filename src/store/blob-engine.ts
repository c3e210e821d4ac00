/** The way to blobs: everything outside of `store/` opens them through this, so that a place for them is one module that passes `testing/blob-conformance.ts`, and a choice here. */
import type { BlobLocation, PlaceSetting } from './blob-location.ts';
import { openBlobDirectory } from './blobs.ts';
import { openDirectoryPlace } from './objects.ts';
import type { ObjectPlace } from './objects.ts';
import type { BlobStore } from './blobs.ts';
import type { S3Probe } from './s3/probe.ts';

export type { S3Probe } from './s3/probe.ts';

/** For whoever can do without: so long a server may be silent until it is taken to be away. */
const SOON = { attemptMsMax: 10_000, totalMsMax: 20_000 };

/**
 * Opens blobs; nothing is read or sent yet.
 * @param isPatient may it take minutes until a server counts as away?
 */
export async function openBlobs(location: BlobLocation, isPatient = true): Promise<BlobStore> {
  if (location.engine === 'directory') return openBlobDirectory(location.path, location.node);
  // Only loaded by who uses it.
  const { openS3Blobs } = await import('./s3/blobs.ts');
  const { S3_LIMITS } = await import('./s3/connection.ts');
  return openS3Blobs(location, isPatient ? S3_LIMITS : { ...S3_LIMITS, ...SOON });
}

/** Opens a place for files by name, which backups are sent to; nothing is read or sent yet. */
export async function openPlace(setting: PlaceSetting): Promise<ObjectPlace> {
  if (setting.engine === 'directory') return openDirectoryPlace(setting.path);
  const { openS3Place } = await import('./s3/objects.ts');
  return openS3Place(setting);
}

/** For whoever cannot wait: a server that does not answer within seconds is taken to be away. */
const AT_ONCE = { attemptsMax: 2, attemptMsMax: 5000, totalMsMax: 5000 };

/**
 * Finds out what a bucket does.
 * @param isPatient may it take minutes until a server counts as away?
 * @throws CartularyError `setting` where it is not there or may not be used, `overloaded` where the server is away
 */
export async function probeBlobs(
  location: BlobLocation & { engine: 's3' },
  nowMs: number,
  isPatient: boolean,
): Promise<S3Probe> {
  const { probeS3 } = await import('./s3/probe.ts');
  const { S3_LIMITS } = await import('./s3/connection.ts');
  return probeS3(location, nowMs, isPatient ? S3_LIMITS : { ...S3_LIMITS, ...AT_ONCE });
}
