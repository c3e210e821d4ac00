import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createSealer } from './seal.ts';
import { openSetting, sealSetting, SETTING_BYTES_MAX } from './secrets.ts';
import { codeOf, testBytes, toHex } from './testing/vectors.ts';

const sealKeys = new Map([[1, testBytes(32, 1)]]);
const sealer = createSealer({ archiveId: testBytes(16), sealKeys, currentVersion: 1 });

describe('sealSetting and openSetting', () => {
  it('give back the value under its name and no other', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 40 }),
        fc.string({ unit: 'grapheme', maxLength: 40 }),
        fc.uint8Array({ maxLength: 200 }),
        (name, other, value) => {
          const stored = sealSetting(sealer, name, value);
          expect(toHex(openSetting(sealer, name, stored))).toBe(toHex(value));
          if (other !== name) expect(codeOf(() => openSetting(sealer, other, stored))).toBe('corrupt');
        },
      ),
      { seed: 1 },
    );
  });

  it('hide the value, and differ at each writing', () => {
    const value = Buffer.from('whsec_0123456789');
    const [one, two] = [sealSetting(sealer, 'a', value), sealSetting(sealer, 'a', value)];
    expect(Buffer.from(one).includes(value)).toBe(false);
    expect(toHex(one)).not.toBe(toHex(two));
  });

  it('fail when any bit is flipped, when cut, and in another archive', () => {
    const stored = sealSetting(sealer, 'token', Buffer.from('abc'));
    for (let bit = 0; bit < stored.length * 8; bit += 1) {
      const altered = new Uint8Array(stored);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(['corrupt', 'key-missing']).toContain(codeOf(() => openSetting(sealer, 'token', altered)));
    }
    for (let length = 0; length < stored.length; length += 1) {
      expect(codeOf(() => openSetting(sealer, 'token', stored.subarray(0, length)))).toBe('corrupt');
    }
    const elsewhere = createSealer({ archiveId: testBytes(16, 2), sealKeys, currentVersion: 1 });
    expect(codeOf(() => openSetting(elsewhere, 'token', stored))).toBe('corrupt');
  });

  it('open after a rotation of the archive key', () => {
    const stored = sealSetting(sealer, 'token', Buffer.from('abc'));
    const rotated = createSealer({
      archiveId: testBytes(16),
      sealKeys: new Map([...sealKeys, [2, testBytes(32, 2)]]),
      currentVersion: 2,
    });
    expect(toHex(openSetting(rotated, 'token', stored))).toBe('616263');
    expect(codeOf(() => openSetting(sealer, 'token', sealSetting(rotated, 'token', Buffer.from('abc'))))).toBe(
      'key-missing',
    );
  });

  it('refuse more than a setting holds', () => {
    expect(codeOf(() => sealSetting(sealer, 'token', new Uint8Array(SETTING_BYTES_MAX + 1)))).toBe('too-large');
  });
});
