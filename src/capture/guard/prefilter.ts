/**
 * Rules out card data in one pass over the bytes of a body, without decoding it into text: the common case, of which there are thousands a
 * second. It may say yes where there is nothing; it must never say no where the detectors would find something (a property test holds it to
 * that). Whatever it does not follow itself (other scripts than Latin, escapes of escapes) it answers with yes.
 *
 * Two things are looked for: a few letters out of each label, and chains of thirteen and more
 * digits that an issuer could have given out.
 */
import { beginsLikeText, isBase64Char, RUN_CHARS_MIN } from './base64-runs.ts';
import { hexDigit } from './decode.ts';
import type { SourceKind } from './scan.ts';
import { foldPoint, isDigit, isLetter } from './fold.ts';
import { CARD_DIGITS_MAX, CARD_DIGITS_MIN, isCardNumber, startsLikeCard } from './issuers.ts';
import {
  AMBIGUOUS_SHORT_LABELS,
  ONE_TIME_LABELS,
  SECURITY_CODE_LABELS,
  SHORT_SECURITY_LABELS,
  WEAK_CODE_LABELS,
} from './words.ts';

/** Classes of characters: 0 is what parts words, 1 to 26 are letters. */
const OTHER = 0;
const DIGIT = 27;
/** Signs that Base64 has besides letters and digits. */
const JOINT = 28;
const INVISIBLE = 29;
const PERCENT = 30;
const BACKSLASH = 31;
const TRACK = 32;
const AMPERSAND = 33;
const EQUALS = 34;
const UNKNOWN = 35;

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
for (const sign of '+-/_') CLASSES[sign.charCodeAt(0)] = JOINT;
CLASSES[0x25] = PERCENT;
CLASSES[0x5c] = BACKSLASH;
CLASSES[0x5e] = TRACK;
CLASSES[0x26] = AMPERSAND;
CLASSES[0x3d] = EQUALS;

/** Classes of bytes. */
const BYTES = new Uint8Array(256).fill(UNKNOWN);
BYTES.set(CLASSES.subarray(0, 0x80));
/** The same in a form, where a plus is a space. */
const FORM_BYTES = Uint8Array.from(BYTES);
FORM_BYTES[0x2b] = OTHER;

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

/** Frequency of letters in English text, per thousand: the rarest letters of a label are looked for. */
const FREQUENCY: readonly number[] = [
  0, 82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1,
];
/** Words of labels that stand in every other body; the label's other words are looked for. */
const COMMON_WORDS =
  /^(?:numbers?|numero|numeros|numer|numeri|nummer|codes?|codigo|codice|card|carte|carta|code|digits|digitos|signature|value)$/;

/** Longest piece of a word that is looked for, letters; five bits each fit a small integer. */
const NEEDLE_LETTERS_MAX = 6;

/** Pieces of labels. */
type Needles = {
  /** A bit for each four classes that a needle ends with. */
  readonly ends: Uint32Array;
  /** By these, the needles: how many letters, and their classes. */
  readonly pieces: ReadonlyMap<number, readonly (readonly [mask: number, key: number])[]>;
};

function prepareNeedles(labels: readonly string[]): Needles {
  const ends = new Uint32Array(1 << 15);
  const pieces = new Map<number, (readonly [number, number])[]>();
  for (const needle of new Set(labels.flatMap(needlesOf))) {
    const key = keyOf(needle);
    const mask = 2 ** (5 * needle.length) - 1;
    const end = key & END_MASK;
    ends[end >>> 5] = (ends[end >>> 5] ?? 0) | (1 << (end & 31));
    pieces.set(end, [...(pieces.get(end) ?? []), [mask, key]]);
  }
  return { ends, pieces };
}

