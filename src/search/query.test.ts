import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import { formatQuery } from './query-format.ts';
import type { QuerySettings } from './query-types.ts';
import { parseQuery } from './query.ts';
import { GENERATED_NOW_MS, queryTexts } from './testing/generators.ts';

const NOW: QuerySettings = { nowMs: Date.UTC(2026, 10, 22, 10, 30) };

const normalize = (text: string, settings = NOW) => formatQuery(parseQuery(text, settings));
const rootOf = (text: string, settings = NOW) => parseQuery(text, settings).root;

function failureOf(text: string): CartularyError {
  try {
    parseQuery(text, NOW);
  } catch (cause) {
    if (cause instanceof CartularyError) return cause;
    throw cause;
  }
  throw new Error(`no error for ${JSON.stringify(text)}`);
}

describe('queries and their normal forms', () => {
  test.each([
    ['', ''],
    ['   ', ''],
    ['refund order', 'refund AND order'],
    ['a b OR c', 'a AND b OR c'],
    ['a (b OR c)', 'a AND (b OR c)'],
    ['((a))', 'a'],
    ['a AND (b AND c)', 'a AND b AND c'],
    ['NOT a b', 'NOT a AND b'],
    ['NOT (a OR b)', 'NOT (a OR b)'],
    ['-a -"b c"', 'NOT a AND NOT "b c"'],
    ['order -from:jane', 'order AND NOT from:jane'],
    ['“where is” „it“', '"where is" AND "it"'],
    ['"say \\"hi\\" \\\\"', '"say \\"hi\\" \\\\"'],
    ['refund*', 'refund*'],
    ['"where is m"*', '"where is m"*'],
    ['r?fund re*d*', 'r?fund AND re*d*'],
    ['Refund~ cat~ refund~1', 'refund~2 AND cat~1 AND refund~1'],
    ['a w/5 b', 'a w/5 b'],
    ['a W/5 b c', 'a w/5 b AND c'],
    ['a pre/5 b', 'a pre/5 b'],
    ['a NEAR(5) b', 'a w/6 b'],
    ['a NEAR b', 'a w/9 b'],
    ['a NEAR/3 b', 'a w/4 b'],
    ['a ONEAR(n=3) b', 'a pre/4 b'],
    ['(a OR b*) w/3 "c d"', '(a OR b*) w/3 "c d"'],
    ['-(a w/2 b)', 'NOT a w/2 b'],
    ['"a b"~5', '"a b"~5'],
    ['from:+15551234567', 'from:+15551234567'],
    ['from:"+1 (555) 123-4567"', 'from:+15551234567'],
    ['from:+1(555)123-4567', 'from:+15551234567'],
    ['to:555-123-4567', 'to:5551234567'],
    ['with:00491711234567', 'with:+491711234567'],
    ['participant:01711234567', 'with:1711234567'],
    ['to:"+44 (0)20 7946 0018"', 'to:+442079460018'],
    ['from:(anna OR ben)', 'from:anna OR from:ben'],
    ['from:(anna -ben)', 'from:anna AND NOT from:ben'],
    ['FROM:jane', 'from:jane'],
    ['body:-5', 'body:-5'],
    ['body:AND', 'body:AND'],
    ['body:(a OR b)', 'a OR b'],
    ['body:from*', 'from*'],
    ['AND?', 'AND?'],
    ['order:#1001-A', 'order:1001a'],
    ['order:1001*', 'order:1001*'],
    ['channel:SMS channel=sms', 'channel:sms AND channel:sms'],
    ['channel:(sms OR mms)', 'channel:sms OR channel:mms'],
    ['direction:in', 'direction:inbound'],
    ['status:Delivered', 'status:delivered'],
    ['type:optout*', 'type:optout*'],
    ['brand:"Main Shop"', 'brand:"main shop"'],
    ['id:SMab conversation:C1 source:s', 'id:SMab AND conversation:C1 AND source:s'],
    ['has:media', 'has:media'],
    ['https://shop.example.com/a?b=1', 'https://shop.example.com/a?b=1'],
    ['12:30 3.50 a=b #1001-A', '12:30 AND 3.50 AND a=b AND #1001-A'],
    ['w/o', 'w/o'],
    ['"AND" "from:x"', '"AND" AND "from:x"'],
    ['😀 👍🏽', '😀 AND 👍🏽'],
    ['配送 OR สวัสดี', '配送 OR สวัสดี'],
  ])('%s', (text, normal) => {
    expect(normalize(text)).toBe(normal);
    expect(normalize(normal)).toBe(normal);
  });

  test.each([
    ['on:2026-01-31', 'date:2026-01-31T00:00:00.000Z..2026-01-31T23:59:59.999Z'],
    ['date:2026', 'date:2026-01-01T00:00:00.000Z..2026-12-31T23:59:59.999Z'],
    ['date:2026-01..2026-02', 'date:2026-01-01T00:00:00.000Z..2026-02-28T23:59:59.999Z'],
    ['date:..2026-02', 'date<=2026-02-28T23:59:59.999Z'],
    ['date:2026-01..', 'date>=2026-01-01T00:00:00.000Z'],
    ['after:2026/01/31', 'date>=2026-01-31T00:00:00.000Z'],
    ['before:2026-01-31', 'date<=2026-01-30T23:59:59.999Z'],
    ['date>2026-01-31', 'date>=2026-02-01T00:00:00.000Z'],
    ['date<=2026-01-31', 'date<=2026-01-31T23:59:59.999Z'],
    ['date>=2026-01-31T14:05+01:00', 'date>=2026-01-31T13:05:00.000Z'],
    ['date=2026-01-31T14:05:06Z', 'date:2026-01-31T14:05:06.000Z..2026-01-31T14:05:06.999Z'],
    ['older_than:30d', 'date<=2026-10-23T10:29:59.999Z'],
    ['newer_than:2y', 'date>=2024-11-22T10:30:00.000Z'],
    ['newer_than:9m', 'date>=2026-02-22T10:30:00.000Z'],
    ['on:today', 'date:2026-11-22T00:00:00.000Z..2026-11-22T23:59:59.999Z'],
    ['on:yesterday', 'date:2026-11-21T00:00:00.000Z..2026-11-21T23:59:59.999Z'],
  ])('%s', (text, normal) => {
    expect(normalize(text)).toBe(normal);
    expect(normalize(normal)).toBe(normal);
  });

  test('days begin where the reader lives, also when clocks change', () => {
    const berlin = { ...NOW, timeZone: 'Europe/Berlin' };
    expect(normalize('on:2026-03-29', berlin)).toBe('date:2026-03-28T23:00:00.000Z..2026-03-29T21:59:59.999Z');
    expect(normalize('on:2026-10-25', berlin)).toBe('date:2026-10-24T22:00:00.000Z..2026-10-25T22:59:59.999Z');
    expect(normalize('date>=2026-03-29T02:30', berlin)).toBe('date>=2026-03-29T01:30:00.000Z');
    expect(normalize('date>=2026-10-25T02:30', berlin)).toBe('date>=2026-10-25T00:30:00.000Z');
    expect(normalize('on:today', { nowMs: Date.UTC(2026, 0, 1, 23, 30), timeZone: 'Europe/Berlin' })).toBe(
      'date:2026-01-01T23:00:00.000Z..2026-01-02T22:59:59.999Z',
    );
    // Beirut changes its clocks at midnight: the day begins at one.
    expect(normalize('on:2026-03-29', { ...NOW, timeZone: 'Asia/Beirut' })).toBe(
      'date:2026-03-28T22:00:00.000Z..2026-03-29T20:59:59.999Z',
    );
    expect(() => parseQuery('a', { ...NOW, timeZone: 'Nowhere/Atall' })).toThrow(
      expect.objectContaining({ code: 'bad-input' }),
    );
  });

  test('a month ago is the last day of a shorter month', () => {
    expect(normalize('newer_than:1m', { nowMs: Date.UTC(2026, 2, 31) })).toBe('date>=2026-02-28T00:00:00.000Z');
  });
});

