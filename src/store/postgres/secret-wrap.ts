/**
 * Message secrets in their rows: wrapped (AES key wrap, RFC 3394) under the key of an epoch, so that copies of the database that are older than an epoch whose key was destroyed
 * bring no secret back.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { CartularyError } from '../../model/errors.ts';

/** RFC 3394 §2.2.3.1. */
const INITIAL_VALUE = Buffer.alloc(8, 0xa6);

/** Bytes of a wrapped secret: those of the secret and of the check. */
export const WRAPPED_BYTES = 40;

/** The key of an epoch. A key object: Node takes 40 µs to find out that bytes are none, once a message. */
export type EpochKey = { readonly epoch: number; readonly key: KeyObject };

/** Wraps 32 bytes into 40. */
export function wrapSecret({ key }: EpochKey, secret: Uint8Array): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', key, INITIAL_VALUE);
  return Buffer.concat([cipher.update(secret), cipher.final()]);
}

/** The opposite of `wrapSecret`. @throws CartularyError `corrupt` */
export function unwrapSecret({ key }: EpochKey, wrapped: Uint8Array): Buffer {
  // OpenSSL takes nothing at all for the wrapping of nothing.
  if (wrapped.length !== WRAPPED_BYTES) throw new CartularyError('corrupt', 'a wrapped secret has the wrong length');
  try {
    const decipher = createDecipheriv('id-aes256-wrap', key, INITIAL_VALUE);
    return Buffer.concat([decipher.update(wrapped), decipher.final()]);
  } catch (cause) {
    throw new CartularyError('corrupt', 'the secret of a message cannot be unwrapped', { cause });
  }
}
