/**
 * What all of Twilio's ways of telling share: who is at the ends of a text, which thread it belongs to, what its status words mean, and the
 * natural keys by which a text is one text whether a webhook, Event Streams, a list or a fetch told of it.
 */
import { addressKey } from '../../model/address.ts';
import { parsePhoneAddress } from '../../model/phone.ts';
import type { Address, PartyRef } from '../../model/address.ts';
import type { DeliveryState } from '../../model/delivery.ts';
import type { Envelope, SourceView } from '../../model/envelope.ts';
import type { Channel, Event, EventOf, MediaPart, MessageContent, MessageKey, Recipient } from '../../model/event.ts';
import { parseIsoInstant, parseRfc2822Instant, receiptInstant } from '../../model/time.ts';
import type { Instant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../unreadable.ts';

/** Name of the platform in natural keys. */
export const TWILIO = 'twilio';

/** Twilio's REST API. */
export const TWILIO_API = 'https://api.twilio.com';

/** What reading needs besides the bytes. */
export type ReadContext = {
  readonly source: SourceView;
  readonly receivedAtMs: number;
  /** Was it asked for as part of the list? */
  readonly isList: boolean;
};

/** Where the REST API is; a setting re-points it, as tests and regional accounts do. */
export function apiBaseOf(source: SourceView): string {
  return source.settings['apiBaseUrl'] ?? TWILIO_API;
}

/** The context of an envelope. */
export function contextOf(envelope: Envelope, source: SourceView): ReadContext {
  return { source, receivedAtMs: envelope.receivedAtMs, isList: envelope.transport === 'poll' };
}

/**
 * The natural key of a text: its SID within the account that the payload names (a subaccount has its own).
 * @throws UnreadableEnvelope where neither payload nor source names an account, or there is no SID
 */
export function messageKey(context: ReadContext, account: string | undefined, id: string | undefined): MessageKey {
  const owner = account !== undefined && account !== '' ? account : accountOf(context.source);
  if (owner === undefined) throw new UnreadableEnvelope('no account SID');
  if (id === undefined || id === '') throw new UnreadableEnvelope('no message SID');
  return { platform: TWILIO, account: owner, id };
}

/** The account that a source was bound to. */
export function accountOf(source: SourceView): string | undefined {
  return source.account ?? source.settings['accountSid'];
}

/** One end of a text: a phone number, or what a channel calls its users. */
export type Endpoint = {
  /** `whatsapp:`, `rcs:`, `messenger:` … as written, in lower case; empty for SMS and MMS. */
  readonly prefix: string;
  readonly address: Address;
};

const PREFIXED = /^([a-z][a-z0-9_-]{1,20}):(.*)$/is;

const CHANNEL_OF_PREFIX: ReadonlyMap<string, Channel> = new Map([
  ['whatsapp:', 'whatsapp'],
  ['rcs:', 'rcs'],
  ['messenger:', 'messenger'],
  ['instagram:', 'instagram'],
  ['telegram:', 'telegram'],
  ['line:', 'line'],
  ['viber:', 'viber'],
  ['wechat:', 'wechat'],
]);

/** Business-scoped user id of WhatsApp: country code, a dot, letters and digits. Users with a username have no number. */
const BSUID = /^[A-Z]{2}\.[A-Za-z0-9.]{4,}$/;

/** Reads `+1…`, `12345`, `SHOP`, `whatsapp:+1…`, `whatsapp:US.…`, `rcs:agent`, `messenger:…`. */
export function parseEndpoint(text: string): Endpoint {
  const match = text.startsWith('+') ? null : PREFIXED.exec(text);
  if (match === null) return { prefix: '', address: parsePhoneAddress(text) };
  const prefix = `${(match[1] ?? '').toLowerCase()}:`;
  return { prefix, address: { ...parseChannelAddress(prefix, match[2] ?? ''), raw: text.slice(0, 256) } };
}

function parseChannelAddress(prefix: string, value: string): Address {
  const user = value.slice(0, 256);
  if (user.startsWith('+')) return parsePhoneAddress(user);
  if (prefix === 'whatsapp:' && BSUID.test(user)) return { scheme: 'wa_bsuid', value: user };
  if (prefix === 'rcs:') return { scheme: 'rcs_agent', value: user };
  if (prefix === 'messenger:') return { scheme: 'psid', value: user };
  if (prefix === 'instagram:') return { scheme: 'igsid', value: user };
  return { scheme: 'handle', value: user, scope: prefix.slice(0, -1) };
}

/** A text as one element of a path. JSON can hold half a character, which a URL cannot. */
export function pathElement(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** Who is at the ends of a text, as the payload names them. */
export type EndsGiven = {
  readonly direction: 'inbound' | 'outbound';
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly messagingServiceSid: string | undefined;
  /** Further recipients of a group text. */
  readonly others?: readonly string[];
  /** Did it carry media, as far as the payload says? Tells MMS from SMS. */
  readonly multimedia: boolean;
  readonly customerName?: string | undefined;
  readonly customerAlso?: readonly Address[];
};

/** The ends as they are kept. */
export type Ends = Pick<MessageContent, 'channel' | 'from' | 'to' | 'thread' | 'threadKind'>;

/**
 * Who wrote to whom on which channel, and the natural key of their thread: the shop's end with its channel, then the others in order.
 * A text that has no sender yet, because a messaging service will choose one, has the service as its end.
 * @throws UnreadableEnvelope where an end is missing
 */
export function readEnds(given: EndsGiven): Ends {
  const { direction } = given;
  const shopText = direction === 'inbound' ? given.to : given.from;
  const customerText = direction === 'inbound' ? given.from : given.to;
  if (customerText === undefined || customerText === '') throw new UnreadableEnvelope('no address of the customer');
  const customer = parseEndpoint(customerText);
  if (customer.address.value === '') throw new UnreadableEnvelope('no address of the customer');
  const shop = parseShop(shopText, given.messagingServiceSid);
  const others = (given.others ?? []).map(parseEndpoint);
  const prefix = shop.prefix === '' ? customer.prefix : shop.prefix;
  const customerRef: PartyRef = {
    kind: 'customer',
    address: customer.address,
    ...(given.customerAlso === undefined || given.customerAlso.length === 0 ? {} : { also: given.customerAlso }),
    ...(given.customerName === undefined || given.customerName === '' ? {} : { name: given.customerName }),
  };
  const shopRef: PartyRef = { kind: 'shop', address: shop.address };
  const [from, first] = direction === 'inbound' ? [customerRef, shopRef] : [shopRef, customerRef];
  const to: Recipient[] = [{ ...first, role: 'to' }];
  for (const other of others) to.push({ kind: 'customer', address: other.address, role: 'group' });
  const remote = [addressKey(customer.address), ...others.map((other) => addressKey(other.address))];
  return {
    channel: channelOf(prefix, given.multimedia),
    from,
    to,
    thread: [`${prefix}${addressKey(shop.address)}`, ...remote.sort()],
    threadKind: others.length === 0 ? 'direct' : 'group',
  };
}

function parseShop(text: string | undefined, messagingServiceSid: string | undefined): Endpoint {
  if (text !== undefined && text !== '') {
    const shop = parseEndpoint(text);
    return shop.address.scheme === 'psid' ? { ...shop, address: { ...shop.address, scheme: 'messenger_page' } } : shop;
  }
  if (messagingServiceSid === undefined || messagingServiceSid === '')
    throw new UnreadableEnvelope('no address of the shop');
  return { prefix: '', address: { scheme: 'messaging_service', value: messagingServiceSid } };
}

function channelOf(prefix: string, multimedia: boolean): Channel {
  if (prefix === '') return multimedia ? 'mms' : 'sms';
  return CHANNEL_OF_PREFIX.get(prefix) ?? 'other';
}

/** Is it the SID of a multimedia message? */
export function isMultimediaSid(sid: string): boolean {
  return sid.startsWith('MM');
}

const STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['accepted', 'accepted'],
  ['scheduled', 'scheduled'],
  ['queued', 'queued'],
  ['sending', 'sending'],
  ['sent', 'sent'],
  // Some of a group have it: more cannot be said of the text as a whole.
  ['partially_delivered', 'sent'],
  ['delivered', 'delivered'],
  ['read', 'read'],
  ['undelivered', 'undelivered'],
  ['failed', 'failed'],
  ['canceled', 'canceled'],
  ['received', 'received'],
]);

