import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import type { IndexChange, IndexDocument, SearchOptions } from './document.ts';
import { openIndexReader } from './index-reader.ts';
import type { IndexReader } from './index-reader.ts';
import { openIndexWriter } from './index-writer.ts';
import type { IndexWriter } from './index-writer.ts';
import { monthOf } from './months.ts';
import { parseQuery } from './query.ts';
import { documents, GENERATED_NOW_MS, queryTexts } from './testing/generators.ts';
import { matches } from './testing/matches.ts';
import { makeDocument, TEST_KEY, withDirectory } from './testing/temp.ts';

const NOW_MS = GENERATED_NOW_MS;
const read = (text: string) => parseQuery(text, { nowMs: NOW_MS });

type Index = { readonly directory: string; readonly writer: IndexWriter; readonly reader: IndexReader };

function withIndex<T>(work: (index: Index) => T, openFilesMax = 32): T {
  return withDirectory((directory) => {
    const writer = openIndexWriter({ directory, key: TEST_KEY, openFilesMax });
    const reader = openIndexReader({ directory, key: TEST_KEY, openFilesMax });
    try {
      return work({ directory, writer, reader });
    } finally {
      reader.close();
      writer.close();
    }
  });
}

function put(index: Index, ...puts: IndexDocument[]): void {
  index.writer.apply(
    puts.map((document) => ({ put: document })),
    index.writer.watermark() + puts.length,
  );
}

function searchAll(index: Index, text: string, options: Partial<SearchOptions> = {}): number[] {
  const numbers: number[] = [];
  let cursor: string | undefined;
  do {
    const page = index.reader.search(read(text), {
      limit: 200,
      ...options,
      ...(cursor === undefined ? {} : { cursor }),
    });
    numbers.push(...page.hits.map((hit) => hit.messageNo));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return numbers;
}

const sorted = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);

describe('random documents and random queries', () => {
  test('give what the plain evaluator gives, through puts, replacements, moves and removals', () => {
    fc.assert(
      fc.property(
        fc.array(documents, { minLength: 30, maxLength: 60 }),
        fc.array(fc.tuple(fc.nat(), documents, fc.constantFrom('put', 'move', 'remove', 'state')), { maxLength: 20 }),
        fc.array(queryTexts, { minLength: 40, maxLength: 40 }),
        fc.constantFrom(1, 3, 32),
        (bodies, edits, queries, openFilesMax) => {
          withIndex((index) => {
            const kept = new Map<number, IndexDocument>();
            bodies.forEach((body, messageNo) => kept.set(messageNo, { ...body, messageNo }));
            put(index, ...kept.values());
            for (const change of edit(kept, edits)) index.writer.apply([change], index.writer.watermark() + 1);
            compareAll(index, kept, queries);
          }, openFilesMax);
        },
      ),
      { seed: 6, numRuns: 12 },
    );
  });

  function* edit(
    kept: Map<number, IndexDocument>,
    edits: readonly [number, Omit<IndexDocument, 'messageNo'>, string][],
  ): Generator<IndexChange> {
    for (const [pick, body, kind] of edits) {
      const messageNo = pick % Math.max(1, kept.size);
      const before = kept.get(messageNo);
      if (before === undefined) continue;
      if (kind === 'remove') {
        kept.delete(messageNo);
        yield { remove: { messageNo, sentAtMs: before.sentAtMs } };
      } else {
        const sentAtMs = kind === 'move' ? body.sentAtMs : before.sentAtMs;
        const document = kind === 'state' ? { ...before, state: body.state } : { ...body, messageNo, sentAtMs };
        kept.set(messageNo, document);
        if (kind === 'move') yield { remove: { messageNo, sentAtMs: before.sentAtMs } };
        yield { put: document };
      }
    }
  }

  function compareAll(index: Index, kept: ReadonlyMap<number, IndexDocument>, queries: readonly string[]): void {
    for (const text of queries) {
      const query = read(text);
      const wanted = [...kept.values()]
        .filter((document) => matches(query, document))
        .map((document) => document.messageNo);
      expect({ text, found: sorted(searchAll(index, text, { limit: 7 })) }).toEqual({ text, found: sorted(wanted) });
      expect(sorted(searchAll(index, text, { order: 'oldest', limit: 50 })), text).toEqual(sorted(wanted));
      const page = index.reader.search(query, { limit: 1, countMax: 5 });
      expect(page.total, text).toBe(Math.min(5, wanted.length));
      expect(page.totalRelation, text).toBe(wanted.length > 5 ? 'gte' : 'eq');
      expect(index.reader.facets(query).counted, text).toBe(wanted.length);
    }
    expect(index.reader.listMessageNos(0, 1000)).toEqual(sorted(kept.keys()));
  }
});

