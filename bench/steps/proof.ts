/** Inclusion proofs of single leaves all over the log. */
import { percentile, timeOf } from '../figure.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';

const ROUNDS = 500;

/** Measures proofs to the newest signed head. */
export async function measureProofs({ options, place, note }: BenchRun): Promise<void> {
  const service = await openPlace(place.data);
  try {
    await service.archive.publish();
    const size = await service.archive.size();
    const runs: number[] = [];
    for (let run = 0; run <= options.runs; run += 1) {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const index = Math.floor(((((run * ROUNDS + round) * 7919) % 10_007) / 10_007) * size);
        times.push(await timeOf(() => service.archive.threads.log.call('prove', { indices: [index] })));
      }
      // The first is the warm-up.
      if (run > 0) runs.push(percentile(times, 0.95));
    }
    note({ id: 'proof.p95', what: 'inclusion proof, p95', unit: 'ms', better: 'less', value: runs });
  } finally {
    await service.close();
  }
}
