import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ADDRESS_CHARS_MAX, addressKey } from './address.ts';
import { parsePhoneAddress } from './phone.ts';
import type { Address } from './address.ts';

describe('phone addresses', () => {
  it.each([
    // As platforms write them.
    ['+4915112345678', 'e164', '+4915112345678'],
    ['+12', 'phone_raw', '+12'],
    ['+0151123456', 'phone_raw', '+0151123456'],
    ['+1234567890123456', 'phone_raw', '+1234567890123456'],
    // As people write them.
    ['+49 (0) 151 / 123-456-78', 'e164', '+4915112345678'],
    ['\u00a0+49 151 12345678\u200b', 'e164', '+4915112345678'],
    // Senders that are no numbers.
    ['123', 'short_code', '123'],
    ['123456', 'short_code', '123456'],
    ['12', 'phone_raw', '12'],
    ['1234567', 'phone_raw', '1234567'],
    ['My Shop', 'alpha_sender', 'My Shop'],
    ['3M', 'alpha_sender', '3M'],
    ['TWELVE CHARS', 'phone_raw', 'TWELVE CHARS'],
  ])('%j is %s %j', (text, scheme, value) => {
    expect(parsePhoneAddress(text)).toMatchObject({ scheme, value });
  });

  it.each([
    'whatsapp:+14155552671',
    'rcs:+14155552671',
    'messenger:4155552671',
    'call me at +14155552671',
    '+14155552671 or +14155552672',
  ])('nothing is guessed out of %j', (text) => {
    expect(parsePhoneAddress(text)).toEqual({ scheme: 'phone_raw', value: text });
    expect(parsePhoneAddress(text, 'US')).toEqual({ scheme: 'phone_raw', value: text });
  });

  it('are read with the region of the shop, which never changes a number that names its country', () => {
    expect(parsePhoneAddress('0151 12345678', 'DE').value).toBe('+4915112345678');
    expect(parsePhoneAddress('0151 12345678').scheme).toBe('phone_raw');
    expect(parsePhoneAddress('+14155552671', 'DE').value).toBe('+14155552671');
    expect(parsePhoneAddress('87892', 'US').scheme).toBe('short_code');
    expect(parsePhoneAddress('4155552671', 'XX').scheme).toBe('phone_raw');
  });

  it('keep what was written where it differs', () => {
    expect(parsePhoneAddress('+4915112345678')).not.toHaveProperty('raw');
    expect(parsePhoneAddress(' +4915112345678')).toHaveProperty('raw', ' +4915112345678');
    expect(parsePhoneAddress(' x'.repeat(10))).toMatchObject({ scheme: 'phone_raw', raw: ' x'.repeat(10) });
  });

  it('do not depend on what was read before', () => {
    const spaced = fc.tuple(
      fc.constantFrom('', ' ', '\t'),
      fc.constantFrom('+4930123456', '+49 30 123457', '87893', 'Shop'),
      fc.constantFrom('', ' '),
    );
    fc.assert(
      fc.property(fc.array(spaced, { maxLength: 8 }), spaced, (before, parts) => {
        const text = parts.join('');
        for (const other of before) parsePhoneAddress(other.join(''));
        const { raw } = parsePhoneAddress(text);
        expect(raw ?? text.trim()).toBe(text);
      }),
      { seed: 21, numRuns: 300 },
    );
  });

  it('are bounded, whatever comes', () => {
    const rubbish = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 600 }),
      fc.string({ unit: fc.constantFrom(...'+0123456789 ()-./x;,#*'), maxLength: 600 }),
    );
    fc.assert(
      fc.property(rubbish, fc.constantFrom(undefined, 'US', 'DE', 'ZZ', ''), (text, region) => {
        const address = parsePhoneAddress(text, region);
        expect(address.value.length).toBeLessThanOrEqual(ADDRESS_CHARS_MAX);
        expect(address.raw?.length ?? 0).toBeLessThanOrEqual(ADDRESS_CHARS_MAX);
        if (address.scheme === 'e164') expect(address.value).toMatch(/^\+[1-9]\d{1,14}$/);
      }),
      { seed: 22, numRuns: 2000 },
    );
    expect(parsePhoneAddress('1'.repeat(1_000_000)).value).toHaveLength(ADDRESS_CHARS_MAX);
  });

  it('are remembered up to a limit, and forgotten beyond it without harm', () => {
    for (let index = 0; index < 20_010; index += 1) parsePhoneAddress(`+4930${String(index).padStart(8, '0')}`);
    expect(parsePhoneAddress('+493000000000')).toEqual({ scheme: 'e164', value: '+493000000000' });
  });
});

describe('address keys', () => {
  it('are the same only for the same scheme, scope and value', () => {
    const text = fc.string({ unit: fc.constantFrom('|', '\\', 'a', ''), maxLength: 5 });
    const address: fc.Arbitrary<Address> = fc
      .record({ scheme: fc.constantFrom('psid' as const, 'igsid' as const), scope: text, value: text })
      .map(({ scope, ...rest }) => (scope === '' ? rest : { ...rest, scope }));
    fc.assert(
      fc.property(address, address, (a, b) => {
        const isSame = a.scheme === b.scheme && a.value === b.value && (a.scope ?? '') === (b.scope ?? '');
        expect(addressKey(a) === addressKey(b)).toBe(isSame);
      }),
      { seed: 23, numRuns: 5000 },
    );
  });

  it('do not see how an address was written', () => {
    expect(addressKey(parsePhoneAddress('+49 30 123456'))).toBe(addressKey(parsePhoneAddress('+4930123456')));
  });
});
