/**
 * State rows on their way from the follower to the writer. They are derived: a full disk delays them, and must end neither the follower nor the process that still answers
 * senders with "come again".
 */
import { setTimeout as pause } from 'node:timers/promises';

import { CartularyError } from '../model/errors.ts';
import type { StateRow, StoreWriter } from '../store/store.ts';

export type StateWriter = {
  /** Resolves when the rows are written, or when that does not matter any more because this was stopped. */
  write(states: readonly StateRow[]): Promise<void>;
  stop(): void;
};

/** A full disk, or a database that is away. */
const PASSES: ReadonlySet<string> = new Set(['overloaded', 'database-away']);
/** Milliseconds between two tries. */
const RETRY_MS = 1000;

/**
 * Makes a writer of state rows.
 * @param options `onFatal`: they could not be written for a reason that does not pass; `retryMs`: for tests
 */
export function createStateWriter(
  writer: Pick<StoreWriter, 'putStates'>,
  options: { readonly onFatal: (cause: unknown) => void; readonly retryMs?: number },
): StateWriter {
  const stop = new AbortController();
  const tryOnce = async (states: readonly StateRow[]): Promise<boolean> => {
    try {
      await writer.putStates(states);
      return true;
    } catch (cause) {
      if (stop.signal.aborted) return true;
      if (cause instanceof CartularyError && PASSES.has(cause.code)) return false;
      options.onFatal(cause);
      return true;
    }
  };
  return {
    async write(states) {
      while (!(await tryOnce(states)))
        await pause(options.retryMs ?? RETRY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    },
    stop: () => stop.abort(),
  };
}
