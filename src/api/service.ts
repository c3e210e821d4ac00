/**
 * The running product: the open house, its way in, its jobs. Faces (HTTP, local socket, CLI) stand on it.
 */
import { stat } from 'node:fs/promises';

import { pino } from 'pino';
import type { Logger } from 'pino';

import { openAlerts } from '../alerts/alerts.ts';
import type { Alerts } from '../alerts/alerts.ts';
import { machineOf } from '../alerts/node-look.ts';
import type { Machine } from '../alerts/probes.ts';
import type { Archive } from '../archive/archive.ts';
import type { Caller } from '../archive/caller.ts';
import { openHouse } from '../archive/house.ts';
import type { House } from '../archive/house.ts';
import type { ReceiveParts } from '../capture/receive.ts';
import { createKeeping } from '../capture/keeping.ts';
import type { RelayDesk } from '../capture/relay-desk.ts';
import { createRelays } from '../capture/relays.ts';
import type { Relays } from '../capture/relays.ts';
import { spoolKeysOf } from '../capture/spool-file.ts';
import { openRing } from '../capture/ring.ts';
import type { Ring } from '../capture/ring.ts';
import { openSpool } from '../capture/spool.ts';
import type { Spool } from '../capture/spool.ts';
import { createInlineGaps } from '../capture/inline-gaps.ts';
import type { WorkParts } from '../capture/work.ts';
import { CartularyError } from '../model/errors.ts';
import { housePlaceOf } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { isDiskFailed } from '../store/thread.ts';
import type { ThreadStarter } from '../store/thread-sharing.ts';
import { version } from '../version.ts';
import { createBackups } from './backups.ts';
import type { Backups } from './backups.ts';
import { createAlarm, createLoggedAdmission, publicUrlOf } from './edge.ts';
import type { Edge } from './edge.ts';
import { createLead } from './lead.ts';
import type { Lead } from './lead.ts';
import { createLoops, errorName } from './loops.ts';
import type { Loops } from './loops.ts';

/** What HTTP and the local socket stand on: an open archive, or one that cannot be opened now, whose way in is open all the same. */
export type Face = {
  readonly settings: Settings;
  readonly log: Logger;
  /** The way in as it is now. */
  edge(): Edge;
  /** The open archive. @throws CartularyError `locked`, `database-away`; `not-found` where this is a relay */
  open(): Service;
  /** Why it is not open; undefined where it is. */
  whyClosed(): CartularyError | undefined;
  /** Tries to open it now. @param passphrase of its root key. @throws CartularyError why it cannot be opened */
  unlock(passphrase: string | undefined): Promise<void>;
  /** What a relay has for the archive that it belongs to. */
  readonly relay?: RelayDesk;
  /** Is this node about to stop, so that whoever spreads requests should leave it out? */
  isLeaving(): boolean;
  /** Says so. */
  leave(): void;
  close(): Promise<void>;
};

/** What faces are given of an open archive. */
export type Service = Edge &
  Omit<Face, 'relay'> & {
    readonly house: House;
    readonly archive: Archive;
    readonly ring: Ring;
    readonly receive: ReceiveParts;
    readonly work: WorkParts;
    /** What is known of the relays of the archive. */
    readonly relays: Relays;
    readonly alerts: Alerts;
    readonly lead: Lead;
    /** Backups that are made by themselves; undefined where no place for them is set. */
    readonly backups: Backups | undefined;
    /** Is this a make-believe shop? */
    readonly isDemo: boolean;
    /** Starts what goes on by itself: jobs and polls. @param url under which this node is reached */
    startWork(url: string): void;
  };

export type ServiceOptions = {
  readonly now?: () => number;
  /** How its threads run; all of them from the start on where nothing is said. */
  readonly threads?: ThreadStarter;
  /** Local stand-ins that may be asked although their address is private. */
  readonly allowPrivate?: WorkParts['allowPrivate'];
  /** Ends the process; handed in so that tests can see it. */
  readonly onFatal?: (cause: unknown) => void;
  /** What the machine has left, for tests. */
  readonly machine?: Partial<Machine>;
  readonly isDemo?: boolean;
  /** Does the caller hold the data directory already? */
  readonly isHeld?: boolean;
  /** Where what came before the archive could be opened waits. */
  readonly spool?: Spool;
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
/** Puts into the bucket what became full of the log, and months of the index that are over and were left alone for as long. */
const SHARE_LOG_EVERY_MS = 60_000;
const SHARE_MONTHS_EVERY_MS = 600_000;
/** Writes down what guarding takes, where something was changed. */
const EDGE_EVERY_MS = 1000;
/** Fetches what relays have taken in. */
const RELAY_EVERY_MS = 1000;

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
    isHeld: options.isHeld ?? false,
    now,
    onFatal,
    follows: isFollowing(settings),
    onStalled: (cause) =>
      log.error({ cause: errorName(cause) }, 'the log is not being signed; capture goes on. Run "cartulary doctor"'),
  });
  try {
    return await putTogether(house, settings, options, { log, now, onFatal });
  } catch (cause) {
    await house.close().catch(() => undefined);
    throw cause;
  }
}

/** Does this node keep an index? */
function isFollowing({ roles }: Settings): boolean {
  return roles.some((role) => role !== 'edge');
}

type Basics = Pick<Service, 'log' | 'now'> & { readonly onFatal: (cause: unknown) => void };

