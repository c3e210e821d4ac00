/**
 * What Event Streams and the REST API share: their envelopes are JSON that may tell of several messages, and their objects name the same things
 * in different spellings.
 */
import type { Envelope, EnvelopePart } from '../../model/envelope.ts';
import type { BusinessInfo, Event, MediaPart, MessageKey, SmsInfo } from '../../model/event.ts';
import { formatMessageKey } from '../../model/event.ts';
import { UnreadableEnvelope } from '../connector.ts';
import { isJsonObject, sliceJsonElements } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { addExtra, parseCount, unlessEmpty } from './twilio-common.ts';

/** Most media that one text is taken to have; Twilio allows ten. */
export const MEDIA_MAX = 100;
/** Most messages in one list page, and most events in one batch. */
const ELEMENTS_MAX = 5_000;

/**
 * Reads the elements of an array. Where they tell of several messages the envelope is cut, so that no record holds another message's text and
 * each can be destroyed alone: each part is then the exact bytes of its element.
 * @param member name of the array in the object that is the whole text; undefined where the array is the whole
 * @throws UnreadableEnvelope where there are too many elements, or `read` throws it
 */
export function cutByMessage(
  envelope: Envelope,
  member: string | undefined,
  elements: readonly unknown[],
  read: (element: unknown) => readonly Event[],
): EnvelopePart[] {
  if (elements.length > ELEMENTS_MAX) throw new UnreadableEnvelope(`more than ${ELEMENTS_MAX} elements`);
  const lists = elements.map(read);
  const subjects = new Set(lists.flat().map((event) => formatMessageKey(event.target)));
  if (subjects.size <= 1) return subjects.size === 0 ? [] : [{ events: lists.flat() }];
  const slices = sliceJsonElements(envelope.body, member);
  if (slices.length !== elements.length) throw new UnreadableEnvelope('the elements cannot be told apart');
  const parts: EnvelopePart[] = [];
  for (const [index, events] of lists.entries()) {
    const body = slices[index];
    if (body !== undefined && events.length > 0) parts.push({ body, events });
  }
  return parts;
}

/**
 * Places of media that are counted and not named. With a key, each carries the URL of the list that names them, in which
 * `locateTwilioMedia` finds the medium.
 */
export function mediaPlaces(count: number, key: MessageKey | undefined): MediaPart[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'media',
    index,
    ...(key === undefined
      ? {}
      : { url: `https://api.twilio.com/2010-04-01/Accounts/${key.account}/Messages/${key.id}/Media.json` }),
    role: 'other',
  }));
}

/** Segments, network and price. */
export function smsOf(data: JsonObject, segmentCount: unknown): SmsInfo | undefined {
  const segments = parseCount(segmentCount);
  const { mcc, mnc } = { mcc: scalarText(data['mcc']), mnc: scalarText(data['mnc']) };
  const amount = scalarText(data['price']);
  const currency = textOf(data['price_unit']) ?? 'USD';
  const sms: SmsInfo = {
    ...(segments === undefined ? {} : { segments }),
    ...(mcc === undefined || mcc === '' ? {} : { mcc }),
    ...(mnc === undefined || mnc === '' ? {} : { mnc }),
    ...(amount === undefined || amount === '' ? {} : { price: { amount, currency } }),
  };
  return Object.keys(sms).length === 0 ? undefined : sms;
}

/** Messaging service, tags and opt-out word. */
export function businessOf(
  service: unknown,
  tags: unknown,
  optOut?: 'STOP' | 'START' | 'HELP',
): BusinessInfo | undefined {
  const messagingServiceId = textOf(service);
  const list = isJsonObject(tags)
    ? Object.entries(tags).map(([name, value]) => `${name}=${scalarText(value) ?? JSON.stringify(value)}`)
    : [];
  if (messagingServiceId === undefined && list.length === 0 && optOut === undefined) return undefined;
  return {
    ...(messagingServiceId === undefined ? {} : { messagingServiceId }),
    ...(list.length === 0 ? {} : { tags: list }),
    ...(optOut === undefined ? {} : { optOut }),
  };
}

/** Fields without a place of their own, and what the CloudEvent says of itself. */
export function collectExtra(
  data: JsonObject,
  placed: ReadonlySet<string>,
  event: JsonObject | undefined,
): Record<string, unknown> | undefined {
  const extra: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(data)) {
    if (value !== null && value !== '' && !placed.has(name)) addExtra(extra, name, value);
  }
  if (event !== undefined) {
    const { id, source, dataschema } = { id: event['id'], source: event['source'], dataschema: event['dataschema'] };
    addExtra(extra, 'cloudEvent', { id, source, dataschema });
  }
  return unlessEmpty(extra);
}

/** A text that is not empty; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A text or number as text; undefined for anything else. */
export function scalarText(value: unknown): string | undefined {
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : undefined;
}
