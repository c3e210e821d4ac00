import { describe, expect, it } from 'vitest';

import {
  parseStrictJson,
  strictBase64,
  strictHex,
  strictInstant,
  strictInteger,
  strictList,
  strictLiteral,
  VAULT_FILE_BYTES_MAX,
} from './strict-json.ts';
import { codeOf, testBytes, toHex } from './testing/vectors.ts';

describe('strict JSON', () => {
  it('takes an object with exactly its fields', () => {
    expect(parseStrictJson('{"a":1,"b":null}', 'x', ['a', 'b'])).toEqual({ a: 1, b: null });
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '"a"',
      '{"a":1}',
      '{"a":1,"b":2,"c":3}',
      '{"a":1,"b":2,"__proto__":3}',
    ]) {
      expect(
        codeOf(() => parseStrictJson(text, 'x', ['a', 'b'])),
        text,
      ).toBe('corrupt');
    }
    expect(codeOf(() => parseStrictJson(' '.repeat(VAULT_FILE_BYTES_MAX + 1), 'x', ['a']))).toBe('corrupt');
  });

  it('does not quote what it refuses', () => {
    expect(() => parseStrictJson('topsecret', 'the file', ['a'])).toThrow(/^the file is not JSON$/);
  });

  it('takes values of one spelling', () => {
    expect(toHex(strictBase64('AQID', 'x', 3, 3))).toBe('010203');
    for (const value of ['AQI', 'AQI=\n', 'AQJ=', 'AQ-_', 'A QID', 7, null])
      expect(codeOf(() => strictBase64(value, 'x', 1, 3))).toBe('corrupt');
    expect(codeOf(() => strictBase64('AQID', 'x', 4, 9))).toBe('corrupt');
    expect(codeOf(() => strictBase64('AQID', 'x', 1, 2))).toBe('corrupt');
    expect(toHex(strictHex(toHex(testBytes(8)), 'x', 8))).toBe(toHex(testBytes(8)));
    for (const value of ['ABCD', 'abc', 'abcdef', 'zzzz', 1234])
      expect(codeOf(() => strictHex(value, 'x', 2))).toBe('corrupt');
    expect(strictInstant('2026-11-22T10:00:00.000Z', 'x')).toBe(Date.UTC(2026, 10, 22, 10));
    for (const value of ['2026-11-22', '2026-11-22T10:00:00Z', 'yesterday', 5, null])
      expect(codeOf(() => strictInstant(value, 'x'))).toBe('corrupt');
  });

  it('takes numbers, lists and words within bounds', () => {
    expect(strictInteger(3, 'x', 3, 3)).toBe(3);
    for (const value of [2, 4, 3.5, '3', null]) expect(codeOf(() => strictInteger(value, 'x', 3, 3))).toBe('corrupt');
    expect(strictList([1], 'x', 2)).toEqual([1]);
    for (const value of [[], [1, 2, 3], {}, null]) expect(codeOf(() => strictList(value, 'x', 2))).toBe('corrupt');
    strictLiteral('a', 'x', 'a');
    expect(codeOf(() => strictLiteral('b', 'x', 'a'))).toBe('corrupt');
  });
});
