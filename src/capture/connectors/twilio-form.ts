/**
 * Twilio's messaging webhooks: forms that tell of an inbound text or of a new status of an outbound one.
 * Reference: Twilio, "Twilio's request to your incoming message webhook URL" and "Track the message status of outbound messages". Parameters
 * vary by channel and are added without notice, hence what has no place goes into `extra`.
 */
import type { Address } from '../../model/address.ts';
import type { BusinessInfo, Event, MediaPart, MessageContent, MessageKey, Part, Relations } from '../../model/event.ts';
import { receiptInstant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import type { Form } from '../form.ts';
import { isOptOutWord } from '../opt-out-words.ts';
import {
  addExtra,
  cleanMediaUrl,
  createdEvent,
  isMultimediaSid,
  messageKey,
  parseCount,
  parseEndpoint,
  readEnds,
  roleOf,
  statusEvent,
  TWILIO,
  unlessEmpty,
} from './twilio-common.ts';
import type { ReadContext } from './twilio-common.ts';
import { isConversationEvent, readConversationEvent } from './twilio-conversations.ts';

/** Most media that one text is taken to have; Twilio allows ten. */
const MEDIA_MAX = 100;

/**
 * Says what a webhook's form means.
 * @throws UnreadableEnvelope where it names no text, call or other thing of Twilio's
 */
export function readForm(form: Form, context: ReadContext): Event[] {
  const fields = new Map<string, string>();
  for (const [name, value] of form.pairs) if (!fields.has(name)) fields.set(name, value);
  if (isConversationEvent(fields)) return readConversationEvent(fields, context);
  const id = fields.get('MessageSid') ?? fields.get('SmsSid') ?? fields.get('SmsMessageSid');
  if (id === undefined || id === '') return [readUnknown(form, fields, context)];
  const key = messageKey(context, fields.get('AccountSid'), id);
  const status = fields.get('MessageStatus') ?? fields.get('SmsStatus');
  const isReceived = status === undefined || /^receiv(?:ed|ing)$/i.test(status);
  // A report of its own that a text was received has no text; one that has is the text.
  const isReport = fields.has('MessageStatus') && !fields.has('Body') && !fields.has('NumMedia');
  if (!isReceived || isReport) return [readStatus(form, fields, key, status ?? '', context)];
  return readInbound(form, fields, key, context);
}

/** Parameters that have a place of their own, or repeat what another says. */
const PLACED: ReadonlySet<string> = new Set([
  'AccountSid',
  'ApiVersion',
  'Body',
  'ButtonPayload',
  'ButtonText',
  'ErrorCode',
  'ErrorMessage',
  'Forwarded',
  'FrequentlyForwarded',
  'From',
  'Latitude',
  'ListId',
  'ListTitle',
  'Longitude',
  'MessageSid',
  'MessageStatus',
  'MessagingServiceSid',
  'NumMedia',
  'NumSegments',
  'OptOutType',
  'OriginalRepliedMessageSid',
  'ProfileName',
  'SmsMessageSid',
  'SmsSid',
  'SmsStatus',
  'To',
  'ExternalUserId',
  'WaId',
]);

function readInbound(form: Form, fields: ReadonlyMap<string, string>, key: MessageKey, context: ReadContext): Event[] {
  const mediaCount = Math.min(parseCount(fields.get('NumMedia')) ?? 0, MEDIA_MAX);
  const from = fields.get('From');
  const ends = readEnds({
    direction: 'inbound',
    from,
    to: fields.get('To'),
    messagingServiceSid: fields.get('MessagingServiceSid'),
    others: listOthers(form),
    multimedia: mediaCount > 0 || isMultimediaSid(key.id),
    customerName: fields.get('ProfileName'),
    customerAlso: from === undefined ? [] : listIdentities(fields, from),
  });
  const text = fields.get('Body');
  const parts = readParts(fields, mediaCount);
  const relations = readRelations(fields, key);
  const business = readBusiness(fields);
  const segments = parseCount(fields.get('NumSegments'));
  const stop =
    business?.optOut === 'STOP' || (business?.optOut === undefined && text !== undefined && isOptOutWord(text));
  const smsSid = fields.get('SmsSid');
  const content: MessageContent = {
    ...ends,
    direction: 'inbound',
    directionBasis: 'provider',
    ...(text === undefined || (text === '' && parts.length > 0) ? {} : { body: { text, format: 'plain' } }),
    parts,
    contentState: 'present',
    origin: 'unknown',
    actor: { type: 'customer' },
    ...(relations === undefined ? {} : { relations }),
    ...(segments === undefined ? {} : { sms: { segments } }),
    ...(business === undefined ? {} : { business }),
    ...(smsSid === undefined || smsSid === '' || smsSid === key.id
      ? {}
      : { aliases: [{ system: TWILIO, id: smsSid }] }),
    ...(stop ? { types: ['optout.request'] } : {}),
  };
  // The webhook states no time: Twilio sends it when the text arrives, and only the list says when that was.
  const occurredAt = receiptInstant(context.receivedAtMs);
  const events: Event[] = [createdEvent(key, occurredAt, content, collectExtra(form, mediaCount))];
  const consent = business?.optOut;
  const [shop] = ends.to;
  if (consent !== undefined && shop !== undefined) {
    events.push({
      kind: 'consent.changed',
      target: key,
      occurredAt,
      dedupe: `consent|${key.id}|${consent}`,
      party: ends.from,
      endpoint: shop.address,
      change: consent === 'STOP' ? 'opt-out' : consent === 'START' ? 'opt-in' : 'help',
      ...(text === undefined ? {} : { words: text }),
    });
  }
  return events;
}

/** The other recipients of a group text: `OtherRecipients0` …, which Twilio sends but does not document. */
function listOthers(form: Form): string[] {
  const others: string[] = [];
  for (const [name, value] of form.pairs) {
    if (name.charCodeAt(0) === 0x4f && /^OtherRecipients\d*$/.test(name) && value !== '') others.push(value);
  }
  return others;
}

/** Further identities that WhatsApp gives of the sender: the business-scoped id, and a number that differs from the dialable one. */
function listIdentities(fields: ReadonlyMap<string, string>, from: string): Address[] {
  const also: Address[] = [];
  const known = parseEndpoint(from).address.value;
  const external = fields.get('ExternalUserId');
  if (external !== undefined && external !== '') {
    const { address } = parseEndpoint(external);
    if (address.value !== known) also.push(address);
  }
  const waId = fields.get('WaId');
  if (waId !== undefined && /^\d{5,15}$/.test(waId)) {
    const { address } = parseEndpoint(`whatsapp:+${waId}`);
    if (address.value !== known) also.push({ ...address, raw: waId });
  }
  return also;
}

function readParts(fields: ReadonlyMap<string, string>, mediaCount: number): Part[] {
  const parts: Part[] = [];
  for (let index = 0; index < mediaCount; index += 1) parts.push(readMedia(fields, index));
  const latitude = parseDegrees(fields.get('Latitude'), 90);
  const longitude = parseDegrees(fields.get('Longitude'), 180);
  if (latitude !== undefined && longitude !== undefined) {
    const name = fields.get('Label');
    const address = fields.get('Address');
    parts.push({
      kind: 'location',
      latitude,
      longitude,
      ...(name === undefined || name === '' ? {} : { name }),
      ...(address === undefined || address === '' ? {} : { address }),
    });
  }
  addInteractive(parts, 'button', fields.get('ButtonText'), fields.get('ButtonPayload'));
  addInteractive(parts, 'list', fields.get('ListTitle'), fields.get('ListId'));
  const url = fields.get('ReferralSourceUrl');
  if (url !== undefined && url !== '') {
    const title = fields.get('ReferralHeadline');
    const description = fields.get('ReferralBody');
    parts.push({
      kind: 'link',
      url,
      ...(title === undefined ? {} : { title }),
      ...(description === undefined ? {} : { description }),
    });
  }
  return parts;
}

function readMedia(fields: ReadonlyMap<string, string>, index: number): MediaPart {
  const url = cleanMediaUrl(fields.get(`MediaUrl${index}`));
  const mime = fields.get(`MediaContentType${index}`);
  const sid = url === undefined ? undefined : /\/Media\/(ME[0-9a-f]{32})/i.exec(url)?.[1];
  return {
    kind: 'media',
    index,
    ...(sid === undefined ? {} : { providerMediaId: sid }),
    ...(url === undefined ? {} : { url }),
    ...(mime === undefined || mime === '' ? {} : { mimeDeclared: mime }),
    role: roleOf(mime, fields.get('MessageType')),
  };
}

function addInteractive(parts: Part[], type: string, text: string | undefined, payload: string | undefined): void {
  if ((text === undefined || text === '') && (payload === undefined || payload === '')) return;
  parts.push({ kind: 'interactive', type, text: text ?? '', ...(payload === undefined ? {} : { payload }) });
}

function parseDegrees(text: string | undefined, limit: number): number | undefined {
  if (text === undefined || !/^-?\d{1,3}(\.\d{1,20})?$/.test(text)) return undefined;
  const degrees = Number(text);
  return Math.abs(degrees) <= limit ? degrees : undefined;
}

function readRelations(fields: ReadonlyMap<string, string>, key: MessageKey): Relations | undefined {
  const replied = fields.get('OriginalRepliedMessageSid');
  const forwarded = fields.get('Forwarded') === 'true';
  const often = fields.get('FrequentlyForwarded') === 'true';
  const isReply = replied !== undefined && replied !== '';
  if (!isReply && !forwarded && !often) return undefined;
  return {
    ...(isReply ? { replyTo: { platform: TWILIO, account: key.account, id: replied } } : {}),
    ...(forwarded || often ? { forwarded: true } : {}),
    ...(often ? { forwardedManyTimes: true } : {}),
  };
}

function readBusiness(fields: ReadonlyMap<string, string>): BusinessInfo | undefined {
  const service = fields.get('MessagingServiceSid');
  const word = fields.get('OptOutType');
  const optOut = word === 'STOP' || word === 'START' || word === 'HELP' ? word : undefined;
  if ((service === undefined || service === '') && optOut === undefined) return undefined;
  return {
    ...(service === undefined || service === '' ? {} : { messagingServiceId: service }),
    ...(optOut === undefined ? {} : { optOut }),
  };
}

function collectExtra(form: Form, mediaCount: number): Record<string, unknown> | undefined {
  const extra: Record<string, unknown> = {};
  for (const [name, value] of form.pairs) {
    if (value === '' || PLACED.has(name)) continue;
    if (mediaCount > 0 && name.startsWith('Media') && isMediaOf(name, mediaCount)) continue;
    addExtra(extra, name, value);
  }
  if (!form.wellFormed) addExtra(extra, 'notUtf8', true);
  return unlessEmpty(extra);
}

function isMediaOf(name: string, mediaCount: number): boolean {
  const index = /^Media(?:Url|ContentType)(\d{1,3})$/.exec(name)?.[1];
  return index !== undefined && Number(index) < mediaCount;
}

function readStatus(
  form: Form,
  fields: ReadonlyMap<string, string>,
  key: MessageKey,
  rawState: string,
  context: ReadContext,
): Event {
  const prefix = fields.get('ChannelPrefix');
  const to = withPrefix(fields.get('To'), prefix);
  const direction = /^recei/i.test(rawState) ? 'inbound' : 'outbound';
  const ends = readEnds({
    direction,
    from: withPrefix(fields.get('From'), prefix),
    to,
    messagingServiceSid: fields.get('MessagingServiceSid'),
    multimedia: isMultimediaSid(key.id),
  });
  const errorText = fields.get('ChannelStatusMessage') ?? fields.get('ErrorMessage');
  return statusEvent({
    key,
    rawState,
    recipient: direction === 'outbound' ? ends.to[0]?.address : undefined,
    errorCode: fields.get('ErrorCode'),
    errorText,
    occurredAt: receiptInstant(context.receivedAtMs),
    shell: { ...ends, direction },
    extra: collectStatusExtra(form, fields),
  });
}

/** Channels name their users with a prefix; where a callback leaves it off, `ChannelPrefix` says which it is. */
function withPrefix(address: string | undefined, prefix: string | undefined): string | undefined {
  if (prefix === undefined || prefix === '' || prefix === 'sms' || prefix === 'mms') return address;
  return address === undefined || address === '' || address.includes(':') ? address : `${prefix}:${address}`;
}

/**
 * The carrier's own time of delivery has minutes and no zone: it is kept beside, since taking it for UTC could put a delivery before its
 * sending.
 */
function collectStatusExtra(form: Form, fields: ReadonlyMap<string, string>): Record<string, unknown> | undefined {
  const extra = collectExtra(form, 0) ?? {};
  const done = fields.get('RawDlrDoneDate');
  const match = done === undefined ? null : /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(done);
  if (match !== null) {
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map(Number);
    const ms = Date.UTC(2000 + year, month - 1, day, hour, minute);
    extra['carrierDoneAt'] = { ms, precision: 'min', zone: 'assumed', origin: 'provider' };
  }
  const service = fields.get('MessagingServiceSid');
  if (service !== undefined && service !== '') extra['MessagingServiceSid'] = service;
  return unlessEmpty(extra);
}

/** Something of Twilio's that is no text: kept by name, never dropped. */
function readUnknown(form: Form, fields: ReadonlyMap<string, string>, context: ReadContext): Event {
  const named = form.pairs.find(
    ([name, value]) => /^[A-Za-z]{2,40}Sid$/.test(name) && name !== 'AccountSid' && value !== '',
  );
  if (named === undefined || !fields.has('AccountSid')) throw new UnreadableEnvelope('the form names no message');
  const name = fields.get('EventType') ?? named[0];
  const extra = collectExtra(form, 0);
  return {
    kind: 'unknown',
    name: name.slice(0, 100),
    target: messageKey(context, fields.get('AccountSid'), named[1]),
    occurredAt: receiptInstant(context.receivedAtMs),
    ...(extra === undefined ? {} : { extra }),
  };
}