describe('errors', () => {
  test.each([
    ['(a', 1, 1, /never closed/],
    ['a)', 2, 1, /no opening/],
    ['a ()', 3, 2, /nothing in these/],
    ['a OR', 5, 0, /missing/],
    ['OR a', 1, 2, /both sides/],
    ['a AND OR b', 7, 2, /both sides/],
    ['NOT', 4, 0, /missing/],
    ['a - b', 3, 1, /directly before/],
    ['a --b', 3, 1, /directly before/],
    ['"abc', 1, 4, /never closed/],
    ['a"b"', 2, 1, /space before a quotation/],
    ['refund(s)', 7, 1, /space before a parenthesis/],
    ['"a"b', 4, 1, /after a quotation/],
    ['foo:bar', 1, 4, /Fields are: from, to/],
    ['re: order', 1, 3, /not a field/],
    ['sent>=2026', 1, 6, /not a field/],
    ['channel>sms', 1, 8, /only date/],
    ['from: jane', 1, 5, /without a space/],
    ['from:', 1, 5, /without a space/],
    ['from:(a channel:b)', 9, 8, /inside the group/],
    ['a w/5', 6, 0, /missing/],
    ['w/5 a', 1, 3, /between two words/],
    ['a w/0 b', 3, 3, /at least 1/],
    ['a w/101 b', 3, 5, /at most 100/],
    ['a w/2 b w/2 c', 9, 3, /two sides/],
    ['a not w/5 b', 7, 3, /not w/],
    ['NOT w/5 b', 1, 3, /NOT cannot/],
    ['-a w/5 b', 1, 1, /-\( \)/],
    ['from:a w/5 b', 8, 3, /words or phrases of the text/],
    ['(a AND b) w/5 c', 11, 3, /words or phrases of the text/],
    ['NEAR(a b)', 1, 4, /between two words/],
    ['*abc', 1, 4, /cannot begin/],
    ['?bc', 1, 3, /cannot begin/],
    ['a-*', 1, 3, /follows a letter/],
    ['a-b?c', 1, 5, /within one word/],
    ['refund~3', 1, 8, /~1 or ~2/],
    ['cat~2', 1, 5, /at least 5/],
    ['ab~', 1, 3, /at least 3/],
    ['a-b~', 1, 4, /one word/],
    ['"a"~2', 1, 5, /two words/],
    ['from:"a b"~2', 6, 7, /text of messages only/],
    ['&', 1, 1, /nothing here/],
    ['a "…"', 3, 3, /nothing here/],
    ['from:+1 (555) 123-4567', 6, 2, /too short/],
    ['from:+4917*', 6, 6, /cut off/],
    ['channel:s?s', 9, 3, /only a \* at the end/],
    ['id:SM*', 4, 3, /whole values/],
    ['status:fail*', 8, 5, /whole values|only a/],
    ['order:#', 7, 1, /empty/],
    ['direction:up', 11, 2, /inbound, outbound/],
    ['on:31.01.2026', 4, 10, /write a date/],
    ['on:01/31/2026', 4, 10, /write a date/],
    ['on:2026-02-30', 4, 10, /write a date/],
    ['date:2026-02..2026-01', 6, 16, /later than/],
    ['older_than:30', 12, 2, /write an age/],
    ['older_than:99999y', 12, 6, /write an age/],
  ])('%s', (text, column, length, message) => {
    const failure = failureOf(text);
    expect(failure.code).toBe('bad-query');
    expect(failure.message).toMatch(message);
    expect(failure.detail).toEqual({ column, length });
  });

  test('limits are named', () => {
    expect(failureOf('a'.repeat(100_000)).message).toContain('4,096 characters');
    expect(failureOf('a '.repeat(65)).message).toContain('64 terms');
    expect(failureOf(`${'('.repeat(21)}a${')'.repeat(21)}`).message).toContain('20 deep');
    expect(failureOf(`${'NOT '.repeat(21)}a`).message).toContain('20 deep');
    expect(() => parseQuery(`${'('.repeat(20)}a${')'.repeat(20)}`, NOW)).not.toThrow();
    expect(() => parseQuery('a '.repeat(64), NOW)).not.toThrow();
  });

  test('repeat nothing of the query', () => {
    for (const text of ['secretname:x', 'from:"secretname', 'secretname~9', 'on:secretname'])
      expect(failureOf(text).message).not.toContain('secretname');
  });
});

