/**
 * Finds card numbers in folded text: 13 to 19 digits in one run or in groups, with an issuer's range, a fitting check digit, and nothing
 * around them that says that they are something else.
 *
 * Every run of digits may begin one; at most nineteen digits are looked at from each, so that a text of nothing but digits stays linear.
 */
import { isDigit } from './fold.ts';
import { isFollowedByCardDetails, isInIban, isInUrl, isPartOfId, readContext } from './context.ts';
import {
  CARD_DIGITS_MAX,
  CARD_DIGITS_MIN,
  fitsGs1,
  fitsLuhn,
  isArticleOrPhone,
  issuerLengths,
  leadingSix,
  startsLikeCard,
} from './issuers.ts';
import { isGap, isTight } from './tokens.ts';
import type { Runs } from './tokens.ts';

/** A card number in folded text. */
export type CardSpan = {
  readonly start: number;
  readonly end: number;
  readonly digits: number;
  /** American Express, whose security code has four digits. */
  readonly fourDigitCode: boolean;
  /** Already masked when it came (`411111******1111`); only what stands behind it matters. */
  readonly masked: boolean;
};

/** Ways in which people part the digits of a card, besides equal groups. */
const SHAPES: ReadonlySet<string> = new Set([
  ...[
    '4-6-5',
    '4-6-4',
    '4-4-5',
    '4-4-4-1',
    '4-4-4-2',
    '4-4-4-3',
    '4-3-3-3',
    '6-4-6',
    '6-10',
    '10-6',
    '4-12',
    '12-4',
    '8-4-4',
    '4-4-8',
    '4-8-4',
  ],
  ...[
    '6-6-4',
    '4-6-6',
    '6-7',
    '6-8',
    '6-9',
    '6-13',
    '6-12',
    '4-11',
    '4-5-6',
    '4-4-4-4-1',
    '4-4-4-4-2',
    '4-4-4-4-3',
    '4-4-4-7',
    '4-4-4-5',
  ],
  ...[
    '5-5-5-1',
    '5-5-6',
    '5-5-5',
    '5-5-5-4',
    '3-3-3-3-3-1',
    '3-3-3-3-3',
    '3-3-3-3-4',
    '7-9',
    '8-8',
    '8-7',
    '8-5',
    '8-6',
  ],
]);

/** Finds all card numbers; they may overlap where the digits do. */
export function findCardNumbers(chars: string, runs: Runs): CardSpan[] {
  const found: CardSpan[] = [];
  const digits = new Uint8Array(CARD_DIGITS_MAX + 1);
  for (let first = 0; first < runs.starts.length; first += 1) {
    const start = runs.starts[first] ?? 0;
    if (!startsLikeCard(digitAt(chars, start), digitAfter(chars, runs, first))) continue;
    const span = findCardFrom(chars, runs, first, digits);
    if (span !== undefined) found.push(span);
  }
  return found;
}

function digitAt(chars: string, index: number): number {
  return chars.charCodeAt(index) - 0x30;
}

function digitAfter(chars: string, runs: Runs, run: number): number {
  const start = runs.starts[run] ?? 0;
  if (start + 1 < (runs.ends[run] ?? 0)) return digitAt(chars, start + 1);
  const next = runs.starts[run + 1];
  return next === undefined ? 0 : digitAt(chars, next);
}

function findCardFrom(chars: string, runs: Runs, first: number, digits: Uint8Array): CardSpan | undefined {
  let count = 0;
  let best: CardSpan | undefined;
  let bestRank = Number.POSITIVE_INFINITY;
  for (let run = first; run < runs.starts.length; run += 1) {
    const start = runs.starts[run] ?? 0;
    const end = runs.ends[run] ?? 0;
    if (run > first && !isGap(chars, runs.ends[run - 1] ?? 0, start)) break;
    if (count + end - start > CARD_DIGITS_MAX) break;
    for (let index = start; index < end; index += 1) {
      digits[count] = digitAt(chars, index);
      count += 1;
    }
    if (count < CARD_DIGITS_MIN) continue;
    const rank = issuerLengths(leadingSix(digits)).indexOf(count);
    if (rank === -1 || rank >= bestRank || !fitsLuhn(digits, count)) continue;
    if (!isCardInContext(chars, runs, first, run, digits, count)) continue;
    bestRank = rank;
    best = {
      start: runs.starts[first] ?? 0,
      end,
      digits: count,
      fourDigitCode: count === 15 && digits[0] === 3,
      masked: false,
    };
  }
  return best;
}

