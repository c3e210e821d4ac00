/**
 * The running product: the open house, its way in, its jobs. Faces (HTTP, local socket, CLI) stand on it.
 */
import { pino } from 'pino';
import type { Logger } from 'pino';

import { openAlerts } from '../alerts/alerts.ts';
import type { Alerts } from '../alerts/alerts.ts';
import type { Archive } from '../archive/archive.ts';
import type { Caller } from '../archive/caller.ts';
import { openHouse } from '../archive/house.ts';
import type { House } from '../archive/house.ts';
import type { Source } from '../archive/registry.ts';
import { pollSources } from '../capture/poll.ts';
import type { ReceiveParts } from '../capture/receive.ts';
import { openRing } from '../capture/ring.ts';
import type { Ring } from '../capture/ring.ts';
import { createInlineGaps } from '../capture/tee.ts';
import type { InlineGaps } from '../capture/tee.ts';
import { workJobs } from '../capture/work.ts';
import type { WorkParts } from '../capture/work.ts';
import { CartularyError } from '../model/errors.ts';
import { housePlaceOf } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { isDiskFailed } from '../store/thread.ts';
import { createBackups } from './backups.ts';
import type { Backups } from './backups.ts';
import { createAdmission } from './admission.ts';
import type { Admission } from './admission.ts';

/** What faces are given. */
export type Service = {
  readonly settings: Settings;
  readonly house: House;
  readonly archive: Archive;
  readonly ring: Ring;
  readonly log: Logger;
  readonly receive: ReceiveParts;
  readonly inlineGaps: InlineGaps;
  readonly admission: Admission;
  readonly work: WorkParts;
  readonly alerts: Alerts;
  /** Backups that are made by themselves; undefined where no place for them is set. */
  readonly backups: Backups | undefined;
  /** Is this a make-believe shop? */
  readonly isDemo: boolean;
  readonly now: () => number;
  /** Base of the URLs given to platforms. */
  publicUrl(): string;
  /** Starts what goes on by itself: jobs and polls. */
  startWork(): void;
  close(): Promise<void>;
};

export type ServiceOptions = {
  readonly now?: () => number;
  /** Local stand-ins that may be asked although their address is private. */
  readonly allowPrivate?: WorkParts['allowPrivate'];
  /** Ends the process; handed in so that tests can see it. */
  readonly onFatal?: (cause: unknown) => void;
  /** Free bytes of the disk, for tests. */
  readonly freeBytes?: () => Promise<number>;
  readonly isDemo?: boolean;
};

const WORK_EVERY_MS = 500;
const EPOCH_EVERY_MS = 3_600_000;
const POLL_EVERY_MS = 60_000;
/** Who is on record for what goes on by itself. */
const ITSELF: Caller = { kind: 'local', user: 'cartulary' };
/** Destructions that a crash cut off, or that waited for a backup to end. */
const FINISH_EVERY_MS = 10_000;
/** Looks for what a person must be told, tells it, gives signs of life. */
const LOOK_EVERY_MS = 15_000;
const TELL_EVERY_MS = 1000;
const BACKUP_EVERY_MS = 5000;

/** A logger that writes one JSON line an event to standard error: no message text, address, secret or key. */
export function createLogger(level: Settings['logLevel']): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));
}

