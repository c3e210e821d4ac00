import { describe, expect, it } from 'vitest';

import { createGroupQueue } from './group-queue.ts';
import type { AppendResult } from './store.ts';

type Item = { readonly no: number; readonly bytes?: number; readonly bad?: true };

/** A queue whose groups are sent when the test says so. */
function openQueue() {
  const sent: { numbers: number[]; done(): void; fail(cause: unknown): void }[] = [];
  const queue = createGroupQueue<Item, number[]>({
    bytesOf: ({ bytes = 1 }) => bytes,
    open: () => [],
    add(group, item) {
      if (item.bad === true) throw new RangeError('it does not fit');
      group.push(item.no);
    },
    send: (numbers) =>
      new Promise<AppendResult[]>((resolve, reject) => {
        sent.push({
          numbers,
          done: () => resolve(numbers.map((no) => ({ status: 'stored', seq: no, messageNo: no }))),
          fail: reject,
        });
      }),
  });
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(() => setImmediate(resolve));
    });
  return { queue, sent, turn };
}

const seqs = (results: readonly AppendResult[]): number[] =>
  results.map((result) => (result.status === 'stored' ? result.seq : -1));

describe('a queue of groups', () => {
  it('answers nobody before its group is carried out, and each with its own results', async () => {
    const { queue, sent, turn } = openQueue();
    const answered: number[] = [];
    const one = queue.push([{ no: 1 }, { no: 2 }]).finally(() => answered.push(1));
    const other = queue.push([{ no: 3 }]).finally(() => answered.push(2));
    await turn();
    expect(sent.map(({ numbers }) => numbers)).toEqual([[1, 2, 3]]);
    expect(answered).toEqual([]);
    sent[0]?.done();
    expect([seqs(await one), seqs(await other)]).toEqual([[1, 2], [3]]);
  });

  // The items that had been taken before the bad one shifted the answers of all that came after: somebody was told of another's commit.
  it('gives nobody the answer of another where an item cannot be taken', async () => {
    const { queue, sent, turn } = openQueue();
    const bad = queue.push([{ no: 1 }, { no: 2, bad: true }, { no: 3 }]);
    const good = queue.push([{ no: 4 }]);
    await expect(bad).rejects.toThrow('it does not fit');
    await turn();
    sent[0]?.done();
    expect(seqs(await good)).toEqual([4]);
    await queue.drain();
  });

  it('refuses what is too much as overloaded, and takes it again when there is room', async () => {
    const { queue, sent, turn } = openQueue();
    const large = { no: 1, bytes: 60 * 1024 * 1024 };
    const first = queue.push([large]);
    await expect(queue.push([{ ...large, no: 2 }])).rejects.toMatchObject({ code: 'overloaded' });
    await expect(queue.push([{ ...large, no: 3, bad: true }])).rejects.toMatchObject({ code: 'overloaded' });
    await turn();
    sent[0]?.done();
    await first;
    // What could not be taken must not count for ever.
    await expect(queue.push([{ ...large, no: 4, bad: true }])).rejects.toThrow('it does not fit');
    const later = queue.push([{ ...large, no: 5 }]);
    await turn();
    sent.at(-1)?.done();
    expect(seqs(await later)).toEqual([5]);
  });

  it('tells everybody of a group that it failed, and goes on', async () => {
    const { queue, sent, turn } = openQueue();
    const pushed = [queue.push([{ no: 1 }]), queue.push([{ no: 2 }])].map((one) => one.catch(String));
    await turn();
    sent[0]?.fail(new Error('no'));
    expect(await Promise.all(pushed)).toEqual(['Error: no', 'Error: no']);
    const next = queue.push([{ no: 3 }]);
    await turn();
    sent[1]?.done();
    expect(seqs(await next)).toEqual([3]);
    await queue.drain();
  });
});
