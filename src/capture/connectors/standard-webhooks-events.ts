/**
 * What a generic event means: from the checked data of each type to an event of the model, with the natural key under which it is the same
 * event when it is sent again.
 */
import type { z } from 'zod';
import { checkShape } from '../../model/check-shape.ts';
import { addressKey } from '../../model/address.ts';
import type { DeliveryState } from '../../model/delivery.ts';
import { assertNever } from '../../model/errors.ts';
import type { Event, MessageKey } from '../../model/event.ts';
import type { Instant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import type { JsonObject } from '../json.ts';
import {
  addressOf,
  bodyOf,
  contentOf,
  endsOf,
  mediaPart,
  partyOf,
  smsOf,
  timeOf,
} from './standard-webhooks-content.ts';
import type { EventContext } from './standard-webhooks-content.ts';
import { isStandardEventType, STANDARD_ENVELOPE, STANDARD_EVENT_DATA } from './standard-webhooks-schema.ts';
import type { StandardEventData, StandardEventType } from './standard-webhooks-schema.ts';

/**
 * Says what one event means.
 * @param place what the event is called in the reason, e.g. `event 3`
 * @throws UnreadableEnvelope where it is not as the schema says; the reason names the field and quotes nothing
 */
export function readStandardEvent(value: unknown, context: EventContext, place: string): Event {
  const event = check(STANDARD_ENVELOPE, value, place);
  const at = timeOf(event.timestamp, context);
  const eventId = event.id ?? context.delivery;
  const read = readData(event, { at, eventId, place: `${place}.data` }, context);
  const {
    type: _type,
    timestamp: _timestamp,
    id: _id,
    data: _data,
    version: _version,
    ...around
  } = event as JsonObject;
  return Object.keys(around).length === 0 ? read : { ...read, extra: { ...read.extra, event: around } };
}

type Facts = { readonly at: Instant; readonly eventId: string | undefined; readonly place: string };

function readData(event: z.output<typeof STANDARD_ENVELOPE>, facts: Facts, context: EventContext): Event {
  const { type, data } = event;
  const { at, eventId, place } = facts;
  if (!isStandardEventType(type)) return unknownEvent(event, at, eventId, context);
  switch (type) {
    case 'message.created':
      return createdEvent(check(STANDARD_EVENT_DATA[type], data, place), at, context);
    case 'message.edited':
      return editedEvent(check(STANDARD_EVENT_DATA[type], data, place), at, eventId, context);
    case 'message.deleted':
      return deletedEvent(check(STANDARD_EVENT_DATA[type], data, place), at, context);
    case 'message.status':
      return statusEvent(check(STANDARD_EVENT_DATA[type], data, place), at, context);
    case 'reaction.added':
    case 'reaction.removed':
      return reactionEvent(type, check(STANDARD_EVENT_DATA[type], data, place), at, context);
    case 'consent.changed':
      return consentEvent(check(STANDARD_EVENT_DATA[type], data, place), at, context);
    case 'participant.joined':
    case 'participant.left':
      return participantEvent(type, check(STANDARD_EVENT_DATA[type], data, place), at, context);
    case 'conversation.updated':
      return conversationEvent(check(STANDARD_EVENT_DATA[type], data, place), at, context);
    default:
      return assertNever(type);
  }
}

/** Checks a value; the error names the field and what was expected of it, never what was there. */
function check<Schema extends z.ZodType>(schema: Schema, value: unknown, place: string): z.output<Schema> {
  const result = checkShape(schema, value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? [])
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('');
  throw new UnreadableEnvelope(`${place}${path}: ${issue?.message ?? 'is not as the schema says'}`);
}

/** The account within which ids mean something. */
export function accountOf(context: EventContext, data: { readonly account?: string }): string {
  return data.account ?? context.source.account ?? 'default';
}

type Subject = { readonly id: string; readonly conversation?: string; readonly account?: string };

function keyOf(data: Subject, context: EventContext): MessageKey {
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

function createdEvent(data: StandardEventData<'message.created'>, at: Instant, context: EventContext): Event {
  const key = keyOf(data, context);
  // Whoever gives no other time says by the event's own when the message was written.
  const sentAt = data.sentAt === undefined ? at : timeOf(data.sentAt, context);
  return {
    kind: 'message.created',
    target: key,
    occurredAt: sentAt,
    dedupe: `created|${data.id}`,
    content: { ...contentOf(data, key, context), ...(sentAt.origin === 'provider' ? { sentAt } : {}) },
    ...extraOf('message.created', data),
  };
}

function editedEvent(
  data: StandardEventData<'message.edited'>,
  at: Instant,
  eventId: string | undefined,
  context: EventContext,
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

function deletedEvent(data: StandardEventData<'message.deleted'>, at: Instant, context: EventContext): Event {
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

function statusEvent(data: StandardEventData<'message.status'>, at: Instant, context: EventContext): Event {
  const recipient = data.recipient === undefined ? undefined : addressOf(data.recipient, context);
  const { channel, direction, from, to, thread } = data;
  const sms = smsOf(data, context);
  // A price is settled later than the state that it belongs to: the report that brings one is an event of its own.
  const price = data.price === undefined ? '' : `|${data.price.amount} ${data.price.currency}`;
  const isWhole = channel !== undefined && direction !== undefined && from !== undefined && to !== undefined;
  return {
    kind: 'message.status',
    target: keyOf(data, context),
    occurredAt: at,
    dedupe: `status|${data.id}|${data.rawState ?? data.state}|${recipient?.value ?? ''}|${data.errorCode ?? ''}${price}`,
    state: data.state as DeliveryState,
    rawState: data.rawState ?? data.state,
    ...(recipient === undefined ? {} : { recipient }),
    ...(data.errorCode === undefined ? {} : { errorCode: data.errorCode }),
    ...(data.errorText === undefined ? {} : { errorText: data.errorText }),
    ...(sms === undefined ? {} : { sms }),
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
  context: EventContext,
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

function consentEvent(data: StandardEventData<'consent.changed'>, at: Instant, context: EventContext): Event {
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
  context: EventContext,
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

function conversationEvent(data: StandardEventData<'conversation.updated'>, at: Instant, context: EventContext): Event {
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
  context: EventContext,
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
