/**
 * HMAC-SHA1 without its key. HMAC (RFC 2104) is SHA-1 begun with one block of the key, twice; whoever has the two states after those blocks can make and check every MAC of the key, and
 * cannot find the key, since that would take a preimage of SHA-1's compression. Twilio signs with the token that opens the whole account: an edge is given the states of it, so that whoever
 * gets at the edge can pass for Twilio there, and can do nothing at Twilio.
 *
 * Node's own SHA-1 cannot be begun in the middle, hence the compression function is written out (FIPS 180-4 §6.1); mac-state.test.ts holds it to Node's.
 */
import { createHash } from 'node:crypto';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 20;
const PREFIX = 'hmac-sha1-state/';
const STATE = /^hmac-sha1-state\/([0-9a-f]{40})([0-9a-f]{40})$/;
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
const schedule = new Int32Array(80);

/** The states of a key, as a text that stands where the key would. @param secret the key is its UTF-8 */
export function macStateOf(secret: string): string {
  const bytes = Buffer.from(secret, 'utf8');
  const key = Buffer.alloc(BLOCK_BYTES);
  (bytes.length > BLOCK_BYTES ? createHash('sha1').update(bytes).digest() : bytes).copy(key);
  const stateAfter = (pad: number): string => {
    const state = Int32Array.from(INITIAL);
    compress(state, Buffer.from(key.map((byte) => byte ^ pad)), 0);
    return bytesOf(state).toString('hex');
  };
  return PREFIX + stateAfter(0x36) + stateAfter(0x5c);
}

/** The MAC of a text's UTF-8 by the states of a key; undefined where a secret is no such states but a key. */
export function macFromState(secret: string, text: string): Buffer | undefined {
  if (!secret.startsWith(PREFIX)) return undefined;
  const [, inner, outer] = STATE.exec(secret) ?? [];
  if (inner === undefined || outer === undefined) return undefined;
  return goOn(outer, goOn(inner, Buffer.from(text, 'utf8')));
}

/** SHA-1 that goes on behind its first block. */
function goOn(stateHex: string, message: Uint8Array): Buffer {
  const hex = Buffer.from(stateHex, 'hex');
  const state = Int32Array.from({ length: 5 }, (_none, at) => hex.readInt32BE(4 * at));
  const padded = Buffer.alloc(Math.ceil((message.length + 9) / BLOCK_BYTES) * BLOCK_BYTES);
  padded.set(message);
  padded[message.length] = 0x80;
  padded.writeBigUInt64BE(BigInt(BLOCK_BYTES + message.length) * 8n, padded.length - 8);
  for (let at = 0; at < padded.length; at += BLOCK_BYTES) compress(state, padded, at);
  return bytesOf(state);
}

function bytesOf(state: Int32Array): Buffer {
  const bytes = Buffer.alloc(DIGEST_BYTES);
  for (const [at, word] of state.entries()) bytes.writeInt32BE(word, 4 * at);
  return bytes;
}

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** One block, FIPS 180-4 §6.1.2. */
function compress(state: Int32Array, bytes: Buffer, offset: number): void {
  for (let at = 0; at < 16; at += 1) schedule[at] = bytes.readInt32BE(offset + 4 * at);
  const word = (at: number): number => schedule[at] ?? 0;
  for (let at = 16; at < 80; at += 1)
    schedule[at] = rotate(word(at - 3) ^ word(at - 8) ^ word(at - 14) ^ word(at - 16), 1);
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = state;
  for (let at = 0; at < 80; at += 1) {
    const mixed =
      at < 20
        ? ((b & c) | (~b & d)) + 0x5a827999
        : at < 40
          ? (b ^ c ^ d) + 0x6ed9eba1
          : at < 60
            ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
            : (b ^ c ^ d) + 0xca62c1d6;
    const next = (rotate(a, 5) + mixed + e + word(at)) | 0;
    [a, b, c, d, e] = [next, a, rotate(b, 30), c, d];
  }
  for (const [at, value] of [a, b, c, d, e].entries()) state[at] = (state[at] ?? 0) + value;
}