/** Opens the data directory and puts the parts together. */
export async function openService(settings: Settings, options: ServiceOptions = {}): Promise<Service> {
  const log = createLogger(settings.logLevel);
  const now = options.now ?? Date.now;
  const onFatal = options.onFatal ?? ((cause: unknown) => exitOnFatal(log, settings.data, cause));
  const house = await openHouse({
    ...housePlaceOf(settings),
    now,
    onFatal,
    onStalled: (cause) =>
      log.error({ cause: errorName(cause) }, 'the log is not being signed; capture goes on. Run "cartulary doctor"'),
  });
  const { archive } = house;
  const ring = openRing(archive.layout.ring, archive.spool, (bytes) => archive.randomBytes(bytes));
  const stop = new AbortController();
  const { signal } = stop;
  const alerts = await openAlerts({
    ...{ archive, ring, now, log, signal, directory: settings.data },
    ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
  });
  const work: WorkParts = {
    archive,
    now,
    signal,
    onMediaFailing: (failing) => alerts.noteMediaFailing(failing),
    ...(options.allowPrivate === undefined ? {} : { allowPrivate: options.allowPrivate }),
  };
  const backups = createBackups({ archive, settings, data: house.layout, now, log, signal });
  const loops: Promise<void>[] = [];
  const start = (everyMs: number, act: () => Promise<void>): void =>
    void loops.push(loop(signal, everyMs, log, () => act().catch(stopWhereDiskFailed)));
  const stopWhereDiskFailed = (cause: unknown): void => {
    if (isDiskFailed(cause)) onFatal(cause);
    throw cause;
  };
  return {
    settings,
    house,
    archive,
    ring,
    log,
    now,
    work,
    alerts,
    backups,
    isDemo: options.isDemo ?? false,
    receive: { archive, ring, now, onBadSignature: createAlarm(log, now) },
    inlineGaps: createInlineGaps(archive, now, signal),
    admission: createAdmission({
      now: () => performance.now(),
      onRefused: (why, count) => log.warn({ why, count }, 'asked to come again: they were not acknowledged'),
    }),
    publicUrl: () =>
      settings.publicUrl ?? `${settings.tlsCert === undefined ? 'http' : 'https'}://${formatHost(settings)}`,
    startWork() {
      start(FINISH_EVERY_MS, async () => void (await archive.finishDestructions()));
      start(EPOCH_EVERY_MS, async () => {
        if (await archive.isEpochOver()) await archive.rotateEpoch(ITSELF);
      });
      start(WORK_EVERY_MS, () => workJobs(work));
      start(POLL_EVERY_MS, () => pollSources(work));
      start(LOOK_EVERY_MS, () => alerts.look());
      start(TELL_EVERY_MS, async () => alerts.startTelling());
      start(TELL_EVERY_MS, () => alerts.beat());
      if (backups !== undefined) start(BACKUP_EVERY_MS, () => backups.work());
    },
    async close() {
      stop.abort();
      await Promise.all([...loops, alerts.settled()]);
      await house.close();
    },
  };
}

async function loop(signal: AbortSignal, everyMs: number, log: Logger, act: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await act();
    } catch (cause) {
      if (!signal.aborted) log.warn({ cause: errorName(cause) }, 'a job failed; it is tried again');
    }
    await pause(everyMs, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}

/** A wrong secret must be seen at once, but a flood must not fill the log: one line a minute and source, with the count. */
function createAlarm(log: Logger, now: () => number): (source: Source, reason: string) => void {
  const last = new Map<string, { atMs: number; count: number }>();
  return (source, reason) => {
    const known = last.get(source.id) ?? { atMs: Number.NEGATIVE_INFINITY, count: 0 };
    known.count += 1;
    if (now() - known.atMs >= 60_000) {
      log.warn(
        { source: source.id, reason, count: known.count },
        'bad signature: refused, and kept in the ring. Is the secret of this source right?',
      );
      known.atMs = now();
      known.count = 0;
    }
    last.set(source.id, known);
  };
}

function exitOnFatal(log: Logger, data: string, cause: unknown): void {
  if (isDiskFailed(cause)) {
    log.fatal(
      { cause: errorName(cause), what: describeDiskFailure(cause) },
      `the disk failed; nothing more is acknowledged, and what was acknowledged is safe. Check the disk (dmesg), start again, then run "cartulary verify --data ${data}"`,
    );
    process.exit(70);
  }
  log.fatal(
    { cause: errorName(cause) },
    'a part of the archive died; nothing more is acknowledged. Start again; if it stays, run "cartulary doctor"',
  );
  process.exit(70);
}

/** Which file or which step: texts of these errors name paths and steps, never content. */
function describeDiskFailure(cause: unknown): string {
  if (cause instanceof CartularyError) return cause.message;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return `archive.db: ${code.replace('SQLITE_IOERR_', '').toLowerCase()}`;
}

function errorName(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  return 'code' in cause ? `${cause.name} ${String(cause.code)}` : cause.name;
}

function formatHost(settings: Settings): string {
  const { host, port } = settings.hooksListen ?? settings.listen;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
