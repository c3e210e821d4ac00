/**
 * The vocabulary of `model/event.ts` as a schema, for events that come back from a file: whoever made the file controls every value, and
 * what follows (fold, index, views) trusts the types. Unknown fields are refused, as everywhere.
 *
 * Not every kind may come from a file. Audit records, destroyed keys, settings and the succession of logs are statements of the archive
 * about itself; taken from a file they would be forgeries.
 */
import { z } from 'zod';

import { ADDRESS_SCHEMES } from '../../model/address.ts';
import { DELIVERY_STATES } from '../../model/delivery.ts';
import { CHANNELS, CONTENT_STATES, DIRECTIONS } from '../../model/event.ts';
import type { Event } from '../../model/event.ts';
import { TIME_MS_MAX } from '../../model/time.ts';

const text = z.string();
const optionalText = text.exactOptional();
const count = z.int().nonnegative();

const instant = z.strictObject({
  ms: z.int().nonnegative().max(TIME_MS_MAX),
  precision: z.enum(['ns', 'us', 'ms', 's', 'min', 'day']),
  zone: z.enum(['utc', 'offset', 'assumed']),
  origin: z.enum(['provider', 'transport', 'file', 'receipt']),
});
const address = z.strictObject({
  scheme: z.enum(ADDRESS_SCHEMES),
  value: text,
  scope: optionalText,
  raw: optionalText,
});
const partyFields = {
  kind: z.enum(['customer', 'shop', 'agent', 'bot', 'unknown']),
  address,
  also: z.array(address).exactOptional(),
  name: optionalText,
};
const party = z.strictObject(partyFields);
const recipient = z.strictObject({ ...partyFields, role: z.enum(['to', 'cc', 'bcc', 'group']) });
const messageKey = z.strictObject({
  platform: text.min(1),
  account: text,
  conversation: optionalText,
  id: text.min(1),
});
const body = z.strictObject({
  text,
  format: z.enum(['plain', 'html', 'markdown', 'entities']),
  entities: z.array(z.strictObject({ type: text, offset: count, length: count, url: optionalText })).exactOptional(),
  subject: optionalText,
  language: optionalText,
});
const part = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('media'),
    index: count,
    providerMediaId: optionalText,
    url: optionalText,
    mimeDeclared: optionalText,
    bytesDeclared: count.exactOptional(),
    sha256Declared: optionalText,
    fileName: optionalText,
    caption: optionalText,
    durationMs: count.exactOptional(),
    width: count.exactOptional(),
    height: count.exactOptional(),
    role: z.enum(['image', 'video', 'audio', 'voice', 'document', 'sticker', 'other']).exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('location'),
    latitude: z.number(),
    longitude: z.number(),
    name: optionalText,
    address: optionalText,
  }),
  z.strictObject({ kind: z.literal('contact'), text }),
  z.strictObject({
    kind: z.literal('template'),
    name: text,
    id: optionalText,
    language: optionalText,
    params: z.array(text).exactOptional(),
  }),
  z.strictObject({ kind: z.literal('interactive'), type: text, text, payload: optionalText }),
  z.strictObject({ kind: z.literal('link'), url: text, title: optionalText, description: optionalText }),
  z.strictObject({ kind: z.literal('order'), text }),
  z.strictObject({ kind: z.literal('unsupported'), type: text, text: optionalText }),
]);
const sms = z.strictObject({
  encoding: z.enum(['GSM-7', 'UCS-2', 'binary']).exactOptional(),
  segments: count.exactOptional(),
  dataCoding: count.exactOptional(),
  udh: optionalText,
  carrier: optionalText,
  mcc: optionalText,
  mnc: optionalText,
  price: z.strictObject({ amount: text, currency: text }).exactOptional(),
  tcrCampaignId: optionalText,
  validUntil: instant.exactOptional(),
});
const ends = {
  channel: z.enum(CHANNELS),
  direction: z.enum(DIRECTIONS),
  from: party,
  to: z.array(recipient),
  thread: z.array(text),
  threadKind: z.enum(['direct', 'group', 'channel', 'ticket']),
};
const content = z.strictObject({
  ...ends,
  directionBasis: z.enum(['provider', 'inferred']),
  threadTitle: optionalText,
  sentAt: instant.exactOptional(),
  times: z.record(text, instant).exactOptional(),
  body: body.exactOptional(),
  parts: z.array(part),
  contentState: z.enum(CONTENT_STATES),
  origin: z.enum(['provider-api', 'phone-app', 'agent-console', 'campaign', 'auto-reply', 'import', 'unknown']),
  actor: z
    .strictObject({
      type: z.enum(['customer', 'agent', 'bot', 'ai', 'campaign', 'flow', 'system']),
      id: optionalText,
      name: optionalText,
      app: optionalText,
    })
    .exactOptional(),
  relations: z
    .strictObject({
      replyTo: messageKey.exactOptional(),
      threadRoot: messageKey.exactOptional(),
      forwarded: z.boolean().exactOptional(),
      forwardedManyTimes: z.boolean().exactOptional(),
      forwardedFrom: party.exactOptional(),
      quotedText: optionalText,
      replaces: messageKey.exactOptional(),
      partOf: z.strictObject({ ref: text, total: count, seq: count }).exactOptional(),
    })
    .exactOptional(),
  sms: sms.exactOptional(),
  business: z
    .strictObject({
      messagingServiceId: optionalText,
      campaignId: optionalText,
      flowId: optionalText,
      clientRef: optionalText,
      tags: z.array(text).exactOptional(),
      optOut: z.enum(['STOP', 'START', 'HELP']).exactOptional(),
      orders: z
        .array(z.strictObject({ system: text, id: text, method: z.enum(['explicit', 'metadata']) }))
        .exactOptional(),
    })
    .exactOptional(),
  aliases: z.array(z.strictObject({ system: text, id: text })).exactOptional(),
  types: z.array(text).exactOptional(),
  brand: optionalText,
});
const gapReason = z.enum([
  'content-not-given',
  'media-expired',
  'media-forbidden',
  'media-too-large',
  'media-mismatch',
  'media-unavailable',
  'inline-failed-open',
  'log-range-lost',
  'platform-outage',
]);
const hexHash = z.string().regex(/^[0-9a-f]{64}$/);

