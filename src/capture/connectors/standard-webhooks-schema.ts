/**
 * The events that any program may send: a published schema, version 1. It is the contract with senders we have never met, hence:
 *
 * - fields are added, never renamed or removed; a change that would break a sender is version 2 beside version 1;
 * - a field that is not known here is never refused: of event and data it is kept in `extra`, deeper down in the raw slice; an event whose type
 *   is not known is kept as `unknown`;
 * - short forms are taken: an address may be `"+4915112345678"`, `"anna@example.com"` or an object.
 *
 * Everything here is controlled by the sender; limits keep one event from becoming an archive of its own.
 */
import { z } from 'zod';
import { ADDRESS_SCHEMES } from '../../model/address.ts';
import { DELIVERY_STATES } from '../../model/delivery.ts';
import { CHANNELS, CONTENT_STATES, DIRECTIONS } from '../../model/event.ts';
import { parseIsoInstant } from '../../model/time.ts';

/** Version of the schema; a sender may state it as `version`. */
export const STANDARD_EVENTS_VERSION = 1;
/** Most events in one request. */
export const STANDARD_EVENTS_MAX = 1_000;

const TEXT_CHARS_MAX = 256 * 1024;
const RECIPIENTS_MAX = 500;
const PARTS_MAX = 100;
/** Characters of an inline medium in base64: 6 MiB of bytes. */
const INLINE_CHARS_MAX = 8 * 1024 * 1024;

const id = z.string().min(1).max(512);
const short = z.string().max(1_024);
const text = z.string().max(TEXT_CHARS_MAX);
const time = z
  .string()
  .max(64)
  .refine((value) => parseIsoInstant(value, 'provider') !== undefined, 'is no RFC 3339 date and time')
  .meta({ description: 'RFC 3339 with offset, e.g. 2026-11-22T12:00:00.000Z' });

const address = z.union([
  z
    .string()
    .min(1)
    .max(256)
    .meta({ description: 'A phone number in E.164, a short code, a sender name, or an e-mail address' }),
  z.looseObject({
    scheme: z.enum(ADDRESS_SCHEMES),
    value: z.string().min(1).max(256),
    scope: z
      .string()
      .max(256)
      .exactOptional()
      .meta({ description: 'Page or workspace within which the value means something' }),
  }),
]);
const party = z.union([
  z.string().min(1).max(256).meta({ description: 'Short form: the address alone' }),
  z.looseObject({
    address,
    kind: z.enum(['customer', 'shop', 'agent', 'bot', 'unknown']).exactOptional(),
    name: short.exactOptional(),
    also: z.array(address).max(20).exactOptional().meta({ description: 'Other addresses of the same person' }),
  }),
]);

const medium = z
  .looseObject({
    url: z
      .url({ protocol: /^https?$/ })
      .max(4_096)
      .exactOptional()
      .meta({ description: 'Fetched at once, without credentials' }),
    base64: z.base64().max(INLINE_CHARS_MAX).exactOptional().meta({ description: 'The bytes themselves, up to 6 MiB' }),
    id: id.exactOptional(),
    mimeType: z
      .string()
      .regex(/^[\w.+-]{1,100}\/[\w.+-]{1,100}$/, 'is no MIME type')
      .exactOptional(),
    fileName: short.exactOptional(),
    bytes: z.int().nonnegative().exactOptional(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, 'is no hex SHA-256')
      .exactOptional(),
    caption: text.exactOptional(),
    durationMs: z.int().nonnegative().exactOptional(),
    width: z.int().nonnegative().exactOptional(),
    height: z.int().nonnegative().exactOptional(),
    role: z.enum(['image', 'video', 'audio', 'voice', 'document', 'sticker', 'other']).exactOptional(),
  })
  .refine((value) => value.url === undefined || value.base64 === undefined, 'has both url and base64');

const part = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('location'),
    latitude: z.number().min(-90).max(90),
    longitude: z.number().min(-180).max(180),
    name: short.exactOptional(),
    address: short.exactOptional(),
  }),
  z.object({ kind: z.literal('contact'), text }),
  z.object({
    kind: z.literal('template'),
    name: short,
    id: id.exactOptional(),
    language: short.exactOptional(),
    params: z.array(text).max(100).exactOptional(),
  }),
  z.object({ kind: z.literal('interactive'), type: short, text, payload: text.exactOptional() }),
  z.object({
    kind: z.literal('link'),
    url: z.string().max(4_096),
    title: short.exactOptional(),
    description: text.exactOptional(),
  }),
  z.object({ kind: z.literal('order'), text }),
  z.object({ kind: z.literal('unsupported'), type: short, text: text.exactOptional() }),
]);

