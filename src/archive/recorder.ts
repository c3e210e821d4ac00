/**
 * Filing, sealing, committing: drafts of records go in, durable records come out.
 *
 * All is computation up to the commit. Only the writer knows whether a message exists already, and under which secret; where a draft was sealed
 * under another, the writer says so and it is sealed again (rare: reports about messages that were not seen lately).
 */
import { encodeLeaf, LEAF_KINDS } from '../ledger/leaf.ts';
import type { PartyRef } from '../model/address.ts';
import { CartularyError } from '../model/errors.ts';
import type { Event, MessageKey } from '../model/event.ts';
import { formatId, idBytes, ID_BYTES } from '../model/ids.ts';
import type { ArchiveId, ConversationId, MessageId, PartyId, SourceId } from '../model/ids.ts';
import { formatRecord } from '../model/record.ts';
import type { ArchiveRecord, RawSlice } from '../model/record.ts';
import { receiptInstant } from '../model/time.ts';
import type { AppendEntry, AppendResult, SettingChange, StoreWriter } from '../store/store.ts';
import type { RandomPool } from '../vault/random.ts';
import type { Sealer } from '../vault/seal.ts';
import type { Identifier } from './identify.ts';

/** What is to be done after the record is durable; the payload is sealed with the message. */
export type DraftJob = {
  readonly kind: string;
  readonly dueAtMs: number;
  readonly lossAtMs?: number;
  readonly onlyWithoutContent?: boolean;
  readonly payload: Readonly<Record<string, unknown>>;
};

/** Who causes a record: a source, an API key, or the system itself. */
export type RecordActor = { readonly name: string; readonly id: Uint8Array };

/** A record that is to be. */
export type RecordDraft = {
  readonly event: Event;
  readonly actor: RecordActor;
  /** Our clock, milliseconds since 1970. */
  readonly capturedAtMs: number;
  readonly source?: SourceId;
  readonly connector?: { readonly name: string; readonly version: number };
  readonly raw?: RawSlice;
  readonly jobs?: readonly DraftJob[];
  readonly settings?: readonly SettingChange[];
};

/** What became of a draft; `closed`: its message was destroyed or is being destroyed, so nothing was kept. */
export type RecordOutcome =
  | { readonly status: 'stored' | 'duplicate'; readonly messageId: MessageId; readonly seq: number; readonly messageNo: number }
  | { readonly status: 'closed'; readonly messageId: MessageId }
  | { readonly status: 'failed'; readonly messageId: MessageId; readonly reason: string };

export type Recorder = { record(drafts: readonly RecordDraft[]): Promise<RecordOutcome[]> };

/** The actor of what the archive does by itself. */
export const SYSTEM_ACTOR: RecordActor = { name: 'system', id: new Uint8Array(ID_BYTES) };

/** Messages whose secret is kept at hand for the reports that follow within minutes. */
const SECRETS_MAX = 50_000;
/** Times a draft is sealed again because its message turned out to have another secret; more can only be a fault. */
const RESEAL_MAX = 3;

export type RecorderParts = {
  readonly archiveId: ArchiveId;
  readonly identifier: Identifier;
  readonly sealer: Sealer;
  readonly random: RandomPool;
  readonly writer: Pick<StoreWriter, 'append'>;
  /** Told after each durable commit how far the log reaches now. */
  readonly onCommitted?: (size: number) => void;
};

/** Makes the recorder of one archive. */
export function createRecorder(parts: RecorderParts): Recorder {
  const archiveBytes = idBytes(parts.archiveId);
  const secrets = createSecretCache();
  const prepare = (draft: RecordDraft): Prepared => prepareDraft(parts, draft);
  const seal = (prepared: Prepared, secret: Uint8Array): AppendEntry => sealPrepared(parts, archiveBytes, prepared, secret);

  const settle = async (prepared: readonly Prepared[], entries: readonly AppendEntry[], round: number): Promise<AppendResult[]> => {
    const results = await parts.writer.append(entries);
    const again: number[] = [];
    results.forEach((result, index) => {
      if (result.status === 'rekey') again.push(index);
    });
    if (again.length === 0) return results;
    if (round >= RESEAL_MAX) throw new CartularyError('internal', 'a message changes its secret again and again');
    const redone = again.map((index) => {
      const item = prepared[index];
      const result = results[index];
      if (item === undefined || result?.status !== 'rekey') throw new CartularyError('internal', 'results do not fit the entries');
      secrets.set(item.messageHex, result.secret);
      return { item, entry: seal(item, result.secret) };
    });
    const second = await settle(redone.map(({ item }) => item), redone.map(({ entry }) => entry), round + 1);
    again.forEach((index, position) => {
      const result = second[position];
      if (result !== undefined) results[index] = result;
    });
    return results;
  };

  return {
    async record(drafts) {
      const prepared = drafts.map(prepare);
      const entries = prepared.map((item) => {
        const known = item.fresh ? undefined : secrets.get(item.messageHex);
        const secret = known ?? parts.random.take(32);
        const entry = seal(item, secret);
        if (known === undefined) secrets.set(item.messageHex, secret);
        return entry;
      });
      const results = await settle(prepared, entries, 0);
      let size = 0;
      const outcomes = results.map((result, index): RecordOutcome => {
        const item = prepared[index];
        if (item === undefined) throw new CartularyError('internal', 'results do not fit the entries');
        const messageId = formatId('message', item.messageId);
        if (result.status === 'stored') size = Math.max(size, result.seq + 1);
        // The secret drawn for a message that turned out to be known is not its secret.
        if (result.status === 'duplicate' && item.fresh) secrets.forget(item.messageHex);
        if (result.status === 'stored' || result.status === 'duplicate') {
          return { status: result.status, messageId, seq: result.seq, messageNo: result.messageNo };
        }
        secrets.forget(item.messageHex);
        if (result.status === 'closed') return { status: 'closed', messageId };
        return { status: 'failed', messageId, reason: result.status === 'failed' ? result.reason : 'not sealed' };
      });
      if (size > 0) parts.onCommitted?.(size);
      return outcomes;
    },
  };
}

