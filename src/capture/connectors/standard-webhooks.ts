/**
 * The generic way in: JSON events of our own published schema, signed by Standard Webhooks (https://www.standardwebhooks.com), from any program
 * that has no connector. `POST /api/v1/records` takes the same events without signature, behind an API key.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { addressKey, parsePhoneAddress } from '../../model/address.ts';
import type { Address, PartyKind, PartyRef } from '../../model/address.ts';
import type { DeliveryState } from '../../model/delivery.ts';
import type { Envelope, EnvelopePart, SourceView } from '../../model/envelope.ts';
import { findHeader } from '../../model/envelope.ts';
import { assertNever } from '../../model/errors.ts';
import type { Body, Event, MediaPart, MessageContent, MessageKey, Part, Recipient } from '../../model/event.ts';
import { formatMessageKey } from '../../model/event.ts';
import { parseIsoInstant, receiptInstant } from '../../model/time.ts';
import type { Instant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../connector.ts';
import type { Connector } from '../connector.ts';
import { isJsonObject, parseJsonSafely, sliceJsonElements } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { SIGNATURE_SCHEMES } from '../signatures.ts';
import {
  isStandardEventType,
  STANDARD_ENVELOPE,
  STANDARD_EVENT_DATA,
  STANDARD_EVENTS_MAX,
} from './standard-webhooks-schema.ts';
import type {
  StandardAddress,
  StandardEventData,
  StandardEventType,
  StandardMedium,
  StandardParty,
} from './standard-webhooks-schema.ts';

const PLATFORM = 'standard-webhooks';

/**
 * Reads one event or `{"events": […]}`. Where events concern several messages the envelope is cut: each part is the exact bytes of its event.
 * @throws UnreadableEnvelope where any of them cannot be read; the reason names position and field, and quotes nothing
 */
export function readStandardEvents(envelope: Envelope, source: SourceView): readonly EnvelopePart[] {
  return readEnvelope(envelope, source, false);
}

/** As `readStandardEvents`, but a bad event of a batch is kept as quarantine, and the others go on. */
function readWebhook(envelope: Envelope, source: SourceView): readonly EnvelopePart[] {
  return readEnvelope(envelope, source, true);
}

type Context = {
  readonly source: SourceView;
  readonly receivedAtMs: number;
  /** Id of the delivery, the same when it is sent again. */
  readonly delivery: string | undefined;
};

function readEnvelope(envelope: Envelope, source: SourceView, setAside: boolean): readonly EnvelopePart[] {
  const value = parseJsonSafely(envelope.body);
  const delivery = findHeader(envelope.headers, 'webhook-id');
  const context: Context = { source, receivedAtMs: envelope.receivedAtMs, delivery };
  const batch = isJsonObject(value) && !('type' in value) ? value['events'] : undefined;
  if (!Array.isArray(batch)) return [{ events: readEvent(value, context, 'the event') }];
  if (batch.length > STANDARD_EVENTS_MAX) throw new UnreadableEnvelope(`more than ${STANDARD_EVENTS_MAX} events`);
  const slices = sliceJsonElements(envelope.body, 'events');
  const parts: EnvelopePart[] = [];
  for (const [index, element] of (batch as readonly unknown[]).entries()) {
    const body = slices[index];
    if (body === undefined) throw new UnreadableEnvelope('the events cannot be told apart');
    parts.push({ body, events: readOrSetAside(element, body, { ...context, delivery: undefined }, index, setAside) });
  }
  const subjects = new Set(parts.flatMap((part) => part.events.map((event) => formatMessageKey(event.target))));
  return subjects.size === 1 ? [{ events: parts.flatMap((part) => part.events) }] : parts;
}

function readOrSetAside(
  value: unknown,
  slice: Uint8Array,
  context: Context,
  index: number,
  setAside: boolean,
): Event[] {
  try {
    return readEvent(value, context, `event ${index}`);
  } catch (cause) {
    if (!setAside || !(cause instanceof UnreadableEnvelope)) throw cause;
    const digest = createHash('sha256').update(slice).digest('hex').slice(0, 32);
    return [
      {
        kind: 'quarantine',
        reason: cause.reason,
        target: { platform: context.source.platform, account: accountOf(context, {}), id: `quarantine:${digest}` },
        occurredAt: receiptInstant(context.receivedAtMs),
        dedupe: `quarantine|${digest}`,
      },
    ];
  }
}

