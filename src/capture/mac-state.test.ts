import { createHmac } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { macFromState, macStateOf } from './mac-state.ts';
import { textMac } from './text-mac.ts';

describe('a MAC without its key', () => {
  it('is the MAC of the key, for every key and text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200, unit: 'grapheme' }), fc.string({ maxLength: 400 }), (secret, text) => {
        const expected = createHmac('sha1', secret).update(text, 'utf8').digest();
        expect(macFromState(macStateOf(secret), text)).toEqual(expected);
        expect(textMac('sha1', macStateOf(secret), text)).toEqual(expected);
      }),
    );
  });

  it.each([0, 54, 55, 56, 63, 64, 119, 120, 17_000])('holds at a text of %d characters', (length) => {
    const text = 'x'.repeat(length);
    expect(macFromState(macStateOf('k'), text)).toEqual(createHmac('sha1', 'k').update(text).digest());
  });

  it('is made by states alone: a key stays a key, and states do not show it', () => {
    const token = '0123456789abcdef0123456789abcdef';
    expect(macFromState(token, 'x')).toBeUndefined();
    expect(macFromState('hmac-sha1-state/00', 'x')).toBeUndefined();
    expect(macStateOf(token)).toMatch(/^hmac-sha1-state\/[0-9a-f]{80}$/);
    expect(macStateOf(token)).not.toContain(token.slice(0, 8));
  });
});
