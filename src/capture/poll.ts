/**
 * Lists of what a platform has sent and received, asked for at intervals with an overlap: the answer for what the shop's own tools sent, and for what was missed.
 */
import type { PlatformRequest } from './connector.ts';
import type { Envelope } from '../model/envelope.ts';
import { pullPlatform } from './media/pull-platform.ts';
import { getConnector, takeEnvelope, viewSource } from './receive.ts';
import { hasCredentials } from './work.ts';
import type { WorkParts } from './work.ts';
import type { Source } from '../archive/registry.ts';

/** Milliseconds between two lists of one source, and how far back each reaches beyond the last: states and prices come late. */
const POLL_EVERY_MS = 3_600_000;
const OVERLAP_MS = 72 * 3_600_000;
/** Pages of one round at most; the next round goes on. */
const PAGES_MAX = 200;

/** Polls every source whose time has come. */
export async function pollSources(parts: WorkParts): Promise<void> {
  for (const source of parts.archive.registry.listSources()) {
    if (source.removedAtMs !== undefined || parts.signal.aborted) continue;
    const pull = getConnector(source).pull;
    if (pull?.list === undefined || !hasCredentials(source, pull)) continue;
    const position = await parts.archive.readPosition(`poll/${source.id}`);
    const lastMs = position === undefined ? undefined : Number(position);
    if (lastMs !== undefined && parts.now() - lastMs < POLL_EVERY_MS) continue;
    await pollSource(parts, source, lastMs === undefined ? source.createdAtMs - OVERLAP_MS : lastMs - OVERLAP_MS);
  }
}

/**
 * Lists one source from a time on.
 * @returns how many records were new
 */
export async function pollSource(
  parts: WorkParts,
  source: Source,
  sinceMs: number,
): Promise<{ stored: number; duplicates: number; pages: number }> {
  const connector = getConnector(source);
  const { pull } = connector;
  const result = { stored: 0, duplicates: 0, pages: 0 };
  if (pull?.list === undefined) return result;
  const startedMs = parts.now();
  const view = viewSource(source, connector);
  let request: PlatformRequest | undefined = pull.list(view, sinceMs);
  while (request !== undefined && result.pages < PAGES_MAX && !parts.signal.aborted) {
    const answer = await pullPlatform({
      request,
      baseUrl: source.settings['apiBaseUrl'] ?? pull.baseUrl,
      credentials: pull.credentials,
      secrets: source.settings,
      signal: parts.signal,
      ...(parts.allowPrivate === undefined ? {} : { allowPrivate: parts.allowPrivate }),
    });
    if (answer.status !== 200) return result;
    const envelope: Envelope = {
      transport: 'poll',
      method: 'GET',
      url: answer.url,
      headers: answer.headers,
      body: answer.body,
      receivedAtMs: parts.now(),
    };
    const taken = await takeEnvelope(parts, source, connector, envelope, undefined);
    result.stored += taken.stored;
    result.duplicates += taken.duplicates;
    result.pages += 1;
    request = pull.nextPage?.(view, envelope);
  }
  await parts.archive.writePosition(`poll/${source.id}`, String(startedMs));
  return result;
}
