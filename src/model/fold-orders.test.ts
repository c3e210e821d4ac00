/** The fold where events come late, twice, in the wrong order, or speak of several people. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { PartyRef } from './address.ts';
import { DELIVERY_STATES } from './delivery.ts';
import type { Event, EventBody, EventKind, MessageContent } from './event.ts';
import { foldMessage } from './fold.ts';
import type { Message } from './fold.ts';
import type { ArchiveRecord, LoggedRecord } from './record.ts';
import { receiptInstant } from './time.ts';

const SHOP: PartyRef = { kind: 'shop', address: { scheme: 'e164', value: '+15550100100' } };
const ANN: PartyRef = { kind: 'customer', address: { scheme: 'e164', value: '+15550100123' } };
const BOB: PartyRef = { kind: 'customer', address: { scheme: 'e164', value: '+15550100124' } };

const CONTENT: MessageContent = {
  channel: 'mms',
  direction: 'outbound',
  directionBasis: 'provider',
  from: SHOP,
  to: [
    { ...ANN, role: 'group' },
    { ...BOB, role: 'group' },
  ],
  thread: ['t'],
  threadKind: 'group',
  body: { text: 'first', format: 'plain' },
  parts: [
    { kind: 'media', index: 0 },
    { kind: 'media', index: 1 },
  ],
  contentState: 'present',
  origin: 'provider-api',
  types: ['marketing.message'],
};

function logged(seq: number, atMs: number, body: EventBody, capturedMs = atMs): LoggedRecord {
  const target = { platform: 'p', account: 'a', id: 'm' };
  const event = { target, occurredAt: receiptInstant(atMs), ...body } as Event;
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

function fold(...records: LoggedRecord[]): Message {
  const message = foldMessage(records);
  if (message === undefined) throw new Error('nothing counted');
  return message;
}

const CREATED: EventBody = { kind: 'message.created', content: CONTENT };
const created = logged(0, 100, CREATED);
const status = (state: (typeof DELIVERY_STATES)[number], recipient?: PartyRef): EventBody => ({
  kind: 'message.status',
  state,
  rawState: state,
  ...(recipient === undefined ? {} : { recipient: recipient.address }),
});
const edited = (text: string): EventBody => ({ kind: 'message.edited', body: { text, format: 'plain' } });
const reaction = (kind: 'reaction.added' | 'reaction.removed', emoji: string, by: PartyRef = ANN): EventBody => ({
  kind,
  emoji,
  by,
});
const stored = (part: number): EventBody => ({
  kind: 'media.stored',
  part,
  media: { blob: 'b', blobBytes: 1, bytes: 1, sha256: 's' },
});
const lost = (part: number): EventBody => ({ kind: 'media.lost', part, reason: 'media-expired', attempts: 1 });
const gap = (kind: 'gap.opened' | 'gap.closed', reason: 'media-expired' | 'platform-outage'): EventBody =>
  kind === 'gap.opened' ? { kind, reason, asked: [] } : { kind, reason };

describe('delivery to several people', () => {
  it('is no conflict where it failed for one and reached another', () => {
    const message = fold(created, logged(1, 200, status('delivered', ANN)), logged(2, 300, status('failed', BOB)));
    expect(message.delivery).toMatchObject({ state: 'delivered', conflict: false });
    expect(message.delivery.reports.map((report) => report.recipient)).toEqual(['+15550100123', '+15550100124']);
  });
  it('is a conflict where reports about the same person contradict each other, or one names nobody', () => {
    const delivered = logged(1, 200, status('delivered', ANN));
    expect(fold(created, delivered, logged(2, 300, status('failed', ANN))).delivery.conflict).toBe(true);
    expect(fold(created, delivered, logged(2, 300, status('failed'))).delivery.conflict).toBe(true);
    expect(fold(created, logged(1, 300, status('expired')), logged(2, 200, status('read'))).delivery.conflict).toBe(
      true,
    );
  });
  it('keeps what the report says of the failure', () => {
    const failure = { ...status('undelivered'), errorCode: '30006', errorText: 'Landline' } as EventBody;
    expect(fold(created, logged(1, 200, failure)).delivery.reports).toEqual([
      {
        seq: 1,
        at: receiptInstant(200),
        state: 'undelivered',
        rawState: 'undelivered',
        errorCode: '30006',
        errorText: 'Landline',
      },
    ]);
  });
});

describe('an inbound text', () => {
  it('was received, unless somebody says more', () => {
    const inbound = logged(0, 100, { kind: 'message.created', content: { ...CONTENT, direction: 'inbound' } });
    expect(fold(inbound).delivery).toEqual({ state: 'received', conflict: false, reports: [] });
    expect(fold(inbound, logged(1, 200, status('read'))).delivery.state).toBe('read');
    expect(fold(created).delivery).toEqual({ conflict: false, reports: [] });
  });
});

describe('edits and deletions', () => {
  it('an edit of the text keeps the parts, an edit of the parts keeps the text, and who edited is known', () => {
    const message = fold(
      created,
      logged(1, 200, { ...edited('second'), editedBy: SHOP } as EventBody),
      logged(2, 300, { kind: 'message.edited', parts: [] }),
    );
    expect(message).toMatchObject({ body: { text: 'second' }, parts: [] });
    expect(message.revisions.map(({ parts, editedBy }) => [parts.length, editedBy])).toEqual([
      [2, undefined],
      [2, SHOP],
      [0, undefined],
    ]);
  });
  it('edits of the same instant stand in the order of the log', () => {
    expect(fold(created, logged(5, 200, edited('b')), logged(4, 200, edited('a'))).body?.text).toBe('b');
  });
  it('an edit that came before its message is no first version', () => {
    const message = fold(logged(0, 300, edited('second')), logged(1, 100, CREATED));
    expect(message.revisions.map((revision) => [revision.seq, revision.body?.text])).toEqual([
      [1, 'first'],
      [0, 'second'],
    ]);
    expect(message.capturedAt.ms).toBe(300);
  });
  it('an edit of what was never seen is shown, and the content is still said to be missing', () => {
    const message = fold(logged(0, 300, edited('second')));
    expect(message).toMatchObject({ contentState: 'not-captured', body: { text: 'second' }, parts: [] });
    expect(message.content).toBeUndefined();
    expect(fold(logged(0, 300, { kind: 'message.edited' })).body).toBeUndefined();
  });
  it('revisions outlive the deletion', () => {
    const gone: EventBody = { kind: 'message.deleted', by: 'provider', scope: 'everyone' };
    const message = fold(logged(0, 400, gone), logged(1, 100, CREATED), logged(2, 200, edited('second')));
    expect(message.revisions).toHaveLength(2);
    expect(message.deletion).toEqual({ seq: 0, at: receiptInstant(400), by: 'provider', scope: 'everyone' });
  });
  it('what the platform took away is said to be taken away only where we never had it', () => {
    const redacted: EventBody = { kind: 'message.redacted', by: 'provider', contentState: 'redacted-provider' };
    expect(fold(created, logged(1, 200, redacted)).contentState).toBe('present');
    const { body: _body, ...bare } = CONTENT;
    const empty = logged(0, 100, { kind: 'message.created', content: { ...bare, contentState: 'missing-provider' } });
    expect(fold(empty, logged(1, 200, redacted)).contentState).toBe('redacted-provider');
  });
});

describe('reactions', () => {
  it('may be taken back and given again', () => {
    const message = fold(
      created,
      logged(1, 400, reaction('reaction.added', '👍')),
      logged(2, 200, reaction('reaction.added', '👍')),
      logged(3, 300, reaction('reaction.removed', '👍')),
    );
    expect(message.reactions).toEqual([{ emoji: '👍', by: ANN, at: receiptInstant(400) }]);
  });
  it('that were taken back before anybody saw them given have the time of their end', () => {
    expect(fold(created, logged(1, 300, reaction('reaction.removed', '👍'))).reactions).toEqual([
      { emoji: '👍', by: ANN, at: receiptInstant(300), removedAt: receiptInstant(300) },
    ]);
  });
  it('of different people, of different pages and of different kinds never fall together', () => {
    const by = (value: string, scope?: string): PartyRef => ({
      kind: 'customer',
      address: { scheme: 'psid', value, ...(scope === undefined ? {} : { scope }) },
    });
    const message = fold(
      created,
      logged(1, 1, reaction('reaction.added', 'x', by('1', 'page a'))),
      logged(2, 2, reaction('reaction.added', 'x', by('1', 'page b'))),
      logged(3, 3, reaction('reaction.added', 'c', by('a|b'))),
      logged(4, 4, reaction('reaction.added', 'b|c', by('a'))),
    );
    expect(message.reactions).toHaveLength(4);
  });
});

describe('media and gaps', () => {
  it('a gap that a lost medium opened closes when the last lost medium is here after all', () => {
    const opened = [
      logged(1, 200, lost(0)),
      logged(2, 200, lost(1)),
      logged(3, 200, gap('gap.opened', 'media-expired')),
    ];
    expect(fold(created, ...opened).gaps).toEqual(['media-expired']);
    expect(fold(created, ...opened, logged(4, 300, stored(0))).gaps).toEqual(['media-expired']);
    expect(fold(created, ...opened, logged(4, 300, stored(0)), logged(5, 300, stored(1))).gaps).toEqual([]);
  });
  it('a gap closes, and may open again, in the order in which it happened', () => {
    const events = [
      logged(1, 200, gap('gap.opened', 'platform-outage')),
      logged(2, 300, gap('gap.closed', 'platform-outage')),
    ];
    expect(fold(created, ...events).gaps).toEqual([]);
    expect(fold(created, ...events, logged(3, 400, gap('gap.opened', 'platform-outage'))).gaps).toEqual([
      'platform-outage',
    ]);
    expect(fold(created, ...events, logged(3, 200, gap('gap.opened', 'platform-outage'))).gaps).toEqual([]);
  });
  it('media are waited for, lost or stored, part by part', () => {
    const message = fold(created, logged(1, 200, lost(1)), logged(2, 200, stored(3)));
    expect(Object.entries(message.media).map(([part, { state }]) => `${part} ${state}`)).toEqual([
      '0 pending',
      '1 lost',
      '3 stored',
    ]);
  });
});

describe('reports before content', () => {
  const shell = (({ channel, direction, from, to, thread, threadKind }) => ({
    channel,
    direction,
    from,
    to,
    thread,
    threadKind,
  }))(CONTENT);
  it('name the ends; the content, when it comes, says all', () => {
    const early = logged(0, 500, { ...status('sent'), shell } as EventBody);
    const bare = logged(1, 600, status('delivered'));
    expect(fold(early, bare).content).toEqual({ ...shell, directionBasis: 'provider', origin: 'unknown' });
    const whole = fold(early, bare, logged(2, 100, CREATED));
    expect(whole).toMatchObject({ contentState: 'present', body: { text: 'first' }, delivery: { state: 'delivered' } });
    expect(whole.content?.origin).toBe('provider-api');
    expect(whole.records.map(({ seq, kind }) => [seq, kind])).toEqual([
      [0, 'message.status'],
      [1, 'message.status'],
      [2, 'message.created'],
    ]);
  });
  it('have no ends where none names them', () => {
    expect(fold(logged(0, 1, status('sent'))).content).toBeUndefined();
  });
});

/** One of every kind; the type holds the list to be complete. */
const KINDS: Record<EventKind, EventBody> = {
  'message.created': CREATED,
  'message.edited': edited('x'),
  'message.deleted': { kind: 'message.deleted', by: 'unknown', scope: 'self' },
  'message.redacted': { kind: 'message.redacted', by: 'policy', contentState: 'discarded-policy' },
  'message.status': status('failed', ANN),
  'reaction.added': reaction('reaction.added', 'x'),
  'reaction.removed': reaction('reaction.removed', 'x'),
  'media.stored': stored(0),
  'media.lost': lost(0),
  'consent.changed': { kind: 'consent.changed', party: ANN, endpoint: SHOP.address, change: 'opt-in' },
  'participant.joined': { kind: 'participant.joined', party: ANN, thread: ['t'] },
  'participant.left': { kind: 'participant.left', party: ANN, thread: ['t'] },
  'conversation.updated': { kind: 'conversation.updated', thread: ['t'], title: 'x' },
  'order.updated': { kind: 'order.updated', system: 's', order: '1' },
  'gap.opened': gap('gap.opened', 'media-expired'),
  'gap.closed': gap('gap.closed', 'media-expired'),
  quarantine: { kind: 'quarantine', reason: 'x' },
  unknown: { kind: 'unknown', name: 'x' },
  audit: { kind: 'audit', act: { action: 'x', outcome: 'allowed', detail: {} } },
  'key.destroyed': { kind: 'key.destroyed', subject: 'msg_1', reason: 'x' },
  'settings.changed': { kind: 'settings.changed', name: 'x', value: {} },
  'log.succeeded': { kind: 'log.succeeded', origin: 'x', size: 1, root: 'x' },
};

