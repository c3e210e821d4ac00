/**
 * Capture into an archive that is there, in turns with a baseline that holds as many messages: what the two come to at that size, in the time of a few rounds. The baseline is filled first, without
 * waiting for the disk, and stays beside the archive.
 */
import { existsSync, renameSync } from 'node:fs';

import { openBaseline } from '../baselines/sqlite.ts';
import type { Arrival } from '../baselines/sqlite.ts';
import { makeEnvelope, openPlace, savePlace } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { openShop } from '../texts/shop.ts';
import type { Shop } from '../texts/shop.ts';
import { figuresOf, takeRound } from './capture.ts';
import type { Round } from './capture.ts';

/** Messages of a round, and rounds: enough for what an index puts off to be paid in some. */
const ROUND = 50_000;
const ROUNDS = 6;
const FILL_SEED = 800;

/** Fills a baseline beside the archive with as many messages as that has, if it is not there. */
export function fillBaseline({ options, place }: Pick<BenchRun, 'options' | 'place'>): void {
  if (existsSync(place.baselinePath)) return;
  const partial = `${place.baselinePath}.filling`;
  const baseline = openBaseline(partial, { isDurable: false });
  const { messages, mix } = place.known;
  const shop = openShop(options.seed + FILL_SEED, messages, mix);
  for (let done = 0; done < messages; done += ROUND)
    baseline.store(tell(shop, Math.min(ROUND, messages - done), place.known.sourceId));
  baseline.close();
  renameSync(partial, place.baselinePath);
}

/** Measures it. What the rounds add stays in both. */
export async function measureCaptureAtSize(run: BenchRun): Promise<void> {
  const { options, place, note } = run;
  fillBaseline(run);
  place.known.loads += 1;
  savePlace(place);
  const shop = openShop(options.seed + FILL_SEED + 100 * place.known.loads, ROUND * (ROUNDS + 1), place.known.mix);
  const service = await openPlace(place.data);
  const source = service.archive.registry.listSources().find(({ id }) => id === place.known.sourceId);
  if (source === undefined) throw new Error('the source of the benchmark is gone');
  const baseline = openBaseline(place.baselinePath);
  const rounds: Round[] = [];
  try {
    for (let round = 0; round <= ROUNDS; round += 1) {
      const told = Array.from({ length: ROUND }, () => shop.next());
      rounds.push(await takeRound({ service, source, baseline, place }, told));
    }
  } finally {
    baseline.close();
    await service.close();
    savePlace(place);
  }
  // The first is the warm-up.
  for (const figure of figuresOf(rounds.slice(1), false)) note(figure);
}

function tell(shop: Shop, count: number, sourceId: string): Arrival[] {
  return Array.from({ length: count }, () => {
    const told = shop.next();
    return { told, envelope: makeEnvelope(sourceId, told) };
  });
}
