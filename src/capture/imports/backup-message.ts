/**
 * What an `sms` or `mms` element of a phone backup says, as events (reference: formats §4.1; AOSP `Telephony.TextBasedSmsColumns` and
 * `Telephony.BaseMmsColumns` name the numbers). Pure: the element, its decoded data and the options in, events out.
 *
 * The text `null` is what the app writes for a missing value. For a body it may also be what somebody wrote: the text is kept and
 * `extra.ambiguousNull` says so. Everywhere else it means missing.
 */
import { hash } from 'node:crypto';

import { addressKey } from '../../model/address.ts';
import { parsePhoneAddress } from '../../model/phone.ts';
import type { Address, PartyRef } from '../../model/address.ts';
import { CartularyError } from '../../model/errors.ts';
import { joinNatural } from '../../model/event.ts';
import type {
  Body,
  Channel,
  Direction,
  Event,
  MessageContent,
  MessageKey,
  Part,
  Recipient,
} from '../../model/event.ts';
import { parseEpochInstant } from '../../model/time.ts';
import type { Instant } from '../../model/time.ts';
import { boxOf, deliveryOf } from './backup-box.ts';
import type { Box } from './backup-box.ts';
import { readParts } from './backup-parts.ts';
import type { BackupMedium, ReadParts } from './backup-parts.ts';
import type { PartData } from './element-scan.ts';
import type { Attributes, ParsedElement } from './element-parser.ts';
import type { ImportOptions } from './importer.ts';
import { countRow, createRowCounter } from './row-counter.ts';
import type { RowCounter } from './row-counter.ts';

/** `platform` of every message key from a phone backup. */
export const BACKUP_PLATFORM = 'android-backup';

/** What is known while one file is read. */
export type BackupContext = {
  readonly options: ImportOptions;
  readonly account: string;
  /** Undefined where nobody said what the phone's own number is. */
  readonly own: Address | undefined;
  readonly rows: RowCounter;
  readonly addresses: Map<string, Address>;
};

/** A message with its media. `damaged` are parts whose data could not be taken; their events say `media.lost`. */
export type BackupMessage = {
  readonly events: readonly Event[];
  readonly media: readonly BackupMedium[];
  readonly damaged: readonly BackupMedium[];
};

/** Addresses of one file that are remembered, since a thread repeats the same few. */
const ADDRESSES_CACHED_MAX = 10_000;
/** What the phone writes for itself as the sender of an MMS. */
const OWN_TOKEN = 'insert-address-token';

export function createBackupContext(options: ImportOptions): BackupContext {
  const own = options.ownAddress === undefined ? undefined : parseBackupAddress(options.ownAddress, options.region);
  return {
    options,
    own,
    account: options.account ?? own?.value ?? 'phone',
    rows: createRowCounter(),
    addresses: new Map(),
  };
}

/**
 * Reads one element.
 * @param data decoded `data` attributes by the ordinal of their `part`
 * @throws CartularyError `bad-input` where the element has no usable date
 */
export function readBackupMessage(
  context: BackupContext,
  element: ParsedElement,
  data: readonly PartData[],
): BackupMessage {
  const channel: Channel = element.name === 'sms' ? 'sms' : 'mms';
  const { attributes } = element;
  const at = readDate(attributes, 'date');
  if (at === undefined) throw new CartularyError('bad-input', 'the date is missing or is not a time');
  const box = boxOf(channel, attributes);
  const parts: ReadParts =
    channel === 'sms' ? { texts: [], parts: [], media: [], damaged: [], absent: [] } : readParts(element.parts, data);
  const body = channel === 'sms' ? readSmsBody(attributes) : readMmsBody(attributes, parts);
  const ends = readEnds(context, element, box);
  const target = keyOf(context, { channel, box, at, body, ends, media: [...parts.media, ...parts.damaged] });
  const content = contentOf({ attributes, channel, box, at, body, parts: parts.parts, ends, context });
  const created: Event = {
    kind: 'message.created',
    target,
    occurredAt: at,
    dedupe: `created|${target.id}`,
    content,
    extra: extraOf(element, { box, body, parts, ends }),
  };
  return {
    events: [created, ...statusEvents(target, at, box, attributes), ...lostEvents(target, at, parts)],
    media: parts.media,
    damaged: parts.damaged,
  };
}

