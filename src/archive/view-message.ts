/**
 * Makes of a folded message what those who may see it are shown. Apart from the schemas (views.ts), so that threads that fold load no schema library.
 */
import type { PartyRef } from '../model/address.ts';
import type { Part } from '../model/event.ts';
import type { Message } from '../model/fold.ts';
import type { LoggedRecord } from '../model/record.ts';
import { formatInstant } from '../model/time.ts';
import type { MessageDetail, MessageView, PartView, PartyView } from './views.ts';

function viewParty(party: PartyRef): PartyView {
  return { address: party.address.value, scheme: party.address.scheme, name: party.name ?? null };
}

/** A message for a list. */
export function viewMessage(message: Message): MessageView {
  const { content } = message;
  return {
    id: message.id,
    conversationId: message.conversation ?? null,
    channel: content?.channel ?? 'other',
    direction: content?.direction ?? 'unknown',
    from: content === undefined ? null : viewParty(content.from),
    to: (content?.to ?? []).map(viewParty),
    sentAt: content?.sentAt === undefined ? null : formatInstant(content.sentAt),
    capturedAt: formatInstant(message.capturedAt),
    text: message.body?.text ?? null,
    parts: message.parts.map((part) => viewPart(part, message)),
    delivery: { state: message.delivery.state ?? null, conflict: message.delivery.conflict },
    contentState: message.contentState,
    types: [...message.types],
    edited: message.revisions.length > 1,
    deleted: message.deletion !== undefined,
  };
}

function viewPart(part: Part, message: Message): PartView {
  if (part.kind !== 'media') return { ...part };
  const { url: _url, ...shown } = part;
  const state = message.media[part.index];
  if (state === undefined) return { ...shown, state: 'pending' };
  if (state.state === 'lost') return { ...shown, state: 'lost', reason: state.reason };
  if (state.state === 'pending') return { ...shown, state: 'pending' };
  const { bytes, sha256, mimeSniffed } = state.media;
  return {
    ...shown,
    state: 'stored',
    bytes,
    sha256,
    mime: mimeSniffed ?? part.mimeDeclared ?? 'application/octet-stream',
  };
}

/** A message with its history. */
export function viewMessageDetail(message: Message, records: readonly LoggedRecord[]): MessageDetail {
  return {
    ...viewMessage(message),
    sourceId: message.source ?? null,
    platform: message.key.platform,
    account: message.key.account,
    platformId: message.key.id,
    leafIndex: message.records[0]?.seq ?? 0,
    revisions: message.revisions.map(({ seq, at, body }) => ({
      leafIndex: seq,
      at: formatInstant(at),
      text: body?.text ?? null,
    })),
    deletion:
      message.deletion === undefined
        ? null
        : { at: formatInstant(message.deletion.at), by: message.deletion.by, scope: message.deletion.scope },
    reactions: message.reactions.map(({ emoji, by, at, removedAt }) => ({
      emoji,
      by: viewParty(by),
      at: formatInstant(at),
      removedAt: removedAt === undefined ? null : formatInstant(removedAt),
    })),
    reports: message.delivery.reports.map((report) => ({
      leafIndex: report.seq,
      at: formatInstant(report.at),
      state: report.state,
      rawState: report.rawState,
      errorCode: report.errorCode ?? null,
      errorText: report.errorText ?? null,
    })),
    gaps: [...message.gaps],
    history: records.map(({ seq, record }) => ({
      leafIndex: seq,
      recordId: record.record,
      kind: record.event.kind,
      capturedAt: formatInstant(record.capturedAt),
      occurredAt: formatInstant(record.event.occurredAt),
      event: record.event,
      raw: record.raw ?? null,
    })),
  };
}
