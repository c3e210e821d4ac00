import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import type { Envelope, EnvelopePart, SourceView } from '../../model/envelope.ts';
import type { Event, EventOf } from '../../model/event.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { verifySignature } from '../signatures.ts';
import { importedEvent } from '../imports/event-schema.ts';
import { findConnector } from './list.ts';
import {
  isStandardEventType,
  STANDARD_EVENT_DATA,
  STANDARD_EVENTS_MAX,
  standardEventsJsonSchema,
} from './standard-webhooks-schema.ts';
import { readStandardEvents, STANDARD_WEBHOOKS } from './standard-webhooks.ts';

const source: SourceView = { platform: 'standard-webhooks', settings: {} };
const RECEIVED = Date.parse('2026-11-22T12:00:05Z');
const AT = '2026-11-22T12:00:00Z';

function envelope(body: string | Uint8Array, headers: Envelope['headers'] = []): Envelope {
  return {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/src_1',
    headers,
    body: typeof body === 'string' ? Buffer.from(body) : body,
    receivedAtMs: RECEIVED,
  };
}

function parts(value: unknown, headers: Envelope['headers'] = []): readonly EnvelopePart[] {
  return STANDARD_WEBHOOKS.read(envelope(JSON.stringify(value), headers), source);
}

function one(type: string, data: object, more: object = {}): Event {
  const [part] = parts({ type, timestamp: AT, data, ...more });
  const [event] = part?.events ?? [];
  if (event === undefined || part?.body !== undefined) throw new Error('no single event');
  return event;
}

function created(data: object): EventOf<'message.created'> {
  const event = one('message.created', { ...MESSAGE, ...data });
  if (event.kind !== 'message.created') throw new Error(event.kind);
  return event;
}

const MESSAGE = {
  id: 'm1',
  channel: 'sms',
  direction: 'inbound',
  from: '+14155550100',
  to: ['+14155550101'],
  text: ' Hello \u{1F600} ',
};

