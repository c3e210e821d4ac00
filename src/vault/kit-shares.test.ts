import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import { formatKitShares, readKit, SHARES_MAX } from './kit-shares.ts';
import { decodeBase32, digitsOf, formatRecoveryKit } from './recovery-kit.ts';
import { codeOfAsync, testBytes, toHex } from './testing/vectors.ts';

const archives = [{ name: 'Blumen Müller', id: 'arc_1', logKey: 'log+1+2' }];
const madeAt = Date.UTC(2026, 10, 22, 9, 30);
const rootKey = testBytes(32, 42);
const split = (key: Uint8Array, shares: number, threshold: number, holders: string[] = []): Promise<string[]> =>
  formatKitShares({ rootKey: key, archives, madeAt, shares, threshold, holders });
const linesOf = (share = ''): string[] =>
  share.split('\n').flatMap((line) => (/^ +[A-H]\d: /.test(line) ? [line.trim()] : []));
const keyOf = async (text: string): Promise<string> => toHex((await readKit(text)).rootKey);
const failure = async (text: string): Promise<CartularyError> => {
  try {
    await readKit(text);
  } catch (cause) {
    if (cause instanceof CartularyError) return cause;
    throw cause;
  }
  throw new Error('it was read');
};

/** Multiplication in GF(256) of AES (FIPS 197 §4.2), bit by bit: nothing of it is shared with what is tested. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit += 1) {
    if ((b >> bit) & 1) product ^= a;
    a = (a << 1) ^ (a & 0x80 ? 0x11b : 0);
  }
  return product;
}
const inverse = (a: number): number => Array.from({ length: 256 }, (_none, b) => b).find((b) => times(a, b) === 1) ?? 0;

describe('shares of a recovery kit', () => {
  it('are pages of plain ASCII that say what they are and who keeps them', async () => {
    const shares = await split(rootKey, 3, 2, ['Ann Example', 'Bo', 'The notary']);
    expect(shares).toHaveLength(3);
    for (const [index, share] of shares.entries()) {
      expect(share).toMatch(/^[\x20-\x7e\n]+$/);
      expect(Math.max(...share.split('\n').map((line) => line.length))).toBeLessThanOrEqual(76);
      expect(share.split('\n').length).toBeLessThan(62);
      expect(linesOf(share)).toHaveLength(8);
      expect(share).toContain(`SHARE ${'ABC'.charAt(index)} OF 3`);
      expect(share).toContain('2 of 3 shares');
    }
    expect(shares[2]).toContain('Kept by:      The notary');
  });

  it('any so many give the key, and fewer are refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc
          .integer({ min: 2, max: SHARES_MAX })
          .chain((shares) => fc.tuple(fc.constant(shares), fc.integer({ min: 2, max: shares }))),
        fc.infiniteStream(fc.nat()),
        async (key, [count, threshold], picks) => {
          const shares = await split(key, count, threshold);
          const [first] = picks;
          const order = shares.map((_share, index) => shares[(index + (first ?? 0)) % count] ?? '');
          expect(await keyOf(order.slice(0, threshold).join('\n'))).toBe(toHex(key));
          expect(await keyOf(order.join('\n'))).toBe(toHex(key));
          expect((await failure(order.slice(1, threshold).join('\n'))).message).toContain(
            `it takes ${threshold} shares`,
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('are what the arithmetic of Shamir says, done by hand', async () => {
    const points = (await split(rootKey, 3, 2)).slice(0, 2).map((share) => {
      const bytes = linesOf(share).flatMap((line) => [...decodeBase32(digitsOf(line.slice(4, 13)))]);
      return { x: bytes[7] ?? 0, y: bytes.slice(8) };
    });
    const [one, other] = points;
    if (one === undefined || other === undefined) throw new Error('there are two');
    // The line through two points, at 0: y1·x2/(x1+x2) + y2·x1/(x1+x2).
    const over = inverse(one.x ^ other.x);
    const key = one.y.map((y, at) => times(times(y, other.x), over) ^ times(times(other.y[at] ?? 0, one.x), over));
    expect(toHex(Uint8Array.from(key))).toBe(toHex(rootKey));
    // One point alone fits every key: the other end of the line may lie anywhere.
    expect(one.y).not.toEqual([...rootKey]);
  });

  it('are read as people type them; a whole kit is read as ever', async () => {
    const lines = (await split(rootKey, 3, 2)).slice(1).flatMap(linesOf);
    const typed = lines.map((line) =>
      line
        .toLowerCase()
        .replaceAll('0', 'o')
        .replaceAll('-', ' ')
        .replace(/^(.)1:/, '$1l.'),
    );
    expect(await keyOf(typed.reverse().join('\r\n'))).toBe(toHex(rootKey));
    expect(await keyOf(formatRecoveryKit({ rootKey, archives, madeAt }))).toBe(toHex(rootKey));
  });

  it('name the line that is mistyped, missing, or of another share', async () => {
    const [a = [], b = []] = (await split(rootKey, 3, 2)).map(linesOf);
    const wrong = a.map((line, at) => (at === 2 ? line.replace(/.$/, (last) => (last === '7' ? '8' : '7')) : line));
    expect((await failure([...wrong, ...b.slice(1)].join('\n'))).detail).toEqual({ lines: 'A3,B1' });
    // The digits of one share under the letter of another.
    const swapped = a.map((line, at) => (at === 4 ? `A5${(b[4] ?? '').slice(2)}` : line));
    expect((await failure([...swapped, ...b].join('\n'))).detail).toEqual({ lines: 'A5' });
    expect((await failure([...a, ...b, (b[0] ?? '').replace('-', '0')].join('\n'))).message).toContain(
      'B1 is there twice',
    );
  });

  it('of two splittings are not put together', async () => {
    const [a] = await split(rootKey, 3, 2);
    const [, b] = await split(rootKey, 3, 2);
    expect((await failure(`${a}\n${b}`)).message).toContain('A and B are of two splittings');
  });

  it.each([
    [1, 1],
    [9, 2],
    [3, 1],
    [3, 4],
    [2.5, 2],
  ])('%d shares of which it takes %d make no sense', async (shares, threshold) => {
    expect(await codeOfAsync(split(rootKey, shares, threshold))).toBe('bad-input');
  });
});
