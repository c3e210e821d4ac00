import { readdirSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Envelope, EnvelopePart, SourceView } from '../../model/envelope.ts';
import type { Event, EventOf, MessageContent } from '../../model/event.ts';
import type { Transport } from '../../model/record.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { findConnector } from './list.ts';
import { TWILIO_CONNECTOR } from './twilio.ts';
import { TWILIO_MEDIA_LIST } from './twilio-rest.ts';

const folder = new URL('fixtures/twilio/', import.meta.url);
const RECEIVED = Date.parse('2026-11-22T12:00:00Z');
const ACCOUNT = `AC${'0123456789abcdef'.repeat(2)}`;
const source: SourceView = { platform: 'twilio', settings: {} };

const sid = (prefix: string, number: number): string => prefix + number.toString(16).padStart(32, '0');

function envelope(body: Uint8Array, parts: Partial<Envelope> = {}): Envelope {
  return {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/src_1',
    headers: [],
    body,
    receivedAtMs: RECEIVED,
    ...parts,
  };
}

/** A fixture as the envelope that would carry it. */
function load(name: string, transport?: Transport): Envelope {
  const bytes = readFileSync(new URL(name, folder));
  if (name.endsWith('.url.txt')) {
    return envelope(Buffer.alloc(0), { method: 'GET', url: bytes.toString('utf8') });
  }
  const isJson = name.endsWith('.json');
  const type = isJson ? 'application/json' : 'application/x-www-form-urlencoded; charset=UTF-8';
  return envelope(bytes, {
    headers: [['Content-Type', type]],
    transport: transport ?? (name.startsWith('rest-') ? 'poll' : 'webhook'),
  });
}

function read(name: string): readonly EnvelopePart[] {
  return TWILIO_CONNECTOR.read(load(name), source);
}

function eventsOf(name: string): Event[] {
  return read(name).flatMap((part) => part.events);
}

function only<Kind extends Event['kind']>(name: string, kind: Kind): EventOf<Kind> {
  const found = eventsOf(name).filter((event): event is EventOf<Kind> => event.kind === kind);
  const [first] = found;
  if (first === undefined || found.length !== 1) throw new Error(`${found.length} ${kind} in ${name}`);
  return first;
}

function contentOf(name: string): MessageContent {
  return only(name, 'message.created').content;
}

/** Every fixture and what it means: kinds of events, or why it cannot be read. */
const FIXTURES: Readonly<Record<string, readonly Event['kind'][] | string>> = {
  'sms-inbound.txt': ['message.created'],
  'sms-inbound.broken.txt': 'no address of the customer',
  'sms-inbound-get.url.txt': ['message.created'],
  'sms-inbound-get.broken.url.txt': 'names no message',
  'mms-inbound.txt': ['message.created'],
  'mms-inbound.broken.txt': ['message.created'],
  'group-mms-inbound.txt': ['message.created'],
  'group-mms-inbound.broken.txt': 'no address of the shop',
  'whatsapp-inbound.txt': ['message.created'],
  'whatsapp-inbound.broken.txt': 'no account SID',
  'whatsapp-username-inbound.txt': ['message.created'],
  'whatsapp-username-inbound.broken.txt': 'no address of the customer',
  'whatsapp-location-inbound.txt': ['message.created'],
  'whatsapp-location-inbound.broken.txt': ['message.created'],
  'whatsapp-referral-inbound.txt': ['message.created'],
  'whatsapp-referral-inbound.broken.txt': 'names no message',
  'rcs-inbound.txt': ['message.created'],
  'rcs-inbound.broken.txt': 'no address of the shop',
  'opt-out-inbound.txt': ['message.created', 'consent.changed'],
  'opt-out-inbound.broken.txt': ['message.created'],
  'stop-word-inbound.txt': ['message.created'],
  'stop-word-inbound.broken.txt': ['message.created'],
  'status-delivered.txt': ['message.status'],
  'status-delivered.broken.txt': 'no address of the customer',
  'status-undelivered.txt': ['message.status'],
  'status-undelivered.broken.txt': 'no address of the shop',
  'status-whatsapp-read.txt': ['message.status'],
  'status-whatsapp-read.broken.txt': ['unknown'],
  'status-rcs-failed.txt': ['message.status'],
  'status-rcs-failed.broken.txt': 'no account SID',
  'status-partially-delivered.txt': ['message.status'],
  'status-partially-delivered.broken.txt': ['message.status'],
  'conversation-message-added.txt': ['message.created'],
  'conversation-message-added.broken.txt': 'not JSON',
  'conversation-message-updated.txt': ['message.edited'],
  'conversation-message-updated.broken.txt': 'no message SID',
  'conversation-message-removed.txt': ['message.deleted'],
  'conversation-message-removed.broken.txt': 'no conversation SID',
  'conversation-delivery-updated.txt': ['message.status'],
  'conversation-delivery-updated.broken.txt': 'no message SID',
  'conversation-participant-added.txt': ['participant.joined'],
  'conversation-participant-added.broken.txt': 'no conversation SID',
  'conversation-participant-removed.txt': ['participant.left'],
  'conversation-participant-removed.broken.txt': 'no account SID',
  'conversation-state-updated.txt': ['conversation.updated'],
  'conversation-state-updated.broken.txt': 'no conversation SID',
  'conversation-pre-action.txt': ['unknown'],
  'conversation-pre-action.broken.txt': 'no account SID',
  'call.txt': ['unknown'],
  'call.broken.txt': 'names no message',
  'event-streams-batch.json': [
    'message.created',
    'message.status',
    'message.created',
    'message.status',
    'message.status',
  ],
  'event-streams-batch.broken.json': [
    'message.created',
    'message.status',
    'message.created',
    'message.status',
    'quarantine',
  ],
  'event-streams-single.json': ['message.created', 'message.status'],
  'event-streams-single.broken.json': 'no CloudEvent',
  'event-streams-inbound.json': ['message.created', 'consent.changed'],
  'event-streams-inbound.broken.json': 'no address of the customer',
  'event-streams-inbound-media.json': ['message.created'],
  'event-streams-inbound-media.broken.json': ['unknown'],
  'event-streams-conversation.json': ['message.created'],
  'event-streams-conversation.broken.json': 'no conversation SID',
  'event-streams-unknown.json': ['unknown'],
  'event-streams-unknown.broken.json': ['unknown'],
  'rest-list.json': [
    'message.created',
    'message.created',
    'message.status',
    'message.created',
    'message.status',
    'message.created',
    'message.status',
  ],
  'rest-list.broken.json': [
    'message.created',
    'quarantine',
    'message.created',
    'message.status',
    'message.created',
    'message.status',
  ],
  'rest-message.json': ['message.created', 'message.status'],
  'rest-message.broken.json': 'no message resource',
  'rest-message-unsent.json': ['message.status'],
  'rest-message-unsent.broken.json': 'no address of the shop',
  'rest-message-redacted.json': ['message.created', 'message.status'],
  'rest-message-redacted.broken.json': 'no message resource',
  'rest-conversation-message.json': ['message.created'],
  'rest-conversation-message.broken.json': 'no conversation SID',
  'rest-media.json': 'no message resource',
  'rest-media.broken.json': 'no message resource',
};

