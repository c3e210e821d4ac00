/** A whole verification, on its one core, against `sha256sum` over the same file of records. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { timeOf } from '../figure.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { CALLER } from './search.ts';

/** Measures records opened, hashed and held against the log a second. */
export async function measureVerify({ options, place, note, miss }: BenchRun): Promise<void> {
  const service = await openPlace(place.data);
  const rates: number[] = [];
  let records = 0;
  try {
    for (let run = 0; run < options.runs; run += 1) {
      const ms = await timeOf(async () => {
        const report = await service.archive.verify(CALLER, {});
        if (!report.ok) throw new Error(`the archive is not sound: ${JSON.stringify(report.faults[0])}`);
        records = report.checked;
      });
      rates.push(records / (ms / 1000));
    }
  } finally {
    await service.close();
  }
  const baseline = await hashFiles(place.data);
  if (baseline === undefined) miss('verify against sha256sum: it is not installed');
  note({
    id: 'verify.rate',
    what: 'full verify, records opened and hashed',
    unit: 'records/s',
    better: 'more',
    value: rates,
    ...(baseline === undefined
      ? {}
      : { baseline: { what: 'sha256sum over the same file', value: records / (baseline / 1000) } }),
  });
}

/** Milliseconds that `sha256sum` takes over the files of records. */
async function hashFiles(data: string): Promise<number | undefined> {
  const names = readdirSync(data, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('archive.db')).map((name) => join(data, name));
  try {
    return await timeOf(() => execFileSync('sha256sum', files));
  } catch {
    return undefined;
  }
}
