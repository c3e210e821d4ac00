/**
 * Answers of Twilio's REST API, asked for by us: pages of the message list, one message, one message of a conversation, and the list of a
 * message's media. The list is the complete answer for what the shop's own tools sent.
 * Reference: Twilio, "Message resource", "Media subresource", "Conversation message resource".
 */
import type { Envelope, EnvelopePart } from '../../model/envelope.ts';
import type { Event, MessageContent, MessageKey, SmsInfo } from '../../model/event.ts';
import type { Instant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import type { MediaList } from '../connector.ts';
import { isJsonObject, parseJsonSafely } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { isOptOutWord } from '../opt-out-words.ts';
import {
  apiBaseOf,
  createdEvent,
  firstTime,
  isMultimediaSid,
  messageKey,
  parseCount,
  parseTwilioTime,
  readEnds,
  statusEvent,
  pathElement,
} from './twilio-common.ts';
import type { Ends, ReadContext } from './twilio-common.ts';
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
 * Reads an answer of the REST API: a page of messages, one message, or one message of a conversation.
 * @throws UnreadableEnvelope where it is none of them
 */
export function readRestAnswer(envelope: Envelope, context: ReadContext): EnvelopePart[] {
  const value = parseJsonSafely(envelope.body);
  if (!isJsonObject(value)) throw new UnreadableEnvelope('the answer is no JSON object');
  const { messages } = value;
  if (Array.isArray(messages))
    return cutByMessage(envelope, 'messages', messages, context, (element) => readResource(element, context));
  return [{ events: readResource(value, context) }];
}

/** A message resource of the REST API, by its SID. */
function readResource(value: unknown, context: ReadContext): Event[] {
  if (!isJsonObject(value) || typeof value['sid'] !== 'string') throw new UnreadableEnvelope('no message resource');
  if (value['sid'].startsWith('IM')) return readConversationResource(value, context);
  return readMessageResource(value, value['sid'], context);
}

const RESOURCE_PLACED: ReadonlySet<string> = new Set([
  'sid',
  'account_sid',
  'api_version',
  'body',
  'date_created',
  'date_sent',
  'date_updated',
  'direction',
  'error_code',
  'error_message',
  'from',
  'messaging_service_sid',
  'num_media',
  'num_segments',
  'price',
  'price_unit',
  'status',
  'subresource_uris',
  'to',
  'uri',
]);

/** States in which a sender may still be chosen, so that the thread is not known yet. */
const BEFORE_SENDER: ReadonlySet<string> = new Set(['accepted', 'scheduled', 'queued']);

function readMessageResource(value: JsonObject, sid: string, context: ReadContext): Event[] {
  const key = messageKey(context, textOf(value['account_sid']), sid);
  const direction = textOf(value['direction']) === 'inbound' ? 'inbound' : 'outbound';
  const from = textOf(value['from']);
  const status = textOf(value['status']) ?? '';
  if (direction === 'inbound' && context.isList && isYoung(value, context)) return [];
  const mediaCount = Math.min(parseCount(value['num_media']) ?? 0, MEDIA_MAX);
  const ends = readEnds({
    direction,
    from,
    to: textOf(value['to']),
    messagingServiceSid: textOf(value['messaging_service_sid']),
    multimedia: mediaCount > 0 || isMultimediaSid(sid),
  });
  const sms = smsOf(value, value['num_segments']);
  const extra = collectExtra(value, RESOURCE_PLACED, undefined);
  const events: Event[] = [];
  if (direction === 'inbound' || from !== undefined || !BEFORE_SENDER.has(status)) {
    const at = firstTime(context, value['date_sent'], value['date_created']);
    const content = resourceContent(value, { direction, mediaCount, mediaUrl: mediaListUrl(key, context) }, ends, sms);
    events.push(createdEvent(key, at, content, extra));
  }
  // An inbound text's state is that it was received, which the text itself says.
  if (status !== '' && (direction === 'outbound' || status !== 'received')) {
    events.push(
      statusEvent({
        key,
        rawState: status,
        recipient: direction === 'outbound' ? ends.to[0]?.address : undefined,
        errorCode: scalarText(value['error_code']),
        errorText: textOf(value['error_message']),
        occurredAt: firstTime(context, value['date_updated'], value['date_sent']),
        shell: { ...ends, direction },
        sms,
      }),
    );
  }
  return events;
}

/** Time for the webhook of an inbound text to arrive before the list tells of it, milliseconds. */
const WEBHOOK_WAIT_MS = 600_000;

/**
 * Is its webhook still to be expected? What tells of a text first is its content, and the webhook says more (names, buttons, places, what it
 * answers): a list that was asked for in the second between text and webhook must not take its place. The next list has the text again.
 */
function isYoung(value: JsonObject, context: ReadContext): boolean {
  const created = parseTwilioTime(value['date_created']);
  return created !== undefined && context.receivedAtMs - created.ms < WEBHOOK_WAIT_MS;
}

function resourceContent(
  value: JsonObject,
  facts: {
    readonly direction: 'inbound' | 'outbound';
    readonly mediaCount: number;
    readonly mediaUrl: string;
  },
  ends: Ends,
  sms: SmsInfo | undefined,
): MessageContent {
  const { direction, mediaCount } = facts;
  const text = typeof value['body'] === 'string' ? value['body'] : '';
  const sentAt = parseTwilioTime(value['date_sent']);
  const times: Record<string, Instant> = {};
  for (const [name, field] of [
    ['dateCreated', 'date_created'],
    ['dateUpdated', 'date_updated'],
  ] as const) {
    const instant = parseTwilioTime(value[field]);
    if (instant !== undefined) times[name] = instant;
  }
  const business = businessOf(value['messaging_service_sid'], value['tags']);
  const isReply = value['direction'] === 'outbound-reply';
  return {
    ...ends,
    direction,
    directionBasis: 'provider',
    ...(sentAt === undefined ? {} : { sentAt }),
    ...(Object.keys(times).length === 0 ? {} : { times }),
    ...(text === '' ? {} : { body: { text, format: 'plain' } }),
    parts: mediaPlaces(mediaCount, facts.mediaUrl),
    // A text without words or media was redacted, or was a card that the resource does not show.
    contentState: text === '' && mediaCount === 0 ? 'missing-provider' : 'present',
    origin: direction === 'inbound' ? 'unknown' : isReply ? 'auto-reply' : 'provider-api',
    ...(direction === 'inbound' ? { actor: { type: 'customer' } } : {}),
    ...(sms === undefined ? {} : { sms }),
    ...(business === undefined ? {} : { business }),
    ...(direction === 'inbound' && isOptOutWord(text) ? { types: ['optout.request'] } : {}),
  };
}

/** Where the list of a message's media is. */
function mediaListUrl(key: MessageKey, context: ReadContext): string {
  const account = pathElement(key.account);
  return `${apiBaseOf(context.source)}/2010-04-01/Accounts/${account}/Messages/${pathElement(key.id)}/Media.json`;
}

/** The list that names a message's media (Twilio, "Media subresource"): the message resource only counts them. */
export const TWILIO_MEDIA_LIST: MediaList = {
  isList: (url) => /\/2010-04-01\/Accounts\/[^/?#]+\/Messages\/[^/?#]+\/Media\.json$/.test(url),
  locate(url, bytes, part) {
    let list: unknown;
    try {
      list = parseJsonSafely(bytes);
    } catch {
      return undefined;
    }
    const media = isJsonObject(list) ? list['media_list'] : undefined;
    const medium: unknown = Array.isArray(media) ? media[part] : undefined;
    const uri = isJsonObject(medium) ? medium['uri'] : undefined;
    // It is followed with credentials: only a path on the API's own host is.
    if (typeof uri !== 'string' || !/^\/2010-04-01\/Accounts\/[A-Za-z0-9/]+\.json$/.test(uri)) return undefined;
    return URL.parse(uri.slice(0, -'.json'.length), url)?.href;
  },
};

/** A conversation's message as the REST API gives it, under the webhook's names. */
function readConversationResource(value: JsonObject, context: ReadContext): Event[] {
  const fields = new Map<string, string>([['EventType', 'onMessageAdded']]);
  for (const [name, inner] of Object.entries(value)) {
    const place = CONVERSATION_RESOURCE.get(name) ?? name;
    if (inner !== null) fields.set(place, scalarText(inner) ?? JSON.stringify(inner));
  }
  return readConversationEvent(fields, context);
}

const CONVERSATION_RESOURCE: ReadonlyMap<string, string> = new Map([
  ['sid', 'MessageSid'],
  ['account_sid', 'AccountSid'],
  ['conversation_sid', 'ConversationSid'],
  ['chat_service_sid', 'ChatServiceSid'],
  ['participant_sid', 'ParticipantSid'],
  ['author', 'Author'],
  ['body', 'Body'],
  ['index', 'Index'],
  ['media', 'Media'],
  ['date_created', 'DateCreated'],
]);
