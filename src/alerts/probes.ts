/**
 * Looks for the conditions of the table, with what the archive knows anyway. A look is cheap, is limited in time, and says nothing of a condition where it could not look: not known is
 * not over.
 */
import type { Archive } from '../archive/archive.ts';
import type { Source } from '../archive/registry.ts';
import type { RelayView } from '../capture/known-relay.ts';
import type { Ring } from '../capture/ring.ts';
import type { SpoolState } from '../capture/spool.ts';
import type { MediaFailing } from '../capture/work.ts';
import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import { CartularyError } from '../model/errors.ts';
import { formatId } from '../model/ids.ts';
import type { RelayId } from '../model/ids.ts';
import { isDiskFailed, isDiskFull } from '../store/thread.ts';
import type { ConditionCode } from './conditions.ts';
import { isoTime } from './notice.ts';
import type { AlertRoute } from './routes.ts';
import type { AlertState } from './state.ts';
import type { Finding } from './watch.ts';

/** What is looked at. */
export type ProbeParts = {
  readonly archive: Archive;
  readonly ring: Ring;
  readonly now: () => number;
  readonly state: AlertState;
  readonly routes: () => readonly AlertRoute[];
  /** What waits to be filed: on this node, and on the relays that are its subjects. */
  readonly spools: () => readonly { readonly subject?: RelayId; readonly state: SpoolState }[];
  readonly relays: () => readonly RelayView[];
  /** Media that fail, as they were told of (`onMediaFailing`). */
  readonly failingMedia: Map<string, MediaFailing>;
  /** Does this node keep an index? */
  readonly follows: boolean;
  readonly machine: Machine;
};

/** What the machine has left. */
export type Machine = {
  /** Bytes of the disk of the data directory. */
  readonly diskFree: () => Promise<number>;
  /** Bytes of memory that this process may still take. */
  readonly memoryFree: () => number;
};

