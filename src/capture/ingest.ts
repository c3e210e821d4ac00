/**
 * Events that a program sends with an API key. They go the ordinary way but for the signature: the key says who sends.
 */
import type { Caller } from '../archive/caller.ts';
import { callerActor } from '../archive/caller.ts';
import { CartularyError } from '../model/errors.ts';
import type { Envelope, SourceView } from '../model/envelope.ts';
import { UnreadableEnvelope } from './unreadable.ts';
import { readStandardEvents, STANDARD_WEBHOOKS } from './connectors/standard-webhooks.ts';
import { guardEnvelope } from './guard/guard.ts';
import { makeRawSlice } from './raw-slice.ts';
import type { ReceiveParts } from './receive.ts';
import { jobsOf } from './receive.ts';

const VIEW: SourceView = { platform: STANDARD_WEBHOOKS.platform, settings: {} };

/**
 * Keeps events sent with an API key.
 * @throws CartularyError `forbidden`, `bad-input` where they cannot be read (the sender is a program under the shop's control, so it is told), `internal`
 */
export async function receiveRecords(
  parts: ReceiveParts,
  caller: Caller,
  envelope: Envelope,
): Promise<{ stored: number; duplicates: number; messageIds: string[] }> {
  await parts.archive.allow(caller, 'records:write', 'send-records');
  const guarded = guardEnvelope(envelope, { oneTimeCodes: false });
  const read = readOrRefuse(guarded.envelope);
  const actor = callerActor(caller);
  const drafts = read.flatMap((part) => {
    const raw = makeRawSlice(
      guarded.envelope,
      part.body,
      guarded.findings === undefined ? {} : { findings: guarded.findings },
    );
    return part.events.map((event) => ({
      event,
      actor,
      capturedAtMs: envelope.receivedAtMs,
      connector: { name: STANDARD_WEBHOOKS.name, version: STANDARD_WEBHOOKS.version },
      raw,
      jobs: jobsOf(event, undefined, STANDARD_WEBHOOKS, envelope.receivedAtMs),
    }));
  });
  const outcomes = await parts.archive.record(drafts);
  if (outcomes.some((outcome) => outcome.status === 'failed'))
    throw new CartularyError('internal', 'a part could not be kept; send it again');
  return {
    stored: outcomes.filter((outcome) => outcome.status === 'stored').length,
    duplicates: outcomes.filter((outcome) => outcome.status === 'duplicate').length,
    messageIds: [...new Set(outcomes.map((outcome) => outcome.messageId))],
  };
}

function readOrRefuse(envelope: Envelope): ReturnType<typeof readStandardEvents> {
  try {
    const parts = readStandardEvents(envelope, VIEW);
    if (parts.length === 0) throw new UnreadableEnvelope('it says nothing');
    return parts;
  } catch (cause) {
    if (cause instanceof UnreadableEnvelope) throw new CartularyError('bad-input', cause.message, { cause });
    throw cause;
  }
}
