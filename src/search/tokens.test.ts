import { join } from 'node:path';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import { TEST_KEY, withDirectory } from './testing/temp.ts';
import {
  findAliases,
  findQueryAlias,
  findSingleWord,
  findTextNumbers,
  foldText,
  FTS_TOKENIZER,
  prepareText,
  tokenize,
  tokenizeQuery,
} from './tokens.ts';

/** What FTS5 itself makes of texts: the ground truth. */
function tokenizeInIndex(texts: readonly string[]): string[][] {
  return withDirectory((directory) => {
    const database = openEncryptedDatabase(join(directory, 'tokens.db'), { key: TEST_KEY, synchronous: 'NORMAL' });
    database.exec(`
      CREATE VIRTUAL TABLE ft USING fts5(t, content='', contentless_delete=1, tokenize="${FTS_TOKENIZER}");
      CREATE VIRTUAL TABLE instances USING fts5vocab(ft, 'instance');
    `);
    const insert = database.prepare('INSERT INTO ft(rowid, t) VALUES (?, ?)');
    database.transaction(() => texts.forEach((text, index) => insert.run(index, prepareText(text)))).immediate();
    const tokens: string[][] = texts.map(() => []);
    const rows = database.prepare('SELECT doc, "offset", term FROM instances').raw().iterate() as Iterable<
      [number, number, string]
    >;
    for (const [doc, offset, term] of rows) (tokens[doc] ?? [])[offset] = term;
    database.close();
    return tokens;
  });
}

/** Text as people and platforms send it, and worse. */
const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        'a',
        'Z',
        '9',
        ' ',
        '-',
        '#',
        '\n',
        'é',
        'ß',
        'ẞ',
        'İ',
        'ı',
        'ø',
        'œ',
        'ſ',
        'ª',
        '²',
        '½',
        'µ',
        'ĳ',
        '©',
        '\u00ad',
        '’',
        '€',
        'Σ',
        'ς',
        'ά',
        'й',
        'ё',
        'ﬁ',
        'Ａ',
        '１',
        '①',
        '™',
        '\u0301',
        '\u200d',
        '\u200b',
        '\u202e',
        '\u0000',
        '\ud800',
        '\udc00',
        '\ue001',
        '中',
        '文',
        'か',
        'が',
        'ﾊﾟ',
        'ー',
        '한',
        '글',
        'ก',
        'ี',
        'ำ',
        'ຂ',
        'ខ',
        '្',
        'မ',
        'ြ',
        'ह',
        'ि',
        'ن',
        'ّ',
        'ـ',
        '٣',
        '۳',
        'ש',
        'ִ',
        '𠀀',
        '𞤀',
        '😀',
        '👍',
        '🏽',
        '🇩',
        '🇪',
        '❤',
        '\ufe0f',
        '\u20e3',
        '🏴',
        '\u{e0067}',
        '♀',
        '🫩',
        '\u{f0000}',
        '\u{10ffff}',
      ),
      { maxLength: 30 },
    )
    .map((pieces) => pieces.join('')),
);

