import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnreadableEnvelope } from './unreadable.ts';
import { FORM_PAIRS_MAX, parseForm, parseQuery } from './form.ts';

const text = (form: string): Uint8Array => Buffer.from(form, 'utf8');

/** The platform's own reader of forms, which takes text: bytes beyond ASCII are escaped for it. */
function readByWhatwg(bytes: Uint8Array): [string, string][] {
  let escaped = '';
  for (const byte of bytes) {
    escaped += byte > 0x7f ? `%${byte.toString(16)}` : String.fromCharCode(byte);
  }
  return [...new URLSearchParams(`&${escaped}`)];
}

describe('parseForm', () => {
  it('keeps order, repeated names and white space', () => {
    const form = parseForm(text('b=2&a=++1+&b=&b=2&c&=x&&a%3D=%26'));
    expect(form).toEqual({
      wellFormed: true,
      pairs: [
        ['b', '2'],
        ['a', '  1 '],
        ['b', ''],
        ['b', '2'],
        ['c', ''],
        ['', 'x'],
        ['a=', '&'],
      ],
    });
  });

  it('reads UTF-8, escaped or not, and what is half escaped', () => {
    expect(parseForm(text('Body=%F0%9F%98%80+ä%C3%A4')).pairs).toEqual([['Body', '😀 ää']]);
    expect(parseForm(text('a=100%&b=%zz&c=%4&d=%C3%A4%')).pairs).toEqual([
      ['a', '100%'],
      ['b', '%zz'],
      ['c', '%4'],
      ['d', 'ä%'],
    ]);
    expect(parseForm(text('a=%00%0D%0A')).pairs).toEqual([['a', '\u0000\r\n']]);
  });

  it('reports bytes that are no UTF-8', () => {
    for (const broken of ['a=%FF', 'a=%ED%A0%80', 'x=1&%C3=2', 'a=%C3%A4%E2%82']) {
      const form = parseForm(text(broken));
      expect(form.wellFormed).toBe(false);
      expect(form.pairs).toEqual(readByWhatwg(text(broken)));
    }
    expect(parseForm(Uint8Array.from([0x61, 0x3d, 0xff])).wellFormed).toBe(false);
    expect(parseForm(text('a=\uFFFD')).wellFormed).toBe(true);
  });

  it('reads any bytes as the standard does', () => {
    const piece = fc.constantFrom(
      '%',
      '+',
      '&',
      '=',
      'a',
      '4',
      'F',
      '%41',
      '%C3%A4',
      '%c3',
      '%F0%9F',
      '%2B',
      '\xff',
      '\xc3',
      '\xa4',
      '\0',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const bytes = Buffer.from(pieces.join(''), 'latin1');
        expect(parseForm(bytes).pairs).toEqual(readByWhatwg(bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  it('gives back what was written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), { maxLength: 20 }),
        (written) => {
          const pairs = written.filter((pair) => pair.every((part) => part.isWellFormed()));
          expect(parseForm(text(new URLSearchParams(pairs).toString()))).toEqual({ wellFormed: true, pairs });
        },
      ),
    );
  });

  it('is bounded', () => {
    expect(parseForm(text('a&'.repeat(FORM_PAIRS_MAX))).pairs).toHaveLength(FORM_PAIRS_MAX);
    expect(() => parseForm(text('a&'.repeat(FORM_PAIRS_MAX + 1)))).toThrow(UnreadableEnvelope);
    expect(parseForm(text('&'.repeat(1_000_000))).pairs).toEqual([]);
  });

  it('leaves the bytes as they were', () => {
    const bytes = Buffer.from('a=%41+%FF', 'latin1');
    const copy = Buffer.from(bytes);
    parseForm(bytes);
    expect(bytes).toEqual(copy);
  });
});

describe('parseQuery', () => {
  it('reads the query and not the fragment', () => {
    expect(parseQuery('https://a.example/x?b=%2B1&c#d=1?e=2').pairs).toEqual([
      ['b', '+1'],
      ['c', ''],
    ]);
    expect(parseQuery('https://a.example/x').pairs).toEqual([]);
    expect(parseQuery('https://a.example/x#?a=1').pairs).toEqual([]);
    expect(parseQuery('?x=ü').pairs).toEqual([['x', 'ü']]);
  });
});
