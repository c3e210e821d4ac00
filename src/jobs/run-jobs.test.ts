import { describe, expect, it } from 'vitest';

import { drainJobs, nextTry } from './run-jobs.ts';

describe('jobs', () => {
  // Eight were claimed together and waited for together: one host that dribbled its bytes held up all media for ten minutes.
  it('are done beside one that takes long', async () => {
    const waiting = [1, 2, 3, 4, 5, 6];
    const done: number[] = [];
    let release: () => void = () => undefined;
    await drainJobs<number>({
      slots: 2,
      signal: new AbortController().signal,
      claim: async (limit) => waiting.splice(0, limit),
      async work(job) {
        if (job === 1) await new Promise<void>((resolve) => (release = resolve));
        done.push(job);
        if (job === 6) release();
      },
    });
    expect(done).toEqual([2, 3, 4, 5, 6, 1]);
  });

  it('leave their neighbours alone when they fail, and say so at the end', async () => {
    const waiting = [1, 2, 3];
    const done: number[] = [];
    const drained = drainJobs<number>({
      slots: 2,
      signal: new AbortController().signal,
      claim: async (limit) => waiting.splice(0, limit),
      async work(job) {
        if (job === 1) throw new Error('no');
        done.push(job);
      },
    });
    await expect(drained).rejects.toThrow('no');
    expect(done).toEqual([2, 3]);
  });

  it('end when they are told to, and not before what runs is done', async () => {
    const stop = new AbortController();
    let done = 0;
    await drainJobs<number>({
      slots: 1,
      signal: stop.signal,
      claim: async () => [1],
      async work() {
        stop.abort();
        await Promise.resolve();
        done += 1;
      },
    });
    expect(done).toBe(1);
  });
});

describe('the next try', () => {
  const now = 1_000_000_000;

  it('comes later each time, and as late as the other side asks', () => {
    expect(nextTry({ attempts: 1 }, { nowMs: now, triesMax: 60 })).toBe(now + 2_000);
    expect(nextTry({ attempts: 4 }, { nowMs: now, triesMax: 60 })).toBe(now + 60_000);
    expect(nextTry({ attempts: 50 }, { nowMs: now, triesMax: 60 })).toBe(now + 3_600_000);
    expect(nextTry({ attempts: 1 }, { nowMs: now, triesMax: 60, afterMs: 7_000 })).toBe(now + 7_000);
  });

  // A medium that would be lost in 50 minutes was given up at once because the next try was due in an hour.
  it('is made shortly before the loss rather than not at all', () => {
    const job = { attempts: 9, lossAtMs: now + 3_000_000 };
    expect(nextTry(job, { nowMs: now, triesMax: 60 })).toBe(now + 2_970_000);
    expect(nextTry(job, { nowMs: now + 2_970_000, triesMax: 60 })).toBeUndefined();
  });

  it('is not made after too many', () => {
    expect(nextTry({ attempts: 60 }, { nowMs: now, triesMax: 60 })).toBeUndefined();
  });
});