describe('message.created', () => {
  it('the least that a message needs', () => {
    expect(created({})).toEqual({
      kind: 'message.created',
      target: { platform: 'standard-webhooks', account: 'default', id: 'm1' },
      occurredAt: { ms: Date.parse(AT), precision: 's', zone: 'utc', origin: 'provider' },
      dedupe: 'created|m1',
      content: {
        channel: 'sms',
        direction: 'inbound',
        directionBasis: 'provider',
        from: { kind: 'customer', address: { scheme: 'e164', value: '+14155550100' } },
        to: [{ kind: 'shop', role: 'to', address: { scheme: 'e164', value: '+14155550101' } }],
        thread: ['sms', 'e164||+14155550101', 'e164||+14155550100'],
        threadKind: 'direct',
        sentAt: { ms: Date.parse(AT), precision: 's', zone: 'utc', origin: 'provider' },
        body: { text: ' Hello \u{1F600} ', format: 'plain' },
        parts: [],
        contentState: 'present',
        origin: 'unknown',
      },
    });
  });

  it('everything that a message can have', () => {
    const event = created({
      account: 'shop-7',
      conversation: 'c9',
      channel: 'helpdesk',
      direction: 'outbound',
      from: { address: { scheme: 'handle', value: 'agent-7', scope: 'desk' }, kind: 'agent', name: 'Kim' },
      to: [{ address: 'Anna@Example.com', name: 'Anna', also: ['+14155550100'] }, 'ben@example.com'],
      thread: 'ticket-4',
      threadKind: 'ticket',
      threadTitle: 'Where is it?',
      sentAt: '2026-11-22T13:59:00.250+02:00',
      times: { openedAt: '2026-11-22T12:00:30Z' },
      format: 'html',
      subject: 'Re: order',
      language: 'en',
      parts: [{ kind: 'location', latitude: 1, longitude: 2, color: 'red' }],
      origin: 'agent-console',
      actor: { type: 'agent', id: '7', name: 'Kim', mood: 'good' },
      replyTo: 'm0',
      threadRoot: 'm-1',
      quotedText: 'Hello?',
      forwarded: false,
      segments: 2,
      price: { amount: '0.01', currency: 'USD' },
      campaignId: 'spring',
      clientRef: 'r1',
      tags: ['a'],
      orders: [{ system: 'shopify', id: '1001' }],
      optOut: 'STOP',
      types: ['order.transactional'],
      brand: 'North',
      aliases: [{ system: 'twilio', id: 'SM1' }],
      mood: 'sunny',
    });
    expect(event.target).toEqual({ platform: 'standard-webhooks', account: 'shop-7', conversation: 'c9', id: 'm1' });
    expect(event.occurredAt).toEqual({
      ms: Date.parse('2026-11-22T11:59:00.250Z'),
      precision: 'ms',
      zone: 'offset',
      origin: 'provider',
    });
    expect(event.extra).toEqual({ mood: 'sunny' });
    expect(event.content).toMatchObject({
      from: { kind: 'agent', name: 'Kim', address: { scheme: 'handle', value: 'agent-7', scope: 'desk' } },
      to: [
        {
          role: 'group',
          kind: 'customer',
          name: 'Anna',
          address: { scheme: 'email', value: 'anna@example.com', raw: 'Anna@Example.com' },
          also: [{ scheme: 'e164', value: '+14155550100' }],
        },
        { address: { scheme: 'email', value: 'ben@example.com' } },
      ],
      thread: ['ticket-4'],
      threadKind: 'ticket',
      times: { openedAt: { ms: Date.parse('2026-11-22T12:00:30Z') } },
      body: { format: 'html', subject: 'Re: order', language: 'en' },
      relations: {
        replyTo: { conversation: 'c9', id: 'm0' },
        threadRoot: { id: 'm-1' },
        quotedText: 'Hello?',
        forwarded: false,
      },
      sms: { segments: 2, price: { amount: '0.01', currency: 'USD' } },
      business: {
        campaignId: 'spring',
        tags: ['a'],
        orders: [{ system: 'shopify', id: '1001', method: 'explicit' }],
        optOut: 'STOP',
      },
      types: ['order.transactional', 'optout.request'],
      brand: 'North',
      aliases: [{ system: 'twilio', id: 'SM1' }],
    });
    // Deeper fields that nobody knows stay in the raw slice: records hold only what the model names.
    expect(event.content.parts).toEqual([{ kind: 'location', latitude: 1, longitude: 2 }]);
    expect(event.content.actor).toEqual({ type: 'agent', id: '7', name: 'Kim' });
  });

  it('what carriers, phones and chat platforms say has its place, and comes back from a file', () => {
    const event = created({
      format: 'entities',
      entities: [{ type: 'link', offset: 0, length: 5, url: 'https://shop.example/1' }],
      media: [{ url: 'https://cdn.example/a.mp4', durationMs: 1200, width: 640, height: 480 }],
      parts: [{ kind: 'template', name: 'shipped', id: 't1', params: ['1001'] }],
      replaces: 'm0',
      forwardedManyTimes: true,
      forwardedFrom: { address: '+14155550199', name: 'Ben' },
      partOf: { ref: '42', total: 2, seq: 1 },
      encoding: 'UCS-2',
      dataCoding: 8,
      udh: '0500032a0201',
      carrier: 'A Carrier',
      mcc: '310',
      mnc: '090',
      tcrCampaignId: 'C1',
      validUntil: '2026-11-23T12:00:00Z',
      flowId: 'f1',
      messagingServiceId: 'MG1',
    });
    expect(event.extra).toBeUndefined();
    expect(event.content).toMatchObject({
      body: { format: 'entities', entities: [{ type: 'link', offset: 0, length: 5, url: 'https://shop.example/1' }] },
      parts: [
        { kind: 'media', durationMs: 1200, width: 640, height: 480 },
        { kind: 'template', name: 'shipped', id: 't1', params: ['1001'] },
      ],
      relations: {
        replaces: { id: 'm0' },
        forwardedManyTimes: true,
        forwardedFrom: { name: 'Ben', address: { scheme: 'e164', value: '+14155550199' } },
        partOf: { ref: '42', total: 2, seq: 1 },
      },
      sms: {
        encoding: 'UCS-2',
        dataCoding: 8,
        udh: '0500032a0201',
        carrier: 'A Carrier',
        mcc: '310',
        mnc: '090',
        tcrCampaignId: 'C1',
        validUntil: { ms: Date.parse('2026-11-23T12:00:00Z') },
      },
      business: { flowId: 'f1', messagingServiceId: 'MG1' },
    });
    expect(importedEvent.parse(event)).toEqual(event);
  });

  it('media by URL, and inline as a data URL', () => {
    const base64 = Buffer.from('GIF89a').toString('base64');
    const event = created({
      media: [
        {
          url: 'https://cdn.example/a.png',
          mimeType: 'image/png',
          sha256: 'A'.repeat(64),
          bytes: 7,
          fileName: 'a.png',
          caption: 'c',
          role: 'image',
          id: 'x',
        },
        { base64, mimeType: 'image/gif' },
        { base64 },
        { id: 'known-elsewhere' },
      ],
    });
    expect(event.content.parts).toEqual([
      {
        kind: 'media',
        index: 0,
        providerMediaId: 'x',
        url: 'https://cdn.example/a.png',
        mimeDeclared: 'image/png',
        bytesDeclared: 7,
        sha256Declared: 'a'.repeat(64),
        fileName: 'a.png',
        caption: 'c',
        role: 'image',
      },
      { kind: 'media', index: 1, url: `data:image/gif;base64,${base64}`, mimeDeclared: 'image/gif' },
      { kind: 'media', index: 2, url: `data:application/octet-stream;base64,${base64}` },
      { kind: 'media', index: 3, providerMediaId: 'known-elsewhere' },
    ]);
  });

  it("numbers without a country are read with the source's region", () => {
    const body = JSON.stringify({
      type: 'message.created',
      timestamp: AT,
      data: { ...MESSAGE, from: '0151 23456789', to: ['12345'] },
    });
    const [part] = STANDARD_WEBHOOKS.read(envelope(body), { ...source, region: 'DE', account: 'a1' });
    expect(part?.events[0]).toMatchObject({
      target: { account: 'a1' },
      content: {
        from: { address: { scheme: 'e164', value: '+4915123456789', raw: '0151 23456789' } },
        to: [{ address: { scheme: 'short_code', value: '12345' } }],
      },
    });
  });

  it('one thread for both directions, and for SMS and MMS', () => {
    const inbound = created({}).content.thread;
    expect(
      created({ direction: 'outbound', from: '+14155550101', to: ['+14155550100'], channel: 'mms' }).content.thread,
    ).toEqual(inbound);
    expect(created({ channel: 'whatsapp' }).content.thread).not.toEqual(inbound);
  });

  it('a message without anything in it says so', () => {
    expect(created({ text: undefined }).content).toMatchObject({ contentState: 'missing-provider', parts: [] });
    expect(created({ text: '' }).content).toMatchObject({ contentState: 'present', body: { text: '' } });
  });
});