function isCardInContext(
  chars: string,
  runs: Runs,
  first: number,
  last: number,
  digits: Uint8Array,
  count: number,
): boolean {
  const start = runs.starts[first] ?? 0;
  const end = runs.ends[last] ?? 0;
  if (isPartOfId(chars, start, end)) return false;
  const context = readContext(chars, start, last > first);
  if (context === 'card') return true;
  if (isFollowedByCardDetails(chars, end)) return true;
  if (context === 'spared' || (context === 'phone' && count <= 15)) return false;
  if (!isFreeOnBothSides(chars, runs, first, last) || isInParcelNumber(chars, runs, first)) return false;
  if (last > first && !hasShape(chars, runs, first, last)) return false;
  if (count <= 15 && (chars.charAt(start - 1) === '+' || (last === first && isArticleOrPhone(digits, count))))
    return false;
  return !isInUrl(chars, start) && !isInIban(chars, start, end);
}

/** A number that goes on closely on either side (`52.4111…`, `12-4111…`) is part of something else. */
function isFreeOnBothSides(chars: string, runs: Runs, first: number, last: number): boolean {
  const before = runs.ends[first - 1];
  if (before !== undefined && isTight(chars, before, runs.starts[first] ?? 0)) return false;
  const after = runs.starts[last + 1];
  return after === undefined || !isTight(chars, runs.ends[last] ?? 0, after);
}

/** How the US mail prints its 22 digits. */
const PARCEL_WIDTHS: readonly number[] = [4, 4, 4, 4, 4, 2];

/** Does a number begin inside a parcel number of the US mail: `94…`, in fours, with a check digit as of GS1 (USPS Publication 199)? */
function isInParcelNumber(chars: string, runs: Runs, first: number): boolean {
  for (let begin = Math.max(0, first - 2); begin <= first; begin += 1) {
    if (chars.charAt(runs.starts[begin] ?? 0) !== '9') continue;
    const digits: number[] = [];
    const fits = PARCEL_WIDTHS.every((width, index) => {
      const run = begin + index;
      const start = runs.starts[run] ?? 0;
      const end = runs.ends[run] ?? 0;
      for (let at = start; at < end && at - start < width; at += 1) digits.push(digitAt(chars, at));
      return end - start === width && (index === 0 || isGap(chars, runs.ends[run - 1] ?? 0, start));
    });
    if (fits && fitsGs1(digits, digits.length)) return true;
  }
  return false;
}

/** Are the groups such as people write cards in? Equal ones, or a known shape; groups of one or two only if nothing continues them. */
function hasShape(chars: string, runs: Runs, first: number, last: number): boolean {
  const width = (runs.ends[first] ?? 0) - (runs.starts[first] ?? 0);
  const widths: number[] = [];
  for (let run = first; run <= last; run += 1) widths.push((runs.ends[run] ?? 0) - (runs.starts[run] ?? 0));
  const equal = widths.every((each, index) => each === width || (index === widths.length - 1 && each < width));
  if (!equal) return SHAPES.has(widths.join('-'));
  if (width > 2) return true;
  const gap = chars.slice(runs.ends[first] ?? 0, runs.starts[first + 1] ?? 0);
  return !continuesWith(chars, runs, first - 1, gap, width) && !continuesWith(chars, runs, last, gap, width);
}

/** Does the same gap stand between this run and the next, and are both as short? */
function continuesWith(chars: string, runs: Runs, run: number, gap: string, width: number): boolean {
  const start = runs.starts[run + 1];
  const end = runs.ends[run];
  if (start === undefined || end === undefined || chars.slice(end, start) !== gap) return false;
  return (runs.ends[run + 1] ?? 0) - start <= width && end - (runs.starts[run] ?? 0) <= width;
}

/** What others put in place of digits. */
const MASK = '*x•●·#';

/** Finds card numbers that came masked: `411111******1111`, `4111 **** **** 1111`, `XXXX-XXXX-XXXX-1111`. */
export function findMaskedCards(chars: string, runs: Runs): CardSpan[] {
  const found: CardSpan[] = [];
  for (let run = 0; run < runs.starts.length; run += 1) {
    const start = runs.starts[run] ?? 0;
    const end = runs.ends[run] ?? 0;
    if (end - start < 3 || end - start > 5) continue;
    const maskStart = findMaskBefore(chars, start);
    if (maskStart === undefined) continue;
    found.push({ start: maskStart, end, digits: 16, fourDigitCode: false, masked: true });
  }
  return found;
}

/** At least six signs of masking, parted by at most spaces and dashes, that end right before a run. */
function findMaskBefore(chars: string, start: number): number | undefined {
  let at = start;
  let signs = 0;
  const floor = Math.max(0, start - 24);
  while (at > floor) {
    const char = chars.charAt(at - 1);
    if (MASK.includes(char)) signs += 1;
    else if (char !== ' ' && char !== '-') break;
    at -= 1;
  }
  if (signs < 6) return undefined;
  while (at > 0 && start - at < 40 && (isDigit(chars.charCodeAt(at - 1)) || ' -'.includes(chars.charAt(at - 1))))
    at -= 1;
  return at;
}
