/** Dates of queries: periods written at any precision become instants, with days that begin where the reader lives. */
import { CartularyError } from '../model/errors.ts';

/** From `startMs` (inclusive) to `endMs` (exclusive), Unix milliseconds. */
export type Period = { readonly startMs: number; readonly endMs: number };

const DAY_MS = 86_400_000;
const CALENDAR = /^(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?$/;
const INSTANT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?(Z|[+-]\d{2}:\d{2})?$/i;
/** Years that the normal form of an instant can hold; also those that mean anything here. */
const YEAR_MIN = 1;
const YEAR_MAX = 9998;
const AGE = /^(\d{1,5})(h|d|w|m|y)$/;

/**
 * Checks a time zone by its IANA name.
 * @throws CartularyError `bad-input`
 */
export function assertTimeZone(timeZone: string): void {
  try {
    zoneFormat(timeZone);
  } catch (cause) {
    throw new CartularyError('bad-input', 'the time zone is not an IANA name such as Europe/Berlin', { cause });
  }
}

/**
 * Reads `2026`, `2026-01`, `2026-01-31`, `2026/01/31`, `2026-01-31T14:05[:06[.789]][Z|+01:00]`, `today`, `yesterday`.
 * @returns the whole period the text names; nothing where it is no date, as with 01/31/2026, which two countries read differently
 */
export function findPeriod(text: string, nowMs: number, timeZone: string): Period | undefined {
  if (text === 'today' || text === 'yesterday') {
    const local = toLocal(nowMs, timeZone);
    const day = (shift: number) => fromLocal(Date.UTC(local.year, local.month - 1, local.day + shift), timeZone);
    return text === 'today' ? { startMs: day(0), endMs: day(1) } : { startMs: day(-1), endMs: day(0) };
  }
  const calendar = CALENDAR.exec(text);
  if (calendar !== null) return findCalendarPeriod(calendar, timeZone);
  const instant = INSTANT.exec(text);
  return instant === null ? undefined : findInstantPeriod(instant, timeZone);
}

/**
 * Reads an age such as `30d`, `6m`, `2y` (h hours, d days, w weeks, m calendar months, y years).
 * @returns the instant that long before `nowMs`
 */
export function findAge(text: string, nowMs: number): number | undefined {
  const match = AGE.exec(text);
  if (match === null) return undefined;
  const count = Number(match[1]);
  if (match[2] === 'h') return nowMs - count * 3_600_000;
  if (match[2] === 'd') return nowMs - count * DAY_MS;
  if (match[2] === 'w') return nowMs - count * 7 * DAY_MS;
  const date = new Date(nowMs);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() - count * (match[2] === 'y' ? 12 : 1));
  const monthDays = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, monthDays));
  return date.getUTCFullYear() >= YEAR_MIN ? date.getTime() : undefined;
}

function findCalendarPeriod(match: RegExpExecArray, timeZone: string): Period | undefined {
  const year = Number(match[1]);
  if (year < YEAR_MIN || year > YEAR_MAX) return undefined;
  if (match[2] === undefined)
    return { startMs: dayStart(year, 1, 1, timeZone), endMs: dayStart(year + 1, 1, 1, timeZone) };
  const month = Number(match[2]);
  if (month < 1 || month > 12) return undefined;
  if (match[3] === undefined) {
    return { startMs: dayStart(year, month, 1, timeZone), endMs: dayStart(year, month + 1, 1, timeZone) };
  }
  const day = Number(match[3]);
  if (!isCalendarDay(year, month, day)) return undefined;
  return { startMs: dayStart(year, month, day, timeZone), endMs: dayStart(year, month, day + 1, timeZone) };
}

function findInstantPeriod(match: RegExpExecArray, timeZone: string): Period | undefined {
  const [year, month, day, hour, minute] = match.slice(1, 6).map(Number) as [number, number, number, number, number];
  const second = Number(match[6] ?? 0);
  if (!isCalendarDay(year, month, day) || hour > 23 || minute > 59 || second > 59) return undefined;
  const milliseconds = match[7] === undefined ? 0 : Number(match[7].padEnd(3, '0'));
  const lengthMs = match[7] !== undefined ? 1 : match[6] !== undefined ? 1000 : 60_000;
  const wall = utcMs(year, month, day) + ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds;
  const zone = match[8];
  if (zone === undefined) {
    const startMs = fromLocal(wall, timeZone);
    return { startMs, endMs: startMs + lengthMs };
  }
  const offset = /z/i.test(zone) ? 0 : (Number(zone.slice(0, 3)) * 60 + Number(zone[0] + zone.slice(4))) * 60_000;
  return { startMs: wall - offset, endMs: wall - offset + lengthMs };
}

function isCalendarDay(year: number, month: number, day: number): boolean {
  if (year < YEAR_MIN || year > YEAR_MAX) return false;
  return month >= 1 && month <= 12 && day >= 1 && new Date(utcMs(year, month, day)).getUTCMonth() === month - 1;
}

/** `Date.UTC` takes years below 100 for 19xx. */
function utcMs(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month - 1, day);
}

function dayStart(year: number, month: number, day: number, timeZone: string): number {
  return fromLocal(utcMs(year, month, day), timeZone);
}

function zoneFormat(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-u-ca-iso8601', {
    timeZone,
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    hourCycle: 'h23',
  });
}

type WallTime = { readonly year: number; readonly month: number; readonly day: number; readonly wallMs: number };

function toLocal(instantMs: number, timeZone: string): WallTime {
  const parts = new Map(
    zoneFormat(timeZone)
      .formatToParts(instantMs)
      .map((part) => [part.type, part.value]),
  );
  const get = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type) ?? 0);
  const year = /^b/i.test(parts.get('era') ?? '') ? 1 - get('year') : get('year');
  const seconds = (get('hour') * 60 + get('minute')) * 60 + get('second');
  return { year, month: get('month'), day: get('day'), wallMs: utcMs(year, get('month'), get('day')) + seconds * 1000 };
}

/**
 * The instant at which clocks of a zone show a wall time (given as if it were UTC). An hour that is skipped in spring becomes the
 * first instant after the gap's start that the shift before it names; of one that occurs twice in autumn the first is taken.
 */
function fromLocal(wallMs: number, timeZone: string): number {
  if (timeZone === 'UTC') return wallMs;
  const offsetAt = (instantMs: number) => toLocal(instantMs, timeZone).wallMs - Math.floor(instantMs / 1000) * 1000;
  // The offsets a day before and after cover any change in between.
  const earlier = wallMs - offsetAt(wallMs - DAY_MS);
  const later = wallMs - offsetAt(wallMs + DAY_MS);
  const fits = [earlier, later].filter((instant) => instant + offsetAt(instant) === wallMs);
  return fits.length > 0 ? Math.min(...fits) : Math.max(earlier, later);
}
