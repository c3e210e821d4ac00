import { createHash } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createBase64Sink, finishBase64, pushBase64 } from './base64-sink.ts';
import { cutBytes } from './testing/read-items.ts';

function decode(
  text: string,
  cuts: readonly number[] = [],
  byteCountMax = 1e6,
): ReturnType<typeof finishBase64> & { bytes: Buffer } {
  const sink = createBase64Sink(byteCountMax);
  for (const chunk of cutBytes(Buffer.from(text, 'latin1'), cuts)) pushBase64(sink, Buffer.from(chunk));
  const result = finishBase64(sink);
  return { ...result, bytes: Buffer.concat(result.chunks) };
}

describe('streamed Base 64', () => {
  it('gives back any bytes, however it is cut and wherever white space stands', () => {
    const input = fc.record({
      bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      cuts: fc.array(fc.nat(400), { maxLength: 8 }),
      spaces: fc.array(fc.tuple(fc.nat(300), fc.constantFrom(' ', '\n', '\r\n', '\t')), { maxLength: 6 }),
      padding: fc.boolean(),
    });
    fc.assert(
      fc.property(input, ({ bytes, cuts, spaces, padding }) => {
        let text = Buffer.from(bytes).toString('base64');
        if (!padding) text = text.replace(/=+$/, '');
        for (const [place, space] of spaces) {
          const at = place % (text.length + 1);
          text = text.slice(0, at) + space + text.slice(at);
        }
        const { bytes: decoded, sha256, byteCount, fault } = decode(text, cuts);
        expect(fault).toBeUndefined();
        expect(decoded.equals(bytes)).toBe(true);
        expect(byteCount).toBe(bytes.length);
        expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  it('refuses anything foreign, however it is cut', () => {
    const foreign = fc.constantFrom('*', '&', '<', '\u0000', 'é', '=A', '%3D');
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 6, maxLength: 60 }),
        foreign,
        fc.nat(80),
        fc.array(fc.nat(90), { maxLength: 5 }),
        (bytes, bad, place, cuts) => {
          const text = Buffer.from(bytes).toString('base64').replace(/=+$/, '');
          const at = place % (text.length - 3);
          expect(decode(text.slice(0, at) + bad + text.slice(at), cuts)).toMatchObject({
            fault: 'not-base64',
            chunks: [],
          });
        },
      ),
      { numRuns: 300, seed: 4 },
    );
    for (const text of ['A', 'AAAAA', '=', 'AA=A', 'AAA==', 'AA==AAAA', 'nulll'])
      expect(decode(text)).toMatchObject({ fault: 'not-base64' });
  });

  it.each(['', '  \n', 'null'])('takes "%s" for no value', (text) => {
    expect(decode(text, [1, 2])).toMatchObject({ fault: 'empty', byteCount: 0, chunks: [] });
  });

  it('keeps nothing beyond the budget, and still hashes', () => {
    const bytes = Buffer.alloc(1000, 5);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(decode(bytes.toString('base64'), [100, 700], 999)).toMatchObject({
      fault: 'too-large',
      chunks: [],
      byteCount: 1000,
      sha256,
    });
    expect(decode(bytes.toString('base64'), [100, 700], 1000).fault).toBeUndefined();
  });
});