async function putTogether(
  house: House,
  settings: Settings,
  options: ServiceOptions,
  { log, now, onFatal }: Basics,
): Promise<Service> {
  const { archive } = house;
  const ring = openRing(archive.layout.ring, archive.spool, (bytes) => archive.randomBytes(bytes));
  const stop = new AbortController();
  const { signal } = stop;
  const spool = options.spool ?? (await findSpool(settings, archive));
  const relays = createRelays({ archive, ring, now, log, signal });
  const edgeCare = createEdgeCare({ settings, archive, house, now });
  const alerts = await openAlerts({
    ...{ archive, ring, now, log, signal, follows: isFollowing(settings) },
    spools: () => [...(spool === undefined ? [] : [{ state: spool.state() }]), ...relays.spools()],
    relays: () => relays.list(),
    machine: { ...machineOf(settings.data), ...options.machine },
  });
  const work: WorkParts = {
    archive,
    now,
    signal,
    onMediaFailing: (failing) => alerts.noteMediaFailing(failing),
    ...(options.allowPrivate === undefined ? {} : { allowPrivate: options.allowPrivate }),
  };
  const loops = createLoops({ signal, log, onFatal });
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
  const service: Service = {
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
    relays,
    backups,
    isDemo: options.isDemo ?? false,
    receive: { archive, ring, now, onBadSignature: createAlarm(log, now) },
    inlineGaps: createInlineGaps(archive, now, signal),
    admission: createLoggedAdmission(log),
    findSource: (id) => archive.registry.findSource(id),
    whyUnsure: () => undefined,
    answerChallenge: archive.answerChallenge,
    publicUrl: () => publicUrlOf(settings),
    edge: () => service,
    open: () => service,
    whyClosed: () => undefined,
    unlock: () => Promise.resolve(),
    isLeaving: () => life.isLeaving,
    leave: () => void (life.isLeaving = true),
    startWork: (url) => startWork({ ...service, loops, edgeCare }, url),
    async close() {
      stop.abort();
      await Promise.all([loops.settled(), alerts.settled(), relays.settled()]);
      await edgeCare.finish().catch(() => undefined);
      await spool?.close();
      if (archive.node !== undefined)
        await sayNode({ settings, archive, alerts, lead, now }, '', true).catch(() => undefined);
      await house.close();
    },
  };
  return service;
}

/** Where what comes can wait: on a node whose database may be away, or whose keys may be locked at its next start; and where something waits from then. */
async function findSpool({ edgeKey }: Settings, { isRemote, layout, spool }: Archive): Promise<Spool | undefined> {
  const isThere = isRemote || edgeKey !== undefined || (await stat(layout.spool).catch(() => undefined)) !== undefined;
  return isThere ? openSpool(layout.spool, spoolKeysOf(spool)) : undefined;
}

type WorkingParts = Service & { readonly loops: Loops; readonly edgeCare: ReturnType<typeof createEdgeCare> };

function startWork(parts: WorkingParts, url: string): void {
  const { settings, archive, alerts, work, lead, keeping, spool, relays, backups, loops, edgeCare } = parts;
  if (spool !== undefined) loops.start(FILE_EVERY_MS, () => keeping.fileWaiting());
  if (settings.roles.includes('edge')) edgeCare.start(loops);
  if (archive.node !== undefined) {
    loops.start(LOOK_EVERY_MS, () => alerts.lookHere());
    loops.start(SIGN_EVERY_MS, () => sayNode(parts, url, false));
  }
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
  startOnly(RELAY_EVERY_MS, () => relays.visit());
  if (backups !== undefined) startOnly(BACKUP_EVERY_MS, () => backups.work());
  const { signal } = work;
  startOnly(SHARE_LOG_EVERY_MS, async () => void (await archive.shareLog(signal)));
  startOnly(
    SHARE_MONTHS_EVERY_MS,
    async () => void (await archive.shareMonths({ quietMs: SHARE_MONTHS_EVERY_MS, signal })),
  );
}

async function sayNode(
  { settings, archive, alerts, lead, now }: Pick<WorkingParts, 'settings' | 'archive' | 'alerts' | 'lead' | 'now'>,
  url: string,
  stopped: boolean,
): Promise<void> {
  await archive.sayNode({
    ...{ roles: settings.roles, version: version(), url, leads: lead.isHere(), atMs: now(), stopped },
    followed: await archive.indexPosition(),
    condition: await alerts.tellCondition(),
  });
}

/** Keeps at hand what guarding takes, for a start at which the archive cannot be opened. */
function createEdgeCare({ settings, archive, house, now }: Pick<Service, 'settings' | 'archive' | 'house' | 'now'>) {
  const parts = { path: house.layout.edge, edgeKey: settings.edgeKey, now };
  let upkeep: (() => Promise<void>) | undefined;
  return {
    start(loops: Loops): void {
      loops.start(EDGE_EVERY_MS, async () => {
        // Loaded by who serves: a command does not.
        upkeep ??= (await import('../capture/edge-upkeep.ts')).createEdgeUpkeep(archive, parts);
        await upkeep();
      });
    },
    /** Writes down what was changed since. */
    finish: async (): Promise<void> => upkeep?.(),
  };
}

/** Ends the process, saying what a person must do. */
export function exitOnFatal(log: Logger, data: string, cause: unknown): void {
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