type Prepared = {
  readonly draft: RecordDraft;
  readonly messageId: Uint8Array;
  readonly messageHex: string;
  readonly unique: AppendEntry['unique'];
  /** A first report with content: its message is new as a rule, so no secret is looked for. */
  readonly fresh: boolean;
  readonly conversation: ConversationId | undefined;
  readonly partyIds: readonly PartyId[];
};

function prepareDraft(parts: RecorderParts, draft: RecordDraft): Prepared {
  const { event } = draft;
  const messageId = parts.identifier.messageId(event.target);
  const fresh = event.kind === 'message.created' && event.content.contentState === 'present';
  const ends = eventEnds(event);
  return {
    draft,
    messageId,
    messageHex: Buffer.from(messageId).toString('latin1'),
    unique: fresh ? 'message' : uniqueOf(parts.identifier, event.target, event.dedupe),
    fresh,
    conversation: ends.thread === undefined ? undefined : parts.identifier.conversationId(event.target, ends.thread),
    partyIds: ends.parties.map((party) => parts.identifier.partyId(party.address)),
  };
}

function uniqueOf(identifier: Identifier, key: MessageKey, dedupe: string | undefined): Uint8Array | undefined {
  return dedupe === undefined ? undefined : identifier.uniqueId(key, dedupe);
}

/** The thread and the parties that an event names. */
function eventEnds(event: Event): { thread: readonly string[] | undefined; parties: readonly PartyRef[] } {
  if (event.kind === 'message.created') {
    return { thread: event.content.thread, parties: [event.content.from, ...event.content.to] };
  }
  if (event.kind === 'message.status' && event.shell !== undefined) {
    return { thread: event.shell.thread, parties: [event.shell.from, ...event.shell.to] };
  }
  if (event.kind === 'participant.joined' || event.kind === 'participant.left') return { thread: event.thread, parties: [event.party] };
  if (event.kind === 'conversation.updated') return { thread: event.thread, parties: [] };
  if (event.kind === 'consent.changed') return { thread: undefined, parties: [event.party] };
  return { thread: undefined, parties: [] };
}

function sealPrepared(parts: RecorderParts, archiveBytes: Uint8Array, item: Prepared, secret: Uint8Array): AppendEntry {
  const { draft, messageId } = item;
  const recordId = parts.random.take(ID_BYTES);
  const record: ArchiveRecord = {
    v: 1,
    archive: parts.archiveId,
    record: formatId('record', recordId),
    message: formatId('message', messageId),
    ...(item.conversation === undefined ? {} : { conversation: item.conversation }),
    ...(item.partyIds.length === 0 ? {} : { parties: item.partyIds }),
    ...(draft.source === undefined ? {} : { source: draft.source }),
    ...(draft.connector === undefined ? {} : { connector: draft.connector }),
    actor: draft.actor.name,
    capturedAt: receiptInstant(draft.capturedAtMs),
    event: draft.event,
    ...(draft.raw === undefined ? {} : { raw: draft.raw }),
  };
  const sealed = parts.sealer.sealRecord({
    messageId,
    recordId,
    secret,
    r: parts.random.take(32),
    plaintext: formatRecord(record),
  });
  const leaf = encodeLeaf({
    version: 1,
    kind: LEAF_KINDS[draft.event.kind],
    archiveId: archiveBytes,
    recordId,
    previous: new Uint8Array(ID_BYTES),
    commitment: sealed.commitment,
    ciphertextHash: sealed.ciphertextHash,
    timeMs: draft.capturedAtMs,
    actor: draft.actor.id,
  });
  return {
    messageId,
    secret,
    unique: item.unique,
    leaf,
    sealed: sealed.sealed,
    ...(draft.jobs === undefined ? {} : { jobs: draft.jobs.map((job) => sealJob(parts, item, secret, job)) }),
    ...(draft.settings === undefined ? {} : { settings: draft.settings }),
  };
}

/** A job's payload: a fresh 16-byte id for the sealing, then the ciphertext. */
function sealJob(parts: RecorderParts, item: Prepared, secret: Uint8Array, job: DraftJob) {
  const recordId = parts.random.take(ID_BYTES);
  const sealed = parts.sealer.seal({
    purpose: 'job',
    messageId: item.messageId,
    recordId,
    secret,
    plaintext: Buffer.from(JSON.stringify(job.payload), 'utf8'),
  });
  return {
    kind: job.kind,
    dueAtMs: job.dueAtMs,
    ...(job.lossAtMs === undefined ? {} : { lossAtMs: job.lossAtMs }),
    ...(job.onlyWithoutContent === undefined ? {} : { onlyWithoutContent: job.onlyWithoutContent }),
    payload: Buffer.concat([recordId, sealed]),
  };
}

/** Secrets of recent messages; the oldest half goes when it is full. */
function createSecretCache() {
  let young = new Map<string, Uint8Array>();
  let old = new Map<string, Uint8Array>();
  return {
    get: (key: string): Uint8Array | undefined => young.get(key) ?? old.get(key),
    set(key: string, secret: Uint8Array): void {
      if (young.size >= SECRETS_MAX / 2) {
        old = young;
        young = new Map();
      }
      young.set(key, secret);
    },
    forget(key: string): void {
      young.delete(key);
      old.delete(key);
    },
  };
}
