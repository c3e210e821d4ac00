import { createSecretKey, randomBytes } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { unwrapSecret, wrapSecret } from './secret-wrap.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('the secret of a message in its row', () => {
  // RFC 3394 §4.6: 256 bits of key data with a 256-bit key.
  const key = createSecretKey('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
  const epoch = { epoch: 1, key };
  const secret = hex('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f');
  const wrapped = hex('28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21');

  it('is wrapped as the standard says', () => {
    expect(wrapSecret(epoch, secret)).toEqual(wrapped);
    expect(unwrapSecret(epoch, wrapped)).toEqual(secret);
  });

  it('does not open under the key of another epoch, nor where a bit is another', () => {
    expect(() => unwrapSecret({ epoch: 2, key: createSecretKey(randomBytes(32)) }, wrapped)).toThrow(
      'cannot be unwrapped',
    );
    const altered = Buffer.from(wrapped);
    altered[5] = (altered[5] ?? 0) ^ 1;
    expect(() => unwrapSecret(epoch, altered)).toThrow('cannot be unwrapped');
    for (const bytes of [0, 8, 39, 48]) expect(() => unwrapSecret(epoch, Buffer.alloc(bytes))).toThrow('wrong length');
  });
});
