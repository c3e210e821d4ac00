/**
 * What a message consists of and who stands at its ends, from the checked data of a generic event.
 */
import { addressKey } from '../../model/address.ts';
import { parsePhoneAddress } from '../../model/phone.ts';
import type { Address, PartyKind, PartyRef } from '../../model/address.ts';
import type { SourceView } from '../../model/envelope.ts';
import type { Body, MediaPart, MessageContent, MessageKey, Part, Recipient, SmsInfo } from '../../model/event.ts';
import { parseIsoInstant, receiptInstant } from '../../model/time.ts';
import type { Instant } from '../../model/time.ts';
import type { StandardAddress, StandardEventData, StandardMedium, StandardParty } from './standard-webhooks-schema.ts';

/** What reading an event needs besides its data. */
export type EventContext = {
  readonly source: SourceView;
  readonly receivedAtMs: number;
  /** Id of the delivery, the same when it is sent again; undefined within a batch, where it names no single event. */
  readonly delivery: string | undefined;
};

/** A time that the schema let through. */
export function timeOf(text: string, context: EventContext): Instant {
  return parseIsoInstant(text, 'provider') ?? receiptInstant(context.receivedAtMs);
}

/** The content of a message from checked data. */
export function contentOf(
  data: StandardEventData<'message.created'>,
  key: MessageKey,
  context: EventContext,
): MessageContent {
  const body = bodyOf(data);
  const media = (data.media ?? []).map(mediaPart);
  const parts: Part[] = [...media, ...(data.parts ?? [])];
  const times = Object.entries(data.times ?? {}).map(([name, text]) => [name, timeOf(text, context)] as const);
  const relations = relationsOf(data, key, context);
  const business = businessOf(data);
  const sms = smsOf(data, context);
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
    ...(times.length === 0 ? {} : { times: Object.fromEntries(times) }),
    ...(body === undefined ? {} : { body }),
    parts,
    contentState: data.contentState ?? (isEmpty ? 'missing-provider' : 'present'),
    origin: data.origin ?? 'unknown',
    ...(data.actor === undefined ? {} : { actor: data.actor }),
    ...(relations === undefined ? {} : { relations }),
    ...(sms === undefined ? {} : { sms }),
    ...(business === undefined ? {} : { business }),
    ...(data.aliases === undefined ? {} : { aliases: data.aliases.map(({ system, id }) => ({ system, id })) }),
    ...(types.length === 0 ? {} : { types }),
    ...(data.brand === undefined ? {} : { brand: data.brand }),
  };
}

function relationsOf(
  data: StandardEventData<'message.created'>,
  key: MessageKey,
  context: EventContext,
): MessageContent['relations'] {
  const { replyTo, threadRoot, replaces, quotedText, forwarded, forwardedManyTimes, forwardedFrom, partOf } = data;
  const relations: MessageContent['relations'] = {
    ...(replyTo === undefined ? {} : { replyTo: { ...key, id: replyTo } }),
    ...(threadRoot === undefined ? {} : { threadRoot: { ...key, id: threadRoot } }),
    ...(replaces === undefined ? {} : { replaces: { ...key, id: replaces } }),
    ...(quotedText === undefined ? {} : { quotedText }),
    ...(forwarded === undefined ? {} : { forwarded }),
    ...(forwardedManyTimes === undefined ? {} : { forwardedManyTimes }),
    ...(forwardedFrom === undefined ? {} : { forwardedFrom: partyOf(forwardedFrom, 'unknown', context) }),
    ...(partOf === undefined ? {} : { partOf }),
  };
  return unlessEmpty(relations);
}

function businessOf(data: StandardEventData<'message.created'>): MessageContent['business'] {
  const { messagingServiceId, campaignId, flowId, clientRef, tags, orders, optOut } = data;
  const business: MessageContent['business'] = {
    ...(messagingServiceId === undefined ? {} : { messagingServiceId }),
    ...(campaignId === undefined ? {} : { campaignId }),
    ...(flowId === undefined ? {} : { flowId }),
    ...(clientRef === undefined ? {} : { clientRef }),
    ...(tags === undefined ? {} : { tags }),
    ...(orders === undefined
      ? {}
      : { orders: orders.map(({ system, id }) => ({ system, id, method: 'explicit' as const })) }),
    ...(optOut === undefined ? {} : { optOut }),
  };
  return unlessEmpty(business);
}

/** What carriers say of a text, of a message or of a state. */
export function smsOf(
  data: Pick<StandardEventData<'message.created'>, keyof SmsInfo>,
  context: EventContext,
): SmsInfo | undefined {
  const { segments, price, encoding, dataCoding, udh, carrier, mcc, mnc, tcrCampaignId, validUntil } = data;
  const sms: SmsInfo = {
    ...(encoding === undefined ? {} : { encoding }),
    ...(segments === undefined ? {} : { segments }),
    ...(dataCoding === undefined ? {} : { dataCoding }),
    ...(udh === undefined ? {} : { udh }),
    ...(carrier === undefined ? {} : { carrier }),
    ...(mcc === undefined ? {} : { mcc }),
    ...(mnc === undefined ? {} : { mnc }),
    ...(price === undefined ? {} : { price: { amount: price.amount, currency: price.currency } }),
    ...(tcrCampaignId === undefined ? {} : { tcrCampaignId }),
    ...(validUntil === undefined ? {} : { validUntil: timeOf(validUntil, context) }),
  };
  return unlessEmpty(sms);
}

function unlessEmpty<Value extends object>(value: Value): Value | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

/** Its words; undefined where there are none. */
export function bodyOf(
  data: Pick<StandardEventData<'message.edited'>, 'text' | 'format' | 'subject' | 'language' | 'entities'>,
): Body | undefined {
  if (data.text === undefined && data.subject === undefined) return undefined;
  return {
    text: data.text ?? '',
    format: data.format ?? 'plain',
    ...(data.subject === undefined ? {} : { subject: data.subject }),
    ...(data.language === undefined ? {} : { language: data.language }),
    ...(data.entities === undefined ? {} : { entities: data.entities }),
  };
}

/** A medium; inline bytes travel as a `data:` URL (RFC 2397), which is stored without any network. */
export function mediaPart(medium: StandardMedium, index: number): MediaPart {
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
    ...(medium.durationMs === undefined ? {} : { durationMs: medium.durationMs }),
    ...(medium.width === undefined ? {} : { width: medium.width }),
    ...(medium.height === undefined ? {} : { height: medium.height }),
    ...(medium.role === undefined ? {} : { role: medium.role }),
  };
}

/** What ends and thread are made of. */
export type EndsData = Pick<StandardEventData<'message.created'>, 'channel' | 'direction' | 'from' | 'to' | 'thread'>;

/** Ends and thread: the sender's id of the thread, or the shop's end and the others in order; SMS and MMS share a thread. */
export function endsOf(data: EndsData, context: EventContext): Pick<MessageContent, 'from' | 'to' | 'thread'> {
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

/** A party; `kind` is what it is taken for where the sender does not say. */
export function partyOf(party: StandardParty, kind: PartyKind, context: EventContext): PartyRef {
  if (typeof party === 'string') return { kind, address: addressOf(party, context) };
  return {
    kind: party.kind ?? kind,
    address: addressOf(party.address, context),
    ...(party.also === undefined ? {} : { also: party.also.map((one) => addressOf(one, context)) }),
    ...(party.name === undefined ? {} : { name: party.name }),
  };
}

const PHONES: ReadonlySet<string> = new Set(['e164', 'phone_raw']);

/** An address in any of the forms that the schema takes. */
export function addressOf(given: StandardAddress, context: EventContext): Address {
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