/** What a status report says, however it came. */
export type StatusGiven = {
  readonly key: MessageKey;
  readonly rawState: string;
  readonly recipient: Address | undefined;
  readonly errorCode: string | undefined;
  readonly errorText: string | undefined;
  readonly occurredAt: Instant;
  readonly shell?: EventOf<'message.status'>['shell'];
  readonly sms?: MessageContent['sms'] | undefined;
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
};

/**
 * A status event; one report of one state for one recipient is one event, from whichever way it came. A price is settled later than the state
 * that it belongs to, so the report that brings one is an event of its own.
 */
export function statusEvent(given: StatusGiven): Event {
  const raw = given.rawState.toLowerCase();
  const price = given.sms?.price;
  const errorCode = given.errorCode === undefined || /^0*$/.test(given.errorCode) ? undefined : given.errorCode;
  return {
    kind: 'message.status',
    target: given.key,
    occurredAt: given.occurredAt,
    dedupe: `status|${given.key.id}|${raw}|${given.recipient?.value ?? ''}|${errorCode ?? ''}${price === undefined ? '' : `|${price.amount} ${price.currency}`}`,
    state: STATES.get(raw) ?? 'unknown',
    rawState: given.rawState,
    ...(given.recipient === undefined ? {} : { recipient: given.recipient }),
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(given.errorText === undefined || given.errorText === '' ? {} : { errorText: given.errorText }),
    ...(given.shell === undefined ? {} : { shell: given.shell }),
    ...(given.sms === undefined ? {} : { sms: given.sms }),
    ...(given.extra === undefined ? {} : { extra: given.extra }),
  };
}

