/**
 * Durable jobs: claimed for a time, tried again with growing waits, given up at a deadline.
 *
 * Owns: how many run at once, and when what failed is tried again. Never: knows what a job does or where it is stored.
 * Invariants: a job that takes long holds but its own slot; one that fails leaves its neighbours alone.
 */

/** Waits between tries, by the number of tries there were: what is briefly gone comes back within seconds. */
const RETRY_MS = [2_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000] as const;

/**
 * When a job is tried again.
 * @param job `attempts`: tries there were; `lossAtMs`: when it becomes pointless
 * @param options `triesMax`; `afterMs`: what the other side asked for
 * @returns undefined where it is given up; before that there is always one try shortly before the loss
 */
export function nextTry(
  job: { readonly attempts: number; readonly lossAtMs?: number | undefined },
  options: { readonly nowMs: number; readonly triesMax: number; readonly afterMs?: number | undefined },
): number | undefined {
  if (job.attempts >= options.triesMax) return undefined;
  const wait = RETRY_MS[Math.min(job.attempts, RETRY_MS.length) - 1] ?? RETRY_MS[0];
  const dueAtMs = options.nowMs + Math.max(wait, options.afterMs ?? 0);
  if (job.lossAtMs === undefined || dueAtMs <= job.lossAtMs) return dueAtMs;
  const lastMs = job.lossAtMs - LAST_TRY_MS;
  return lastMs > options.nowMs ? lastMs : undefined;
}

/** Milliseconds before the loss at which the last try is made. */
const LAST_TRY_MS = 30_000;

/** How jobs are come by and done. */
export type JobSource<Job> = {
  /** Jobs that run at once at most. */
  readonly slots: number;
  readonly claim: (limit: number) => Promise<readonly Job[]>;
  readonly work: (job: Job) => Promise<void>;
  readonly signal: AbortSignal;
};

/** Milliseconds after which free slots are offered again while others are still busy. */
const CLAIM_EVERY_MS = 500;

/**
 * Does jobs until none is due and none runs.
 * @throws the first failure of a job that did not see to it itself, after all others were done
 */
export async function drainJobs<Job>({ slots, claim, work, signal }: JobSource<Job>): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const start = (job: Job): void => {
    const one: Promise<void> = work(job)
      .catch((cause: unknown) => void failures.push(cause))
      .finally(() => running.delete(one));
    running.add(one);
  };
  try {
    while (!signal.aborted) {
      const free = slots - running.size;
      if (free > 0) for (const job of await claim(free)) start(job);
      if (running.size === 0) break;
      await firstOf(running, CLAIM_EVERY_MS);
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
}

async function firstOf(running: ReadonlySet<Promise<void>>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([...running, late]);
  clearTimeout(timer);
}