// Values

/** The value, or undefined where the app wrote that there is none. */
export function valueOf(attributes: Attributes, name: string): string | undefined {
  const value = attributes[name];
  return value === undefined || value === '' || value === 'null' ? undefined : value;
}

/** Seconds or milliseconds: what is below 10^11 would be before March 1973 as milliseconds, and is seconds. */
function readDate(attributes: Attributes, name: string): Instant | undefined {
  const value = valueOf(attributes, name);
  if (value === undefined || !/^\d{1,15}$/.test(value)) return undefined;
  return parseEpochInstant(value, Number(value) < 1e11 ? 's' : 'ms', 'file');
}

function readSmsBody(attributes: Attributes): Body | undefined {
  const text = attributes['body'];
  if (text === undefined) return undefined;
  const subject = valueOf(attributes, 'subject');
  return { text, format: 'plain', ...(subject === undefined ? {} : { subject }) };
}

function readMmsBody(attributes: Attributes, { texts }: ReadParts): Body | undefined {
  const subject = valueOf(attributes, 'sub');
  if (texts.length === 0 && subject === undefined) return undefined;
  return { text: texts.join('\n'), format: 'plain', ...(subject === undefined ? {} : { subject }) };
}

// Parties

type Ends = {
  readonly from: PartyRef;
  readonly to: readonly Recipient[];
  /** The other ends of the thread, each once, in order of their keys. */
  readonly remotes: readonly Address[];
  readonly own: Address;
  /** The remote addresses as written, for the message's identity: what region was named must not change it. */
  readonly written: readonly string[];
  readonly sender: string;
  readonly ownInferred: boolean;
};

/** Reads an address as a phone writes it: a number, a short code, a sender name, or, for an MMS, an e-mail address. */
function parseBackupAddress(text: string, region: string | undefined): Address {
  const trimmed = text.trim();
  if (trimmed.includes('@')) return { scheme: 'email', value: trimmed.toLowerCase().slice(0, 256) };
  return parsePhoneAddress(trimmed, region);
}

function addressOf(context: BackupContext, text: string): Address {
  const known = context.addresses.get(text);
  if (known !== undefined) return known;
  const address = parseBackupAddress(text, context.options.region);
  if (context.addresses.size >= ADDRESSES_CACHED_MAX) context.addresses.clear();
  context.addresses.set(text, address);
  return address;
}

function readEnds(context: BackupContext, element: ParsedElement, box: Box): Ends {
  const listed = element.addresses.flatMap((attributes) => {
    const address = valueOf(attributes, 'address');
    return address === undefined ? [] : [{ address, type: attributes['type'] }];
  });
  const threadWritten = (valueOf(element.attributes, 'address') ?? '').split('~').filter((text) => text.trim() !== '');
  const own = findOwn(context, listed, threadWritten, box.direction);
  const isOwn = (text: string): boolean =>
    text === OWN_TOKEN || (own !== undefined && addressKey(addressOf(context, text)) === addressKey(own));
  const named = threadWritten.length > 0 ? threadWritten : listed.map(({ address }) => address);
  const written = named.filter((text) => !isOwn(text));
  const remotes = uniqueAddresses(written.map((text) => addressOf(context, text)));
  const names = namesOf(element.attributes, threadWritten);
  const partyOf = (text: string): PartyRef => remoteParty(addressOf(context, text), names.get(text));
  const ownAddress: Address = own ?? { scheme: 'handle', value: context.account };
  const shop: PartyRef = { kind: 'shop', address: ownAddress };
  const sender = listed.find(({ type }) => type === '137')?.address ?? (written.length === 1 ? written[0] : undefined);
  const base = { remotes, own: ownAddress, written, ownInferred: context.own === undefined && own !== undefined };
  if (box.direction === 'inbound') {
    const from = sender === undefined || isOwn(sender) ? unknownParty() : partyOf(sender);
    const others = written.filter((text) => addressKey(addressOf(context, text)) !== addressKey(from.address));
    const to: Recipient[] = [{ ...shop, role: 'to' }];
    return {
      ...base,
      from,
      sender: sender ?? '',
      to: uniqueRecipients([...to, ...others.map((text) => withRole(partyOf(text), 'group'))]),
    };
  }
  const recipients = listed.filter(({ address, type }) => type !== '137' && !isOwn(address));
  const to =
    recipients.length > 0
      ? recipients.map(({ address, type }) => withRole(partyOf(address), ROLES.get(type ?? '') ?? 'to'))
      : written.map((text) => withRole(partyOf(text), written.length > 1 ? 'group' : 'to'));
  return { ...base, from: shop, sender: OWN_TOKEN, to: uniqueRecipients(to) };
}

