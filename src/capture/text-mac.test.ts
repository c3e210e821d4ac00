import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textMac } from './text-mac.ts';

describe('textMac', () => {
  it('is HMAC: RFC 2202 §3 case 2 and RFC 4231 §4.3', () => {
    const text = 'what do ya want for nothing?';
    expect(textMac('sha1', 'Jefe', text).toString('hex')).toBe('effcdf6ae5eb2fa2d27416d5f184df9c259a7c79');
    expect(textMac('sha256', 'Jefe', text).toString('hex')).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it('agrees with createHmac for any key and text', () => {
    const string = fc.string({ unit: 'binary', maxLength: 200 });
    fc.assert(
      fc.property(fc.constantFrom('sha1', 'sha256'), string, string, (algorithm, secret, text) => {
        expect(textMac(algorithm, secret, text)).toEqual(createHmac(algorithm, secret).update(text, 'utf8').digest());
      }),
      { numRuns: 1_000 },
    );
  });

  it('agrees with createHmac at its bounds', () => {
    for (const length of [0, 63, 64, 65, 5_460, 5_461, 5_462, 50_000]) {
      for (const character of ['a', 'é', '€']) {
        const text = character.repeat(length);
        expect(textMac('sha1', 'k'.repeat(length % 200), text)).toEqual(
          createHmac('sha1', 'k'.repeat(length % 200))
            .update(text)
            .digest(),
        );
      }
    }
  });
});