/** The rarest piece of a label's words; for labels of shorter words their beginning, in all ways of spacing them. */
function needlesOf(label: string): string[] {
  if (!/^[a-z0-9' ]+$/.test(label)) return [];
  const words = label.split(/[^a-z]+/).filter((word) => word.length >= 4);
  const rare = words.filter((word) => !COMMON_WORDS.test(word));
  const windows = (rare.length > 0 ? rare : words).flatMap(windowsOf);
  windows.sort((a, b) => rarity(a) - rarity(b));
  const [rarest] = windows;
  if (rarest !== undefined) return [rarest];
  if (label === 'cv2') return [];
  // In `cardCvv` a name begins within what looks like one word here.
  let spaced = [AMBIGUOUS_SHORT_LABELS.has(label) ? '.' : ''];
  for (const char of label) {
    const ways = char === ' ' ? ['', '.'] : [/[a-z]/.test(char) ? char : '.'];
    spaced = spaced.flatMap((before) => ways.map((way) => before + way));
  }
  return spaced.map((text) => text.replace(/\.+$/, '').slice(-NEEDLE_LETTERS_MAX)).flatMap(padded);
}

function windowsOf(word: string): string[] {
  const length = Math.min(word.length, NEEDLE_LETTERS_MAX);
  return Array.from({ length: word.length - length + 1 }, (_, at) => word.slice(at, at + length));
}

/** A piece of less than four places ends in any of many ways to begin. */
function padded(piece: string): string[] {
  if (piece.length >= 4) return [piece];
  return [...'.abcdefghijklmnopqrstuvwxyz'].flatMap((char) => padded(char + piece));
}

function rarity(window: string): number {
  return [...window].reduce((product, char) => product * (FREQUENCY[char.charCodeAt(0) - 0x60] ?? 1), 1);
}

function keyOf(text: string): number {
  let key = 0;
  for (const char of text) key = (key << 5) | (char === '.' ? 0 : char.charCodeAt(0) - 0x60);
  return key;
}

const END_MASK = 0xfffff;
const SECURITY_NEEDLES = prepareNeedles([...SECURITY_CODE_LABELS, ...SHORT_SECURITY_LABELS]);
const ALL_NEEDLES = prepareNeedles([
  ...[...SECURITY_CODE_LABELS, ...SHORT_SECURITY_LABELS, ...ONE_TIME_LABELS, ...WEAK_CODE_LABELS],
]);

/** Does one of the needles end with the last character? */
function meetsNeedle(needles: Needles, key: number): boolean {
  const end = key & END_MASK;
  if ((((needles.ends[end >>> 5] ?? 0) >>> (end & 31)) & 1) === 0) return false;
  for (const [mask, piece] of needles.pieces.get(end) ?? []) if ((key & mask) === piece) return true;
  return false;
}

/** Digits that are remembered of a chain. */
const CHAIN_DIGITS_MAX = 64;
/** Signs between the groups of one number, generously. */
const GAP_MAX = 6;
const KEY_MASK = 2 ** (5 * NEEDLE_LETTERS_MAX) - 1;
/** Longest number that track data can hold before its separator, and the shortest. */
const TRACK_DIGITS_MIN = 12;
const LETTER_D = 4;
const LETTER_G = 7;
/** The letters C and V. */
const CV = (3 << 5) | 22;

type Scan = {
  readonly bytes: Uint8Array;
  readonly kind: SourceKind;
  readonly needles: Needles;
  readonly oneTimeCodes: boolean;
  /** Classes of the last six characters, what is no letter as one 0. */
  key: number;
  /** Digits of the chain so far, and the index among them at which each run begins. */
  digits: number;
  runs: number;
  inRun: boolean;
  gap: number;
  /** Where the current run of what could be Base64 begins, and whether an escape is in it. */
  token: number;
  tokenCoded: boolean;
};

/** Scratch of one call; the function calls nobody who could call it again. */
const chainDigits = new Uint8Array(CHAIN_DIGITS_MAX);
const chainRuns = new Uint8Array(CHAIN_DIGITS_MAX);

/**
 * Can a body hold anything that guard takes out?
 * @returns false only where it certainly does not
 */
export function mayHoldCardData(bytes: Uint8Array, kind: SourceKind, oneTimeCodes: boolean): boolean {
  const needles = oneTimeCodes ? ALL_NEEDLES : SECURITY_NEEDLES;
  const sorts = kind === 'form' ? FORM_BYTES : BYTES;
  const scan: Scan = {
    bytes,
    kind,
    needles,
    oneTimeCodes,
    key: 0,
    digits: 0,
    runs: 0,
    inRun: false,
    gap: 0,
    token: 0,
    tokenCoded: false,
  };
  const { ends } = needles;
  const { length } = bytes;
  // Letters and what parts words, which is nearly everything, are taken right here: a call for each would cost more than the work.
  let key = 0;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at] ?? 0;
    const sort = sorts[byte] ?? UNKNOWN;
    if (sort < DIGIT && sort !== OTHER) {
      if (scan.digits > 0 && endsBadly(scan, sort)) return true;
      key = ((key << 5) | sort) & KEY_MASK;
      const end = key & END_MASK;
      if ((((ends[end >>> 5] ?? 0) >>> (end & 31)) & 1) === 1 && meetsNeedle(needles, key)) return true;
      continue;
    }
    const parted = key & 31 ? (key << 5) & KEY_MASK : key;
    if (sort === OTHER) {
      scan.inRun = false;
      scan.gap += 1;
      if (at - scan.token >= RUN_CHARS_MIN && endToken(scan, at, at + 1)) return true;
      scan.token = at + 1;
    } else if (sort === DIGIT) {
      if (takeDigit(scan, byte - 0x30, key)) return true;
    } else {
      scan.key = key;
      const end = takeSpecial(scan, at, byte, sort);
      if (end < 0) return true;
      at = end - 1;
      key = scan.key;
      continue;
    }
    key = parted;
  }
  return endToken(scan, length, length) || endChain(scan);
}

