import { describe, expect, it } from 'vitest';

import type { KnownBackup } from '../archive/care.ts';
import { isBackupDue } from './backups.ts';

const at = (text: string): number => Date.parse(text);
const made = (text: string, ok = true): KnownBackup => ({
  time: text,
  atMs: at(text),
  records: 1,
  bytes: 1,
  ms: 1,
  checkMs: 1,
  ok,
  faults: [],
});
const daily = { hours: 24 };
const nightly = { hours: 24, atMinutes: 180 };

describe('a backup is due', () => {
  it.each([
    ['where there is none', daily, [], '2026-11-27T10:00:00Z', true],
    ['a day later', daily, [made('2026-11-26T10:00:00Z')], '2026-11-27T10:00:00Z', true],
    ['not earlier', daily, [made('2026-11-26T10:00:00Z')], '2026-11-27T09:59:59Z', false],
    [
      'where the last one cannot be restored',
      daily,
      [made('2026-11-27T09:00:00Z', false)],
      '2026-11-27T09:30:00Z',
      true,
    ],
    ['at its time of day', nightly, [made('2026-11-26T03:00:05Z')], '2026-11-27T03:00:00Z', true],
    ['not before it', nightly, [made('2026-11-26T03:00:05Z')], '2026-11-27T02:59:59Z', false],
    [
      'not because one was made by hand in between',
      nightly,
      [made('2026-11-26T15:00:00Z')],
      '2026-11-27T02:00:00Z',
      false,
    ],
    ['when it was missed', nightly, [made('2026-11-25T03:00:05Z')], '2026-11-27T01:00:00Z', true],
    ['every six hours', { hours: 6, atMinutes: 30 }, [made('2026-11-27T06:30:10Z')], '2026-11-27T12:30:00Z', true],
    [
      'and not between them',
      { hours: 6, atMinutes: 30 },
      [made('2026-11-27T06:30:10Z')],
      '2026-11-27T12:29:00Z',
      false,
    ],
  ])('%s', (_what, every, backups, now, expected) => {
    expect(isBackupDue(every, { backups }, at(now))).toBe(expected);
  });

  it('after a failure soon, later after each further one, and hourly in the end', () => {
    const wait = (times: number): number => {
      const failure = { sinceMs: 0, atMs: 0, times, cause: 'overloaded' };
      const minutes = Array.from({ length: 61 }, (_none, minute) => minute);
      return minutes.find((minute) => isBackupDue(daily, { backups: [], failure }, minute * 60_000)) ?? Infinity;
    };
    expect([1, 2, 3, 4, 5, 50].map(wait)).toEqual([5, 10, 20, 40, 60, 60]);
  });
});
