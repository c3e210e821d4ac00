/**
 * The short way to the follower: the sealing thread hands it the heads of records that began a message, as they were sealed and after they are durable, so that it need not
 * read, open and unpack them again. What is handed over is only ever a copy of what stands in the log; where it is missing, the follower reads the log.
 *
 * Bounded: the two threads share a count of the bytes under way, and past the limit nothing is handed over.
 */
import type { MessagePort } from 'node:worker_threads';

/** The head of a record that began a message: its bytes without the raw slice; `isOpen` where a brace is missing because one followed. */
export type FreshHead = {
  readonly seq: number;
  readonly messageNo: number;
  readonly head: Uint8Array;
  readonly isOpen: boolean;
};

/** Both ends of the way, for the two threads. */
export type FreshHeadsLink = { readonly port: MessagePort; readonly underWay: SharedArrayBuffer };

const BYTES_MAX = 24 * 1024 * 1024;
const ENTRY_BYTES = 8 + 8 + 4;
const CLOSING_BRACE = 0x7d;
const SPACE = 0x20;

/** Hands heads over; does nothing while too much is under way. */
export function sendFreshHeads({ port, underWay }: FreshHeadsLink, heads: readonly FreshHead[]): void {
  const bytes = heads.reduce((sum, { head }) => sum + ENTRY_BYTES + head.length + 1, 0);
  const count = new Int32Array(underWay);
  if (bytes === 0 || Atomics.load(count, 0) + bytes > BYTES_MAX) return;
  Atomics.add(count, 0, bytes);
  const target = Buffer.from(new ArrayBuffer(bytes));
  let at = 0;
  for (const { seq, messageNo, head, isOpen } of heads) {
    at = target.writeDoubleLE(seq, at);
    at = target.writeDoubleLE(messageNo, at);
    at = target.writeUInt32LE(head.length + 1, at);
    target.set(head, at);
    at += head.length;
    // White space after a JSON text says nothing.
    target[at] = isOpen ? CLOSING_BRACE : SPACE;
    at += 1;
  }
  const { buffer } = target;
  port.postMessage(buffer, [buffer as ArrayBuffer]);
}

/** Heads that came, by their place in the log. */
export type FreshHeads = {
  /** The head at a place, once. */
  take(seq: number): { readonly messageNo: number; readonly head: Buffer } | undefined;
  /** Lets go of what lies before a place. */
  forget(beforeSeq: number): void;
};

/** Receives heads. */
export function receiveFreshHeads({ port, underWay }: FreshHeadsLink): FreshHeads {
  const count = new Int32Array(underWay);
  const batches: { last: number; bytes: number }[] = [];
  const heads = new Map<number, { readonly messageNo: number; readonly head: Buffer }>();
  port.on('message', (buffer: ArrayBuffer) => {
    const source = Buffer.from(buffer);
    let last = 0;
    for (let at = 0; at < source.length;) {
      const seq = source.readDoubleLE(at);
      const bytes = source.readUInt32LE(at + 16);
      const start = at + ENTRY_BYTES;
      heads.set(seq, { messageNo: source.readDoubleLE(at + 8), head: source.subarray(start, start + bytes) });
      last = Math.max(last, seq);
      at = start + bytes;
    }
    batches.push({ last, bytes: source.length });
  });
  return {
    take(seq) {
      const found = heads.get(seq);
      heads.delete(seq);
      return found;
    },
    forget(beforeSeq) {
      while (batches[0] !== undefined && batches[0].last < beforeSeq) {
        Atomics.sub(count, 0, batches[0].bytes);
        batches.shift();
      }
    },
  };
}