function readEvent(value: unknown, context: Context, place: string): Event[] {
  const event = check(STANDARD_ENVELOPE, value, place);
  const at = timeOf(event.timestamp, context);
  const eventId = event.id ?? context.delivery;
  const {
    type: _type,
    timestamp: _timestamp,
    id: _id,
    data: _data,
    version: _version,
    ...around
  } = event as JsonObject;
  if (!isStandardEventType(event.type)) return [unknownEvent(event, at, eventId, context)];
  const read = (): Event => {
    switch (event.type as StandardEventType) {
      case 'message.created':
        return createdEvent(check(STANDARD_EVENT_DATA['message.created'], event.data, `${place}.data`), at, context);
      case 'message.edited':
        return editedEvent(
          check(STANDARD_EVENT_DATA['message.edited'], event.data, `${place}.data`),
          at,
          eventId,
          context,
        );
      case 'message.deleted':
        return deletedEvent(check(STANDARD_EVENT_DATA['message.deleted'], event.data, `${place}.data`), at, context);
      case 'message.status':
        return statusEvent(check(STANDARD_EVENT_DATA['message.status'], event.data, `${place}.data`), at, context);
      case 'reaction.added':
      case 'reaction.removed':
        return reactionEvent(
          event.type,
          check(STANDARD_EVENT_DATA['reaction.added'], event.data, `${place}.data`),
          at,
          context,
        );
      case 'consent.changed':
        return consentEvent(check(STANDARD_EVENT_DATA['consent.changed'], event.data, `${place}.data`), at, context);
      case 'participant.joined':
      case 'participant.left':
        return participantEvent(
          event.type,
          check(STANDARD_EVENT_DATA['participant.joined'], event.data, `${place}.data`),
          at,
          context,
        );
      case 'conversation.updated':
        return conversationEvent(
          check(STANDARD_EVENT_DATA['conversation.updated'], event.data, `${place}.data`),
          at,
          context,
        );
      default:
        return assertNever(event.type);
    }
  };
  const known = read();
  return [Object.keys(around).length === 0 ? known : { ...known, extra: { ...known.extra, event: around } }];
}

/** Checks a value; the error names the field and what was expected of it, never what was there. */
function check<Schema extends z.ZodType>(schema: Schema, value: unknown, place: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? [])
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('');
  throw new UnreadableEnvelope(`${place}${path}: ${issue?.message ?? 'is not as the schema says'}`);
}

function timeOf(text: string, context: Context): Instant {
  return parseIsoInstant(text, 'provider') ?? receiptInstant(context.receivedAtMs);
}

function accountOf(context: Context, data: { readonly account?: string }): string {
  return data.account ?? context.source.account ?? 'default';
}

type Subject = { readonly id: string; readonly conversation?: string; readonly account?: string };

function keyOf(data: Subject, context: Context): MessageKey {
  return {
    platform: context.source.platform,
    account: accountOf(context, data),
    ...(data.conversation === undefined ? {} : { conversation: data.conversation }),
    id: data.id,
  };
}

/** Fields of the data that the schema does not name. */
function extraOf(type: StandardEventType, data: object): { readonly extra?: Readonly<Record<string, unknown>> } {
  const { shape } = STANDARD_EVENT_DATA[type];
  const rest = Object.entries(data).filter(([name]) => !Object.hasOwn(shape, name));
  return rest.length === 0 ? {} : { extra: Object.fromEntries(rest) };
}

function createdEvent(data: StandardEventData<'message.created'>, at: Instant, context: Context): Event {
  const key = keyOf(data, context);
  return {
    kind: 'message.created',
    target: key,
    occurredAt: data.sentAt === undefined ? at : timeOf(data.sentAt, context),
    dedupe: `created|${data.id}`,
    content: contentOf(data, key, context),
    ...extraOf('message.created', data),
  };
}

