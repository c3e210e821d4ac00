import { createHash, createHmac, hkdfSync } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  createHmacKey,
  destroyHmacKey,
  equalConstantTime,
  hkdfExpandSha256,
  hkdfSha256,
  hmac,
  hmacSha256,
  sha256,
  sha256Into,
} from './hash.ts';
import { codeOf, fromHex, readWycheproof, testBytes, toHex } from './testing/vectors.ts';

describe('sha256', () => {
  it('gives the digests of FIPS 180-4', () => {
    expect(toHex(sha256(Buffer.from('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(toHex(sha256(new Uint8Array(0)))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('agrees with the streaming hash for any bytes, also of a view into a larger buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, start) => {
        const view = bytes.subarray(Math.min(start, bytes.length));
        expect(toHex(sha256(view))).toBe(createHash('sha256').update(view).digest('hex'));
      }),
      { seed: 1 },
    );
  });

  it('returns memory of its own', () => {
    const first = sha256(testBytes(10));
    const kept = toHex(first);
    sha256(testBytes(11));
    expect(toHex(first)).toBe(kept);
    expect(first.buffer.byteLength).toBe(32);
  });

  it('writes into a buffer and refuses one without room', () => {
    const target = Buffer.alloc(40, 0xee);
    sha256Into(Buffer.from('abc'), target, 4);
    expect(toHex(target)).toBe(`eeeeeeee${toHex(sha256(Buffer.from('abc')))}eeeeeeee`);
    expect(codeOf(() => sha256Into(Buffer.from('abc'), target, 20))).toBe('internal');
  });
});

describe('hmacSha256', () => {
  const file = readWycheproof<{ keySize: number; tagSize: number }, { key: string; msg: string; tag: string }>(
    'hmac_sha256_test.json',
  );

  it('agrees with all vectors of Wycheproof', () => {
    let checked = 0;
    for (const group of file.testGroups) {
      for (const test of group.tests) {
        const mac = hmacSha256(fromHex(test.key), fromHex(test.msg)).subarray(0, group.tagSize / 8);
        expect(equalConstantTime(mac, fromHex(test.tag)), `${test.tcId} ${test.comment}`).toBe(test.result === 'valid');
        checked += 1;
      }
    }
    expect(checked).toBe(174);
  });

  it('agrees with createHmac for any key, cut into any parts', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 5 }),
        (key, parts) => {
          const expected = createHmac('sha256', key).update(Buffer.concat(parts)).digest('hex');
          expect(toHex(hmacSha256(key, ...parts))).toBe(expected);
          expect(toHex(hmac(createHmacKey(key), ...parts))).toBe(expected);
        },
      ),
      { seed: 2 },
    );
  });

  it('agrees above the size of its scratch buffer, and just below', () => {
    for (const length of [65_535, 65_536, 65_537, 200_000]) {
      const data = testBytes(length);
      const expected = createHmac('sha256', testBytes(32)).update(data).digest('hex');
      expect(toHex(hmacSha256(testBytes(32), data))).toBe(expected);
      expect(toHex(hmacSha256(testBytes(32), data.subarray(0, 70), data.subarray(70)))).toBe(expected);
    }
  });

  it('refuses a key that was destroyed, whatever key it was', () => {
    for (const key of [
      testBytes(32),
      new Uint8Array(64).fill(0x36),
      new Uint8Array(64).fill(0x5c),
      new Uint8Array(0),
    ]) {
      const keyed = createHmacKey(key);
      expect(toHex(hmac(keyed, testBytes(5)))).toBe(createHmac('sha256', key).update(testBytes(5)).digest('hex'));
      destroyHmacKey(keyed);
      expect(keyed.pads.every((byte) => byte === 0)).toBe(true);
      expect(codeOf(() => hmac(keyed, testBytes(5)))).toBe('locked');
    }
  });
});

describe('HKDF', () => {
  const file = readWycheproof<object, { ikm: string; salt: string; info: string; size: number; okm: string }>(
    'hkdf_sha256_test.json',
  );

  it('agrees with all vectors of Wycheproof', () => {
    let invalid = 0;
    for (const group of file.testGroups) {
      for (const test of group.tests) {
        const derive = (): Uint8Array =>
          hkdfSha256(fromHex(test.ikm), fromHex(test.salt), fromHex(test.info), test.size);
        if (test.result === 'valid') {
          expect(toHex(derive()), `${test.tcId} ${test.comment}`).toBe(test.okm);
        } else {
          invalid += 1;
          expect(codeOf(derive)).toBe('internal');
        }
      }
    }
    expect(invalid).toBeGreaterThan(0);
  });

  it('agrees with hkdfSync, and expand with the second half of it', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 1, max: 200 }),
        (ikm, salt, info, length) => {
          const expected = Buffer.from(hkdfSync('sha256', ikm, salt, info, length)).toString('hex');
          expect(toHex(hkdfSha256(ikm, salt, info, length))).toBe(expected);
          expect(toHex(hkdfExpandSha256(hmacSha256(salt, ikm), info, length))).toBe(expected);
        },
      ),
      { seed: 3 },
    );
  });

  it('refuses lengths that the standard does not give', () => {
    for (const length of [0, -1, 1.5, 8161])
      expect(codeOf(() => hkdfExpandSha256(testBytes(32), testBytes(3), length))).toBe('internal');
    expect(hkdfExpandSha256(testBytes(32), testBytes(3), 8160)).toHaveLength(8160);
  });
});

describe('equalConstantTime', () => {
  it('compares content and length', () => {
    expect(equalConstantTime(testBytes(32), testBytes(32))).toBe(true);
    expect(equalConstantTime(testBytes(32), testBytes(32, 2))).toBe(false);
    expect(equalConstantTime(testBytes(32), testBytes(31))).toBe(false);
  });
});