describe('words of many scripts', () => {
  test.each([
    ['Where is my order? 😀', ['order', '😀', '"my order"', 'ord*', 'where w/4 😀']],
    [
      'Wo bleibt meine Bestellung? Größe passt nicht, Straße falsch',
      ['größe', 'GRÖẞE', 'grosse', 'bestellung', 'straße', 'STRASSE', 'stras*', 'grösse~'],
    ],
    ['IŞIK mı, ışık mı? Işıklı lambayı İstanbul’a', ['ışık', 'IŞIK', 'isik', 'işikli', 'istanbul', 'ISTANBUL', 'mi']],
    ['Đơn hàng của tôi ở đâu', ['đơn hàng', 'don hang', 'ĐƠN', '"o dau"']],
    ['Żółć z Łodzi, Rødgrød på Ærø, œuvre, Þór', ['zolc', 'lodzi', 'rodgrod', 'aero', 'oeuvre', 'thor', 'þÓR']],
    ['您的订单已发货，请查收', ['订单', '发货', '货', '您的订单', '"订单已发货"', '订单*']],
    ['ご注文の商品を発送しました。ｶﾀｶﾅ', ['注文', '商品', '発送しました', 'カタカナ', 'の']],
    ['주문하신 상품이 배송되었습니다', ['상품', '배송', '주문하신', '습니다']],
    ['สินค้าของคุณถูกจัดส่งแล้ว', ['สินค้า', 'จัดส่ง', 'คุณ']],
    ['طلبك رقم ١٠٠١ في الطَّرِيق', ['طلبك', 'الطريق', '1001', '١٠٠١']],
    ['ההזמנה שלך נשלחה \u202e(1001)\u202c', ['ההזמנה', 'נשלחה', '1001']],
    ['आपका ऑर्डर भेज दिया गया है', ['ऑर्डर', 'ऑर्ड*', '"भेज दिया"']],
    ['ເຄື່ອງຂອງທ່ານ ទំនិញរបស់អ្នក သင့်ပစ္စည်း', ['ຂອງ', 'របស់', 'ပစ္စည်း']],
    ['Ваш заказ отправлен, ёлка', ['заказ', 'елка', 'ЁЛКА', 'отправ*']],
    ['Η παραγγελία σας', ['ΠΑΡΑΓΓΕΛΙΑ', 'σασ', 'σας']],
    ['broken \ud83d half \udc00 pair \u0000 zero', ['broken', 'half', 'pair', 'zero', '"half pair"']],
    ['👨‍👩‍👧 🇩🇪 👍🏽 ❤️', ['👨‍👩‍👧', '👩', '🇩🇪', '👍', '👍🏿', '❤']],
  ])('%j is found again', (text, queries) => {
    withIndex((index) => {
      put(index, makeDocument(1, text), makeDocument(2, 'something else'));
      for (const query of queries) expect(searchAll(index, query), query).toEqual([1]);
    });
  });

  test('a text that poses as another channel or party does not become one', () => {
    withIndex((index) => {
      put(index, makeDocument(1, '²cwhatsapp ²n7654321555 ²dinternal ²ibogus'));
      for (const query of ['channel:whatsapp', 'direction:internal', 'from:+15557654321', 'id:bogus'])
        expect(searchAll(index, query), query).toEqual([]);
      expect(searchAll(index, 'cwhatsapp 2cwhatsapp')).toEqual([]);
      expect(searchAll(index, '2cwhatsapp')).toEqual([1]);
    });
  });
});