describe('every kind of event', () => {
  it('is folded, alone and with others, whatever the order and however often it comes', () => {
    const body = fc.oneof(
      fc.constantFrom(...Object.values(KINDS)),
      fc.constantFrom(stored(1), lost(1), gap('gap.opened', 'platform-outage'), gap('gap.closed', 'platform-outage')),
      fc
        .tuple(fc.constantFrom(...DELIVERY_STATES), fc.constantFrom(ANN, BOB, undefined))
        .map(([s, by]) => status(s, by)),
    );
    const drawn = fc.array(fc.record({ body, at: fc.nat(4), captured: fc.nat(4) }), { minLength: 1, maxLength: 14 });
    const until = fc.record({ knownAtMs: fc.nat(4), occurredAtMs: fc.nat(4) }, { requiredKeys: [] });
    fc.assert(
      fc.property(drawn, until, fc.infiniteStream(fc.nat(1000)), (events, limit, order) => {
        const list = events.map((one, seq) => logged(seq, one.at, one.body, one.captured));
        const shuffled = [...list, ...list]
          .map((record) => ({ record, key: order.next().value ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ record }) => record);
        const message = foldMessage(list, limit);
        expect(foldMessage(shuffled, limit)).toEqual(message);
        // What is seen at an instant is what would be seen if nothing more had ever come.
        const counted = list.filter(
          ({ record }) =>
            record.capturedAt.ms <= (limit.knownAtMs ?? 9) && record.event.occurredAt.ms <= (limit.occurredAtMs ?? 9),
        );
        expect(foldMessage(counted)).toEqual(message);
        expect(message?.records ?? []).toHaveLength(counted.length);
      }),
      { seed: 31, numRuns: 600 },
    );
  });
  it('that nobody knows stops the fold rather than being passed over', () => {
    expect(() => fold(logged(0, 1, { kind: 'nonsense' } as unknown as EventBody))).toThrow(
      expect.objectContaining({ code: 'internal' }),
    );
  });
  it('gives a message its types: what the platform states, and the opt-out', () => {
    const out: EventBody = { kind: 'consent.changed', party: ANN, endpoint: SHOP.address, change: 'opt-out' };
    expect(fold(created, logged(1, 1, out), logged(2, 1, out), logged(3, 1, KINDS['consent.changed'])).types).toEqual([
      'marketing.message',
      'optout.request',
    ]);
  });
});
