/**
 * Finds the contents of a card's magnetic stripe (ISO/IEC 7813) in folded text: track 1 (`%B4111…^SMITH/JOHN^2712101…?`) and track 2
 * (`;4111…=2712101…?`, or with `D` for `=` as terminals print it), with or without their sentinels. The whole of it is masked.
 */
import { isDigit, isLetter } from './fold.ts';
import { fitsLuhn, issuerLengths, leadingSix } from './issuers.ts';
import type { Runs } from './tokens.ts';

/** A piece of track data. */
export type TrackSpan = { readonly start: number; readonly end: number };

const PAN_DIGITS_MIN = 12;
const PAN_DIGITS_MAX = 19;
/** Track 1 has at most 79 characters; a few more for spaces that a paste puts in. */
const TRACK_CHARS_MAX = 96;
const NAME_CHARS_MAX = 40;

/** Finds all track data. */
export function findTrackData(chars: string, runs: Runs): TrackSpan[] {
  const found: TrackSpan[] = [];
  for (let run = 0; run < runs.starts.length; run += 1) {
    const end = runs.ends[run] ?? 0;
    const sign = signAfter(chars, end);
    if (sign === undefined) continue;
    const start = panStart(chars, end);
    if (start === undefined) continue;
    const span = sign.char === '^' ? trackOne(chars, start, sign.at) : trackTwo(chars, start, end, sign.at);
    if (span !== undefined) found.push(span);
  }
  return found;
}

/** The field separator right behind a run, a space at most in between. */
function signAfter(chars: string, end: number): { readonly char: string; readonly at: number } | undefined {
  const at = chars.charAt(end) === ' ' ? end + 1 : end;
  const char = chars.charAt(at);
  return char === '^' || char === '=' || (char === 'd' && at === end) ? { char, at } : undefined;
}

/** Where the number of 12 to 19 digits that ends here begins; groups may be parted by single spaces, digits may be masked already. */
function panStart(chars: string, end: number): number | undefined {
  let at = end;
  let digits = 0;
  let start = end;
  while (digits <= PAN_DIGITS_MAX) {
    if (isDigit(chars.charCodeAt(at - 1)) || chars.charAt(at - 1) === '*') {
      at -= 1;
      digits += 1;
      start = at;
    } else if (chars.charAt(at - 1) === ' ' && isDigit(chars.charCodeAt(at - 2))) at -= 1;
    else break;
  }
  return digits >= PAN_DIGITS_MIN && digits <= PAN_DIGITS_MAX ? start : undefined;
}

function trackOne(chars: string, start: number, caret: number): TrackSpan | undefined {
  const second = chars.slice(caret + 1, caret + 1 + NAME_CHARS_MAX).indexOf('^');
  if (second < 1) return undefined;
  const dataStart = caret + 1 + second + 1;
  if (!/^[\d^ ]{1,}/.test(chars.slice(dataStart, dataStart + 4))) return undefined;
  return { start: withFormatCode(chars, start), end: trackEnd(chars, dataStart) };
}

/** Takes in `%B`, the start sentinel and format code, and a lone `B`. */
function withFormatCode(chars: string, start: number): number {
  if (chars.charAt(start - 1) !== 'b') return chars.charAt(start - 1) === '%' ? start - 1 : start;
  if (chars.charAt(start - 2) === '%') return start - 2;
  return isLetter(chars.charCodeAt(start - 2)) ? start : start - 1;
}

function trackTwo(chars: string, start: number, panEnd: number, sign: number): TrackSpan | undefined {
  const data = /^ ?\d{4,}/.exec(chars.slice(sign + 1, sign + 1 + TRACK_CHARS_MAX))?.[0].trim();
  if (data === undefined) return undefined;
  const opened = chars.charAt(start - 1) === ';';
  const end = trackEnd(chars, sign + 1);
  const closed = chars.charAt(end - 1) === '?' || chars.charAt(end - 2) === '?';
  const month = Number(data.slice(2, 4));
  const dated = data.length >= 7 && month >= 1 && month <= 12;
  const card = looksLikeCard(chars, start, panEnd);
  if (!opened && !closed && isWithinHex(chars, start, sign, data.length)) return undefined;
  const certain = opened || closed ? card || dated : card && dated;
  return certain ? { start: opened ? start - 1 : start, end } : undefined;
}

/** `…b413253945898d1704368fa8…`: the `D` of an id in hexadecimal is no separator. Track data stands by itself, and ends with digits or the padding `F`. */
function isWithinHex(chars: string, start: number, sign: number, digits: number): boolean {
  if (chars.charAt(sign) !== 'd') return false;
  const end = sign + 1 + digits;
  const padded = chars.charAt(end) === 'f' ? end + 1 : end;
  return (
    isLetter(chars.charCodeAt(start - 1)) || isLetter(chars.charCodeAt(padded)) || isDigit(chars.charCodeAt(padded))
  );
}

function looksLikeCard(chars: string, start: number, end: number): boolean {
  if (chars.slice(start, end).includes('*')) return true;
  const digits = [...chars.slice(start, end)].filter((char) => char !== ' ').map(Number);
  return issuerLengths(leadingSix(digits)).length > 0 && fitsLuhn(digits, digits.length);
}

/** Behind the end sentinel and the check character that may follow it; without a sentinel, behind the digits and letters. */
function trackEnd(chars: string, from: number): number {
  const limit = Math.min(chars.length, from + TRACK_CHARS_MAX);
  for (let at = from; at < limit; at += 1) {
    const char = chars.charAt(at);
    if (char === '?') return at + 1;
    if (char === '\n' || char === '"' || char === '<') break;
    const known = isDigit(chars.charCodeAt(at)) || isLetter(chars.charCodeAt(at)) || ' =^/.*'.includes(char);
    if (!known) break;
  }
  let end = from;
  while (
    end < limit &&
    (isDigit(chars.charCodeAt(end)) || (isLetter(chars.charCodeAt(end)) && chars.charCodeAt(end) < 0x80))
  ) {
    end += 1;
  }
  return end;
}
