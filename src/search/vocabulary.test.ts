import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fitsWildcard, isWithinEdits, wordRange } from './vocabulary.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '配', '𠀀'), maxLength: 7 });

describe('misspelled words', () => {
  test.each([
    ['refund', 'refund', 0, true],
    ['refund', 'refnud', 1, true],
    ['refund', 'refunds', 1, true],
    ['refund', 'rfund', 1, true],
    ['refund', 'rfnud', 1, false],
    ['refund', 'rfnud', 2, true],
    ['refund', 'defund', 2, false],
    ['ab', 'a', 1, true],
    ['a', '', 2, false],
    ['abcdef', 'abdcfe', 2, true],
  ])('%s and %s within %i: %s', (a, b, edits, within) => {
    expect(isWithinEdits(a, b, edits)).toBe(within);
  });

  test('fit when the shortest way of edits is short enough, found by trying all', () => {
    fc.assert(
      fc.property(word, word, fc.integer({ min: 1, max: 2 }), (a, b, edits) => {
        const wanted = [...a][0] === [...b][0] && editsBetween([...a], [...b]) <= edits;
        expect(isWithinEdits(a, b, edits)).toBe(wanted);
      }),
      { seed: 7, numRuns: 3_000 },
    );
  });

  /** Optimal string alignment by plain recursion. */
  function editsBetween(a: readonly string[], b: readonly string[]): number {
    if (a.length === 0 || b.length === 0) return a.length + b.length;
    const [a1, a2] = a;
    const [b1, b2] = b;
    let least = editsBetween(a.slice(1), b.slice(1)) + (a1 === b1 ? 0 : 1);
    if (least > 0) least = Math.min(least, editsBetween(a.slice(1), b) + 1, editsBetween(a, b.slice(1)) + 1);
    if (a2 !== undefined && a1 === b2 && a2 === b1) least = Math.min(least, editsBetween(a.slice(2), b.slice(2)) + 1);
    return least;
  }
});

describe('wildcards', () => {
  test.each([
    ['r?fund', 'refund', true],
    ['r?fund', 'rfund', false],
    ['re*d', 'red', true],
    ['re*d', 'refunded', true],
    ['re*d', 'refunds', false],
    ['a*b*c', 'aXbXbc', true],
    ['配?', '配送', true],
    ['a?', 'a𠀀', true],
    ['a*', 'a', true],
  ])('%s and %s: %s', (pattern, text, fits) => {
    expect(fitsWildcard(pattern, text)).toBe(fits);
  });

  test('take bounded time', () => {
    const started = performance.now();
    expect(fitsWildcard(`${'a*'.repeat(500)}b`, 'a'.repeat(4_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

test('the range of words to look at holds every word that fits', () => {
  expect(wordRange({ kind: 'expand', mark: '', fit: { kind: 'wildcard', pattern: 're?u*d' } })).toEqual({
    from: 're',
    until: 're\u{10ffff}',
  });
  expect(wordRange({ kind: 'expand', mark: '²f', fit: { kind: 'fuzzy', text: '𠀀bc', distance: 1 } })).toEqual({
    from: '²f𠀀',
    until: '²f𠀀\u{10ffff}',
  });
});
