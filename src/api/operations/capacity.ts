/** How far this archive will carry: its own size, disk and growth, continued with what was measured. */
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { findBounds, forecastAll } from '../../archive/capacity.ts';
import type { Bound, CapacityLine, Measurements } from '../../archive/capacity.ts';
import { MEASURED } from '../../archive/capacity-measured.ts';
import { listTree } from '../../archive/list-tree.ts';
import { defineOperation } from '../operation.ts';

export type CapacityReport = {
  readonly records: number;
  readonly recordsPerMonth: number;
  /** How the growth is known. */
  readonly growthFrom: 'archive' | 'option';
  readonly years: number;
  /** Bytes on disk a record, by part. */
  readonly diskPerRecord: Readonly<Record<string, number>>;
  readonly lines: readonly CapacityLine[];
  readonly bounds: readonly Bound[];
  readonly measured: Pick<Measurements, 'date' | 'machine' | 'recordsPerText'>;
};

/** With fewer records, what an empty archive takes is most of its disk and says nothing of a large one. */
const RECORDS_MIN = 100_000;

const PARTS = [
  ['index', /(^|\/)index\//],
  ['log', /(^|\/)log\//],
  ['media', /(^|\/)blobs\//],
  ['records and keys', /archive\.db/],
] as const;

const capacity = defineOperation(
  'capacity',
  z.strictObject({
    textsAMonth: z.number().int().min(1).max(1e9).optional(),
    years: z.number().int().min(1).max(100).default(7),
  }),
  async ({ textsAMonth, years }, { service }): Promise<CapacityReport> => {
    const records = await service.archive.size();
    const { directory } = service.house.layout;
    const names = await listTree(directory);
    const disk = await measureDisk(directory, names);
    const total = Object.values(disk).reduce((sum, bytes) => sum + bytes, 0);
    // A month of texts is a file of the index; an archive that holds less than one is given a whole one.
    const months = Math.max(1, names.filter((name) => /index-\d{4}-\d{2}\.db$/.test(name)).length);
    const recordsPerMonth = textsAMonth === undefined ? records / months : textsAMonth * MEASURED.recordsPerText;
    const growth = { recordsNow: records, recordsPerMonth, years };
    const measured = {
      ...MEASURED,
      samples: { ...MEASURED.samples, ...(records < RECORDS_MIN ? {} : { disk: [{ records, value: total }] }) },
    };
    const { blocks, bsize } = await statfs(directory);
    return {
      records,
      recordsPerMonth,
      growthFrom: textsAMonth === undefined ? 'archive' : 'option',
      years,
      diskPerRecord: Object.fromEntries(
        Object.entries(disk).map(([part, bytes]) => [part, bytes / Math.max(1, records)]),
      ),
      lines: forecastAll(measured, growth),
      bounds: findBounds(measured, growth, blocks * bsize),
      measured: { date: MEASURED.date, machine: MEASURED.machine, recordsPerText: MEASURED.recordsPerText },
    };
  },
);

/** Allocated bytes by part. A file that goes while it is looked at counts nothing. */
async function measureDisk(directory: string, names: readonly string[]): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const name of names) {
    const found = await stat(join(directory, name)).catch(() => undefined);
    if (found?.isFile() !== true) continue;
    const part = PARTS.find(([, pattern]) => pattern.test(name))?.[0] ?? 'rest';
    sums[part] = (sums[part] ?? 0) + found.blocks * 512;
  }
  return sums;
}

export const CAPACITY_OPERATIONS = [capacity];
