/**
 * What the words beside a long number say it is. Looked at only for numbers that already have an issuer's range and a fitting check digit.
 */
import { fold, isDigit, isLetter } from './fold.ts';
import { endsWord, findLabelAt, hasStem, indexLabels } from './labels.ts';
import { findExpiry, findToken } from './tokens.ts';
import {
  CARD_STEMS,
  EXPIRY_WORDS,
  FILLER_WORDS,
  NUMBER_COPULAS,
  NUMBER_NOUNS,
  OTHER_CARD_WORDS,
  PHONE_FILLERS,
  PHONE_STEMS,
  SECURITY_CODE_LABELS,
  SHORT_SECURITY_LABELS,
  SPARED_STEMS,
} from './words.ts';

/** Labels of security codes, the certain and the short ones. */
export const SECURITY_INDEX = indexLabels([...SECURITY_CODE_LABELS, ...SHORT_SECURITY_LABELS]);

/** What the words before a number say. */
export type Context = 'card' | 'spared' | 'phone' | 'none';

const BEFORE_CHARS_MAX = 48;
const BEFORE_WORDS_MAX = 6;

/**
 * Reads the words before a number, the nearest first: a word of cards makes it a card; a word of orders, parcels or telephones right
 * before it spares it.
 * @param grouped true for a number written in groups: then a bare `order` does not spare it, `order no.` and `order:` do
 */