/** What names a message: its id, and where ids are unique only within them, conversation and account. */
const subject = { id, conversation: id.exactOptional(), account: id.exactOptional() };

/** Who wrote to whom, where. */
const ends = {
  channel: z.enum(CHANNELS),
  direction: z.enum(DIRECTIONS),
  from: party,
  to: z.array(party).max(RECIPIENTS_MAX),
  thread: id.exactOptional().meta({ description: 'Your id of the thread; without it the addresses make the thread' }),
};

const words = {
  text: text.exactOptional(),
  format: z.enum(['plain', 'html', 'markdown', 'entities']).exactOptional(),
  subject: short.exactOptional(),
  language: short.exactOptional(),
  entities: z
    .array(
      z.object({
        type: short,
        offset: z.int().nonnegative(),
        length: z.int().nonnegative(),
        url: z.string().max(4_096).exactOptional(),
      }),
    )
    .max(1_000)
    .exactOptional()
    .meta({ description: 'With format `entities`: what stands where in the text, in UTF-16 code units' }),
};

/** What carriers say of a text. */
const sms = {
  segments: z.int().nonnegative().max(1_000).exactOptional(),
  price: z.looseObject({ amount: z.string().max(32), currency: z.string().length(3) }).exactOptional(),
  encoding: z.enum(['GSM-7', 'UCS-2', 'binary']).exactOptional(),
  dataCoding: z.int().min(0).max(255).exactOptional(),
  udh: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){0,140}$/i, 'is no hex')
    .exactOptional(),
  carrier: short.exactOptional(),
  mcc: short.exactOptional(),
  mnc: short.exactOptional(),
  tcrCampaignId: short.exactOptional(),
  validUntil: time.exactOptional(),
};

const created = z.looseObject({
  ...subject,
  ...ends,
  ...words,
  threadKind: z.enum(['direct', 'group', 'channel', 'ticket']).exactOptional(),
  threadTitle: short.exactOptional(),
  sentAt: time.exactOptional(),
  times: z.record(z.string().max(64), time).exactOptional().meta({ description: 'Further times by your names' }),
  media: z.array(medium).max(PARTS_MAX).exactOptional(),
  parts: z.array(part).max(PARTS_MAX).exactOptional(),
  contentState: z.enum(CONTENT_STATES).exactOptional(),
  origin: z
    .enum(['provider-api', 'phone-app', 'agent-console', 'campaign', 'auto-reply', 'import', 'unknown'])
    .exactOptional(),
  actor: z
    .object({
      type: z.enum(['customer', 'agent', 'bot', 'ai', 'campaign', 'flow', 'system']),
      id: short.exactOptional(),
      name: short.exactOptional(),
      app: short.exactOptional(),
    })
    .exactOptional(),
  replyTo: id.exactOptional().meta({ description: 'Id of the message that this one answers' }),
  threadRoot: id.exactOptional(),
  quotedText: text.exactOptional(),
  forwarded: z.boolean().exactOptional(),
  forwardedManyTimes: z.boolean().exactOptional(),
  forwardedFrom: party.exactOptional(),
  replaces: id.exactOptional().meta({ description: 'Id of the message that this one was sent in place of' }),
  partOf: z
    .object({ ref: id, total: z.int().min(1).max(255), seq: z.int().min(1).max(255) })
    .exactOptional()
    .meta({ description: 'A part of a concatenated text' }),
  ...sms,
  campaignId: short.exactOptional(),
  flowId: short.exactOptional(),
  messagingServiceId: short.exactOptional(),
  clientRef: short.exactOptional(),
  tags: z.array(short).max(100).exactOptional(),
  orders: z
    .array(z.looseObject({ system: short, id: short }))
    .max(100)
    .exactOptional(),
  optOut: z.enum(['STOP', 'START', 'HELP']).exactOptional(),
  types: z
    .array(
      z
        .string()
        .regex(/^[a-z]+(?:[.-][a-z]+)*$/, 'is no record type')
        .max(64),
    )
    .max(20)
    .exactOptional()
    .meta({ description: 'Record types that you state, e.g. marketing.message' }),
  brand: short.exactOptional(),
  aliases: z
    .array(z.looseObject({ system: short, id: short }))
    .max(20)
    .exactOptional()
    .meta({ description: 'The same message under the ids of other systems' }),
});

