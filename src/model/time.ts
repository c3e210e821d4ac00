/**
 * A point in time with what is known about it: how exact it is, how its zone was known, and who said so. Two texts whose times differ in
 * origin must not be put in order by milliseconds alone, hence all four travel together.
 */

/** How exact a time is. */
export type TimePrecision = 'ns' | 'us' | 'ms' | 's' | 'min' | 'day';
/** How its zone was known: stated as UTC, stated with an offset, or assumed from settings. */
export type TimeZoneBasis = 'utc' | 'offset' | 'assumed';
/** Who said so: the platform, the transport (an HTTP header), a file, or our own clock at receipt. */
export type TimeOrigin = 'provider' | 'transport' | 'file' | 'receipt';

/** A point in time, in milliseconds since 1970-01-01T00:00Z, with its precision, zone basis and origin. */
export type Instant = {
  readonly ms: number;
  readonly precision: TimePrecision;
  readonly zone: TimeZoneBasis;
  readonly origin: TimeOrigin;
};

/** Largest time kept: the end of year 9999; beyond it dates cannot be written as RFC 3339. */
export const TIME_MS_MAX = 253_402_300_799_999;

/** Smallest time kept: the beginning of year 0. */
const TIME_MS_MIN = -62_167_219_200_000;

/** Our own clock at the moment of receipt. */
export function receiptInstant(ms: number): Instant {
  return { ms, precision: 'ms', zone: 'utc', origin: 'receipt' };
}

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:\s?([Zz]|[+-]\d\d:?\d\d))?)?$/;

/**
 * Reads an RFC 3339 / ISO 8601 date or date-time.
 * @returns undefined where it is not one; without an offset the zone basis is `assumed` (UTC)
 */
export function parseIsoInstant(text: string, origin: TimeOrigin): Instant | undefined {
  const match = RFC3339.exec(text.trim());
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const clock = hour === undefined ? 'T00:00' : `T${hour}:${minute ?? '00'}`;
  const offset =
    zone === undefined
      ? 'Z'
      : zone.toUpperCase() === 'Z'
        ? 'Z'
        : zone.length === 5
          ? `${zone.slice(0, 3)}:${zone.slice(3)}`
          : zone;
  const ms = Date.parse(
    `${year}-${month}-${day}${clock}:${second ?? '00'}.${(fraction ?? '0').padEnd(3, '0').slice(0, 3)}${offset}`,
  );
  if (!isKept(ms) || !isDayOfMonth(Number(year), Number(month), Number(day))) return undefined;
  return { ms, precision: isoPrecision(hour, second, fraction), zone: zoneBasis(zone), origin };
}

/** Can this time be written as RFC 3339? A zone may carry a time that can be read beyond the last year that can be written. */
function isKept(ms: number): boolean {
  return Number.isFinite(ms) && ms >= TIME_MS_MIN && ms <= TIME_MS_MAX;
}

/** `Date.parse` takes 30 February for 2 March; a time that was never written must not be kept. */
function isDayOfMonth(year: number, month: number, day: number): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function isoPrecision(
  hour: string | undefined,
  second: string | undefined,
  fraction: string | undefined,
): TimePrecision {
  if (hour === undefined) return 'day';
  if (second === undefined) return 'min';
  return fractionPrecision(fraction?.length ?? 0);
}

function fractionPrecision(digits: number): TimePrecision {
  if (digits === 0) return 's';
  if (digits <= 3) return 'ms';
  return digits <= 6 ? 'us' : 'ns';
}

function zoneBasis(zone: string | undefined): TimeZoneBasis {
  if (zone === undefined) return 'assumed';
  return zone.toUpperCase() === 'Z' ? 'utc' : 'offset';
}

const RFC2822 = /^[A-Za-z]{3}, (\d{1,2}) ([A-Za-z]{3}) (\d{4}) \d\d:\d\d:\d\d ([+-]\d{4}|GMT)$/;
const RFC2822_MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/**
 * Reads an RFC 2822 date such as Twilio's `Thu, 30 Jul 2015 20:12:31 +0000`.
 * @returns undefined where it is not one
 */
export function parseRfc2822Instant(text: string, origin: TimeOrigin): Instant | undefined {
  const match = RFC2822.exec(text.trim());
  const [, day, month = '', year, zone = ''] = match ?? [];
  const isZone = zone === 'GMT' || (Number(zone.slice(1, 3)) < 24 && Number(zone.slice(3)) < 60);
  const monthNumber = RFC2822_MONTHS.indexOf(month.toLowerCase()) + 1;
  if (match === null || !isZone || !isDayOfMonth(Number(year), monthNumber, Number(day))) return undefined;
  const ms = Date.parse(match[0]);
  if (!isKept(ms)) return undefined;
  return { ms, precision: 's', zone: zone === 'GMT' ? 'utc' : 'offset', origin };
}

/**
 * Reads a count of seconds or milliseconds since 1970, as a decimal text or number; undefined where it is not one. The point is moved, not
 * multiplied away, since in binary most decimal fractions times a thousand fall short of a whole number.
 */
export function parseEpochInstant(value: string | number, unit: 's' | 'ms', origin: TimeOrigin): Instant | undefined {
  const match = /^(\d{1,15})(?:\.(\d{1,9}))?$/.exec(String(value).trim());
  const [, whole, fraction = ''] = match ?? [];
  if (whole === undefined) return undefined;
  const shift = unit === 's' ? 3 : 0;
  const ms = Number(whole + fraction.padEnd(shift, '0').slice(0, shift));
  if (ms > TIME_MS_MAX) return undefined;
  return { ms, precision: fractionPrecision(fraction.length + 3 - shift), zone: 'utc', origin };
}

/** Writes a time as RFC 3339 in UTC with milliseconds. */
export function formatInstant(instant: Instant): string {
  return new Date(instant.ms).toISOString();
}
