/**
 * How messages look to those who may see them: the JSON of the API, the CLI and the exports. The schemas here are the ones that the OpenAPI description is made of.
 */
import { z } from 'zod';

import { CHANNELS, CONTENT_STATES, DIRECTIONS } from '../model/event.ts';

const partyView = z.strictObject({
  address: z.string().describe('As normalised: `+49…` for a phone number, else what the platform calls the party.'),
  scheme: z.string().describe('What kind of address it is, e.g. `e164`, `wa_bsuid`, `short_code`.'),
  name: z.string().nullable().describe('Display name as the platform gave it.'),
});

export type PartyView = z.infer<typeof partyView>;

const partView = z.looseObject({
  kind: z
    .string()
    .describe('`media`, `location`, `contact`, `template`, `interactive`, `link`, `order` or `unsupported`.'),
  state: z.enum(['pending', 'stored', 'lost']).optional().describe('Of media: whether the bytes are here.'),
});

export type PartView = z.infer<typeof partView>;

/** A message in a list. */
export const messageView = z
  .strictObject({
    id: z.string(),
    conversationId: z.string().nullable(),
    channel: z.enum(CHANNELS),
    direction: z.enum(DIRECTIONS),
    from: partyView.nullable(),
    to: z.array(partyView),
    sentAt: z.string().nullable().describe('RFC 3339, UTC; null where nobody said when it was sent.'),
    capturedAt: z.string().describe('RFC 3339, UTC: when it reached this archive.'),
    text: z.string().nullable(),
    parts: z.array(partView),
    delivery: z.strictObject({ state: z.string().nullable(), conflict: z.boolean() }),
    contentState: z.enum(CONTENT_STATES),
    types: z.array(z.string()).describe('Record types, e.g. `optout.request`.'),
    edited: z.boolean(),
    deleted: z.boolean(),
  })
  .meta({ id: 'Message' });
export type MessageView = z.infer<typeof messageView>;

/** A message with all that is known of it. */
export const messageDetail = messageView
  .extend({
    sourceId: z.string().nullable(),
    platform: z.string(),
    account: z.string(),
    platformId: z.string(),
    leafIndex: z.number().int().describe('Place of its first record in the log.'),
    revisions: z.array(z.strictObject({ leafIndex: z.number().int(), at: z.string(), text: z.string().nullable() })),
    deletion: z.strictObject({ at: z.string(), by: z.string(), scope: z.string() }).nullable(),
    reactions: z.array(
      z.strictObject({ emoji: z.string(), by: partyView, at: z.string(), removedAt: z.string().nullable() }),
    ),
    reports: z.array(
      z.strictObject({
        leafIndex: z.number().int(),
        at: z.string(),
        state: z.string(),
        rawState: z.string(),
        errorCode: z.string().nullable(),
        errorText: z.string().nullable(),
      }),
    ),
    gaps: z.array(z.string()),
    history: z
      .array(
        z.strictObject({
          leafIndex: z.number().int(),
          recordId: z.string(),
          kind: z.string(),
          capturedAt: z.string(),
          occurredAt: z.string(),
          event: z.unknown().describe('The event as it was recorded.'),
          raw: z
            .unknown()
            .nullable()
            .describe('What arrived: method, URL, headers, body, and the verdict on its signature.'),
        }),
      )
      .describe('Every record of the message, oldest first.'),
  })
  .meta({ id: 'MessageDetail' });
export type MessageDetail = z.infer<typeof messageDetail>;

/** A page of messages. */
export const messagePage = z
  .strictObject({
    items: z.array(messageView),
    nextCursor: z.string().nullable(),
    total: z.number().int(),
    totalRelation: z
      .enum(['eq', 'gte'])
      .describe('`gte`: there are at least so many; counting stops at 1,000, and where it would take long.'),
    query: z.string().describe('The query as it was understood.'),
    hints: z.array(z.string()),
  })
  .meta({ id: 'MessagePage' });
export type MessagePage = z.infer<typeof messagePage>;

/** Counts over the hits of a query. */
export const facetsView = z
  .strictObject({
    histogram: z.array(z.strictObject({ bucket: z.string(), count: z.number().int() })),
    facets: z.record(z.string(), z.array(z.strictObject({ value: z.string(), count: z.number().int() }))),
    moreValues: z
      .record(z.string(), z.number().int())
      .describe('How many further values each facet has: the most frequent 50 are listed.'),
    counted: z.number().int().describe('Hits that were counted.'),
    capped: z
      .boolean()
      .describe(
        'True where counting stopped before the end (the newest hits were counted), or the index is still being built.',
      ),
    query: z.string(),
  })
  .meta({ id: 'Facets' });
export type FacetsView = z.infer<typeof facetsView>;

/** One conversation. */
export const conversationView = z
  .strictObject({
    id: z.string(),
    channel: z.enum(CHANNELS),
    parties: z.array(partyView),
    total: z.number().int(),
    totalRelation: z.enum(['eq', 'gte']),
    messages: z.array(messageView).describe('Oldest first within the page; pages go back in time.'),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'Conversation' });
export type ConversationView = z.infer<typeof conversationView>;
