/**
 * What the search index is told of a message.
 */
import type { PartyRef } from '../model/address.ts';
import type { Body, MessageKey, Part } from '../model/event.ts';
import { foldMessage } from '../model/fold.ts';
import type { Message } from '../model/fold.ts';
import type { LoggedRecord, RecordHead } from '../model/record.ts';
import type { IndexDocument } from '../search/document.ts';

/** When a message counts as sent: what the platform says, else when it reached us. */
export function sentAtMs(message: Message): number {
  return message.content?.sentAt?.ms ?? message.revisions[0]?.at.ms ?? message.capturedAt.ms;
}

/**
 * Times under which a message may stand in the index, but for the one it has now: a state can come before its message, and then it stood where it was
 * first heard of.
 * @param records of one message, in the order of the log
 */
export function placesOf(records: readonly LoggedRecord[]): Set<number> {
  const places = new Set<number>();
  for (const [count, { record }] of records.entries()) {
    // Nothing else moves a message.
    if (count === 0 || (record.event.kind !== 'message.created' && record.event.kind !== 'message.edited')) continue;
    const before = foldMessage(records.slice(0, count));
    if (before !== undefined) places.add(sentAtMs(before));
    if (record.event.kind === 'message.edited') break;
  }
  return places;
}

/**
 * The document of a message.
 * @returns undefined for what is no message with ends (audit records, quarantine, settings)
 */
export function toIndexDocument(messageNo: number, message: Message): IndexDocument | undefined {
  const { content } = message;
  if (content === undefined) return undefined;
  const texts = new Set<string>();
  for (const { body, parts } of message.revisions) addTexts(texts, body, parts);
  const has = featuresOf(message.body, message.parts);
  if (message.reactions.length > 0) has.add('reaction');
  if (message.revisions.length > 1) has.add('edit');
  if (message.deletion !== undefined) has.add('deletion');
  if (message.gaps.length > 0 || message.contentState === 'not-captured') has.add('gap');
  const terms = contentTerms(message, message.key, content);
  return {
    ...terms,
    ids: [...terms.ids, ...hashesOf(message)],
    messageNo,
    sentAtMs: sentAtMs(message),
    text: [...texts].join('\n\n'),
    types: message.types,
    state: message.delivery.state ?? '',
    has: [...has],
  };
}

/**
 * The document of a message that has but one record, the one it began with: what `toIndexDocument` says of the folded message, without folding it.
 * @returns undefined as `toIndexDocument`
 */
export function firstIndexDocument(messageNo: number, seq: number, record: RecordHead): IndexDocument | undefined {
  const { event } = record;
  if (event.kind !== 'message.created') {
    const message = foldMessage([{ seq, record }]);
    return message === undefined ? undefined : toIndexDocument(messageNo, message);
  }
  const { content } = event;
  const texts = new Set<string>();
  addTexts(texts, content.body, content.parts);
  const has = featuresOf(content.body, content.parts);
  if (content.contentState === 'not-captured') has.add('gap');
  return {
    ...contentTerms({ ...record, id: record.message }, event.target, content),
    messageNo,
    sentAtMs: content.sentAt?.ms ?? event.occurredAt.ms,
    text: [...texts].join('\n\n'),
    types: [...new Set(content.types)].sort(),
    state: content.direction === 'inbound' ? 'received' : '',
    has: [...has],
  };
}

/** Media are found by their hash, which stands in exports and manifests. */
function hashesOf({ media }: Message): string[] {
  return Object.values(media).flatMap((state) => (state.state === 'stored' ? [`sha256:${state.media.sha256}`] : []));
}

type ContentTerms = 'channel' | 'direction' | 'source' | 'conversation' | 'from' | 'to' | 'orders' | 'ids' | 'brand';

/** What is the same whatever happened to the message since. */
function contentTerms(
  of: Pick<Message, 'id' | 'source' | 'conversation'>,
  key: MessageKey,
  content: NonNullable<Message['content']>,
): Pick<IndexDocument, ContentTerms> {
  return {
    channel: content.channel,
    direction: content.direction,
    source: of.source ?? '',
    conversation: of.conversation ?? '',
    from: partyKeys(content.from),
    to: content.to.flatMap(partyKeys),
    orders: (content.business?.orders ?? []).map((order) => order.id),
    ids: [of.id, key.id, ...(content.aliases ?? []).map((alias) => alias.id)],
    brand: content.brand ?? '',
  };
}

function partyKeys(party: PartyRef): string[] {
  const keys = [party.address.value, ...(party.also ?? []).map((address) => address.value)];
  if (party.name !== undefined) keys.push(party.name);
  return keys;
}

function addTexts(texts: Set<string>, body: Body | undefined, parts: readonly Part[]): void {
  if (body?.subject !== undefined) texts.add(body.subject);
  if (body !== undefined) texts.add(body.text);
  for (const part of parts) for (const text of partTexts(part)) texts.add(text);
}

function partTexts(part: Part): string[] {
  switch (part.kind) {
    case 'media':
      return [part.caption, part.fileName].filter((text) => text !== undefined);
    case 'location':
      return [part.name, part.address].filter((text) => text !== undefined);
    case 'contact':
    case 'order':
      return [part.text];
    case 'interactive':
      return [part.text];
    case 'template':
      return [part.name, ...(part.params ?? [])];
    case 'link':
      return [part.url, part.title, part.description].filter((text) => text !== undefined);
    case 'unsupported':
      return part.text === undefined ? [] : [part.text];
  }
}

function featuresOf(body: Body | undefined, parts: readonly Part[]): Set<string> {
  const features = new Set<string>();
  for (const part of parts) features.add(part.kind);
  if (features.has('media')) features.add('attachment');
  if (/\bhttps?:\/\//i.test(body?.text ?? '')) features.add('link');
  return features;
}
