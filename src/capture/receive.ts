/**
 * The way in: receive → verify → guard → read → file, seal, commit → acknowledge. One straight line; nothing calls back.
 *
 * Owns: what a sender is answered. Never: parses before the signature is known, lets a parser's failure refuse what was signed, or acknowledges
 * before the commit is durable.
 */
import type { Archive } from '../archive/archive.ts';
import type { RecordActor, RecordDraft, RecordOutcome } from '../archive/recorder.ts';
import type { DraftJob } from '../archive/filed-record.ts';
import type { Source } from '../archive/registry.ts';
import { CartularyError } from '../model/errors.ts';
import type { Envelope, EnvelopePart, SourceView } from '../model/envelope.ts';
import type { Event, MediaPart } from '../model/event.ts';
import { idBytes } from '../model/ids.ts';
import type { GuardFindings, SignatureVerdict } from '../model/record.ts';
import { receiptInstant } from '../model/time.ts';
import { UnreadableEnvelope } from './unreadable.ts';
import type { Acknowledgement, Connector } from './connector.ts';
import { guardLaterJobs } from './guard-later.ts';
import { guardEnvelope, isDoubtful } from './guard/guard.ts';
import { LIMITS } from './limits.ts';
import { makeRawSlice } from './raw-slice.ts';
import type { Ring } from './ring.ts';
import { verifySignature } from './signatures.ts';
import { getConnector, viewSource } from './source-view.ts';

/** What became of an envelope. */
export type Received = {
  readonly answer: Acknowledgement;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: boolean;
};

/** What checking whose an envelope is needs. */
export type VerifyParts = {
  readonly ring: Pick<Ring, 'put'>;
  readonly now: () => number;
  /** Told of each refused signature; alarms are its business. */
  readonly onBadSignature: (source: Source, reason: string) => void;
  /** Why the secrets that are known here may be others than those of now: no sender is told that his signature is wrong then. */
  readonly whyUnsure?: () => CartularyError | undefined;
};

/** What receiving needs. */
export type ReceiveParts = VerifyParts & { readonly archive: Archive; readonly ring: Ring };

/** What is known of an envelope that came before: it is filed from where it waited, or read again. */
export type Before = {
  /** What guard took out of it when it came. */
  readonly findings?: GuardFindings | undefined;
  /** What is told by it if its platform gives it no name, so that it may be filed again and again and is kept once. */
  readonly name?: string | undefined;
  /** Why it is kept as quarantine without being read. */
  readonly doubt?: string | undefined;
};

/** Milliseconds after which the platform is asked for content that a report promised. */
const CONTENT_WAIT_MS = 60_000;

/**
 * Takes an envelope of a source.
 * @throws CartularyError `bad-signature` (401/403 to the sender), `overloaded`, `internal`; in the latter two nothing was acknowledged
 */
export async function receiveEnvelope(parts: ReceiveParts, source: Source, envelope: Envelope): Promise<Received> {
  const connector = getConnector(source);
  const verdict = await verifyEnvelope(parts, source, connector, envelope);
  return takeEnvelope(parts, source, connector, envelope, verdict);
}

/**
 * Takes an envelope whose origin is certain: signed, asked for by us, or sent with an API key. Whatever fails rejects and never throws, since inline sources go on without us.
 * @param before what is known of it, where it came before
 */
export async function takeEnvelope(
  parts: Pick<ReceiveParts, 'archive'>,
  source: Source,
  connector: Connector,
  envelope: Envelope,
  verdict: SignatureVerdict | undefined,
  before: Before = {},
): Promise<Received> {
  const { drafts, quarantined } = draftEnvelope(source, connector, envelope, verdict, before);
  return acknowledge(parts.archive.record(drafts), connector.acknowledgement, quarantined);
}

/** Guards and reads. Apart from what waits for the commit, so that envelope and events need not be held until then. */
function draftEnvelope(
  source: Source,
  connector: Connector,
  envelope: Envelope,
  verdict: SignatureVerdict | undefined,
  before: Before,
): { readonly drafts: readonly RecordDraft[]; readonly quarantined: boolean } {
  const guarded = guardEnvelope(envelope, { oneTimeCodes: source.maskOneTimeCodes });
  const findings =
    guarded.findings === undefined && before.findings === undefined
      ? undefined
      : { ...before.findings, ...guarded.findings };
  const found = {
    ...(verdict === undefined ? {} : { verdict }),
    ...(findings === undefined ? {} : { findings }),
  };
  const { name, doubt } = before;
  const reader = name === undefined ? connector : readByName(connector, name);
  const read =
    doubt === undefined
      ? readOrQuarantine(reader, guarded.envelope, viewSource(source, connector))
      : new UnreadableEnvelope(doubt);
  if (read instanceof UnreadableEnvelope)
    return {
      drafts: [quarantineDraft(source, connector, guarded.envelope, found, { reason: read.reason, name })],
      quarantined: true,
    };
  const drafts: RecordDraft[] = [];
  for (const part of read) drafts.push(...draftsOfPart(source, connector, guarded.envelope, part, found));
  return { drafts, quarantined: false };
}

/**
 * The connector as it reads what may be filed or read more than once: an event that its platform gives nothing to tell it by is told by a name of ours, so that it is kept once.
 * @param name of what is read
 */
export function readByName(connector: Connector, name: string): Connector {
  return {
    ...connector,
    read: (envelope, source) =>
      connector.read(envelope, source).map((part, place) => ({
        ...part,
        events: part.events.map((event, index) => ({ dedupe: `${name}|${place}.${index}`, ...event })),
      })),
  };
}