describe('hints', () => {
  const codesOf = (text: string) =>
    parseQuery(text, NOW).hints.map(({ code, column, length }) => [code, column, length]);

  test('for what may be meant otherwise, and the query stays as written', () => {
    expect(codesOf('cats or dogs')).toEqual([['lowercase-operator', 6, 2]]);
    expect(parseQuery('cats or dogs', NOW).hints[0]?.text).toBe('"or" is searched for as a word. Did you mean OR?');
    expect(normalize('cats or dogs')).toBe('cats AND or AND dogs');
    expect(codesOf('a b OR c')).toEqual([['mixed-and-or', 5, 2]]);
    expect(codesOf('(a b) OR c')).toEqual([]);
    expect(codesOf('where is it?')).toEqual([['question-mark', 10, 3]]);
    expect(codesOf('a AND b OR c "or"')).toEqual([['mixed-and-or', 9, 2]]);
  });
});

describe('any text', () => {
  const syntax = fc
    .array(
      fc.constantFrom(
        'a',
        'refund',
        '配',
        '😀',
        '12',
        ' ',
        ' ',
        '(',
        ')',
        '"',
        '“',
        '-',
        '*',
        '?',
        '~',
        '~2',
        ':',
        '\\',
        '/',
        '..',
        '+',
        '#',
        '\u0000',
        '\ud800',
        'AND',
        'OR',
        'NOT',
        'NEAR',
        'NEAR(5)',
        'w/5',
        'pre/2',
        'from:',
        'to:(',
        'body:',
        'order:',
        'date:',
        'date>=',
        '2026-01',
        'has:',
        'id:',
        'status:',
        '+1555',
      ),
      { maxLength: 25 },
    )
    .map((pieces) => pieces.join(''));
  const anyText = fc.oneof(
    syntax,
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ maxLength: 60 }),
    queryTexts,
  );

  test('is read or refused with a place inside it, and its normal form means the same', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        let root;
        try {
          root = rootOf(text);
        } catch (cause) {
          if (!(cause instanceof CartularyError) || cause.code !== 'bad-query') throw cause;
          const { column, length } = cause.detail;
          expect(Number(column)).toBeGreaterThanOrEqual(1);
          expect(Number(column) - 1 + Number(length)).toBeLessThanOrEqual(text.length);
          return;
        }
        const normal = normalize(text);
        expect(rootOf(normal)).toEqual(root);
        expect(normalize(normal)).toBe(normal);
      }),
      { seed: 4, numRuns: 6_000 },
    );
  });

  test('generated queries are all read', () => {
    fc.assert(
      fc.property(queryTexts, (text) => {
        parseQuery(text, { nowMs: GENERATED_NOW_MS });
      }),
      { seed: 5, numRuns: 3_000 },
    );
  });

  test('is read in bounded time', () => {
    const started = performance.now();
    for (const piece of [
      '(',
      '"',
      '-',
      '~',
      '*',
      'a*',
      '?',
      'a?',
      'a ',
      'from:',
      '+1(',
      'NOT ',
      'a w/5 ',
      '\\',
      '1-',
      'é',
      '配',
      ':',
      '//',
      'a.',
      '("',
      '.?',
      'a!?',
    ]) {
      for (const length of [4096, 100_000]) {
        const text = piece.repeat(Math.floor(length / piece.length));
        try {
          parseQuery(text, NOW);
        } catch (cause) {
          expect(cause).toBeInstanceOf(CartularyError);
        }
      }
    }
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
