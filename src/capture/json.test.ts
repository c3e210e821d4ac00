import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnreadableEnvelope } from './unreadable.ts';
import { JSON_LIMITS, joinJsonElements, parseJsonSafely, sliceJsonElements } from './json.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const read = (text: string): unknown => parseJsonSafely(utf8(text));
const slices = (text: string, member?: string): string[] =>
  sliceJsonElements(utf8(text), member).map((part) => Buffer.from(part).toString());

describe('parseJsonSafely', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 1, '\t'), (value, space) => {
        const written = JSON.stringify(value, null, space);
        expect(read(written)).toEqual(JSON.parse(written, exactNumbers));
      }),
      { numRuns: 500 },
    );
  });

  /** What is promised of numbers: those that a double may not hold exactly are their own source text. */
  function exactNumbers(this: unknown, _name: string, value: unknown): unknown {
    return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? expect.any(String)
      : value;
  }

  it('keeps 64-bit integers exactly, as text', () => {
    expect(read('{"message_token":4987381189870374001}')).toEqual({ message_token: '4987381189870374001' });
    expect(read('[9007199254740991,9007199254740992,-9007199254740993]')).toEqual([
      9007199254740991,
      '9007199254740992',
      '-9007199254740993',
    ]);
    expect(read('[1e400,-1e400,1e3,1E2,12345678901234567890e-2,0.12345678901234567]')).toEqual([
      '1e400',
      '-1e400',
      1000,
      100,
      '12345678901234567890e-2',
      0.12345678901234566,
    ]);
    expect(read('"1234567890123456789"')).toBe('1234567890123456789');
    expect(read('1e22')).toBe('1e22');
  });

  it('keeps 64-bit integers wherever they stand', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n }), (value) => {
        expect(String((read(`{"a":[{"b": ${value} }]}`) as { a: { b: unknown }[] }).a[0]?.b)).toBe(String(value));
      }),
    );
  });

  it('refuses an object that names a member twice, and only that', () => {
    for (const twice of [
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '[{"x":{"b":[],"c":0,"b":{}}}]',
      '{"__proto__":1,"__proto__":2}',
    ]) {
      expect(() => read(twice)).toThrow(UnreadableEnvelope);
    }
    for (const once of [
      '[{"a":1},{"a":2}]',
      '{"a":{"a":{"a":"a:1"}}}',
      '{"a":":\\":\\\\","b":1}',
      '{"constructor":1,"__proto__":{"x":1}}',
    ]) {
      expect(read(once)).toEqual(JSON.parse(once));
    }
  });

  it('gives a member called __proto__ as a member', () => {
    const value = read('{"__proto__":{"admin":true}}') as object;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('bounds depth before it builds anything', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(read(nested(JSON_LIMITS.depthMax))).toBeDefined();
    expect(() => read(nested(JSON_LIMITS.depthMax + 1))).toThrow('nested deeper');
    expect(() => read(nested(10_000))).toThrow(UnreadableEnvelope);
    expect(() => read('{"a":'.repeat(1_000_000))).toThrow(UnreadableEnvelope);
    expect(read(`"${'['.repeat(10_000)}"`)).toBe('['.repeat(10_000));
    expect(read(`[${'[],'.repeat(10_000)}[]]`)).toHaveLength(10_001);
  });

  it('bounds size', () => {
    expect(() => parseJsonSafely(utf8('[1,2]'), { bytesMax: 4, depthMax: 2 })).toThrow('larger than 4 bytes');
    expect(parseJsonSafely(utf8('[1]'), { bytesMax: 4, depthMax: 1 })).toEqual([1]);
  });

  it('is strict about UTF-8, and lets escapes say what UTF-8 cannot', () => {
    expect(() => parseJsonSafely(Uint8Array.from([0x22, 0xff, 0x22]))).toThrow('not UTF-8');
    expect(() => parseJsonSafely(Buffer.from('eda080', 'hex'))).toThrow('not UTF-8');
    expect(read('"\\ud800 \\u0000"')).toBe('\ud800 \u0000');
    expect(JSON.stringify(read('"\\ud800"'))).toBe('"\\ud800"');
    expect(parseJsonSafely(Buffer.from('efbbbf5b315d', 'hex'))).toEqual([1]);
  });

  it('never quotes what it could not read', () => {
    const secret = 'my card is 4111111111111111';
    for (const broken of [
      `{"a":"${secret}"`,
      secret,
      `["${secret}",]`,
      '',
      '   ',
      '{',
      '"',
      '\\',
      '[1 2]',
      'nul',
      '01',
    ]) {
      try {
        read(broken);
        expect.unreachable(broken);
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableEnvelope);
        expect(String((error as Error).stack)).not.toContain('4111');
        expect((error as Error).cause).toBeUndefined();
      }
    }
  });

  it('throws nothing else on arbitrary bytes', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '\\',
      '1',
      '9'.repeat(17),
      'e',
      '-',
      'a',
      ' ',
      'null',
      '\u0000',
      'é',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.array(piece).map((parts) => utf8(parts.join(''))),
        ),
        (bytes) => {
          try {
            parseJsonSafely(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(UnreadableEnvelope);
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

describe('sliceJsonElements', () => {
  it('gives the exact bytes of each element', () => {
    expect(slices(' [ {"a" : [1,2]} ,"x,]\\"" , 3,null , [ ] ]\n')).toEqual([
      '{"a" : [1,2]}',
      '"x,]\\""',
      '3',
      'null',
      '[ ]',
    ]);
    expect(slices('[]')).toEqual([]);
    expect(slices('\ufeff[1]')).toEqual(['1']);
  });

  it('finds the array of a member at the top', () => {
    expect(slices('{"x":{"messages":[9]},"s":"messages","messages" : [ 1 ,{"b":"}"}] ,"n":1}', 'messages')).toEqual([
      '1',
      '{"b":"}"}',
    ]);
    expect(() => slices('{"x":{"messages":[9]}}', 'messages')).toThrow(UnreadableEnvelope);
    expect(() => slices('{"messages":{}}', 'messages')).toThrow(UnreadableEnvelope);
    expect(() => slices('[1]', 'messages')).toThrow(UnreadableEnvelope);
    expect(() => slices('3')).toThrow(UnreadableEnvelope);
  });

  it('agrees with JSON.parse, and joins back to the same elements', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 8 }), fc.constantFrom(0, 2), (values, space) => {
        const written = JSON.stringify(values, null, space);
        const parts = sliceJsonElements(utf8(written));
        expect(parts.map((part) => JSON.parse(Buffer.from(part).toString()) as unknown)).toEqual(JSON.parse(written));
        expect(JSON.parse(Buffer.from(joinJsonElements(parts)).toString())).toEqual(JSON.parse(written));
        const inside = utf8(`{"a":1,"events":${written}}`);
        expect(sliceJsonElements(inside, 'events').map(String)).toEqual(parts.map(String));
      }),
    );
  });
});