/** A look for some conditions. */
export type Probe = {
  readonly covers: readonly ConditionCode[];
  readonly everyMs: number;
  /** What it means when a look does not come to an end. */
  readonly whenStuck?: ConditionCode;
  readonly look: () => Promise<readonly Finding[]>;
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIB = 1024 * 1024;

/** Free bytes below which the disk counts as nearly full (`doctor` says so too) and as about to be full. */
export const DISK_LOW_BYTES = 2048 * MIB;
const DISK_FULL_BYTES = 512 * MIB;
const MEMORY_LOW_BYTES = 128 * MIB;
/** How long a refused request counts as news: a platform that is refused comes again within a day. */
const SIGNATURE_NEWS_MS = DAY;
/** How long envelopes that could not be read, and gaps, count as news. */
const EVENT_NEWS_MS = DAY;
const BACKUP_AGE_MS_MAX = 2 * DAY;
const JOB_OVERDUE_MS = 15 * MINUTE;
const SPOOL_WAIT_MS = 5 * MINUTE;
const ROUTE_FAILING_MS = 10 * MINUTE;
/** Records by which the index may be behind, as for those who search; and how long it may stand still behind the log. */
const BEHIND_MAX = 20_000;
const STANDS_MS = 10_000;
/** A medium is at risk that failed so often, or that failed some times and is lost so soon. */
const MEDIA_TRIES = 8;
const MEDIA_TRIES_NEAR = 3;
const MEDIA_NEAR_MS = DAY;
/** Records looked through at a stretch, for a watch that begins late or comes behind an import. */
const SCANS_MAX = 64;
const SCAN_BACK = 100_000;
/** A source whose log lines cannot be told apart has one subject. */
const NO_ACTOR = '0'.repeat(32);

/** What each node sees of itself alone: its own disk, memory, spool and index, what was refused there, media that it failed to fetch. */
export function createOwnProbes(parts: ProbeParts): Probe[] {
  return [
    { covers: ['disk-full', 'disk-low'], everyMs: 0, look: () => lookAtDisk(parts) },
    { covers: ['memory-low'], everyMs: 0, look: async () => lookAtMemory(parts) },
    { covers: ['spool-damaged', 'spool-waiting'], everyMs: 0, look: async () => lookAtSpools(parts) },
    { covers: ['relay-away'], everyMs: 0, look: async () => lookAtRelays(parts) },
    { covers: ['bad-signatures'], everyMs: 0, look: () => lookAtSignatures(parts) },
    { covers: ['ring-damaged'], everyMs: HOUR, look: () => lookAtRing(parts) },
    { covers: ['media-at-risk'], everyMs: 0, look: async () => lookAtMedia(parts) },
    ...(parts.follows ? [{ covers: ['index-behind'] as const, everyMs: 0, look: createIndexLook(parts) }] : []),
  ];
}

/** What is the same whichever node looks. */
export function createArchiveProbes(parts: ProbeParts): Probe[] {
  const { archive } = parts;
  return [
    { covers: ['not-keeping'], everyMs: MINUTE, whenStuck: 'not-keeping', look: () => lookForKeeping(archive) },
    { covers: ['signing-stalled'], everyMs: 0, whenStuck: 'signing-stalled', look: () => lookForSigning(archive) },
    { covers: ['quarantined', 'gaps-opened'], everyMs: 0, look: () => lookThroughLog(parts) },
    { covers: ['jobs-overdue'], everyMs: MINUTE, look: () => lookAtJobs(parts) },
    { covers: ['backup-missing', 'backup-old'], everyMs: MINUTE, look: () => lookAtBackups(parts) },
    { covers: ['backup-failed'], everyMs: MINUTE, look: () => lookAtFailedBackups(archive) },
    { covers: ['verification-failed'], everyMs: 0, look: () => lookAtVerification(archive) },
    { covers: ['route-failing'], everyMs: 0, look: async () => lookAtRoutes(parts) },
  ];
}

/** Whether a trial write becomes durable. */
async function lookForKeeping(archive: Archive): Promise<Finding[]> {
  try {
    await archive.proveWriting();
    return [];
  } catch (cause) {
    // Nobody goes on after that; the silence of the heartbeat tells it.
    if (isDiskFailed(cause)) throw cause;
    return [{ code: 'not-keeping', facts: { cause: causeOf(cause) } }];
  }
}

/** What waits longer than filing takes, or takes half of the room that there is. */
function lookAtSpools({ spools, now }: ProbeParts): Finding[] {
  return spools().flatMap(({ subject, state }): Finding[] => {
    const { envelopes, bytes, bytesMax, oldestMs, damaged } = state;
    const whose = subject === undefined ? {} : { subject };
    const where = subject ?? 'this node';
    const found: Finding[] = damaged > 0 ? [{ code: 'spool-damaged', ...whose, facts: { where, damaged } }] : [];
    if (oldestMs === undefined || (now() - oldestMs < SPOOL_WAIT_MS && bytes < bytesMax / 2)) return found;
    const facts = { where, envelopes, bytes, bytesMax, since: isoTime(oldestMs) };
    return [...found, { code: 'spool-waiting', ...whose, facts }];
  });
}

function lookAtRelays({ relays }: ProbeParts): Finding[] {
  return relays().flatMap(({ relay, failingSinceMs }): Finding[] =>
    failingSinceMs === undefined
      ? []
      : [{ code: 'relay-away', subject: relay.id, facts: { relay: relay.id, since: isoTime(failingSinceMs) } }],
  );
}

/** Whether everything that is durable is in a signed checkpoint, once it was asked for. */
export async function lookForSigning(archive: Archive): Promise<Finding[]> {
  const records = await archive.size();
  try {
    const { size } = parseSignedCheckpoint(await archive.publish());
    return size >= records ? [] : [{ code: 'signing-stalled', facts: { records, cause: `${size} are signed` } }];
  } catch (cause) {
    return [{ code: 'signing-stalled', facts: { records, cause: causeOf(cause) } }];
  }
}

async function lookAtDisk({ machine }: ProbeParts): Promise<Finding[]> {
  const free = await machine.diskFree();
  const code = free < DISK_FULL_BYTES ? 'disk-full' : free < DISK_LOW_BYTES ? 'disk-low' : undefined;
  return code === undefined ? [] : [{ code, facts: { free: Math.floor(free / MIB) } }];
}

function lookAtMemory({ machine }: ProbeParts): Finding[] {
  const free = machine.memoryFree();
  return free < MEMORY_LOW_BYTES ? [{ code: 'memory-low', facts: { free: Math.floor(free / MIB) } }] : [];
}

async function lookAtSignatures({ archive, ring, now }: ProbeParts): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const source of connected(archive)) {
    const lastMs = await ring.lastRefusedMs(source.id);
    if (lastMs === undefined || now() - lastMs >= SIGNATURE_NEWS_MS) continue;
    const { refused, waiting } = await ring.count(source.id);
    // A right secret has taken in what waited.
    if (waiting === 0 && now() - lastMs >= HOUR) continue;
    findings.push({ code: 'bad-signatures', ...about(source), facts: { ...factsOf(source), refused, waiting } });
  }
  return findings;
}

