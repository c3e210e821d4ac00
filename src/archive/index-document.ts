/**
 * What the search index is told of a message.
 */
import type { Part } from '../model/event.ts';
import type { PartyRef } from '../model/address.ts';
import type { Message } from '../model/fold.ts';
import type { IndexDocument } from '../search/document.ts';

/** When a message counts as sent: what the platform says, else when it reached us. */
export function sentAtMs(message: Message): number {
  return message.content?.sentAt?.ms ?? message.revisions[0]?.at.ms ?? message.capturedAt.ms;
}

/**
 * The document of a message.
 * @returns undefined for what is no message with ends (audit records, quarantine, settings)
 */
export function toIndexDocument(messageNo: number, message: Message): IndexDocument | undefined {
  const { content } = message;
  if (content === undefined) return undefined;
  const orders = (content.business?.orders ?? []).map((order) => order.id);
  return {
    messageNo,
    sentAtMs: sentAtMs(message),
    text: searchableText(message),
    channel: content.channel,
    direction: content.direction,
    source: message.source ?? '',
    conversation: message.conversation ?? '',
    from: partyKeys(content.from),
    to: content.to.flatMap(partyKeys),
    types: [...message.types],
    state: message.delivery.state ?? '',
    has: featuresOf(message),
    orders,
    ids: [message.id, message.key.id, ...(content.aliases ?? []).map((alias) => alias.id)],
    brand: content.brand ?? '',
  };
}

function partyKeys(party: PartyRef): string[] {
  const keys = [party.address.value, ...(party.also ?? []).map((address) => address.value)];
  if (party.name !== undefined) keys.push(party.name);
  return keys;
}

function searchableText(message: Message): string {
  const texts = new Set<string>();
  for (const revision of message.revisions) {
    if (revision.body?.subject !== undefined) texts.add(revision.body.subject);
    if (revision.body !== undefined) texts.add(revision.body.text);
    for (const part of revision.parts) for (const text of partTexts(part)) texts.add(text);
  }
  return [...texts].join('\n\n');
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

function featuresOf(message: Message): string[] {
  const features = new Set<string>();
  for (const part of message.parts) features.add(part.kind);
  if (features.has('media')) features.add('attachment');
  if (/\bhttps?:\/\//i.test(message.body?.text ?? '')) features.add('link');
  if (message.reactions.length > 0) features.add('reaction');
  if (message.revisions.length > 1) features.add('edit');
  if (message.deletion !== undefined) features.add('deletion');
  if (message.gaps.length > 0 || message.contentState === 'not-captured') features.add('gap');
  return [...features];
}
