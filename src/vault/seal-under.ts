/**
 * Sealing under a key that both sides have: small files and messages that are neither records nor settings. AES-256-GCM under a key derived for one use, with a random nonce: a use has far
 * fewer sealings than the 2^32 of SP 800-38D §8.3.
 *
 * Sealed bytes: `u8 algorithm (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import { hkdfSha256 } from './hash.ts';

const ALGORITHM_AES256GCM = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;

/**
 * Seals bytes.
 * @param key at least 32 random bytes
 * @param use what it is for: bound into key and additional data
 */
export function sealUnder(key: Uint8Array, use: string, plaintext: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const own = keyOf(key, use);
  const cipher = createCipheriv('aes-256-gcm', own, nonce, { authTagLength: TAG_BYTES });
  own.fill(0);
  cipher.setAAD(Buffer.from(use));
  return Buffer.concat([
    Uint8Array.of(ALGORITHM_AES256GCM),
    nonce,
    cipher.update(plaintext),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

/**
 * Opens what `sealUnder` made.
 * @throws CartularyError `corrupt` where it was altered or cut, or is of another key or use
 */
export function openUnder(key: Uint8Array, use: string, sealed: Uint8Array): Uint8Array {
  if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== ALGORITHM_AES256GCM)
    throw new CartularyError('corrupt', 'this is nothing that was sealed');
  const own = keyOf(key, use);
  const decipher = createDecipheriv('aes-256-gcm', own, sealed.subarray(1, HEADER_BYTES), { authTagLength: TAG_BYTES });
  own.fill(0);
  decipher.setAAD(Buffer.from(use));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new CartularyError('corrupt', 'this does not open: it was altered, or is of another key', { cause });
  }
}

function keyOf(key: Uint8Array, use: string): Uint8Array {
  return hkdfSha256(key, new Uint8Array(0), Buffer.from(`cartulary/seal-under/v1 ${use}`), 32);
}
