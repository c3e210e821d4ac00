/**
 * What Event Streams and the REST API share: their envelopes are JSON that may tell of several messages, and their objects name the same things
 * in different spellings.
 */
import { createHash } from 'node:crypto';
import type { Envelope, EnvelopePart } from '../../model/envelope.ts';
import type { BusinessInfo, Event, MediaPart, SmsInfo } from '../../model/event.ts';
import { formatMessageKey } from '../../model/event.ts';
import { receiptInstant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { isJsonObject, sliceJsonElements } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { accountOf, addExtra, parseCount, TWILIO, unlessEmpty } from './twilio-common.ts';
import type { ReadContext } from './twilio-common.ts';

/** Most media that one text is taken to have; Twilio allows ten. */
export const MEDIA_MAX = 100;
/** Most messages in one list page, and most events in one batch. */
const ELEMENTS_MAX = 5_000;

/**
 * Reads the elements of an array. Where they tell of several messages the envelope is cut, so that no record holds another message's text and
 * each can be destroyed alone: each part is then the exact bytes of its element. An element that cannot be read is set aside as quarantine, and
 * the others go on.
 * @param member name of the array in the object that is the whole text; undefined where the array is the whole
 * @throws UnreadableEnvelope where there are too many elements, or the only one cannot be read
 */
export function cutByMessage(
  envelope: Envelope,
  member: string | undefined,
  elements: readonly unknown[],
  context: ReadContext,
  read: (element: unknown) => readonly Event[],
): EnvelopePart[] {
  if (elements.length > ELEMENTS_MAX) throw new UnreadableEnvelope(`more than ${ELEMENTS_MAX} elements`);
  if (elements.length === 1) return [{ events: read(elements[0]) }];
  const slices = sliceJsonElements(envelope.body, member);
  const parts: EnvelopePart[] = [];
  const subjects = new Set<string>();
  for (const [index, element] of elements.entries()) {
    const body = slices[index];
    if (body === undefined) throw new UnreadableEnvelope('the elements cannot be told apart');
    const events = readOrSetAside(element, body, context, read);
    for (const event of events) subjects.add(formatMessageKey(event.target));
    // Of whatever it speaks that says nothing yet: it is not of the same message.
    if (events.length === 0) subjects.add('');
    parts.push({ body, events });
  }
  return subjects.size === 1 ? [{ events: parts.flatMap((part) => part.events) }] : parts;
}

function readOrSetAside(
  element: unknown,
  slice: Uint8Array,
  context: ReadContext,
  read: (element: unknown) => readonly Event[],
): readonly Event[] {
  try {
    return read(element);
  } catch (cause) {
    if (!(cause instanceof UnreadableEnvelope)) throw cause;
    const digest = createHash('sha256').update(slice).digest('hex').slice(0, 32);
    return [
      {
        kind: 'quarantine',
        reason: cause.reason,
        target: { platform: TWILIO, account: accountOf(context.source) ?? '', id: `quarantine:${digest}` },
        occurredAt: receiptInstant(context.receivedAtMs),
        dedupe: `quarantine|${digest}`,
      },
    ];
  }
}

/** Places of media that are counted and not named. @param url of the list that names them, where there is one */
export function mediaPlaces(count: number, url?: string): MediaPart[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'media',
    index,
    ...(url === undefined ? {} : { url }),
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
