/**
 * Filing: drafts of records go in, durable records come out. Ids are made here from natural keys, and the record bytes are written, once; sealing and committing are
 * done behind `keep` (sealing.ts), as a rule in a thread of their own.
 */
import { LEAF_KINDS } from '../ledger/leaf.ts';
import { CartularyError } from '../model/errors.ts';
import type { Event, MessageKey } from '../model/event.ts';
import { formatId, ID_BYTES } from '../model/ids.ts';
import type { ArchiveId, MessageId, SourceId } from '../model/ids.ts';
import type { RawSlice, RecordHead } from '../model/record.ts';
import { receiptInstant } from '../model/time.ts';
import type { AppendResult, SettingChange } from '../store/store.ts';
import type { RandomPool } from '../vault/random.ts';
import { writeDocument } from './fresh-documents.ts';
import type { Identifier } from './identify.ts';
import { firstIndexDocument } from './index-document.ts';
import type { DraftJob, FiledRecord } from './filed-record.ts';
import type { Sealing } from './sealing.ts';

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
  | {
      readonly status: 'stored' | 'duplicate';
      readonly messageId: MessageId;
      readonly seq: number;
      readonly messageNo: number;
    }
  | { readonly status: 'closed'; readonly messageId: MessageId }
  | { readonly status: 'failed'; readonly messageId: MessageId; readonly reason: string };

export type Recorder = { record(drafts: readonly RecordDraft[]): Promise<RecordOutcome[]> };

/** The actor of what the archive does by itself. */
export const SYSTEM_ACTOR: RecordActor = { name: 'system', id: new Uint8Array(ID_BYTES) };

export type RecorderParts = {
  readonly archiveId: ArchiveId;
  readonly identifier: Identifier;
  readonly random: RandomPool;
  readonly sealing: Sealing;
  /** Told after each durable commit how far the log reaches now. */
  readonly onCommitted?: (size: number) => void;
};

/** Makes the recorder of one archive. */
export function createRecorder(parts: RecorderParts): Recorder {
  return {
    record(drafts) {
      const messageIds: MessageId[] = [];
      const records = drafts.map((draft) => fileDraft(parts, draft, messageIds));
      // Of what was filed only the ids are held until it is durable: whatever waits there is carried through every garbage collection.
      return settle(parts, messageIds, parts.sealing.keep(records));
    },
  };
}

async function settle(
  parts: RecorderParts,
  messageIds: readonly MessageId[],
  kept: Promise<readonly AppendResult[]>,
): Promise<RecordOutcome[]> {
  const results = await kept;
  let size = 0;
  const outcomes = results.map((result, index): RecordOutcome => {
    const messageId = messageIds[index];
    if (messageId === undefined) throw new CartularyError('internal', 'results do not fit the records');
    switch (result.status) {
      case 'stored':
        size = Math.max(size, result.seq + 1);
        return { status: 'stored', messageId, seq: result.seq, messageNo: result.messageNo };
      case 'duplicate':
        return { status: 'duplicate', messageId, seq: result.seq, messageNo: result.messageNo };
      case 'closed':
        return { status: 'closed', messageId };
      case 'failed':
        return { status: 'failed', messageId, reason: result.reason };
      case 'rekey':
        return { status: 'failed', messageId, reason: 'it was not sealed' };
    }
  });
  if (size > 0) parts.onCommitted?.(size);
  return outcomes;
}

/** Ids from natural keys, and the record as JSON. @param messageIds is given the message's id as well */
function fileDraft(parts: RecorderParts, draft: RecordDraft, messageIds: MessageId[]): FiledRecord {
  const { event } = draft;
  const messageId = parts.identifier.messageId(event.target);
  const message = formatId('message', messageId);
  messageIds.push(message);
  // A first report with content: its message is new as a rule.
  const fresh = event.kind === 'message.created' && event.content.contentState === 'present';
  const thread = threadOf(event);
  const recordId = parts.random.take(ID_BYTES);
  const conversation = thread === undefined ? undefined : parts.identifier.conversationId(event.target, thread);
  // Members that are undefined are not written.
  const head: Undefinable<RecordHead> = {
    v: 1,
    archive: parts.archiveId,
    record: formatId('record', recordId),
    message,
    conversation,
    source: draft.source,
    connector: draft.connector,
    actor: draft.actor.name === draft.source ? undefined : draft.actor.name,
    capturedAt: receiptInstant(draft.capturedAtMs),
    // The content of a message exists once by the message's own key; the dedupe text would only repeat it in every record.
    event: fresh ? { ...event, dedupe: undefined } : event,
  };
  return {
    messageId,
    recordId,
    fresh,
    unique: fresh ? 'message' : uniqueOf(parts.identifier, event.target, event.dedupe),
    kind: LEAF_KINDS[event.kind],
    timeMs: draft.capturedAtMs,
    actor: draft.actor.id,
    head: JSON.stringify(head),
    ...(fresh ? describeFresh(head as RecordHead) : {}),
    ...(draft.raw === undefined ? {} : { raw: JSON.stringify(draft.raw) }),
    jobs: draft.jobs ?? [],
    settings: draft.settings ?? [],
  };
}

/** What the index will be told, should this begin its message. */
function describeFresh(head: RecordHead): { document?: string } {
  const document = firstIndexDocument(0, 0, head);
  return document === undefined ? {} : { document: writeDocument(document) };
}

type Undefinable<Value> = { readonly [Name in keyof Value]: Name extends 'event' ? unknown : Value[Name] | undefined };

function uniqueOf(identifier: Identifier, key: MessageKey, dedupe: string | undefined): FiledRecord['unique'] {
  return dedupe === undefined ? undefined : identifier.uniqueId(key, dedupe);
}

/** The thread that an event names. */
function threadOf(event: Event): readonly string[] | undefined {
  switch (event.kind) {
    case 'message.created':
      return event.content.thread;
    case 'message.status':
      return event.shell?.thread;
    case 'participant.joined':
    case 'participant.left':
    case 'conversation.updated':
      return event.thread;
    default:
      return undefined;
  }
}
