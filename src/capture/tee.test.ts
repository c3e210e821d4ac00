import { describe, expect, it } from 'vitest';

import type { RecordDraft, RecordOutcome } from '../archive/recorder.ts';
import type { Source } from '../archive/registry.ts';
import type { MessageId, SourceId } from '../model/ids.ts';
import { createInlineGaps } from './inline-gaps.ts';
import { isKeptInTime } from './tee.ts';

const SOURCE = { id: 'src_1' as SourceId, connector: 'twilio' } as Source;

/** An archive that keeps what it is told, after failing a number of times. */
function makeArchive(failures = 0): {
  kinds: string[];
  targets: Set<string>;
  record: (drafts: readonly RecordDraft[]) => Promise<RecordOutcome[]>;
} {
  let left = failures;
  const kinds: string[] = [];
  const targets = new Set<string>();
  return {
    kinds,
    targets,
    async record(drafts) {
      if (left-- > 0) throw new Error('the disk is full');
      return drafts.map(({ event }) => {
        kinds.push(event.kind);
        targets.add(event.target.id);
        return { status: 'stored', messageId: 'msg_1' as MessageId, seq: 0, messageNo: 0 };
      });
    },
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a gap in tee mode', () => {
  it('opens at once and closes when all that passed was kept after all', async () => {
    const archive = makeArchive();
    const gaps = createInlineGaps(archive, () => 0, AbortSignal.timeout(10_000));
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    gaps.watch(SOURCE, first.promise);
    gaps.watch(SOURCE, second.promise);
    await settled();
    expect(archive.kinds).toEqual(['gap.opened']);
    first.resolve();
    await settled();
    expect(archive.kinds).toEqual(['gap.opened']);
    second.resolve();
    await settled();
    expect(archive.kinds).toEqual(['gap.opened', 'gap.closed']);
    expect(archive.targets.size).toBe(1);
  });

  it('stays open where one of them was lost, and the next trouble is another gap', async () => {
    const archive = makeArchive();
    const gaps = createInlineGaps(archive, () => 0, AbortSignal.timeout(10_000));
    gaps.watch(SOURCE, Promise.reject(new Error('lost')));
    await settled();
    gaps.watch(SOURCE, Promise.resolve());
    await settled();
    expect(archive.kinds).toEqual(['gap.opened', 'gap.opened', 'gap.closed']);
    expect(archive.targets.size).toBe(2);
  });

  it('is written as soon as it can be, though what was lost it for the messages goes on for a while', async () => {
    const archive = makeArchive(1);
    const gaps = createInlineGaps(archive, () => 0, AbortSignal.timeout(10_000));
    gaps.watch(SOURCE, Promise.reject(new Error('the disk is full')));
    await expect.poll(() => archive.kinds, { timeout: 5000 }).toEqual(['gap.opened']);
  });

  it('is waited for no longer than is allowed', async () => {
    expect(await isKeptInTime(Promise.resolve(), 10_000)).toBe(true);
    expect(await isKeptInTime(Promise.reject(new Error('x')), 10_000)).toBe(false);
    expect(await isKeptInTime(new Promise(() => undefined), 1)).toBe(false);
  });
});
