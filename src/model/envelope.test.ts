import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { findHeader } from './envelope.ts';
import { formatId, ID_PREFIX, parseId } from './ids.ts';
import type { IdOf } from './ids.ts';
import { formatRecord, parseRecord, parseRecordHead, parseRecordLabel } from './record.ts';
import type { ArchiveRecord } from './record.ts';

describe('headers', () => {
  it('are found by name whatever their case, the first of several', () => {
    const headers = [
      ['X-Signature', 'one'],
      ['x-signature', 'two'],
      ['X-Signature-Too', 'three'],
    ] as const;
    expect(findHeader(headers, 'x-signature')).toBe('one');
    expect(findHeader(headers, 'x-sign')).toBeUndefined();
    expect(findHeader([], 'x-signature')).toBeUndefined();
  });
});

describe('ids', () => {
  const kinds = Object.keys(ID_PREFIX) as (keyof IdOf)[];
  it('of one kind are never ids of another', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.constantFrom(...kinds),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (made, read, bytes) => {
          const id: string = formatId(made, bytes);
          if (made === read) expect(parseId(read, id)).toBe(id);
          else expect(() => parseId(read, id)).toThrow(expect.objectContaining({ code: 'bad-input' }));
        },
      ),
      { seed: 41, numRuns: 200 },
    );
  });
  it('are made of the bytes of a view, not of the memory behind it', () => {
    const memory = new Uint8Array(64).fill(7);
    expect(formatId('message', memory.subarray(20, 36))).toBe(`msg_${'07'.repeat(16)}`);
  });
});

describe('record bytes', () => {
  it('of any JSON come back the same, with and without what arrived', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ stringUnit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.constantFrom('utf8', 'base64'),
        fc.boolean(),
        (extra, body, encoding, hasRaw) => {
          const raw = { transport: 'webhook', method: 'POST', url: body, headers: [[body, body]], body, encoding };
          const head = { v: 1, record: 'rec_0', event: { kind: 'unknown', name: body, extra } };
          const bytes = formatRecord({ ...head, ...(hasRaw ? { raw } : {}) } as unknown as ArchiveRecord);
          const inMemory = Buffer.concat([Buffer.from('{"'), bytes, Buffer.from('"}')]).subarray(2, 2 + bytes.length);
          expect(JSON.stringify(parseRecordHead(inMemory))).toBe(JSON.stringify(head));
          expect(Buffer.from(formatRecord(parseRecord(inMemory)))).toEqual(Buffer.from(bytes));
        },
      ),
      { seed: 42, numRuns: 400 },
    );
  });
});

describe('what a record says of itself before its content', () => {
  const archive = formatId('archive', new Uint8Array(16).fill(1));
  const record = formatId('record', new Uint8Array(16).fill(2));
  const message = formatId('message', new Uint8Array(16).fill(3));
  it('is read from its beginning as from the whole', () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            conversation: fc.string({ unit: 'binary' }),
            source: fc.string({ unit: 'binary' }),
            connector: fc.record({ name: fc.string({ unit: 'binary' }), version: fc.nat() }),
            actor: fc.string({ unit: 'binary' }),
          },
          { requiredKeys: [] },
        ),
        fc.integer({ min: -1e12, max: 2e14 }),
        fc.constantFrom('message.created', 'media.stored', 'audit'),
        fc.string({ unit: 'binary' }),
        (head, ms, kind, text) => {
          const capturedAt = { ms, precision: 'ms', zone: 'utc', origin: 'receipt' };
          const whole = { v: 1, archive, record, message, ...head, capturedAt, event: { kind, text } };
          const bytes = formatRecord(whole as unknown as ArchiveRecord);
          expect(parseRecordLabel(bytes)).toEqual({ archive, record, message, capturedAtMs: ms, kind });
        },
      ),
      { seed: 43, numRuns: 400 },
    );
  });
  it('cannot be forged by a text that looks like a beginning', () => {
    const forged = `","capturedAt":{"ms":1,"x":1},"event":{"kind":"audit"`;
    const bytes = formatRecord({
      v: 1,
      archive,
      record,
      message,
      actor: forged,
      capturedAt: { ms: 5, precision: 'ms', zone: 'utc', origin: 'receipt' },
      event: { kind: 'message.created' },
    } as unknown as ArchiveRecord);
    expect(parseRecordLabel(bytes)).toMatchObject({ capturedAtMs: 5, kind: 'message.created' });
  });
});
