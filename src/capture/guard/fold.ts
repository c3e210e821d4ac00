/**
 * Folding: the spelling in which guard looks at a text. Lower case, compatibility forms resolved (full-width, circled, superscript digits),
 * every decimal digit of Unicode as ASCII, diacritics and invisible characters removed, dashes and spaces made one. Detection works on
 * the folded text; masks are put on the characters of the original, hence the way back.
 */

/** A folded text with the way back to the original. */
export type Folded = {
  /** Folded characters; one original character gives none, one or several. */
  readonly chars: string;
  /** Index in the original (UTF-16 units) of each folded character; undefined where both are the same. */
  readonly at: Int32Array | undefined;
};

/** Folded characters of one original code point. */
const ONE_CACHE_MAX = 16_384;
const cache = new Map<number, string>();

/** Letters that Unicode does not decompose, as people type them without the special key. */
const PLAIN_LETTERS: Readonly<Record<string, string>> = {
  ł: 'l',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ı: 'i',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
};

const INVISIBLE = /[\p{M}\p{Cf}\p{Cc}\u115f\u1160\u3164\uffa0]/u;
const NOT_PLAIN_ASCII = /[^\t\n\r\u0020-\u007e]/;

/**
 * Folds a text.
 * Linear in its length; a text of printable ASCII costs one native call and no table.
 */
export function fold(text: string): Folded {
  if (!NOT_PLAIN_ASCII.test(text)) return { chars: text.toLowerCase(), at: undefined };
  let units = new Uint16Array(text.length + 32);
  let at = new Int32Array(text.length + 32);
  let length = 0;
  for (let index = 0; index < text.length;) {
    const code = text.charCodeAt(index);
    const point = code >= 0xd800 && code <= 0xdbff ? (text.codePointAt(index) ?? code) : code;
    const folded = foldPoint(point);
    if (length + folded.length > units.length) {
      units = grow(units, new Uint16Array(2 * units.length + folded.length));
      at = grow(at, new Int32Array(units.length));
    }
    for (let k = 0; k < folded.length; k += 1) {
      units[length] = folded.charCodeAt(k);
      at[length] = index;
      length += 1;
    }
    index += point > 0xffff ? 2 : 1;
  }
  const chars = Buffer.from(units.buffer, 0, 2 * length).toString('utf16le');
  return { chars, at: at.subarray(0, length) };
}

function grow<Numbers extends Uint16Array | Int32Array>(from: Numbers, into: Numbers): Numbers {
  into.set(from);
  return into;
}

/** Folds one code point; lone surrogates stay as they are. */
export function foldPoint(point: number): string {
  if (point >= 0x20 && point < 0x7f) {
    return String.fromCharCode(point >= 0x41 && point <= 0x5a ? point + 32 : point);
  }
  const known = cache.get(point);
  if (known !== undefined) return known;
  const folded = foldSlowly(point);
  if (cache.size >= ONE_CACHE_MAX) cache.clear();
  cache.set(point, folded);
  return folded;
}

function foldSlowly(point: number): string {
  const char = String.fromCodePoint(point);
  if (char === '\t' || char === '\n' || char === '\r') return char;
  if (point >= 0xd800 && point <= 0xdfff) return char;
  let folded = '';
  for (const part of char.normalize('NFKD').toLowerCase().normalize('NFKD')) folded += foldPart(part);
  return folded;
}

function foldPart(part: string): string {
  const point = part.codePointAt(0) ?? 0;
  if (point >= 0x20 && point < 0x7f) return part;
  const plain = PLAIN_LETTERS[part];
  if (plain !== undefined) return plain;
  if (part === '\u2028' || part === '\u2029' || part === '\u0085') return '\n';
  if (INVISIBLE.test(part)) return '';
  if (/\p{Nd}/u.test(part)) return digitOf(point);
  if (/\p{Pd}/u.test(part) || part === '\u2212') return '-';
  if (/\p{Zs}/u.test(part) || part === '\u2800') return ' ';
  if (part === '\u2044' || part === '\u2215') return '/';
  if (part === '\u2019' || part === '\u2018' || part === '\u02bc') return "'";
  return part;
}

/** Digits of a script stand in blocks of ten that begin with zero, so the way back to the block's first digit is the value. */
function digitOf(point: number): string {
  let value = 0;
  while (value < 60 && /\p{Nd}/u.test(String.fromCodePoint(point - value - 1))) value += 1;
  return String(value % 10);
}

/** Where a folded character begins in the original. */
export function originalStart(folded: Folded, index: number): number {
  return folded.at === undefined ? index : (folded.at[index] ?? 0);
}

/** Where the original character that gave this folded one ends. */
export function originalEnd(folded: Folded, text: string, index: number): number {
  const start = originalStart(folded, index);
  const code = text.charCodeAt(start);
  const pair = code >= 0xd800 && code <= 0xdbff && (text.charCodeAt(start + 1) & 0xfc00) === 0xdc00;
  return start + (pair ? 2 : 1);
}

const LETTER_UNKNOWN = 0;
const LETTER_YES = 1;
const LETTER_NO = 2;
const letters = new Uint8Array(0x10000);

/** Is this UTF-16 unit of a folded text a letter? Emoji and other pairs are not. */
export function isLetter(code: number): boolean {
  if (code < 0x80) return code >= 0x61 && code <= 0x7a;
  if (letters[code] === LETTER_UNKNOWN) {
    letters[code] = /\p{L}/u.test(String.fromCharCode(code)) ? LETTER_YES : LETTER_NO;
  }
  return letters[code] === LETTER_YES;
}

/** Is this UTF-16 unit of a folded text a digit? */
export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
