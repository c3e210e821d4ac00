/**
 * Finds card security codes in folded text. Two ways:
 *
 * - by name: `CVV: 123`, `Prüfziffer ist 1 2 3`, `123 is my cvc`. Right behind a name, with only fillers in between, three or four digits are
 *   always taken; with up to three strange words in between only if they stand alone and no sentence ended;
 * - by place: three or four digits behind a card number and its date of expiry.
 *
 * A doubt goes against keeping: a masked year can be read around, a kept code cannot be unkept (PCI DSS 3.3.1).
 */
import { isSecurityLabel, SECURITY_INDEX } from './context.ts';
import type { CardSpan } from './card-numbers.ts';
import { isDigit } from './fold.ts';
import { endsWord, findLabels, hasStem } from './labels.ts';
import type { LabelMatch } from './labels.ts';
import { findExpiry, findNamedExpiry, findShortCode, findToken, standsAlone } from './tokens.ts';
import type { ShortCode, Token } from './tokens.ts';
import { COPULAS, COUNT_STEMS, DIGIT_WORDS, EXPIRY_WORDS, FILLER_WORDS, SHORT_SECURITY_LABELS } from './words.ts';

/** A security code: the pieces whose characters are masked. */
export type CodeSpan = { readonly pieces: readonly { readonly start: number; readonly end: number }[] };

const SHORT_LABELS: ReadonlySet<string> = new Set(SHORT_SECURITY_LABELS);
const LOOK_CHARS_MAX = 72;
const STRANGE_WORDS_MAX = 3;

/** Finds all security codes that are named or stand behind a card. */
export function findSecurityCodes(chars: string, cards: readonly CardSpan[]): CodeSpan[] {
  const found: CodeSpan[] = [];
  const byStart = new Map(cards.map((card) => [card.start, card]));
  const ofCards = markCards(chars.length, cards);
  for (const label of findLabels(chars, SECURITY_INDEX)) {
    if (SHORT_LABELS.has(label.label)) {
      const code = codeAfterShortLabel(chars, label);
      if (code !== undefined) found.push(code);
      continue;
    }
    const codes = codesAfterLabel(chars, label, byStart);
    if (codes !== undefined) found.push(...codes);
    else {
      const before = codeBeforeLabel(chars, label.start, ofCards);
      if (before !== undefined) found.push(before);
    }
  }
  for (const card of cards) {
    const code = codeAfterCard(chars, card);
    if (code !== undefined) found.push(code);
  }
  return found;
}

/** For each character whether it belongs to a card number: asked for each label, of which there may be as many as there are cards. */
function markCards(length: number, cards: readonly CardSpan[]): Uint8Array {
  const marks = new Uint8Array(cards.length === 0 ? 0 : length);
  for (const card of cards) marks.fill(1, card.start, card.end);
  return marks;
}

/** `cvv2`: the figure belongs to the name where no digit follows it. */
function skipLabelFigure(chars: string, end: number): number {
  const figure = chars.charAt(end);
  return (figure === '2' || figure === '1') && !isDigit(chars.charCodeAt(end + 1)) ? end + 1 : end;
}

type Look = { at: number; limit: number; strange: number; ended: boolean; dated: boolean };

/** The codes behind a label; none where a masked one stands there already; undefined where there is no sign of one. */
function codesAfterLabel(
  chars: string,
  label: LabelMatch,
  cards: ReadonlyMap<number, CardSpan>,
): readonly CodeSpan[] | undefined {
  const from = skipLabelFigure(chars, label.end);
  const look: Look = { at: from, limit: from + LOOK_CHARS_MAX, strange: 0, ended: false, dated: false };
  for (let count = 0; count < 24; count += 1) {
    const token = findToken(chars, look.at, look.limit);
    if (hasMask(chars, look.at, token?.start ?? look.limit)) return [];
    if (token === undefined) return undefined;
    look.ended ||= endsSentence(chars, look.at, token);
    if (token.kind === 'word') {
      if (isSecurityLabel(chars, token.start)) return undefined;
      const spoken = findSpokenCode(chars, token);
      if (spoken !== undefined) return [spoken];
      passWord(chars, look, token);
    } else {
      const codes = codesAtDigits(chars, look, token, cards);
      if (codes !== undefined) return codes;
    }
    if (look.strange > STRANGE_WORDS_MAX || (look.ended && look.strange > 0)) return undefined;
  }
  return undefined;
}

/** Does a code stand here that was masked before? */
function hasMask(chars: string, from: number, to: number): boolean {
  let stars = 0;
  for (let index = from; index < to && index < chars.length; index += 1) if (chars.charAt(index) === '*') stars += 1;
  return stars >= 3;
}