/** Ends a chain of digits at a letter. */
function endsBadly(scan: Scan, letter: number): boolean {
  // Track 2 as terminals print it has a D between number and date.
  if (letter === LETTER_D && scan.inRun && scan.digits >= TRACK_DIGITS_MIN) return true;
  scan.inRun = false;
  return endChain(scan);
}

function takeDigit(scan: Scan, value: number, key: number): boolean {
  let doubt = false;
  if (!scan.inRun) {
    // `cv2`: the only label whose letters alone are too common to be looked for.
    if (value === 2 && (key & 0x3ff) === CV) return true;
    if (scan.gap > GAP_MAX) doubt = endChain(scan);
    if (scan.runs < CHAIN_DIGITS_MAX) chainRuns[scan.runs] = Math.min(scan.digits, CHAIN_DIGITS_MAX);
    scan.runs += 1;
    scan.inRun = true;
    scan.gap = 0;
  }
  if (scan.digits < CHAIN_DIGITS_MAX) chainDigits[scan.digits] = value;
  scan.digits += 1;
  return doubt;
}

function takeLetter(scan: Scan, letter: number): boolean {
  if (scan.digits > 0 && endsBadly(scan, letter)) return true;
  scan.key = ((scan.key << 5) | letter) & KEY_MASK;
  return meetsNeedle(scan.needles, scan.key);
}

/** Takes a character that is neither letter nor digit and stands at `at`; what follows it stands at `end`. */
function takeOther(scan: Scan, point: number, at: number, end: number): boolean {
  scan.inRun = false;
  scan.gap += 1;
  // `G-123456`, as one sender of one-time codes writes them.
  if (scan.oneTimeCodes && point === 0x2d && (scan.key & 0x3ff) === LETTER_G) return true;
  partWords(scan);
  return !isBase64Char(point) && endToken(scan, at, end);
}

function partWords(scan: Scan): void {
  if ((scan.key & 31) !== 0) scan.key = (scan.key << 5) & KEY_MASK;
}

/** Ends a chain of digits: could one of its parts be a card number? */
function endChain(scan: Scan): boolean {
  const { digits, runs } = scan;
  scan.digits = 0;
  scan.runs = 0;
  if (digits < CARD_DIGITS_MIN) return false;
  if (runs === 1) return digits <= CARD_DIGITS_MAX && isCardNumber(chainDigits, digits);
  if (digits > CHAIN_DIGITS_MAX) return true;
  for (let run = 0; run < runs; run += 1) {
    const start = chainRuns[run] ?? 0;
    if (digits - start < CARD_DIGITS_MIN) return false;
    if (startsLikeCard(chainDigits[start] ?? 0, chainDigits[start + 1] ?? 0)) return true;
  }
  return false;
}

/** Ends a run of what could be Base64: does it begin like text? */
function endToken(scan: Scan, at: number, next: number): boolean {
  const start = scan.token;
  const coded = scan.tokenCoded;
  scan.token = next;
  scan.tokenCoded = false;
  if (at - start < RUN_CHARS_MIN) return false;
  if (coded) return true;
  return beginsLikeText(scan.bytes, start);
}

/** Takes what is escaped, beyond ASCII, or a sign with a meaning of its own. Where what follows it stands; -1 for a doubt. */
function takeSpecial(scan: Scan, at: number, byte: number, sort: number): number {
  const { bytes, kind } = scan;
  const following = bytes[at + 1] ?? 0;
  switch (sort) {
    case PERCENT:
      return takePercent(scan, at);
    case BACKSLASH:
      if (kind !== 'json' || following === 0x5c || following === 0x75) return -1;
      scan.tokenCoded ||= following === 0x2f;
      return takeOther(scan, following === 0x2f ? following : byte, at, at + 2) ? -1 : at + 2;
    case JOINT:
      break;
    case TRACK:
      if (scan.digits > 0) return -1;
      break;
    case EQUALS:
      if (scan.digits >= TRACK_DIGITS_MIN) return -1;
      if (kind === 'text' && (following === 0x0a || following === 0x0d || isHexPair(bytes, at + 1))) return -1;
      break;
    case AMPERSAND:
      if (following === 0x23 || (kind === 'form' && endChain(scan))) return -1;
      break;
    default:
      return byte < 0x80 ? takeInvisible(scan, at, at + 1) : takeBeyondAscii(scan, at);
  }
  return takeOther(scan, byte, at, at + 1) ? -1 : at + 1;
}

