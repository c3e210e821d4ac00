import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { addressKey } from './address.ts';
import { parsePhoneAddress } from './phone.ts';
import { DELIVERY_STATES, isConflict, isFailure, joinDelivery } from './delivery.ts';
import { assertNever, CartularyError, ERRORS } from './errors.ts';
import { formatMessageKey, joinNatural } from './event.ts';
import { formatId, idBytes, parseId } from './ids.ts';
import { formatRecord, parseRecord, parseRecordHead } from './record.ts';
import type { ArchiveRecord } from './record.ts';
import { formatInstant, parseEpochInstant, parseIsoInstant, parseRfc2822Instant, receiptInstant } from './time.ts';

const state = fc.constantFrom(...DELIVERY_STATES);

describe('delivery states', () => {
  it('join to the same whatever the order, and repetition changes nothing', () => {
    fc.assert(
      fc.property(state, state, state, (a, b, c) => {
        expect(joinDelivery(a, b)).toBe(joinDelivery(b, a));
        expect(joinDelivery(joinDelivery(a, b), c)).toBe(joinDelivery(a, joinDelivery(b, c)));
        expect(joinDelivery(a, a)).toBe(a);
        expect(isConflict(a, b)).toBe(isConflict(b, a));
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
  it('take proof over failure over hope', () => {
    expect(joinDelivery('failed', 'sent')).toBe('failed');
    expect(joinDelivery('failed', 'read')).toBe('read');
    expect(joinDelivery('expired', 'failed')).toBe('failed');
    expect([isFailure('failed'), isFailure('sent')]).toEqual([true, false]);
  });
});

describe('ids', () => {
  it('come back as the bytes they were made of', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const id = formatId('message', bytes);
        expect(parseId('message', id)).toBe(id);
        expect([...idBytes(id)]).toEqual([...bytes]);
      }),
      { seed: 2 },
    );
  });
  it.each(['', 'msg_', 'msg_xyz', `rec_${'0'.repeat(32)}`, `msg_${'A'.repeat(32)}`, `msg_${'0'.repeat(33)}`])(
    'refuse %j',
    (text) => {
      expect(() => parseId('message', text)).toThrow(CartularyError);
    },
  );
  it('are 16 bytes', () => {
    expect(() => formatId('message', new Uint8Array(15))).toThrow(/16 bytes/);
    expect(() => parseId('archive', 'x')).toThrow(/not an archive id/);
  });
});

describe('natural keys', () => {
  it('are the same text only for the same parts', () => {
    const parts = fc.array(fc.string(), { maxLength: 4 });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(joinNatural(a) === joinNatural(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
      { seed: 3, numRuns: 1000 },
    );
    const key = { platform: 'p', account: 'a', id: 'x' };
    expect(formatMessageKey(key)).not.toBe(formatMessageKey({ ...key, conversation: 'x', id: '' }));
  });
});

describe('times', () => {
  it.each([
    ['2026-11-22T10:00:00Z', 's', 'utc'],
    ['2026-11-22T10:00Z', 'min', 'utc'],
    ['2026-11-22', 'day', 'assumed'],
    ['2026-11-22 10:00:00.5', 'ms', 'assumed'],
    ['2026-11-22T10:00:00.123456+02:00', 'us', 'offset'],
    ['2026-11-22T10:00:00.123456789+0200', 'ns', 'offset'],
  ])('read %s', (text, precision, zone) => {
    expect(parseIsoInstant(text, 'provider')).toMatchObject({ precision, zone, origin: 'provider' });
  });
  it.each(['', 'yesterday', '2026-13-01', '2026-11-22T25:00:00Z', '22.11.2026', '2026-11-22T10:00:00Zx'])(
    'refuse %j',
    (text) => {
      expect(parseIsoInstant(text, 'file')).toBeUndefined();
    },
  );
  it('read what Twilio writes, and counts of seconds and milliseconds', () => {
    expect(parseRfc2822Instant('Thu, 30 Jul 2015 20:12:31 +0000', 'provider')?.ms).toBe(1_438_287_151_000);
    expect(parseRfc2822Instant('30 Jul 2015', 'provider')).toBeUndefined();
    expect(parseEpochInstant('1700000000', 's', 'file')).toMatchObject({ ms: 1_700_000_000_000, precision: 's' });
    expect(parseEpochInstant(1_700_000_000_123, 'ms', 'file')?.ms).toBe(1_700_000_000_123);
    for (const bad of ['', '-1', 'x', '999999999999999']) expect(parseEpochInstant(bad, 's', 'file')).toBeUndefined();
    expect(formatInstant(receiptInstant(0))).toBe('1970-01-01T00:00:00.000Z');
  });
});

describe('addresses', () => {
  it.each([
    ['+15551234567', 'e164', '+15551234567'],
    ['+1 (415) 555-2671', 'e164', '+14155552671'],
    ['87892', 'short_code', '87892'],
    ['SHOPNAME', 'alpha_sender', 'SHOPNAME'],
    ['5551234567', 'phone_raw', '5551234567'],
    [' ', 'phone_raw', ''],
  ])('read %j as %s', (text, scheme, value) => {
    expect(parsePhoneAddress(text)).toMatchObject({ scheme, value });
  });
  it('use the region of the shop for numbers without a country code, and keep what was written', () => {
    expect(parsePhoneAddress('(415) 555-2671', 'US')).toEqual({
      scheme: 'e164',
      value: '+14155552671',
      raw: '(415) 555-2671',
    });
  });
  it('never throw and never grow', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2000 }), (text) => {
        expect(parsePhoneAddress(text).value.length).toBeLessThanOrEqual(256);
      }),
      { seed: 4 },
    );
  });
  it('differ by scheme and scope', () => {
    expect(addressKey({ scheme: 'psid', value: '1', scope: 'page' })).not.toBe(
      addressKey({ scheme: 'psid', value: '1' }),
    );
  });
});