function passWord(chars: string, look: Look, token: Token): void {
  const word = chars.slice(token.start, token.end);
  const named = findNamedExpiry(chars, token);
  look.at = named ?? token.end;
  if (EXPIRY_WORDS.has(word) && word.length > 2) look.dated = true;
  else if (named === undefined && !FILLER_WORDS.has(word) && !EXPIRY_WORDS.has(word)) look.strange += 1;
}

/** What a run of digits behind a label is: passed over (undefined), or the codes that begin here. */
function codesAtDigits(
  chars: string,
  look: Look,
  token: Token,
  cards: ReadonlyMap<number, CardSpan>,
): CodeSpan[] | undefined {
  const card = cards.get(token.start);
  if (card !== undefined) {
    look.at = card.end;
    look.limit = card.end + LOOK_CHARS_MAX;
    return undefined;
  }
  const expiry = findExpiry(chars, token.start);
  if (expiry !== undefined && (expiry.explicit || look.dated) && hasDigitsBehind(chars, expiry.end)) {
    look.at = expiry.end;
    return undefined;
  }
  const code = isCount(chars, token) ? undefined : findShortCode(chars, token);
  if (code === undefined || (look.strange > 0 && !isPlausible(chars, code))) {
    look.at = token.end;
    if (!isCount(chars, token)) look.strange += 1;
    return undefined;
  }
  return [{ pieces: code.runs }, ...furtherCodes(chars, code.end)];
}

function hasDigitsBehind(chars: string, end: number): boolean {
  return findToken(chars, end, end + 8)?.kind === 'digits';
}

/** Behind strange words only what stands alone and is no year is taken. */
function isPlausible(chars: string, code: ShortCode): boolean {
  const first = code.runs[0];
  if (first === undefined || code.runs.length > 1) return false;
  return standsAlone(chars, first.start, first.end) && !isYear(chars.slice(first.start, first.end));
}

function isYear(digits: string): boolean {
  return /^(?:19|20)\d\d$/.test(digits);
}

/** `123, 456` and `123 or 456`: what is listed behind a code is one too. */
function furtherCodes(chars: string, from: number): CodeSpan[] {
  const found: CodeSpan[] = [];
  let at = from;
  for (let count = 0; count < 8; count += 1) {
    let next = findToken(chars, at, at + 6);
    if (next?.kind === 'word' && /^(?:or|and|und|oder|et|ou|y|o|e|u)$/.test(chars.slice(next.start, next.end))) {
      next = findToken(chars, next.end, next.end + 3);
    } else if (next !== undefined && !/[,;/|&\n]/.test(chars.slice(at, next.start))) return found;
    if (next?.kind !== 'digits' || next.end - next.start < 3 || next.end - next.start > 4) return found;
    if (!standsAlone(chars, next.start, next.end) && chars.charAt(next.start - 1) !== '/') return found;
    found.push({ pieces: [next] });
    at = next.end;
  }
  return found;
}

/** `3 digit`, `the 3 figures`: a count, not a code. */
function isCount(chars: string, token: Token): boolean {
  if (token.end - token.start > 1) return false;
  const next = findToken(chars, token.end, token.end + 3);
  return next?.kind === 'word' && hasStem(chars.slice(next.start, next.end), COUNT_STEMS);
}

function endsSentence(chars: string, from: number, token: Token): boolean {
  for (let index = from; index < token.start; index += 1) {
    if ('.!?。！？'.includes(chars.charAt(index)) && token.start - index > 1) return true;
  }
  return false;
}

/** `one two three`: three or four spoken digits in a row. */
function findSpokenCode(chars: string, first: Token): CodeSpan | undefined {
  const pieces: Token[] = [];
  let word: Token | undefined = first;
  while (word?.kind === 'word' && pieces.length < 4 && DIGIT_WORDS.has(chars.slice(word.start, word.end))) {
    pieces.push(word);
    word = findToken(chars, word.end, word.end + 4);
  }
  return pieces.length >= 3 ? { pieces } : undefined;
}

/** Words that tie a code to the name behind it: `123 is my cvv`. */
const TIES = new Set([
  'as',
  'als',
  'como',
  'comme',
  'come',
  'som',
  'jako',
  'like',
  'for',
  'fur',
  'pour',
  'para',
  'per',
  'my',
  'the',
]);