describe('other events', () => {
  const target = { platform: 'standard-webhooks', account: 'default', id: 'm1' };

  it('message.edited', () => {
    expect(
      one('message.edited', { id: 'm1', text: 'new', editedBy: '+14155550100', why: 'typo' }, { id: 'e7' }),
    ).toMatchObject({
      kind: 'message.edited',
      target,
      dedupe: 'edited|m1|e7',
      body: { text: 'new' },
      editedBy: { address: { value: '+14155550100' } },
      extra: { why: 'typo' },
    });
  });

  it('message.deleted', () => {
    expect(one('message.deleted', { id: 'm1', by: 'admin' })).toMatchObject({
      target,
      by: 'admin',
      scope: 'everyone',
      dedupe: 'deleted|m1',
    });
  });

  it('message.status, with and without what names the message', () => {
    const status = {
      id: 'm1',
      state: 'undelivered',
      recipient: '+14155550100',
      errorCode: '30006',
      errorText: 'landline',
    };
    const bare = one('message.status', status);
    expect(bare).toMatchObject({
      state: 'undelivered',
      rawState: 'undelivered',
      errorCode: '30006',
      dedupe: 'status|m1|undelivered|+14155550100|30006',
    });
    expect(bare).not.toHaveProperty('shell');
    expect(one('message.status', { ...status, ...MESSAGE, text: undefined })).toMatchObject({
      shell: { channel: 'sms', direction: 'inbound', thread: ['sms', 'e164||+14155550101', 'e164||+14155550100'] },
    });
  });

  it('a state may bring its price, and then is not the one that came without', () => {
    const state = (more: object): Event => one('message.status', { id: 'm1', state: 'delivered', ...more });
    const priced = state({ price: { amount: '0.02', currency: 'EUR' }, carrier: 'A Carrier' });
    expect(priced).toMatchObject({ sms: { price: { amount: '0.02', currency: 'EUR' }, carrier: 'A Carrier' } });
    expect(priced.extra).toBeUndefined();
    expect(priced.dedupe).not.toBe(state({}).dedupe);
    expect(importedEvent.parse(priced)).toEqual(priced);
  });

  it('reactions', () => {
    const reaction = { id: 'm1', emoji: '❤️', by: '+14155550100' };
    const added = one('reaction.added', reaction);
    expect(added).toMatchObject({ kind: 'reaction.added', target, emoji: '❤️', by: { kind: 'customer' } });
    expect(one('reaction.removed', reaction)).toMatchObject({ kind: 'reaction.removed', target });
    expect(one('reaction.removed', reaction).dedupe).not.toBe(added.dedupe);
  });

  it('consent.changed, by a message or by itself', () => {
    const consent = { party: '+14155550100', endpoint: '+14155550101', change: 'opt-out', words: 'no more' };
    expect(one('consent.changed', { ...consent, id: 'm1' })).toMatchObject({
      target,
      change: 'opt-out',
      words: 'no more',
      endpoint: { value: '+14155550101' },
    });
    expect(one('consent.changed', consent).target.id).toBe('consent|e164||+14155550100|e164||+14155550101');
  });

  it('participants and conversations', () => {
    expect(one('participant.joined', { thread: 't1', party: 'anna@example.com' })).toMatchObject({
      kind: 'participant.joined',
      target: { id: 'thread|t1' },
      thread: ['t1'],
      party: { address: { scheme: 'email' } },
    });
    expect(one('participant.left', { thread: 't1', party: 'anna@example.com' }).kind).toBe('participant.left');
    expect(one('conversation.updated', { thread: 't1', title: 'x', status: 'closed' })).toMatchObject({
      title: 'x',
      status: 'closed',
    });
  });

  it('a type that nobody knows is kept under its name', () => {
    const data = { id: 'm1', conversation: 'c1', anything: [1, { two: null }] };
    expect(one('loyalty.points.earned', data, { id: 'e1', tenant: 9 })).toMatchObject({
      kind: 'unknown',
      name: 'loyalty.points.earned',
      target: { ...target, conversation: 'c1' },
      dedupe: 'event|e1',
      extra: { ...data, event: { tenant: 9 } },
    });
    expect(one('x', {}).target.id).toBe(`x|${AT}`);
    const [part] = parts({ type: 'x', timestamp: AT, data: {} }, [['Webhook-Id', 'msg_1']]);
    expect(part?.events[0]).toMatchObject({ target: { id: 'msg_1' }, dedupe: 'event|msg_1' });
  });
});