/** What the sender is told, once it is true. */
async function acknowledge(
  recorded: Promise<readonly RecordOutcome[]>,
  answer: Acknowledgement,
  quarantined: boolean,
): Promise<Received> {
  let stored = 0;
  let duplicates = 0;
  for (const { status } of await recorded) {
    if (status === 'failed')
      throw new CartularyError('internal', 'a part of the envelope could not be kept; send it again');
    if (status === 'stored') stored += 1;
    if (status === 'duplicate') duplicates += 1;
  }
  return { answer, stored, duplicates, quarantined };
}

/**
 * Checks whose an envelope is. A bad one is kept in the ring.
 * @throws CartularyError `bad-signature`; what `whyUnsure` says, where it does
 */
export async function verifyEnvelope(
  parts: VerifyParts,
  source: Source,
  connector: Connector,
  envelope: Envelope,
): Promise<SignatureVerdict> {
  const result = verifySignature(connector.signature, envelope, source.secrets, parts.now());
  if (result.ok) return result.verdict;
  parts.onBadSignature(source, result.reason);
  await parts.ring.put(source.id, envelope, looksOfCards);
  const unsure = parts.whyUnsure?.();
  if (unsure !== undefined) throw unsure;
  throw new CartularyError('bad-signature', `the signature is ${result.reason}`, { detail: { reason: result.reason } });
}

/** A stranger's body costs no more than a quick look where it is large: a doubt keeps it off the disk. */
function looksOfCards(envelope: Envelope): boolean {
  const options = { oneTimeCodes: false };
  if (!isDoubtful(envelope, options)) return false;
  return envelope.body.length > LIMITS.ringGuardBytesMax || guardEnvelope(envelope, options).findings !== undefined;
}

function readOrQuarantine(
  connector: Connector,
  envelope: Envelope,
  source: SourceView,
): readonly EnvelopePart[] | UnreadableEnvelope {
  try {
    const parts = connector.read(envelope, source);
    const events = parts.reduce((sum, part) => sum + part.events.length, 0);
    if (events > LIMITS.eventsPerEnvelopeMax)
      return new UnreadableEnvelope(`more than ${LIMITS.eventsPerEnvelopeMax} events in one envelope`);
    // An answer to our own question may be an empty list; what a platform sends by itself says something.
    const isAnswer = envelope.transport === 'poll' || envelope.transport === 'fetch';
    return events === 0 && !isAnswer ? new UnreadableEnvelope('it says nothing') : parts;
  } catch (cause) {
    if (cause instanceof UnreadableEnvelope) return cause;
    // A connector's own fault must not lose what was signed: it is kept whole and read again after a fix.
    return new UnreadableEnvelope('the connector failed', { cause });
  }
}

type Found = { readonly verdict?: SignatureVerdict; readonly findings?: GuardFindings };

function sourceActor(source: Source): RecordActor {
  return { name: source.id, id: idBytes(source.id) };
}

function draftsOfPart(
  source: Source,
  connector: Connector,
  envelope: Envelope,
  part: EnvelopePart,
  found: Found,
): RecordDraft[] {
  const raw = makeRawSlice(envelope, part.body, found);
  return part.events.map((event) => ({
    event,
    actor: sourceActor(source),
    capturedAtMs: envelope.receivedAtMs,
    source: source.id,
    connector: { name: connector.name, version: connector.version },
    raw,
    jobs: jobsOf(event, source, connector, envelope.receivedAtMs),
  }));
}

function quarantineDraft(
  source: Source,
  connector: Connector,
  envelope: Envelope,
  found: Found,
  { reason, name }: { readonly reason: string; readonly name: string | undefined },
): RecordDraft {
  const id = `quarantine:${name ?? crypto.randomUUID()}`;
  return {
    event: {
      kind: 'quarantine',
      reason,
      ...(name === undefined ? {} : { dedupe: id }),
      target: { platform: connector.platform, account: source.id, id },
      occurredAt: receiptInstant(envelope.receivedAtMs),
    },
    actor: sourceActor(source),
    capturedAtMs: envelope.receivedAtMs,
    source: source.id,
    connector: { name: connector.name, version: connector.version },
    raw: makeRawSlice(envelope, undefined, found),
  };
}

/** What must be done after an event is durable: fetch its media, ask for content that was not sent. */
export function jobsOf(event: Event, source: Source | undefined, connector: Connector, nowMs: number): DraftJob[] {
  if (event.kind === 'message.status') {
    // What was received is told by its own webhook or list; a report of anything else promises a text, even where it does not say whose.
    if (event.shell?.direction === 'inbound' || event.state === 'received') return [];
    return [
      {
        kind: 'content',
        dueAtMs: nowMs + CONTENT_WAIT_MS,
        onlyWithoutContent: true,
        payload: { ...(source === undefined ? {} : { source: source.id }), key: event.target },
      },
    ];
  }
  const parts =
    event.kind === 'message.created' ? event.content.parts : event.kind === 'message.edited' ? (event.parts ?? []) : [];
  const media = parts.flatMap((part) =>
    part.kind === 'media' && part.url !== undefined ? [mediaJob(part, part.url, event, source, connector, nowMs)] : [],
  );
  return [...media, ...guardLaterJobs(event, nowMs)];
}

function mediaJob(
  part: MediaPart,
  url: string,
  event: Event,
  source: Source | undefined,
  connector: Connector,
  nowMs: number,
): DraftJob {
  return {
    kind: 'media',
    dueAtMs: nowMs,
    lossAtMs: nowMs + (connector.media?.lossAfterMs ?? 7 * 86_400_000),
    payload: {
      ...(source === undefined ? {} : { source: source.id }),
      connector: connector.name,
      key: event.target,
      part: part.index,
      url,
      ...(part.mimeDeclared === undefined ? {} : { mimeDeclared: part.mimeDeclared }),
    },
  };
}
