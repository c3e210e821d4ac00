/**
 * Twilio Conversations: the only one of its products that tells of edits and deletions. The same events come as webhooks (forms) and through
 * Event Streams (JSON), with the same names, so that both are read here from named fields.
 * Reference: Twilio, "Conversations webhooks" (post-action parameters), "Event types: Conversations".
 */
import type { Address, PartyRef } from '../../model/address.ts';
import type { Channel, Direction, Event, MediaPart, MessageContent, MessageKey } from '../../model/event.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { isJsonObject, parseJsonSafely } from '../json.ts';
import {
  addExtra,
  createdEvent,
  firstTime,
  messageKey,
  parseCount,
  parseEndpoint,
  parseTwilioTime,
  roleOf,
  statusEvent,
  unlessEmpty,
} from './twilio-common.ts';
import type { ReadContext } from './twilio-common.ts';

/** Fields of a conversation event by the webhook's names. */
export type ConversationFields = ReadonlyMap<string, string>;

const MEDIA_MAX = 100;

/** Is it an event of Conversations? Its post-action and pre-action names all begin with `on`. */
export function isConversationEvent(fields: ConversationFields): boolean {
  return /^on[A-Z]/.test(fields.get('EventType') ?? '');
}

/**
 * Says what an event of a conversation means. Pre-action events, users and what is not known yet become `unknown`.
 * @throws UnreadableEnvelope where account, conversation or message is not named
 */
export function readConversationEvent(fields: ConversationFields, context: ReadContext): Event[] {
  const name = fields.get('EventType') ?? '';
  switch (name) {
    case 'onMessageAdded':
      return [readAdded(fields, context)];
    case 'onMessageUpdated':
      return [readUpdated(fields, context)];
    case 'onMessageRemoved':
      return [readRemoved(fields, context)];
    case 'onDeliveryUpdated':
      return [readDelivery(fields, context)];
    case 'onParticipantAdded':
    case 'onParticipantRemoved':
      return [readParticipant(fields, context, name === 'onParticipantAdded')];
    case 'onConversationAdded':
    case 'onConversationUpdated':
    case 'onConversationStateUpdated':
    case 'onConversationRemoved':
      return [readConversation(fields, context, name)];
    default:
      return [readOther(fields, context, name)];
  }
}

function conversationOf(fields: ConversationFields): string {
  const sid = fields.get('ConversationSid');
  if (sid === undefined || sid === '') throw new UnreadableEnvelope('no conversation SID');
  return sid;
}

function keyOf(fields: ConversationFields, context: ReadContext, id: string | undefined): MessageKey {
  return { ...messageKey(context, fields.get('AccountSid'), id), conversation: conversationOf(fields) };
}

function readAdded(fields: ConversationFields, context: ReadContext): Event {
  const key = keyOf(fields, context, fields.get('MessageSid'));
  const created = parseTwilioTime(fields.get('DateCreated'));
  const text = fields.get('Body');
  const parts = readMedia(fields);
  const direction = directionOf(fields);
  const author = authorOf(fields, direction);
  const subject = fields.get('Subject');
  const service = fields.get('MessagingServiceSid');
  const content: MessageContent = {
    channel: channelOf(fields, author.address),
    direction,
    directionBasis: 'inferred',
    from: author,
    // The event names the author and the conversation; who is in it, participant events tell.
    to: [],
    thread: [conversationOf(fields)],
    threadKind: 'group',
    ...(created === undefined ? {} : { sentAt: created }),
    ...(text === undefined || (text === '' && parts.length > 0)
      ? {}
      : { body: { text, format: 'plain', ...(subject === undefined || subject === '' ? {} : { subject }) } }),
    parts,
    contentState: 'present',
    origin: direction === 'outbound' ? 'provider-api' : 'unknown',
    ...(direction === 'inbound' ? { actor: { type: 'customer' } } : {}),
    ...(service === undefined || service === '' ? {} : { business: { messagingServiceId: service } }),
  };
  const event = createdEvent(key, firstTime(context, fields.get('DateCreated')), content, collectExtra(fields, ADDED));
  const index = fields.get('Index');
  return index === undefined ? event : { ...event, sequence: index };
}

const COMMON = ['AccountSid', 'EventType', 'ConversationSid', 'MessageSid', 'RetryCount'];
const ADDED: ReadonlySet<string> = new Set([
  ...COMMON,
  'Author',
  'Body',
  'DateCreated',
  'Index',
  'Media',
  'MessagingServiceSid',
  'Subject',
]);
const UPDATED: ReadonlySet<string> = new Set([...COMMON, 'Body', 'Media', 'DateUpdated']);
const REMOVED: ReadonlySet<string> = new Set([...COMMON, 'DateRemoved']);
const DELIVERY: ReadonlySet<string> = new Set([...COMMON, 'Status', 'ErrorCode', 'DateUpdated']);
const PARTICIPANT: ReadonlySet<string> = new Set([...COMMON, 'MessagingBinding.Address', 'Identity']);
const CONVERSATION: ReadonlySet<string> = new Set([...COMMON, 'FriendlyName', 'State', 'StateTo']);
const OTHER: ReadonlySet<string> = new Set(COMMON);

