/**
 * Asks a platform's own API. Only its own origin is asked, redirects are not followed, the answer is limited.
 */
import { request as send } from 'undici';

import { CartularyError } from '../../model/errors.ts';
import type { Headers } from '../../model/record.ts';
import type { PlatformCredentials, PlatformRequest } from '../connector.ts';
import { assertAskable, isPrivateHost } from './address-guard.ts';
import type { PrivateHost } from './address-guard.ts';
import { createPrivateAgent, createPublicAgent } from './guarded-agent.ts';

/** Largest answer. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const TIMEOUTS = { headersTimeoutMs: 30_000, idleTimeoutMs: 30_000 } as const;
/** Header names of an answer that are kept: none that could hold a session or a secret. */
const KEPT_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'date',
  'etag',
  'last-modified',
  'twilio-request-id',
  'x-request-id',
]);

/** What a platform answered. */
export type PlatformAnswer = {
  readonly status: number;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
};

/**
 * Sends a request with credentials.
 * @throws CartularyError `forbidden` where the request leaves the API's origin, `too-large`, `overloaded` where the platform cannot be reached or asks to wait
 */
export async function pullPlatform(options: {
  readonly request: PlatformRequest;
  readonly baseUrl: string;
  readonly credentials: PlatformCredentials;
  readonly secrets: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly allowPrivate?: readonly PrivateHost[];
}): Promise<PlatformAnswer> {
  const url = new URL(options.request.url);
  const allowed = options.allowPrivate ?? [];
  if (!isSameService(url, new URL(options.baseUrl)))
    throw new CartularyError('forbidden', "a request to another host than the platform's is not sent");
  assertAskable(url, allowed);
  const agent = isPrivateHost(url, allowed) ? createPrivateAgent(TIMEOUTS) : createPublicAgent(TIMEOUTS);
  try {
    const answer = await send(url, {
      method: options.request.method,
      dispatcher: agent,
      headers: {
        accept: options.request.accept,
        'accept-encoding': 'identity',
        ...options.credentials(options.secrets),
      },
      signal: options.signal,
    });
    const body = await readLimited(answer.body);
    if (answer.statusCode === 429 || answer.statusCode >= 500)
      throw new CartularyError('overloaded', `the platform answered ${answer.statusCode}`);
    return { status: answer.statusCode, url: url.href, headers: keptHeaders(answer.headers), body };
  } catch (cause) {
    if (cause instanceof CartularyError || options.signal.aborted) throw cause;
    throw new CartularyError('overloaded', 'the platform could not be reached', { cause });
  } finally {
    await agent.close().catch(() => undefined);
  }
}

/**
 * One origin; or, over https, hosts beside `api.` of the same name, since a platform's APIs lie on several (`api.`, `conversations.`). Not
 * beside a shop's own name (`shop.zendesk.com`): its neighbours belong to others.
 */
function isSameService(url: URL, base: URL): boolean {
  if (url.origin === base.origin) return true;
  const domain = /^api(\.[^.]+\.[^.]+)$/.exec(base.hostname)?.[1];
  return (
    domain !== undefined && url.protocol === 'https:' && base.protocol === 'https:' && url.hostname.endsWith(domain)
  );
}

function keptHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  return Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && KEPT_HEADERS.has(name) ? [[name, value]] : [],
  );
}

async function readLimited(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new CartularyError('too-large', `an answer may have ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