/** PduHeaders of Android: 129 BCC, 130 CC, 151 TO (137 is FROM). */
const ROLES = new Map<string, Recipient['role']>([
  ['129', 'bcc'],
  ['130', 'cc'],
  ['151', 'to'],
]);

/** The phone's own address: as told, or the one recipient of an inbound MMS that is no end of the thread. */
function findOwn(
  context: BackupContext,
  listed: readonly { address: string; type: string | undefined }[],
  thread: readonly string[],
  direction: Direction,
): Address | undefined {
  if (context.own !== undefined || direction !== 'inbound' || thread.length === 0) return context.own;
  const ends = new Set(thread.map((text) => addressKey(addressOf(context, text))));
  const others = listed
    .filter(({ address, type }) => type !== '137' && address !== OWN_TOKEN)
    .map(({ address }) => addressOf(context, address))
    .filter((address) => !ends.has(addressKey(address)));
  const [own, ...more] = uniqueAddresses(others);
  return more.length === 0 ? own : undefined;
}

/** Names of the thread's ends: `contact_name` lists them in the order of `address`, where a name itself holds no comma. */
function namesOf(attributes: Attributes, thread: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  const written = valueOf(attributes, 'contact_name');
  if (written === undefined) return names;
  const list = thread.length === 1 ? [written] : written.split(', ');
  if (list.length !== thread.length) return names;
  for (const [index, address] of thread.entries()) {
    const name = list[index]?.trim();
    if (name !== undefined && name !== '' && name !== '(Unknown)') names.set(address, name);
  }
  return names;
}

function remoteParty(address: Address, name: string | undefined): PartyRef {
  // A short code or a sender name is a service, not a person who buys.
  const person = address.scheme === 'e164' || address.scheme === 'phone_raw' || address.scheme === 'email';
  return { kind: person ? 'customer' : 'unknown', address, ...(name === undefined ? {} : { name }) };
}

function unknownParty(): PartyRef {
  return { kind: 'unknown', address: { scheme: 'name_only', value: 'unknown' } };
}

function withRole(party: PartyRef, role: Recipient['role']): Recipient {
  return { ...party, role };
}

function uniqueAddresses(addresses: readonly Address[]): Address[] {
  const byKey = new Map(addresses.map((address) => [addressKey(address), address]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, address]) => address);
}

function uniqueRecipients(recipients: readonly Recipient[]): Recipient[] {
  const byKey = new Map<string, Recipient>();
  for (const recipient of recipients) {
    const key = addressKey(recipient.address);
    if (!byKey.has(key)) byKey.set(key, recipient);
  }
  return [...byKey.values()];
}

// Identity and content

function keyOf(
  context: BackupContext,
  row: {
    channel: Channel;
    box: Box;
    at: Instant;
    body: Body | undefined;
    ends: Ends;
    media: readonly BackupMedium[];
  },
): MessageKey {
  const { channel, box, at, body, ends, media } = row;
  const natural = joinNatural([
    channel,
    box.direction,
    String(at.ms),
    ends.sender === OWN_TOKEN ? OWN_TOKEN : identityOf(ends.sender),
    joinNatural([...new Set(ends.written.map(identityOf))].sort()),
    // Two pictures without a text, sent in the same second, differ in nothing else.
    joinNatural(media.map(({ data }) => data.result.sha256)),
    body === undefined ? '-' : `=${body.text}`,
    body?.subject ?? '',
  ]);
  const first = hash('sha256', natural, 'hex');
  const ordinal = countRow(context.rows, first);
  const id = ordinal === 0 ? first : hash('sha256', joinNatural([natural, String(ordinal)]), 'hex');
  return { platform: BACKUP_PLATFORM, account: context.account, id };
}

