/**
 * Looks into Base64 (RFC 4648 §4 and §5) where a text holds runs of it: some platforms wrap whole events so. What decodes to text is guarded
 * and written back in the same alphabet, padding and line length; what decodes to anything else (ids, tokens, pictures) is left alone.
 */
import { isUtf8 } from 'node:buffer';

/** Shorter runs hold no label with its code. */
export const RUN_CHARS_MIN = 24;
/** Longer ones are media. */
const RUN_CHARS_MAX = 524_288;

/** Characters that are looked at first. */
const HEAD_CHARS = 16;

/** A run of Base64 that holds text. */
export type Base64Run = {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Writes changed text the way the run was written. */
  readonly encode: (text: string) => string;
};

/** Finds the runs of Base64 in a text that decode to UTF-8 text. */
export function findBase64Text(text: string): Base64Run[] {
  const found: Base64Run[] = [];
  let at = 0;
  while (at < text.length) {
    const start = skipOther(text, at);
    const end = skipRun(text, start);
    at = Math.max(end, start + 1);
    if (end - start < RUN_CHARS_MIN || end - start > RUN_CHARS_MAX) continue;
    const run = readRun(text, start, end);
    if (run !== undefined) found.push(run);
  }
  return found;
}

function skipOther(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isBase64Char(text.charCodeAt(at))) at += 1;
  return at;
}

/** A run, over line breaks where lines are as long as mail breaks them. */
function skipRun(text: string, from: number): number {
  let at = from;
  let line = from;
  while (at < text.length) {
    if (isBase64Char(text.charCodeAt(at))) at += 1;
    else if (at - line >= 60 && isBase64Char(text.charCodeAt(skipBreak(text, at)))) {
      if (skipBreak(text, at) === at) break;
      at = skipBreak(text, at);
      line = at;
    } else break;
  }
  while (at > from && at - from < RUN_CHARS_MAX && text.charCodeAt(at) === 0x3d) at += 1;
  return at;
}

function skipBreak(text: string, at: number): number {
  if (text.charCodeAt(at) === 0x0a) return at + 1;
  return text.charCodeAt(at) === 0x0d && text.charCodeAt(at + 1) === 0x0a ? at + 2 : at;
}

/** A character of either alphabet of Base64. */
export function isBase64Char(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2b ||
    code === 0x2f ||
    code === 0x2d ||
    code === 0x5f
  );
}

/** Scratch for the beginning of a run. */
const head = new Uint8Array(HEAD_CHARS);

function readRun(text: string, start: number, end: number): Base64Run | undefined {
  for (let at = 0; at < HEAD_CHARS; at += 1) head[at] = text.charCodeAt(start + at);
  if (!beginsLikeText(head, 0)) return undefined;
  const written = text.slice(start, end);
  const bytes = Buffer.from(written, 'base64');
  if (bytes.length < 12 || !isUtf8(bytes)) return undefined;
  const decoded = bytes.toString('utf8');
  if (hasControl(decoded)) return undefined;
  return { start, end, text: decoded, encode: (changed) => encodeLike(written, changed) };
}

/** Values of the characters of both alphabets; 255 for all others. */
const VALUES = new Uint8Array(256).fill(255);
for (const [value, char] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  VALUES[char.charCodeAt(0)] = value;
}
VALUES[0x2d] = 62;
VALUES[0x5f] = 63;

/**
 * Do the first twelve bytes of sixteen characters of Base64 look like text? Sorts out ids and media at little cost.
 * @param codes the characters; `start` where the run begins among them
 */
export function beginsLikeText(codes: ArrayLike<number>, start: number): boolean {
  let trailing = 0;
  for (let at = start; at < start + HEAD_CHARS; at += 4) {
    const word =
      ((VALUES[codes[at] ?? 0] ?? 0) << 18) |
      ((VALUES[codes[at + 1] ?? 0] ?? 0) << 12) |
      ((VALUES[codes[at + 2] ?? 0] ?? 0) << 6) |
      (VALUES[codes[at + 3] ?? 0] ?? 0);
    for (let shift = 16; shift >= 0; shift -= 8) {
      trailing = followText((word >> shift) & 0xff, trailing);
      if (trailing < 0) return false;
    }
  }
  return true;
}

/** Reads one more byte of UTF-8: how many bytes of its sequence are still to come, -1 where text has no such byte. */
function followText(byte: number, trailing: number): number {
  if (byte < 0x80) {
    const control = byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09;
    return trailing > 0 || control || byte === 0x7f ? -1 : 0;
  }
  if (byte < 0xc0) return trailing - 1;
  if (trailing > 0 || byte < 0xc2 || byte > 0xf4) return -1;
  return byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
}

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return true;
  }
  return false;
}

function encodeLike(written: string, changed: string): string {
  let encoded = Buffer.from(changed, 'utf8').toString('base64');
  if (/[-_]/.test(written)) encoded = encoded.replaceAll('+', '-').replaceAll('/', '_');
  if (!written.endsWith('=')) encoded = encoded.replace(/=+$/, '');
  const lineBreak = /\r?\n/.exec(written);
  if (lineBreak === null) return encoded;
  const width = lineBreak.index;
  const lines: string[] = [];
  for (let at = 0; at < encoded.length; at += width) lines.push(encoded.slice(at, at + width));
  return lines.join(lineBreak[0]);
}
