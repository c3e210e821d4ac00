/**
 * Fetches a medium. Everything in the answer is controlled by whoever runs the host, and the URL by whoever sent the message: hosts are checked at every hop, credentials go to
 * the platform's own hosts only, what never ends is cut off.
 */
import { request as send } from 'undici';
import type { Agent, Dispatcher } from 'undici';

import { CartularyError } from '../../model/errors.ts';
import type { GapReason } from '../../model/event.ts';
import type { MediaAccess } from '../connector.ts';
import { assertAskable, isPrivateHost } from './address-guard.ts';
import type { PrivateHost } from './address-guard.ts';
import { createPrivateAgent, createPublicAgent } from './guarded-agent.ts';
import type { ResolveAll } from './guarded-agent.ts';

/** What came of it. `retry`: it may be there later; `lost`: it will not. */
export type FetchedMedia =
  | {
      readonly status: 'ok';
      readonly body: AsyncIterable<Uint8Array>;
      readonly mimeDeclared?: string;
      readonly bytesDeclared?: number;
    }
  | { readonly status: 'retry'; readonly reason: string; readonly afterMs?: number }
  | { readonly status: 'lost'; readonly reason: GapReason };

export type MediaRequest = {
  readonly url: string;
  readonly access: MediaAccess;
  readonly secrets: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly nowMs: number;
  /** Counted from 1; a refusal becomes final after some. */
  readonly attempt?: number;
  readonly allowPrivate?: readonly PrivateHost[];
  readonly resolveAll?: ResolveAll;
  readonly timeouts?: { readonly headersTimeoutMs: number; readonly idleTimeoutMs: number; readonly wholeMs?: number };
};

const TIMEOUTS = { headersTimeoutMs: 10_000, idleTimeoutMs: 30_000 } as const;
/** All of it, redirects and body: who sends a byte now and then is idle at no time, and would never end. */
const WHOLE_MS = 600_000;
const REDIRECT_BODY_MS = 2_000;
const REDIRECTS_MAX = 5;
/** Refusals after which a medium is given up: a key that lacks a right does not get it by asking again. */
const REFUSALS_MAX = 5;
const RETRY_AFTER_MS_MAX = 3_600_000;

/** Fetches a medium; its bytes stream and are limited by `access.bytesMax`. Throws while streaming: CartularyError `too-large`, `corrupt`. */
export async function fetchMedia(request: MediaRequest): Promise<FetchedMedia> {
  if (request.url.startsWith('data:')) return decodeDataUrl(request.url, request.access.bytesMax);
  const timeouts: NonNullable<MediaRequest['timeouts']> = request.timeouts ?? TIMEOUTS;
  const open = createPublicAgent({
    ...timeouts,
    ...(request.resolveAll === undefined ? {} : { resolveAll: request.resolveAll }),
  });
  const local = createPrivateAgent(timeouts);
  const closeAgents = (): void => {
    void open.close();
    void local.close();
  };
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeouts.wholeMs ?? WHOLE_MS)]);
  try {
    const answer = await follow({ ...request, signal }, open, local);
    if (answer === undefined) {
      closeAgents();
      return { status: 'lost', reason: 'media-forbidden' };
    }
    const verdict = judge(request, answer);
    if (verdict !== undefined) {
      await answer.body.dump({ limit: 65_536, signal: AbortSignal.timeout(2000) }).catch(() => undefined);
      closeAgents();
      return verdict;
    }
    const bytesDeclared = parseLength(answer.headers['content-length']);
    const mimeDeclared = first(answer.headers['content-type'])?.split(';')[0]?.trim();
    return {
      status: 'ok',
      body: limited(answer.body, request.access.bytesMax, bytesDeclared, closeAgents),
      ...(mimeDeclared === undefined || mimeDeclared === '' ? {} : { mimeDeclared }),
      ...(bytesDeclared === undefined ? {} : { bytesDeclared }),
    };
  } catch (cause) {
    closeAgents();
    if (findForbidden(cause)) return { status: 'lost', reason: 'media-forbidden' };
    if (request.signal.aborted) throw cause;
    return { status: 'retry', reason: 'unreachable' };
  }
}