const edited = z.looseObject({
  ...subject,
  ...words,
  media: z.array(medium).max(PARTS_MAX).exactOptional(),
  editedBy: party.exactOptional(),
});

const deleted = z.looseObject({
  ...subject,
  by: z.enum(['sender', 'admin', 'provider', 'policy', 'unknown']).exactOptional(),
  scope: z.enum(['everyone', 'self']).exactOptional(),
});

const status = z.looseObject({
  ...subject,
  state: z.enum(DELIVERY_STATES as [string, ...string[]]),
  rawState: short.exactOptional().meta({ description: "The platform's own word" }),
  recipient: address.exactOptional(),
  errorCode: short.exactOptional(),
  errorText: short.exactOptional(),
  ...sms,
  channel: ends.channel.exactOptional(),
  direction: ends.direction.exactOptional(),
  from: party.exactOptional(),
  to: ends.to.exactOptional(),
  thread: ends.thread,
});

const reaction = z.looseObject({ ...subject, emoji: z.string().min(1).max(64), by: party });

const consent = z.looseObject({
  party,
  endpoint: address.meta({ description: "The shop's number or sender that the consent is about" }),
  change: z.enum(['opt-out', 'opt-in', 'help']),
  words: text.exactOptional(),
  id: id.exactOptional().meta({ description: 'Id of the message that said so, if one did' }),
  conversation: id.exactOptional(),
  account: id.exactOptional(),
});

const participant = z.looseObject({ thread: id, party, account: id.exactOptional() });

const conversation = z.looseObject({
  thread: id,
  title: short.exactOptional(),
  status: short.exactOptional(),
  account: id.exactOptional(),
});

/** What each known type carries. */
export const STANDARD_EVENT_DATA = {
  'message.created': created,
  'message.edited': edited,
  'message.deleted': deleted,
  'message.status': status,
  'reaction.added': reaction,
  'reaction.removed': reaction,
  'consent.changed': consent,
  'participant.joined': participant,
  'participant.left': participant,
  'conversation.updated': conversation,
} as const;

/** A known type of event. */
export type StandardEventType = keyof typeof STANDARD_EVENT_DATA;

/** Is it a type that this version knows? */
export function isStandardEventType(type: string): type is StandardEventType {
  return Object.hasOwn(STANDARD_EVENT_DATA, type);
}

/** The data of a type, as it was checked. */
export type StandardEventData<Type extends StandardEventType> = z.infer<(typeof STANDARD_EVENT_DATA)[Type]>;
/** An address in any of its forms. */
export type StandardAddress = z.infer<typeof address>;
/** A party in any of its forms. */
export type StandardParty = z.infer<typeof party>;
/** A medium by URL or inline. */
export type StandardMedium = z.infer<typeof medium>;

/** What every event has around its data. */
export const STANDARD_ENVELOPE = z.looseObject({
  type: z.string().min(1).max(100),
  timestamp: time.meta({ description: 'When it happened' }),
  id: id.exactOptional().meta({ description: 'Id of the event, the same when it is sent again' }),
  data: z.looseObject({}),
});

/**
 * The schema as JSON Schema (2020-12), for the API description and for senders.
 * @returns a schema of one event or a batch of them
 */
export function standardEventsJsonSchema(): Record<string, unknown> {
  const known = Object.entries(STANDARD_EVENT_DATA).map(([type, data]) =>
    STANDARD_ENVELOPE.extend({ type: z.literal(type), data }),
  );
  const event = z.union([...known, STANDARD_ENVELOPE.meta({ description: 'Any other type is kept as it is' })]);
  const request = z.union([event, z.looseObject({ events: z.array(event).min(1).max(STANDARD_EVENTS_MAX) })]);
  return z.toJSONSchema(request, { target: 'draft-2020-12', io: 'input' });
}
