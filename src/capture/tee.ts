/**
 * Tee mode: we stand in front of the shop's own handler because the platform allows one URL only. What arrives is passed on byte for byte with all its
 * headers, and the handler's answer is the platform's answer. If we fail or take too long, the shop's traffic goes on and a gap opens.
 */
import { Agent, request as send } from 'undici';

import type { Archive } from '../archive/archive.ts';
import { SYSTEM_ACTOR } from '../archive/recorder.ts';
import type { Source } from '../archive/registry.ts';
import type { Envelope } from '../model/envelope.ts';
import { receiptInstant } from '../model/time.ts';
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

/** Passes an envelope on. An unreachable handler answers 502, so that the platform sends again. */
export async function passOn(teeUrl: string, envelope: Envelope): Promise<TeeAnswer> {
  const target = new URL(teeUrl);
  target.search = new URL(envelope.url).search || target.search;
  try {
    const answer = await send(target, {
      dispatcher: agent,
      method: envelope.method === 'GET' ? 'GET' : 'POST',
      headers: envelope.headers.filter(([name]) => !HOP_HEADERS.has(name.toLowerCase())).flat(),
      body: envelope.method === 'GET' ? null : Buffer.from(envelope.body),
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
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMs);
  });
  try {
    return await Promise.race([
      keeping.then(
        () => true,
        () => false,
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Opens a gap: something passed us that may not have been kept. */
export async function openInlineGap(archive: Archive, source: Source, nowMs: number): Promise<void> {
  await archive.record([
    {
      actor: SYSTEM_ACTOR,
      capturedAtMs: nowMs,
      source: source.id,
      event: {
        kind: 'gap.opened',
        reason: 'inline-failed-open',
        asked: [],
        target: { platform: source.connector, account: source.id, id: `inline-gap:${crypto.randomUUID()}` },
        occurredAt: receiptInstant(nowMs),
      },
    },
  ]);
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