/** Follows redirects by hand; undefined where a hop is not allowed. */
async function follow(request: MediaRequest, open: Agent, local: Agent): Promise<Dispatcher.ResponseData | undefined> {
  const allowed = request.allowPrivate ?? [];
  let url = parseUrl(request.url);
  for (let hop = 0; hop <= REDIRECTS_MAX && url !== undefined; hop += 1) {
    assertAskable(url, allowed);
    const isLocal = isPrivateHost(url, allowed);
    if (!isLocal && !isListed(url.hostname, request.access.hosts)) return undefined;
    const answer = await send(url, {
      method: 'GET',
      dispatcher: isLocal ? local : open,
      headers: { 'accept-encoding': 'identity', ...credentialsFor(request, url, isLocal, hop) },
      signal: request.signal,
    });
    if (answer.statusCode < 300 || answer.statusCode >= 400) return answer;
    const location = first(answer.headers['location']);
    await answer.body.dump({ limit: 65_536, signal: AbortSignal.timeout(REDIRECT_BODY_MS) }).catch(() => undefined);
    url = location === undefined ? undefined : parseUrl(location, url);
  }
  return undefined;
}

/** Credentials go to the platform's own hosts over https, and only where it is asked first: no redirect takes them along, not even to another path. */
function credentialsFor(request: MediaRequest, url: URL, isLocal: boolean, hop: number): Record<string, string> {
  const isOwn =
    isLocal ||
    (url.protocol === 'https:' &&
      request.access.credentialHosts.length > 0 &&
      isListed(url.hostname, request.access.credentialHosts));
  if (hop > 0 || !isOwn || request.access.credentials === undefined) return {};
  return Object.fromEntries(
    Object.entries(request.access.credentials(request.secrets)).filter(([, value]) => value !== ''),
  );
}

function isListed(hostname: string, hosts: readonly string[]): boolean {
  return (
    hosts.length === 0 || hosts.some((host) => (host.startsWith('.') ? hostname.endsWith(host) : hostname === host))
  );
}

/** What a status means where it is not the medium. */
function judge(request: MediaRequest, answer: Dispatcher.ResponseData): FetchedMedia | undefined {
  const { statusCode } = answer;
  if (statusCode === 200) {
    const declared = parseLength(answer.headers['content-length']);
    return declared !== undefined && declared > request.access.bytesMax
      ? { status: 'lost', reason: 'media-too-large' }
      : undefined;
  }
  if (statusCode === 410) return { status: 'lost', reason: 'media-expired' };
  if (statusCode === 401 || statusCode === 403) {
    return (request.attempt ?? 1) >= REFUSALS_MAX
      ? { status: 'lost', reason: 'media-forbidden' }
      : { status: 'retry', reason: 'forbidden' };
  }
  const afterMs = parseRetryAfter(first(answer.headers['retry-after']), request.nowMs);
  return {
    status: 'retry',
    reason: statusCode === 404 ? 'not there yet' : `status ${statusCode}`,
    ...(afterMs === undefined ? {} : { afterMs }),
  };
}

async function* limited(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  declared: number | undefined,
  done: () => void,
): AsyncIterable<Uint8Array> {
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > bytesMax)
        throw new CartularyError('too-large', `a medium may have ${bytesMax} bytes`, { detail: { limit: bytesMax } });
      yield chunk;
    }
    if (declared !== undefined && declared !== bytes)
      throw new CartularyError('corrupt', 'a medium did not have the length that was announced');
  } finally {
    done();
  }
}

function decodeDataUrl(url: string, bytesMax: number): FetchedMedia {
  const match = /^data:([^;,]*)((?:;[^;,]*)*),/.exec(url);
  if (match === null) return { status: 'lost', reason: 'media-unavailable' };
  const text = url.slice(match[0].length);
  if (text.length > bytesMax * 2) return { status: 'lost', reason: 'media-too-large' };
  const isBase64 = (match[2] ?? '').endsWith(';base64');
  let bytes: Buffer;
  try {
    bytes = isBase64 ? Buffer.from(text, 'base64') : Buffer.from(decodeURIComponent(text), 'utf8');
  } catch {
    return { status: 'lost', reason: 'media-unavailable' };
  }
  if (bytes.length > bytesMax) return { status: 'lost', reason: 'media-too-large' };
  const mime = match[1] ?? '';
  return {
    status: 'ok',
    body: once(bytes),
    bytesDeclared: bytes.length,
    ...(mime === '' ? {} : { mimeDeclared: mime }),
  };
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

function parseUrl(text: string, base?: URL): URL | undefined {
  return URL.parse(text, base?.href) ?? undefined;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function parseLength(value: string | string[] | undefined): number | undefined {
  const text = first(value);
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Retry-After as seconds or as a date (RFC 9110 §10.2.3), within reason. */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : undefined;
}

function findForbidden(cause: unknown): boolean {
  for (let at = cause, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (at instanceof CartularyError && at.code === 'forbidden') return true;
  }
  return false;
}
