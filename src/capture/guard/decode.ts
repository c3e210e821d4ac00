/**
 * Decoding with the way back: text inside bytes or inside another text, unescaped, with the place in the source where each character came
 * from, so that a mask can be put exactly there and all else stays byte for byte.
 *
 * A source is a string: either text, or bytes as one character each (latin1), which is how bodies are looked at.
 */

/** How characters are written in a source. */
export type Escape = 'none' | 'form' | 'percent' | 'json' | 'quoted-printable' | 'entities';

/** What stands between two places of a source, decoded. */
export type Decoded = {
  readonly text: string;
  /** Place in the source of each UTF-16 unit, and of the end; undefined where unit `i` stands at `start + i`. */
  readonly at: Uint32Array | undefined;
  readonly start: number;
};

/** Where a character of the decoded text begins in the source. */
export function sourceAt(decoded: Decoded, index: number): number {
  return decoded.at === undefined ? decoded.start + index : (decoded.at[index] ?? 0);
}

const NOT_ASCII = /[^\0-\x7f]/;

/**
 * Decodes a part of a source. Never fails: a broken escape stays as it is written, bytes that are no UTF-8 are read as latin1.
 * @param bytes true where each character of the source is a byte
 */
export function decodePart(source: string, bytes: boolean, start: number, end: number, escape: Escape): Decoded {
  const part = source.slice(start, end);
  const escaped = isEscaped(part, escape);
  if (!escaped && !(bytes && NOT_ASCII.test(part))) {
    return { text: escape === 'form' ? part.replaceAll('+', ' ') : part, at: undefined, start };
  }
  // At most three bytes of UTF-8 for each unit of a text; unescaping only makes it shorter.
  const size = bytes ? part.length : 3 * part.length;
  const raw: Raw = { bytes: new Uint8Array(size), from: new Uint32Array(size + 1), length: 0 };
  unescape(part, start, bytes, escaped ? escape : 'none', raw);
  raw.from[raw.length] = end;
  return decodeUtf8(raw, start);
}

function isEscaped(part: string, escape: Escape): boolean {
  switch (escape) {
    case 'none':
      return false;
    case 'form':
    case 'percent':
      return part.includes('%');
    case 'json':
      return part.includes('\\');
    case 'quoted-printable':
      return part.includes('=');
    case 'entities':
      return part.includes('&#');
  }
}

/** Bytes of UTF-8, surrogates included (WTF-8), each with its place in the source. */
type Raw = { readonly bytes: Uint8Array; readonly from: Uint32Array; length: number };

function unescape(part: string, offset: number, bytes: boolean, escape: Escape, raw: Raw): void {
  for (let index = 0; index < part.length;) {
    const code = part.charCodeAt(index);
    const used = code === leadOf(escape) ? readEscape(part, index, offset, escape, raw) : 0;
    if (used > 0) {
      index += used;
      continue;
    }
    if (escape === 'form' && code === 0x2b) pushByte(raw, 0x20, offset + index);
    else if (bytes) pushByte(raw, code, offset + index);
    else pushPoint(raw, code, offset + index);
    index += 1;
  }
}

function leadOf(escape: Escape): number {
  switch (escape) {
    case 'form':
    case 'percent':
      return 0x25;
    case 'json':
      return 0x5c;
    case 'quoted-printable':
      return 0x3d;
    case 'entities':
      return 0x26;
    case 'none':
      return -1;
  }
}

/** Reads one escape; how many characters it has, 0 where it is none. */
function readEscape(part: string, index: number, offset: number, escape: Escape, raw: Raw): number {
  if (escape === 'json') return readJsonEscape(part, index, offset, raw);
  if (escape === 'entities') return readEntity(part, index, offset, raw);
  if (escape === 'quoted-printable') {
    const lineBreak = /^=[ \t]{0,8}\r?\n/.exec(part.slice(index, index + 12));
    if (lineBreak !== null) return lineBreak[0].length;
  }
  const value = hexValue(part, index + 1, 2);
  if (value === undefined) return 0;
  pushByte(raw, value, offset + index);
  return 3;
}

const JSON_SHORT: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function readJsonEscape(part: string, index: number, offset: number, raw: Raw): number {
  const next = part.charAt(index + 1);
  if (next === 'u') {
    const unit = hexValue(part, index + 2, 4);
    if (unit === undefined) return 0;
    pushPoint(raw, unit, offset + index);
    return 6;
  }
  if (next === '' || next.charCodeAt(0) > 0x7f) return 0;
  pushByte(raw, (JSON_SHORT[next] ?? next).charCodeAt(0), offset + index);
  return 2;
}

function readEntity(part: string, index: number, offset: number, raw: Raw): number {
  const match = /^&#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));/.exec(part.slice(index, index + 12));
  if (match === null) return 0;
  const point = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  if (point > 0xffff) return 0;
  pushPoint(raw, point, offset + index);
  return match[0].length;
}

function hexValue(part: string, from: number, length: number): number | undefined {
  let value = 0;
  for (let index = from; index < from + length; index += 1) {
    const digit = hexDigit(part.charCodeAt(index));
    if (digit < 0) return undefined;
    value = value * 16 + digit;
  }
  return value;
}

/** Value of a hex digit, -1 where it is none. */
export function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function pushByte(raw: Raw, byte: number, from: number): void {
  raw.bytes[raw.length] = byte;
  raw.from[raw.length] = from;
  raw.length += 1;
}

function pushPoint(raw: Raw, unit: number, from: number): void {
  if (unit < 0x80) pushByte(raw, unit, from);
  else if (unit < 0x800) {
    pushByte(raw, 0xc0 | (unit >> 6), from);
    pushByte(raw, 0x80 | (unit & 0x3f), from);
  } else {
    pushByte(raw, 0xe0 | (unit >> 12), from);
    pushByte(raw, 0x80 | ((unit >> 6) & 0x3f), from);
    pushByte(raw, 0x80 | (unit & 0x3f), from);
  }
}

function decodeUtf8(raw: Raw, start: number): Decoded {
  const units = new Uint16Array(raw.length);
  const at = new Uint32Array(raw.length + 1);
  let length = 0;
  for (let index = 0; index < raw.length;) {
    const size = sequenceLength(raw, index);
    const point = pointAt(raw, index, size);
    at[length] = raw.from[index] ?? 0;
    if (point > 0xffff) {
      units[length] = 0xd800 + ((point - 0x10000) >> 10);
      length += 1;
      at[length] = raw.from[index] ?? 0;
      units[length] = 0xdc00 + ((point - 0x10000) & 0x3ff);
    } else {
      units[length] = point;
    }
    length += 1;
    index += size;
  }
  at[length] = raw.from[raw.length] ?? 0;
  const text = Buffer.from(units.buffer, 0, 2 * length).toString('utf16le');
  return { text, at: at.subarray(0, length + 1), start };
}

/** Length of the sequence of UTF-8 that begins here; 1 for a byte that begins none. */
function sequenceLength(raw: Raw, index: number): number {
  const lead = raw.bytes[index] ?? 0;
  const size = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (index + size > raw.length) return 1;
  for (let k = 1; k < size; k += 1) if (((raw.bytes[index + k] ?? 0) & 0xc0) !== 0x80) return 1;
  return size;
}

function pointAt(raw: Raw, index: number, size: number): number {
  const lead = raw.bytes[index] ?? 0;
  if (size === 1) return lead;
  let point = lead & (0xff >> (size + 1));
  for (let k = 1; k < size; k += 1) point = (point << 6) | ((raw.bytes[index + k] ?? 0) & 0x3f);
  return point > 0x10ffff ? 0xfffd : point;
}
