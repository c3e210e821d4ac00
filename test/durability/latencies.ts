/** Latencies by the million: counted into classes 2 % apart. */

const CLASSES_PER_E = 50;
const CLASSES = 1024;
/** Milliseconds of the lowest class. */
const LOWEST_MS = 0.01;

/** Counted latencies; plain values, so that a process can send them. */
export type Latencies = { readonly counts: Float64Array; count: number; maxMs: number };

export function createLatencies(): Latencies {
  return { counts: new Float64Array(CLASSES), count: 0, maxMs: 0 };
}

export function addLatency(latencies: Latencies, ms: number): void {
  const at = Math.floor(Math.log(Math.max(ms, LOWEST_MS) / LOWEST_MS) * CLASSES_PER_E);
  const index = Math.min(at, CLASSES - 1);
  latencies.counts[index] = (latencies.counts[index] ?? 0) + 1;
  latencies.count += 1;
  latencies.maxMs = Math.max(latencies.maxMs, ms);
}

/** Milliseconds that this share of the answers did not exceed; 0 where there are none. @param share 0 to 1 */
export function quantile({ counts, count, maxMs }: Latencies, share: number): number {
  const wanted = Math.ceil(count * share);
  let seen = 0;
  if (count === 0) return 0;
  for (let index = 0; index < CLASSES; index += 1) {
    seen += counts[index] ?? 0;
    if (seen >= wanted) return Math.min(maxMs, LOWEST_MS * Math.exp((index + 1) / CLASSES_PER_E));
  }
  return maxMs;
}