async function lookAtRing({ archive, ring }: ProbeParts): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const source of connected(archive)) {
    const { length: files } = await ring.listDamaged(source.id);
    if (files > 0) findings.push({ code: 'ring-damaged', ...about(source), facts: { ...factsOf(source), files } });
  }
  return findings;
}

/** Follows the log from where the last look ended; what it finds is news for a day. */
async function lookThroughLog({ archive, state, now }: ProbeParts): Promise<Finding[]> {
  const size = await archive.size();
  let from = Math.min(state.scanned ?? Math.max(0, size - SCAN_BACK), size);
  for (let scans = 0; from < size && scans < SCANS_MAX; scans += 1) {
    const { events, next } = await archive.scanEvents(from);
    for (const { kind, actor, count, lastAtMs } of events) {
      if (now() - lastAtMs >= EVENT_NEWS_MS) continue;
      const key =
        kind === 'gap.opened' ? 'gaps-opened' : `quarantined/${actor === NO_ACTOR ? 'system' : sourceOf(actor)}`;
      const known = state.events[key];
      state.events[key] = { count: (known?.count ?? 0) + count, lastAtMs: Math.max(known?.lastAtMs ?? 0, lastAtMs) };
    }
    from = next;
  }
  state.scanned = from;
  return Object.entries(state.events).flatMap(([key, { count, lastAtMs }]): Finding[] => {
    if (now() - lastAtMs >= EVENT_NEWS_MS) {
      delete state.events[key];
      return [];
    }
    const [code, subject] = key.split('/');
    const facts = { count, at: isoTime(lastAtMs) };
    if (code === 'gaps-opened') return [{ code, facts }];
    return subject === undefined ? [] : [{ code: 'quarantined', subject, facts: { ...facts, source: subject } }];
  });
}

async function lookAtJobs({ archive, now }: ProbeParts): Promise<Finding[]> {
  const jobs = await archive.countJobs();
  return jobs.flatMap(({ kind, waiting, oldestDueAtMs }): Finding[] =>
    oldestDueAtMs === undefined || now() - oldestDueAtMs < JOB_OVERDUE_MS
      ? []
      : [{ code: 'jobs-overdue', subject: kind, facts: { kind, waiting, since: isoTime(oldestDueAtMs) } }],
  );
}

/** The medium of each source that is lost first, among those that failed of late. */
function lookAtMedia({ failingMedia, now }: ProbeParts): Finding[] {
  const findings: Finding[] = [];
  for (const [subject, failing] of failingMedia) {
    // It was fetched, or given up, which is a gap: its next try has come and gone without another failure.
    if (now() > failing.nextTryMs + 15 * MINUTE) {
      failingMedia.delete(subject);
      continue;
    }
    const { attempts, lossAtMs } = failing;
    findings.push({
      code: 'media-at-risk',
      subject,
      facts: { source: subject, attempts, ...(lossAtMs === undefined ? {} : { lost: isoTime(lossAtMs) }) },
    });
  }
  return findings;
}