export function readContext(chars: string, start: number, grouped: boolean): Context {
  const window = chars.slice(Math.max(0, start - BEFORE_CHARS_MAX), start);
  let end = window.length;
  let adjacent = true;
  let explicit = !grouped || /[#№:=]\s*$/.test(window);
  for (let count = 0; count < BEFORE_WORDS_MAX; count += 1) {
    const word = wordBefore(window, end);
    if (word === undefined) break;
    // A number in between is what such a word named.
    if (/\d/.test(window.slice(word.end, end))) adjacent = false;
    if (isCardWord(word.text)) {
      const before = wordBefore(window, word.start);
      return before !== undefined && OTHER_CARD_WORDS.has(before.text) && adjacent ? 'spared' : 'card';
    }
    if (adjacent && hasStem(word.text, SPARED_STEMS)) {
      if (explicit || word.text.length > 8) return 'spared';
      adjacent = false;
    } else if (adjacent && hasStem(word.text, PHONE_STEMS)) {
      return 'phone';
    } else if (adjacent && NUMBER_NOUNS.has(word.text)) {
      explicit = true;
    } else if (!NUMBER_COPULAS.has(word.text) && !PHONE_FILLERS.has(word.text)) {
      adjacent = adjacent && endsWithSpared(word.text);
      if (adjacent) return 'spared';
    } else if (PHONE_FILLERS.has(word.text)) {
      const before = wordBefore(window, word.start);
      if (adjacent && before !== undefined && hasStem(before.text, PHONE_STEMS)) return 'phone';
      adjacent = false;
    }
    end = word.start;
  }
  return /[#№]\s?$/.test(window) && !grouped ? 'spared' : 'none';
}

type Word = { readonly text: string; readonly start: number; readonly end: number };

function wordBefore(window: string, from: number): Word | undefined {
  let end = from;
  while (end > 0 && !isLetter(window.charCodeAt(end - 1))) end -= 1;
  if (end === 0) return undefined;
  let start = end;
  while (start > 0 && isLetter(window.charCodeAt(start - 1))) start -= 1;
  return { text: window.slice(start, end), start, end };
}

/** Scripts without spaces, and compounds: the word ends with what it is (`您的订单号`, `Kundennummer`). */
function endsWithSpared(word: string): boolean {
  if (word.charCodeAt(0) < 0x0590) return false;
  return SPARED_STEMS.some((stem) => stem.charCodeAt(0) >= 0x0590 && word.includes(stem));
}

/** Does this word speak of a card? */
export function isCardWord(word: string): boolean {
  return hasStem(word, CARD_STEMS) || (word.charCodeAt(0) >= 0x0590 && CARD_STEMS.some((stem) => isIn(word, stem)));
}

function isIn(word: string, stem: string): boolean {
  return stem.charCodeAt(0) >= 0x0590 && word.includes(stem);
}

const AFTER_CHARS_MAX = 40;

/**
 * Does what follows make a number a card: a date of expiry or the name of a security code, with nothing but words of dates and fillers in
 * between?
 */
export function isFollowedByCardDetails(chars: string, end: number): boolean {
  const limit = end + AFTER_CHARS_MAX;
  let at = end;
  let named = false;
  for (let count = 0; count < 6; count += 1) {
    const token = findToken(chars, at, limit);
    if (token === undefined) return false;
    if (token.kind === 'digits') {
      const expiry = findExpiry(chars, token.start);
      return expiry !== undefined && (named || expiry.explicit || isFollowedByCode(chars, expiry.end));
    }
    const word = chars.slice(token.start, token.end);
    if (isSecurityLabel(chars, token.start)) return true;
    const names = EXPIRY_WORDS.has(word);
    if (!names && !FILLER_WORDS.has(word)) return false;
    named ||= names && word.length > 2;
    at = token.end;
  }
  return false;
}

/** `… 1227 123`: a group of three or four digits behind what may be a date. */
function isFollowedByCode(chars: string, end: number): boolean {
  const next = findToken(chars, end, end + 6);
  if (next?.kind !== 'digits') return false;
  const length = next.end - next.start;
  return (length === 3 || length === 4) && next.start > end;
}

/** Does a label of a security code begin here? */
export function isSecurityLabel(chars: string, at: number): boolean {
  const match = findLabelAt(chars, at, SECURITY_INDEX);
  return match !== undefined && (match.label.length > 3 || endsWord(chars, match.end));
}

/** Words that may touch a card number without making it an id: `visa4111…`, `…1111exp`. */
const TOUCHING_WORDS: ReadonlySet<string> = new Set(
  [
    'x',
    'is',
    'no',
    'nr',
    'my',
    'card',
    'cc',
    'num',
    'number',
    'the',
    'on',
    'and',
    'mc',
    'e',
    'y',
    'und',
    'et',
    'a',
    'o',
  ].map((word) => fold(word).chars),
);

/**
 * Is a run of digits part of an id that mixes letters and digits (`SM4f…`, a UUID, a hash, `1Z999…`), or of an address (`…@s.whatsapp.net`)?
 */
export function isPartOfId(chars: string, start: number, end: number): boolean {
  if (chars.charAt(end) === '@' && isLetter(chars.charCodeAt(end + 1))) return true;
  return touchesLeft(chars, start, end) || touchesRight(chars, end);
}

const ID_WORD_CHARS_MAX = 24;

function touchesLeft(chars: string, start: number, end: number): boolean {
  const touching = start > 0 && chars.charAt(start - 1) === '_' ? start - 1 : start;
  let wordStart = touching;
  while (touching - wordStart < ID_WORD_CHARS_MAX && wordStart > 0 && isLetter(chars.charCodeAt(wordStart - 1)))
    wordStart -= 1;
  if (wordStart === touching) return false;
  const word = chars.slice(wordStart, touching);
  if (isHexWord(word) && isDigit(chars.charCodeAt(wordStart - 1))) return true;
  if (word.charCodeAt(0) >= 0x0590 || isKnownBeside(chars, wordStart, word)) return false;
  if (wordStart > 0 && isDigit(chars.charCodeAt(wordStart - 1))) return true;
  // `SM4111…`, `INV4111…`: a short prefix names what the number is.
  return word.length <= 3 || touching < start || isLetter(chars.charCodeAt(end));
}

function touchesRight(chars: string, end: number): boolean {
  const from = chars.charAt(end) === '_' ? end + 1 : end;
  let wordEnd = from;
  while (wordEnd - from < ID_WORD_CHARS_MAX && isLetter(chars.charCodeAt(wordEnd))) wordEnd += 1;
  if (wordEnd === from) return false;
  const word = chars.slice(from, wordEnd);
  if (isHexWord(word) && isDigit(chars.charCodeAt(wordEnd))) return true;
  if (word.charCodeAt(0) >= 0x0590 || isKnownBeside(chars, from, word)) return false;
  return isDigit(chars.charCodeAt(wordEnd)) || from > end || isHexWord(word);
}

/** Letters that, between digits, are digits of a hexadecimal number: `712a5877…`, also where they are a word of some language. */
function isHexWord(word: string): boolean {
  return /^[a-f]+$/.test(word);
}

function isKnownBeside(chars: string, at: number, word: string): boolean {
  return (
    isCardWord(word) ||
    (word.length > 2 && EXPIRY_WORDS.has(word)) ||
    TOUCHING_WORDS.has(word) ||
    isSecurityLabel(chars, at)
  );
}

const URL_CHARS_MAX = 256;

/** Does a number stand within a URL? Then it is an id, unless its parameter is named after cards. */
export function isInUrl(chars: string, start: number): boolean {
  const floor = Math.max(0, start - URL_CHARS_MAX);
  if (start === 0 || chars.charCodeAt(start - 1) <= 0x20) return false;
  let from = start;
  while (from > floor && chars.charCodeAt(from - 1) > 0x20) from -= 1;
  const token = chars.slice(from, start);
  if (!/:\/\/|^www\.|^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,10}\//.test(token)) return false;
  const parameter = /[?&;]([a-z_-]{1,40})=$/.exec(token)?.[1];
  return parameter === undefined || !isCardWord(parameter.replaceAll(/[_-]/g, ''));
}

/** Does a number begin inside an account number of the IBAN form (ISO 13616, check by remainder 97)? */
export function isInIban(chars: string, start: number, end: number): boolean {
  const from = Math.max(0, start - 40);
  const window = chars.slice(from, Math.min(chars.length, end + 24));
  if (!/[a-z]{2}\d\d/.test(window)) return false;
  for (const match of window.matchAll(/(?<![a-z0-9])[a-z]{2}\d{2}(?=[ -]?[a-z0-9])/g)) {
    if (from + match.index >= start) break;
    const reach = ibanEnd(window, match.index);
    if (reach !== undefined && from + reach >= end) return true;
  }
  return false;
}

function ibanEnd(window: string, start: number): number | undefined {
  let compact = '';
  for (let at = start; at < window.length && compact.length < 34; at += 1) {
    const char = window.charAt(at);
    if (/[a-z0-9]/.test(char)) compact += char;
    else if (char !== ' ' && char !== '-') break;
    const next = window.charAt(at + 1);
    if (compact.length >= 15 && !/[a-z0-9]/.test(next) && hasRemainderOne(compact)) return at + 1;
  }
  return undefined;
}

function hasRemainderOne(compact: string): boolean {
  let remainder = 0;
  for (const char of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}
