/**
 * Gathers small requests into groups: what arrives while a group is under way waits together and shares the next. Bounded in bytes; beyond the bound new requests are refused
 * as `overloaded` rather than let memory grow.
 */
import { CartularyError } from '../model/errors.ts';
import type { AppendResult } from './store.ts';

type Pending = {
  readonly count: number;
  readonly bytes: number;
  resolve(results: AppendResult[]): void;
  reject(cause: unknown): void;
};

/** A queue of groups. */
export type GroupQueue<Item> = {
  push(items: readonly Item[]): Promise<AppendResult[]>;
  /** Resolves when nothing waits and nothing is under way. */
  drain(): Promise<void>;
};

/** Bytes that wait at most. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Groups under way at once. */
const IN_FLIGHT_MAX = 4;
/** Items after which a group is sent without waiting for more: later stages begin while this one goes on. */
const GROUP_ITEMS_MAX = 500;

/** How items become groups. */
export type Grouping<Item, Group> = {
  /** What an item takes, about. */
  readonly bytesOf: (item: Item) => number;
  /** Begins a group. */
  readonly open: () => Group;
  /** Takes an item into the group; afterwards the queue does not hold it. */
  readonly add: (group: Group, item: Item) => void;
  /** Carries out a group and answers a result for each item, in order. */
  readonly send: (group: Group) => Promise<AppendResult[]>;
};

/** Makes a queue. */
export function createGroupQueue<Item, Group>({ bytesOf, open, add, send }: Grouping<Item, Group>): GroupQueue<Item> {
  let pending: Pending[] = [];
  let gathered: Group | undefined;
  let pendingItems = 0;
  let waitingBytes = 0;
  let inFlight = 0;
  let scheduled = false;
  let idle: (() => void)[] = [];

  const addAll = (items: readonly Item[], reject: (cause: unknown) => void): number => {
    let taken = 0;
    try {
      const group = (gathered ??= open());
      for (; taken < items.length; taken += 1) add(group, items[taken] as Item);
    } catch (cause) {
      reject(cause);
    }
    return taken;
  };
  const flush = (): void => {
    scheduled = false;
    if (inFlight >= IN_FLIGHT_MAX || gathered === undefined || pending.length === 0) return;
    const group = gathered;
    const members = pending;
    gathered = undefined;
    pending = [];
    pendingItems = 0;
    inFlight += 1;
    void run(group, members);
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    // One turn of the loop is waited for, so that requests that arrived together go together.
    setImmediate(flush);
  };
  const run = async (group: Group, members: readonly Pending[]): Promise<void> => {
    try {
      const results = await send(group);
      // One too many or too few, and somebody would be told of another's commit.
      if (results.length !== members.reduce((sum, { count }) => sum + count, 0))
        throw new CartularyError('internal', 'results do not fit what was asked');
      let at = 0;
      for (const one of members) {
        one.resolve(results.slice(at, at + one.count));
        at += one.count;
      }
    } catch (cause) {
      for (const one of members) one.reject(cause);
    } finally {
      for (const one of members) waitingBytes -= one.bytes;
      inFlight -= 1;
      flush();
      if (inFlight === 0 && pending.length === 0) {
        for (const resolve of idle) resolve();
        idle = [];
      }
    }
  };
  return {
    push(items) {
      const bytes = items.reduce((sum, item) => sum + bytesOf(item), 0);
      if (waitingBytes > 0 && waitingBytes + bytes > WAITING_BYTES_MAX) {
        return Promise.reject(
          new CartularyError('overloaded', `more than ${WAITING_BYTES_MAX} bytes wait to be written`),
        );
      }
      waitingBytes += bytes;
      return new Promise((resolve, reject) => {
        const taken = addAll(items, reject);
        if (taken === 0 && items.length > 0) {
          waitingBytes -= bytes;
          return;
        }
        // Those that were taken are in the group, whatever became of the rest: their results must be counted off.
        pending.push({ count: taken, bytes, resolve, reject });
        pendingItems += taken;
        if (pendingItems >= GROUP_ITEMS_MAX) flush();
        else schedule();
      });
    },
    drain() {
      return inFlight === 0 && pending.length === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve));
    },
  };
}