describe('tokens of a text', () => {
  test('are what FTS5 makes of the prepared text, for any text', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 200, maxLength: 200 }), (texts) => {
        expect(tokenizeInIndex(texts)).toEqual(texts.map((text) => tokenize(text)));
      }),
      { numRuns: 10, seed: 1 },
    );
  });

  test('are what FTS5 makes of it for every character there is, alone and inside a word', () => {
    const texts: string[] = [];
    for (let first = 0; first < 0x110000; first += 64) {
      const characters = Array.from({ length: 64 }, (_, index) => String.fromCodePoint(first + index));
      texts.push(characters.map((character) => `x ${character} y${character}z`).join(' '));
    }
    const found = tokenizeInIndex(texts);
    texts.forEach((text, index) => {
      const wanted = tokenize(text);
      if (JSON.stringify(found[index]) !== JSON.stringify(wanted))
        expect(found[index], `U+${(index * 64).toString(16)}`).toEqual(wanted);
    });
  });

  test('never hold a marker of a field, so no message can pose as another', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(prepareText(`${text} ²cwhatsapp ³2e ¹0041`)).not.toMatch(/[²³¹]/);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  test('folding twice changes nothing', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(foldText(foldText(text))).toBe(foldText(text));
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  test.each([
    ['Where is my order?', ['where', 'is', 'my', 'order']],
    ['Größe STRASSE Straße ẞ', ['grosse', 'strasse', 'strasse', 'ss']],
    ['İstanbul ŁÓDŹ ø', ['istanbul', 'lodz', 'o']],
    ['ΣΑΣ σας Ёлка', ['σασ', 'σασ', 'елка']],
    ['ﬁnd １２３ ①', ['find', '123', '1']],
    ['order ١٠٠١', ['order', '1001']],
    ['配送中 x', ['配送', '送中', '中', 'x']],
    ['2026年', ['2026', '年']],
    ['हिन्दी में', ['हिन्दी', 'में']],
    ['مَرْحَبًا أهلا', ['مرحبا', 'اهلا']],
    ['re\u200bfund pass\u00adword', ['refund', 'password']],
    ['1️⃣', ['1']],
    ['', []],
    ['\u0000\ud800 \udfff', []],
  ])('%j', (text, tokens) => {
    expect(tokenize(text)).toEqual(tokens);
  });

  test('an emoji is one token whatever its skin and presentation, a family a phrase, a flag two halves', () => {
    expect(tokenize('👍🏽👍👍🏿')).toEqual([...tokenize('👍'), ...tokenize('👍'), ...tokenize('👍')]);
    expect(tokenize('❤️')).toEqual(tokenize('❤'));
    expect(tokenize('👨‍👩‍👧')).toEqual([...tokenize('👨'), ...tokenize('👩'), ...tokenize('👧')]);
    expect(tokenize('🇩🇪🇫🇷').slice(1, 3)).not.toEqual(tokenize('🇪🇫'));
    expect(tokenize('ok👍yes')).toEqual(['ok', ...tokenize('👍'), 'yes']);
  });
});

describe('tokens of a query', () => {
  test('of a run without spaces are a phrase that may go on behind its end', () => {
    expect(tokenizeQuery('配送')).toEqual({ tokens: ['配送'], prefix: false });
    expect(tokenizeQuery('配')).toEqual({ tokens: ['配'], prefix: true });
    expect(tokenizeQuery('ok 配送')).toEqual({ tokens: ['ok', '配送'], prefix: false });
    expect(tokenizeQuery('配送 ok')).toEqual({ tokens: ['配送', '送', 'ok'], prefix: false });
  });

  test('a word is open only when asked for', () => {
    expect(tokenizeQuery('refund')).toEqual({ tokens: ['refund'], prefix: false });
    expect(tokenizeQuery('refund', true)).toEqual({ tokens: ['refund'], prefix: true });
    expect(tokenizeQuery('', true)).toEqual({ tokens: [], prefix: false });
  });

  test('a single word is one run of letters and digits', () => {
    expect(findSingleWord('Größe')).toBe('grosse');
    expect(findSingleWord('a-b')).toBeUndefined();
    expect(findSingleWord('配')).toBeUndefined();
    expect(findSingleWord('😀')).toBeUndefined();
  });
});

describe('joined spellings', () => {
  test('of numbers with dashes, underscores and slashes', () => {
    expect(findAliases('Order #1001-A, call 408-247-8880 or 24/7; ref AB_12')).toEqual([
      '1001a',
      '4082478880',
      '247',
      'ab12',
    ]);
    expect(findAliases('check-in well-known shop.example.com/orders/1001 3.50')).toEqual([]);
  });

  test('of words in queries', () => {
    expect(findQueryAlias('#1001-A')).toBe('1001a');
    expect(findQueryAlias('1001A,')).toBe('1001a');
    expect(findQueryAlias('refund')).toBeUndefined();
    expect(findQueryAlias('3.50')).toBeUndefined();
  });

  test('take time in proportion to the text', () => {
    const started = performance.now();
    for (const text of [
      'a'.repeat(200_000),
      'a-'.repeat(100_000),
      '1-'.repeat(100_000),
      '1/'.repeat(100_000),
      '1 ('.repeat(50_000),
    ]) {
      findAliases(`${text} 1-`);
      findTextNumbers(`${text} +1`);
      findQueryAlias(text);
      tokenize(text);
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
