import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Event, EventBody, MessageContent } from './event.ts';
import { foldMessage } from './fold.ts';
import type { ArchiveRecord, LoggedRecord } from './record.ts';
import { receiptInstant } from './time.ts';

const CONTENT: MessageContent = {
  channel: 'whatsapp',
  direction: 'outbound',
  directionBasis: 'provider',
  from: { kind: 'shop', address: { scheme: 'e164', value: '+15550100100' } },
  to: [{ kind: 'customer', role: 'to', address: { scheme: 'e164', value: '+15550100123' } }],
  thread: ['a', 'b'],
  threadKind: 'direct',
  body: { text: 'first', format: 'plain' },
  parts: [{ kind: 'media', index: 0, url: 'https://example.com/a' }],
  contentState: 'present',
  origin: 'provider-api',
};
const BY = { kind: 'customer', address: { scheme: 'e164', value: '+15550100123' } } as const;

function logged(seq: number, atMs: number, body: EventBody, capturedMs = atMs): LoggedRecord {
  const event = {
    target: { platform: 'p', account: 'a', id: 'm' },
    occurredAt: receiptInstant(atMs),
    ...body,
  } as Event;
  const record = {
    v: 1,
    archive: 'arc_0',
    record: `rec_${seq}`,
    message: 'msg_0',
    capturedAt: receiptInstant(capturedMs),
    event,
  } as unknown as ArchiveRecord;
  return { seq, record };
}

const status = (state: 'sent' | 'delivered' | 'read' | 'failed'): EventBody => ({
  kind: 'message.status',
  state,
  rawState: state,
});
const edited = (text: string): EventBody => ({ kind: 'message.edited', body: { text, format: 'plain' } });