function readUpdated(fields: ConversationFields, context: ReadContext): Event {
  const key = keyOf(fields, context, fields.get('MessageSid'));
  const at = fields.get('DateUpdated') ?? '';
  const text = fields.get('Body');
  const parts = fields.has('Media') ? readMedia(fields) : undefined;
  const client = fields.get('ClientIdentity');
  return {
    kind: 'message.edited',
    target: key,
    occurredAt: firstTime(context, at),
    ...(at === '' ? {} : { dedupe: `edited|${key.id}|${at}` }),
    ...(text === undefined ? {} : { body: { text, format: 'plain' } }),
    ...(parts === undefined ? {} : { parts }),
    ...(client === undefined || client === ''
      ? {}
      : { editedBy: { kind: 'unknown', address: identityOf(fields, client) } }),
    ...extraOf(fields, UPDATED),
  };
}

/** The event repeats the text that was removed; it stays in `extra`, in case nothing else told of it. */
function readRemoved(fields: ConversationFields, context: ReadContext): Event {
  const key = keyOf(fields, context, fields.get('MessageSid'));
  const client = fields.get('ClientIdentity');
  return {
    kind: 'message.deleted',
    target: key,
    occurredAt: firstTime(context, fields.get('DateRemoved'), fields.get('DateUpdated')),
    dedupe: `deleted|${key.id}`,
    by: client !== undefined && client !== '' && client === fields.get('Author') ? 'sender' : 'unknown',
    scope: 'everyone',
    ...extraOf(fields, REMOVED),
  };
}

/** Delivery of a conversation's message to one participant; `ChannelMessageSid` in `extra` names the text that carried it. */
function readDelivery(fields: ConversationFields, context: ReadContext): Event {
  const participant = fields.get('ParticipantSid');
  const recipient: Address | undefined =
    participant === undefined || participant === ''
      ? undefined
      : { scheme: 'handle', value: participant, scope: conversationOf(fields) };
  return statusEvent({
    key: keyOf(fields, context, fields.get('MessageSid')),
    rawState: fields.get('Status') ?? '',
    recipient,
    errorCode: fields.get('ErrorCode'),
    errorText: undefined,
    occurredAt: firstTime(context, fields.get('DateUpdated'), fields.get('DateCreated')),
    extra: collectExtra(fields, DELIVERY),
  });
}

function readParticipant(fields: ConversationFields, context: ReadContext, joined: boolean): Event {
  const sid = fields.get('ParticipantSid') ?? '';
  const address = fields.get('MessagingBinding.Address');
  const identity = fields.get('Identity');
  const party: PartyRef =
    address !== undefined && address !== ''
      ? { kind: 'customer', address: parseEndpoint(address).address }
      : { kind: 'unknown', address: identityOf(fields, identity === undefined || identity === '' ? sid : identity) };
  const at = fields.get(joined ? 'DateCreated' : 'DateRemoved') ?? '';
  return {
    kind: joined ? 'participant.joined' : 'participant.left',
    target: keyOf(fields, context, conversationOf(fields)),
    occurredAt: firstTime(context, at, fields.get('DateUpdated')),
    dedupe: `${joined ? 'joined' : 'left'}|${conversationOf(fields)}|${sid}|${at}`,
    party,
    thread: [conversationOf(fields)],
    ...extraOf(fields, PARTICIPANT),
  };
}

function readConversation(fields: ConversationFields, context: ReadContext, name: string): Event {
  const title = fields.get('FriendlyName');
  const status = name === 'onConversationRemoved' ? 'removed' : (fields.get('StateTo') ?? fields.get('State'));
  const at =
    fields.get('StateUpdated') ??
    fields.get('DateRemoved') ??
    fields.get('DateUpdated') ??
    fields.get('DateCreated') ??
    '';
  return {
    kind: 'conversation.updated',
    target: keyOf(fields, context, conversationOf(fields)),
    occurredAt: firstTime(context, at),
    ...(at === '' ? {} : { dedupe: `conversation|${conversationOf(fields)}|${name}|${at}` }),
    thread: [conversationOf(fields)],
    ...(title === undefined || title === '' ? {} : { title }),
    ...(status === undefined || status === '' ? {} : { status }),
    ...extraOf(fields, CONVERSATION),
  };
}

