/**
 * The thread that answers those who look something up: it searches, opens, folds, and gives back what the API shows, so that the thread
 * that receives is never kept waiting. It decides no permission and writes no audit record; the door before it does (archive.ts).
 */
import { workerData } from 'node:worker_threads';

import { CartularyError } from '../../model/errors.ts';
import { foldMessage } from '../../model/fold.ts';
import type { Message } from '../../model/fold.ts';
import { idBytes } from '../../model/ids.ts';
import type { ConversationId, MessageId } from '../../model/ids.ts';
import { openIndexReader } from '../../search/index-reader.ts';
import { formatQuery, parseQuery } from '../../search/query.ts';
import { serveThread } from '../../store/thread.ts';
import { openMessage, openMessageRecords, openRecord } from '../opening.ts';
import { viewMessage, viewMessageDetail } from '../views.ts';
import type { ConversationView, FacetsView, MessageDetail, MessagePage } from '../views.ts';
import { compareIndex } from './compare-index.ts';
import type { IndexComparison } from './compare-index.ts';
import { openReader, openSealer } from './workspace.ts';
import type { ThreadSetup } from './workspace.ts';

/** Where a medium lies and what is needed to open it. */
export type MediaPlace = {
  readonly blob: string;
  readonly mime: string;
  readonly fileName: string | undefined;
  readonly bytes: number;
  readonly sha256: string;
  readonly messageId: Uint8Array;
  readonly secret: Uint8Array;
};

/** Calls of this thread. */
export type ReadCalls = {
  ready: { args: undefined; result: undefined };
  search: { args: { q: string; limit: number; cursor: string | undefined; order?: 'newest' | 'oldest' }; result: MessagePage };
  facets: { args: { q: string }; result: FacetsView };
  /** `normalise` says how a query was understood, without running it. */
  normalise: { args: string; result: { query: string; hints: string[] } };
  message: { args: { id: MessageId; atMs: number | undefined }; result: MessageDetail | undefined };
  conversation: { args: { id: ConversationId; limit: number; cursor: string | undefined }; result: ConversationView | undefined };
  media: { args: { id: MessageId; part: number }; result: MediaPlace | undefined };
  /** First leaf index of each message, for proofs. */
  leaves: { args: MessageId; result: number[] };
  /** Compares what the index holds with what it should hold, as sets. */
  compare: { args: undefined; result: IndexComparison };
  /** Leaf indices of quarantined envelopes, newest last. */
  quarantine: { args: { from: number; limit: number }; result: { seq: number; reason: string; capturedAtMs: number }[] };
  close: { args: undefined; result: undefined };
};

const setup = workerData as ThreadSetup;
const reader = openReader(setup);
const sealer = openSealer(setup);
const index = openIndexReader({ directory: setup.layout.index, key: setup.indexKey });

async function openMessages(messageNos: readonly number[]): Promise<Message[]> {
  const rows = await reader.readMessages(messageNos, { stateOnly: true });
  const messages: Message[] = [];
  for (const row of rows) {
    const message = openMessage(sealer, row);
    if (message !== undefined) messages.push(message);
  }
  return messages;
}

async function search(args: ReadCalls['search']['args']): Promise<MessagePage> {
  const query = parseQuery(args.q, { nowMs: Date.now() });
  index.refresh();
  const found = index.search(query, {
    limit: args.limit,
    order: args.order ?? 'newest',
    countMax: 10_000,
    ...(args.cursor === undefined ? {} : { cursor: args.cursor }),
  });
  const messages = await openMessages(found.hits.map((hit) => hit.messageNo));
  return {
    items: messages.map(viewMessage),
    nextCursor: found.nextCursor ?? null,
    total: found.total,
    totalRelation: found.totalRelation,
    query: formatQuery(query),
    hints: [...query.hints],
  };
}

async function facets(args: { q: string }): Promise<FacetsView> {
  const query = parseQuery(args.q, { nowMs: Date.now() });
  index.refresh();
  const found = index.facets(query, { scanMax: 100_000 });
  return { histogram: found.histogram, facets: found.facets, counted: found.counted, capped: found.capped, query: formatQuery(query) };
}

async function findMessage(id: MessageId): Promise<Awaited<ReturnType<typeof reader.readMessages>>[number] | undefined> {
  const messageNo = await reader.findMessageNo(idBytes(id));
  if (messageNo === undefined) return undefined;
  const [row] = await reader.readMessages([messageNo]);
  return row;
}

async function message({ id, atMs }: ReadCalls['message']['args']): Promise<MessageDetail | undefined> {
  const row = await findMessage(id);
  if (row === undefined) return undefined;
  if (row.secret === undefined) throw new CartularyError('key-destroyed', 'the key of this message was destroyed');
  const records = openMessageRecords(sealer, row);
  const folded = foldMessage(records, atMs === undefined ? {} : { knownAtMs: atMs });
  if (folded === undefined) return undefined;
  const counted = new Set(folded.records.map((record) => record.seq));
  return viewMessageDetail(folded, records.filter(({ seq }) => counted.has(seq)));
}

async function conversation(args: ReadCalls['conversation']['args']): Promise<ConversationView | undefined> {
  const page = await search({ q: `conversation:${args.id}`, limit: args.limit, cursor: args.cursor });
  const [first] = page.items;
  if (first === undefined) return undefined;
  const parties = new Map<string, NonNullable<typeof first.from>>();
  for (const item of page.items) {
    for (const party of [item.from, ...item.to]) {
      if (party === null) continue;
      const known = parties.get(party.address);
      if (known === undefined || (known.name === null && party.name !== null)) parties.set(party.address, party);
    }
  }
  return {
    id: args.id,
    channel: first.channel,
    parties: [...parties.values()],
    total: page.total,
    totalRelation: page.totalRelation,
    messages: page.items.toReversed(),
    nextCursor: page.nextCursor,
  };
}

async function media({ id, part }: ReadCalls['media']['args']): Promise<MediaPlace | undefined> {
  const row = await findMessage(id);
  if (row?.secret === undefined) return undefined;
  const folded = foldMessage(openMessageRecords(sealer, row));
  const state = folded?.media[part];
  if (state?.state !== 'stored') return undefined;
  const described = folded?.parts.find((candidate) => candidate.kind === 'media' && candidate.index === part);
  return {
    blob: state.media.blob,
    mime: state.media.mimeSniffed ?? state.media.mimeDeclared ?? 'application/octet-stream',
    fileName: described?.kind === 'media' ? described.fileName : undefined,
    bytes: state.media.bytes,
    sha256: state.media.sha256,
    messageId: row.messageId,
    secret: row.secret,
  };
}

serveThread<ReadCalls>({
  async ready() {
    return undefined;
  },
  search,
  facets,
  async normalise(q) {
    const query = parseQuery(q, { nowMs: Date.now() });
    return { query: formatQuery(query), hints: [...query.hints] };
  },
  message,
  conversation,
  media,
  async leaves(id) {
    return (await findMessage(id))?.records.map((record) => record.seq) ?? [];
  },
  async compare() {
    index.refresh();
    return compareIndex(reader, sealer, index);
  },
  async quarantine({ from, limit }) {
    const found: { seq: number; reason: string; capturedAtMs: number }[] = [];
    for (const row of await reader.readLog(from, limit)) {
      if (row.secret === undefined) continue;
      const { record } = openRecord(sealer, row);
      if (record.event.kind === 'quarantine') found.push({ seq: row.seq, reason: record.event.reason, capturedAtMs: record.capturedAt.ms });
    }
    return found;
  },
  async close() {
    index.close();
    await reader.close();
    return undefined;
  },
});
