/** Reading messages: search, facets, one message, its media and proofs, its conversation. */
import { Readable } from 'node:stream';

import { z } from 'zod';

import { PAGE_LIMIT_MAX } from '../../archive/archive.ts';
import { conversationView, facetsView, messageDetail, messagePage } from '../../archive/views.ts';
import { parseId } from '../../model/ids.ts';
import { parseIsoInstant } from '../../model/time.ts';
import { CartularyError } from '../../model/errors.ts';
import { defineRoute } from '../route.ts';
import type { Route } from '../route.ts';

const idParams = z.strictObject({ id: z.string().describe('Id as the archive gave it.') });
const paging = {
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(50),
  cursor: z.string().max(400).optional().describe('`nextCursor` of the page before.'),
};

const searchMessages = defineRoute({
  method: 'GET',
  path: '/api/v1/messages',
  summary: 'Search messages, newest first',
  scope: 'messages:read',
  tag: 'messages',
  example: '`GET /api/v1/messages?q=from:%2B15551234567%20refund&limit=20`.',
  schemas: {
    query: z.strictObject({
      q: z.string().max(200_000).default('').describe('The query language is described in docs/search.md.'),
      ...paging,
    }),
  },
  response: { description: 'A page of messages.', schema: messagePage },
  handle: ({ service, caller, query }) => service.archive.search(caller, query),
});

const countFacets = defineRoute({
  method: 'GET',
  path: '/api/v1/messages/facets',
  summary: 'Count the hits of a query by date, channel, direction, party, type and state',
  scope: 'messages:read',
  tag: 'messages',
  example: '`GET /api/v1/messages/facets?q=refund`.',
  schemas: { query: z.strictObject({ q: z.string().max(200_000).default('') }) },
  response: { description: 'Counts, and whether counting was capped.', schema: facetsView },
  handle: ({ service, caller, query }) => service.archive.facets(caller, query.q),
});

const openMessage = defineRoute({
  method: 'GET',
  path: '/api/v1/messages/{id}',
  summary: 'Open a message with its history, raw envelopes and places in the log',
  scope: 'messages:read',
  tag: 'messages',
  example: '`GET /api/v1/messages/msg_…`.',
  schemas: {
    params: idParams,
    query: z.strictObject({ at: z.string().optional().describe('RFC 3339: the message as it was known then.') }),
  },
  response: { description: 'The message.', schema: messageDetail },
  handle: ({ service, caller, params, query }) =>
    service.archive.openMessage(caller, parseId('message', params.id), parseAt(query.at)),
});

const proveMessage = defineRoute({
  method: 'GET',
  path: '/api/v1/messages/{id}/proof',
  summary: 'Inclusion proofs of every record of a message, as C2SP .tlog-proof files',
  scope: 'log:read',
  tag: 'messages',
  example: '`GET /api/v1/messages/msg_…/proof`.',
  schemas: { params: idParams },
  response: {
    description: 'The signed checkpoint and one proof file a record.',
    schema: z
      .strictObject({
        checkpoint: z.string(),
        proofs: z.array(z.strictObject({ leafIndex: z.number().int(), file: z.string() })),
      })
      .meta({ id: 'Proofs' }),
  },
  handle: ({ service, caller, params }) => service.archive.prove(caller, parseId('message', params.id)),
});

/** What may stand in a header; where a type could not be told by the bytes it is a stranger's word (RFC 9110 §8.3.1). */
const MIME = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}$/;

const openMedia = defineRoute({
  method: 'GET',
  path: '/api/v1/messages/{id}/media/{part}',
  summary: 'Fetch a medium of a message',
  scope: 'messages:read',
  tag: 'messages',
  example: '`GET /api/v1/messages/msg_…/media/0`.',
  schemas: { params: idParams.extend({ part: z.coerce.number().int().min(0).max(1000) }) },
  response: { description: 'The bytes, exactly as they were stored.', contentType: 'application/octet-stream' },
  async handle({ service, caller, params, reply }) {
    const { place, bytes } = await service.archive.openMedia(caller, parseId('message', params.id), params.part);
    return reply
      .header('content-type', 'application/octet-stream')
      .header('content-disposition', `attachment; filename="${place.sha256.slice(0, 16)}"`)
      .header('x-content-type-options', 'nosniff')
      .header('content-security-policy', "default-src 'none'; sandbox")
      .header('cartulary-media-type', MIME.test(place.mime) ? place.mime : 'application/octet-stream')
      .header('content-length', String(place.bytes))
      .send(Readable.from(bytes));
  },
});

const openConversation = defineRoute({
  method: 'GET',
  path: '/api/v1/conversations/{id}',
  summary: 'Open a conversation, newest page first',
  scope: 'messages:read',
  tag: 'messages',
  example: '`GET /api/v1/conversations/cnv_…?limit=20`.',
  schemas: { params: idParams, query: z.strictObject(paging) },
  response: { description: 'Parties and messages.', schema: conversationView },
  handle: ({ service, caller, params, query }) =>
    service.archive.openConversation(caller, parseId('conversation', params.id), query),
});

/** Operations on messages. */
export const MESSAGE_ROUTES: readonly Route[] = [
  searchMessages,
  countFacets,
  openMessage,
  proveMessage,
  openMedia,
  openConversation,
];

function parseAt(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const instant = parseIsoInstant(text, 'provider');
  if (instant === undefined)
    throw new CartularyError('bad-input', 'at: is a date-time such as 2026-11-22T10:00:00Z', {
      detail: { field: 'at' },
    });
  return instant.ms;
}
