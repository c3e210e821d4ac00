/**
 * What a part of an envelope means: the vocabulary in which connectors speak and records are kept.
 *
 * A connector names things by natural keys (what the platform calls them); capture turns these into keyed ids. An event is never changed
 * after it was recorded; what a message looks like is a fold over events (fold.ts).
 */
import type { Address, PartyRef } from './address.ts';
import type { DeliveryState } from './delivery.ts';
import type { Instant } from './time.ts';

/**
 * The natural key of what an event is about. `id` alone is never unique: Slack's timestamps and Telegram's numbers are unique only within a
 * conversation, hence `conversation` belongs to the key where the platform says so.
 */
export type MessageKey = {
  readonly platform: string;
  /** The shop's account on the platform (`AC…`, a page id, a WABA id). */
  readonly account: string;
  readonly conversation?: string;
  readonly id: string;
};

/** Channels a text can travel on. */
export const CHANNELS = [
  'sms',
  'mms',
  'rcs',
  'whatsapp',
  'messenger',
  'instagram',
  'telegram',
  'line',
  'viber',
  'wechat',
  'zalo',
  'apple',
  'email',
  'chat',
  'helpdesk',
  'other',
] as const;
export type Channel = (typeof CHANNELS)[number];

export const DIRECTIONS = ['inbound', 'outbound', 'internal', 'unknown'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** An honest statement of whether the content is here, and if not, why. */
export const CONTENT_STATES = [
  'present',
  'missing-provider',
  'redacted-provider',
  'discarded-policy',
  'erased',
  'not-captured',
] as const;
export type ContentState = (typeof CONTENT_STATES)[number];

/** A stretch of text that means something: a link, a mention, bold type. */
export type TextEntity = {
  readonly type: string;
  readonly offset: number;
  readonly length: number;
  readonly url?: string;
};

export type Body = {
  /** Exactly as received, without normalisation; lone surrogates survive. */
  readonly text: string;
  readonly format: 'plain' | 'html' | 'markdown' | 'entities';
  /** With format `entities`: what stands where in the text, in UTF-16 code units. */
  readonly entities?: readonly TextEntity[];
  readonly subject?: string;
  readonly language?: string;
};

/** A medium that belongs to a message: what the platform says of it before it was fetched. */
export type MediaPart = {
  readonly kind: 'media';
  /** Position among the parts; with the message it names the medium. */
  readonly index: number;
  readonly providerMediaId?: string;
  /** Where to fetch it; present only until it was fetched or given up (a job carries it), with secrets removed. */
  readonly url?: string;
  readonly mimeDeclared?: string;
  readonly bytesDeclared?: number;
  readonly sha256Declared?: string;
  readonly fileName?: string;
  readonly caption?: string;
  readonly durationMs?: number;
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
  readonly role?: 'image' | 'video' | 'audio' | 'voice' | 'document' | 'sticker' | 'other';
};

/** Everything a message can consist of besides its body. */
export type Part =
  | MediaPart
  | {
      readonly kind: 'location';
      readonly latitude: number;
      readonly longitude: number;
      readonly name?: string;
      readonly address?: string;
    }
  | { readonly kind: 'contact'; readonly text: string }
  | {
      readonly kind: 'template';
      readonly name: string;
      readonly id?: string;
      readonly language?: string;
      readonly params?: readonly string[];
    }
  | { readonly kind: 'interactive'; readonly type: string; readonly text: string; readonly payload?: string }
  | { readonly kind: 'link'; readonly url: string; readonly title?: string; readonly description?: string }
  | { readonly kind: 'order'; readonly text: string }
  | { readonly kind: 'unsupported'; readonly type: string; readonly text?: string };

export type Recipient = PartyRef & { readonly role: 'to' | 'cc' | 'bcc' | 'group' };

/** Who or what wrote an outbound text. */
export type Actor = {
  readonly type: 'customer' | 'agent' | 'bot' | 'ai' | 'campaign' | 'flow' | 'system';
  readonly id?: string;
  readonly name?: string;
  readonly app?: string;
};

/** Links of one message to others. */
export type Relations = {
  readonly replyTo?: MessageKey;
  readonly threadRoot?: MessageKey;
  readonly forwarded?: boolean;
  readonly forwardedManyTimes?: boolean;
  readonly forwardedFrom?: PartyRef;
  readonly quotedText?: string;
  /** The message that this one was sent in place of, where a platform sends anew instead of editing. */
  readonly replaces?: MessageKey;
  /** A part of a concatenated text. */
  readonly partOf?: { readonly ref: string; readonly total: number; readonly seq: number };
};

export type SmsInfo = {
  readonly encoding?: 'GSM-7' | 'UCS-2' | 'binary';
  readonly segments?: number;
  /** SMPP `data_coding` and user data header (hex), as they were sent (SMPP 3.4 §5.2.19, 3GPP TS 23.040 §9.2.3.24). */
  readonly dataCoding?: number;
  readonly udh?: string;
  readonly carrier?: string;
  readonly mcc?: string;
  readonly mnc?: string;
  readonly price?: { readonly amount: string; readonly currency: string };
  /** Registration under which it was sent (United States, The Campaign Registry). */
  readonly tcrCampaignId?: string;
  /** Until when carriers were to try. */
  readonly validUntil?: Instant;
};

export type BusinessInfo = {
  readonly messagingServiceId?: string;
  readonly campaignId?: string;
  readonly flowId?: string;
  readonly clientRef?: string;
  readonly tags?: readonly string[];
  readonly optOut?: 'STOP' | 'START' | 'HELP';
  readonly orders?: readonly {
    readonly system: string;
    readonly id: string;
    readonly method: 'explicit' | 'metadata';
  }[];
};

/** What a `message.created` says. */
export type MessageContent = {
  readonly channel: Channel;
  readonly direction: Direction;
  readonly directionBasis: 'provider' | 'inferred';
  readonly from: PartyRef;
  readonly to: readonly Recipient[];
  /** Natural key of the thread: the provider's thread id, or the endpoint of the shop and the sorted remote addresses. */
  readonly thread: readonly string[];
  readonly threadKind: 'direct' | 'group' | 'channel' | 'ticket';
  readonly threadTitle?: string;
  /** When it was sent; absent where nobody says. */
  readonly sentAt?: Instant;
  /** Further times the platform gives, by its own names (`dateCreated`, `scheduledFor`). */
  readonly times?: Readonly<Record<string, Instant>>;
  readonly body?: Body;
  readonly parts: readonly Part[];
  readonly contentState: ContentState;
  readonly origin: 'provider-api' | 'phone-app' | 'agent-console' | 'campaign' | 'auto-reply' | 'import' | 'unknown';
  readonly actor?: Actor;
  readonly relations?: Relations;
  readonly sms?: SmsInfo;
  readonly business?: BusinessInfo;
  /** The same message under other systems' ids. */
  readonly aliases?: readonly { readonly system: string; readonly id: string }[];
  /** Record types that the platform states, never guessed from the text (reference: regulations §5). */
  readonly types?: readonly string[];
  readonly brand?: string;
};

/** Why something that should be here is not. */
export type GapReason =
  | 'content-not-given'
  | 'media-expired'
  | 'media-forbidden'
  | 'media-too-large'
  | 'media-mismatch'
  | 'media-unavailable'
  | 'inline-failed-open'
  | 'log-range-lost'
  | 'platform-outage';

/** How a medium was stored. */
export type StoredMedia = {
  /** Name of the sealed blob: hex SHA-256 of its ciphertext. */
  readonly blob: string;
  readonly blobBytes: number;
  readonly bytes: number;
  /** Hex SHA-256 of the plaintext; inside the sealed record it dies with the key. */
  readonly sha256: string;
  readonly mimeSniffed?: string;
  readonly mimeDeclared?: string;
};

/** Who did what, for the trail. */
export type AuditAct = {
  readonly action: string;
  readonly outcome: 'allowed' | 'denied' | 'failed';
  /** Parties and messages by id only; queries as normalised text. */
  readonly detail: Readonly<Record<string, string | number | boolean | readonly string[]>>;
};

/** The variants of an event, by kind. */
export type EventBody =
  | { readonly kind: 'message.created'; readonly content: MessageContent }
  | {
      readonly kind: 'message.edited';
      readonly body?: Body;
      readonly parts?: readonly Part[];
      readonly editedBy?: PartyRef;
    }
  | {
      readonly kind: 'message.deleted';
      readonly by: 'sender' | 'admin' | 'provider' | 'policy' | 'unknown';
      readonly scope: 'everyone' | 'self';
    }
  | { readonly kind: 'message.redacted'; readonly by: 'provider' | 'policy'; readonly contentState: ContentState }
  | {
      readonly kind: 'message.status';
      readonly state: DeliveryState;
      /** The platform's own word. */
      readonly rawState: string;
      readonly recipient?: Address;
      readonly errorCode?: string;
      readonly errorText?: string;
      /** What the report names of the message, for when no content is known: status callbacks carry no body. */
      readonly shell?: Pick<MessageContent, 'channel' | 'direction' | 'from' | 'to' | 'thread' | 'threadKind'>;
      readonly sms?: SmsInfo;
    }
  | { readonly kind: 'reaction.added' | 'reaction.removed'; readonly emoji: string; readonly by: PartyRef }
  | { readonly kind: 'media.stored'; readonly part: number; readonly media: StoredMedia }
  | { readonly kind: 'media.lost'; readonly part: number; readonly reason: GapReason; readonly attempts: number }
  | {
      readonly kind: 'consent.changed';
      readonly party: PartyRef;
      readonly endpoint: Address;
      readonly change: 'opt-out' | 'opt-in' | 'help';
      readonly words?: string;
    }
  | {
      readonly kind: 'participant.joined' | 'participant.left';
      readonly party: PartyRef;
      readonly thread: readonly string[];
    }
  | {
      readonly kind: 'conversation.updated';
      readonly thread: readonly string[];
      readonly title?: string;
      readonly status?: string;
    }
  | { readonly kind: 'order.updated'; readonly system: string; readonly order: string }
  | { readonly kind: 'gap.opened'; readonly reason: GapReason; readonly asked: readonly string[] }
  | { readonly kind: 'gap.closed'; readonly reason: GapReason }
  | { readonly kind: 'quarantine'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly name: string }
  | { readonly kind: 'audit'; readonly act: AuditAct }
  | { readonly kind: 'key.destroyed'; readonly subject: string; readonly reason: string }
  | { readonly kind: 'settings.changed'; readonly name: string; readonly value: Readonly<Record<string, unknown>> }
  | { readonly kind: 'log.succeeded'; readonly origin: string; readonly size: number; readonly root: string };

export type EventKind = EventBody['kind'];

/** An event as a connector or importer reports it. */
export type Event = {
  readonly target: MessageKey;
  readonly occurredAt: Instant;
  /**
   * What makes this event the same event when it is delivered again: natural text, unique within platform and account, e.g. `created|SM…` or
   * `status|SM…|delivered|30006`. Undefined for events that cannot repeat.
   */
  readonly dedupe?: string;
  /** Provider's own order of events, where it gives one. */
  readonly sequence?: string;
  /** Provider fields that have no place of their own. */
  readonly extra?: Readonly<Record<string, unknown>>;
} & EventBody;

/** One kind of event. */
export type EventOf<Kind extends EventKind> = Extract<Event, { readonly kind: Kind }>;

/** The text of a natural key, unambiguous: parts are length-prefixed. */
export function formatMessageKey(key: MessageKey): string {
  return joinNatural([key.platform, key.account, key.conversation ?? '', key.id]);
}

/** Joins texts so that no two lists give the same text. */
export function joinNatural(parts: readonly string[]): string {
  let joined = '';
  for (const part of parts) joined += `${part.length}:${part}|`;
  return joined;
}