function contentOf(data: StandardEventData<'message.created'>, key: MessageKey, context: Context): MessageContent {
  const body = bodyOf(data);
  const media = (data.media ?? []).map(mediaPart);
  // What the schema lets through beyond its own fields stays in the raw slice; here only the fields that parts have.
  const parts: Part[] = [...media, ...((data.parts ?? []) as readonly Part[])];
  const times = Object.entries(data.times ?? {}).map(([name, text]) => [name, timeOf(text, context)] as const);
  const relations = relationsOf(data, key);
  const business = businessOf(data);
  const isEmpty = body === undefined && parts.length === 0;
  const stop = data.optOut === 'STOP' && data.types?.includes('optout.request') !== true;
  const types = [...(data.types ?? []), ...(stop ? ['optout.request'] : [])];
  return {
    ...endsOf(data, context),
    channel: data.channel,
    direction: data.direction,
    directionBasis: 'provider',
    threadKind: data.threadKind ?? (data.to.length > 1 ? 'group' : 'direct'),
    ...(data.threadTitle === undefined ? {} : { threadTitle: data.threadTitle }),
    ...(data.sentAt === undefined ? {} : { sentAt: timeOf(data.sentAt, context) }),
    ...(times.length === 0 ? {} : { times: Object.fromEntries(times) }),
    ...(body === undefined ? {} : { body }),
    parts,
    contentState: data.contentState ?? (isEmpty ? 'missing-provider' : 'present'),
    origin: data.origin ?? 'unknown',
    ...(data.actor === undefined ? {} : { actor: data.actor }),
    ...(relations === undefined ? {} : { relations }),
    ...smsOf(data),
    ...(business === undefined ? {} : { business }),
    ...(data.aliases === undefined ? {} : { aliases: data.aliases.map(({ system, id }) => ({ system, id })) }),
    ...(types.length === 0 ? {} : { types }),
    ...(data.brand === undefined ? {} : { brand: data.brand }),
  };
}

function relationsOf(data: StandardEventData<'message.created'>, key: MessageKey): MessageContent['relations'] {
  const { replyTo, threadRoot, quotedText, forwarded } = data;
  if (replyTo === undefined && threadRoot === undefined && quotedText === undefined && forwarded === undefined)
    return undefined;
  return {
    ...(replyTo === undefined ? {} : { replyTo: { ...key, id: replyTo } }),
    ...(threadRoot === undefined ? {} : { threadRoot: { ...key, id: threadRoot } }),
    ...(quotedText === undefined ? {} : { quotedText }),
    ...(forwarded === undefined ? {} : { forwarded }),
  };
}

function businessOf(data: StandardEventData<'message.created'>): MessageContent['business'] {
  const { campaignId, clientRef, tags, orders, optOut } = data;
  if ([campaignId, clientRef, tags, orders, optOut].every((value) => value === undefined)) return undefined;
  return {
    ...(campaignId === undefined ? {} : { campaignId }),
    ...(clientRef === undefined ? {} : { clientRef }),
    ...(tags === undefined ? {} : { tags }),
    ...(orders === undefined
      ? {}
      : { orders: orders.map(({ system, id }) => ({ system, id, method: 'explicit' as const })) }),
    ...(optOut === undefined ? {} : { optOut }),
  };
}

function smsOf(data: StandardEventData<'message.created'>): Pick<MessageContent, 'sms'> {
  const { segments, price } = data;
  if (segments === undefined && price === undefined) return {};
  return {
    sms: {
      ...(segments === undefined ? {} : { segments }),
      ...(price === undefined ? {} : { price: { amount: price.amount, currency: price.currency } }),
    },
  };
}

function bodyOf(
  data: Pick<StandardEventData<'message.edited'>, 'text' | 'format' | 'subject' | 'language'>,
): Body | undefined {
  if (data.text === undefined && data.subject === undefined) return undefined;
  return {
    text: data.text ?? '',
    format: data.format ?? 'plain',
    ...(data.subject === undefined ? {} : { subject: data.subject }),
    ...(data.language === undefined ? {} : { language: data.language }),
  };
}

/** A medium; inline bytes travel as a `data:` URL (RFC 2397), which is stored without any network. */
function mediaPart(medium: StandardMedium, index: number): MediaPart {
  const mime = medium.mimeType;
  const url =
    medium.base64 === undefined ? medium.url : `data:${mime ?? 'application/octet-stream'};base64,${medium.base64}`;
  return {
    kind: 'media',
    index,
    ...(medium.id === undefined ? {} : { providerMediaId: medium.id }),
    ...(url === undefined ? {} : { url }),
    ...(mime === undefined ? {} : { mimeDeclared: mime }),
    ...(medium.bytes === undefined ? {} : { bytesDeclared: medium.bytes }),
    ...(medium.sha256 === undefined ? {} : { sha256Declared: medium.sha256.toLowerCase() }),
    ...(medium.fileName === undefined ? {} : { fileName: medium.fileName }),
    ...(medium.caption === undefined ? {} : { caption: medium.caption }),
    ...(medium.role === undefined ? {} : { role: medium.role }),
  };
}

type EndsData = Pick<StandardEventData<'message.created'>, 'channel' | 'direction' | 'from' | 'to' | 'thread'>;

