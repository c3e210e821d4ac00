/** Documents and queries over one small world of words, so that random queries find something. */
import * as fc from 'fast-check';

import type { IndexDocument } from '../document.ts';
import { makeDocument } from './temp.ts';

const WORDS = [
  'refund',
  'refunds',
  'refnud',
  'return',
  'order',
  'orders',
  'late',
  'stop',
  'the',
  'is',
  'not',
  'or',
  'größe',
  'Grosse',
  'café',
  '#1001-A',
  '1001-A',
  '1001A',
  '1001',
  'A',
  '408-247-8880',
  '4082478880',
  '+1 (555) 123-4567',
  '0171 1234567',
  '24/7',
  '12:30',
  'AB_12',
  'https://shop.example.com/orders/1001',
  'shop',
  'example',
  'com',
  'b@example.com',
  '😀',
  '👍🏽',
  '👍',
  '👨‍👩‍👧',
  '👩',
  '🇩🇪',
  '🇪🇫',
  '❤️',
  '配送中です',
  '配送',
  '送',
  '中',
  'で',
  '발송',
  '배송되었습니다',
  '배송',
  'สวัสดีครับ',
  'สวัสดี',
  'မြန်မာ',
  'ខ្មែរ',
  'ສະບາຍດີ',
  'مرحبا',
  'مَرْحَبًا',
  'שלום',
  'हिन्दी',
  'İstanbul',
  'ışık',
  'IŞIK',
  'Đơn',
  'Łódź',
  'Straße',
  'STRASSE',
  'привет',
  'ёлка',
  'елка',
  'Τιμή',
  'ΤΙΜΗ',
  '𠀀𠀁',
];
const NAMES = ['Jane Doe', 'Jane', 'Doe Inc', 'Anna-Lena Müller', '@jane_doe', 'jane@example.com', '田中', 'Joan'];
const NUMBERS = [
  '+15551234567',
  '+491711234567',
  '+15551234568',
  '+4915551234567',
  '12345',
  '+18005550199',
  '5551234567',
];
const CHANNELS = ['sms', 'mms', 'whatsapp', 'RCS'];
const TYPES = ['optout.request', 'optout.confirm', 'order.transactional', 'marketing.message'];
const STATES = ['', 'delivered', 'failed', 'read', 'Sent', 'Bounced back'];
const HAS = ['media', 'link', 'location'];
const ORDERS = ['#1001-A', '1001', '#1002', 'EU/77'];
const IDS = ['SMab', 'SMAB', 'wamid.HBg=', 'msg-1', 'msg-2'];
const BRANDS = ['', 'main', 'Main Shop', 'b-two'];

/** 2025-11-29 to 2026-02-03, with a few times that nobody believes. */
const times = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: Date.UTC(2025, 10, 29), max: Date.UTC(2026, 1, 3) }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      Date.UTC(2026, 0, 1),
      Date.UTC(2026, 0, 1) - 1,
      Date.UTC(2026, 0, 2),
      Date.UTC(2026, 1, 1) - 1,
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom(-1, -86_400_000, Date.UTC(2100, 0, 1), 0, 8.64e15) },
);

/** Texts of a few words, with separators of several kinds. */
const texts = fc
  .array(
    fc.tuple(
      fc.constantFrom(...WORDS),
      fc.constantFrom(' ', ' ', ' ', ' ', ', ', '\n\n', '! ', '', '\u0000', '\ud800'),
    ),
    { maxLength: 9 },
  )
  .map((pieces) => pieces.flat().join(''));

/** A document; its number is given by the test. */
export const documents: fc.Arbitrary<Omit<IndexDocument, 'messageNo'>> = fc
  .record({
    sentAtMs: times,
    text: texts,
    channel: fc.constantFrom(...CHANNELS),
    direction: fc.constantFrom('inbound', 'outbound', 'internal', 'unknown', 'sideways'),
    source: fc.constantFrom('source-1', 'source-2'),
    conversation: fc.constantFrom('c1', 'C1', 'c2'),
    from: fc.array(fc.constantFrom(...NAMES, ...NUMBERS), { maxLength: 3 }),
    to: fc.array(fc.constantFrom(...NAMES, ...NUMBERS), { maxLength: 3 }),
    types: fc.array(fc.constantFrom(...TYPES), { maxLength: 2 }),
    state: fc.constantFrom(...STATES),
    has: fc.subarray(HAS),
    orders: fc.array(fc.constantFrom(...ORDERS), { maxLength: 2 }),
    ids: fc.subarray(IDS, { maxLength: 2 }),
    brand: fc.constantFrom(...BRANDS),
  })
  .map((fields) => makeDocument(0, '', fields));

const quoted = (text: string) => `"${text}"`;
const bareWords = WORDS.filter((word) => !/[\s()]/.test(word));
const letterWords = ['refund', 'refunds', 'return', 'order', 'late', 'große', 'привет', 'jane'];

