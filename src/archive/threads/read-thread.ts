/**
 * The thread that answers those who look something up: it searches, opens, folds, and gives back what the API shows, so that the thread
 * that receives is never kept waiting. It decides no permission and writes no audit record; the door before it does (archive.ts).
 */
import type { MessagePort } from 'node:worker_threads';

import { makeSealer } from '../make-sealer.ts';
import { decodeLeaf, findLeafKind, leafKindOf, LEAF_KINDS } from '../../ledger/leaf.ts';
import { CartularyError } from '../../model/errors.ts';
import { foldMessage } from '../../model/fold.ts';
import type { Message } from '../../model/fold.ts';
import { idBytes } from '../../model/ids.ts';
import type { ConversationId, MessageId } from '../../model/ids.ts';
import type { LoggedRecord } from '../../model/record.ts';
import { findCursorNowMs } from '../../search/cursor.ts';
import { openIndexReader } from '../../search/index-reader.ts';
import { COUNT_MAX } from '../../search/limits.ts';
import { formatQuery } from '../../search/query-format.ts';
import { parseQuery } from '../../search/query.ts';
import { gatherBytes } from '../../store/growing-buffer.ts';
import { callOverPort, servePort, takePlace } from '../../store/thread.ts';
import { placesOf, sentAtMs } from '../index-document.ts';
import { openBytes, openMessage, openMessageRecords, openRecord } from '../opening.ts';
import { viewMessage, viewMessageDetail } from '../view-message.ts';
import type { ConversationView, FacetsView, MessageDetail, MessagePage } from '../views.ts';
import { compareIndex } from './compare-index.ts';
import type { IndexComparison } from './compare-index.ts';
import { READER_SHARE } from './count-share.ts';
import type { CountCalls } from './count-thread.ts';
import { openReader } from './workspace.ts';
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

/** One message with the exact bytes of its records. */
export type BundledMessage = {
  readonly owner: { readonly messageId: Uint8Array; readonly secret: Uint8Array };
  readonly records: readonly {
    readonly seq: number;
    readonly leaf: Uint8Array;
    readonly bytes: Uint8Array;
    readonly r: Uint8Array;
  }[];
};

/** Calls of this thread. */
export type ReadCalls = {
  ready: { args: undefined; result: undefined };
  search: {
    args: { q: string; limit: number; cursor: string | undefined; order?: 'newest' | 'oldest' };
    result: MessagePage;
  };
  facets: { args: { q: string }; result: FacetsView };
  /** `normalise` says how a query was understood, without running it. */
  normalise: { args: string; result: { query: string; hints: string[] } };
  message: { args: { id: MessageId; atMs: number | undefined }; result: MessageDetail | undefined };
  conversation: {
    args: { id: ConversationId; limit: number; cursor: string | undefined };
    result: ConversationView | undefined;
  };
  media: { args: { id: MessageId; part: number }; result: MediaPlace | undefined };
  /** When a message counts as sent (Unix milliseconds), which is where it stands in the index, 0 where it stands nowhere; then where it may have stood before. */
  places: { args: MessageId; result: readonly [number, ...number[]] };
  /** First leaf index of each message, for proofs. */
  leaves: { args: MessageId; result: number[] };
  /** Opens the files of the index anew, after some were replaced. */
  refresh: { args: undefined; result: undefined };
  /** Compares what the index holds with what it should hold, as sets. */
  compare: { args: { followed: number }; result: IndexComparison };
  /** Quarantined envelopes from a place in the log on, and where to go on. */
  quarantine: { args: { from: number }; result: { records: LoggedRecord[]; next: number | undefined } };
  /** What a person should hear of, from a place in the log on: how many of a kind, by whom, when last; and where to go on. */
  events: { args: { from: number }; result: { events: NotableEvents[]; next: number } };
  /** Everything an export needs of some messages; those whose key was destroyed are left out. All bytes of records lie in `buffer`, which may be released when they are done with. */
  bundle: {
    args: readonly number[];
    result: { readonly messages: BundledMessage[]; readonly buffer: ArrayBuffer };
  };
  /** Numbers of the hits of a query, page by page. */
  numbers: {
    args: { q: string; limit: number; cursor: string | undefined };
    result: { messageNos: number[]; nextCursor: string | undefined };
  };
  close: { args: undefined; result: undefined };
};