describe('numbers and orders', () => {
  test('a phone number is found in any spelling', () => {
    withIndex((index) => {
      put(
        index,
        makeDocument(1, 'a', { from: ['+15551234567'] }),
        makeDocument(2, 'b', { from: ['+4915551234567'] }),
        makeDocument(3, 'c', { from: ['12345'], to: ['+15551234567'] }),
      );
      for (const text of [
        'from:+15551234567',
        'from:"+1 (555) 123-4567"',
        'from:+1(555)123-4567',
        'from:001-555-123-4567',
      ]) {
        expect(searchAll(index, text), text).toEqual([1]);
      }
      expect(searchAll(index, 'from:5551234567')).toEqual([2, 1]);
      expect(searchAll(index, 'from:0555/1234567')).toEqual([2, 1]);
      expect(searchAll(index, 'with:1234567')).toEqual([3, 2, 1]);
      expect(searchAll(index, 'from:12345')).toEqual([3]);
      expect(searchAll(index, 'from:34567')).toEqual([]);
    });
  });

  test('a phone number inside a text is found in any spelling', () => {
    withIndex((index) => {
      const texts = [
        'call (408) 247-8880',
        '+1 408.247.8880 please',
        '4082478880',
        'Tel 0171 1234567',
        '+491711234567',
      ];
      put(index, ...texts.map((text, messageNo) => makeDocument(messageNo, text)));
      for (const query of ['4082478880', '408-247-8880', '"(408) 247-8880"', '408.247.8880', '"0408 2478880"'])
        expect(sorted(searchAll(index, query)), query).toEqual([0, 1, 2]);
      for (const query of ['+14082478880', '"+1 (408) 247-8880"', '001-408-247-8880'])
        expect(sorted(searchAll(index, query)), query).toEqual([1]);
      for (const query of ['01711234567', '0171/1234567', '1711234567'])
        expect(sorted(searchAll(index, query)), query).toEqual([3, 4]);
      expect(searchAll(index, '2478881')).toEqual([]);
      expect(searchAll(index, '-4082478880 call')).toEqual([]);
    });
  });

  test('an order number is found with and without its signs', () => {
    withIndex((index) => {
      put(
        index,
        makeDocument(1, 'Order #1001-A is out'),
        makeDocument(2, 'order 1001A'),
        makeDocument(3, 'order 1001 B', { orders: ['#1001-A'] }),
      );
      for (const text of ['1001-A', '#1001-A', '1001A', '1001a*']) expect(searchAll(index, text), text).toEqual([2, 1]);
      expect(searchAll(index, '1001')).toEqual([3, 1]);
      for (const text of ['order:#1001-A', 'order:1001a', 'order:"1001 A"', 'order:1001*'])
        expect(searchAll(index, text), text).toEqual([3]);
    });
  });
});

describe('pages', () => {
  const many = Array.from({ length: 500 }, (_, index) =>
    makeDocument(index, index % 3 === 0 ? 'refund please' : 'order shipped', {
      sentAtMs: Date.UTC(2025, 10, 1) + index * 6 * 3_600_000,
    }),
  );

  test('are newest or oldest first, whole and without repetition', () => {
    withIndex((index) => {
      put(index, ...many);
      const wanted = many
        .filter((document) => document.text.startsWith('refund'))
        .map((document) => document.messageNo);
      for (const limit of [1, 7, 200]) {
        expect(searchAll(index, 'refund', { limit })).toEqual(wanted.toReversed());
        expect(searchAll(index, 'refund', { limit, order: 'oldest' })).toEqual(wanted);
        expect(searchAll(index, 'refund OR status:none', { limit })).toEqual(wanted.toReversed());
      }
      expect(searchAll(index, '').length).toBe(500);
    });
  });

  test('stay where they are while newer messages arrive, and so does the count', () => {
    withIndex((index) => {
      put(index, ...many);
      const first = index.reader.search(read('refund'), { limit: 10 });
      put(
        index,
        makeDocument(900, 'refund', { sentAtMs: Date.UTC(2026, 8, 1) }),
        makeDocument(901, 'refund', { sentAtMs: Date.UTC(2025, 10, 1) }),
      );
      const second = index.reader.search(read('refund'), { limit: 10, cursor: first.nextCursor ?? '' });
      expect(second.hits.map((hit) => hit.messageNo)).toEqual([468, 465, 462, 459, 456, 453, 450, 447, 444, 441]);
      expect(second.total).toBe(first.total);
      expect(index.reader.search(read('refund'), { limit: 1 }).hits).toEqual([
        { messageNo: 900, sentAtMs: Date.UTC(2026, 8, 1) },
      ]);
    });
  });

  test('a cursor of another query, another order, or of nobody is refused', () => {
    withIndex((index) => {
      put(index, ...many);
      const cursor = index.reader.search(read('refund'), { limit: 10 }).nextCursor ?? '';
      const refused = (text: string, options: SearchOptions) =>
        expect(() => index.reader.search(read(text), options)).toThrow(expect.objectContaining({ code: 'bad-input' }));
      refused('order', { limit: 10, cursor });
      refused('refund', { limit: 10, cursor, order: 'oldest' });
      for (const forged of [
        '',
        'AAAA',
        'x'.repeat(1000),
        Buffer.from('2~newest~2026-01~-1~0~eq~0~0').toString('base64url'),
      ])
        refused('refund', { limit: 10, cursor: forged });
      refused('refund', { limit: 0 });
      refused('refund', { limit: 201 });
      refused('refund', { limit: 1.5 });
      refused('refund', { limit: 1, countMax: -1 });
    });
  });

  test('an empty index, and one without a fitting month, has no hits', () => {
    withIndex((index) => {
      expect(index.reader.search(read(''), { limit: 10 })).toEqual({ hits: [], total: 0, totalRelation: 'eq' });
      put(index, ...many);
      expect(index.reader.search(read('after:2040'), { limit: 10 })).toEqual({
        hits: [],
        total: 0,
        totalRelation: 'eq',
      });
    });
  });

  test('counting stops at its cap and says so', () => {
    withIndex((index) => {
      put(index, ...many);
      expect(index.reader.search(read(''), { limit: 5, countMax: 100 })).toMatchObject({
        total: 100,
        totalRelation: 'gte',
      });
      expect(index.reader.search(read(''), { limit: 5, countMax: 500 })).toMatchObject({
        total: 500,
        totalRelation: 'eq',
      });
      expect(index.reader.search(read('refund OR status:x'), { limit: 5, countMax: 100 })).toMatchObject({
        total: 100,
        totalRelation: 'gte',
      });
      expect(index.reader.search(read(''), { limit: 5, countMax: 0 })).toMatchObject({
        total: 0,
        totalRelation: 'gte',
      });
    });
  });
});

