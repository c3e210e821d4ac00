/**
 * Who is let in when more comes than can be kept. An envelope that would wait too long is refused before anything of it is read: a refusal costs a fraction of what keeping
 * costs, so what was let in is kept in time, and senders know at once.
 *
 * - Waiting is measured, not guessed: the age of the oldest envelope under way is what the next one would wait. Count and bytes bound the memory besides.
 * - Only envelopes whose origin is certain count: what strangers send can fill nothing here.
 * - Reading is never refused here: searches and health are answered as ever.
 */
import { CartularyError } from '../model/errors.ts';

/** Envelopes under way at once: what one turn of the event loop lets in before the age of the oldest can show. */
const UNDER_WAY_MAX = 1000;
/** Bytes of their bodies. */
const BYTES_MAX = 32 * 1024 * 1024;
/** Milliseconds the oldest may have been under way while others are let in. */
const AGE_MS_MAX = 400;
/** With fewer under way their age tells of a slow disk or of one large envelope: to wait costs nobody anything then. */
const FEW = 64;
/** Milliseconds between two lines in the log about refusals. */
const TELL_EVERY_MS = 10_000;

/** Lets envelopes in, or does not. */
export type Admission = {
  /** Would one be refused now? Asked before anything of it is read. */
  isFull(): boolean;
  /**
   * Lets one in that is kept by `work`; under way until that is settled. Rejects with `overloaded` where it cannot be let in, and then does nothing.
   * @param bytes of its body
   */
  admit<Result>(bytes: number, work: () => Promise<Result>): Promise<Result>;
  /** Notes that somebody was asked to come again; told together, since a line for each would be a load of its own. @param why one of our own texts */
  noteRefusal(why: string): void;
};

export type AdmissionParts = {
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Told of refusals at most every ten seconds and reason. */
  readonly onRefused: (why: string, count: number) => void;
};

/** What senders are told. */
export const TOO_BUSY = 'more comes in than can be kept in time';

/** Makes the admission of one service. */
export function createAdmission({ now, onRefused }: AdmissionParts): Admission {
  const underWay = new Set<{ readonly sinceMs: number }>();
  const refusals = new Map<string, { toldMs: number; count: number }>();
  let bytesHeld = 0;
  const isFull = (): boolean => {
    if (underWay.size >= UNDER_WAY_MAX || bytesHeld >= BYTES_MAX) return true;
    if (underWay.size < FEW) return false;
    // A set tells its members in the order in which they came.
    for (const { sinceMs } of underWay) return now() - sinceMs > AGE_MS_MAX;
    return false;
  };
  return {
    isFull,
    async admit(bytes, work) {
      if (isFull()) throw new CartularyError('overloaded', TOO_BUSY);
      const one = { sinceMs: now() };
      underWay.add(one);
      bytesHeld += bytes;
      try {
        return await work();
      } finally {
        underWay.delete(one);
        bytesHeld -= bytes;
      }
    },
    noteRefusal(why) {
      const known = refusals.get(why) ?? { toldMs: Number.NEGATIVE_INFINITY, count: 0 };
      refusals.set(why, known);
      known.count += 1;
      if (now() - known.toldMs < TELL_EVERY_MS) return;
      onRefused(why, known.count);
      known.toldMs = now();
      known.count = 0;
    },
  };
}