describe('fixtures', () => {
  it('every file is accounted for', () => {
    expect(Object.keys(FIXTURES).sort()).toEqual(readdirSync(folder).sort());
  });

  it.each(Object.entries(FIXTURES))('%s', (name, expected) => {
    if (typeof expected === 'string') {
      expect(() => read(name)).toThrow(UnreadableEnvelope);
      expect(() => read(name)).toThrow(expected);
    } else {
      expect(eventsOf(name).map((event) => event.kind)).toEqual(expected);
      expect(read(name)).toEqual(read(name));
    }
  });

  it('no reason quotes the payload', () => {
    for (const [name, expected] of Object.entries(FIXTURES)) {
      if (typeof expected !== 'string') continue;
      try {
        read(name);
      } catch (error) {
        expect(String(error)).not.toMatch(/\+?1415|AC0123|order/);
      }
    }
  });
});

describe('inbound webhooks', () => {
  it('SMS: the text is kept to the last space, the rest in its place or in extra', () => {
    const event = only('sms-inbound.txt', 'message.created');
    expect(event).toMatchObject({
      target: { platform: 'twilio', account: ACCOUNT, id: sid('SM', 1) },
      dedupe: `created|${sid('SM', 1)}`,
      occurredAt: { ms: RECEIVED, origin: 'receipt' },
      extra: { FromCity: 'NASHUA', ToCity: 'SAN FRANCISCO', FromCountry: 'US' },
    });
    expect(event.extra).not.toHaveProperty('FromZip');
    expect(event.content).toMatchObject({
      channel: 'sms',
      direction: 'inbound',
      directionBasis: 'provider',
      from: { kind: 'customer', address: { scheme: 'e164', value: '+14155550100' } },
      to: [{ kind: 'shop', role: 'to', address: { scheme: 'e164', value: '+14155550101' } }],
      thread: ['e164||+14155550101', 'e164||+14155550100'],
      threadKind: 'direct',
      body: { text: '  Where is my order #1001? 😀\n', format: 'plain' },
      contentState: 'present',
      sms: { segments: 1 },
      business: { messagingServiceId: sid('MG', 1) },
    });
    expect(event.content.sentAt).toBeUndefined();
    expect(event.content.types).toBeUndefined();
  });

  it('GET says the same as POST', () => {
    expect(eventsOf('sms-inbound-get.url.txt')).toEqual(eventsOf('sms-inbound.txt'));
  });

  it('MMS: media with their SIDs, without credentials in the URL', () => {
    const content = contentOf('mms-inbound.txt');
    expect(content.channel).toBe('mms');
    expect(content.body).toBeUndefined();
    const base = `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid('MM', 2)}/Media`;
    expect(content.parts).toEqual([
      {
        kind: 'media',
        index: 0,
        providerMediaId: sid('ME', 21),
        url: `${base}/${sid('ME', 21)}`,
        mimeDeclared: 'image/jpeg',
        role: 'image',
      },
      {
        kind: 'media',
        index: 1,
        providerMediaId: sid('ME', 22),
        url: `${base}/${sid('ME', 22)}`,
        mimeDeclared: 'text/vcard',
        role: 'document',
      },
    ]);
    // A medium that was announced and not named is still a medium; a URL that was not announced is none.
    const broken = only('mms-inbound.broken.txt', 'message.created');
    expect(broken.content.parts[1]).toEqual({ kind: 'media', index: 1, role: 'other' });
    expect(broken.content.parts).toHaveLength(2);
    expect(broken.extra).toMatchObject({ MediaUrl7: 'file:///etc/passwd' });
  });

  it('group MMS: one thread for the same people in any order', () => {
    const content = contentOf('group-mms-inbound.txt');
    expect(content.threadKind).toBe('group');
    expect(content.thread).toEqual([
      'e164||+14155550101',
      'e164||+14155550100',
      'e164||+14155550103',
      'e164||+14155550104',
    ]);
    expect(content.to.map((one) => [one.role, one.kind])).toEqual([
      ['to', 'shop'],
      ['group', 'customer'],
      ['group', 'customer'],
    ]);
  });

  it('WhatsApp: name, ids, buttons, reply, forward', () => {
    const event = only('whatsapp-inbound.txt', 'message.created');
    expect(event.content).toMatchObject({
      channel: 'whatsapp',
      from: {
        name: 'Anna Ä.',
        address: { scheme: 'e164', value: '+5491165324855', raw: 'whatsapp:+5491165324855' },
        also: [{ scheme: 'wa_bsuid', value: 'AR.1A2B3C4D5E' }],
      },
      thread: ['whatsapp:e164||+14155238886', 'e164||+5491165324855'],
      parts: [{ kind: 'interactive', type: 'button', text: 'Confirm', payload: '{"order":"1001"}' }],
      relations: {
        replyTo: { platform: 'twilio', account: ACCOUNT, id: sid('MM', 40) },
        forwarded: true,
        forwardedManyTimes: true,
      },
    });
    expect(event.extra).toMatchObject({ MessageType: 'button', OriginalRepliedMessageSender: 'whatsapp:+14155238886' });
    expect(event.extra).toHaveProperty('ChannelMetadata');
  });

  it('WhatsApp users without a number are known by their business-scoped id', () => {
    const { from, thread } = contentOf('whatsapp-username-inbound.txt');
    expect(from).toMatchObject({ name: 'kfisher', address: { scheme: 'wa_bsuid', value: 'US.1A2B3C4D5E' } });
    expect(from.also).toBeUndefined();
    expect(thread).toEqual(['whatsapp:e164||+14155238886', 'wa_bsuid||US.1A2B3C4D5E']);
  });

  it('location, list reply and ad', () => {
    expect(contentOf('whatsapp-location-inbound.txt').parts).toEqual([
      { kind: 'location', latitude: 52.520008, longitude: 13.404954, name: 'Store', address: 'Alexanderplatz 1' },
    ]);
    expect(contentOf('whatsapp-location-inbound.broken.txt').parts).toEqual([]);
    const referral = only('whatsapp-referral-inbound.txt', 'message.created');
    expect(referral.content.parts).toEqual([
      { kind: 'interactive', type: 'list', text: '42', payload: 'size-42' },
      { kind: 'link', url: 'https://fb.me/1', title: '20 % off', description: 'Free delivery' },
    ]);
    expect(referral.extra).toMatchObject({ ReferralCtwaClid: 'ARA1', ReferralSourceId: '1202' });
  });

  it('RCS: the agent is an address of its own', () => {
    const content = contentOf('rcs-inbound.txt');
    expect(content.channel).toBe('rcs');
    expect(content.to[0]?.address).toEqual({ scheme: 'rcs_agent', value: 'shop_x_agent', raw: 'rcs:shop_x_agent' });
    expect(content.from.address).toMatchObject({ scheme: 'e164', value: '+14155550100' });
  });

  it('opt-out: what Twilio recognised changes consent; a word alone is a request', () => {
    const consent = only('opt-out-inbound.txt', 'consent.changed');
    expect(consent).toMatchObject({
      change: 'opt-out',
      words: 'Stop',
      party: { address: { value: '+14155550100' } },
      endpoint: { scheme: 'e164', value: '+14155550101' },
      dedupe: `consent|${sid('SM', 9)}|STOP`,
    });
    expect(contentOf('opt-out-inbound.txt')).toMatchObject({ types: ['optout.request'], business: { optOut: 'STOP' } });
    const sentence = only('opt-out-inbound.broken.txt', 'message.created');
    expect(sentence.content.types).toBeUndefined();
    expect(contentOf('stop-word-inbound.txt').types).toEqual(['optout.request']);
    expect(contentOf('stop-word-inbound.broken.txt').types).toBeUndefined();
  });

  it('a text of another SID than its twin keeps both', () => {
    const body = Buffer.from(
      `MessageSid=MM1&SmsSid=SM1&From=%2B14155550100&To=%2B14155550101&Body=x&AccountSid=${ACCOUNT}`,
    );
    const [event] = TWILIO_CONNECTOR.read(envelope(body), source)[0]?.events ?? [];
    expect(event).toMatchObject({ target: { id: 'MM1' }, content: { aliases: [{ system: 'twilio', id: 'SM1' }] } });
    const old = Buffer.from(`SmsSid=SM1&From=%2B14155550100&To=%2B14155550101&Body=x&AccountSid=${ACCOUNT}`);
    expect(TWILIO_CONNECTOR.read(envelope(old), source)[0]?.events[0]).toMatchObject({ target: { id: 'SM1' } });
  });

  it('unknown, repeated and hostile parameters go to extra', () => {
    const body = Buffer.from(
      `MessageSid=SM1&From=%2B14155550100&To=%2B14155550101&Body=a&Body=b&New=1&New=2&__proto__=x&__proto__=y&constructor=z&Bad=%FF&AccountSid=${ACCOUNT}`,
    );
    const [event] = TWILIO_CONNECTOR.read(envelope(body), source)[0]?.events ?? [];
    const extra = event?.extra ?? {};
    expect(Object.keys(extra).sort()).toEqual(['Bad', 'New', '__proto__', 'constructor', 'notUtf8']);
    expect(extra['New']).toEqual(['1', '2']);
    expect(Object.getOwnPropertyDescriptor(extra, '__proto__')?.value).toEqual(['x', 'y']);
    expect(Object.getPrototypeOf(extra)).toBe(Object.prototype);
    expect(event).toMatchObject({ content: { body: { text: 'a' } } });
  });
});

