/**
 * What a message is: a fold over its records. Records may come in any order and more than once; the result depends only on the set of
 * them (a property test holds it to that), because platforms deliver late, twice and out of order.
 *
 * A message's state at any instant is the same fold over fewer records: those known by then, or those that had happened by then.
 */
import { addressKey } from './address.ts';
import type { PartyRef } from './address.ts';
import { isConflict, joinDelivery } from './delivery.ts';
import type { DeliveryState } from './delivery.ts';
import { assertNever } from './errors.ts';
import { joinNatural } from './event.ts';
import type { Body, ContentState, EventOf, GapReason, MessageContent, MessageKey, Part, StoredMedia } from './event.ts';
import type { ConversationId, MessageId, SourceId } from './ids.ts';
import type { ArchiveRecord, LoggedRecord } from './record.ts';
import type { Instant } from './time.ts';

/** What became of a medium. */
export type MediaState =
  | { readonly state: 'pending' }
  | { readonly state: 'stored'; readonly media: StoredMedia }
  | { readonly state: 'lost'; readonly reason: GapReason };

export type Revision = {
  readonly seq: number;
  readonly at: Instant;
  readonly body?: Body;
  readonly parts: readonly Part[];
  readonly editedBy?: PartyRef;
};

export type DeliveryReport = {
  readonly seq: number;
  readonly at: Instant;
  readonly state: DeliveryState;
  readonly rawState: string;
  readonly recipient?: string;
  readonly errorCode?: string;
  readonly errorText?: string;
};

export type ReactionState = {
  readonly emoji: string;
  readonly by: PartyRef;
  readonly at: Instant;
  readonly removedAt?: Instant;
};

/** The state of one message. */
export type Message = {
  readonly id: MessageId;
  readonly conversation?: ConversationId;
  readonly source?: SourceId;
  readonly key: MessageKey;
  /** Undefined where only reports about the message are known, none of which names its ends. */
  readonly content?: Omit<MessageContent, 'body' | 'parts' | 'contentState'>;
  readonly contentState: ContentState;
  readonly capturedAt: Instant;
  readonly body?: Body;
  readonly parts: readonly Part[];
  readonly media: Readonly<Record<number, MediaState>>;
  readonly revisions: readonly Revision[];
  readonly deletion?: { readonly seq: number; readonly at: Instant; readonly by: string; readonly scope: string };
  readonly reactions: readonly ReactionState[];
  readonly delivery: {
    readonly state?: DeliveryState;
    readonly conflict: boolean;
    readonly reports: readonly DeliveryReport[];
  };
  readonly types: readonly string[];
  readonly gaps: readonly GapReason[];
  readonly records: readonly {
    readonly seq: number;
    readonly id: string;
    readonly kind: string;
    readonly capturedAt: Instant;
  }[];
};

/** Which records count. */
export type FoldUntil = {
  /** Only what the archive knew at this time (ms since 1970). */
  readonly knownAtMs?: number;
  /** Only what had happened by this time (ms since 1970). */
  readonly occurredAtMs?: number;
};

/**
 * Folds the records of one message into its state.
 * @returns undefined where none of the records counts
 */
export function foldMessage(records: readonly LoggedRecord[], until: FoldUntil = {}): Message | undefined {
  const counted = selectRecords(records, until);
  const first = counted[0];
  if (first === undefined) return undefined;
  const draft = newDraft();
  for (const { seq, record } of counted) applyEvent(draft, seq, record);
  return finish(draft, counted, first.record);
}

function selectRecords(records: readonly LoggedRecord[], until: FoldUntil): LoggedRecord[] {
  const bySeq = new Map<number, LoggedRecord>();
  for (const logged of records) {
    const { capturedAt, event } = logged.record;
    if (until.knownAtMs !== undefined && capturedAt.ms > until.knownAtMs) continue;
    if (until.occurredAtMs !== undefined && event.occurredAt.ms > until.occurredAtMs) continue;
    bySeq.set(logged.seq, logged);
  }
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}

type Draft = {
  created: { seq: number; event: EventOf<'message.created'> } | undefined;
  shell: NonNullable<EventOf<'message.status'>['shell']> | undefined;
  redaction: ContentState | undefined;
  edits: { seq: number; event: EventOf<'message.edited'> }[];
  deletion: Message['deletion'];
  reports: DeliveryReport[];
  sms: { seq: number; event: EventOf<'message.status'> }[];
  reactions: { seq: number; event: EventOf<'reaction.added' | 'reaction.removed'> }[];
  media: Map<number, MediaState>;
  types: Set<string>;
  gaps: { seq: number; event: EventOf<'gap.opened' | 'gap.closed'> }[];
};