/** Ends and thread: the sender's id of the thread, or the shop's end and the others in order; SMS and MMS share a thread. */
function endsOf(data: EndsData, context: Context): Pick<MessageContent, 'from' | 'to' | 'thread'> {
  const [fromKind, toKind] = KINDS[data.direction];
  const from = partyOf(data.from, fromKind, context);
  const to = data.to.map((one): Recipient => ({
    ...partyOf(one, toKind, context),
    role: data.to.length > 1 ? 'group' : 'to',
  }));
  if (data.thread !== undefined) return { from, to, thread: [data.thread] };
  const channel = data.channel === 'mms' ? 'sms' : data.channel;
  const all = [from, ...to];
  const shop = all.find((one) => one.kind === 'shop');
  const others = all.filter((one) => one !== shop).map((one) => addressKey(one.address));
  return { from, to, thread: [channel, ...(shop === undefined ? [] : [addressKey(shop.address)]), ...others.sort()] };
}

const KINDS: Readonly<Record<MessageContent['direction'], readonly [PartyKind, PartyKind]>> = {
  inbound: ['customer', 'shop'],
  outbound: ['shop', 'customer'],
  internal: ['agent', 'agent'],
  unknown: ['unknown', 'unknown'],
};

function partyOf(party: StandardParty, kind: PartyKind, context: Context): PartyRef {
  if (typeof party === 'string') return { kind, address: addressOf(party, context) };
  return {
    kind: party.kind ?? kind,
    address: addressOf(party.address, context),
    ...(party.also === undefined ? {} : { also: party.also.map((one) => addressOf(one, context)) }),
    ...(party.name === undefined ? {} : { name: party.name }),
  };
}

const PHONES: ReadonlySet<string> = new Set(['e164', 'phone_raw']);

function addressOf(given: StandardAddress, context: Context): Address {
  if (typeof given === 'string') {
    return given.includes('@') ? emailAddress(given) : parsePhoneAddress(given, context.source.region);
  }
  const { scheme, value, scope } = given;
  if (scheme === 'email') return emailAddress(value);
  // What is said to be a number is read as one, so that it meets the same number from elsewhere.
  if (PHONES.has(scheme)) return parsePhoneAddress(value, context.source.region);
  return { scheme, value, ...(scope === undefined ? {} : { scope }) };
}

function emailAddress(text: string): Address {
  const value = text.trim().toLowerCase();
  return value === text ? { scheme: 'email', value } : { scheme: 'email', value, raw: text };
}

function editedEvent(
  data: StandardEventData<'message.edited'>,
  at: Instant,
  eventId: string | undefined,
  context: Context,
): Event {
  const body = bodyOf(data);
  return {
    kind: 'message.edited',
    target: keyOf(data, context),
    occurredAt: at,
    dedupe: `edited|${data.id}|${eventId ?? at.ms}`,
    ...(body === undefined ? {} : { body }),
    ...(data.media === undefined ? {} : { parts: data.media.map(mediaPart) }),
    ...(data.editedBy === undefined ? {} : { editedBy: partyOf(data.editedBy, 'unknown', context) }),
    ...extraOf('message.edited', data),
  };
}

function deletedEvent(data: StandardEventData<'message.deleted'>, at: Instant, context: Context): Event {
  return {
    kind: 'message.deleted',
    target: keyOf(data, context),
    occurredAt: at,
    dedupe: `deleted|${data.id}`,
    by: data.by ?? 'unknown',
    scope: data.scope ?? 'everyone',
    ...extraOf('message.deleted', data),
  };
}

function statusEvent(data: StandardEventData<'message.status'>, at: Instant, context: Context): Event {
  const recipient = data.recipient === undefined ? undefined : addressOf(data.recipient, context);
  const { channel, direction, from, to, thread } = data;
  const isWhole = channel !== undefined && direction !== undefined && from !== undefined && to !== undefined;
  return {
    kind: 'message.status',
    target: keyOf(data, context),
    occurredAt: at,
    dedupe: `status|${data.id}|${data.rawState ?? data.state}|${recipient?.value ?? ''}|${data.errorCode ?? ''}`,
    state: data.state as DeliveryState,
    rawState: data.rawState ?? data.state,
    ...(recipient === undefined ? {} : { recipient }),
    ...(data.errorCode === undefined ? {} : { errorCode: data.errorCode }),
    ...(data.errorText === undefined ? {} : { errorText: data.errorText }),
    ...(isWhole
      ? {
          shell: {
            ...endsOf({ channel, direction, from, to, ...(thread === undefined ? {} : { thread }) }, context),
            channel,
            direction,
            threadKind: to.length > 1 ? 'group' : 'direct',
          },
        }
      : {}),
    ...extraOf('message.status', data),
  };
}