describe('deliveries', () => {
  it('of what has no key of its own are told by the token of the webhook, the same over its retries', () => {
    const call = (token?: string): Event | undefined =>
      TWILIO_CONNECTOR.read(
        { ...load('call.txt'), headers: token === undefined ? [] : [['I-Twilio-Idempotency-Token', token]] },
        source,
      )[0]?.events[0];
    expect(call()?.dedupe).toBeUndefined();
    expect(call('t1')?.dedupe).toBe(call('t1')?.dedupe);
    expect(call('t1')?.dedupe).not.toBe(call('t2')?.dedupe);
  });

  it('with a status of receipt beside a text are the text', () => {
    const base = `MessageSid=${sid('SM', 90)}&AccountSid=${ACCOUNT}&From=%2B14155550100&To=%2B14155550101`;
    const kinds = (more: string): string[] =>
      TWILIO_CONNECTOR.read(envelope(Buffer.from(base + more)), source).flatMap((part) =>
        part.events.map((event) => event.kind),
      );
    expect(kinds('&MessageStatus=received&Body=Hi&NumMedia=0')).toEqual(['message.created']);
    expect(kinds('&MessageStatus=received')).toEqual(['message.status']);
    expect(kinds('&MessageStatus=delivered&Body=Hi')).toEqual(['message.status']);
  });
});

