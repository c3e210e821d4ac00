import { describe, expect, it } from 'vitest';

import { createAdmission, TOO_BUSY } from './admission.ts';

/** An admission whose clock the test moves. */
function openAdmission() {
  const clock = { ms: 1000 };
  const told: [string, number][] = [];
  const admission = createAdmission({
    now: () => clock.ms,
    onRefused: (why, count) => told.push([why, count]),
  });
  /** Lets in as many; each leaves when its function is called. */
  const enter = (count: number, bytes = 500): (() => Promise<void>)[] =>
    Array.from({ length: count }, () => {
      let end: () => void = () => undefined;
      const done = admission.admit(bytes, () => new Promise<void>((resolve) => (end = resolve)));
      return () => {
        end();
        return done;
      };
    });
  return { admission, clock, told, enter };
}

describe('admission', () => {
  it('lets in no more than a number at once, and takes again as they leave', async () => {
    const { admission, enter } = openAdmission();
    const leave = enter(1000);
    expect(admission.isFull()).toBe(true);
    const works: number[] = [];
    await expect(admission.admit(1, async () => works.push(1))).rejects.toMatchObject({ code: 'overloaded' });
    expect(works).toEqual([]);
    await leave[500]?.();
    expect(admission.isFull()).toBe(false);
    enter(1);
    expect(admission.isFull()).toBe(true);
  });

  it('refuses while the oldest has waited too long, and no longer than that', async () => {
    const { admission, clock, enter } = openAdmission();
    const [oldest] = enter(1);
    clock.ms += 300;
    enter(99);
    expect(admission.isFull()).toBe(false);
    clock.ms += 101;
    expect(admission.isFull()).toBe(true);
    await oldest?.();
    expect(admission.isFull()).toBe(false);
  });

  it('lets few wait as long as it takes', () => {
    const { admission, clock, enter } = openAdmission();
    enter(63);
    clock.ms += 60_000;
    expect(admission.isFull()).toBe(false);
    enter(1);
    expect(admission.isFull()).toBe(true);
  });

  it('counts bytes, and gives them back', async () => {
    const { admission, enter } = openAdmission();
    const leave = enter(4, 8 * 1024 * 1024);
    expect(admission.isFull()).toBe(true);
    await leave[0]?.();
    expect(admission.isFull()).toBe(false);
    enter(1, 8 * 1024 * 1024);
    expect(admission.isFull()).toBe(true);
  });

  it('gives back what failed as well', async () => {
    const { admission } = openAdmission();
    const failing = async (): Promise<void> => {
      throw new Error('no');
    };
    for (let count = 0; count < 10; count += 1)
      await expect(admission.admit(8 * 1024 * 1024, failing)).rejects.toThrow('no');
    expect(admission.isFull()).toBe(false);
  });

  it('tells of the first refusal at once, and of those after it together', () => {
    const { admission, clock, told } = openAdmission();
    for (let count = 0; count < 5000; count += 1) admission.noteRefusal(TOO_BUSY);
    admission.noteRefusal('the disk is full');
    clock.ms += 10_000;
    admission.noteRefusal(TOO_BUSY);
    expect(told).toEqual([
      [TOO_BUSY, 1],
      ['the disk is full', 1],
      [TOO_BUSY, 5000],
    ]);
  });
});