function reactionEvent(
  kind: 'reaction.added' | 'reaction.removed',
  data: StandardEventData<'reaction.added'>,
  at: Instant,
  context: Context,
): Event {
  const by = partyOf(data.by, 'customer', context);
  return {
    kind,
    target: keyOf(data, context),
    occurredAt: at,
    dedupe: `${kind}|${data.id}|${addressKey(by.address)}|${data.emoji}|${at.ms}`,
    emoji: data.emoji,
    by,
    ...extraOf(kind, data),
  };
}

function consentEvent(data: StandardEventData<'consent.changed'>, at: Instant, context: Context): Event {
  const party = partyOf(data.party, 'customer', context);
  const endpoint = addressOf(data.endpoint, context);
  const pair = `${addressKey(party.address)}|${addressKey(endpoint)}`;
  return {
    kind: 'consent.changed',
    target: keyOf({ ...data, id: data.id ?? `consent|${pair}` }, context),
    occurredAt: at,
    dedupe: `consent|${pair}|${data.change}|${at.ms}`,
    party,
    endpoint,
    change: data.change,
    ...(data.words === undefined ? {} : { words: data.words }),
    ...extraOf('consent.changed', data),
  };
}

function participantEvent(
  kind: 'participant.joined' | 'participant.left',
  data: StandardEventData<'participant.joined'>,
  at: Instant,
  context: Context,
): Event {
  const party = partyOf(data.party, 'unknown', context);
  return {
    kind,
    target: keyOf({ ...data, id: `thread|${data.thread}` }, context),
    occurredAt: at,
    dedupe: `${kind}|${data.thread}|${addressKey(party.address)}|${at.ms}`,
    party,
    thread: [data.thread],
    ...extraOf(kind, data),
  };
}

function conversationEvent(data: StandardEventData<'conversation.updated'>, at: Instant, context: Context): Event {
  return {
    kind: 'conversation.updated',
    target: keyOf({ ...data, id: `thread|${data.thread}` }, context),
    occurredAt: at,
    dedupe: `conversation.updated|${data.thread}|${at.ms}`,
    thread: [data.thread],
    ...(data.title === undefined ? {} : { title: data.title }),
    ...(data.status === undefined ? {} : { status: data.status }),
    ...extraOf('conversation.updated', data),
  };
}

/** A type that this version does not know: kept under its name, about whatever message its data name. */
function unknownEvent(
  event: z.output<typeof STANDARD_ENVELOPE>,
  at: Instant,
  eventId: string | undefined,
  context: Context,
): Event {
  const { id, account, conversation } = {
    id: event.data['id'],
    account: event.data['account'],
    conversation: event.data['conversation'],
  };
  const subject = [id, eventId, `${event.type}|${event.timestamp}`].find(
    (one) => typeof one === 'string' && one !== '' && one.length <= 512,
  );
  return {
    kind: 'unknown',
    name: event.type,
    target: keyOf(
      {
        id: String(subject),
        ...(typeof account === 'string' ? { account } : {}),
        ...(typeof conversation === 'string' ? { conversation } : {}),
      },
      context,
    ),
    occurredAt: at,
    ...(eventId === undefined ? {} : { dedupe: `event|${eventId}` }),
    extra: event.data,
  };
}

/** Any program that signs with Standard Webhooks: see the head of this file. */
export const STANDARD_WEBHOOKS: Connector = {
  name: PLATFORM,
  version: 1,
  title: 'Any program, by Standard Webhooks',
  platform: PLATFORM,
  signature: SIGNATURE_SCHEMES['standard-webhooks'],
  settings: [],
  read: readWebhook,
  acknowledgement: { status: 200, contentType: 'application/json', body: '{}' },
  media: { hosts: [], credentialHosts: [], bytesMax: 100 * 1024 * 1024, lossAfterMs: 7 * 86_400_000 },
  setupSteps: (hookUrl) => [
    `POST events as JSON to ${hookUrl}, Content-Type: application/json. The events are described in docs/connect/standard-webhooks.md.`,
    'Sign each request by Standard Webhooks: headers webhook-id, webhook-timestamp (seconds) and webhook-signature, with the secret (whsec_…) of this source. An Ed25519 public key (whpk_…) can stand in its place.',
    'Send the same webhook-id again when you repeat a delivery. Repeat on any answer that is not 2xx, and on none within 15 seconds.',
    'To change the secret, add the new one to this source first, and sign with both for as long as you like.',
  ],
  captures: [
    'whatever your program sends: messages with media, edits, deletions, reactions, delivery, consent, participants',
  ],
  doesNotGive: ['what your program does not send'],
};
