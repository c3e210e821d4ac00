/**
 * SHA-256, HMAC-SHA256 and HKDF in the form that costs least on Node 24.
 *
 * Why not `createHmac` and `hkdfSync`: measured for 100–1,000 bytes, `crypto.hash(…, 'binary')` (one character a byte) written into a
 * buffer costs 0.6–1.2 µs, the same with a `Buffer` result 3 µs, `createHmac` 7 µs (30 with a raw key), `hkdfSync` 75 µs. HMAC is two
 * hashes (RFC 2104), so it is put together here from the cheap one and held to published vectors by hash.test.ts.
 *
 * Scratch buffers are shared: every function is synchronous and leaves them zeroed. Intermediate digests pass through short-lived
 * strings, which the collector frees but nobody can overwrite; no long-lived key ever does.
 */
import { createHmac, createSecretKey, hash, timingSafeEqual } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';

/** Bytes of a SHA-256 digest. */
export const SHA256_BYTES = 32;
const BLOCK_BYTES = 64;
/** Above this, copying costs more than `createHmac` does. */
const SCRATCH_BYTES_MAX = 64 * 1024;
/** RFC 5869 §2.3: at most 255 blocks. */
const EXPAND_BYTES_MAX = 255 * SHA256_BYTES;

const innerScratch = Buffer.alloc(BLOCK_BYTES + SCRATCH_BYTES_MAX);
const outerScratch = Buffer.alloc(BLOCK_BYTES + SHA256_BYTES);
const digestScratch = Buffer.alloc(SHA256_BYTES);
const digestView = new Uint8Array(digestScratch.buffer, digestScratch.byteOffset, SHA256_BYTES);

/** A key with its two padded blocks computed in advance. Made by {@link createHmacKey}, ended by {@link destroyHmacKey}. */
export type HmacKey = {
  /** 64 bytes: key XOR 0x36…, then 64 bytes: key XOR 0x5c… */
  readonly pads: Uint8Array;
};

/**
 * SHA-256 (FIPS 180-4).
 * @param data any length
 * @returns 32 bytes in memory of their own, so that they can be sent to another thread without a pool of other bytes
 */
export function sha256(data: Uint8Array): Uint8Array {
  digestScratch.write(hash('sha256', data, 'binary'), 0, SHA256_BYTES, 'latin1');
  return new Uint8Array(digestView);
}

/** Eight bytes of the SHA-256 of a text, in hexadecimal: finds damage in a file of ours, and is no protection against whoever means harm. */
export function checksumOf(text: string): string {
  return Buffer.from(sha256(Buffer.from(text))).toString('hex', 0, 8);
}

/**
 * SHA-256 written into a buffer, for loops that hash millions of times.
 * @param target has room for 32 bytes from `offset` on
 */
export function sha256Into(data: Uint8Array, target: Buffer, offset: number): void {
  const written = target.write(hash('sha256', data, 'binary'), offset, SHA256_BYTES, 'latin1');
  if (written !== SHA256_BYTES) throw new CartularyError('internal', 'no room for a SHA-256 digest');
}

/**
 * HMAC-SHA256 (RFC 2104, FIPS 198-1) over the parts one after another.
 * @param key any length; above 64 bytes it is hashed first, as the standard says
 * @returns 32 bytes
 */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const keyed = createHmacKey(key);
  const mac = hmac(keyed, ...parts);
  destroyHmacKey(keyed);
  return mac;
}

/** Prepares a key that is used many times. */
export function createHmacKey(key: Uint8Array): HmacKey {
  const short = key.length > BLOCK_BYTES ? sha256(key) : key;
  const pads = new Uint8Array(2 * BLOCK_BYTES);
  writeHmacPads(short, pads.subarray(0, BLOCK_BYTES), pads.subarray(BLOCK_BYTES));
  return { pads };
}

/** Overwrites a prepared key. What is computed with it afterwards fails. */
export function destroyHmacKey(keyed: HmacKey): void {
  keyed.pads.fill(0);
}

/**
 * HMAC-SHA256 with a prepared key over the parts one after another.
 * @returns 32 bytes
 * @throws CartularyError `locked` where the key was destroyed
 */
