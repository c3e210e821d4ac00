/** Rebuild of the search index from the records, against filling an FTS5 index from the baseline's rows. */
import { existsSync } from 'node:fs';

import { openBaseline } from '../baselines/sqlite.ts';
import { timeOf } from '../figure.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { CALLER } from './search.ts';

/** Measures records a second. */
export async function measureRebuild({ options, place, note, miss }: BenchRun): Promise<void> {
  const service = await openPlace(place.data);
  const rates: number[] = [];
  try {
    await service.archive.reachIndex();
    for (let run = 0; run < options.runs; run += 1) {
      let records = 0;
      const ms = await timeOf(async () => {
        ({ records } = await service.archive.rebuild(CALLER));
        await service.archive.reachIndex();
      });
      rates.push(records / (ms / 1000));
    }
    const { ok } = await service.archive.compareIndex();
    if (!ok) throw new Error('the rebuilt index is not complete');
  } finally {
    await service.close();
  }
  const baseline = existsSync(place.baselinePath) ? await rebuildBaseline(place.baselinePath) : undefined;
  if (baseline === undefined) miss('rebuild against FTS5: the archive was kept without its baseline');
  note({
    id: 'rebuild.rate',
    what: 'rebuild of the index',
    unit: 'records/s',
    better: 'more',
    value: rates,
    ...(baseline === undefined ? {} : { baseline: { what: 'FTS5 from rows in plaintext', value: baseline } }),
  });
}

async function rebuildBaseline(path: string): Promise<number> {
  const baseline = openBaseline(path);
  try {
    let rows = 0;
    const ms = await timeOf(() => {
      rows = baseline.rebuild();
    });
    return rows / (ms / 1000);
  } finally {
    baseline.close();
  }
}