/** A created event; the same text is one event, whichever way told of it first. */
export function createdEvent(
  key: MessageKey,
  occurredAt: Instant,
  content: MessageContent,
  extra: Readonly<Record<string, unknown>> | undefined,
): Event {
  return {
    kind: 'message.created',
    target: key,
    occurredAt,
    dedupe: `created|${key.id}`,
    content,
    ...(extra === undefined ? {} : { extra }),
  };
}

/** A time as any of Twilio's interfaces writes it; undefined where it is none. */
export function parseTwilioTime(value: unknown): Instant | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return parseIsoInstant(value, 'provider') ?? parseRfc2822Instant(value, 'provider');
}

/** The first of some times that can be read; our own clock at receipt where none can. */
export function firstTime(context: ReadContext, ...values: readonly unknown[]): Instant {
  for (const value of values) {
    const instant = parseTwilioTime(value);
    if (instant !== undefined) return instant;
  }
  return receiptInstant(context.receivedAtMs);
}

/** What a medium is, by its declared type. */
export function roleOf(mime: string | undefined, messageType: string | undefined): NonNullable<MediaPart['role']> {
  if (messageType === 'sticker') return 'sticker';
  const kind = mime === undefined ? '' : mime.slice(0, mime.indexOf('/')).toLowerCase();
  if (kind === 'image' || kind === 'video' || kind === 'audio') return kind;
  return kind === 'application' || kind === 'text' ? 'document' : 'other';
}

/** A URL that media may be fetched from, without credentials in it; undefined where it is none. */
export function cleanMediaUrl(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 4_096 || !/^https?:\/\//i.test(text)) return undefined;
  return text.includes('@') ? text.replace(/^([a-z]+:\/\/)[^/?#]*@/i, '$1') : text;
}

/** Adds a field that has no place of its own, whatever it is called. */
export function addExtra(extra: Record<string, unknown>, name: string, value: unknown): void {
  const known = Object.hasOwn(extra, name) ? extra[name] : undefined;
  const next = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  if (name === '__proto__') {
    Object.defineProperty(extra, name, { value: next, enumerable: true, configurable: true, writable: true });
  } else extra[name] = next;
}

/** Undefined where there is nothing in it. */
export function unlessEmpty(extra: Record<string, unknown>): Record<string, unknown> | undefined {
  for (const _name in extra) return extra;
  return undefined;
}

/** A count in decimal; undefined where it is none or beyond reason. */
export function parseCount(value: unknown): number | undefined {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 && value < 1_000_000 ? value : undefined;
  return typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}