function newDraft(): Draft {
  return {
    created: undefined,
    shell: undefined,
    redaction: undefined,
    edits: [],
    deletion: undefined,
    reports: [],
    sms: [],
    reactions: [],
    media: new Map(),
    types: new Set(),
    gaps: [],
  };
}

function applyEvent(draft: Draft, seq: number, record: ArchiveRecord): void {
  const event = record.event;
  switch (event.kind) {
    case 'message.created':
      applyCreated(draft, seq, event);
      return;
    case 'message.edited':
      draft.edits.push({ seq, event });
      return;
    case 'message.deleted':
      draft.deletion ??= { seq, at: event.occurredAt, by: event.by, scope: event.scope };
      return;
    case 'message.redacted':
      draft.redaction ??= event.contentState;
      return;
    case 'message.status':
      draft.shell ??= event.shell;
      draft.reports.push(reportOf(seq, event));
      if (event.sms !== undefined) draft.sms.push({ seq, event });
      return;
    case 'reaction.added':
    case 'reaction.removed':
      draft.reactions.push({ seq, event });
      return;
    case 'media.stored':
      draft.media.set(event.part, { state: 'stored', media: event.media });
      return;
    case 'media.lost':
      // What was stored once is not lost by a later failure to fetch it again.
      if (draft.media.get(event.part)?.state !== 'stored')
        draft.media.set(event.part, { state: 'lost', reason: event.reason });
      return;
    case 'consent.changed':
      if (event.change === 'opt-out') draft.types.add('optout.request');
      return;
    case 'gap.opened':
    case 'gap.closed':
      draft.gaps.push({ seq, event });
      return;
    case 'participant.joined':
    case 'participant.left':
    case 'conversation.updated':
    case 'order.updated':
    case 'quarantine':
    case 'unknown':
    case 'audit':
    case 'key.destroyed':
    case 'settings.changed':
    case 'log.succeeded':
      return;
    default:
      assertNever(event);
  }
}

function applyCreated(draft: Draft, seq: number, event: EventOf<'message.created'>): void {
  for (const type of event.content.types ?? []) draft.types.add(type);
  const known = draft.created;
  // The first report with content wins: a later one (a list poll) repeats it, or comes after the provider redacted it.
  if (
    known === undefined ||
    (known.event.content.contentState !== 'present' && event.content.contentState === 'present')
  ) {
    draft.created = { seq, event };
  }
}

function reportOf(seq: number, event: EventOf<'message.status'>): DeliveryReport {
  return {
    seq,
    at: event.occurredAt,
    state: event.state,
    rawState: event.rawState,
    ...(event.recipient === undefined ? {} : { recipient: event.recipient.value }),
    ...(event.errorCode === undefined ? {} : { errorCode: event.errorCode }),
    ...(event.errorText === undefined ? {} : { errorText: event.errorText }),
  };
}

function finish(draft: Draft, counted: readonly LoggedRecord[], first: ArchiveRecord): Message {
  const revisions = foldRevisions(draft);
  const current = revisions.at(-1);
  const { body: _body, parts: _parts, contentState: _state, ...content } = draft.created?.event.content ?? {};
  const known = withReportedSms(
    draft,
    draft.created === undefined ? shellContent(draft) : (content as Message['content']),
  );
  const origin = counted.find(({ record }) => record.event.kind === 'message.created')?.record ?? first;
  return {
    id: first.message,
    ...(origin.conversation === undefined ? {} : { conversation: origin.conversation }),
    ...(origin.source === undefined ? {} : { source: origin.source }),
    key: origin.event.target,
    ...(known === undefined ? {} : { content: known }),
    contentState:
      draft.redaction !== undefined && current?.body === undefined
        ? draft.redaction
        : (draft.created?.event.content.contentState ?? 'not-captured'),
    capturedAt: first.capturedAt,
    ...(current?.body === undefined ? {} : { body: current.body }),
    parts: current?.parts ?? [],
    media: foldMedia(draft, current?.parts ?? []),
    revisions,
    ...(draft.deletion === undefined ? {} : { deletion: draft.deletion }),
    reactions: foldReactions(draft),
    delivery: foldDelivery(draft),
    types: [...draft.types].sort(),
    gaps: openGaps(draft),
    records: counted.map(({ seq, record }) => ({
      seq,
      id: record.record,
      kind: record.event.kind,
      capturedAt: record.capturedAt,
    })),
  };
}

const MEDIA_GAPS: ReadonlySet<GapReason> = new Set([
  'media-expired',
  'media-forbidden',
  'media-too-large',
  'media-mismatch',
  'media-unavailable',
]);