describe('batches', () => {
  const event = (id: string, more: object = {}): object => ({
    type: 'message.created',
    timestamp: AT,
    data: { ...MESSAGE, id, ...more },
  });

  it('are cut by message, into the exact bytes of each event', () => {
    const elements = [
      JSON.stringify(event('m1', { text: 'for Anna' }), null, 1),
      JSON.stringify(event('m2', { text: 'for Ben' })),
    ];
    const whole = `{ "note":"x", "events" : [${elements.join(' ,\n ')}] }`;
    const read = STANDARD_WEBHOOKS.read(envelope(whole), source);
    expect(read.map((part) => Buffer.from(part.body ?? []).toString())).toEqual(elements);
    expect(read.map((part) => part.events[0]?.target.id)).toEqual(['m1', 'm2']);
  });

  it('about one message are kept whole', () => {
    const status = { type: 'message.status', timestamp: AT, data: { id: 'm1', state: 'delivered' } };
    const read = parts({ events: [event('m1'), status] });
    expect(read).toHaveLength(1);
    expect(read[0]?.body).toBeUndefined();
    expect(read[0]?.events).toHaveLength(2);
  });

  it('are bounded', () => {
    const many = Array.from({ length: STANDARD_EVENTS_MAX }, (_, index) => event(`m${index}`));
    expect(parts({ events: many })).toHaveLength(STANDARD_EVENTS_MAX);
    expect(() => parts({ events: [...many, event('x')] })).toThrow('more than 1000 events');
    expect(parts({ events: [] })).toEqual([]);
  });

  it('a webhook sets a bad event aside; a program with an API key is told', () => {
    const batch = { events: [event('m1'), event('m2', { channel: 'pigeon' }), event('m3')] };
    const read = parts(batch);
    expect(read.map((part) => part.events[0]?.kind)).toEqual(['message.created', 'quarantine', 'message.created']);
    const aside = read[1];
    expect(aside?.events[0]).toMatchObject({ reason: expect.stringContaining('event 1.data.channel') as string });
    expect(JSON.parse(Buffer.from(aside?.body ?? []).toString())).toEqual(batch.events[1]);
    expect(() => readStandardEvents(envelope(JSON.stringify(batch)), source)).toThrow('event 1.data.channel');
    // What was set aside reads by itself, as it will after the schema learnt it.
    const mended = Buffer.from(aside?.body ?? [])
      .toString()
      .replace('pigeon', 'sms');
    expect(STANDARD_WEBHOOKS.read(envelope(mended), source)[0]?.events[0]).toMatchObject({ target: { id: 'm2' } });
  });

  it('without a delivery id of their own', () => {
    const edit = (id: string): object => ({ type: 'message.edited', timestamp: AT, data: { id, text: 'x' } });
    const read = parts({ events: [edit('m1'), edit('m2')] }, [['webhook-id', 'msg_9']]);
    expect(read.map((part) => part.events[0]?.dedupe)).toEqual([
      `edited|m1|${Date.parse(AT)}`,
      `edited|m2|${Date.parse(AT)}`,
    ]);
  });
});