/** Envelopes that could not be read, and gaps, among some records; `actor`: 16 bytes in hex, the source where a source sent them. */
export type NotableEvents = {
  readonly kind: 'quarantine' | 'gap.opened';
  readonly actor: string;
  readonly count: number;
  readonly lastAtMs: number;
};

/** What this thread is given: besides the keys, a port to the thread that counts with it. */
export type ReadSetup = ThreadSetup & { readonly counter: MessagePort; readonly followed: SharedArrayBuffer };

/** Records by which the index may be behind before it is said: what is captured within a moment of full load. */
const BEHIND_MAX = 20_000;

const { setup, port } = takePlace<ReadSetup>();
const counter = callOverPort<CountCalls>(setup.counter);
const reader = await openReader(setup);
const sealer = makeSealer(setup.archiveId, setup);
const index = openIndexReader({ directory: setup.layout.index, key: setup.indexKey });

const followed = new Int32Array(setup.followed);

/** An index that is being built finds a part; nobody shall take it for the whole. */
function findLag(): string | undefined {
  const records = Atomics.load(followed, 0);
  const all = Atomics.load(followed, 1);
  if (all - records <= BEHIND_MAX && Atomics.load(followed, 2) === 0) return undefined;
  return `The search index is still being built: only what stands in ${records} of ${all} records is found so far.`;
}

async function openMessages(messageNos: readonly number[]): Promise<Message[]> {
  const rows = await reader.readMessages(messageNos, { stateOnly: true });
  const messages: Message[] = [];
  for (const row of rows) {
    const message = openMessage(sealer, row);
    if (message !== undefined) messages.push(message);
  }
  return messages;
}

/** All pages of a search are read at the moment of the first. */
function nowOf(cursor: string | undefined): number {
  return (cursor === undefined ? undefined : findCursorNowMs(cursor)) ?? Date.now();
}

/** Of the pages after the first. */
const NOTHING_COUNTED = Promise.resolve({ count: 0, isWhole: true });

async function search(args: ReadCalls['search']['args']): Promise<MessagePage> {
  const nowMs = nowOf(args.cursor);
  const query = parseQuery(args.q, { nowMs });
  // Only the first page is counted; the others are told by their cursor.
  const countedElsewhere =
    args.cursor === undefined ? counter.call('count', { q: args.q, nowMs, countMax: COUNT_MAX }) : NOTHING_COUNTED;
  // Asked before anything here can fail, and heard only at the end.
  countedElsewhere.catch(() => undefined);
  const shared = index.searchShared(
    query,
    {
      limit: args.limit,
      order: args.order ?? 'newest',
      countMax: COUNT_MAX,
      ...(args.cursor === undefined ? {} : { cursor: args.cursor }),
    },
    READER_SHARE,
  );
  const messages = await openMessages(shared.hits.map((hit) => hit.messageNo));
  const found = shared.finish(await countedElsewhere);
  const lag = findLag();
  const hints = query.hints.map((hint) => hint.text);
  return {
    items: messages.map(viewMessage),
    nextCursor: found.nextCursor ?? null,
    total: found.total,
    totalRelation: lag === undefined ? found.totalRelation : 'gte',
    query: formatQuery(query),
    hints: lag === undefined ? hints : [lag, ...hints],
  };
}

async function facets(args: { q: string }): Promise<FacetsView> {
  const query = parseQuery(args.q, { nowMs: Date.now() });
  const found = index.facets(query, { scanMax: 100_000 });
  return {
    histogram: [...found.histogram],
    facets: Object.fromEntries(Object.entries(found.facets).map(([name, counts]) => [name, [...counts]])),
    moreValues: found.moreValues,
    counted: found.counted,
    capped: found.capped || findLag() !== undefined,
    query: formatQuery(query),
  };
}