describe('counting shared between readers', () => {
  test('gives the page and the total of one that counts alone, in both orders, up to the cap', () => {
    fc.assert(
      fc.property(
        fc.array(documents, { minLength: 20, maxLength: 50 }),
        fc.array(queryTexts, { minLength: 15, maxLength: 15 }),
        fc.constantFrom(1, 2, 3),
        fc.constantFrom(0, 5, 1000),
        fc.constantFrom('newest' as const, 'oldest' as const),
        (bodies, queries, parts, countMax, order) => {
          withIndex((index) => {
            put(index, ...bodies.map((body, messageNo) => ({ ...body, messageNo })));
            for (const text of queries) {
              const query = read(text);
              const options = { limit: 3, countMax, order };
              const counted = Array.from({ length: parts }, (_, part) =>
                part === 0 ? { count: 0, isWhole: true } : index.reader.count(query, countMax, { part, parts }),
              ).reduce((sum, { count }) => ({ count: sum.count + count, isWhole: true }));
              const shared = index.reader.searchShared(query, options, { part: 0, parts });
              expect(shared.finish(counted)).toEqual(index.reader.search(query, options));
            }
          });
        },
      ),
      { seed: 11, numRuns: 15 },
    );
  });
});

describe('the same millisecond', () => {
  test('holds any number of messages, each once, with its exact time', () => {
    withIndex((index) => {
      const sentAtMs = Date.UTC(2026, 0, 31, 23, 59, 59, 999);
      const crowd = Array.from({ length: 9_000 }, (_, messageNo) =>
        makeDocument(messageNo, messageNo % 2 === 0 ? 'even' : 'odd', { sentAtMs }),
      );
      put(index, ...crowd.slice(0, 4_500));
      put(index, ...crowd.slice(4_500));
      put(index, ...crowd.slice(3_000, 6_000), makeDocument(9_000, 'next', { sentAtMs: Date.UTC(2026, 1, 1) }));
      expect(index.reader.listMessageNos(0, 10_000)).toEqual(
        Array.from({ length: 9_001 }, (_, messageNo) => messageNo),
      );
      expect(index.reader.search(read('even'), { limit: 3 }).hits).toEqual(
        [8_998, 8_996, 8_994].map((messageNo) => ({ messageNo, sentAtMs })),
      );
      expect(index.reader.search(read('on:2026-01-31'), { limit: 1, countMax: 10_000 }).total).toBe(9_000);
      expect(
        index.reader.search(read('date>=2026-01-31T23:59:59.999Z even'), { limit: 1, countMax: 10_000 }).total,
      ).toBe(4_500);
      expect(index.reader.search(read('before:2026-01-31T23:59:59.999Z'), { limit: 1 }).total).toBe(0);
      index.writer.apply(
        [{ remove: { messageNo: 8_999, sentAtMs } }, { remove: { messageNo: 5, sentAtMs: sentAtMs - 1 } }],
        index.writer.watermark(),
      );
      expect(index.reader.search(read('odd'), { limit: 1, countMax: 10_000 }).total).toBe(4_499);
    });
  });
});

