/**
 * Bytes to text and back, strictly: one value has one text, so that a file which parses is, byte for byte, the file that
 * formatting its content gives. Parsing is written out
 * because the ledger runs in browsers too, where there is no `Buffer`, and because `atob` accepts spaces, missing padding
 * and stray low bits.
 */
import { LedgerError } from './error.ts';

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64_VALUES: ReadonlyMap<string, number> = new Map(Array.from(BASE64, (digit, value) => [digit, value]));

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The UTF-8 bytes of a text. Throws `bad-format` when the text holds half a surrogate pair, which has no UTF-8. */
export function utf8(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new LedgerError('bad-format', 'the text is not valid Unicode');
  return encoder.encode(text);
}

/** The text of UTF-8 bytes that anyone may have sent. Throws `bad-format` when they are not valid UTF-8. */
export function parseUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new LedgerError('bad-format', 'the bytes are not valid UTF-8', { cause });
  }
}

/** Standard Base 64 with padding (RFC 4648 §4). */
export function formatBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

/**
 * The bytes of standard Base 64 (RFC 4648 §4) in its only canonical form: padded, no other characters, unused bits zero
 * (§3.5). Throws `bad-format`.
 */
export function parseBase64(text: string): Uint8Array {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (text.length % 4 !== 0) throw new LedgerError('bad-format', 'base64 comes in groups of four characters');
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const digits = text.length - padding;
  let word = 0;
  let bits = 0;
  let offset = 0;
  for (let index = 0; index < digits; index += 1) {
    const value = BASE64_VALUES.get(text.charAt(index));
    if (value === undefined) throw new LedgerError('bad-format', 'a character is not base64');
    word = (word << 6) | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[offset] = word >> bits;
    offset += 1;
    word &= (1 << bits) - 1;
  }
  if (word !== 0) throw new LedgerError('bad-format', 'unused bits of base64 must be zero');
  return bytes;
}

/**
 * A view of the same bytes as a Uint8Array proper. Whoever reads files hands in Buffers, whose `slice` gives a view where
 * that of a Uint8Array gives a copy, and which compare as unequal to Uint8Arrays; so each way in passes through here.
 */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Lower-case hexadecimal. */
export function formatHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Whether both hold the same bytes. Not in constant time: for public values only. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) if (left[index] !== right[index]) return false;
  return true;
}

/**
 * A count written in ASCII decimal without leading zeros, as all C2SP formats write sizes and indexes. Throws
 * `bad-format`; a value past 2^53 - 1 is `limit`, because sizes are numbers here and no archive comes near it.
 */
export function parseDecimal(text: string, name: string): number {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(text)) throw new LedgerError('bad-format', `${name} is not a decimal number`);
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new LedgerError('limit', `${name} is larger than 2^53 - 1`);
  return value;
}