/** Gaps whose last word is that they are open. What arrived after all (content, every medium) closes the gap that its absence had opened. */
function openGaps(draft: Draft): GapReason[] {
  const lastWord = new Map<GapReason, boolean>();
  for (const { event } of inOrder(draft.gaps)) lastWord.set(event.reason, event.kind === 'gap.opened');
  const hasContent = draft.created?.event.content.contentState === 'present';
  const media = [...draft.media.values()];
  const hasMedia = media.length > 0 && media.every(({ state }) => state === 'stored');
  const isFilled = (reason: GapReason): boolean =>
    (hasContent && reason === 'content-not-given') || (hasMedia && MEDIA_GAPS.has(reason));
  const open = [...lastWord].filter(([reason, isOpen]) => isOpen && !isFilled(reason));
  return open.map(([reason]) => reason).sort();
}

/** The order in which events happened; the log's own where they happened at once. */
function inOrder<Item extends { readonly seq: number; readonly event: { readonly occurredAt: Instant } }>(
  items: readonly Item[],
): Item[] {
  return [...items].sort((a, b) => a.event.occurredAt.ms - b.event.occurredAt.ms || a.seq - b.seq);
}

function shellContent(draft: Draft): Message['content'] {
  return draft.shell === undefined ? undefined : { ...draft.shell, directionBasis: 'provider', origin: 'unknown' };
}

/** Prices and segments are settled after a text was sent: the newest report of each counts. */
function withReportedSms(draft: Draft, content: Message['content']): Message['content'] {
  if (content === undefined || draft.sms.length === 0) return content;
  return { ...content, sms: Object.assign({ ...content.sms }, ...inOrder(draft.sms).map(({ event }) => event.sms)) };
}

function foldRevisions(draft: Draft): Revision[] {
  const revisions: Revision[] = [];
  if (draft.created !== undefined) {
    const { seq, event } = draft.created;
    const { body, parts } = event.content;
    revisions.push({
      seq,
      at: event.content.sentAt ?? event.occurredAt,
      parts,
      ...(body === undefined ? {} : { body }),
    });
  }
  for (const { seq, event } of inOrder(draft.edits)) {
    const before = revisions.at(-1);
    const body = event.body ?? before?.body;
    revisions.push({
      seq,
      at: event.occurredAt,
      parts: event.parts ?? before?.parts ?? [],
      ...(body === undefined ? {} : { body }),
      ...(event.editedBy === undefined ? {} : { editedBy: event.editedBy }),
    });
  }
  return revisions;
}

function foldMedia(draft: Draft, parts: readonly Part[]): Record<number, MediaState> {
  const media: Record<number, MediaState> = {};
  for (const part of parts) if (part.kind === 'media') media[part.index] = { state: 'pending' };
  for (const [index, state] of [...draft.media].sort(([a], [b]) => a - b)) media[index] = state;
  return media;
}

function foldReactions(draft: Draft): ReactionState[] {
  const states = new Map<string, ReactionState>();
  for (const { event } of inOrder(draft.reactions)) {
    const key = joinNatural([addressKey(event.by.address), event.emoji]);
    const known = states.get(key);
    if (event.kind === 'reaction.added') states.set(key, { emoji: event.emoji, by: event.by, at: event.occurredAt });
    else
      states.set(key, {
        emoji: event.emoji,
        by: event.by,
        at: known?.at ?? event.occurredAt,
        removedAt: event.occurredAt,
      });
  }
  return [...states.values()];
}

function foldDelivery(draft: Draft): Message['delivery'] {
  const reports = [...draft.reports].sort((a, b) => a.at.ms - b.at.ms || a.seq - b.seq);
  let state: DeliveryState | undefined;
  for (const report of reports) {
    state = state === undefined ? report.state : joinDelivery(state, report.state);
  }
  if (state === undefined && draft.created?.event.content.direction === 'inbound') state = 'received';
  return { ...(state === undefined ? {} : { state }), conflict: hasConflict(reports), reports };
}

/** Do reports about one person contradict each other? A report that names nobody speaks of everybody; a text to a group may reach one and fail for another. */
function hasConflict(reports: readonly DeliveryReport[]): boolean {
  const byRecipient = new Map<string | undefined, Set<DeliveryState>>();
  for (const { recipient, state } of reports) {
    const known = byRecipient.get(recipient);
    if (known === undefined) byRecipient.set(recipient, new Set([state]));
    else known.add(state);
  }
  const ofEverybody = [...(byRecipient.get(undefined) ?? [])];
  return [...byRecipient.values()].some((states) =>
    [...states].some((one) => [...states, ...ofEverybody].some((other) => isConflict(one, other))),
  );
}