const wildcards = fc
  .tuple(
    fc.constantFrom(...letterWords),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom('?', '*', '??', '*?'),
    fc.integer({ min: 0, max: 3 }),
  )
  .map(
    ([word, head, sign, skip]) =>
      `${[...word].slice(0, head).join('')}${sign}${[...word].slice(head + skip).join('') || 'x'}`,
  );
const fuzzies = fc
  .tuple(fc.constantFrom(...letterWords), fc.constantFrom('~', '~1'))
  .map(([word, sign]) => word + sign);
const words = fc.constantFrom(...bareWords);
const phrases = fc
  .array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 3 })
  .map((parts) => quoted(parts.join(' ')));
const prefixes = fc
  .tuple(fc.constantFrom('refund', 're', 'o', '1001', 'gr', '배', '配', 'AB_1', '408-247-8', 'при'), fc.boolean())
  .map(([word, inQuotes]) => `${inQuotes ? quoted(word) : word}*`);
const textTerms = fc.oneof({ weight: 5, arbitrary: words }, phrases, prefixes, wildcards, fuzzies);

const near = fc
  .tuple(
    fc.oneof(
      // `not w/5` is another language's operator and refused.
      textTerms.filter((term) => term !== 'not'),
      fc.tuple(textTerms, textTerms).map(([a, b]) => `(${a} OR ${b})`),
    ),
    fc.constantFrom('w/1', 'w/2', 'w/5', 'pre/1', 'pre/3', 'NEAR(2)', 'NEAR', 'ONEAR(n=3)'),
    textTerms,
  )
  .map(([left, operator, right]) => `(${left} ${operator} ${right})`);
const loose = fc
  .tuple(fc.array(words, { minLength: 2, maxLength: 3 }), fc.integer({ min: 0, max: 6 }))
  .map(([parts, between]) => `${quoted(parts.join(' '))}~${between}`);

const parties = fc
  .tuple(
    fc.constantFrom('from', 'to', 'with', 'participant'),
    fc.constantFrom(
      'jane',
      'doe',
      '"jane doe"',
      '"doe doe"',
      'jane*',
      'j?ne',
      'joan~',
      'müller',
      'anna-lena',
      '@jane_doe',
      'jane@example.com',
      '田',
      '(jane OR inc)',
      '+15551234567',
      '5551234567',
      '"+1 (555) 123-4567"',
      '+1(555)123-4567',
      '1234567',
      '0171/1234567',
      '"0049 171 1234567"',
      '12345',
      '1234',
    ),
  )
  .map(([field, value]) => `${field}:${value}`);
const values = fc.constantFrom(
  ...CHANNELS.map((channel) => `channel:${channel}`),
  ...TYPES.map((type) => `type:${type}`),
  'type:optout*',
  'has:link',
  'has:media',
  'order:1001a',
  'order:#1001-A',
  'order:1001*',
  'order:1002',
  'order:eu77',
  'id:SMab',
  'id:smab',
  'id:"wamid.HBg="',
  'source:source-1',
  'conversation:c1',
  'brand:main',
  'brand:"main shop"',
  'brand:main*',
  'direction:in',
  'direction:unknown',
  'status:failed',
  'status:delivered',
  'status:sent',
  'status:nothing',
  'status:"bounced back"',
);
const dates = fc.constantFrom(
  'after:2026-01-01',
  'before:2026',
  'on:2026-01-01',
  'date:2025-12..2026-01',
  'date>=2026-01-01T00:00:00.000Z',
  'date<2025-12-31T23:59:59.999Z',
  'date>2026-01-01',
  'date<=2025-12-31',
  'older_than:30d',
  'newer_than:1m',
  'before:1970',
  'after:2099',
  'date:1960..1990',
);

/** Queries as text, of every kind the grammar knows. */
export const queryTexts: fc.Arbitrary<string> = fc.letrec<{ query: string; leaf: string }>((tie) => ({
  leaf: fc.oneof(
    { weight: 6, arbitrary: textTerms },
    { weight: 2, arbitrary: near },
    loose,
    { weight: 2, arbitrary: parties },
    { weight: 3, arbitrary: values },
    { weight: 2, arbitrary: dates },
  ),
  query: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 4, arbitrary: tie('leaf') },
    {
      weight: 2,
      arbitrary: fc
        .tuple(tie('query'), fc.constantFrom(' ', ' AND ', ' OR '), tie('query'))
        .map((parts) => parts.join('')),
    },
    { weight: 1, arbitrary: tie('query').map((query) => `NOT (${query})`) },
    { weight: 1, arbitrary: tie('leaf').map((leaf) => (leaf.startsWith('(') ? `NOT ${leaf}` : `-${leaf}`)) },
    { weight: 1, arbitrary: fc.tuple(tie('query'), tie('query')).map(([a, b]) => `(${a}) OR (${b})`) },
  ),
})).query;

/** The moment at which generated queries are read. */
export const GENERATED_NOW_MS = Date.UTC(2026, 1, 3);