describe('changes', () => {
  test('applied twice, or again from the start, leave one of each', () => {
    withIndex((index) => {
      const changes: IndexChange[] = [
        { put: makeDocument(1, 'first') },
        { put: makeDocument(2, 'second') },
        { remove: { messageNo: 1, sentAtMs: makeDocument(1, '').sentAtMs } },
        { put: makeDocument(1, 'first edited', { sentAtMs: Date.UTC(2025, 5, 1) }) },
        { put: makeDocument(3, 'third') },
        { remove: { messageNo: 3, sentAtMs: makeDocument(3, '').sentAtMs } },
      ];
      const state = () => [
        searchAll(index, ''),
        searchAll(index, 'first'),
        searchAll(index, 'edited'),
        searchAll(index, 'third'),
      ];
      index.writer.apply(changes, 5);
      expect(state()).toEqual([[2, 1], [1], [1], []]);
      index.writer.apply(changes, 5);
      expect(state()).toEqual([[2, 1], [1], [1], []]);
      for (const change of changes) index.writer.apply([change], 5);
      expect(state()).toEqual([[2, 1], [1], [1], []]);
      expect(index.writer.watermark()).toBe(5);
    });
  });

  test('that remove the same message several times count it out once', () => {
    withIndex((index) => {
      put(index, ...[1, 2, 3].map((messageNo) => makeDocument(messageNo, 'a', { state: 'queued' })));
      const { sentAtMs } = makeDocument(2, '');
      index.writer.apply([{ remove: { messageNo: 2, sentAtMs } }, { remove: { messageNo: 2, sentAtMs } }], 4);
      index.writer.apply([{ remove: { messageNo: 2, sentAtMs } }], 5);
      expect(searchAll(index, 'status:queued')).toEqual([3, 1]);
      index.writer.apply([{ remove: { messageNo: 1, sentAtMs: makeDocument(1, '').sentAtMs } }], 6);
      expect(searchAll(index, 'status:queued')).toEqual([3]);
    });
  });

  test('of the delivery state alone leave the words as they are', () => {
    withIndex((index) => {
      put(index, makeDocument(1, 'hello', { state: 'sent' }));
      put(index, makeDocument(1, 'hello', { state: 'delivered' }));
      expect(searchAll(index, 'status:delivered hello')).toEqual([1]);
      expect(searchAll(index, 'status:sent')).toEqual([]);
      expect(index.writer.monthsWithTraces()).toEqual([]);
      put(index, makeDocument(1, 'goodbye', { state: 'failed' }));
      expect(searchAll(index, 'status:failed goodbye')).toEqual([1]);
      expect(searchAll(index, 'hello')).toEqual([]);
      expect(index.writer.monthsWithTraces()).toEqual(['2026-01']);
    });
  });

  test('a batch of thousands with common and rare states answers both', () => {
    withIndex((index) => {
      put(
        index,
        ...Array.from({ length: 5_000 }, (_, messageNo) =>
          makeDocument(messageNo, messageNo % 2 === 0 ? 'even' : 'odd', {
            state: messageNo % 100 === 0 ? 'queued' : 'delivered',
          }),
        ),
      );
      expect(index.reader.search(read('status:queued'), { limit: 1 }).total).toBe(50);
      expect(index.reader.search(read('status:delivered'), { limit: 1, countMax: 5_000 }).total).toBe(4_950);
      expect(index.reader.search(read('status:queued even'), { limit: 1 }).total).toBe(50);
      expect(index.reader.search(read('status:delivered even'), { limit: 1, countMax: 5_000 }).total).toBe(2_450);
      expect(index.reader.search(read('status:queued odd'), { limit: 1 }).total).toBe(0);
      put(
        index,
        ...Array.from({ length: 3_000 }, (_, messageNo) =>
          makeDocument(messageNo, messageNo % 2 === 0 ? 'even' : 'odd', { state: 'read' }),
        ),
      );
      expect(index.reader.search(read('status:queued'), { limit: 1 }).total).toBe(20);
      expect(index.reader.search(read('status:read odd'), { limit: 1, countMax: 10_000 }).total).toBe(1_500);
    });
  });

  test('outside their bounds are refused, and nothing of them is kept', () => {
    withIndex((index) => {
      put(index, makeDocument(1, 'kept'));
      const refuse = (changes: IndexChange[], watermark: number, code: string) =>
        expect(() => index.writer.apply(changes, watermark)).toThrow(expect.objectContaining({ code }));
      refuse([], 0, 'conflict');
      refuse([], -1, 'bad-input');
      refuse([{ put: makeDocument(1.5, 'x') }], 2, 'bad-input');
      refuse([{ put: makeDocument(2, 'x') }, { remove: { messageNo: -1, sentAtMs: 0 } }], 2, 'bad-input');
      refuse(
        Array.from({ length: 100_001 }, () => ({ remove: { messageNo: 1, sentAtMs: 0 } })),
        2,
        'too-large',
      );
      expect(searchAll(index, '')).toEqual([1]);
    });
  });

  test('times that nobody can mean go to the undated file and are found', () => {
    withIndex((index) => {
      const strange = [-1, Number.NaN, Infinity, -Infinity, Date.UTC(2100, 0, 1), 8.64e15];
      put(
        index,
        ...strange.map((sentAtMs, messageNo) => makeDocument(messageNo, 'odd time', { sentAtMs })),
        makeDocument(10, 'odd time'),
      );
      expect(
        readdirSync(index.directory)
          .filter((name) => name.endsWith('.db'))
          .sort(),
      ).toEqual(['index-2026-01.db', 'index-state.db', 'index-undated.db']);
      expect(searchAll(index, '"odd time"')).toEqual([10, 5, 4, 3, 2, 1, 0]);
      expect(searchAll(index, 'after:2099')).toEqual([5, 4, 2]);
      expect(searchAll(index, 'before:1970')).toEqual([3, 1, 0]);
      expect(index.reader.facets(read('')).histogram).toEqual([
        { bucket: 'undated', count: 6 },
        { bucket: '2026-01-01', count: 1 },
      ]);
      index.writer.apply(
        strange.map((sentAtMs, messageNo) => ({ remove: { messageNo, sentAtMs } })),
        index.writer.watermark(),
      );
      expect(searchAll(index, '')).toEqual([10]);
    });
  });
});

