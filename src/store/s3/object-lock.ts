/**
 * Object Lock: what the server itself refuses to remove. A version is locked until a date that can only be moved on, or held until the hold is taken away. Servers ignore
 * what they are told when an object is written (Ceph does so for every object that is sent in parts), and say nothing; so a lock is set on the version that was written, and
 * counts when it was read back. Only ciphertext is ever locked: a key that cannot be destroyed would undo every erasure.
 */
import {
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import type { GetObjectLegalHoldCommandInput } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import type { S3Connection } from './connection.ts';
import type { ObjectVersion } from './versions.ts';

const NOT_LOCKED = 'the S3 server does not lock what it is told to lock; run "cartulary doctor"';

/**
 * Locks a version in mode COMPLIANCE, which nobody can take back.
 * @param untilMs ms since 1970; the mandatory floor of retention and nothing beyond, since nobody can shorten it. Rounded up to a second
 * @returns until when it is locked: later where it was already, or where the bucket has a rule of its own
 * @throws CartularyError `setting` where the server refuses or, read back, the version is not locked
 */
export async function lockVersion(
  s3: S3Connection,
  { key, versionId }: ObjectVersion,
  untilMs: number,
): Promise<number> {
  const RetainUntilDate = new Date(Math.ceil(untilMs / 1000) * 1000);
  let refusal: unknown;
  try {
    await s3.call('lock an object', (client, options) =>
      client.send(
        new PutObjectRetentionCommand({
          Bucket: s3.bucket,
          Key: key,
          VersionId: versionId,
          Retention: { Mode: 'COMPLIANCE', RetainUntilDate },
        }),
        options,
      ),
    );
  } catch (cause) {
    // It may be locked for longer already.
    if (!isRefusal(cause)) throw cause;
    refusal = cause;
  }
  const found = await readRetention(s3, { key, versionId });
  if (found?.mode === 'COMPLIANCE' && found.untilMs >= RetainUntilDate.getTime()) return found.untilMs;
  throw refusal ?? new CartularyError('setting', NOT_LOCKED);
}

/** How a version is locked; undefined where it is not. */
export async function readRetention(
  s3: S3Connection,
  { key, versionId }: ObjectVersion,
): Promise<{ readonly mode: string; readonly untilMs: number } | undefined> {
  try {
    const { Retention } = await s3.call('read the lock of an object', (client, options) =>
      client.send(new GetObjectRetentionCommand({ Bucket: s3.bucket, Key: key, VersionId: versionId }), options),
    );
    if (Retention?.Mode === undefined || Retention.RetainUntilDate === undefined) return undefined;
    return { mode: Retention.Mode, untilMs: Retention.RetainUntilDate.getTime() };
  } catch (cause) {
    // Servers say in several ways that there is none.
    if (isRefusal(cause)) return undefined;
    throw cause;
  }
}

/**
 * Puts a version under a legal hold, or takes the hold away. It has no date and stands beside the lock.
 * @throws CartularyError `setting` where the server refuses or, read back, it is otherwise
 */
export async function holdVersion(s3: S3Connection, { key, versionId }: ObjectVersion, isHeld: boolean): Promise<void> {
  const Status = isHeld ? 'ON' : 'OFF';
  const version = { Bucket: s3.bucket, Key: key, VersionId: versionId };
  await s3.call('hold an object', (client, options) =>
    client.send(new PutObjectLegalHoldCommand({ ...version, LegalHold: { Status } }), options),
  );
  if ((await isHeldNow(s3, version)) !== isHeld) throw new CartularyError('setting', NOT_LOCKED);
}

async function isHeldNow(s3: S3Connection, version: GetObjectLegalHoldCommandInput): Promise<boolean> {
  try {
    const { LegalHold } = await s3.call('read the hold of an object', (client, options) =>
      client.send(new GetObjectLegalHoldCommand(version), options),
    );
    return LegalHold?.Status === 'ON';
  } catch (cause) {
    // Of an object that was never held servers say that there is no such thing.
    if (cause instanceof CartularyError && cause.code === 'not-found') return false;
    throw cause;
  }
}

/** Did the server understand and refuse? */
export function isRefusal(cause: unknown): boolean {
  if (!(cause instanceof CartularyError)) return false;
  const status = Number(cause.detail['status'] ?? 0);
  return status >= 400 && status < 500;
}
