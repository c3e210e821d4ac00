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
import type { ReceiveParts } from '../capture/receive.ts';
import { createKeeping } from '../capture/keeping.ts';
import type { Keeping } from '../capture/keeping.ts';
import { openRing } from '../capture/ring.ts';
import type { Ring } from '../capture/ring.ts';
import { openSpool } from '../capture/spool.ts';
import type { Spool } from '../capture/spool.ts';
import { createInlineGaps } from '../capture/inline-gaps.ts';
import type { InlineGaps } from '../capture/inline-gaps.ts';
import type { WorkParts } from '../capture/work.ts';
import { CartularyError } from '../model/errors.ts';
import { housePlaceOf } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { isDiskFailed } from '../store/thread.ts';
import type { ThreadStarter } from '../store/thread-sharing.ts';
import { version } from '../version.ts';
import { createBackups } from './backups.ts';
import type { Backups } from './backups.ts';
import { createAdmission } from './admission.ts';
import type { Admission } from './admission.ts';
import { createLead } from './lead.ts';
import type { Lead } from './lead.ts';
import { createLoops, errorName } from './loops.ts';
import type { Loops } from './loops.ts';

/** What faces are given. */
export type Service = {
  readonly settings: Settings;
  readonly house: House;
  readonly archive: Archive;
  readonly ring: Ring;
  readonly log: Logger;
  readonly receive: ReceiveParts;
  readonly inlineGaps: InlineGaps;
  readonly keeping: Keeping;
  /** Where records are on another machine. */
  readonly spool: Spool | undefined;
  readonly admission: Admission;
  readonly work: WorkParts;
  readonly alerts: Alerts;
  readonly lead: Lead;
  /** Backups that are made by themselves; undefined where no place for them is set. */
  readonly backups: Backups | undefined;
  /** Is this a make-believe shop? */
  readonly isDemo: boolean;
  readonly now: () => number;
  /** Base of the URLs given to platforms. */
  publicUrl(): string;
  /** Is this node about to stop, so that whoever spreads requests should leave it out? */
  isLeaving(): boolean;
  /** Says so. */
  leave(): void;
  /** Starts what goes on by itself: jobs and polls. @param url under which this node is reached */
  startWork(url: string): void;
  close(): Promise<void>;
};

export type ServiceOptions = {
  readonly now?: () => number;
  /** How its threads run; all of them from the start on where nothing is said. */
  readonly threads?: ThreadStarter;
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
/** Files what waited for the database. */
const FILE_EVERY_MS = 1000;
/** Says to the other nodes that this one is there. */
const SIGN_EVERY_MS = 5000;
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
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    now,
    onFatal,
    follows: settings.roles.some((role) => role !== 'edge'),
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
  const loops = createLoops({ signal, log, onFatal });
  const spool = archive.isRemote ? await openSpool(archive.layout.spool, archive.spool) : undefined;
  const keeping = createKeeping({
    archive,
    spool,
    onFatal,
    onSpooling(isSpooling, waiting) {
      if (isSpooling) log.error('the database is away; what comes is acknowledged and waits on this disk');
      else log.warn({ waiting }, 'the database is back, and what waited is filed');
    },
  });
  const backups = createBackups({ archive, settings, data: house.layout, now, log, signal });
  const lead = createLead(archive, alerts, settings.roles.includes('work'));
  const life = { isLeaving: false };
  return {
    settings,
    house,
    archive,
    ring,
    log,
    now,
    work,
    alerts,
    lead,
    keeping,
    spool,
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
    isLeaving: () => life.isLeaving,
    leave: () => void (life.isLeaving = true),
    startWork: (url) => startWork({ settings, archive, alerts, work, lead, keeping, spool, backups, loops, now }, url),
    async close() {
      stop.abort();
      await Promise.all([loops.settled(), alerts.settled()]);
      await spool?.close();
      if (archive.node !== undefined) await sayNode({ settings, archive, lead, now }, '', true).catch(() => undefined);
      await house.close();
    },
  };
}

type WorkingParts = Pick<
  Service,
  'settings' | 'archive' | 'alerts' | 'work' | 'lead' | 'keeping' | 'spool' | 'backups' | 'now'
> & {
  readonly loops: Loops;
};

function startWork(parts: WorkingParts, url: string): void {
  const { settings, archive, alerts, work, lead, keeping, spool, backups, loops } = parts;
  if (spool !== undefined) loops.start(FILE_EVERY_MS, () => keeping.fileWaiting());
  if (archive.node !== undefined) loops.start(SIGN_EVERY_MS, () => sayNode(parts, url, false));
  if (!settings.roles.includes('work')) return;
  // Loaded by who works: a command does not.
  loops.start(WORK_EVERY_MS, async () => (await import('../capture/work.ts')).workJobs(work));
  const startOnly = (everyMs: number, act: () => Promise<void>): void => loops.start(everyMs, () => lead.run(act));
  startOnly(FINISH_EVERY_MS, async () => void (await archive.finishDestructions()));
  startOnly(EPOCH_EVERY_MS, () => archive.careForEpochs(ITSELF));
  startOnly(POLL_EVERY_MS, async () => (await import('../capture/poll.ts')).pollSources(work));
  startOnly(LOOK_EVERY_MS, () => alerts.look());
  startOnly(TELL_EVERY_MS, async () => alerts.startTelling());
  startOnly(TELL_EVERY_MS, () => alerts.beat());
  if (backups !== undefined) startOnly(BACKUP_EVERY_MS, () => backups.work());
}

async function sayNode(
  { settings, archive, lead, now }: Pick<WorkingParts, 'settings' | 'archive' | 'lead' | 'now'>,
  url: string,
  stopped: boolean,
): Promise<void> {
  await archive.sayNode({
    ...{ roles: settings.roles, version: version(), url, leads: lead.isHere(), atMs: now(), stopped },
    followed: await archive.indexPosition(),
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

function formatHost(settings: Settings): string {
  const { host, port } = settings.hooksListen ?? settings.listen;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