/** An address as far as it is the same in every backup of the same phone, whatever region the person names. */
function identityOf(written: string): string {
  const address = parseBackupAddress(written, undefined);
  return addressKey(
    address.scheme === 'phone_raw' ? { ...address, value: address.value.replace(/[\s().-]/g, '') } : address,
  );
}

function contentOf(row: {
  attributes: Attributes;
  channel: Channel;
  box: Box;
  at: Instant;
  body: Body | undefined;
  parts: readonly Part[];
  ends: Ends;
  context: BackupContext;
}): MessageContent {
  const { attributes, channel, box, at, body, parts, ends, context } = row;
  const sentDate = readDate(attributes, 'date_sent');
  const sentByOther = sentDate?.ms === 0 ? undefined : sentDate;
  // Without `date_sent` the time of receipt is the best that is known; `extra.sentAtIsReceipt` says so.
  const sentAt = box.direction === 'inbound' ? (sentByOther ?? at) : box.left ? at : undefined;
  return {
    channel,
    direction: box.direction,
    directionBasis: box.basis,
    from: ends.from,
    to: ends.to,
    thread: threadOf(context, ends),
    threadKind: ends.remotes.length > 1 ? 'group' : 'direct',
    ...(sentAt === undefined ? {} : { sentAt }),
    ...(box.direction === 'inbound' ? { times: { received: at } } : {}),
    ...(body === undefined ? {} : { body }),
    parts,
    contentState: body === undefined && parts.length === 0 ? 'not-captured' : 'present',
    origin: 'import',
  };
}

/** SMS and MMS share a thread. Not with the inferred own address: an outbound MMS of the same thread has none to infer. */
function threadOf(context: BackupContext, { remotes }: Ends): string[] {
  return ['sms', context.own === undefined ? context.account : addressKey(context.own), ...remotes.map(addressKey)];
}

function statusEvents(target: MessageKey, at: Instant, box: Box, attributes: Attributes): Event[] {
  const delivery = deliveryOf(box, attributes);
  if (delivery === undefined) return [];
  const dedupe = `status|${target.id}|${delivery.state}|${delivery.rawState}`;
  return [{ kind: 'message.status', target, occurredAt: at, dedupe, ...delivery }];
}

function lostEvents(target: MessageKey, at: Instant, { damaged, absent }: ReadParts): Event[] {
  const lost = [
    ...damaged.map(({ part, data }) => ({
      part,
      reason: data.result.fault === 'too-large' ? ('media-too-large' as const) : ('media-mismatch' as const),
    })),
    ...absent.map((part) => ({ part, reason: 'media-unavailable' as const })),
  ];
  return lost.map(({ part, reason }) => ({
    kind: 'media.lost',
    target,
    occurredAt: at,
    dedupe: `lost|${target.id}|${part}|${reason}`,
    part,
    reason,
    attempts: 1,
  }));
}

/** Attributes that have a place of their own, or only repeat another. */
const PLACED = new Set([
  'address',
  'body',
  'date',
  'date_sent',
  'type',
  'msg_box',
  'subject',
  'sub',
  'readable_date',
  'text_only',
  'm_size',
]);

function extraOf(
  element: ParsedElement,
  { box, body, parts, ends }: { box: Box; body: Body | undefined; parts: ReadParts; ends: Ends },
): Readonly<Record<string, unknown>> {
  const extra: Record<string, unknown> = {};
  // The parser's attributes have no prototype: `in` gives the attributes alone, at half the cost of `Object.entries`.
  for (const name in element.attributes) {
    const value = PLACED.has(name) ? undefined : valueOf(element.attributes, name);
    if (value !== undefined && value !== '(Unknown)') extra[name] = value;
  }
  if (box.draft) extra['draft'] = true;
  if (box.direction === 'inbound' && Number(valueOf(element.attributes, 'date_sent') ?? 0) === 0)
    extra['sentAtIsReceipt'] = true;
  if (body?.text === 'null' || parts.texts.includes('null')) extra['ambiguousNull'] = true;
  if (element.loneSurrogates > 0) extra['loneSurrogates'] = element.loneSurrogates;
  if (element.invalidUtf8) extra['invalidUtf8'] = true;
  if (ends.ownInferred) extra['ownAddressInferred'] = true;
  return extra;
}
