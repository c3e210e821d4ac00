/**
 * What is done after the acknowledgement, by durable jobs: media are fetched, ordered by time to loss, and content that a report promised is asked for. What
 * cannot be had becomes a gap record.
 */
import type { Archive } from '../archive/archive.ts';
import type { OpenJob } from '../archive/jobs.ts';
import { SYSTEM_ACTOR } from '../archive/recorder.ts';
import type { RecordDraft } from '../archive/recorder.ts';
import type { Source } from '../archive/registry.ts';
import { drainJobs, nextTry } from '../jobs/run-jobs.ts';
import { CartularyError } from '../model/errors.ts';
import type { ContentState, Event, EventBody, GapReason, MessageKey } from '../model/event.ts';
import type { SourceId } from '../model/ids.ts';
import { receiptInstant } from '../model/time.ts';
import { workGuard } from './guard-later.ts';
import { fetchPart } from './media/fetch-part.ts';
import { guardMedium } from './media/guard-medium.ts';
import type { PrivateHost } from './media/address-guard.ts';
import { sniffMime } from './media/sniff.ts';
import { pullPlatform } from './media/pull-platform.ts';
import { findConnector } from './connectors/list.ts';
import { takeEnvelope } from './receive.ts';
import { getConnector, hasCredentials, viewSource } from './source-view.ts';

/** What the work needs. */
export type WorkParts = {
  readonly archive: Archive;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Local stand-ins that may be asked although their address is private (the demo, tests). */
  readonly allowPrivate?: readonly PrivateHost[];
  /** Told of each medium that could not be fetched and is tried again. */
  readonly onMediaFailing?: (failing: MediaFailing) => void;
};

/** A medium that fails to be fetched: tries there were, when there is another, when it is gone. */
export type MediaFailing = {
  readonly source: SourceId | undefined;
  readonly attempts: number;
  readonly nextTryMs: number;
  readonly lossAtMs: number | undefined;
};

/** Longer than the longest fetch; what a process held that died is given out again when the store is opened. */
const LEASE_MS = 15 * 60_000;
const SLOTS = 8;
const CONTENT_TRIES_MAX = 8;
const MEDIA_TRIES_MAX = 60;

/** Does due jobs until none is due. */
export function workJobs(parts: WorkParts): Promise<void> {
  return drainJobs<OpenJob>({
    slots: SLOTS,
    signal: parts.signal,
    claim: (limit) => parts.archive.claimJobs(['media', 'content', 'guard'], limit, LEASE_MS),
    work: (job) => workJob(parts, job),
  });
}

async function workJob(parts: WorkParts, job: OpenJob): Promise<void> {
  try {
    switch (job.kind) {
      case 'media':
        return await workMedia(parts, job);
      case 'content':
        return await workContent(parts, job);
      default:
        return await workGuard(parts.archive, job);
    }
  } catch (cause) {
    // Nobody foresaw it (a full disk, a damaged index): later again, and the log says so.
    if (!parts.signal.aborted)
      await parts.archive.retryJob(
        job.id,
        nextTry(job, { nowMs: parts.now(), triesMax: Number.POSITIVE_INFINITY }) ?? parts.now(),
      );
    throw cause;
  }
}

async function workMedia(parts: WorkParts, job: OpenJob): Promise<void> {
  const { archive } = parts;
  const detail = job.detail as {
    source?: SourceId;
    connector: string;
    key: MessageKey;
    part: number;
    url: string;
    mimeDeclared?: string;
  };
  const source = detail.source === undefined ? undefined : archive.registry.findSource(detail.source);
  const access = findConnector(detail.connector)?.media ?? {
    hosts: [],
    credentialHosts: [],
    bytesMax: 100 * 1024 * 1024,
    lossAfterMs: 0,
  };
  try {
    const fetched = await fetchPart({
      url: detail.url,
      part: detail.part,
      access,
      secrets: source === undefined ? {} : secretsFor(source, detail.key),
      signal: parts.signal,
      nowMs: parts.now(),
      attempt: job.attempts,
      ...(parts.allowPrivate === undefined ? {} : { allowPrivate: parts.allowPrivate }),
    });
    if (fetched.status === 'retry') return await retryMedia(parts, job, source, fetched.afterMs);
    if (fetched.status === 'lost') return await loseMedia(parts, job, source, fetched.reason);
    const guarded = guardMedium(fetched.body, { oneTimeCodes: source?.maskOneTimeCodes ?? false });
    const mimeDeclared = fetched.mimeDeclared ?? detail.mimeDeclared;
    const outcome = await archive.keepMedium({
      owner: job.owner,
      source: guarded.body,
      bytesMax: access.bytesMax,
      async describe(stored, head) {
        const findings = guarded.findings();
        const mimeSniffed = await sniffMime(head);
        return draftOf(parts, source, detail.key, `media|${detail.part}|${stored.sha256}`, {
          kind: 'media.stored',
          part: detail.part,
          ...(findings === undefined ? {} : { extra: { guarded: findings } }),
          media: {
            ...stored,
            ...(mimeSniffed === undefined ? {} : { mimeSniffed }),
            ...(mimeDeclared === undefined ? {} : { mimeDeclared }),
          },
        });
      },
    });
    if (outcome.status === 'failed') throw new CartularyError('internal', 'a medium could not be put on record');
    await archive.finishJob(job.id);
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'too-large')
      return loseMedia(parts, job, source, 'media-too-large');
    // It is our place for media that fails: however long that lasts, the medium is not lost at its platform.
    if (cause instanceof CartularyError && (cause.code === 'overloaded' || cause.code === 'setting')) throw cause;
    return retryMedia(parts, job, source, undefined);
  }
}