describe('what cannot be read', () => {
  it.each([
    ['', 'not JSON'],
    ['[]', 'the event'],
    ['null', 'the event'],
    ['{}', 'the event.type'],
    ['{"type":"message.created","data":{}}', 'the event.timestamp'],
    ['{"type":"message.created","timestamp":"yesterday","data":{}}', 'the event.timestamp'],
    ['{"type":"message.created","timestamp":"2026-11-22T12:00:00Z"}', 'the event.data'],
    ['{"type":"message.created","timestamp":"2026-11-22T12:00:00Z","data":{}}', 'the event.data.id'],
    ['{"type":"message.created","type":"x","timestamp":"2026-11-22T12:00:00Z","data":{}}', 'names a member twice'],
  ])('%s', (body, reason) => {
    expect(() => STANDARD_WEBHOOKS.read(envelope(body), source)).toThrow(UnreadableEnvelope);
    expect(() => STANDARD_WEBHOOKS.read(envelope(body), source)).toThrow(reason);
  });

  it('the reason names the field and quotes nothing', () => {
    const secret = '4111111111111111';
    for (const data of [
      { channel: secret },
      { from: { address: { scheme: secret, value: 'x' } } },
      { sentAt: secret },
      { media: [{ url: `ftp://${secret}` }] },
      { media: [{ url: 'https://a.example', base64: 'AAAA' }] },
      { media: [{ base64: `${secret}!` }] },
      { types: [secret] },
      { text: 7 },
    ]) {
      try {
        created(data);
        expect.unreachable(JSON.stringify(data));
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableEnvelope);
        expect(String(error)).toMatch(/the event\.data\.(channel|from|sentAt|media|types|text)/);
        expect(String((error as Error).stack)).not.toContain(secret);
        expect((error as Error).cause).toBeUndefined();
      }
    }
  });

  it('nothing else is thrown, on any bytes, and the same is said twice', () => {
    const type = fc.constantFrom(...Object.keys(STANDARD_EVENT_DATA), 'x', '__proto__', 'constructor');
    const name = fc.constantFrom(
      'id',
      'channel',
      'direction',
      'from',
      'to',
      'text',
      'media',
      'state',
      'emoji',
      'by',
      'party',
      'endpoint',
      'change',
      'thread',
      '__proto__',
      'parts',
    );
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<unknown>(
        'sms',
        'inbound',
        '+14155550100',
        ['+14155550101'],
        'delivered',
        'opt-out',
        'm1',
        [{ base64: 'AAAA' }],
        '@',
      ),
    );
    const data = fc.array(fc.tuple(name, value)).map((pairs) => Object.fromEntries(pairs));
    const event = fc.record({ type, timestamp: fc.constantFrom(AT, '2026', 7), data });
    const body = fc.oneof(
      fc.uint8Array(),
      fc.jsonValue().map((json) => Buffer.from(JSON.stringify(json))),
      event.map((json) => Buffer.from(JSON.stringify(json))),
      fc.array(event, { maxLength: 4 }).map((events) => Buffer.from(JSON.stringify({ events }))),
    );
    fc.assert(
      fc.property(body, (bytes) => {
        const outcome = (): unknown => {
          try {
            return STANDARD_WEBHOOKS.read(envelope(bytes), source);
          } catch (error) {
            expect(error).toBeInstanceOf(UnreadableEnvelope);
            return (error as UnreadableEnvelope).reason;
          }
        };
        expect(outcome()).toEqual(outcome());
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('the schema', () => {
  it('is published as JSON Schema that names every type', () => {
    const schema = standardEventsJsonSchema();
    expect(schema['$schema']).toBe('https://json-schema.org/draft/2020-12/schema');
    const text = JSON.stringify(schema);
    for (const type of Object.keys(STANDARD_EVENT_DATA)) expect(text).toContain(`"const":"${type}"`);
    // Unknown fields are welcome everywhere.
    expect(text).not.toContain('"additionalProperties":false');
  });

  it('knows its own types only', () => {
    expect(isStandardEventType('message.created')).toBe(true);
    expect(isStandardEventType('toString')).toBe(false);
    expect(isStandardEventType('__proto__')).toBe(false);
  });
});

describe('the connector', () => {
  it('takes what the official library signed', () => {
    const secret = `whsec_${Buffer.alloc(24, 3).toString('base64')}`;
    const body = JSON.stringify({ type: 'message.created', timestamp: AT, data: MESSAGE });
    const at = new Date(RECEIVED);
    const signed = envelope(body, [
      ['webhook-id', 'msg_1'],
      ['webhook-timestamp', String(Math.floor(RECEIVED / 1000))],
      ['webhook-signature', new Webhook(secret).sign('msg_1', at, body)],
    ]);
    expect(findConnector('standard-webhooks')).toBe(STANDARD_WEBHOOKS);
    expect(verifySignature(STANDARD_WEBHOOKS.signature, signed, [secret], RECEIVED).ok).toBe(true);
    expect(STANDARD_WEBHOOKS.read(signed, source)[0]?.events[0]?.kind).toBe('message.created');
  });

  it('every example of the guide is read as the type it shows', () => {
    const guide = readFileSync(new URL('../../../docs/connect/standard-webhooks.md', import.meta.url), 'utf8');
    const examples = [...guide.matchAll(/```json\n(.*?)```/gs)].map((match) => match[1] ?? '');
    const shown = new Set<string>();
    for (const example of examples) {
      const value = JSON.parse(example) as { type?: string; events?: { type: string }[] };
      const read = readStandardEvents(envelope(example), source).flatMap((part) => part.events);
      expect(read.length).toBeGreaterThan(0);
      for (const type of value.events?.map((event) => event.type) ?? [value.type ?? '']) shown.add(type);
      for (const event of read)
        expect(['unknown', 'quarantine'].includes(event.kind)).toBe(value.type === 'loyalty.points.earned');
    }
    expect([...shown].filter(isStandardEventType).sort()).toEqual(Object.keys(STANDARD_EVENT_DATA).sort());
  });
});