describe('a message', () => {
  it('is undefined where nothing of it counts', () => {
    expect(foldMessage([])).toBeUndefined();
    expect(
      foldMessage([logged(0, 100, { kind: 'message.created', content: CONTENT })], { knownAtMs: 99 }),
    ).toBeUndefined();
  });

  it('takes price and segments from whichever report came with them, the newest of each', () => {
    const content = { ...CONTENT, sms: { segments: 1 } };
    const report = (price: string): EventBody => ({
      kind: 'message.status',
      state: 'delivered',
      rawState: 'delivered',
      sms: { price: { amount: price, currency: 'USD' } },
    });
    const records = [
      logged(0, 100, { kind: 'message.created', content }),
      logged(1, 300, report('-0.0080')),
      logged(2, 200, report('-0.0075')),
      logged(3, 400, status('read')),
    ];
    const sms = { segments: 1, price: { amount: '-0.0080', currency: 'USD' } };
    expect(foldMessage(records)?.content?.sms).toEqual(sms);
    expect(foldMessage(records.slice(0, 1))?.content?.sms).toEqual({ segments: 1 });
    expect(foldMessage(records.slice(1))?.content).toBeUndefined();
  });

  it('keeps every revision, in the order in which they were made, not in which they came', () => {
    const message = foldMessage([
      logged(0, 100, { kind: 'message.created', content: CONTENT }),
      logged(1, 300, edited('third')),
      logged(2, 200, edited('second')),
    ]);
    expect(message?.body?.text).toBe('third');
    expect(message?.revisions.map((revision) => revision.body?.text)).toEqual(['first', 'second', 'third']);
  });

  it('keeps its text when it is deleted, and says who deleted it', () => {
    const message = foldMessage([
      logged(0, 100, { kind: 'message.created', content: CONTENT }),
      logged(1, 200, { kind: 'message.deleted', by: 'sender', scope: 'everyone' }),
      logged(2, 300, { kind: 'message.deleted', by: 'admin', scope: 'everyone' }),
    ]);
    expect(message?.body?.text).toBe('first');
    expect(message?.deletion).toMatchObject({ seq: 1, by: 'sender' });
  });

  it('takes the furthest state, and tells of a failure beside a delivery', () => {
    const created = logged(0, 100, { kind: 'message.created', content: CONTENT });
    expect(
      foldMessage([created, logged(1, 200, status('delivered')), logged(2, 300, status('sent'))])?.delivery,
    ).toMatchObject({ state: 'delivered', conflict: false });
    expect(
      foldMessage([created, logged(1, 200, status('delivered')), logged(2, 300, status('failed'))])?.delivery,
    ).toMatchObject({ state: 'delivered', conflict: true });
    expect(
      foldMessage([created, logged(1, 200, status('sent')), logged(2, 300, status('failed'))])?.delivery,
    ).toMatchObject({ state: 'failed', conflict: false });
  });

  it('says honestly that its content was not captured, until it is', () => {
    const { channel, direction, from, to, thread, threadKind } = CONTENT;
    const report = logged(0, 100, {
      kind: 'message.status',
      state: 'sent',
      rawState: 'sent',
      shell: { channel, direction, from, to, thread, threadKind },
    });
    const gap = logged(1, 200, { kind: 'gap.opened', reason: 'content-not-given', asked: ['twilio'] });
    expect(foldMessage([report, gap])).toMatchObject({
      contentState: 'not-captured',
      gaps: ['content-not-given'],
      content: { channel: 'whatsapp', origin: 'unknown' },
    });
    const late = logged(2, 300, { kind: 'message.created', content: CONTENT });
    expect(foldMessage([report, gap, late])).toMatchObject({
      contentState: 'present',
      gaps: [],
      body: { text: 'first' },
    });
  });

  it('prefers a report with content to one without, whichever came first', () => {
    const empty = logged(0, 100, {
      kind: 'message.created',
      content: { ...CONTENT, body: { text: '', format: 'plain' }, contentState: 'missing-provider' },
    });
    const full = logged(1, 200, { kind: 'message.created', content: CONTENT });
    expect(foldMessage([empty, full])?.body?.text).toBe('first');
  });

  it('knows of each medium whether it is here', () => {
    const created = logged(0, 100, { kind: 'message.created', content: CONTENT });
    expect(foldMessage([created])?.media).toEqual({ 0: { state: 'pending' } });
    const stored = logged(1, 200, {
      kind: 'media.stored',
      part: 0,
      media: { blob: 'b', blobBytes: 1, bytes: 1, sha256: 's' },
    });
    const lost = logged(2, 300, { kind: 'media.lost', part: 0, reason: 'media-expired', attempts: 3 });
    expect(foldMessage([created, lost])?.media[0]).toEqual({ state: 'lost', reason: 'media-expired' });
    expect(foldMessage([created, stored, lost])?.media[0]?.state).toBe('stored');
  });

  it('keeps reactions that were taken back', () => {
    const message = foldMessage([
      logged(0, 100, { kind: 'message.created', content: CONTENT }),
      logged(1, 300, { kind: 'reaction.removed', emoji: '👍', by: BY }),
      logged(2, 200, { kind: 'reaction.added', emoji: '👍', by: BY }),
    ]);
    expect(message?.reactions).toEqual([
      { emoji: '👍', by: BY, at: receiptInstant(200), removedAt: receiptInstant(300) },
    ]);
  });

  it('is a type of opt-out where the customer opted out', () => {
    const body: EventBody = { kind: 'consent.changed', party: BY, endpoint: BY.address, change: 'opt-out' };
    expect(
      foldMessage([logged(0, 1, { kind: 'message.created', content: CONTENT }), logged(1, 1, body)])?.types,
    ).toEqual(['optout.request']);
  });

  it('can be seen as it was known, and as it was, at any instant', () => {
    const records = [
      logged(0, 100, { kind: 'message.created', content: CONTENT }, 100),
      logged(1, 150, edited('later'), 900),
    ];
    expect(foldMessage(records, { knownAtMs: 500 })?.body?.text).toBe('first');
    expect(foldMessage(records, { occurredAtMs: 500 })?.body?.text).toBe('later');
    expect(foldMessage(records, { occurredAtMs: 120 })?.body?.text).toBe('first');
  });

  it('depends only on the set of its records, not on order or repetition', () => {
    const bodies: readonly EventBody[] = [
      { kind: 'message.created', content: CONTENT },
      { kind: 'message.created', content: { ...CONTENT, contentState: 'missing-provider' } },
      edited('a'),
      edited('b'),
      status('sent'),
      status('delivered'),
      status('failed'),
      status('read'),
      { kind: 'message.deleted', by: 'sender', scope: 'everyone' },
      { kind: 'message.redacted', by: 'provider', contentState: 'redacted-provider' },
      { kind: 'reaction.added', emoji: '❤️', by: BY },
      { kind: 'reaction.removed', emoji: '❤️', by: BY },
      { kind: 'media.lost', part: 0, reason: 'media-expired', attempts: 1 },
      { kind: 'media.stored', part: 0, media: { blob: 'b', blobBytes: 1, bytes: 1, sha256: 's' } },
      { kind: 'gap.opened', reason: 'media-expired', asked: [] },
      { kind: 'gap.closed', reason: 'media-expired' },
      { kind: 'unknown', name: 'typing' },
    ];
    const records = fc.array(fc.record({ body: fc.constantFrom(...bodies), at: fc.integer({ min: 0, max: 5 }) }), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(records, fc.infiniteStream(fc.nat()), (drawn, order) => {
        const list = drawn.map(({ body, at }, seq) => logged(seq, at, body));
        const keys = new Map(list.map((record) => [record, order.next().value as number]));
        const shuffled = [...list, ...list.slice(0, 3)].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
        expect(foldMessage(shuffled)).toEqual(foldMessage(list));
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});
