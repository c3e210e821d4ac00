/**
 * Rules out card data in one pass over the bytes of a body, without decoding it into text: the common case, of which there are thousands a
 * second. It may say yes where there is nothing; it must never say no where the detectors would find something (a property test holds it to
 * that). Whatever it does not follow itself (other scripts than Latin, escapes of escapes) it answers with yes.
 *
 * Two things are looked for: four letters out of each label (`0cvv`, where 0 is anything that is no letter), and chains of thirteen and more
 * digits that an issuer could have given out.
 */
import { beginsLikeText, isBase64Char, RUN_CHARS_MIN } from './base64-runs.ts';
import { hexDigit } from './decode.ts';
import type { SourceKind } from './fields.ts';
import { foldPoint, isDigit, isLetter } from './fold.ts';
import { CARD_DIGITS_MAX, CARD_DIGITS_MIN, isCardNumber, startsLikeCard } from './issuers.ts';
import { ONE_TIME_LABELS, SECURITY_CODE_LABELS, SHORT_SECURITY_LABELS, WEAK_CODE_LABELS } from './words.ts';

/** Classes of characters: 1 to 26 are letters. */
const OTHER = 0;
const DIGIT = 27;
const INVISIBLE = 28;
const PERCENT = 29;
const BACKSLASH = 30;
const STRONG = 31;
const UNKNOWN = 32;
const TRACK = 33;
const AMPERSAND = 34;
const EQUALS = 35;

/** Classes of the code points that are followed here; beyond them stand other scripts. */
const FOLLOWED = 0x370;
const CLASSES = new Uint8Array(FOLLOWED);
/** Letters that fold to two: the second one. */
const SECONDS = new Uint8Array(FOLLOWED);
for (let point = 0; point < FOLLOWED; point += 1) {
  const folded = foldPoint(point);
  CLASSES[point] = classOf(folded);
  if (folded.length === 2 && isLetter(folded.charCodeAt(1))) SECONDS[point] = folded.charCodeAt(1) - 0x60;
}
CLASSES[0x25] = PERCENT;
CLASSES[0x5c] = BACKSLASH;
CLASSES[0x22] = STRONG;
CLASSES[0x5e] = TRACK;
CLASSES[0x26] = AMPERSAND;
CLASSES[0x3d] = EQUALS;

function classOf(folded: string): number {
  if (folded === '') return INVISIBLE;
  const code = folded.charCodeAt(0);
  if (isDigit(code)) return folded.length === 1 ? DIGIT : UNKNOWN;
  if (code >= 0x61 && code <= 0x7a) {
    const second = folded.charCodeAt(1);
    return folded.length === 1 || (folded.length === 2 && second >= 0x61 && second <= 0x7a) ? code - 0x60 : UNKNOWN;
  }
  // Letters that are none of Latin part words and chains of digits as Latin ones do, but no label has them.
  return isLetter(code) ? UNKNOWN : OTHER;
}

/** Frequency of letters in English text, per thousand: the rarest four letters of a label are looked for. */
const FREQUENCY: readonly number[] = [
  0, 82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1,
];

type Needles = Uint32Array;

