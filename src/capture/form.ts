/**
 * Exact reading of `application/x-www-form-urlencoded` bytes (WHATWG URL Standard §5.1): order and repeated names are kept, nothing is
 * trimmed, and bytes that are no UTF-8 are read as U+FFFD, as every form reader does, and reported. What a platform signed depends on it.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { UnreadableEnvelope } from './unreadable.ts';

/** One `name=value`, decoded. */
export type FormPair = readonly [name: string, value: string];

/** A form as it was sent. */
export type Form = {
  readonly pairs: readonly FormPair[];
  /** False where a name or value was no UTF-8 and therefore holds U+FFFD in place of what was sent. */
  readonly wellFormed: boolean;
};

/** Most pairs in one form; Twilio sends some thirty. */
export const FORM_PAIRS_MAX = 2_000;

const PERCENT = 0x25;
const PLUS = 0x2b;

/**
 * Reads a form from bytes that anybody may have sent. Runs of `&` and pairs without `=` are read as the standard says.
 * @param bytes the body, or the query of a URL as UTF-8 bytes
 * @throws UnreadableEnvelope where there are more than `pairsMax` pairs; any other bytes are a form
 */
export function parseForm(bytes: Uint8Array, pairsMax = FORM_PAIRS_MAX): Form {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // One character a byte, so that percent decoding sees bytes.
  const text = buffer.toString('latin1');
  const ascii = isAscii(buffer);
  const pairs: FormPair[] = [];
  let wellFormed = true;
  // Most components hold nothing to decode: what comes next is looked for in the whole text, not in each component.
  let percent = ascii ? findFrom(text, '%', 0) : 0;
  let plus = findFrom(text, '+', 0);
  for (let start = 0; start < text.length;) {
    const end = findFrom(text, '&', start);
    if (end > start) {
      if (pairs.length === pairsMax) throw new UnreadableEnvelope(`a form has more than ${pairsMax} pairs`);
      const equals = Math.min(findFrom(text, '=', start), end);
      if (percent < end || plus < end) {
        const name = decodeComponent(text, start, equals, ascii);
        const value = decodeComponent(text, equals + 1, end, ascii);
        wellFormed &&= name !== undefined && value !== undefined;
        pairs.push([name ?? replaceBroken(text, start, equals), value ?? replaceBroken(text, equals + 1, end)]);
        if (ascii && percent < end) percent = findFrom(text, '%', end);
        if (plus < end) plus = findFrom(text, '+', end);
      } else {
        pairs.push([text.slice(start, equals), text.slice(equals + 1, end)]);
      }
    }
    start = end + 1;
  }
  return { pairs, wellFormed };
}

/**
 * Reads the query of a URL as a form; what stands behind `#` does not belong to it.
 * @throws UnreadableEnvelope as `parseForm`
 */
export function parseQuery(url: string, pairsMax = FORM_PAIRS_MAX): Form {
  const sent = url.slice(0, findFrom(url, '#', 0));
  return parseForm(Buffer.from(sent.slice(findFrom(sent, '?', 0) + 1), 'utf8'), pairsMax);
}

/** Where the character stands next; the length of the text where it does not. */
function findFrom(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at === -1 ? text.length : at;
}

/** Decodes what is ASCII or UTF-8; undefined where replacement is needed. */
function decodeComponent(text: string, start: number, end: number, ascii: boolean): string | undefined {
  let decoded = '';
  let from = start;
  let ending = ascii;
  for (let at = start; ending && at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === PLUS) {
      decoded += `${text.slice(from, at)} `;
      from = at + 1;
    } else if (code === PERCENT) {
      const byte = at + 2 < end ? hexDigit(text.charCodeAt(at + 1)) * 16 + hexDigit(text.charCodeAt(at + 2)) : -1;
      // Not ASCII or no hex digits: from here on as bytes.
      if (byte < 0 || byte > 0x7f) ending = false;
      else {
        decoded += text.slice(from, at) + String.fromCharCode(byte);
        at += 2;
        from = at + 1;
      }
    }
  }
  if (ending) return decoded + text.slice(from, end);
  const bytes = percentDecode(text, from, end);
  return isUtf8(bytes) ? decoded + bytes.toString('utf8') : undefined;
}

function replaceBroken(text: string, start: number, end: number): string {
  return percentDecode(text, start, end).toString('utf8');
}

/** Percent decoding of the standard: `%` without two hex digits stays as it is. */
function percentDecode(text: string, start: number, end: number): Buffer {
  const bytes = Buffer.from(text.slice(start, end), 'latin1');
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    let byte = bytes[at] ?? 0;
    if (byte === PLUS) byte = 0x20;
    else if (byte === PERCENT && at + 2 < bytes.length) {
      const escaped = hexDigit(bytes[at + 1] ?? 0) * 16 + hexDigit(bytes[at + 2] ?? 0);
      if (escaped >= 0) {
        byte = escaped;
        at += 2;
      }
    }
    bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** Value of a hex digit; what is none makes the sum of two digits negative. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1_000;
}
