/**
 * Ed25519 (RFC 8032), in this one file, over raw keys: 32-byte seeds and 32-byte public keys. A browser build swaps it
 * for one with the same exports.
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { LedgerError } from './error.ts';

/** Bytes of an Ed25519 public key, and of a seed. */
export const ED25519_KEY_BYTES = 32;
/** Bytes of an Ed25519 signature. */
export const ED25519_SIGNATURE_BYTES = 64;

// RFC 8410: what stands before the raw key in PKCS #8 and in SubjectPublicKeyInfo. Node takes no raw Ed25519 keys.
const PKCS8_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);
const SPKI_PREFIX = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0);

/** A private key ready for use; the seed itself is not readable from it. */
export type Ed25519Key = {
  /** 32 bytes, RFC 8032 §5.1.5. */
  readonly publicKey: Uint8Array;
  /** Signs the message (pure Ed25519, deterministic); returns 64 bytes. */
  readonly sign: (message: Uint8Array) => Uint8Array;
};

/** Makes a key from a 32-byte seed (RFC 8032 §5.1.5). Throws `bad-key` for any other length. */
export function createEd25519Key(seed: Uint8Array): Ed25519Key {
  if (seed.length !== ED25519_KEY_BYTES) throw new LedgerError('bad-key', 'an Ed25519 seed has 32 bytes');
  const der = new Uint8Array(PKCS8_PREFIX.length + seed.length);
  der.set(PKCS8_PREFIX);
  der.set(seed, PKCS8_PREFIX.length);
  const privateKey = createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    publicKey: Uint8Array.from(spki.subarray(SPKI_PREFIX.length)),
    sign: (message) => Uint8Array.from(sign(null, message, privateKey)),
  };
}

/**
 * Whether `signature` over `message` was made by the owner of `publicKey` (32 bytes, RFC 8032 §5.1.7). The signature and
 * the message may come from anyone: a wrong length or encoding is `false`, not an error.
 */
export function isEd25519Signature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ED25519_KEY_BYTES || signature.length !== ED25519_SIGNATURE_BYTES) return false;
  const der = new Uint8Array(SPKI_PREFIX.length + publicKey.length);
  der.set(SPKI_PREFIX);
  der.set(publicKey, SPKI_PREFIX.length);
  const key = createPublicKey({ key: Buffer.from(der.buffer), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