/** What every event has. */
const common = {
  target: messageKey,
  occurredAt: instant,
  dedupe: optionalText,
  sequence: optionalText,
  extra: z.record(text, z.unknown()).exactOptional(),
};

/** Events that may come from a file. */
export const importedEvent = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('message.created'), content }),
  z.strictObject({
    ...common,
    kind: z.literal('message.edited'),
    body: body.exactOptional(),
    parts: z.array(part).exactOptional(),
    editedBy: party.exactOptional(),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('message.deleted'),
    by: z.enum(['sender', 'admin', 'provider', 'policy', 'unknown']),
    scope: z.enum(['everyone', 'self']),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('message.redacted'),
    by: z.enum(['provider', 'policy']),
    contentState: z.enum(CONTENT_STATES),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('message.status'),
    state: z.enum(DELIVERY_STATES),
    rawState: text,
    recipient: address.exactOptional(),
    errorCode: optionalText,
    errorText: optionalText,
    shell: z.strictObject(ends).exactOptional(),
    sms: sms.exactOptional(),
  }),
  z.strictObject({ ...common, kind: z.enum(['reaction.added', 'reaction.removed']), emoji: text, by: party }),
  z.strictObject({
    ...common,
    kind: z.literal('media.stored'),
    part: count,
    media: z.strictObject({
      blob: hexHash,
      blobBytes: count,
      bytes: count,
      sha256: hexHash,
      mimeSniffed: optionalText,
      mimeDeclared: optionalText,
    }),
  }),
  z.strictObject({ ...common, kind: z.literal('media.lost'), part: count, reason: gapReason, attempts: count }),
  z.strictObject({
    ...common,
    kind: z.literal('consent.changed'),
    party,
    endpoint: address,
    change: z.enum(['opt-out', 'opt-in', 'help']),
    words: optionalText,
  }),
  z.strictObject({
    ...common,
    kind: z.enum(['participant.joined', 'participant.left']),
    party,
    thread: z.array(text),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('conversation.updated'),
    thread: z.array(text),
    title: optionalText,
    status: optionalText,
  }),
  z.strictObject({ ...common, kind: z.literal('order.updated'), system: text, order: text }),
  z.strictObject({ ...common, kind: z.literal('gap.opened'), reason: gapReason, asked: z.array(text) }),
  z.strictObject({ ...common, kind: z.literal('gap.closed'), reason: gapReason }),
  z.strictObject({ ...common, kind: z.literal('quarantine'), reason: text }),
  z.strictObject({ ...common, kind: z.literal('unknown'), name: text }),
]) satisfies z.ZodType<Event>;

/** Kinds that the archive alone can state. */
export const OWN_KINDS: ReadonlySet<string> = new Set([
  'audit',
  'key.destroyed',
  'settings.changed',
  'log.succeeded',
] satisfies Event['kind'][]);
