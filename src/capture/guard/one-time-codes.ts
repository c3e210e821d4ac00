/**
 * Finds one-time codes in folded text: four to eight digits that stand behind or before the name of such a code. Used only where a shop
 * set it, because the text around a code is evidence that it was sent, and the code itself is worth nothing afterwards but to a thief.
 */
import { isDigit } from './fold.ts';
import { endsWord, findLabels, indexLabels } from './labels.ts';
import type { LabelMatch } from './labels.ts';
import { findToken, standsAlone } from './tokens.ts';
import type { Token } from './tokens.ts';
import { COPULAS, FILLER_WORDS, ONE_TIME_LABELS, OTHER_CODE_WORDS, WEAK_CODE_LABELS } from './words.ts';

const STRONG_INDEX = indexLabels(ONE_TIME_LABELS);
const WEAK_INDEX = indexLabels(WEAK_CODE_LABELS);

const LOOK_CHARS_MAX = 64;
const STRANGE_WORDS_MAX = 4;
const CODE_DIGITS_MIN = 4;
const CODE_DIGITS_MAX = 8;

/** A one-time code. */
export type OneTimeSpan = { readonly start: number; readonly end: number };

/** Finds all one-time codes. */
export function findOneTimeCodes(chars: string): OneTimeSpan[] {
  const found: OneTimeSpan[] = [];
  for (const label of findLabels(chars, STRONG_INDEX)) {
    if (isCutShort(chars, label)) continue;
    const code = codeBehind(chars, label, STRANGE_WORDS_MAX) ?? codeBefore(chars, label.start);
    if (code !== undefined) found.push(code);
  }
  for (const label of findLabels(chars, WEAK_INDEX)) {
    if (isCutShort(chars, label) || isOtherCode(chars, label.start)) continue;
    const code = codeBehindWeak(chars, label) ?? codeBeforeWeak(chars, label.start);
    if (code !== undefined) found.push(code);
  }
  findPrefixed(chars, found);
  return found;
}

/** Is a short label only the beginning of another word (`tan` of `tank`)? */
function isCutShort(chars: string, label: LabelMatch): boolean {
  return label.label.length <= 5 && label.label.charCodeAt(0) < 0x0590 && !endsWord(chars, label.end);
}

function codeBehind(chars: string, label: LabelMatch, strangeMax: number): OneTimeSpan | undefined {
  let at = label.end;
  let strange = 0;
  let sentence = false;
  while (strange <= strangeMax) {
    const token = findToken(chars, at, label.end + LOOK_CHARS_MAX);
    if (token === undefined) return undefined;
    sentence ||= /[.!?]\s/.test(chars.slice(at, token.start));
    if (token.kind === 'digits') return codeFrom(chars, token);
    if (sentence) return undefined;
    if (!FILLER_WORDS.has(chars.slice(token.start, token.end))) strange += 1;
    at = token.end;
  }
  return undefined;
}

/** A run of four to eight digits, or two groups of three or four parted by a space or dash. */
function codeFrom(chars: string, token: Token): OneTimeSpan | undefined {
  const length = token.end - token.start;
  const next = findToken(chars, token.end, token.end + 2);
  const gap = next === undefined ? '' : chars.slice(token.end, next.start);
  if (
    next?.kind === 'digits' &&
    /^[ -]$/.test(gap) &&
    next.end - next.start === length &&
    (length === 3 || length === 4)
  ) {
    return { start: token.start, end: next.end };
  }
  if (length < CODE_DIGITS_MIN || length > CODE_DIGITS_MAX) return undefined;
  return standsAlone(chars, token.start, token.end) || chars.charAt(token.start - 1) === '#' ? token : undefined;
}

/** `123456 is your verification code`. */
function codeBefore(chars: string, labelStart: number): OneTimeSpan | undefined {
  const floor = Math.max(0, labelStart - 32);
  let end = labelStart;
  while (end > floor && !isDigit(chars.charCodeAt(end - 1))) end -= 1;
  if (end === floor || /[.!?]\s/.test(chars.slice(end, labelStart))) return undefined;
  const start = runStart(chars, end);
  if (end - start === 3) {
    const before = start - 1;
    const other = runStart(chars, before);
    if ((chars.charAt(before) === ' ' || chars.charAt(before) === '-') && before - other === 3)
      return { start: other, end };
  }
  if (end - start < CODE_DIGITS_MIN || end - start > CODE_DIGITS_MAX) return undefined;
  return standsAlone(chars, start, end) ? { start, end } : undefined;
}

function runStart(chars: string, end: number): number {
  let start = end;
  while (start > 0 && end - start <= CODE_DIGITS_MAX && isDigit(chars.charCodeAt(start - 1))) start -= 1;
  return start;
}

/** `your code is 123456`, `code: 123456`: a copula or colon must stand in between. */
function codeBehindWeak(chars: string, label: LabelMatch): OneTimeSpan | undefined {
  const token = findToken(chars, label.end, label.end + 16);
  if (token === undefined) return undefined;
  if (token.kind === 'digits') {
    return /^\s*(?:[:=>]|=>|->|-)\s*$/.test(chars.slice(label.end, token.start)) ? codeFrom(chars, token) : undefined;
  }
  if (!COPULAS.has(chars.slice(token.start, token.end))) return undefined;
  const digits = findToken(chars, token.end, token.end + 4);
  return digits?.kind === 'digits' ? codeFrom(chars, digits) : undefined;
}

const YOUR =
  /(?:is|ist|es|est|e|er|ar|jest|-|:) (?:your|dein|deine|ihr|ihre|tu|su|votre|ton|il tuo|o seu|seu|je|uw|din|dit|twoj|vas)(?: [a-z0-9]{1,20}){0,3} $/;

/** `123456 is your Example code`. */
function codeBeforeWeak(chars: string, labelStart: number): OneTimeSpan | undefined {
  const window = chars.slice(Math.max(0, labelStart - 64), labelStart);
  const match = YOUR.exec(window);
  if (match === null) return undefined;
  const end = labelStart - match[0].length;
  return chars.charAt(end - 1) === ' ' ? codeBefore(chars, end) : undefined;
}

/** `promo code`, `zip code`: codes of another kind. */
function isOtherCode(chars: string, labelStart: number): boolean {
  const before = /([\p{L}]+)[\s'-]{0,2}$/u.exec(chars.slice(Math.max(0, labelStart - 24), labelStart));
  return before?.[1] !== undefined && OTHER_CODE_WORDS.has(before[1]);
}

/** `G-123456`, as one sender writes them. */
function findPrefixed(chars: string, found: OneTimeSpan[]): void {
  for (let at = chars.indexOf('g-'); at !== -1; at = chars.indexOf('g-', at + 2)) {
    if (at > 0 && /[a-z0-9-]/.test(chars.charAt(at - 1))) continue;
    const token = findToken(chars, at + 2, at + 3);
    if (token?.kind !== 'digits') continue;
    const length = token.end - token.start;
    const next = chars.charAt(token.end);
    if (length >= 5 && length <= CODE_DIGITS_MAX && !/[a-z0-9-]/.test(next)) found.push(token);
  }
}
