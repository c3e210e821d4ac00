/**
 * Twilio Event Streams: CloudEvents, pushed in batches, signed over the whole batch. The only push that carries the text of what the shop sent.
 * Reference: Twilio, "Event types: Messaging" (MessageStatus 8, InboundMessageV1 6) and "Event types: Conversations".
 */
import type { Envelope, EnvelopePart } from '../../model/envelope.ts';
import type { Event, MessageContent } from '../../model/event.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { isJsonObject, parseJsonSafely } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { isOptOutWord } from '../opt-out-words.ts';
import {
  accountOf,
  createdEvent,
  firstTime,
  isMultimediaSid,
  messageKey,
  parseCount,
  readEnds,
  statusEvent,
  TWILIO,
} from './twilio-common.ts';
import type { ReadContext } from './twilio-common.ts';
import { readConversationEvent } from './twilio-conversations.ts';
import {
  businessOf,
  collectExtra,
  cutByMessage,
  MEDIA_MAX,
  mediaPlaces,
  scalarText,
  smsOf,
  textOf,
} from './twilio-json.ts';

/**
 * Reads a batch of Event Streams: an array, or a single event where batching is switched off.
 * @throws UnreadableEnvelope where it is no JSON, or something in it is no CloudEvent of Twilio's
 */
export function readEventStreams(envelope: Envelope, context: ReadContext): EnvelopePart[] {
  const value = parseJsonSafely(envelope.body);
  if (!Array.isArray(value)) return [{ events: readCloudEvent(value, context) }];
  return cutByMessage(envelope, undefined, value, context, (element) => readCloudEvent(element, context));
}

function readCloudEvent(value: unknown, context: ReadContext): Event[] {
  if (!isJsonObject(value) || typeof value['type'] !== 'string')
    throw new UnreadableEnvelope('an element is no CloudEvent');
  const type = value['type'];
  const { data } = value;
  if (isJsonObject(data)) {
    if (type.startsWith('com.twilio.messaging.message.')) return readStreamStatus(value, data, context);
    if (type === 'com.twilio.messaging.inbound-message.received') return readStreamInbound(value, data, context);
    const conversation = CONVERSATION_EVENTS.get(type);
    if (conversation !== undefined) return readConversationEvent(conversationFields(conversation, data), context);
  }
  return [readStreamUnknown(value, isJsonObject(data) ? data : {}, context)];
}

const STATUS_PLACED: ReadonlySet<string> = new Set([
  'messageSid',
  'accountSid',
  'from',
  'to',
  'timestamp',
  'eventName',
  'apiVersion',
  'messageStatus',
  'messagingServiceSid',
  'errorCode',
  'body',
  'numberOfSegments',
  'mcc',
  'mnc',
]);

/**
 * A status of an outbound text, with its text. It counts as the content only where nothing can be missing: a text with media, or without
 * words (a rich card), must be asked for, since the event says nothing of them.
 */
function readStreamStatus(event: JsonObject, data: JsonObject, context: ReadContext): Event[] {
  const key = messageKey(context, textOf(data['accountSid']), textOf(data['messageSid']));
  const rawState = textOf(data['messageStatus']) ?? String(event['type']).split('.').at(-1) ?? '';
  const at = firstTime(context, data['timestamp'], event['time']);
  const ends = readEnds({
    direction: 'outbound',
    from: textOf(data['from']),
    to: textOf(data['to']),
    messagingServiceSid: textOf(data['messagingServiceSid']),
    multimedia: isMultimediaSid(key.id),
  });
  const sms = smsOf(data, data['numberOfSegments']);
  const extra = collectExtra(data, STATUS_PLACED, event);
  const events: Event[] = [];
  const text = textOf(data['body']);
  if (text !== undefined && !isMultimediaSid(key.id)) {
    const business = businessOf(data['messagingServiceSid'], data['tags']);
    const content: MessageContent = {
      ...ends,
      direction: 'outbound',
      directionBasis: 'provider',
      ...(rawState.toLowerCase() === 'sent' && at.origin === 'provider' ? { sentAt: at } : {}),
      body: { text, format: 'plain' },
      parts: [],
      contentState: 'present',
      origin: 'provider-api',
      ...(sms === undefined ? {} : { sms }),
      ...(business === undefined ? {} : { business }),
    };
    events.push(createdEvent(key, at, content, extra));
  }
  events.push(
    statusEvent({
      key,
      rawState,
      recipient: ends.to[0]?.address,
      errorCode: scalarText(data['errorCode']),
      errorText: undefined,
      occurredAt: at,
      shell: { ...ends, direction: 'outbound' },
      sms,
      extra,
    }),
  );
  return events;
}

const INBOUND_PLACED: ReadonlySet<string> = new Set([
  'messageSid',
  'accountSid',
  'from',
  'to',
  'timestamp',
  'eventName',
  'messagingServiceSid',
  'body',
  'numSegments',
  'numMedia',
  'mcc',
  'mnc',
  'optOutType',
]);

/**
 * An inbound text. Its media are counted and not named, and of other channels than SMS neither names nor buttons, places and replies: then it is
 * known to be incomplete until webhook or list tell the rest.
 */