function prepareNeedles(labels: readonly string[]): Needles {
  const needles = new Uint32Array(1 << 15);
  for (const label of labels) {
    if (!/^[a-z0-9' ]+$/.test(label)) continue;
    for (const key of needlesOf(label)) needles[key >>> 5] = (needles[key >>> 5] ?? 0) | (1 << (key & 31));
  }
  return needles;
}

/** The rarest four letters of a label's words; for labels of shorter words their beginning, in all ways of spacing them. */
function needlesOf(label: string): number[] {
  const windows = label
    .split(/[^a-z]+/)
    .flatMap((word) => Array.from({ length: Math.max(0, word.length - 3) }, (_, at) => word.slice(at, at + 4)));
  windows.sort((a, b) => rarity(a) - rarity(b));
  const [rarest] = windows;
  if (rarest !== undefined) return [keyOf(rarest)];
  let spaced = [''];
  for (const char of label) {
    const ways = char === ' ' ? ['', '.'] : [/[a-z]/.test(char) ? char : '.'];
    spaced = spaced.flatMap((before) => ways.map((way) => before + way));
  }
  return spaced.map((text) => keyOf(lastLetters(text)));
}

function rarity(window: string): number {
  return [...window].reduce((product, char) => product * (FREQUENCY[char.charCodeAt(0) - 0x60] ?? 1), 1);
}

/** The last four places up to the last letter, begun by what is no letter. */
function lastLetters(text: string): string {
  return `.${text.replace(/[^a-z]+$/, '')}`.slice(-4).padStart(4, '.');
}

function keyOf(text: string): number {
  let key = 0;
  for (const char of text) key = (key << 5) | (char === '.' ? 0 : char.charCodeAt(0) - 0x60);
  return key;
}

const SECURITY_NEEDLES = prepareNeedles([...SECURITY_CODE_LABELS, ...SHORT_SECURITY_LABELS]);
const ALL_NEEDLES = prepareNeedles([
  ...[...SECURITY_CODE_LABELS, ...SHORT_SECURITY_LABELS, ...ONE_TIME_LABELS, ...WEAK_CODE_LABELS],
]);

/** Digits that are remembered of a chain; no chain with more is ruled out but by being one run. */
const CHAIN_DIGITS_MAX = 64;
/** Signs between the groups of one number, in bytes and generously. */
const GAP_MAX = 6;
const KEY_MASK = 0xfffff;

type Chain = {
  digits: Uint8Array;
  length: number;
  /** Index among the digits at which each run begins. */
  runs: Uint8Array;
  runCount: number;
  /** The sign before the first digit was a plus. */
  plus: boolean;
};

const chain: Chain = {
  digits: new Uint8Array(CHAIN_DIGITS_MAX),
  length: 0,
  runs: new Uint8Array(CHAIN_DIGITS_MAX),
  runCount: 0,
  plus: false,
};

/**
 * Can a body hold anything that guard takes out?
 * @returns false only where it certainly does not
 */
export function mayHoldCardData(bytes: Uint8Array, kind: SourceKind, oneTimeCodes: boolean): boolean {
  const needles = oneTimeCodes ? ALL_NEEDLES : SECURITY_NEEDLES;
  const { length } = bytes;
  let key = 0;
  let gap = 0;
  let inRun = false;
  let last = 0;
  let token = 0;
  chain.length = 0;
  chain.runCount = 0;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at] ?? 0;
    let point = byte;
    if (byte >= 0x80) {
      const size = utf8Length(bytes, at);
      point = size === 0 ? -1 : utf8Point(bytes, at, size);
      at += size - 1;
    }
    let kindOfPoint = point < FOLLOWED ? (point < 0 ? UNKNOWN : (CLASSES[point] ?? UNKNOWN)) : classBeyond(point);
    if (kindOfPoint >= INVISIBLE) {
      if (kindOfPoint === PERCENT) {
        const high = hexDigit(bytes[at + 1] ?? 0);
        const low = hexDigit(bytes[at + 2] ?? 0);
        if (high >= 0 && low >= 0) {
          // Outside of forms both readings of `%41` are possible, so neither is followed.
          if (kind !== 'form') return true;
          point = high * 16 + low;
          at += 2;
          if (point >= 0x80) {
            const end = escapedPoint(bytes, at - 2);
            if (end < 0) return true;
            point = escaped;
            at = end - 1;
          }
          kindOfPoint = point < FOLLOWED ? (CLASSES[point] ?? UNKNOWN) : classBeyond(point);
          if (kindOfPoint === PERCENT || kindOfPoint === BACKSLASH || kindOfPoint === EQUALS) return true;
          if (kindOfPoint === STRONG || kindOfPoint === AMPERSAND) kindOfPoint = OTHER;
          if (kindOfPoint === OTHER && point < 0x80 && isBase64Char(point)) token -= 1;
        } else kindOfPoint = OTHER;
      } else if (kindOfPoint === BACKSLASH) {
        const next = bytes[at + 1] ?? 0;
        if (kind !== 'json' || next === 0x5c || next === 0x75) return true;
        at += 1;
        kindOfPoint = OTHER;
      }
      if (kindOfPoint === INVISIBLE) continue;
      if (kindOfPoint === UNKNOWN) return true;
      if (kindOfPoint === TRACK || kindOfPoint === EQUALS) {
        if (kindOfPoint === TRACK && chain.length > 0) return true;
        if (kindOfPoint === EQUALS && chain.length >= 12) return true;
        if (kind === 'text' && kindOfPoint === EQUALS && hexDigit(bytes[at + 1] ?? 0) >= 0 && hexDigit(bytes[at + 2] ?? 0) >= 0) {
          return true;
        }
        if (kind === 'text' && kindOfPoint === EQUALS && ((bytes[at + 1] ?? 0) === 0x0a || (bytes[at + 1] ?? 0) === 0x0d)) return true;
        kindOfPoint = OTHER;
      } else if (kindOfPoint === STRONG || kindOfPoint === AMPERSAND) {
        if (kindOfPoint === AMPERSAND && kind !== 'form' && bytes[at + 1] === 0x23) return true;
        if (kind !== 'text') {
          if (chain.length >= CARD_DIGITS_MIN && isSuspicious()) return true;
          chain.length = 0;
          chain.runCount = 0;
          inRun = false;
        }
        kindOfPoint = OTHER;
      }
    }
    if (kindOfPoint === DIGIT) {
      if (!inRun) {
        if (gap > GAP_MAX && chain.length > 0) {
          if (chain.length >= CARD_DIGITS_MIN && isSuspicious()) return true;
          chain.length = 0;
          chain.runCount = 0;
        }
        if (oneTimeCodes && last === 0x2d && (bytes[at - 2] ?? 0 | 0x20) === 0x67) return true;
        if (chain.length === 0) chain.plus = last === 0x2b;
        if (chain.runCount < CHAIN_DIGITS_MAX) chain.runs[chain.runCount] = Math.min(chain.length, CHAIN_DIGITS_MAX);
        chain.runCount += 1;
        inRun = true;
      }
      if (chain.length < CHAIN_DIGITS_MAX) chain.digits[chain.length] = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : digitValue(point);
      chain.length += 1;
      gap = 0;
      if ((key & 31) !== 0) key = (key << 5) & KEY_MASK;
    } else if (kindOfPoint === OTHER) {
      inRun = false;
      gap += 1;
      if ((key & 31) !== 0) key = (key << 5) & KEY_MASK;
      if (!(point < 0x80 && isBase64Char(point)) || (kind === 'form' && point === 0x2b && byte === 0x2b)) {
        if (at - token >= RUN_CHARS_MIN && holdsText(bytes, token, at)) return true;
        token = at + 1;
      }
    } else {
      if (chain.length > 0) {
        if (chain.length >= CARD_DIGITS_MIN && isSuspicious()) return true;
        // Track 2 as terminals print it has a D between number and date.
        if (chain.length >= 12 && kindOfPoint === 4 && inRun) return true;
        chain.length = 0;
        chain.runCount = 0;
      }
      inRun = false;
      key = ((key << 5) | kindOfPoint) & KEY_MASK;
      if ((((needles[key >>> 5] ?? 0) >>> (key & 31)) & 1) === 1) return true;
      const second = point < FOLLOWED ? (SECONDS[point] ?? 0) : 0;
      if (second !== 0) {
        key = ((key << 5) | second) & KEY_MASK;
        if ((((needles[key >>> 5] ?? 0) >>> (key & 31)) & 1) === 1) return true;
      }
    }
    last = point;
  }
  if (length - token >= RUN_CHARS_MIN && holdsText(bytes, token, length)) return true;
  return chain.length >= CARD_DIGITS_MIN && isSuspicious();
}