describe('facets', () => {
  test('count channels, directions, parties, types, states and days', () => {
    withIndex((index) => {
      put(
        index,
        makeDocument(1, 'a', { from: ['+4915112345678', 'Jane'], types: ['a.b', 'c.d'], state: 'read' }),
        makeDocument(2, 'a', { from: ['@jane'], channel: 'WhatsApp', sentAtMs: Date.UTC(2026, 0, 2) }),
        makeDocument(3, 'a', { direction: 'outbound', from: ['+18005550199'], to: ['+4915112345678'], types: ['a.b'] }),
        makeDocument(4, 'b', {}),
      );
      expect(index.reader.facets(read('a'))).toEqual({
        histogram: [
          { bucket: '2026-01-01', count: 2 },
          { bucket: '2026-01-02', count: 1 },
        ],
        facets: {
          channel: [
            { value: 'sms', count: 2 },
            { value: 'whatsapp', count: 1 },
          ],
          direction: [
            { value: 'inbound', count: 2 },
            { value: 'outbound', count: 1 },
          ],
          party: [
            { value: '+4915112345678', count: 2 },
            { value: '@jane', count: 1 },
          ],
          type: [
            { value: 'a.b', count: 2 },
            { value: 'c.d', count: 1 },
            { value: 'customer.message', count: 1 },
          ],
          state: [{ value: 'read', count: 1 }],
        },
        moreValues: { channel: 0, direction: 0, party: 0, type: 0, state: 0 },
        counted: 3,
        capped: false,
      });
      expect(index.reader.facets(read('a'), { valuesMax: 1 })).toMatchObject({
        facets: { type: [{ value: 'a.b', count: 2 }] },
        moreValues: { channel: 1, direction: 1, party: 1, type: 2, state: 0 },
      });
      expect(index.reader.facets(read('a'), { bucket: 'month', scanMax: 2 })).toMatchObject({
        histogram: [{ bucket: '2026-01', count: 2 }],
        counted: 2,
        capped: true,
      });
      expect(index.reader.facets(read('a'), { scanMax: 3 })).toMatchObject({ counted: 3, capped: false });
      expect(() => index.reader.facets(read('a'), { scanMax: 0 })).toThrow(
        expect.objectContaining({ code: 'bad-input' }),
      );
    });
  });
});

