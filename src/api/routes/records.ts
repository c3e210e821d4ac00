/** `POST /api/v1/records`: events from a program that holds an API key, in the event schema of Standard Webhooks; the same bytes twice are kept once. */
import { z } from 'zod';

import { receiveRecords } from '../../capture/ingest.ts';
import { defineRoute } from '../route.ts';
import type { Route } from '../route.ts';

const sendRecords = defineRoute({
  method: 'POST',
  path: '/api/v1/records',
  summary: 'Send events into the archive',
  scope: 'records:write',
  tag: 'records',
  example: '`POST /api/v1/records` with the event as body.',
  schemas: {
    body: z
      .instanceof(Uint8Array)
      .meta({ description: 'One event, or `{"events": […]}`; schema in docs/connect/standard-webhooks.md.' }),
  },
  response: {
    description: 'What was kept. The answer comes after the durable commit.',
    schema: z
      .strictObject({ stored: z.number().int(), duplicates: z.number().int(), messageIds: z.array(z.string()) })
      .meta({ id: 'Kept' }),
  },
  bodyBytesMax: 10 * 1024 * 1024,
  handle: ({ service, caller, body, request }) =>
    service.admission.admit(body.length, () =>
      receiveRecords(service.receive, caller, {
        transport: 'ingest',
        method: 'POST',
        url: service.publicUrl() + (request.raw.url ?? ''),
        headers: [['content-type', request.headers['content-type'] ?? 'application/json']],
        body,
        receivedAtMs: service.now(),
      }),
    ),
});

/** Operations that bring records in. */
export const RECORD_ROUTES: readonly Route[] = [sendRecords];