async function findMessage(
  id: MessageId,
): Promise<Awaited<ReturnType<typeof reader.readMessages>>[number] | undefined> {
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
  return viewMessageDetail(
    folded,
    records.filter(({ seq }) => counted.has(seq)),
  );
}

async function places(id: MessageId): Promise<ReadCalls['places']['result']> {
  const row = await findMessage(id);
  const records = row?.secret === undefined ? [] : openMessageRecords(sealer, row);
  const folded = foldMessage(records);
  return folded === undefined ? [0] : [sentAtMs(folded), ...placesOf(records)];
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

const SCAN_LEAVES = 4096;

async function quarantine({ from }: { from: number }): Promise<ReadCalls['quarantine']['result']> {
  const leaves = await reader.readLeaves(from, SCAN_LEAVES);
  const records: LoggedRecord[] = [];
  for (const [offset, leaf] of leaves.entries()) {
    if (leafKindOf(leaf) !== LEAF_KINDS.quarantine) continue;
    const [row] = await reader.readLog(from + offset, 1);
    if (row?.secret !== undefined) records.push({ seq: row.seq, record: openRecord(sealer, row).record });
  }
  return { records, next: leaves.length < SCAN_LEAVES ? undefined : from + leaves.length };
}

async function events({ from }: { from: number }): Promise<ReadCalls['events']['result']> {
  const leaves = await reader.readLeaves(from, SCAN_LEAVES);
  const found = new Map<string, NotableEvents>();
  for (const leaf of leaves) {
    const kind = findLeafKind(leafKindOf(leaf));
    if (kind !== 'quarantine' && kind !== 'gap.opened') continue;
    const { timeMs, actor: actorBytes } = decodeLeaf(leaf);
    const actor = Buffer.from(actorBytes).toString('hex');
    const known = found.get(`${kind}/${actor}`);
    const count = (known?.count ?? 0) + 1;
    found.set(`${kind}/${actor}`, { kind, actor, count, lastAtMs: Math.max(known?.lastAtMs ?? 0, timeMs) });
  }
  return { events: [...found.values()], next: from + leaves.length };
}

async function bundle(messageNos: readonly number[]): Promise<ReadCalls['bundle']['result']> {
  const bundled: BundledMessage[] = [];
  const parts: Uint8Array[] = [];
  for (const row of await reader.readMessages(messageNos)) {
    const { messageId, secret } = row;
    if (secret === undefined) continue;
    const records = row.records.map(({ seq, leaf, sealed }) => {
      const { bytes, r } = openBytes(sealer, { messageId, secret, leaf, sealed });
      parts.push(leaf, bytes, r);
      return { seq, leaf, bytes, r };
    });
    bundled.push({ owner: { messageId, secret }, records });
  }
  const { buffer, views } = gatherBytes(parts);
  let at = 0;
  const next = (): Uint8Array => views[at++] ?? new Uint8Array();
  const messages = bundled.map(({ owner, records }) => ({
    owner,
    records: records.map(({ seq }) => ({ seq, leaf: next(), bytes: next(), r: next() })),
  }));
  return { messages, buffer };
}

servePort<ReadCalls>(port, {
  async ready() {
    return undefined;
  },
  search,
  facets,
  async normalise(q) {
    const query = parseQuery(q, { nowMs: Date.now() });
    return { query: formatQuery(query), hints: query.hints.map((hint) => hint.text) };
  },
  message,
  conversation,
  media,
  places,
  async leaves(id) {
    return (await findMessage(id))?.records.map((record) => record.seq) ?? [];
  },
  async refresh() {
    index.refresh();
    return undefined;
  },
  async compare({ followed }) {
    index.refresh();
    return compareIndex({ reader, sealer, index, followed });
  },
  quarantine,
  events,
  bundle,
  async numbers({ q, limit, cursor }) {
    const found = index.search(parseQuery(q, { nowMs: nowOf(cursor) }), {
      limit,
      order: 'oldest',
      countMax: 0,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { messageNos: found.hits.map((hit) => hit.messageNo), nextCursor: found.nextCursor };
  },
  async close() {
    index.close();
    await reader.close();
    return undefined;
  },
});
