/** What goes on by itself in a service: each piece again and again, until the service stops. */
import { setTimeout as pause } from 'node:timers/promises';

import type { Logger } from 'pino';

import { isDiskFailed } from '../store/thread.ts';

export type Loops = {
  /** Does something now, and again so many milliseconds after it ended. What fails is told and tried again; a disk that failed is fatal. */
  start(everyMs: number, act: () => Promise<void>): void;
  /** Resolves when all have ended, which they do when the signal says so. */
  settled(): Promise<void>;
};

export function createLoops(parts: {
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly onFatal: (cause: unknown) => void;
}): Loops {
  const loops: Promise<void>[] = [];
  return {
    start: (everyMs, act) => void loops.push(loop(parts, everyMs, act)),
    settled: async () => void (await Promise.all(loops)),
  };
}

async function loop(
  { signal, log, onFatal }: Parameters<typeof createLoops>[0],
  everyMs: number,
  act: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await act();
    } catch (cause) {
      if (isDiskFailed(cause)) onFatal(cause);
      if (!signal.aborted) log.warn({ cause: errorName(cause) }, 'a job failed; it is tried again');
    }
    // Ends with the service.
    await pause(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** What a log line may say of an error: its name and code, never its text. */
export function errorName(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  return 'code' in cause ? `${cause.name} ${String(cause.code)}` : cause.name;
}
