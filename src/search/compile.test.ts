import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { compileQuery, resolveMatch } from './compile.ts';
import type { ExpandTerm, Plan } from './compile.ts';
import { formatQuery } from './query-format.ts';
import { parseQuery } from './query.ts';

const NOW_MS = Date.UTC(2026, 10, 22);

/** Wildcards are filled in by the vocabulary of a month; here they say what they ask for. */
const expand = ({ mark, fit }: ExpandTerm) =>
  fit.kind === 'wildcard'
    ? [`${mark}first-of(${fit.pattern})`, `${mark}second-of(${fit.pattern})`]
    : [`${mark}near-to(${fit.text}~${fit.distance})`];

/** A plan as indented text; private-use characters of emoji by their code. */
function formatPlan(plan: Plan, depth = 1): string {
  const indent = '  '.repeat(depth);
  const line = (text: string) => `${indent}${text}\n`;
  switch (plan.kind) {
    case 'match':
      return line(
        `MATCH ${(resolveMatch(plan.match, expand) ?? '(nothing)').replaceAll(/[\ue000-\uf8ff]/g, (unit) => `{${unit.charCodeAt(0).toString(16)}}`)}`,
      );
    case 'all':
      return line('all rows');
    case 'state':
      return line(`state ${plan.value}`);
    case 'date':
      return line(`sent ${plan.fromMs} to ${plan.toMs}`);
    case 'ordered':
      return line(`in order within ${plan.distance}: ${JSON.stringify(plan.left)} ${JSON.stringify(plan.right)}`);
    case 'and':
    case 'or':
      return line(plan.kind) + plan.parts.map((part) => formatPlan(part, depth + 1)).join('');
    case 'not':
      return line('not') + formatPlan(plan.part, depth + 1);
  }
}

function describeQuery(text: string): string {
  const query = parseQuery(text, { nowMs: NOW_MS });
  const { fromMs, toMs, plan } = compileQuery(query);
  const window = fromMs === -Infinity && toMs === Infinity ? '' : `  window ${fromMs} to ${toMs}\n`;
  return `${text}\n  = ${formatQuery(query)}\n${window}${formatPlan(plan)}`;
}

const QUERIES = [
  '',
  'refund',
  'Größe STRASSE',
  'where is my order',
  '"where is my order"',
  '"where is m"*',
  'refund OR return OR "money back"',
  'refund NOT sale',
  '-sale',
  'NOT (a OR b)',
  '#1001-A',
  '1001A',
  '1001*',
  'https://shop.example.com/orders/1001',
  'refund*',
  'r?f*d',
  'refund~',
  'a w/5 b',
  '(a OR b*) w/3 "c d"',
  'r?fund w/2 order~1',
  'a pre/5 "b c"',
  '"a b c"~5',
  '😀 👨‍👩‍👧 🇩🇪',
  '配 配送 配送中',
  '"配送 ok"',
  'from:+15551234567',
  'from:"(555) 123-4567"',
  'with:1234567',
  'to:12345',
  'from:jane to:"jane doe"',
  'with:j?ne',
  'channel:sms direction:in',
  'channel:(sms OR whatsapp) refund',
  'type:optout.request type:optout*',
  'order:#1001-A has:media brand:"Main Shop"',
  'source:s1 conversation:c1 id:SMab',
  'status:failed',
  'status:delivered',
  'status:delivered refund',
  'status:delivered OR refund',
  'refund NOT status:delivered',
  'date:2026-01 refund',
  'after:2026-01-01 before:2026-02-01',
  'refund OR on:2026-01-01',
  'NOT on:2026-01-01',
  'older_than:30d -channel:sms',
  '"²cwhatsapp" OR "a\\" OR ft MATCH \\"b"',
  "a'b) OR (c",
];

describe('compiled queries', () => {
  // A change of this file is a change of what searches mean or cost: read it like code.
  test('are those of the file that is checked in', async () => {
    const text = QUERIES.filter((query) => !query.includes(') OR ('))
      .map(describeQuery)
      .join('\n');
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'testing', 'compiled-queries.txt'));
  });

  test('hold nothing of a query but tokens inside quotation marks', () => {
    for (const text of [
      '"a\\" OR b"',
      'a"',
      "a'; DROP TABLE doc; --",
      '"NEAR(x, 1)"',
      '{a}:b',
      '^a',
      'a+b',
      '"a*"',
      '"-a"',
    ]) {
      let plan: Plan;
      try {
        plan = compileQuery(parseQuery(text, { nowMs: NOW_MS })).plan;
      } catch (cause) {
        expect(cause).toMatchObject({ code: 'bad-query' });
        continue;
      }
      const expression = plan.kind === 'match' ? (resolveMatch(plan.match, expand) ?? '') : '';
      expect(expression.replaceAll(/"[\p{L}\p{N}\p{M} ]*"/gu, 'T'), text).toMatch(/^(?:T| AND | OR |\(|\))+$/);
    }
  });

  test('a word that a month does not know takes only its own branch away', () => {
    const nothing = () => [];
    const resolve = (text: string) => {
      const { plan } = compileQuery(parseQuery(text, { nowMs: NOW_MS }));
      return plan.kind === 'match' ? resolveMatch(plan.match, nothing) : plan.kind;
    };
    expect(resolve('a?c')).toBeUndefined();
    expect(resolve('a?c b')).toBeUndefined();
    expect(resolve('a?c OR b')).toBe('"b"');
    expect(resolve('b NOT a?c')).toBe('"b"');
    expect(resolve('a?c w/2 b')).toBeUndefined();
  });
});