function readOther(fields: ConversationFields, context: ReadContext, name: string): Event {
  const conversation = fields.get('ConversationSid');
  const id = [fields.get('MessageSid'), conversation, fields.get('UserSid'), fields.get('ChatServiceSid')].find(
    (sid) => sid !== undefined && sid !== '',
  );
  const key = messageKey(context, fields.get('AccountSid'), id);
  return {
    kind: 'unknown',
    name: name.slice(0, 100),
    target: conversation === undefined || conversation === '' ? key : { ...key, conversation },
    occurredAt: firstTime(context, fields.get('DateUpdated'), fields.get('DateCreated')),
    ...extraOf(fields, OTHER),
  };
}

/** Carriers' texts come from customers; what the API posted is the shop's; the SDK serves customers and agents alike. */
function directionOf(fields: ConversationFields): Direction {
  const source = (fields.get('Source') ?? '').toUpperCase();
  if (source === 'API') return 'outbound';
  return source === 'SDK' || source === '' ? 'unknown' : 'inbound';
}

function authorOf(fields: ConversationFields, direction: Direction): PartyRef {
  const author = fields.get('Author') ?? '';
  const kind = direction === 'inbound' ? 'customer' : direction === 'outbound' ? 'shop' : 'unknown';
  if (/^(?:[a-z]+:)?\+\d+$/i.test(author) || /^(?:whatsapp|rcs|messenger):/i.test(author)) {
    return { kind, address: parseEndpoint(author).address };
  }
  return {
    kind,
    address: identityOf(fields, author === '' ? 'system' : author),
    ...(author === '' ? {} : { name: author }),
  };
}

/** A name that means something within one chat service only. */
function identityOf(fields: ConversationFields, identity: string): Address {
  const scope = fields.get('ChatServiceSid');
  const value = identity.slice(0, 256);
  return { scheme: 'handle', value, ...(scope === undefined || scope === '' ? {} : { scope }) };
}

function channelOf(fields: ConversationFields, author: Address): Channel {
  const source = (fields.get('Source') ?? '').toLowerCase();
  for (const channel of ['sms', 'mms', 'rcs', 'whatsapp', 'messenger', 'email'] as const) {
    if (source === channel) return channel;
  }
  return author.raw?.toLowerCase().startsWith('whatsapp:') === true ? 'whatsapp' : 'chat';
}

/** Media as JSON in a field: `Sid` in webhooks, `MediaSid` in Event Streams. They lie in the Media Content Service. */
function readMedia(fields: ConversationFields): MediaPart[] {
  const text = fields.get('Media');
  if (text === undefined || text === '') return [];
  const list = parseJsonSafely(Buffer.from(text, 'utf8'));
  if (!Array.isArray(list)) throw new UnreadableEnvelope('media are no list');
  const service = fields.get('ChatServiceSid');
  return list.slice(0, MEDIA_MAX).map((item: unknown, index): MediaPart => {
    const medium = isJsonObject(item) ? item : {};
    const sid = textOf(medium['Sid'] ?? medium['MediaSid'] ?? medium['sid']);
    const mime = textOf(medium['ContentType'] ?? medium['content_type']);
    const fileName = textOf(medium['Filename'] ?? medium['filename']);
    const bytes = parseBytes(medium['Size'] ?? medium['size']);
    const canFetch = sid !== undefined && /^ME[0-9a-f]{32}$/i.test(sid) && /^IS[0-9a-f]{32}$/i.test(service ?? '');
    return {
      kind: 'media',
      index,
      ...(sid === undefined ? {} : { providerMediaId: sid }),
      ...(canFetch ? { url: `https://mcs.us1.twilio.com/v1/Services/${service}/Media/${sid}/Content` } : {}),
      ...(mime === undefined ? {} : { mimeDeclared: mime }),
      ...(fileName === undefined ? {} : { fileName }),
      ...(bytes === undefined ? {} : { bytesDeclared: bytes }),
      role: roleOf(mime, undefined),
    };
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 1_024) : undefined;
}

function parseBytes(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : parseCount(value);
}

function collectExtra(fields: ConversationFields, placed: ReadonlySet<string>): Record<string, unknown> | undefined {
  const extra: Record<string, unknown> = {};
  for (const [name, value] of fields) if (value !== '' && !placed.has(name)) addExtra(extra, name, value);
  return unlessEmpty(extra);
}

function extraOf(
  fields: ConversationFields,
  placed: ReadonlySet<string>,
): { readonly extra?: Readonly<Record<string, unknown>> } {
  const extra = collectExtra(fields, placed);
  return extra === undefined ? {} : { extra };
}
