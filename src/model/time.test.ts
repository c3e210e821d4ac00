import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  formatInstant,
  parseEpochInstant,
  parseIsoInstant,
  parseRfc2822Instant,
  receiptInstant,
  TIME_MS_MAX,
} from './time.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number): string => String(value).padStart(2, '0');
const anyMs = fc.integer({ min: 0, max: TIME_MS_MAX });

/** An offset from UTC as text, and in minutes. */
const offset = fc.integer({ min: -14 * 60, max: 14 * 60 }).map((minutes) => {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return { minutes, hhmm: `${minutes < 0 ? '-' : '+'}${two(hours)}${two(rest)}` };
});

describe('ISO 8601 times', () => {
  it('come back as the point in time that was written, in any zone', () => {
    fc.assert(
      fc.property(anyMs, offset, fc.boolean(), (ms, { minutes, hhmm }, withColon) => {
        const localMs = ms + minutes * 60_000;
        fc.pre(localMs >= 0 && localMs <= TIME_MS_MAX);
        const zone = withColon ? `${hhmm.slice(0, 3)}:${hhmm.slice(3)}` : hhmm;
        const text = new Date(localMs).toISOString().replace('Z', zone);
        expect(parseIsoInstant(text, 'file')).toEqual({ ms, precision: 'ms', zone: 'offset', origin: 'file' });
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  it('are written so that they can be read again', () => {
    fc.assert(
      fc.property(anyMs, (ms) => {
        expect(parseIsoInstant(formatInstant(receiptInstant(ms)), 'receipt')).toEqual(receiptInstant(ms));
      }),
      { seed: 12, numRuns: 500 },
    );
  });

  it('take date and time apart with T, t or a space, the fraction with a point or a comma, the zone as Z or z', () => {
    const ms = Date.UTC(2026, 10, 22, 10, 0, 0, 500);
    for (const text of ['2026-11-22T10:00:00.5Z', '2026-11-22t10:00:00,5z', ' 2026-11-22 10:00:00.500 Z '])
      expect(parseIsoInstant(text, 'provider')).toEqual({ ms, precision: 'ms', zone: 'utc', origin: 'provider' });
  });

  it('lose what is finer than a millisecond, but say how fine it was', () => {
    expect(parseIsoInstant('2026-11-22T10:00:00.999999999Z', 'file')).toMatchObject({
      ms: Date.UTC(2026, 10, 22, 10, 0, 0, 999),
      precision: 'ns',
    });
  });

  it.each([
    '2026-02-30',
    '2026-02-29T00:00Z',
    '2026-04-31T10:00:00Z',
    '2026-00-10',
    '2026-01-00',
    '2026-11-22T24:00:01Z',
    '2026-11-22T10:60Z',
    '2026-11-22T10:00:00+24:00',
    '2026-11-22T10:00:00.1234567890Z',
    '20261122T100000Z',
    '+002026-11-22',
  ])('refuse %j, which is no time, rather than moving it', (text) => {
    expect(parseIsoInstant(text, 'file')).toBeUndefined();
  });

  it('know leap days', () => {
    expect(parseIsoInstant('2028-02-29', 'file')?.ms).toBe(Date.UTC(2028, 1, 29));
    expect(parseIsoInstant('2100-02-29', 'file')).toBeUndefined();
  });

  it('end with the year 9999, also where the zone would carry them beyond', () => {
    expect(parseIsoInstant('9999-12-31T23:59:59.999Z', 'file')?.ms).toBe(TIME_MS_MAX);
    expect(parseIsoInstant('9999-12-31T23:59:59-12:00', 'file')).toBeUndefined();
  });

  it('never throw, and give nothing that cannot be written', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789-+:.,TtZz '), maxLength: 40 });
    fc.assert(
      fc.property(fc.oneof(digits, fc.string({ maxLength: 60 })), (text) => {
        const instant = parseIsoInstant(text, 'file');
        if (instant !== undefined) expect(formatInstant(instant)).toMatch(/^\d{4}-/);
      }),
      { seed: 13, numRuns: 2000 },
    );
  });
});

describe('RFC 2822 times', () => {
  it('come back as the second that was written, in any zone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), offset, (seconds, { minutes, hhmm }) => {
        const at = new Date((seconds + minutes * 60) * 1000);
        fc.pre(at.getTime() >= 0);
        const text = `${DAYS[at.getUTCDay()]}, ${two(at.getUTCDate())} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} ${hhmm}`;
        expect(parseRfc2822Instant(text, 'provider')?.ms).toBe(seconds * 1000);
      }),
      { seed: 14, numRuns: 500 },
    );
  });

  it('tell UTC by its name from an offset, be it nought', () => {
    expect(parseRfc2822Instant('Thu, 30 Jul 2015 20:12:31 GMT', 'provider')?.zone).toBe('utc');
    expect(parseRfc2822Instant('Thu, 30 Jul 2015 20:12:31 +0000', 'provider')?.zone).toBe('offset');
    expect(parseRfc2822Instant('Thu, 30 Jul 2015 20:12:31 +0200', 'provider')?.zone).toBe('offset');
  });

  it.each([
    'Sat, 31 Feb 2015 20:12:31 +0000',
    'Thu, 30 Jul 2015 25:12:31 +0000',
    'Thu, 30 Juy 2015 20:12:31 +0000',
    'Thu, 30 Jul 2015 20:12:31 +9999',
    'Thu, 30 Jul 2015 20:12:31',
    'Thu, 30 Jul 9999 23:12:31 +0000x',
  ])('refuse %j', (text) => {
    expect(parseRfc2822Instant(text, 'provider')).toBeUndefined();
  });
});

describe('counts since 1970', () => {
  it('are exact to the millisecond, however they are written', () => {
    fc.assert(
      fc.property(anyMs, (ms) => {
        const seconds = `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, '0')}`;
        expect(parseEpochInstant(seconds, 's', 'file')?.ms).toBe(ms);
        expect(parseEpochInstant(ms, 'ms', 'file')?.ms).toBe(ms);
        expect(parseEpochInstant(String(ms), 'ms', 'file')?.ms).toBe(ms);
      }),
      { seed: 15, numRuns: 5000 },
    );
  });

  it('say how exact they are', () => {
    const precisionOf = (text: string, unit: 's' | 'ms') => parseEpochInstant(text, unit, 'file')?.precision;
    expect(precisionOf('1700000000', 's')).toBe('s');
    expect(precisionOf('1700000000.5', 's')).toBe('ms');
    expect(precisionOf('1700000000.123456', 's')).toBe('us');
    expect(precisionOf('1700000000.123456789', 's')).toBe('ns');
    expect(precisionOf('1700000000123', 'ms')).toBe('ms');
    expect(precisionOf('1700000000123.5', 'ms')).toBe('us');
    expect(precisionOf('1700000000123.4567', 'ms')).toBe('ns');
  });

  it.each(['1e9', '0x10', '-1', '1.', '.5', '١٢٣', '253402300800', 'NaN', 'Infinity'])('refuse %j', (text) => {
    expect(parseEpochInstant(text, 's', 'file')).toBeUndefined();
  });

  it('refuse numbers that are none', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1, 1e21])
      expect(parseEpochInstant(value, 'ms', 'file')).toBeUndefined();
  });
});
