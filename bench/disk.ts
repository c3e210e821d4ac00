/** Disk. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes on disk by part. */
export function measureDisk(data: string): { total: number; parts: [string, number][] } {
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
    // Allocated blocks, because small files take more than their length.
    sums.set(part, (sums.get(part) ?? 0) + statSync(path).blocks * 512);
  }
  const parts = [...sums];
  return { total: parts.reduce((sum, [, bytes]) => sum + bytes, 0), parts };
}
