/** What the machine can do at most: durable writes, cipher, hash. What is measured is held against it. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { timeOf } from '../figure.ts';
import type { BenchRun } from '../run.ts';

const PAGE = 4096;
const SYNCS = 200;
/** Bytes of one record, about: what cipher and hash are given at once. */
const RECORD_BYTES = 1024;

/** Measures fdatasync here, and what `openssl speed` says of one core. */
export async function measureLimits({ options, scratch, note, miss }: BenchRun): Promise<void> {
  const rates: number[] = [];
  for (let run = 0; run < options.runs; run += 1) rates.push(await syncRate(join(scratch, 'sync')));
  note({ id: 'limits.sync', what: '4 KiB written and fdatasync', unit: 'writes/s', better: 'more', value: rates });
  for (const [id, name, args] of [
    ['aes', 'AES-256-GCM', ['-evp', 'aes-256-gcm']],
    ['sha', 'SHA-256', ['-evp', 'sha256']],
  ] as const) {
    const bytes = opensslSpeed(args);
    if (bytes === undefined) {
      miss(`openssl speed ${name}: not installed`);
      continue;
    }
    const what = `openssl speed, ${name}, 1 KiB, one core`;
    note({ id: `limits.${id}`, what, unit: 'MB/s', better: 'more', value: bytes / 1e6 });
  }
}

/** Appended pages that are durable, a second. */
async function syncRate(path: string): Promise<number> {
  const file = openSync(path, 'w');
  const page = Buffer.alloc(PAGE, 1);
  try {
    const ms = await timeOf(() => {
      for (let write = 0; write < SYNCS; write += 1) {
        writeSync(file, page);
        fdatasyncSync(file);
      }
    });
    return SYNCS / (ms / 1000);
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
}

/** Bytes a second. The last column of the machine-readable line is the rate at the size asked for. */
function opensslSpeed(args: readonly string[]): number | undefined {
  try {
    const output = execFileSync('openssl', ['speed', '-mr', '-seconds', '1', '-bytes', String(RECORD_BYTES), ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const line = output.split('\n').find((text) => text.startsWith('+F:'));
    const rate = Number(line?.split(':').at(-1));
    return Number.isFinite(rate) ? rate : undefined;
  } catch {
    return undefined;
  }
}