/** Is this medium at risk? */
export function isAtRisk({ attempts, lossAtMs }: MediaFailing, nowMs: number): boolean {
  if (attempts >= MEDIA_TRIES) return true;
  return attempts >= MEDIA_TRIES_NEAR && lossAtMs !== undefined && lossAtMs - nowMs < MEDIA_NEAR_MS;
}

/** Far behind, or standing still behind the log for a while. */
function createIndexLook({ archive, now }: ProbeParts): Probe['look'] {
  let last: { readonly position: number; readonly sinceMs: number } | undefined;
  return async () => {
    const size = await archive.size();
    const followed = await archive.indexPosition();
    if (last?.position !== followed) last = { position: followed, sinceMs: now() };
    const behind = size - followed;
    const stands = behind > 0 && now() - last.sinceMs >= STANDS_MS;
    return stands || behind > BEHIND_MAX ? [{ code: 'index-behind', facts: { behind } }] : [];
  };
}

async function lookAtBackups({ archive, now }: ProbeParts): Promise<Finding[]> {
  const lastMs = await archive.lastBackupMs();
  if (lastMs !== undefined)
    return now() - lastMs < BACKUP_AGE_MS_MAX ? [] : [{ code: 'backup-old', facts: { at: isoTime(lastMs) } }];
  const firstMs = await archive.firstRecordMs();
  if (firstMs === undefined || now() - firstMs < BACKUP_AGE_MS_MAX) return [];
  return [{ code: 'backup-missing', facts: { records: await archive.size() } }];
}

/** Twice in a row: a place that is away for a moment wakes nobody. */
const BACKUP_FAILURES = 2;

async function lookAtFailedBackups(archive: Archive): Promise<Finding[]> {
  const { failure } = await archive.findCare();
  if (failure === undefined || (failure.times < BACKUP_FAILURES && failure.cause !== 'unsound')) return [];
  const { times, sinceMs, cause } = failure;
  return [{ code: 'backup-failed', facts: { times, since: isoTime(sinceMs), cause } }];
}

async function lookAtVerification(archive: Archive): Promise<Finding[]> {
  const last = await archive.lastVerification();
  return last === undefined || last.ok
    ? []
    : [{ code: 'verification-failed', facts: { at: isoTime(last.atMs), faults: last.faults } }];
}

function lookAtRoutes({ state, routes, now }: ProbeParts): Finding[] {
  return routes().flatMap(({ id, kind }): Finding[] => {
    const health = state.health[id];
    if (health?.failingSinceMs === undefined) return [];
    if (health.givenUp === 0 && now() - health.failingSinceMs < ROUTE_FAILING_MS) return [];
    return [{ code: 'route-failing', subject: id, facts: { route: id, kind, since: isoTime(health.failingSinceMs) } }];
  });
}

function connected(archive: Archive): Source[] {
  return archive.registry.listSources().filter(({ removedAtMs }) => removedAtMs === undefined);
}

/** A source by its id: its name is its owner's, and may be a number. */
function about({ id }: Source): { subject: string } {
  return { subject: id };
}

function factsOf({ id, connector }: Source): { source: string; connector: string } {
  return { source: id, connector };
}

function sourceOf(actorHex: string): string {
  return formatId('source', Buffer.from(actorHex, 'hex'));
}

/** The kind of a failure; texts of others may hold what must not be sent. */
export function causeOf(cause: unknown): string {
  if (isDiskFull(cause)) return 'the disk is full';
  if (cause instanceof CartularyError) return cause.code;
  if (!(cause instanceof Error)) return 'unknown';
  return 'code' in cause && /^[\w-]{1,40}$/.test(String(cause.code)) ? String(cause.code) : cause.name;
}