export function hmac(keyed: HmacKey, ...parts: readonly Uint8Array[]): Uint8Array {
  assertAlive(keyed);
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > SCRATCH_BYTES_MAX) return hmacLong(keyed, parts);
  innerScratch.set(keyed.pads.subarray(0, BLOCK_BYTES), 0);
  let end = BLOCK_BYTES;
  for (const part of parts) {
    innerScratch.set(part, end);
    end += part.length;
  }
  const message = innerScratch.subarray(0, end);
  outerScratch.set(keyed.pads.subarray(BLOCK_BYTES), 0);
  outerScratch.write(hash('sha256', message, 'binary'), BLOCK_BYTES, SHA256_BYTES, 'latin1');
  const mac = sha256(outerScratch);
  message.fill(0);
  outerScratch.fill(0);
  return mac;
}

/**
 * HMAC-SHA256 of a text's UTF-8 bytes with a prepared key, for ids: written where it is hashed, it costs half of what `hmac` does.
 * @param bytes how many of the 32 are wanted, from the first on
 * @throws CartularyError `locked` where the key was destroyed
 */
export function hmacText(keyed: HmacKey, text: string, bytes = SHA256_BYTES): Uint8Array {
  if (text.length * 3 > SCRATCH_BYTES_MAX) return hmac(keyed, Buffer.from(text, 'utf8')).slice(0, bytes);
  assertAlive(keyed);
  innerScratch.set(keyed.pads.subarray(0, BLOCK_BYTES), 0);
  const end = BLOCK_BYTES + innerScratch.write(text, BLOCK_BYTES, 'utf8');
  outerScratch.set(keyed.pads.subarray(BLOCK_BYTES), 0);
  outerScratch.write(hash('sha256', innerScratch.subarray(0, end), 'binary'), BLOCK_BYTES, SHA256_BYTES, 'latin1');
  digestScratch.write(hash('sha256', outerScratch, 'binary'), 0, SHA256_BYTES, 'latin1');
  innerScratch.fill(0, 0, end);
  outerScratch.fill(0);
  return digestView.slice(0, bytes);
}

function assertAlive({ pads }: HmacKey): void {
  // A pad is key XOR constant: the last byte of both pads is never 0 for a key below 64 bytes, and both are 0 only when destroyed.
  if (pads[BLOCK_BYTES - 1] === 0 && pads[2 * BLOCK_BYTES - 1] === 0)
    throw new CartularyError('locked', 'this key was destroyed');
}

/** The two padded blocks of RFC 2104 §2; the key has at most 64 bytes. */
export function writeHmacPads(key: Uint8Array, inner: Uint8Array, outer: Uint8Array): void {
  inner.fill(0x36);
  outer.fill(0x5c);
  for (let index = 0; index < key.length; index += 1) {
    const byte = key[index] ?? 0;
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
}

/**
 * HKDF-Expand with SHA-256 (RFC 5869 §2.3).
 * @param prk a uniformly random key, 32 bytes or more
 * @param length 1 to 8,160 bytes
 * @throws CartularyError `internal` where the length is out of bounds
 */
export function hkdfExpandSha256(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > EXPAND_BYTES_MAX) {
    throw new CartularyError('internal', `HKDF gives 1 to ${EXPAND_BYTES_MAX} bytes`);
  }
  const keyed = createHmacKey(prk);
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1, end = 0; end < length; counter += 1) {
    const next = hmac(keyed, block, info, Uint8Array.of(counter));
    block.fill(0);
    block = next;
    output.set(block.subarray(0, Math.min(SHA256_BYTES, length - end)), end);
    end += SHA256_BYTES;
  }
  block.fill(0);
  destroyHmacKey(keyed);
  return output;
}

/**
 * HKDF with SHA-256, extract and expand (RFC 5869).
 * @param ikm input key material; need not be uniform
 * @param salt may be empty
 * @param length 1 to 8,160 bytes
 */
export function hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const prk = hmacSha256(salt, ikm);
  const output = hkdfExpandSha256(prk, info, length);
  prk.fill(0);
  return output;
}

/** Are two byte strings equal? Takes as long for a near miss as for a far one; only the length is not hidden. */
export function equalConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function hmacLong(keyed: HmacKey, parts: readonly Uint8Array[]): Uint8Array {
  const key = new Uint8Array(BLOCK_BYTES);
  for (let index = 0; index < BLOCK_BYTES; index += 1) key[index] = (keyed.pads[index] ?? 0) ^ 0x36;
  const mac = createHmac('sha256', createSecretKey(key));
  key.fill(0);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}