/** `123 is my cvv`, `123 (cvv)`, `1 2 3 cvv`: a code right before its name. */
function codeBeforeLabel(chars: string, labelStart: number, ofCards: Uint8Array): CodeSpan | undefined {
  let end = labelStart;
  const floor = Math.max(0, labelStart - 24);
  while (end > floor && !isDigit(chars.charCodeAt(end - 1))) end -= 1;
  if (!isDigit(chars.charCodeAt(end - 1)) || !isTied(chars.slice(end, labelStart))) return undefined;
  const match = /(?<![\d])(?:\d{3,4}|\d(?:[\s.-]{1,2}\d){2,3})$/.exec(chars.slice(Math.max(0, end - 16), end));
  if (match === null) return undefined;
  const start = end - match[0].length;
  if (end < labelStart && !standsAlone(chars, start, end)) return undefined;
  if (isYear(match[0]) || ofCards.subarray(start, end).includes(1)) return undefined;
  return { pieces: [{ start, end }] };
}

function isTied(gap: string): boolean {
  if (/^[\s("'=:;,/|[-]{0,4}$/.test(gap)) return true;
  const words = gap.match(/\p{L}+/gu) ?? [];
  const [first] = words;
  if (first === undefined || words.length > 4 || /[.!?\d]/.test(gap)) return false;
  return (COPULAS.has(first) || TIES.has(first)) && words.every((word) => FILLER_WORDS.has(word) || TIES.has(word));
}

/** `CID: 1234`, `csc 123`: only right behind, only one run, and not as part of a URL or an id. */
function codeAfterShortLabel(chars: string, label: LabelMatch): CodeSpan | undefined {
  if (!endsWord(chars, label.end) || '&?_/.-'.includes(chars.charAt(label.start - 1) || ' ')) return undefined;
  const from = skipLabelFigure(chars, label.end);
  let at = from;
  for (let count = 0; count < 5; count += 1) {
    const token = findToken(chars, at, from + 24);
    if (token === undefined) return undefined;
    if (token.kind === 'digits') {
      const code = isCount(chars, token) ? undefined : findShortCode(chars, token);
      if (code === undefined) return undefined;
      const [first] = code.runs;
      if (first === undefined || !(code.runs.length > 1 || standsAlone(chars, first.start, first.end)))
        return undefined;
      return { pieces: code.runs };
    }
    if (!FILLER_WORDS.has(chars.slice(token.start, token.end))) return undefined;
    at = token.end;
  }
  return undefined;
}

/** Three or four digits behind a card number and its date of expiry; three digits right behind the number itself. */
function codeAfterCard(chars: string, card: CardSpan): CodeSpan | undefined {
  const limit = card.end + LOOK_CHARS_MAX;
  let at = card.end;
  let strange = 0;
  let words = 0;
  let dated = false;
  for (let count = 0; count < 12 && strange <= STRANGE_WORDS_MAX; count += 1) {
    const token = findToken(chars, at, limit);
    if (token === undefined) return undefined;
    at = token.end;
    if (token.kind === 'word') {
      if (isSecurityLabel(chars, token.start)) return undefined;
      const named = findNamedExpiry(chars, token);
      const word = chars.slice(token.start, token.end);
      if (named !== undefined) {
        dated = true;
        at = named;
      } else if (!EXPIRY_WORDS.has(word) && !FILLER_WORDS.has(word)) strange += 1;
      words += 1;
      continue;
    }
    const expiry = dated ? undefined : findExpiry(chars, token.start);
    if (expiry !== undefined && !isCodeBeforeExpiry(chars, token, card)) {
      dated = true;
      at = expiry.end;
      continue;
    }
    const code = findShortCode(chars, token);
    if (code === undefined) {
      strange += 1;
      continue;
    }
    return isCodeInPlace(chars, code, card, { dated, strange, words }) ? { pieces: code.runs } : undefined;
  }
  return undefined;
}

/** `3714… 1234 12/27`: a four-digit code that could be read as a month, with the real date behind it. */
function isCodeBeforeExpiry(chars: string, token: Token, card: CardSpan): boolean {
  if (!card.fourDigitCode || token.end - token.start !== 4) return false;
  const next = findToken(chars, token.end, token.end + 6);
  return next !== undefined && findExpiry(chars, next.start)?.explicit === true;
}

type Place = { readonly dated: boolean; readonly strange: number; readonly words: number };

function isCodeInPlace(chars: string, code: ShortCode, card: CardSpan, place: Place): boolean {
  const first = code.runs[0];
  if (first === undefined) return false;
  const last = chars.charAt(code.end);
  if (
    '.-/:'.includes(last) &&
    last !== '' &&
    isDigit(chars.charCodeAt(code.end + 1)) &&
    chars.charAt(first.start - 1) !== last
  ) {
    return false;
  }
  const whole = code.runs.length > 1 || code.digits === 3 || card.fourDigitCode;
  if (place.dated) {
    return place.strange === 0 || (whole && standsAlone(chars, first.start, first.end) && !card.masked);
  }
  if (card.masked || place.words > 0 || place.strange > 0 || code.runs.length > 1 || !whole) return false;
  return standsAlone(chars, first.start, first.end);
}