describe('status callbacks', () => {
  it("delivered: recipient, shell, and the carrier's time beside", () => {
    expect(only('status-delivered.txt', 'message.status')).toMatchObject({
      state: 'delivered',
      rawState: 'delivered',
      recipient: { scheme: 'e164', value: '+14155550100' },
      dedupe: `status|${sid('SM', 11)}|delivered|+14155550100|`,
      occurredAt: { ms: RECEIVED, origin: 'receipt' },
      shell: {
        channel: 'sms',
        direction: 'outbound',
        from: { kind: 'shop', address: { value: '+14155550101' } },
        to: [{ kind: 'customer', role: 'to' }],
        thread: ['e164||+14155550101', 'e164||+14155550100'],
      },
      extra: {
        RawDlrDoneDate: '2611221159',
        carrierDoneAt: {
          ms: Date.parse('2026-11-22T11:59:00Z'),
          precision: 'min',
          zone: 'assumed',
          origin: 'provider',
        },
      },
    });
  });

  it('failures carry code and text', () => {
    const failed = only('status-undelivered.txt', 'message.status');
    expect(failed).toMatchObject({
      state: 'undelivered',
      errorCode: '30006',
      errorText: 'Landline or unreachable carrier',
    });
    expect(failed.dedupe).toBe(`status|${sid('SM', 12)}|undelivered|+14155550100|30006`);
    expect(failed.extra).not.toHaveProperty('carrierDoneAt');
    const rcs = only('status-rcs-failed.txt', 'message.status');
    expect(rcs).toMatchObject({
      state: 'failed',
      errorCode: '63036',
      errorText: 'Recipient cannot be reached over RCS',
    });
    expect(rcs.shell).toMatchObject({ channel: 'rcs', from: { address: { scheme: 'rcs_agent' } } });
  });

  it('WhatsApp read, with the channel only in ChannelPrefix', () => {
    const status = only('status-whatsapp-read.txt', 'message.status');
    expect(status).toMatchObject({
      state: 'read',
      shell: { channel: 'whatsapp', thread: ['whatsapp:e164||+14155238886', 'e164||+14155550100'] },
      extra: { EventType: 'READ', ChannelToAddress: '+1415555XXXX', StructuredMessage: 'false' },
    });
  });

  it('states of groups and states nobody knows', () => {
    expect(only('status-partially-delivered.txt', 'message.status')).toMatchObject({
      state: 'sent',
      rawState: 'partially_delivered',
    });
    expect(only('status-partially-delivered.broken.txt', 'message.status')).toMatchObject({
      state: 'unknown',
      rawState: 'levitating',
    });
  });

  it('a text that has no sender yet hangs on its messaging service', () => {
    const body = Buffer.from(
      `MessageSid=SM1&MessageStatus=failed&ErrorCode=21610&To=%2B14155550100&MessagingServiceSid=MG1&AccountSid=${ACCOUNT}`,
    );
    const [event] = TWILIO_CONNECTOR.read(envelope(body), source)[0]?.events ?? [];
    expect(event).toMatchObject({ shell: { from: { address: { scheme: 'messaging_service', value: 'MG1' } } } });
  });
});

