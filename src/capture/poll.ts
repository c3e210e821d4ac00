/**
 * Lists of what a platform has sent and received, asked for at intervals with an overlap: the answer for what the shop's own tools sent, and for what was missed.
 */
import { CartularyError } from '../model/errors.ts';
import type { PlatformRequest, PullAccess } from './connector.ts';
import type { Envelope } from '../model/envelope.ts';
import { pullPlatform } from './media/pull-platform.ts';
import { takeEnvelope } from './receive.ts';
import { getConnector, hasCredentials, viewSource } from './source-view.ts';
import type { WorkParts } from './work.ts';
import type { Source } from '../archive/registry.ts';

/** Milliseconds between two lists of one source, and how far back each reaches beyond the last: states and prices come late. */
const POLL_EVERY_MS = 3_600_000;
const OVERLAP_MS = 72 * 3_600_000;
/** Pages asked for at a stretch; a longer list goes on at the next turn, from where it stopped. */
export const POLL_PAGES_MAX = 200;

/** A list that is longer than one stretch: where it goes on, and when it was begun. */
type Unfinished = { readonly startedMs: number; readonly url: string };

/** Polls every source whose time has come. One that fails does not keep the others waiting; the first failure is thrown at the end. */
export async function pollSources(parts: WorkParts): Promise<void> {
  const failures: unknown[] = [];
  for (const source of parts.archive.registry.listSources()) {
    if (source.removedAtMs !== undefined || parts.signal.aborted) continue;
    const pull = getConnector(source).pull;
    if (pull?.list === undefined || !hasCredentials(source.settings, pull)) continue;
    await pollWhenDue(parts, source).catch((cause: unknown) => failures.push(cause));
  }
  if (failures.length > 0) throw failures[0];
}

async function pollWhenDue(parts: WorkParts, source: Source): Promise<void> {
  const unfinished = await readUnfinished(parts, source);
  if (unfinished !== undefined) {
    // Whatever becomes of it, a list that cannot be gone on with is begun anew.
    await parts.archive.writePosition(unfinishedName(source), '');
    await list(parts, source, unfinished);
    return;
  }
  const position = await parts.archive.readPosition(`poll/${source.id}`);
  const lastMs = position === undefined ? undefined : Number(position);
  if (lastMs !== undefined && parts.now() - lastMs < POLL_EVERY_MS) return;
  await pollSource(parts, source, (lastMs ?? source.createdAtMs) - OVERLAP_MS);
}

/** What a list gave; `more`: it is longer and goes on by itself. */
export type Polled = {
  readonly stored: number;
  readonly duplicates: number;
  readonly pages: number;
  readonly more: boolean;
};

/**
 * Lists one source from a time on.
 * @returns how many records were new; a list of more than `POLL_PAGES_MAX` pages goes on by itself
 * @throws CartularyError `setting` where the platform refuses the credentials, `overloaded` where it cannot answer
 */
export async function pollSource(parts: WorkParts, source: Source, sinceMs: number): Promise<Polled> {
  const connector = getConnector(source);
  const request = connector.pull?.list?.(viewSource(source, connector), sinceMs);
  if (request === undefined) return { stored: 0, duplicates: 0, pages: 0, more: false };
  return list(parts, source, { startedMs: parts.now(), url: request.url });
}

async function list(parts: WorkParts, source: Source, from: Unfinished): Promise<Polled> {
  const connector = getConnector(source);
  const { pull } = connector;
  const result = { stored: 0, duplicates: 0, pages: 0, more: false };
  if (pull === undefined) return result;
  const view = viewSource(source, connector);
  let request: PlatformRequest | undefined = { method: 'GET', url: from.url, accept: 'application/json' };
  while (request !== undefined && !parts.signal.aborted) {
    if (result.pages === POLL_PAGES_MAX) {
      const unfinished: Unfinished = { startedMs: from.startedMs, url: request.url };
      await parts.archive.writePosition(unfinishedName(source), JSON.stringify(unfinished));
      return { ...result, more: true };
    }
    const envelope = await ask(parts, source, pull, request);
    const taken = await takeEnvelope(parts, source, connector, envelope, undefined);
    result.stored += taken.stored;
    result.duplicates += taken.duplicates;
    result.pages += 1;
    request = pull.nextPage?.(view, envelope);
  }
  if (!parts.signal.aborted) await parts.archive.writePosition(`poll/${source.id}`, String(from.startedMs));
  return result;
}

async function ask(parts: WorkParts, source: Source, pull: PullAccess, request: PlatformRequest): Promise<Envelope> {
  const answer = await pullPlatform({
    request,
    baseUrl: source.settings['apiBaseUrl'] ?? pull.baseUrl,
    credentials: pull.credentials,
    secrets: source.settings,
    signal: parts.signal,
    ...(parts.allowPrivate === undefined ? {} : { allowPrivate: parts.allowPrivate }),
  });
  if (answer.status === 401 || answer.status === 403)
    throw new CartularyError('setting', `the platform refuses the credentials of this source (${answer.status})`);
  if (answer.status !== 200) throw new CartularyError('overloaded', `the platform answered ${answer.status}`);
  return {
    transport: 'poll',
    method: 'GET',
    url: answer.url,
    headers: answer.headers,
    body: answer.body,
    receivedAtMs: parts.now(),
  };
}

function unfinishedName(source: Source): string {
  return `poll-next/${source.id}`;
}

async function readUnfinished(parts: WorkParts, source: Source): Promise<Unfinished | undefined> {
  const text = await parts.archive.readPosition(unfinishedName(source));
  return text === undefined || text === '' ? undefined : (JSON.parse(text) as Unfinished);
}
