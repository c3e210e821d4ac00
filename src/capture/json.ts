/**
 * Reading of JSON that anybody may have sent (RFC 8259), so that nothing is silently changed:
 *
 * - bytes must be UTF-8; a byte order mark at the start is passed over;
 * - nesting is bounded before anything is built, so that no input can exhaust the stack;
 * - an object that names a member twice is refused, since readers disagree which one counts;
 * - an integer that a double cannot hold exactly (`4987381189870374001`, `1e400`) is given as its source text, a string;
 * - NUL and lone surrogates written as escapes survive.
 *
 * The common case costs one pass over the bytes besides `JSON.parse`; what is rare is looked at only where that pass saw a sign of it.
 */
import { isUtf8 } from 'node:buffer';
import { UnreadableEnvelope } from './unreadable.ts';

/** Bounds of a JSON text. */
export type JsonLimits = {
  readonly bytesMax: number;
  /** Objects and arrays inside each other. */
  readonly depthMax: number;
};

/** A history webhook of WhatsApp holds thousands of messages; nothing honest nests as deep as 64. */
export const JSON_LIMITS: JsonLimits = { bytesMax: 10 * 1024 * 1024, depthMax: 64 };

/** An object of a parsed JSON text. */
export type JsonObject = { readonly [name: string]: unknown };

/** Is it an object, and neither an array nor null? */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads a JSON text.
 * @returns the value; integers outside ±(2^53 − 1) and numbers beyond a double are strings that hold their source text
 * @throws UnreadableEnvelope where it is no JSON, no UTF-8, too large, too deep, or names a member twice; the text quotes nothing
 */
export function parseJsonSafely(bytes: Uint8Array, limits: JsonLimits = JSON_LIMITS): unknown {
  if (bytes.length > limits.bytesMax) throw new UnreadableEnvelope(`JSON is larger than ${limits.bytesMax} bytes`);
  if (!isUtf8(bytes)) throw new UnreadableEnvelope('JSON is not UTF-8');
  const start = markLength(bytes);
  const seen = survey(bytes, start, limits.depthMax);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start);
  let value: unknown;
  try {
    value = seen.largeNumbers ? parseWithSource(text, keepExact) : JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, so it must not travel as the cause.
    throw new UnreadableEnvelope('not JSON');
  }
  if (seen.members > 1 && countMembers(value) !== seen.members) {
    throw new UnreadableEnvelope('a JSON object names a member twice');
  }
  return value;
}

/**
 * The exact bytes of each element of an array, without white space around them: the array is the whole text, or the named member of the
 * object that is the whole text.
 * @param bytes JSON that `parseJsonSafely` accepts
 * @throws UnreadableEnvelope where there is no such array
 */
export function sliceJsonElements(bytes: Uint8Array, member?: string): Uint8Array[] {
  let at = skipSpace(bytes, markLength(bytes));
  if (member !== undefined) at = findMember(bytes, at, Buffer.from(JSON.stringify(member), 'utf8'));
  if (bytes[at] !== OPEN_ARRAY) throw new UnreadableEnvelope('a JSON array was expected');
  const slices: Uint8Array[] = [];
  at = skipSpace(bytes, at + 1);
  while (at < bytes.length && bytes[at] !== CLOSE_ARRAY) {
    const end = skipValue(bytes, at);
    slices.push(bytes.subarray(at, end));
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return slices;
}

/** Joins the exact bytes of some elements into an array again. */
export function joinJsonElements(slices: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const slice of slices) parts.push(parts.length === 0 ? ARRAY_START : ARRAY_NEXT, slice);
  if (parts.length === 0) parts.push(ARRAY_START);
  return Buffer.concat([...parts, ARRAY_END]);
}

const ARRAY_START = Buffer.from('[');
const ARRAY_NEXT = Buffer.from(',');
const ARRAY_END = Buffer.from(']');

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Digits in a row that a double holds exactly whatever they are. */
const SAFE_DIGITS = 15;

type Survey = { readonly members: number; readonly largeNumbers: boolean };

/** One pass over the bytes: depth, number of members, and whether a number might not fit a double. Strings are passed over. */
function survey(bytes: Uint8Array, start: number, depthMax: number): Survey {
  let depth = 0;
  let members = 0;
  let digits = 0;
  let largeNumbers = false;
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) {
      digits += 1;
      if (digits > SAFE_DIGITS) largeNumbers = true;
      continue;
    }
    // Behind a digit the letter is an exponent; elsewhere it belongs to `true` or `false`.
    if (digits > 0 && (byte | 0x20) === 0x65) largeNumbers = true;
    digits = 0;
    if (byte === QUOTE) {
      at = skipString(bytes, at) - 1;
    } else if (byte === COLON) {
      members += 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
      if (depth > depthMax) throw new UnreadableEnvelope(`JSON is nested deeper than ${depthMax}`);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth -= 1;
    }
  }
  return { members, largeNumbers };
}

/** `JSON.parse` with the source text of each primitive (ECMA-262, JSON.parse source text access), which the library types lack. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

function keepExact(_name: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const inexact = Number.isInteger(value) || !Number.isFinite(value);
  return inexact && context.source !== undefined ? context.source : value;
}

/** Members in all objects. The depth is bounded by then, so that recursion is safe. */
function countMembers(value: unknown): number {
  let count = 0;
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object') count += countMembers(element);
  } else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) {
      count += 1;
      const member = value[name];
      if (typeof member === 'object') count += countMembers(member);
    }
  }
  return count;
}

function markLength(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at += 1;
  return at;
}

/** Position after the string that starts here. */
function skipString(bytes: Uint8Array, from: number): number {
  let at = from + 1;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at += 1;
    else if (byte === QUOTE) return at + 1;
  }
  return at;
}

/** Position after the value that starts here, without the white space behind it. */
function skipValue(bytes: Uint8Array, from: number): number {
  let depth = 0;
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || byte <= 0x20)) return at;
    at += 1;
  }
  return at;
}

/** Position of the value of a member of the object that starts here; the end of the text where there is none. */
function findMember(bytes: Uint8Array, from: number, quotedName: Uint8Array): number {
  if (bytes[from] !== OPEN_OBJECT) return bytes.length;
  let at = skipSpace(bytes, from + 1);
  while (bytes[at] === QUOTE) {
    const end = skipString(bytes, at);
    const found = Buffer.compare(bytes.subarray(at, end), quotedName) === 0;
    at = skipSpace(bytes, end);
    if (bytes[at] === COLON) at = skipSpace(bytes, at + 1);
    if (found) return at;
    at = skipSpace(bytes, skipValue(bytes, at));
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return bytes.length;
}