describe('Conversations', () => {
  const key = { platform: 'twilio', account: ACCOUNT, conversation: sid('CH', 1), id: sid('IM', 1) };

  it('a message from a carrier, with its place in order and media of the Media Content Service', () => {
    const event = only('conversation-message-added.txt', 'message.created');
    expect(event).toMatchObject({
      target: key,
      dedupe: `created|${key.id}`,
      sequence: '7',
      extra: { Attributes: '{"k":1}' },
    });
    expect(event.content).toMatchObject({
      channel: 'sms',
      direction: 'inbound',
      directionBasis: 'inferred',
      from: { kind: 'customer', address: { scheme: 'e164', value: '+14155550100' } },
      thread: [sid('CH', 1)],
      threadKind: 'group',
      sentAt: { ms: Date.parse('2026-11-22T11:00:00Z'), origin: 'provider' },
      parts: [
        {
          kind: 'media',
          index: 0,
          providerMediaId: sid('ME', 31),
          url: `https://mcs.us1.twilio.com/v1/Services/${sid('IS', 1)}/Media/${sid('ME', 31)}/Content`,
          mimeDeclared: 'image/png',
          fileName: 'a.png',
          bytesDeclared: 12232,
        },
      ],
    });
  });

  it('edits, deletions and delivery are about the same message', () => {
    expect(only('conversation-message-updated.txt', 'message.edited')).toMatchObject({
      target: key,
      body: { text: 'Hello again' },
      editedBy: { address: { scheme: 'handle', value: 'agent-7', scope: sid('IS', 1) } },
      dedupe: `edited|${key.id}|2026-11-22T11:05:00.000Z`,
      occurredAt: { ms: Date.parse('2026-11-22T11:05:00Z') },
    });
    expect(only('conversation-message-removed.txt', 'message.deleted')).toMatchObject({
      target: key,
      by: 'sender',
      scope: 'everyone',
      occurredAt: { ms: Date.parse('2026-11-22T11:10:00Z') },
      extra: { Body: 'Hello again' },
    });
    expect(only('conversation-delivery-updated.txt', 'message.status')).toMatchObject({
      target: key,
      state: 'undelivered',
      errorCode: '21610',
      recipient: { scheme: 'handle', value: sid('MB', 1) },
      extra: { ChannelMessageSid: sid('SM', 77) },
    });
  });

  it('who came, who went, what became of the conversation', () => {
    expect(only('conversation-participant-added.txt', 'participant.joined')).toMatchObject({
      target: { id: sid('CH', 1) },
      thread: [sid('CH', 1)],
      party: { kind: 'customer', address: { scheme: 'e164', value: '+14155550100' } },
    });
    expect(only('conversation-participant-removed.txt', 'participant.left')).toMatchObject({
      party: { address: { scheme: 'handle', value: 'agent-7' } },
    });
    expect(only('conversation-state-updated.txt', 'conversation.updated')).toMatchObject({ status: 'closed' });
    expect(only('conversation-pre-action.txt', 'unknown')).toMatchObject({ name: 'onMessageAdd' });
  });

  it('Event Streams and REST tell of the same message under the same keys', () => {
    const webhook = only('conversation-message-added.txt', 'message.created');
    for (const name of ['event-streams-conversation.json', 'rest-conversation-message.json']) {
      const other = only(name, 'message.created');
      expect([other.target, other.dedupe]).toEqual([webhook.target, webhook.dedupe]);
      expect(other.content.thread).toEqual(webhook.content.thread);
      expect(other.content.parts).toMatchObject([{ providerMediaId: sid('ME', 31), mimeDeclared: 'image/png' }]);
    }
    expect(contentOf('event-streams-conversation.json').body).toMatchObject({ text: 'Hello', subject: 'Order' });
  });
});

describe('Event Streams', () => {
  it('one part a message, each with the exact bytes of its element', () => {
    const parts = read('event-streams-batch.json');
    expect(parts).toHaveLength(3);
    const whole = load('event-streams-batch.json').body;
    const elements = JSON.parse(Buffer.from(whole).toString()) as unknown[];
    for (const [index, part] of parts.entries()) {
      const body = part.body ?? Buffer.alloc(0);
      expect(Buffer.from(whole).includes(Buffer.from(body))).toBe(true);
      expect(JSON.parse(Buffer.from(body).toString())).toEqual(elements[index]);
      expect(new Set(part.events.map((event) => event.target.id)).size).toBe(1);
    }
    expect(Buffer.from(parts[0]?.body ?? []).toString()).not.toContain('Ben');
  });

  it('a batch about one message is kept whole', () => {
    const element = readFileSync(new URL('event-streams-single.json', folder), 'utf8');
    const body = Buffer.from(`[${element},${element.replace('"SENT"', '"DELIVERED"')}]`);
    const parts = TWILIO_CONNECTOR.read(envelope(body), source);
    expect(parts).toHaveLength(1);
    expect(parts[0]?.body).toBeUndefined();
    expect(parts[0]?.events).toHaveLength(4);
  });

  it('an element that cannot be read is set aside, and reads by itself once it can', () => {
    const parts = read('event-streams-batch.broken.json');
    const aside = parts.find((part) => part.events[0]?.kind === 'quarantine');
    expect(aside?.events[0]).toMatchObject({ reason: 'an element is no CloudEvent' });
    expect(Buffer.from(aside?.body ?? []).toString()).toContain('A picture');
    expect(aside?.events[0]?.dedupe).toBe(
      read('event-streams-batch.broken.json').find((part) => part.events[0]?.kind === 'quarantine')?.events[0]?.dedupe,
    );
  });

  it('outbound text is content, unless media may be missing', () => {
    const [first, second, third] = read('event-streams-batch.json');
    expect(first?.events[0]).toMatchObject({
      kind: 'message.created',
      dedupe: `created|${sid('SM', 21)}`,
      occurredAt: { ms: Date.parse('2026-11-22T11:00:02.563Z'), precision: 'ns', origin: 'provider' },
      content: {
        direction: 'outbound',
        body: { text: 'Your order is on its way, Anna' },
        sentAt: { ms: Date.parse('2026-11-22T11:00:02.563Z') },
        sms: { segments: 1, mcc: '310', mnc: '090' },
        business: { messagingServiceId: sid('MG', 1), tags: ['campaign=spring'] },
        origin: 'provider-api',
      },
      extra: { cloudEvent: { id: `EZ${'1'.padStart(32, '0')}` } },
    });
    expect(second?.events[1]).toMatchObject({ kind: 'message.status', state: 'undelivered', errorCode: '30003' });
    expect(second?.events[0]).not.toHaveProperty('content.sentAt');
    expect(third?.events).toHaveLength(1);
    expect(third?.events[0]).toMatchObject({
      kind: 'message.status',
      state: 'delivered',
      shell: { channel: 'mms', direction: 'outbound' },
    });
  });

  it('inbound text is content; with media it is incomplete until webhook or list tell the rest', () => {
    expect(contentOf('event-streams-inbound.json')).toMatchObject({
      body: { text: 'STOP' },
      types: ['optout.request'],
      contentState: 'present',
    });
    expect(only('event-streams-inbound.json', 'consent.changed').change).toBe('opt-out');
    const media = only('event-streams-inbound-media.json', 'message.created');
    expect(media.dedupe).toBe(`incomplete|${sid('MM', 25)}`);
    expect(media.content).toMatchObject({
      contentState: 'missing-provider',
      body: { text: 'Look' },
      threadKind: 'group',
    });
    expect(media.content.parts).toHaveLength(2);
  });

  it('inbound text of a richer channel is incomplete: the event has no names, buttons, places or replies', () => {
    const event = JSON.parse(load('event-streams-inbound.json').body.toString()) as { data: object }[];
    const data = { ...event[0]?.data, from: 'whatsapp:+14155550100', to: 'whatsapp:+14155550101' };
    const body = Buffer.from(JSON.stringify([{ ...event[0], data }]));
    const [created] = TWILIO_CONNECTOR.read({ ...load('event-streams-inbound.json'), body }, source)[0]?.events ?? [];
    expect(created).toMatchObject({ content: { channel: 'whatsapp', contentState: 'missing-provider' } });
    expect(created?.dedupe).toMatch(/^incomplete\|/);
  });

  it('what is not known is kept under its name', () => {
    expect(only('event-streams-unknown.json', 'unknown')).toMatchObject({
      name: 'com.twilio.daptbt.link-shortening.link-clicked',
      target: { id: sid('SM', 21), account: ACCOUNT },
      dedupe: `event|EZ${'7'.padStart(32, '0')}`,
    });
  });
});