function isHexPair(bytes: Uint8Array, at: number): boolean {
  return hexDigit(bytes[at] ?? 0) >= 0 && hexDigit(bytes[at + 1] ?? 0) >= 0;
}

function takeInvisible(scan: Scan, at: number, end: number): number {
  return scan.inRun || endToken(scan, at, end) ? -1 : end;
}

function takePercent(scan: Scan, at: number): number {
  const { bytes, kind } = scan;
  if (!isHexPair(bytes, at + 1)) return takeOther(scan, 0x25, at, at + 1) ? -1 : at + 1;
  // Outside of forms both readings of `%41` are possible, so neither is followed.
  if (kind !== 'form') return -1;
  const byte = hexDigit(bytes[at + 1] ?? 0) * 16 + hexDigit(bytes[at + 2] ?? 0);
  if (byte >= 0x80) return takeEscapedPoint(scan, at);
  const sort = CLASSES[byte] ?? UNKNOWN;
  scan.tokenCoded ||= isBase64Char(byte);
  if (sort === DIGIT) {
    const { key } = scan;
    partWords(scan);
    return takeDigit(scan, byte - 0x30, key) ? -1 : at + 3;
  }
  if (sort < DIGIT && sort !== OTHER) return takeLetter(scan, sort) ? -1 : at + 3;
  if (sort === INVISIBLE) return takeInvisible(scan, at, at + 3);
  // An escape of an escape, or a separator of track data.
  if (sort === PERCENT || sort === BACKSLASH || sort === TRACK || sort === EQUALS) return -1;
  return takeOther(scan, byte, at, at + 3) ? -1 : at + 3;
}

/** Takes a character of UTF-8 as it stands. */
function takeBeyondAscii(scan: Scan, at: number): number {
  const { bytes } = scan;
  const size = sequenceSize(bytes[at] ?? 0);
  let point = size === 0 ? -1 : (bytes[at] ?? 0) & (0xff >> (size + 1));
  for (let k = 1; k < size && point >= 0; k += 1) {
    const byte = bytes[at + k] ?? 0;
    point = (byte & 0xc0) === 0x80 ? (point << 6) | (byte & 0x3f) : -1;
  }
  return takePoint(scan, point, at, at + size);
}

/** Takes a character of UTF-8 whose bytes are percent-encoded. */
function takeEscapedPoint(scan: Scan, at: number): number {
  const { bytes } = scan;
  const lead = hexDigit(bytes[at + 1] ?? 0) * 16 + hexDigit(bytes[at + 2] ?? 0);
  const size = sequenceSize(lead);
  let point = size === 0 ? -1 : lead & (0xff >> (size + 1));
  for (let k = 1; k < size && point >= 0; k += 1) {
    const from = at + 3 * k;
    const byte = bytes[from] === 0x25 ? hexDigit(bytes[from + 1] ?? 0) * 16 + hexDigit(bytes[from + 2] ?? 0) : -1;
    point = byte >= 0x80 && byte < 0xc0 ? (point << 6) | (byte & 0x3f) : -1;
  }
  return takePoint(scan, point, at, at + 3 * size);
}

function sequenceSize(lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function takePoint(scan: Scan, point: number, at: number, end: number): number {
  if (point < 0x80) return -1;
  const sort = point < FOLLOWED ? (CLASSES[point] ?? UNKNOWN) : classBeyond(point);
  // Beside a number these read differently to those who fold and those who do not.
  if (sort === UNKNOWN || sort === DIGIT || (sort === INVISIBLE && scan.inRun) || endToken(scan, at, end)) return -1;
  if (sort === INVISIBLE) return end;
  if (sort === OTHER) return takeOther(scan, point, at, end) ? -1 : end;
  const second = point < FOLLOWED ? (SECONDS[point] ?? 0) : 0;
  return takeLetter(scan, sort) || (second !== 0 && takeLetter(scan, second)) ? -1 : end;
}

/** Other scripts are not followed; signs and emoji only part words. */
function classBeyond(point: number): number {
  const folded = foldPoint(point);
  if (folded === '') return INVISIBLE;
  for (let index = 0; index < folded.length; index += 1) {
    const code = folded.charCodeAt(index);
    if (isDigit(code) || isLetter(code)) return UNKNOWN;
  }
  return OTHER;
}
