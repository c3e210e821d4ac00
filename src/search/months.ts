/**
 * Which file a message stands in, and at which row.
 *
 * One file a calendar month (UTC) of sending, `index-2026-01.db`; what was sent before 1970 or after 2099, or at no time at all, goes to
 * `index-undated.db`. In a month a row number is the millisecond of the month, in `undated` the message number. Where two messages
 * share a millisecond the later one takes the next free row; its exact time is then kept in the row (`at`).
 * Small row numbers matter: each word of a message stores the distance to the row before. With 20 more bits for the message number,
 * the index of 80,000 chat messages was 374 bytes a message; with milliseconds alone it is 256, measured before page packing.
 */
/** `2026-01`, or `undated`. */
export type Month = string;

/** The month of what has no credible date. */
export const UNDATED: Month = 'undated';

const DATED_END_MS = Date.UTC(2100, 0, 1);
const FILE_NAME = /^index-(\d{4}-\d{2}|undated)\.db$/;
const SAFE_MS_MAX = 8_640_000_000_000_000;

/** A time as it is kept: whole milliseconds within what a Date can hold; no number at all is undated. */
export function toSentAt(sentAtMs: number): number {
  if (Number.isNaN(sentAtMs)) return -1;
  return Math.min(SAFE_MS_MAX, Math.max(-SAFE_MS_MAX, Math.floor(sentAtMs)));
}

/** The month a message is filed under. */
export function monthOf(sentAtMs: number): Month {
  if (!(sentAtMs >= 0 && sentAtMs < DATED_END_MS)) return UNDATED;
  const date = new Date(sentAtMs);
  return `${date.getUTCFullYear()}-${String(date.getUTCMonth() + 1).padStart(2, '0')}`;
}

/** First and last (exclusive) millisecond of a month; everything for `undated`. */
export function monthBounds(month: Month): { readonly startMs: number; readonly endMs: number } {
  if (month === UNDATED) return { startMs: -Infinity, endMs: Infinity };
  const year = Number(month.slice(0, 4));
  const index = Number(month.slice(5)) - 1;
  return { startMs: Date.UTC(year, index, 1), endMs: Date.UTC(year, index + 1, 1) };
}

/** Name of a month's file. */
export function monthFileName(month: Month): string {
  return `index-${month}.db`;
}

/** Months among the names of a directory, oldest first; `undated` before all. */
export function listMonths(names: readonly string[]): Month[] {
  const months = names.flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []);
  return months.sort((a, b) => (a === b ? 0 : a === UNDATED || (b !== UNDATED && a < b) ? -1 : 1));
}
