/**
 * Small readers over folded text: runs of digits, the words beside them, dates. All look a bounded number of characters far, so that
 * whatever is built on them stays linear.
 */
import { isDigit, isLetter } from './fold.ts';
import { MONTH_STEMS } from './words.ts';

/** Runs of digits of a folded text: where each begins and ends (exclusive). */
export type Runs = { readonly starts: readonly number[]; readonly ends: readonly number[] };

/** Finds all runs of digits. */
export function findRuns(chars: string): Runs {
  const starts: number[] = [];
  const ends: number[] = [];
  const length = chars.length;
  let index = 0;
  while (index < length) {
    if (!isDigit(chars.charCodeAt(index))) {
      index += 1;
      continue;
    }
    starts.push(index);
    index += 1;
    while (index < length && isDigit(chars.charCodeAt(index))) index += 1;
    ends.push(index);
  }
  return { starts, ends };
}

/** A word or a run of digits. */
export type Token = { readonly kind: 'word' | 'digits'; readonly start: number; readonly end: number };

/** The next word or run of digits that begins before `limit`; a word is cut at 40 characters. */
export function findToken(chars: string, from: number, limit: number): Token | undefined {
  const stop = Math.min(limit, chars.length);
  for (let start = from; start < stop; start += 1) {
    const code = chars.charCodeAt(start);
    if (isDigit(code)) {
      let end = start + 1;
      // A run longer than any number that matters need not be read to its end.
      while (end - start < 32 && isDigit(chars.charCodeAt(end))) end += 1;
      return { kind: 'digits', start, end };
    }
    if (isLetter(code)) {
      let end = start + 1;
      while (end - start < 40 && isLetter(chars.charCodeAt(end))) end += 1;
      return { kind: 'word', start, end };
    }
  }
  return undefined;
}

const SEPARATORS = new Set([...' \t\n\r-.,/_|:;()[]\'"+~\\`·•‧・ー。、']);

/** Longest gap between two groups of one number, folded characters. */
const GAP_CHARS_MAX = 4;

/** May two groups of one number be parted by this? Never by nothing, a letter, or a mask. */
export function isGap(chars: string, from: number, to: number): boolean {
  if (to - from > GAP_CHARS_MAX || to <= from) return false;
  for (let index = from; index < to; index += 1)
    if (!SEPARATORS.has(chars.charAt(index)) && !isPictograph(chars.charCodeAt(index))) return false;
  return true;
}

/** Arrows, signs and emoji, by UTF-16 unit: people part digits by them to get past what reads along. */
function isPictograph(code: number): boolean {
  return (
    (code >= 0x2190 && code <= 0x27bf) ||
    (code >= 0x2b00 && code <= 0x2bff) ||
    (code >= 0xd83c && code <= 0xd83e) ||
    (code >= 0xdc00 && code <= 0xdfff)
  );
}

/** Are two runs joined so closely that they read as one number, date or time (`555-1234`, `10:30`, `12.50`)? */
export function isTight(chars: string, from: number, to: number): boolean {
  return to - from === 1 && '.-/:,_'.includes(chars.charAt(from));
}

/** Where a date of expiry that begins at a run of digits ends. */
export type Expiry = { readonly end: number; readonly explicit: boolean };

/**
 * Reads `12/27`, `12 2027`, `1227`, `122027`, `2027-12` as a date of expiry. `explicit` is true for month and year parted by a sign, which
 * nothing but a date is.
 */
export function findExpiry(chars: string, start: number): Expiry | undefined {
  const first = findToken(chars, start, start + 1);
  if (first?.kind !== 'digits') return undefined;
  const length = first.end - first.start;
  const number = Number(chars.slice(first.start, first.end));
  if (length === 4 && isMonth(Math.floor(number / 100)) && !isDigitAfterSlash(chars, first.end)) {
    return { end: first.end, explicit: false };
  }
  if (length === 6 && isMonth(Math.floor(number / 10_000)) && isYear(number % 10_000)) {
    return { end: first.end, explicit: false };
  }
  if (length > 4 || length === 3) return undefined;
  return findPartedExpiry(chars, first, number);
}