describe('REST answers', () => {
  it('one part a message; direction, price and all times', () => {
    const parts = read('rest-list.json');
    expect(parts).toHaveLength(4);
    const [inbound, outbound] = parts;
    expect(inbound?.events[0]).toMatchObject({
      content: { direction: 'inbound', origin: 'unknown', actor: { type: 'customer' } },
    });
    expect(outbound?.events[0]).toMatchObject({
      occurredAt: { ms: Date.parse('2026-11-22T11:00:01Z'), precision: 's', zone: 'offset', origin: 'provider' },
      content: {
        direction: 'outbound',
        sentAt: { ms: Date.parse('2026-11-22T11:00:01Z') },
        times: {
          dateCreated: { ms: Date.parse('2026-11-22T11:00:00Z') },
          dateUpdated: { ms: Date.parse('2026-11-22T11:00:05Z') },
        },
        sms: { segments: 1, price: { amount: '-0.00750', currency: 'USD' } },
        business: { tags: ['campaign=spring'] },
      },
    });
    expect(outbound?.events[1]).toMatchObject({
      kind: 'message.status',
      state: 'delivered',
      occurredAt: { ms: Date.parse('2026-11-22T11:00:05Z') },
      sms: { price: { amount: '-0.00750' } },
    });
    expect(parts[2]?.events[1]).toMatchObject({
      state: 'undelivered',
      errorCode: '30003',
      errorText: 'Unreachable destination handset',
    });
  });

  it('a price that comes after its state is an event of its own, and without one a report is the one it repeats', () => {
    const resource = JSON.parse(load('rest-message.json').body.toString()) as Record<string, unknown>;
    const reportOf = (price: string | null): Event | undefined =>
      TWILIO_CONNECTOR.read(
        { ...load('rest-message.json'), body: Buffer.from(JSON.stringify({ ...resource, price })) },
        source,
      )[0]?.events[1];
    const callback = `status|${sid('SM', 21)}|delivered|+14155550100|`;
    expect(reportOf(null)?.dedupe).toBe(callback);
    expect(reportOf('-0.0079')?.dedupe).not.toBe(callback);
    expect(reportOf('-0.0079')?.dedupe).toBe(reportOf('-0.0079')?.dedupe);
  });

  it('a text without a sender yet is only announced', () => {
    expect(only('rest-message-unsent.json', 'message.status')).toMatchObject({
      state: 'accepted',
      shell: { from: { address: { scheme: 'messaging_service' } } },
    });
  });

  it('a redacted text is said to be missing', () => {
    expect(contentOf('rest-message-redacted.json')).toMatchObject({
      contentState: 'missing-provider',
      origin: 'auto-reply',
    });
    expect(contentOf('rest-message-redacted.json').body).toBeUndefined();
  });

  it('an inbound text is left to its webhook, which says more, until the list has waited long enough', () => {
    const list = load('rest-list.json');
    const inboundOf = (at: string, transport: Transport): number =>
      TWILIO_CONNECTOR.read({ ...list, transport, receivedAtMs: Date.parse(at) }, source)[0]?.events.length ?? -1;
    expect(inboundOf('2026-11-22T11:00:30Z', 'poll')).toBe(0);
    expect(inboundOf('2026-11-22T11:10:30Z', 'poll')).toBe(1);
    expect(inboundOf('2026-11-22T11:00:30Z', 'fetch')).toBe(1);
  });

  it('a list is cut though all but one of its texts are passed over', () => {
    const page = JSON.parse(load('rest-list.json').body.toString()) as { messages: unknown[] };
    const body = Buffer.from(JSON.stringify({ messages: page.messages.slice(0, 2) }));
    const parts = TWILIO_CONNECTOR.read(
      { ...load('rest-list.json'), body, receivedAtMs: Date.parse('2026-11-22T11:00:30Z') },
      source,
    );
    expect(parts.map((part) => part.events.length)).toEqual([0, 2]);
    expect(Buffer.from(parts[1]?.body ?? []).toString()).toBe(JSON.stringify(page.messages[1]));
  });

  it('media are counted, and found in the list that names them', () => {
    const folderUrl = `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid('MM', 23)}/Media`;
    const url = `${folderUrl}.json`;
    expect(contentOfPart(read('rest-list.json')[3]).parts).toEqual([{ kind: 'media', index: 0, role: 'other', url }]);
    const { isList, locate } = TWILIO_MEDIA_LIST;
    expect([url, `${folderUrl}/ME1`, `${url}?x`, 'https://evil.example/Media.json'].map(isList)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    const list = load('rest-media.json').body;
    expect(locate(url, list, 0)).toBe(`${folderUrl}/${sid('ME', 41)}`);
    expect(locate(url, list, 1)).toBeUndefined();
    const hostile = load('rest-media.broken.json').body;
    expect([locate(url, hostile, 0), locate(url, hostile, 1)]).toEqual([undefined, undefined]);
    expect(locate(url, Buffer.from('{'), 0)).toBeUndefined();
  });

  function contentOfPart(part: EnvelopePart | undefined): MessageContent {
    const [event] = part?.events ?? [];
    if (event?.kind !== 'message.created') throw new Error('no created event');
    return event.content;
  }

  it("a page is followed by the next, on the API's own host only", () => {
    const { pull } = TWILIO_CONNECTOR;
    const page = load('rest-list.json');
    expect(pull?.nextPage?.(source, page)?.url).toBe(
      `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages.json?PageSize=1000&Page=1&PageToken=PASM${'1'.padStart(32, '0')}`,
    );
    for (const uri of [
      'null',
      '"//evil.example/2010-04-01/Accounts/x"',
      '"https://evil.example/"',
      '"/2010-04-01/Accounts/ x"',
      '7',
      '"/2010-04-01/Accounts/\\\\x"',
    ]) {
      const body = Buffer.from(`{"messages":[],"next_page_uri":${uri}}`);
      expect(pull?.nextPage?.(source, { ...page, body })).toBeUndefined();
    }
    expect(pull?.nextPage?.(source, { ...page, body: Buffer.from('<html>') })).toBeUndefined();
  });

  it('requests for one message and for everything since a time', () => {
    const { pull } = TWILIO_CONNECTOR;
    const bound = { ...source, account: ACCOUNT };
    expect(pull?.list?.(bound, Date.parse('2026-11-19T12:00:00.789Z'))).toEqual({
      method: 'GET',
      accept: 'application/json',
      url: `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages.json?PageSize=1000&DateSent%3E=2026-11-19T12%3A00%3A00Z`,
    });
    expect(new URL(pull?.list?.(bound, 0).url ?? '').searchParams.get('DateSent>')).toBe('1970-01-01T00:00:00Z');
    expect(() => pull?.list?.(source, 0)).toThrow('account SID');
    const key = { platform: 'twilio', account: ACCOUNT, id: '../x' };
    expect(pull?.fetchMessage?.(bound, key).url).toBe(
      `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages/..%2Fx.json`,
    );
    expect(pull?.fetchMessage?.(bound, { ...key, conversation: 'CH1', id: 'IM1' }).url).toBe(
      'https://conversations.twilio.com/v1/Conversations/CH1/Messages/IM1',
    );
    const elsewhere = { ...bound, settings: { apiBaseUrl: 'http://127.0.0.1:9' } };
    expect(pull?.list?.(elsewhere, 0).url).toMatch(/^http:\/\/127\.0\.0\.1:9\/2010-04-01\//);
  });

  it('credentials: API key before token, an empty header without either', () => {
    const credentials = TWILIO_CONNECTOR.pull?.credentials;
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    const token = { accountSid: 'AC1', authToken: 't' };
    expect(credentials?.({ ...token, apiKeySid: 'SK1', apiKeySecret: 's' })).toEqual({ authorization: basic('SK1:s') });
    expect(credentials?.({ ...token, apiKeySid: 'SK1' })).toEqual({ authorization: basic('AC1:t') });
    expect(credentials?.({ accountSid: 'AC1' })).toEqual({ authorization: '' });
  });
});

describe('one text told of four times', () => {
  const target = { platform: 'twilio', account: ACCOUNT };

  it('inbound: webhook and list have one key, one dedupe key and one thread', () => {
    const webhook = only('sms-inbound.txt', 'message.created');
    const [listed] = read('rest-list.json')[0]?.events ?? [];
    expect(listed).toMatchObject({ kind: 'message.created', target: webhook.target, dedupe: webhook.dedupe });
    expect(listed?.kind === 'message.created' ? listed.content : undefined).toMatchObject({
      thread: webhook.content.thread,
      from: { address: webhook.content.from.address },
      body: webhook.content.body,
    });
  });

  it('outbound: Event Streams, list, fetch and status callback', () => {
    const stream = eventsOf('event-streams-single.json');
    const listed = read('rest-list.json')[1]?.events ?? [];
    const fetched = eventsOf('rest-message.json');
    const body = Buffer.from(
      `MessageSid=${sid('SM', 21)}&SmsSid=${sid('SM', 21)}&MessageStatus=delivered&From=%2B14155550101&To=%2B14155550100&AccountSid=${ACCOUNT}&ErrorCode=0`,
    );
    const callback = TWILIO_CONNECTOR.read(envelope(body), source)[0]?.events ?? [];
    const all = [...stream, ...listed, ...fetched, ...callback];
    for (const event of all) expect(event.target).toEqual({ ...target, id: sid('SM', 21) });
    const created = all.filter((event) => event.kind === 'message.created');
    expect(created).toHaveLength(3);
    expect(new Set(created.map((event) => event.dedupe)).size).toBe(1);
    expect(new Set(created.map((event) => event.content.thread.join(' '))).size).toBe(1);
    const statuses = all.filter((event) => event.kind === 'message.status');
    expect(new Set(statuses.map((event) => event.dedupe))).toEqual(
      new Set([
        `status|${sid('SM', 21)}|sent|+14155550100|`,
        `status|${sid('SM', 21)}|delivered|+14155550100|`,
        `status|${sid('SM', 21)}|delivered|+14155550100||-0.00750 USD`,
      ]),
    );
    for (const status of statuses) expect(status.shell?.thread).toEqual(created[0]?.content.thread);
  });
});

describe('the connector', () => {
  it('is found by its name and answers with empty TwiML', () => {
    expect(findConnector('twilio')).toBe(TWILIO_CONNECTOR);
    expect(findConnector('no such')).toBeUndefined();
    expect(findConnector('__proto__')).toBeUndefined();
    expect(TWILIO_CONNECTOR.acknowledgement).toEqual({ status: 200, contentType: 'text/xml', body: '<Response/>' });
  });

  it('tells what to enter where, with retries that Event Streams does not take', () => {
    const steps = TWILIO_CONNECTOR.setupSteps('https://archive.example/hooks/src_1').join('\n');
    expect(steps).toContain('https://archive.example/hooks/src_1#rc=3&rp=all');
    expect(steps).toMatch(/Event Streams .*hooks\/src_1 \(no fragment/);
    expect(steps).toContain('com.twilio.messaging.message.sent');
  });

  it('read throws only UnreadableEnvelope, on any bytes, and says the same twice', () => {
    const form = fc.array(
      fc.tuple(
        fc.constantFrom(
          'MessageSid',
          'SmsSid',
          'From',
          'To',
          'Body',
          'NumMedia',
          'MediaUrl0',
          'MessageStatus',
          'EventType',
          'ConversationSid',
          'AccountSid',
          'Media',
          'Latitude',
          'Longitude',
          'OptOutType',
          'WaId',
          'ExternalUserId',
          'OtherRecipients0',
          'Source',
          'Author',
          'DateCreated',
        ),
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.constantFrom(
            '+14155550100',
            'whatsapp:',
            ':',
            'SM1',
            'onMessageAdded',
            'onDeliveryUpdated',
            '9',
            '[]',
            '[1]',
            '1e999',
            '-91',
            'STOP',
          ),
        ),
      ),
    );
    const json = fc.jsonValue().map((value) => JSON.stringify(value));
    const cloudData = fc.dictionary(
      fc.constantFrom(
        'messageSid',
        'accountSid',
        'from',
        'to',
        'body',
        'numMedia',
        'recipients',
        'tags',
        'timestamp',
        'Media',
        'ConversationSid',
        'MessageSid',
        'sid',
        'account_sid',
        'direction',
        'status',
        'num_media',
        'price',
      ),
      fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('SM1', 'AC1', '+14155550100', 'inbound')),
    );
    const types = fc.constantFrom(
      'com.twilio.messaging.message.sent',
      'com.twilio.messaging.inbound-message.received',
      'com.twilio.conversations.message.added',
      'x',
    );
    const cloud = fc
      .array(fc.tuple(types, cloudData), { maxLength: 3 })
      .map((list) => JSON.stringify(list.map(([type, data]) => ({ type, data, ...data }))));
    const bytes = fc.oneof(
      fc.uint8Array(),
      form.map((pairs) => Buffer.from(new URLSearchParams(pairs).toString())),
      json.map((text) => Buffer.from(text)),
      cloud.map((text) => Buffer.from(text)),
      cloud.map((text) => Buffer.from(`{"messages":${text}}`)),
      cloudData.map((data) => Buffer.from(JSON.stringify(data))),
    );
    fc.assert(
      fc.property(bytes, fc.constantFrom<Transport>('webhook', 'poll', 'fetch'), (body, transport) => {
        const sent = envelope(body, { transport });
        const outcome = (): unknown => {
          try {
            return TWILIO_CONNECTOR.read(sent, source);
          } catch (error) {
            expect(error).toBeInstanceOf(UnreadableEnvelope);
            return (error as UnreadableEnvelope).reason;
          }
        };
        const first = outcome();
        expect(outcome()).toEqual(first);
        // What was read can be written as a record.
        expect(() => JSON.stringify(first)).not.toThrow();
      }),
      { numRuns: 4_000 },
    );
  });
});
