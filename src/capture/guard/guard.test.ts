import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Envelope } from '../../model/envelope.ts';
import { guardEnvelope, guardText } from './guard.ts';
import type { GuardCounts } from './guard.ts';

const OPTIONS = { oneTimeCodes: false } as const;
/** Many times what is needed, so that only what grows faster than its input fails. */
const CPU_MS_MAX = 5_000;
const clean = (text: string): string => guardText(text, OPTIONS).text;

function envelope(body: string | Buffer, type: string): Envelope {
  return {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/src_1',
    headers: [
      ['Content-Type', type],
      ['X-Twilio-Signature', 'abc='],
      ['Content-Length', '1'],
    ],
    body: Buffer.from(body),
    receivedAtMs: 0,
  };
}

/** Milliseconds of this thread alone, whatever else the machine does. */
function cpuMs(act: () => void): number {
  const { user, system } = process.threadCpuUsage();
  act();
  const after = process.threadCpuUsage();
  return (after.user - user + after.system - system) / 1000;
}

describe('guard on texts', () => {
  it.each([
    ['my cvv is 737', '737'],
    ['CVC: 7 3 7', '7 3 7'],
    ['the security code on the back is 1234', '1234'],
    ['Kartenprüfnummer 737', '737'],
    ['código de seguridad: 737', '737'],
    ['cryptogramme 737', '737'],
    ['4111 1111 1111 1111 12/27 737', '737'],
    ['card 4111-1111-1111-1111 please', '1111-1111-1111'],
    ['amex 378282246310005', '82246310005'],
    ['%B4111111111111111^DOE/JOHN^27121010000000000000?', '27121010000000000000'],
    [';4111111111111111=27121010000012345678?', '27121010000012345678'],
    ['cvv 7😀3😀7', '3😀7'],
    ['cvv 7️⃣3️⃣7️⃣', '3️⃣7'],
    ['ｃｖｖ ７３７', '７３７'],
    ['sec code 737', '737'],
    ['card 4111😀1111😀1111😀1111', '1111😀1111😀1111'],
    ['４１１１１１１１１１１１１１１１', '１１１１１１１１１１'],
    ['4–1–1–1–1–1–1–1–1–1–1–1–1–1–1–1', '1–1–1–1–1–1–1–1'],
    ['9400 4111 1111 1111 1111', '1111 1111 1111'],
  ])('takes the secret out of %j', (text, secret) => {
    expect(clean(text)).not.toContain(secret);
  });

  it.each([
    'where is my order 10001?',
    'call me on +1 (555) 010-0123',
    'tracking 1Z999AA10123456784',
    'see you at 7:37 in room 737',
    'FA to 87121 to receive entry question T&C’s apply 08452810075over18’s',
    'order no. 4111111111111112',
    'UPS 9400 4111 1111 1111 1111 22 out for delivery',
    '😀4111😀 and 1111😀',
    '',
  ])('leaves %j as it is', (text) => {
    expect(guardText(text, OPTIONS)).toEqual({ text });
  });

  it('masks one-time codes only where it is told to', () => {
    expect(clean('Your code is 482913')).toContain('482913');
    expect(guardText('Your code is 482913', { oneTimeCodes: true }).text).not.toContain('482913');
  });

  it('does nothing twice', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.constantFrom('cvv 737', '4111111111111111', ''),
        (text, planted) => {
          const once = clean(`${text} ${planted} ${text}`);
          expect(clean(once)).toBe(once);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('guard on envelopes', () => {
  const words = fc.string({ unit: fc.constantFrom(...'abcdefghij klmnop,.!?äöü😀'), maxLength: 60 });

  it('lets no planted secret through, in a form, in JSON, or raw', () => {
    fc.assert(
      fc.property(words, words, fc.boolean(), (before, after, escaped) => {
        const text = `${before} cvv 737, 4111 1111 1111 1111 ${after}`;
        const json = JSON.stringify({ a: [{ b: text }], n: 1 });
        const bodies: readonly (readonly [string, string])[] = [
          [new URLSearchParams({ Body: text, X: 'y' }).toString(), 'application/x-www-form-urlencoded'],
          [escaped ? json.replaceAll('7', '\\u0037') : json, 'application/json'],
          [text, 'text/plain'],
        ];
        for (const [body, type] of bodies) {
          const guarded = guardEnvelope(envelope(body, type), OPTIONS);
          const out = Buffer.from(guarded.envelope.body).toString('utf8');
          const decoded = type.includes('form')
            ? new URLSearchParams(out).toString() + [...new URLSearchParams(out).values()].join(' ')
            : out.replaceAll('\\u0037', '7');
          expect(decoded).not.toMatch(/737|4111.1111.1111.1111/);
          expect(guarded.findings).toMatchObject({ 'card-security-code': expect.any(Number) as number });
          expect(guarded.envelope.headers.map(([name]) => name)).not.toContain('X-Twilio-Signature');
        }
      }),
      { seed: 2, numRuns: 150 },
    );
  });

  it('gives back the very same envelope where there is nothing', () => {
    const original = envelope('Body=hello+there&From=%2B15550100123', 'application/x-www-form-urlencoded');
    expect(guardEnvelope(original, OPTIONS).envelope).toBe(original);
  });

  it('takes hostile bodies in linear time', () => {
    for (const body of ['1'.repeat(1_000_000), 'cvv '.repeat(250_000), '['.repeat(10_000), '%25'.repeat(300_000)]) {
      const tookMs = cpuMs(() => guardEnvelope(envelope(body, 'application/json'), OPTIONS));
      expect(tookMs).toBeLessThan(CPU_MS_MAX);
    }
  });

  it.each([
    ['card numbers', '4111111111111111 '],
    ['card numbers in groups', '4111 1111 1111 1111\n'],
    ['security codes', 'cvv 123 '],
    ['lists of security codes', 'cvv 123, 456, 789, 222 '],
    ['cards with all that belongs to them', '4111 1111 1111 1111 12/27 737 '],
    ['codes before their names, beside cards', '4111111111111111 x y z w. 123 cvv. a b c d e. '],
    ['magnetic stripes', ';4111111111111111=27121010000012345678?'],
    ['codes of JSON', '{"cvv":"123"},'],
    ['numbers of JSON', '4111111111111111,123,1,1,'],
  ])('takes a megabyte of nothing but %s in bounded time', (_name, unit) => {
    const whole = unit.repeat(Math.floor(1_000_000 / unit.length));
    const body = unit.endsWith(',') ? `[${whole}1]` : JSON.stringify({ text: whole });
    let found: GuardCounts | undefined;
    const tookMs = cpuMs(() => {
      found = guardEnvelope(envelope(body, 'application/json'), OPTIONS).findings;
    });
    expect(Object.values(found ?? {}).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(10_000);
    expect(tookMs).toBeLessThan(CPU_MS_MAX);
  });

  it('spares nearly all real texts', () => {
    const texts = readFileSync(new URL('../../../test/data/uci-sms-spam.tsv', import.meta.url), 'utf8')
      .split('\n')
      .map((line) => line.slice(line.indexOf('\t') + 1));
    const touched = texts.filter((text) => guardText(text, OPTIONS).findings !== undefined);
    expect(touched.length).toBeLessThanOrEqual(5);
  });
});