describe('limits', () => {
  test('a wildcard that stands for too many words is an error, not a part of them', () => {
    withIndex((index) => {
      put(index, ...Array.from({ length: 1_001 }, (_, messageNo) => makeDocument(messageNo, `w${messageNo}x`)));
      expect(() => index.reader.search(read('w*x'), { limit: 1 })).toThrow(
        expect.objectContaining({ code: 'too-large' }),
      );
      expect(index.reader.search(read('w1*x'), { limit: 1 }).total).toBe(112);
      expect(index.reader.search(read('w*'), { limit: 1, countMax: 5_000 }).total).toBe(1_001);
    });
  });

  test('counting that takes too long stops between months, and says that there are at least so many', () => {
    withIndex((index) => {
      put(
        index,
        ...Array.from({ length: 300 }, (_, messageNo) =>
          makeDocument(messageNo, 'lamp', { sentAtMs: Date.UTC(2026, messageNo % 3, 5) + messageNo }),
        ),
      );
      const hasty = { part: 0, parts: 1, cpuMsMax: 0 };
      const nothing = { count: 0, isWhole: true };
      expect(index.reader.count(read('lamp'), 1000, hasty)).toEqual({ count: 0, isWhole: false });
      const ask = (limit: number) => index.reader.searchShared(read('lamp'), { limit }, hasty).finish(nothing);
      expect(ask(20)).toMatchObject({ total: 21, totalRelation: 'gte' });
      // All of them on the page are all of them.
      put(index, makeDocument(1000, 'unique'));
      const whole = index.reader.searchShared(read('unique'), { limit: 5 }, hasty).finish(nothing);
      expect(whole).toMatchObject({ total: 1, totalRelation: 'eq' });
    });
  });

  test('a proximity search with too many alternatives is an error', () => {
    withIndex((index) => {
      put(
        index,
        ...Array.from({ length: 100 }, (_, messageNo) => makeDocument(messageNo, `a${messageNo}x b${messageNo}x`)),
      );
      expect(() => index.reader.search(read('a*x w/2 b*x'), { limit: 1 })).toThrow(
        expect.objectContaining({ code: 'too-large' }),
      );
      expect(index.reader.search(read('a1*x w/2 b*x'), { limit: 1 }).total).toBe(11);
    });
  });

  test('a range of numbers is bounded', () => {
    withIndex((index) => {
      expect(() => index.reader.listMessageNos(0, 1_000_001)).toThrow(expect.objectContaining({ code: 'too-large' }));
      expect(index.reader.listMessageNos(0, 1_000_000)).toEqual([]);
      put(index, makeDocument(3, 'a'), makeDocument(4, 'b'));
      expect(index.reader.listMessageNos(3, 4)).toEqual([3]);
    });
  });
});