function readStreamInbound(event: JsonObject, data: JsonObject, context: ReadContext): Event[] {
  const key = messageKey(context, textOf(data['accountSid']), textOf(data['messageSid']));
  const at = firstTime(context, data['timestamp'], event['time']);
  const mediaCount = Math.min(parseCount(data['numMedia']) ?? 0, MEDIA_MAX);
  const to = textOf(data['to']);
  const recipients = Array.isArray(data['recipients']) ? data['recipients'] : [];
  const ends = readEnds({
    direction: 'inbound',
    from: textOf(data['from']),
    to,
    messagingServiceSid: textOf(data['messagingServiceSid']),
    others: recipients.filter((one): one is string => typeof one === 'string' && one !== '' && one !== to),
    multimedia: mediaCount > 0 || isMultimediaSid(key.id),
  });
  const text = typeof data['body'] === 'string' ? data['body'] : undefined;
  const isWhole = mediaCount === 0 && ends.channel === 'sms';
  const word = data['optOutType'];
  const optOut = word === 'STOP' || word === 'START' || word === 'HELP' ? word : undefined;
  const stop = optOut === 'STOP' || (optOut === undefined && text !== undefined && isOptOutWord(text));
  const sms = smsOf(data, data['numSegments']);
  const business = businessOf(data['messagingServiceSid'], undefined, optOut);
  const content: MessageContent = {
    ...ends,
    direction: 'inbound',
    directionBasis: 'provider',
    ...(at.origin === 'provider' ? { sentAt: at } : {}),
    ...(text === undefined || (text === '' && mediaCount > 0) ? {} : { body: { text, format: 'plain' } }),
    parts: mediaPlaces(mediaCount),
    contentState: isWhole ? 'present' : 'missing-provider',
    origin: 'unknown',
    actor: { type: 'customer' },
    ...(sms === undefined ? {} : { sms }),
    ...(business === undefined ? {} : { business }),
    ...(stop ? { types: ['optout.request'] } : {}),
  };
  const created = createdEvent(key, at, content, collectExtra(data, INBOUND_PLACED, event));
  const events: Event[] = [isWhole ? created : { ...created, dedupe: `incomplete|${key.id}` }];
  const [shop] = ends.to;
  if (optOut !== undefined && shop !== undefined) {
    events.push({
      kind: 'consent.changed',
      target: key,
      occurredAt: at,
      dedupe: `consent|${key.id}|${optOut}`,
      party: ends.from,
      endpoint: shop.address,
      change: optOut === 'STOP' ? 'opt-out' : optOut === 'START' ? 'opt-in' : 'help',
      ...(text === undefined ? {} : { words: text }),
    });
  }
  return events;
}

const CONVERSATION_EVENTS: ReadonlyMap<string, string> = new Map([
  ['com.twilio.conversations.message.added', 'onMessageAdded'],
  ['com.twilio.conversations.message.updated', 'onMessageUpdated'],
  ['com.twilio.conversations.message.removed', 'onMessageRemoved'],
  ['com.twilio.conversations.delivery.updated', 'onDeliveryUpdated'],
  ['com.twilio.conversations.participant.added', 'onParticipantAdded'],
  ['com.twilio.conversations.participant.removed', 'onParticipantRemoved'],
  ['com.twilio.conversations.conversation.added', 'onConversationAdded'],
  ['com.twilio.conversations.conversation.updated', 'onConversationUpdated'],
  ['com.twilio.conversations.conversation.removed', 'onConversationRemoved'],
  ['com.twilio.conversations.conversation-state.updated', 'onConversationStateUpdated'],
]);

/** Names that Event Streams gives otherwise than webhooks do. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['MessageBody', 'Body'],
  ['MessageSubject', 'Subject'],
]);

/** Data of a conversation's CloudEvent under the webhook's names: nested values as JSON, bindings with a dot. */
function conversationFields(name: string, data: JsonObject): Map<string, string> {
  const fields = new Map<string, string>([['EventType', name]]);
  for (const [key, value] of Object.entries(data)) {
    if (value === null || key === 'EventType') continue;
    if (key === 'MessagingBinding' && isJsonObject(value)) {
      for (const [part, inner] of Object.entries(value))
        fields.set(`${key}.${part}`, scalarText(inner) ?? JSON.stringify(inner));
    } else fields.set(RENAMED.get(key) ?? key, scalarText(value) ?? JSON.stringify(value));
  }
  return fields;
}

/** An event of another kind: kept by its name, about the message that it names, if it names one. */
function readStreamUnknown(event: JsonObject, data: JsonObject, context: ReadContext): Event {
  const id = textOf(event['id']);
  const sids = [data['messageSid'], data['MessageSid'], data['sms_sid'], data['smsSid'], id, event['type']];
  const accounts = [data['accountSid'], data['AccountSid'], data['account_sid'], accountOf(context.source)];
  return {
    kind: 'unknown',
    name: String(event['type']).slice(0, 100),
    target: { platform: TWILIO, account: firstText(accounts), id: firstText(sids) },
    occurredAt: firstTime(context, event['time'], data['timestamp']),
    ...(id === undefined ? {} : { dedupe: `event|${id}` }),
    extra: { ...event },
  };
}

function firstText(values: readonly unknown[]): string {
  return values.map(textOf).find((text) => text !== undefined) ?? '';
}
