/**
 * The generic way in: JSON events of our own published schema, signed by Standard Webhooks (https://www.standardwebhooks.com), from any program
 * that has no connector. `POST /api/v1/records` takes the same events without signature, behind an API key.
 */
import { createHash } from 'node:crypto';
import type { Envelope, EnvelopePart, SourceView } from '../../model/envelope.ts';
import { findHeader } from '../../model/envelope.ts';
import type { Event } from '../../model/event.ts';
import { formatMessageKey } from '../../model/event.ts';
import { receiptInstant } from '../../model/time.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import type { Connector } from '../connector.ts';
import { isJsonObject, parseJsonSafely, sliceJsonElements } from '../json.ts';
import { SIGNATURE_SCHEMES } from '../signatures.ts';
import type { EventContext } from './standard-webhooks-content.ts';
import { accountOf, readStandardEvent } from './standard-webhooks-events.ts';
import { STANDARD_EVENTS_MAX } from './standard-webhooks-schema.ts';

const PLATFORM = 'standard-webhooks';

/**
 * Reads one event or `{"events": […]}`. Where events concern several messages the envelope is cut: each part is the exact bytes of its event.
 * @throws UnreadableEnvelope where any of them cannot be read; the reason names position and field, and quotes nothing
 */
export function readStandardEvents(envelope: Envelope, source: SourceView): readonly EnvelopePart[] {
  return readEnvelope(envelope, source, false);
}

/** As `readStandardEvents`, but a bad event of a batch is kept as quarantine, and the others go on. */
function readWebhook(envelope: Envelope, source: SourceView): readonly EnvelopePart[] {
  return readEnvelope(envelope, source, true);
}

function readEnvelope(envelope: Envelope, source: SourceView, setAside: boolean): readonly EnvelopePart[] {
  const value = parseJsonSafely(envelope.body);
  const delivery = findHeader(envelope.headers, 'webhook-id');
  const context: EventContext = { source, receivedAtMs: envelope.receivedAtMs, delivery };
  const batch = isJsonObject(value) && !('type' in value) ? value['events'] : undefined;
  if (!Array.isArray(batch)) return [{ events: [readStandardEvent(value, context, 'the event')] }];
  if (batch.length > STANDARD_EVENTS_MAX) throw new UnreadableEnvelope(`more than ${STANDARD_EVENTS_MAX} events`);
  const slices = sliceJsonElements(envelope.body, 'events');
  const parts: EnvelopePart[] = [];
  for (const [index, element] of (batch as readonly unknown[]).entries()) {
    const body = slices[index];
    if (body === undefined) throw new UnreadableEnvelope('the events cannot be told apart');
    parts.push({ body, events: [readOrSetAside(element, body, { ...context, delivery: undefined }, index, setAside)] });
  }
  const subjects = new Set(parts.flatMap((part) => part.events.map((event) => formatMessageKey(event.target))));
  return subjects.size === 1 ? [{ events: parts.flatMap((part) => part.events) }] : parts;
}

function readOrSetAside(
  value: unknown,
  slice: Uint8Array,
  context: EventContext,
  index: number,
  setAside: boolean,
): Event {
  try {
    return readStandardEvent(value, context, `event ${index}`);
  } catch (cause) {
    if (!setAside || !(cause instanceof UnreadableEnvelope)) throw cause;
    const digest = createHash('sha256').update(slice).digest('hex').slice(0, 32);
    return {
      kind: 'quarantine',
      reason: cause.reason,
      target: { platform: context.source.platform, account: accountOf(context, {}), id: `quarantine:${digest}` },
      occurredAt: receiptInstant(context.receivedAtMs),
      dedupe: `quarantine|${digest}`,
    };
  }
}

/** Any program that signs with Standard Webhooks: see the head of this file. */
export const STANDARD_WEBHOOKS: Connector = {
  name: PLATFORM,
  version: 2,
  title: 'Any program, by Standard Webhooks',
  platform: PLATFORM,
  signature: SIGNATURE_SCHEMES['standard-webhooks'],
  settings: [],
  read: readWebhook,
  acknowledgement: { status: 200, contentType: 'application/json', body: '{}' },
  media: { hosts: [], credentialHosts: [], bytesMax: 100 * 1024 * 1024, lossAfterMs: 7 * 86_400_000 },
  setupSteps: (hookUrl) => [
    `POST events as JSON to ${hookUrl}, Content-Type: application/json. The events are described in docs/connect/standard-webhooks.md.`,
    'Sign each request by Standard Webhooks: headers webhook-id, webhook-timestamp (seconds) and webhook-signature, with the secret (whsec_…) of this source. An Ed25519 public key (whpk_…) can stand in its place.',
    'Send the same webhook-id again when you repeat a delivery. Repeat on any answer that is not 2xx, and on none within 15 seconds.',
    'To change the secret, add the new one to this source first, and sign with both for as long as you like.',
  ],
  captures: [
    'whatever your program sends: messages with media, edits, deletions, reactions, delivery, consent, participants',
  ],
  doesNotGive: ['what your program does not send'],
};