describe('files', () => {
  test('that are not there yet, or not any more, hold no messages', () => {
    withIndex((index) => {
      const reader = openIndexReader({ directory: join(index.directory, 'later'), key: TEST_KEY });
      expect(reader.search(read(''), { limit: 1 }).total).toBe(0);
      expect(reader.facets(read('')).counted).toBe(0);
      expect(reader.listMessageNos(0, 10)).toEqual([]);
      put(index, makeDocument(1, 'a'));
      expect(searchAll(index, 'a')).toEqual([1]);
      for (const name of readdirSync(index.directory)) rmSync(join(index.directory, name));
      expect(searchAll(index, 'a')).toEqual([]);
    });
  });

  test('are closed and opened again within their bound', () => {
    withIndex((index) => {
      const spread = Array.from({ length: 60 }, (_, messageNo) =>
        makeDocument(messageNo, 'month', { sentAtMs: Date.UTC(2015, messageNo * 2, 15) }),
      );
      put(index, ...spread);
      put(index, ...spread.map((document) => ({ ...document, text: 'month again' })));
      expect(searchAll(index, '"month again"', { limit: 11 })).toEqual(
        spread.map((document) => document.messageNo).reverse(),
      );
    }, 2);
  });

  test('that are damaged are named as such, and can be built anew while a reader has them open', () => {
    withIndex((index) => {
      const kept = Array.from({ length: 2_000 }, (_, messageNo) =>
        makeDocument(messageNo, `word${messageNo}`, { sentAtMs: Date.UTC(2026, 0, 1) + messageNo }),
      );
      put(index, ...kept);
      expect(searchAll(index, 'word7')).toEqual([7]);
      index.writer.close();
      index.reader.close();
      const path = join(index.directory, 'index-2026-01.db');
      writeFileSync(path, Buffer.alloc(statSync(path).size, 1));
      const writer = openIndexWriter({ directory: index.directory, key: TEST_KEY });
      expect(() => index.reader.search(read('word7'), { limit: 1 })).toThrow(
        expect.objectContaining({ code: 'index-damaged' }),
      );
      expect(() => writer.apply([{ put: makeDocument(1, 'x') }], 5_000)).toThrow(
        expect.objectContaining({ code: 'index-damaged' }),
      );
      writer.rebuildMonth('2026-01', kept);
      expect(searchAll(index, 'word7')).toEqual([7]);
      expect(index.reader.search(read(''), { limit: 1, countMax: 5_000 }).total).toBe(2_000);
      writer.rebuildMonth('2026-01', kept.slice(0, 10));
      expect(index.reader.search(read(''), { limit: 1 }).total).toBe(10);
      expect(() => writer.rebuildMonth('2026-01', [makeDocument(1, 'x', { sentAtMs: 0 })])).toThrow(
        expect.objectContaining({ code: 'bad-input' }),
      );
      expect(index.reader.search(read(''), { limit: 1 }).total).toBe(10);
      writer.close();
      expect(existsSync(`${path}.making`)).toBe(false);
    });
  });

  test('that lost rows or words, or were put back from an old copy, are told by the sets', () => {
    withIndex((index) => {
      const { directory, writer, reader } = index;
      const path = join(directory, 'index-2026-01.db');
      const inFile = (sql: string) => {
        const database = openEncryptedDatabase(path, { key: TEST_KEY, mustExist: true, synchronous: 'NORMAL' });
        database.exec(sql);
        database.close();
      };
      const freePages = () => {
        const database = openEncryptedDatabase(path, { key: TEST_KEY, mustExist: true, synchronous: 'NORMAL' });
        const count = database.pragma('freelist_count', { simple: true });
        database.close();
        return count;
      };
      put(index, ...[1, 2, 3].map((no) => makeDocument(no, 'refund')));
      writer.flush();
      expect(reader.listMessageNos(0, 10)).toEqual([1, 2, 3]);
      expect([reader.countStrays(), reader.listMonths(), reader.isSound('2026-01')]).toEqual([0, ['2026-01'], true]);
      inFile('DELETE FROM ft WHERE rowid = (SELECT id FROM doc WHERE no = 1)');
      expect([reader.listMessageNos(0, 10), reader.countStrays()]).toEqual([[2, 3], 0]);
      inFile('DELETE FROM doc WHERE no = 2');
      expect([reader.listMessageNos(0, 10), reader.countStrays()]).toEqual([[3], 1]);

      writer.rebuildMonth(
        '2026-01',
        [1, 2, 3].map((no) => makeDocument(no, 'refund')),
      );
      writer.flush();
      const copy = readFileSync(path);
      put(index, makeDocument(2, 'refund of another text'));
      writer.flush();
      // The reader first, so that the writer moves its log into the file.
      reader.refresh();
      writer.close();
      expect(existsSync(`${path}-wal`)).toBe(false);
      const whole = readFileSync(path);
      let unseen = 0;
      for (let page = 1; page < whole.length / 8192; page += 1) {
        const flipped = Buffer.from(whole);
        flipped.writeUInt32BE((flipped.readUInt32BE(page * 8192 + 4000) ^ 1) >>> 0, page * 8192 + 4000);
        writeFileSync(path, flipped);
        reader.refresh();
        if (reader.isSound('2026-01')) unseen += 1;
      }
      reader.refresh();
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
      // Free pages hold nothing, so nobody reads them.
      writeFileSync(path, whole);
      expect(unseen).toBe(freePages());
      writeFileSync(path, copy);
      expect(reader.listMessageNos(0, 10)).toEqual([1, 2, 3]);
      expect(reader.isSound('2026-01')).toBe(false);
      const again = openIndexWriter({ directory, key: TEST_KEY });
      expect(() => again.apply([{ put: makeDocument(4, 'new') }], 9)).toThrow(
        expect.objectContaining({ code: 'index-damaged' }),
      );
      again.close();
      rmSync(path);
      expect([reader.listMonths(), reader.isSound('2026-01')]).toEqual([['2026-01'], false]);
    });
  });

  test('of one key open with no other', () => {
    withIndex((index) => {
      put(index, makeDocument(1, 'secret'));
      index.writer.flush();
      const other = Buffer.alloc(32, 8);
      const stranger = openIndexReader({ directory: index.directory, key: other });
      expect(() => stranger.search(read('secret'), { limit: 1 })).toThrow(
        expect.objectContaining({ code: 'index-damaged' }),
      );
      expect(() => openIndexWriter({ directory: index.directory, key: other })).toThrow(
        expect.objectContaining({ code: 'index-damaged' }),
      );
    });
  });

  test('of months that are over are merged', () => {
    withIndex((index) => {
      for (let messageNo = 0; messageNo < 6; messageNo++)
        put(index, makeDocument(messageNo, 'a', { sentAtMs: Date.UTC(2026, messageNo % 2, 1, messageNo) }));
      const optimise = (nowMs: number, isQuiet?: () => boolean) => index.writer.optimise(nowMs, isQuiet);
      expect(optimise(Date.UTC(2026, 1, 15), () => false)).toBe(undefined);
      expect(optimise(Date.UTC(2026, 1, 15))).toBe('2026-01');
      expect(optimise(Date.UTC(2026, 1, 15))).toBe(undefined);
      expect(optimise(Date.UTC(2026, 2, 1))).toBe('2026-02');
      expect(searchAll(index, 'a').length).toBe(6);
    });
  });

  test('months are those of UTC', () => {
    expect(monthOf(Date.UTC(2026, 0, 1) - 1)).toBe('2025-12');
    expect(monthOf(Date.UTC(2026, 0, 1))).toBe('2026-01');
    expect(monthOf(0)).toBe('1970-01');
    expect(monthOf(Date.UTC(2100, 0, 1))).toBe('undated');
  });
});
