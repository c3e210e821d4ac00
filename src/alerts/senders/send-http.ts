/**
 * One request to whoever is told. Redirects are not followed, the answer is limited, and without the route's leave no private address is connected to, whatever a name resolves to.
 */
import { request as send } from 'undici';

import { createPrivateAgent, createPublicAgent } from '../../capture/media/guarded-agent.ts';
import { CartularyError } from '../../model/errors.ts';
import { version } from '../../version.ts';
import { showAnswer } from './answer.ts';
import type { Answer } from './answer.ts';

const TIMEOUTS = { headersTimeoutMs: 15_000, idleTimeoutMs: 10_000 } as const;
/** Milliseconds that a request may take in all. */
const REQUEST_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 8 * 1024;
/** The longest that somebody is left alone because he asks for it. */
const WAIT_MS_MAX = 3_600_000;
/** Answers after which the same is worth another try (RFC 9110): they speak of the moment, not of what was sent. */
const TEMPORARY: ReadonlySet<number> = new Set([408, 423, 425, 429]);

export type HttpNotice = {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isPrivate: boolean;
  /** Never shown, even where the answer repeats them. */
  readonly secrets: readonly string[];
  readonly signal: AbortSignal;
  /** Milliseconds since 1970, for a `Retry-After` that is a date. */
  readonly nowMs: number;
  /** Says what a 2xx really means, where status codes alone do not tell: a failure, or undefined. */
  readonly readAccepted?: (body: string) => { readonly status: number } | undefined;
};

/** Sends a request. Never throws for what the other side does; rejects where `signal` was aborted. */
export async function sendHttp(notice: HttpNotice): Promise<Answer> {
  const agent = notice.isPrivate ? createPrivateAgent(TIMEOUTS) : createPublicAgent(TIMEOUTS);
  try {
    const answer = await send(notice.url, {
      method: notice.method,
      dispatcher: agent,
      headers: {
        'user-agent': `cartulary/${version()}`,
        ...(notice.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...notice.headers,
      },
      body: notice.body ?? null,
      signal: AbortSignal.any([notice.signal, AbortSignal.timeout(REQUEST_MS_MAX)]),
    });
    const body = await readBeginning(answer.body);
    return judge(notice, answer.statusCode, body, parseRetryAfter(answer.headers['retry-after'], notice.nowMs));
  } catch (cause) {
    if (notice.signal.aborted) throw cause;
    return describeFailure(cause);
  } finally {
    await agent.destroy().catch(() => undefined);
  }
}

/** Posts JSON over a route, to its secret address where no other is given. */
export function postJson(
  route: { readonly secret: string; readonly isPrivate: boolean },
  body: Record<string, unknown>,
  { signal, nowMs }: Pick<HttpNotice, 'signal' | 'nowMs'>,
  more: Partial<Pick<HttpNotice, 'url' | 'readAccepted'>> = {},
): Promise<Answer> {
  const { secret, isPrivate } = route;
  return sendHttp({
    ...{ url: secret, method: 'POST', body: JSON.stringify(body), isPrivate, secrets: [secret], signal, nowMs },
    ...more,
  });
}

function judge(notice: HttpNotice, answered: number, body: string, afterMs: number | undefined): Answer {
  const accepted = answered >= 200 && answered < 300;
  const hidden = accepted ? notice.readAccepted?.(body) : undefined;
  const text = showAnswer(`${answered} ${body}`, notice.secrets);
  if (accepted && hidden === undefined) return { ok: true, text };
  const status = hidden?.status ?? answered;
  const permanent = status < 500 && !TEMPORARY.has(status);
  return { ok: false, permanent, text, ...(afterMs === undefined ? {} : { afterMs }) };
}

/** The beginning of an answer; of a longer one the rest is not waited for. */
async function readBeginning(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= ANSWER_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).subarray(0, ANSWER_BYTES_MAX).toString('utf8');
}

/** Seconds or a date (RFC 9110 §10.2.3). */
export function parseRetryAfter(value: string | string[] | undefined, nowMs: number): number | undefined {
  if (typeof value !== 'string') return undefined;
  const isDate = /^[A-Z][a-z]{2}, \d/.test(value);
  const waitMs = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : isDate ? Date.parse(value) - nowMs : Number.NaN;
  return Number.isFinite(waitMs) && waitMs > 0 ? Math.min(waitMs, WAIT_MS_MAX) : undefined;
}

/** What went wrong before there was an answer: the kind of failure, never the address. What we refuse to ask is refused the next time as well. */
function describeFailure(cause: unknown): Answer {
  const inner = cause instanceof Error && cause.cause instanceof CartularyError ? cause.cause : cause;
  if (inner instanceof CartularyError) return { ok: false, permanent: true, text: `not sent: ${inner.message}` };
  if (cause instanceof Error && cause.name === 'TimeoutError')
    return { ok: false, permanent: false, text: 'no answer in time' };
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const kind = /^[A-Z_0-9]{1,40}$/.test(code) ? code : 'it cannot be reached';
  return { ok: false, permanent: false, text: `no answer (${kind})` };
}
