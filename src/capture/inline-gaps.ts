/** Gaps of tee mode: what passed a source on its way to the shop without being kept in time. */
import { setTimeout } from 'node:timers/promises';

import type { Archive } from '../archive/archive.ts';
import { SYSTEM_ACTOR } from '../archive/recorder.ts';
import type { RecordDraft } from '../archive/recorder.ts';
import type { Source } from '../archive/registry.ts';
import type { MessageKey } from '../model/event.ts';
import type { SourceId } from '../model/ids.ts';
import { receiptInstant } from '../model/time.ts';

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
