import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { guardSource } from './fields.ts';
import { mayHoldCardData } from './prefilter.ts';
import type { SourceKind } from './scan.ts';
import { ONE_TIME_LABELS, SECURITY_CODE_LABELS } from './words.ts';

/** Pieces of which card data are made, so that random texts come close to it. */
const piece = fc.oneof(
  fc.constantFrom(...SECURITY_CODE_LABELS),
  fc.constantFrom(...ONE_TIME_LABELS),
  fc.constantFrom(
    '123',
    '1 2 3',
    '1234',
    '123456',
    '4111111111111111',
    '4111 1111 1111 1111',
    '12/27',
    '3714 496353 98431',
    'G-123456',
  ),
  fc.constantFrom(
    '=',
    '^',
    ';',
    '%B',
    '?',
    'd27121010000',
    '27121010000',
    '&',
    ' ',
    ': ',
    '\n',
    '"',
    '-',
    'c.v.v',
    'c vv',
    'CvC',
    'cv v',
    'Cv2',
  ),
  fc.constantFrom(
    'ist',
    'is',
    'ß',
    'ü',
    'É',
    '\u200b',
    '１２３',
    '٣',
    '①',
    'Straße',
    '😀',
    '\u00ad',
    '²',
    'one two three',
    '{"cvv":"123"}',
  ),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
);
const text = fc.array(piece, { maxLength: 7 }).map((pieces) => pieces.join(''));

function escapeJson(value: string, seed: number): string {
  return JSON.stringify(value).replaceAll(/[a-z0-9 ]/g, (char, at: number) =>
    (at * 7 + seed) % 5 === 0 && at > 0 ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : char,
  );
}

function escapeForm(value: string, seed: number): string {
  return encodeURIComponent(value.toWellFormed()).replaceAll(/[a-z0-9](?![0-9A-F])/g, (char, at: number) =>
    (at * 7 + seed) % 4 === 0 && value.length === encodeURIComponent(value.toWellFormed()).length
      ? `%${char.charCodeAt(0).toString(16)}`
      : char,
  );
}

describe('the prefilter', () => {
  it('never rules out what the detectors find', () => {
    fc.assert(
      fc.property(text, fc.nat(30), fc.boolean(), (value, seed, oneTimeCodes) => {
        const bodies: readonly (readonly [string, SourceKind])[] = [
          [value, 'text'],
          [value, 'form'],
          [value, 'json'],
          [`a=${escapeForm(value, seed)}&b=1`, 'form'],
          [`{"a":${JSON.stringify(value)}}`, 'json'],
          [`{"a":${escapeJson(value, seed)}}`, 'json'],
          [`{"cvv":${JSON.stringify(value)},"b":[${escapeJson(value, seed)}]}`, 'json'],
          [`x ${Buffer.from(`${value}                  `).toString('base64')}`, 'text'],
        ];
        for (const [body, kind] of bodies) {
          const bytes = Buffer.from(body, 'utf8');
          if (mayHoldCardData(bytes, kind, oneTimeCodes)) continue;
          expect(guardSource(bytes.toString('latin1'), true, kind, { oneTimeCodes })).toBeUndefined();
        }
      }),
      { seed: 80, numRuns: 60_000 },
    );
  });

  it('rules out what platforms send all day', () => {
    const form =
      'SmsSid=SM4f0e3c2d1b0a49f8a7b6c5d4e3f2a1b0&NumMedia=0&FromZip=94103&Body=Hello%2C+where+is+my+order+12345%3F' +
      '&To=%2B15005550006&NumSegments=1&AccountSid=AC0123456789abcdef0123456789abcdef&From=%2B14155552671&ApiVersion=2010-04-01';
    expect(mayHoldCardData(Buffer.from(form), 'form', false)).toBe(false);
    expect(mayHoldCardData(Buffer.from('{"from":"16505551234","text":{"body":"Grüße 😀"}}'), 'json', false)).toBe(
      false,
    );
  });
});
