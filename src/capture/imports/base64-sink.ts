/**
 * Base 64 decoded as it streams by, for media of hundreds of megabytes inside one XML attribute: nothing but the decoded bytes is kept, and
 * those only up to a budget. Beyond it the bytes are still hashed, because the hash belongs to the identity of the row.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';

/** What came of one attribute. */
export type Base64Result = {
  /** Decoded bytes in their order; empty with a fault. */
  readonly chunks: Uint8Array[];
  readonly byteCount: number;
  /** Hex SHA-256 of the decoded bytes, also of those that were over the budget. */
  readonly sha256: string;
  /** `empty`: no value, or the text `null`, which the format writes for one. */
  readonly fault?: 'empty' | 'not-base64' | 'too-large';
};

/** A decoder in the middle of its work. */
export type Base64Sink = {
  /** Up to three characters that wait for a full group of four. */
  carry: string;
  /** The first characters, to know the text `null` by. */
  head: string;
  padded: boolean;
  bad: boolean;
  byteCount: number;
  readonly byteCountMax: number;
  chunks: Uint8Array[];
  readonly hash: Hash;
};

/** @param byteCountMax decoded bytes that are kept at most */
export function createBase64Sink(byteCountMax: number): Base64Sink {
  return {
    carry: '',
    head: '',
    padded: false,
    bad: false,
    byteCount: 0,
    byteCountMax,
    chunks: [],
    hash: createHash('sha256'),
  };
}

/** Takes the next bytes of the attribute. White space is allowed anywhere. */
export function pushBase64(sink: Base64Sink, bytes: Buffer): void {
  if (sink.bad) return;
  const text = bytes.toString('latin1');
  if (sink.head.length < 5) sink.head += text.slice(0, 5 - sink.head.length);
  // Node's decoder skips what it does not know, so a group too few is how anything foreign shows.
  if (!decodeGroups(sink, sink.carry + text))
    sink.bad = !decodeGroups(sink, sink.carry + text.replace(/[ \t\r\n]+/g, ''));
}

function decodeGroups(sink: Base64Sink, text: string): boolean {
  if (text.length > 0 && sink.padded) return /^[ \t\r\n]*$/.test(text);
  const usable = text.length - (text.length % 4);
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const padded = padding > 0 && usable === text.length;
  const decoded = Buffer.from(text.slice(0, usable), 'base64');
  if (decoded.length !== (usable / 4) * 3 - (padded ? padding : 0)) return false;
  if (/[ \t\r\n]/.test(text.slice(usable))) return false;
  sink.carry = text.slice(usable);
  sink.padded = padded;
  keep(sink, decoded);
  return true;
}

function keep(sink: Base64Sink, decoded: Buffer): void {
  if (decoded.length === 0) return;
  sink.hash.update(decoded);
  sink.byteCount += decoded.length;
  if (sink.byteCount > sink.byteCountMax) sink.chunks = [];
  else sink.chunks.push(decoded);
}

/** The attribute has ended. */
export function finishBase64(sink: Base64Sink): Base64Result {
  const empty = sink.head === 'null' || (!sink.bad && sink.byteCount === 0 && sink.carry === '');
  if (!empty && !sink.bad && sink.carry !== '') sink.bad = !decodeTail(sink);
  const fault = empty
    ? 'empty'
    : sink.bad
      ? 'not-base64'
      : sink.byteCount > sink.byteCountMax
        ? 'too-large'
        : undefined;
  return {
    chunks: fault === undefined ? sink.chunks : [],
    byteCount: empty ? 0 : sink.byteCount,
    sha256: sink.hash.digest('hex'),
    ...(fault === undefined ? {} : { fault }),
  };
}

/** Two or three characters without their padding: some writers leave it out. */
function decodeTail(sink: Base64Sink): boolean {
  const decoded = Buffer.from(sink.carry, 'base64');
  if (sink.carry.length < 2 || decoded.length !== sink.carry.length - 1) return false;
  keep(sink, decoded);
  return true;
}
