/** Disk, by part. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import type { BenchRun } from '../run.ts';

/** Measures bytes on disk against the bytes of all envelopes, and the baseline's. */
export async function measureDisk({ place, note, miss }: BenchRun): Promise<void> {
  const { envelopeBytes, baselineBytes: inBaseline } = place.known;
  const baselineBytes = existsSync(place.baselinePath) ? sizeOf(place.baselinePath) / inBaseline : undefined;
  if (baselineBytes === undefined) miss('disk against SQLite: the archive was kept without its baseline');
  const parts = partsOf(place.data);
  for (const [name, bytes] of parts)
    note({
      id: `disk.${name}`,
      what: `disk, ${name}`,
      unit: '× envelopes',
      better: 'less',
      value: bytes / envelopeBytes,
    });
  note({
    id: 'disk.total',
    what: 'disk, index included',
    unit: '× envelopes',
    better: 'less',
    value: [...parts.values()].reduce((sum, bytes) => sum + bytes, 0) / envelopeBytes,
    ...(baselineBytes === undefined ? {} : { baseline: { what: 'plaintext SQLite + FTS5', value: baselineBytes } }),
  });
}

/** Bytes on disk by part. */
export function partsOf(data: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const entry of readdirSync(data, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const part = path.includes('/index/')
      ? 'index'
      : path.includes('/log/')
        ? 'log'
        : path.includes('archive.db')
          ? 'records and keys'
          : 'rest';
    sums.set(part, (sums.get(part) ?? 0) + allocated(path));
  }
  return sums;
}

/** A database with its write-ahead log. */
function sizeOf(path: string): number {
  const names = readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)));
  return names.reduce((sum, name) => sum + allocated(join(dirname(path), name)), 0);
}

/** Allocated blocks, because small files take more than their length. */
function allocated(path: string): number {
  return statSync(path).blocks * 512;
}
