/** Search, proofs, verification. */
import type { Caller } from '../src/archive/caller.ts';
import type { Bench } from './setup.ts';

const CALLER: Caller = { kind: 'local', user: 'bench' };

/** Queries by class; `{n}` is replaced by a number that differs from run to run, so that no answer is remembered. */
const CLASSES: readonly { readonly name: string; readonly queries: readonly string[] }[] = [
  { name: 'rare word', queries: ['needle17', 'needle5017', 'needle10017', 'needle15017'] },
  { name: 'common word', queries: ['the', 'order', 'delivery', 'your'] },
  { name: 'two common words', queries: ['the order', 'your refund', 'delivery please'] },
  { name: 'phrase', queries: ['"the order"', '"your order"', '"to the"'] },
  { name: 'field', queries: ['from:+15551001234', 'from:5551004321', 'order:#10003'] },
  { name: 'filtered', queries: ['the direction:inbound channel:sms', 'refund channel:sms after:2020-01-01'] },
  {
    name: 'mixed',
    queries: ['(refund OR return) -package direction:inbound', '"your order" OR needle17', 'ship* the channel:sms'],
  },
];

const ROUNDS = 200;

/** Newest 50 of each query, counted to 10,000, the audit record durable before the answer. */
export async function runSearch({ service }: Bench): Promise<{ name: string; p50: number; p95: number }[]> {
  const results = [];
  for (const { name, queries } of CLASSES) {
    const times: number[] = [];
    for (const q of queries) await service.archive.search(CALLER, { q, limit: 50 });
    for (let round = 0; round < ROUNDS; round += 1) {
      const q = queries[round % queries.length] ?? '';
      const startedAt = performance.now();
      await service.archive.search(CALLER, { q, limit: 50 });
      times.push(performance.now() - startedAt);
    }
    results.push({ name, p50: percentile(times, 0.5), p95: percentile(times, 0.95) });
  }
  return results;
}

/** Inclusion proofs of single leaves all over the log; p95 in milliseconds. */
export async function runProofs({ service }: Bench): Promise<number> {
  await service.archive.publish();
  const size = await service.archive.size();
  const times: number[] = [];
  for (let round = 0; round < 500; round += 1) {
    const index = Math.floor((((round * 7919) % 10_007) / 10_007) * (size - 1000));
    const startedAt = performance.now();
    await service.archive.threads.log.call('prove', { indices: [index] });
    times.push(performance.now() - startedAt);
  }
  return percentile(times, 0.95);
}

/** A whole verification; records a second on its one core. */
export async function runVerify({ service }: Bench): Promise<number> {
  const startedAt = performance.now();
  const report = await service.archive.verify(CALLER, {});
  if (!report.ok) throw new Error(`the archive is not sound: ${JSON.stringify(report.faults[0])}`);
  return report.checked / ((performance.now() - startedAt) / 1000);
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
