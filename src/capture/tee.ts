/**
 * Tee mode: we stand in front of the shop's own handler because the platform allows one URL only. What arrives is passed on byte for byte with all its
 * headers, and the handler's answer is the platform's answer. If we fail or take too long, the shop's traffic goes on and a gap opens.
 */
import { setTimeout } from 'node:timers/promises';

import { Agent, request as send } from 'undici';

import type { Envelope } from '../model/envelope.ts';
import { LIMITS } from './limits.ts';

/** What the shop's handler answered. */
export type TeeAnswer = {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
};

const agent = new Agent({ connect: { timeout: 5000 }, connections: 64 });
/** Headers that belong to one connection (RFC 9110 §7.6.1) or are made anew. */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
]);

/** A request as it came, before anything was unpacked. */
export type PassedRequest = Pick<Envelope, 'method' | 'url' | 'headers' | 'body'>;

/** Passes a request on. An unreachable handler answers 502, so that the platform sends again. */
export async function passOn(teeUrl: string, request: PassedRequest): Promise<TeeAnswer> {
  const target = new URL(teeUrl);
  target.search = new URL(request.url).search || target.search;
  try {
    const answer = await send(target, {
      dispatcher: agent,
      method: request.method === 'GET' ? 'GET' : 'POST',
      headers: request.headers.filter(([name]) => !HOP_HEADERS.has(name.toLowerCase())).flat(),
      body: request.method === 'GET' ? null : Buffer.from(request.body),
      headersTimeout: LIMITS.teeTimeoutMs,
      bodyTimeout: LIMITS.teeTimeoutMs,
    });
    return { status: answer.statusCode, headers: answerHeaders(answer.headers), body: await readLimited(answer.body) };
  } catch {
    return {
      status: 502,
      headers: [['content-type', 'text/plain; charset=utf-8']],
      body: Buffer.from('the handler behind this archive did not answer'),
    };
  }
}

/** Waits for our own keeping as long as an inline source may wait. */
export async function isKeptInTime(keeping: Promise<unknown>, waitMs: number = LIMITS.inlineWaitMs): Promise<boolean> {
  const waiting = new AbortController();
  const late = setTimeout(waitMs, false, { signal: waiting.signal }).catch(() => false);
  const kept = keeping.then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([kept, late]);
  } finally {
    waiting.abort();
  }
}

function answerHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): [string, string][] {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_HEADERS.has(name)) continue;
    for (const one of Array.isArray(value) ? value : [value]) kept.push([name, one]);
  }
  return kept;
}

async function readLimited(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > LIMITS.teeAnswerBytesMax) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
