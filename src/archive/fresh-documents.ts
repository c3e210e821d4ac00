/**
 * The short way to the follower: what the index is told of a new message is made while it is filed, sealing or not, and handed over once the record is durable, so that the
 * follower need not read, open, unpack and parse it again. It is only ever what the record itself would give (index-document.test.ts); where it is missing, the follower reads
 * the log.
 *
 * Bounded: the two threads share a count of the bytes under way, and past the limit nothing is handed over.
 */
import type { MessagePort } from 'node:worker_threads';

import { releaseBuffer } from '../store/growing-buffer.ts';
import type { IndexDocument } from '../search/document.ts';

/** What the index is told of a message that began with the record at a place in the log; written by `writeDocument`. */
export type FreshDocument = { readonly seq: number; readonly messageNo: number; readonly document: Uint8Array };

/** One end of the way. */
export type FreshLink = { readonly port: MessagePort; readonly underWay: SharedArrayBuffer };

const BYTES_MAX = 32 * 1024 * 1024;
const ENTRY_BYTES = 8 + 8 + 4;

/** A document as text: a list, since names would be most of it. */
export function writeDocument(document: IndexDocument): string {
  return JSON.stringify([
    document.sentAtMs,
    document.text,
    document.channel,
    document.direction,
    document.source,
    document.conversation,
    document.from,
    document.to,
    document.types,
    document.state,
    document.has,
    document.orders,
    document.ids,
    document.brand,
  ]);
}

type List = [
  number,
  string,
  string,
  string,
  string,
  string,
  string[],
  string[],
  string[],
  string,
  string[],
  string[],
  string[],
  string,
];

/** The document that `writeDocument` wrote. */
export function readDocument(messageNo: number, bytes: Buffer): IndexDocument {
  const list = JSON.parse(bytes.toString('utf8')) as List;
  const [sentAtMs, text, channel, direction, source, conversation, from, to, types, state, has, orders, ids, brand] =
    list;
  return {
    messageNo,
    sentAtMs,
    text,
    channel,
    direction,
    source,
    conversation,
    from,
    to,
    types,
    state,
    has,
    orders,
    ids,
    brand,
  };
}

/** Hands documents over; does nothing while too much is under way. */
export function sendFreshDocuments({ port, underWay }: FreshLink, documents: readonly FreshDocument[]): void {
  const bytes = documents.reduce((sum, { document }) => sum + ENTRY_BYTES + document.length, 0);
  const count = new Int32Array(underWay);
  if (bytes === 0 || Atomics.load(count, 0) + bytes > BYTES_MAX) return;
  Atomics.add(count, 0, bytes);
  const target = Buffer.from(new ArrayBuffer(bytes));
  let at = 0;
  for (const { seq, messageNo, document } of documents) {
    at = target.writeDoubleLE(seq, at);
    at = target.writeDoubleLE(messageNo, at);
    at = target.writeUInt32LE(document.length, at);
    target.set(document, at);
    at += document.length;
  }
  const buffer = target.buffer as ArrayBuffer;
  port.postMessage(buffer, [buffer]);
}

/** Documents that came, by their place in the log. */
export type FreshDocuments = {
  /** The document of the record at a place, once. */
  take(seq: number): IndexDocument | undefined;
  /** Lets go of what lies before a place. */
  forget(beforeSeq: number): void;
};

/** Receives documents. */
export function receiveFreshDocuments({ port, underWay }: FreshLink): FreshDocuments {
  const count = new Int32Array(underWay);
  const waiting: Batch[] = [];
  port.on('message', (buffer: ArrayBuffer) => void waiting.push(indexBatch(Buffer.from(buffer))));
  return {
    take(seq) {
      for (const batch of waiting) {
        const at = batch.places.get(seq);
        if (at === undefined) continue;
        const bytes = batch.bytes.readUInt32LE(at + 16);
        const start = at + ENTRY_BYTES;
        return readDocument(batch.bytes.readDoubleLE(at + 8), batch.bytes.subarray(start, start + bytes));
      }
      return undefined;
    },
    forget(beforeSeq) {
      // Batches come in the order in which they were committed.
      while (waiting[0] !== undefined && waiting[0].last < beforeSeq) {
        const { bytes } = waiting[0];
        Atomics.sub(count, 0, bytes.length);
        releaseBuffer(bytes.buffer as ArrayBuffer);
        waiting.shift();
      }
    },
  };
}

/** A batch stays bytes until it is asked for: so it costs no heap while the follower is behind. */
type Batch = { readonly bytes: Buffer; readonly places: ReadonlyMap<number, number>; readonly last: number };

function indexBatch(bytes: Buffer): Batch {
  const places = new Map<number, number>();
  let last = 0;
  for (let at = 0; at < bytes.length; at += ENTRY_BYTES + bytes.readUInt32LE(at + 16)) {
    const seq = bytes.readDoubleLE(at);
    places.set(seq, at);
    last = Math.max(last, seq);
  }
  return { bytes, places, last };
}
