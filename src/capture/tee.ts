/**
 * Tee mode: we stand in front of the shop's own handler because the platform allows one URL only. What arrives is passed on byte for byte with all its
 * headers, and the handler's answer is the platform's answer. If we fail or take too long, the shop's traffic goes on and a gap opens.
 */
import { setTimeout } from 'node:timers/promises';

import { Agent, request as send } from 'undici';

import type { Archive } from '../archive/archive.ts';
import { SYSTEM_ACTOR } from '../archive/recorder.ts';
import type { RecordDraft } from '../archive/recorder.ts';
import type { Source } from '../archive/registry.ts';
import type { Envelope } from '../model/envelope.ts';
import type { MessageKey } from '../model/event.ts';
import type { SourceId } from '../model/ids.ts';
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

/** What passed a source in tee mode without being kept in time. */
export type InlineGaps = {
  /** Opens a gap for a source, or widens the one that is open; it closes when all that passed was kept after all. */
  watch(source: Source, keeping: Promise<unknown>): void;
};

type OpenGap = { late: number; isLost: boolean; readonly written: Promise<MessageKey> };

/** Waits between tries to put a gap on record, milliseconds. */
const GAP_RETRY_MS = 1_000;

/** Keeps the gaps of tee mode: one for each source at a time, so that an hour of trouble is not an hour of gap records. */
export function createInlineGaps(archive: Pick<Archive, 'record'>, now: () => number, signal: AbortSignal): InlineGaps {
  const open = new Map<SourceId, OpenGap>();
  const settle = async (source: Source, gap: OpenGap, isLost: boolean): Promise<void> => {
    gap.late -= 1;
    gap.isLost ||= isLost;
    if (gap.late > 0) return;
    open.delete(source.id);
    const target = await gap.written;
    if (!gap.isLost) await write(archive, signal, gapDraft(source, target, 'gap.closed', now()));
  };
  return {
    watch(source, keeping) {
      const known = open.get(source.id);
      const gap = known ?? { late: 0, isLost: false, written: begin(archive, signal, source, now()) };
      open.set(source.id, gap);
      gap.late += 1;
      void keeping.then(
        () => settle(source, gap, false),
        () => settle(source, gap, true),
      );
    },
  };
}

async function begin(
  archive: Pick<Archive, 'record'>,
  signal: AbortSignal,
  source: Source,
  nowMs: number,
): Promise<MessageKey> {
  const target = { platform: source.connector, account: source.id, id: `inline-gap:${crypto.randomUUID()}` };
  await write(archive, signal, gapDraft(source, target, 'gap.opened', nowMs));
  return target;
}

function gapDraft(source: Source, target: MessageKey, kind: 'gap.opened' | 'gap.closed', nowMs: number): RecordDraft {
  const reason = 'inline-failed-open';
  return {
    actor: SYSTEM_ACTOR,
    capturedAtMs: nowMs,
    source: source.id,
    event: {
      target,
      occurredAt: receiptInstant(nowMs),
      dedupe: `${kind}|${target.id}`,
      ...(kind === 'gap.opened' ? { kind, reason, asked: [] } : { kind, reason }),
    },
  };
}

/** Records, and tries again until it stands: what keeps messages from being kept keeps gaps from it as well. */
async function write(archive: Pick<Archive, 'record'>, signal: AbortSignal, draft: RecordDraft): Promise<void> {
  while (!signal.aborted) {
    const [outcome] = await archive.record([draft]).catch(() => []);
    if (outcome?.status === 'stored' || outcome?.status === 'duplicate') return;
    await setTimeout(GAP_RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
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