function findPartedExpiry(chars: string, first: Token, number: number): Expiry | undefined {
  const second = findToken(chars, first.end, first.end + GAP_CHARS_MAX + 1);
  if (second === undefined) return undefined;
  if (second.kind === 'word') return undefined;
  const gap = chars.slice(first.end, second.start);
  if (!/^\s*[-./|,:;\\]?\s*$/.test(gap) || gap === '') return undefined;
  const explicit = /[-./|\\]/.test(gap);
  const secondLength = second.end - second.start;
  const other = Number(chars.slice(second.start, second.end));
  if (first.end - first.start === 4) {
    return isYear(number) && secondLength <= 2 && isMonth(other) ? { end: second.end, explicit } : undefined;
  }
  if (secondLength === 4) return isMonth(number) && isYear(other) ? { end: second.end, explicit } : undefined;
  if (secondLength !== 2 || !(isMonth(number) || isMonth(other)) || isFullDate(chars, second.end, gap))
    return undefined;
  return { end: second.end, explicit };
}

/** `12/11/2026`, `12/11/26`: a day, not a month of expiry. */
function isFullDate(chars: string, end: number, gap: string): boolean {
  if (gap.length !== 1 || gap === ' ' || chars.charAt(end) !== gap) return false;
  const third = findToken(chars, end + 1, end + 2);
  if (third?.kind !== 'digits') return false;
  const length = third.end - third.start;
  return length === 2 || (length === 4 && isYear(Number(chars.slice(third.start, third.end))));
}

/** Reads `Dec 2027` where a word begins; where it ends. */
export function findNamedExpiry(chars: string, word: Token): number | undefined {
  if (!MONTH_STEMS.has(chars.slice(word.start, word.start + 3))) return undefined;
  const year = findToken(chars, word.end, word.end + 4);
  if (year?.kind !== 'digits') return undefined;
  const length = year.end - year.start;
  return length === 2 || (length === 4 && isYear(Number(chars.slice(year.start, year.end)))) ? year.end : undefined;
}

function isMonth(value: number): boolean {
  return value >= 1 && value <= 12;
}

function isYear(value: number): boolean {
  return value >= 1980 && value <= 2099;
}

function isDigitAfterSlash(chars: string, index: number): boolean {
  return chars.charAt(index) === '/' && isDigit(chars.charCodeAt(index + 1));
}

/** What parts the digits of a code that is spelled one by one. */
const CODE_GAP = /^\s*(?:[-.,;_·•|]|[\u2190-\u27bf\u2b00-\u2bff]|[\ud83c-\ud83e][\udc00-\udfff])?\s*$/;

/** Three or four digits, in one run or spelled one by one (`1 2 3`, `1-2-3`); the runs that make them up. */
export type ShortCode = { readonly runs: readonly Token[]; readonly end: number; readonly digits: number };

/** Reads a code of three or four digits that begins at a run. */
export function findShortCode(chars: string, first: Token): ShortCode | undefined {
  const length = first.end - first.start;
  if (length === 3 || length === 4) return { runs: [first], end: first.end, digits: length };
  if (length > 2) return undefined;
  const runs: Token[] = [first];
  let digits = length;
  let last = first;
  while (digits < 4) {
    const next = findToken(chars, last.end, last.end + GAP_CHARS_MAX + 1);
    if (next?.kind !== 'digits' || next.end - next.start > 2 || digits + next.end - next.start > 4) break;
    if (!CODE_GAP.test(chars.slice(last.end, next.start))) break;
    runs.push(next);
    digits += next.end - next.start;
    last = next;
  }
  return digits >= 3 ? { runs, end: last.end, digits } : undefined;
}

const UNIT_AFTER =
  /^\s{0,2}(?:%|[€$£¥₹₽]|(?:eur|usd|gbp|chf|euro|euros|dollar|kr|zl|am|pm|uhr|h|km|kg|g|ml|cm|mm|gb|mb)(?![a-z]))/;

/**
 * Does a run stand alone, being no part of a date, time, price, telephone number or word? Scripts that part no words may touch it.
 * Looks a few characters to both sides.
 */
export function standsAlone(chars: string, start: number, end: number): boolean {
  const before = chars.charCodeAt(start - 1);
  const after = chars.charCodeAt(end);
  if ((before < 0x0590 && isLetter(before)) || (after < 0x0590 && isLetter(after))) return false;
  if ('.-/:,_'.includes(chars.charAt(start - 1)) && start > 0 && isDigit(chars.charCodeAt(start - 2))) return false;
  if (end < chars.length && '.-/:,_'.includes(chars.charAt(end)) && isDigit(chars.charCodeAt(end + 1))) return false;
  if (start > 0 && '+€$£¥₹₽#%'.includes(chars.charAt(start - 1))) return false;
  if (/[€$£¥₹₽] ?$|(?:eur|usd|gbp|chf|rs|kr) ?$/.test(chars.slice(Math.max(0, start - 4), start))) return false;
  return !UNIT_AFTER.test(chars.slice(end, end + 9));
}
