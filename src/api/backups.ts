/**
 * Backups that are made by themselves while the archive runs: when one is due, one at a time, tried again where it failed. Between them the list of destructions and the newest
 * head go out as soon as a message was destroyed, so that an older backup is never restored without knowing of it.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Logger } from 'pino';

import type { Archive } from '../archive/archive.ts';
import type { Caller } from '../archive/caller.ts';
import type { Care } from '../archive/care.ts';
import type { DataLayout } from '../archive/layout.ts';
import type { SentBackup } from '../archive/send-backup.ts';
import { CartularyError } from '../model/errors.ts';
import type { BackupSettings, Settings } from '../settings.ts';
import { isDiskFailed } from '../store/thread.ts';

/** Who is on record for them. */
const ITSELF: Caller = { kind: 'local', user: 'cartulary' };
const HOUR_MS = 3_600_000;
/** After a failure it is tried again after so long, each time twice as long, up to an hour. */
const AGAIN_MS = 300_000;

/** After a failure the newest head is sent again after so long. */
const HEAD_AGAIN_MS = 60_000;

/** What is needed. */
type BackupsParts = {
  readonly archive: Archive;
  readonly settings: Settings;
  readonly data: DataLayout;
  readonly now: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** Backups of a running archive. */
export type Backups = {
  /** Makes one now. @throws CartularyError `conflict` where one is under way; as `sendBackup` */
  run(caller: Caller, onProgress: (done: number, total: number) => void): Promise<SentBackup>;
  /** Makes one where it is time, and sends what a destruction changed. */
  work(): Promise<void>;
};

/** Opens them; undefined where the settings name no place. */
export function createBackups(parts: BackupsParts): Backups | undefined {
  const { archive, data, now, log, signal } = parts;
  const { backup: wanted, rootKeyPath, passphrase } = parts.settings;
  if (wanted === undefined) return undefined;
  const { places, keepDays, keepKeysDays } = wanted;
  let isRunning = false;
  let sentBytes: number | undefined;
  let headAfterMs = 0;
  const run: Backups['run'] = async (caller, onProgress) => {
    if (isRunning) throw new CartularyError('conflict', 'a backup is under way');
    isRunning = true;
    try {
      const request = { data, places, keepDays, keepKeysDays, rootKeyPath, passphrase, signal, onProgress };
      const sent = await apart(archive.backupTo(caller, request));
      if (!sent.ok) await archive.noteBackupFailure('unsound');
      return sent;
    } catch (cause) {
      const code = cause instanceof CartularyError ? cause.code : codeOf(cause);
      // Where nothing can be written, that is told by itself.
      if (code !== 'stopping') await archive.noteBackupFailure(code).catch(() => undefined);
      throw cause;
    } finally {
      isRunning = false;
    }
  };
  const sendHead = async (): Promise<void> => {
    const bytes = await archive.destructionBytes();
    if (bytes === sentBytes || now() < headAfterMs) return;
    headAfterMs = now() + HEAD_AGAIN_MS;
    const work = join(data.run, 'backup-head');
    try {
      await apart(archive.sendHead(places, work));
      sentBytes = bytes;
      headAfterMs = 0;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  };
  return {
    run,
    async work() {
      if (isRunning) return;
      if (isBackupDue(wanted.every, await archive.findCare(), now())) {
        const { ok, time, records, ms } = await run(ITSELF, () => undefined);
        if (ok) log.info({ time, records, ms }, 'a backup was made, and can be restored');
        else log.error({ time }, 'a backup was made, and CANNOT be restored: run "cartulary backup check"');
      }
      await sendHead();
    },
  };
}

/** A disk of backups that fails must not end the process that captures; whether its own disk works is found out by the writer. */
async function apart<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    if (!isDiskFailed(cause)) throw cause;
    throw new CartularyError('file', 'the disk of the backups failed', { cause });
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && /^\w{1,40}$/.test(String(cause.code))
    ? String(cause.code)
    : 'internal';
}

/**
 * Is it time for a backup? One that was missed, because nothing ran, is made up for at once; one that failed is tried again soon.
 * @param every hours, and the minutes after midnight (UTC) to which they are aligned
 */
export function isBackupDue(
  { hours, atMinutes }: BackupSettings['every'],
  { backups, failure }: Pick<Care, 'backups' | 'failure'>,
  nowMs: number,
): boolean {
  if (failure !== undefined) return nowMs - failure.atMs >= Math.min(AGAIN_MS * 2 ** (failure.times - 1), HOUR_MS);
  const lastMs = backups.find(({ ok }) => ok)?.atMs;
  if (lastMs === undefined) return true;
  const everyMs = hours * HOUR_MS;
  if (atMinutes === undefined) return nowMs - lastMs >= everyMs;
  const offsetMs = atMinutes * 60_000;
  return lastMs < Math.floor((nowMs - offsetMs) / everyMs) * everyMs + offsetMs;
}
