/**
 * Ed25519 keys (RFC 8032) from the 32-byte seeds of the keyring, in the form node:crypto signs with. The log signer and tests share it.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';

/** Bytes of a seed and of a public key. */
const ED25519_KEY_BYTES = 32;

/** A signing key. The private half stays inside OpenSSL. */
export type Ed25519Signer = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** @returns a signature of 64 bytes */
  sign(message: Uint8Array): Uint8Array;
};

/**
 * The signing key of a seed.
 * @param seed 32 random bytes
 * @throws CartularyError `key-missing` where it is not 32 bytes, or all zero as in a keyring that was destroyed
 */
export function createEd25519Signer(seed: Uint8Array): Ed25519Signer {
  if (seed.length !== ED25519_KEY_BYTES || seed.every((byte) => byte === 0)) {
    throw new CartularyError('key-missing', 'a signing key is made of 32 random bytes');
  }
  const copy = Buffer.from(seed);
  const privateKey = createPrivateKey({ key: copy, format: 'raw-private', asymmetricKeyType: 'ed25519' });
  copy.fill(0);
  const publicKey = new Uint8Array(createPublicKey(privateKey).export({ format: 'raw-public' }));
  return { publicKey, sign: (message) => new Uint8Array(sign(null, message, privateKey)) };
}

/**
 * Reads a public key for {@link verifyEd25519}.
 * @throws CartularyError `bad-input` where it is not 32 bytes
 */
export function importEd25519PublicKey(raw: Uint8Array): KeyObject {
  if (raw.length !== ED25519_KEY_BYTES) throw new CartularyError('bad-input', 'an Ed25519 public key has 32 bytes');
  return createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType: 'ed25519' });
}

/**
 * Checks a signature.
 * @throws CartularyError `bad-signature` where it does not match
 */
export function verifyEd25519(publicKey: KeyObject, message: Uint8Array, signature: Uint8Array): void {
  if (!verify(null, message, publicKey, signature))
    throw new CartularyError('bad-signature', 'an Ed25519 signature does not match');
}
