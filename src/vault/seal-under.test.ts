import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { openUnder, sealUnder } from './seal-under.ts';

const key = new Uint8Array(32).fill(7);

describe('sealing under a key that both sides have', () => {
  it('gives back what was sealed, each time by other bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const sealed = sealUnder(key, 'use', bytes);
        expect(new Uint8Array(openUnder(key, 'use', sealed))).toEqual(bytes);
        expect(sealUnder(key, 'use', bytes)).not.toEqual(sealed);
      }),
    );
  });

  it('opens nothing that was altered, cut, or is of another key or use', () => {
    const sealed = sealUnder(key, 'use', Buffer.from('what is sealed'));
    const corrupt = (bytes: Uint8Array, by = key, use = 'use') =>
      expect(() => openUnder(by, use, bytes)).toThrow(expect.objectContaining({ code: 'corrupt' }) as Error);
    for (let at = 0; at < sealed.length; at += 1) {
      const flipped = new Uint8Array(sealed);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      corrupt(flipped);
      corrupt(sealed.subarray(0, at));
    }
    corrupt(sealed, new Uint8Array(32).fill(8));
    corrupt(sealed, key, 'another use');
  });
});