describe('record bytes', () => {
  it('give back every text, lone surrogates and NUL too', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('', '\ud83d', '\udc00x', '\u0000', '😀'),
        (text, odd) => {
          const record = { v: 1, event: { kind: 'unknown', name: text + odd } } as unknown as ArchiveRecord;
          expect(parseRecord(formatRecord(record))).toEqual(record);
        },
      ),
      { seed: 5 },
    );
  });
  it('are read without what arrived, whatever the texts in them look like', () => {
    const tricky = ',"raw":{"transport":"webhook"';
    const extras: readonly unknown[] = [
      tricky,
      { raw: { transport: 'x' } },
      { a: [{ b: 1, raw: { transport: 'x', c: tricky } }] },
    ];
    fc.assert(
      fc.property(fc.constantFrom(...extras), fc.constantFrom(undefined, tricky, 'plain'), (extra, body) => {
        const raw = body === undefined ? {} : { raw: { transport: 'webhook', body, encoding: 'utf8' } };
        const head = { v: 1, event: { kind: 'unknown', name: tricky, extra } };
        const bytes = formatRecord({ ...head, ...raw } as unknown as ArchiveRecord);
        const { raw: _raw, ...expected } = parseRecord(bytes);
        const { raw: _again, ...read } = parseRecordHead(bytes) as ArchiveRecord;
        expect(read).toEqual(expected);
      }),
      { seed: 6 },
    );
  });
  it.each(['', '{', '[]', '{"v":2,"event":{}}', '{"v":1}', 'null'])('refuse %j', (text) => {
    expect(() => parseRecord(Buffer.from(text))).toThrow(CartularyError);
  });
});

describe('errors', () => {
  it('each say what to do, with a status', () => {
    for (const { status, title, hint } of Object.values(ERRORS)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(title.length + hint.length).toBeGreaterThan(10);
    }
    expect(() => assertNever('x' as never)).toThrow(/unexpected/);
    expect(new CartularyError('locked', 'x', { cause: 1, detail: { a: 1 } })).toMatchObject({
      code: 'locked',
      detail: { a: 1 },
      cause: 1,
    });
  });
});