async function retryMedia(
  parts: WorkParts,
  job: OpenJob,
  source: Source | undefined,
  afterMs: number | undefined,
): Promise<void> {
  const dueAtMs = nextTry(job, { nowMs: parts.now(), triesMax: MEDIA_TRIES_MAX, afterMs });
  if (dueAtMs === undefined) return loseMedia(parts, job, source, 'media-expired');
  const { attempts, lossAtMs } = job;
  parts.onMediaFailing?.({ source: source?.id, attempts, nextTryMs: dueAtMs, lossAtMs });
  return parts.archive.retryJob(job.id, dueAtMs);
}

async function loseMedia(parts: WorkParts, job: OpenJob, source: Source | undefined, reason: GapReason): Promise<void> {
  const detail = job.detail as { key: MessageKey; part: number };
  await keep(parts, source, detail.key, `media-lost|${detail.part}`, {
    kind: 'media.lost',
    part: detail.part,
    reason,
    attempts: job.attempts,
  });
  await keep(parts, source, detail.key, `gap|${reason}`, {
    kind: 'gap.opened',
    reason,
    asked: source === undefined ? [] : [source.connector],
  });
  await parts.archive.finishJob(job.id);
}

/** Asks the platform for one message of which only reports are known; where nobody can be asked, or nobody knows, a gap opens. */
async function workContent(parts: WorkParts, job: OpenJob): Promise<void> {
  const { archive } = parts;
  const detail = job.detail as { source?: SourceId; key: MessageKey };
  const source = detail.source === undefined ? undefined : archive.registry.findSource(detail.source);
  const pull = source === undefined ? undefined : getConnector(source).pull;
  const before = await contentStateOf(archive, job);
  if (!WANTED.has(before)) return archive.finishJob(job.id);
  if (source === undefined || pull?.fetchMessage === undefined) return openContentGap(parts, job, source, []);
  const secrets = secretsFor(source, detail.key);
  if (!hasCredentials(secrets, pull)) return openContentGap(parts, job, source, []);
  try {
    const answer = await pullPlatform({
      request: pull.fetchMessage(viewSource(source, getConnector(source)), detail.key),
      baseUrl: source.settings['apiBaseUrl'] ?? pull.baseUrl,
      credentials: pull.credentials,
      secrets,
      signal: parts.signal,
      ...(parts.allowPrivate === undefined ? {} : { allowPrivate: parts.allowPrivate }),
    });
    if (answer.status === 200) {
      const envelope = {
        transport: 'fetch' as const,
        method: 'GET',
        url: answer.url,
        headers: answer.headers,
        body: answer.body,
        receivedAtMs: parts.now(),
      };
      await takeEnvelope({ archive }, source, getConnector(source), envelope, undefined);
    }
    const after = await contentStateOf(archive, job);
    if (!WANTED.has(after)) return await archive.finishJob(job.id);
    // The platform has the message and not its text (redacted, or a card that it does not show): asking again gives nothing else.
    if (after !== 'not-captured') return await openContentGap(parts, job, source, [source.connector]);
  } catch (cause) {
    if (parts.signal.aborted) throw cause;
  }
  const dueAtMs = nextTry(job, { nowMs: parts.now(), triesMax: CONTENT_TRIES_MAX });
  if (dueAtMs === undefined) return openContentGap(parts, job, source, [source.connector]);
  return archive.retryJob(job.id, dueAtMs);
}

/** The settings of a source; the account that its platform names stands in where none was given. */
function secretsFor(source: Source, key: MessageKey): Source['settings'] {
  const account = source.account ?? key.account;
  const learned = getConnector(source).settings.filter(({ defaultsToAccount }) => defaultsToAccount === true);
  return { ...Object.fromEntries(learned.map(({ name }) => [name, account])), ...source.settings };
}

/** States in which the content is still to be had. */
const WANTED: ReadonlySet<ContentState> = new Set(['not-captured', 'missing-provider']);

async function contentStateOf(archive: Archive, job: OpenJob): Promise<ContentState> {
  const detail = await archive.threads.read.call('message', { id: job.messageId, atMs: undefined });
  return detail?.contentState ?? 'not-captured';
}

async function openContentGap(
  parts: WorkParts,
  job: OpenJob,
  source: Source | undefined,
  asked: readonly string[],
): Promise<void> {
  const detail = job.detail as { key: MessageKey };
  await keep(parts, source, detail.key, 'gap|content-not-given', {
    kind: 'gap.opened',
    reason: 'content-not-given',
    asked,
  });
  await parts.archive.finishJob(job.id);
}

/** Keeps a record of the work. */
async function keep(
  parts: WorkParts,
  source: Source | undefined,
  target: MessageKey,
  dedupe: string,
  body: EventBody,
): Promise<void> {
  const [outcome] = await parts.archive.record([draftOf(parts, source, target, dedupe, body)]);
  if (outcome?.status === 'failed') throw new CartularyError('internal', 'a record of the work could not be kept');
}

function draftOf(
  parts: WorkParts,
  source: Source | undefined,
  target: MessageKey,
  dedupe: string,
  body: EventBody & Pick<Event, 'extra'>,
): RecordDraft {
  const nowMs = parts.now();
  return {
    actor: SYSTEM_ACTOR,
    capturedAtMs: nowMs,
    ...(source === undefined ? {} : { source: source.id }),
    event: { target, occurredAt: receiptInstant(nowMs), dedupe: `${dedupe}|${target.id}`, ...body },
  };
}
