import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { describe, expect, test } from 'vitest';

import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import type { IndexChange } from './document.ts';
import { openIndexReader } from './index-reader.ts';
import { openIndexWriter } from './index-writer.ts';
import { makeDocument, TEST_KEY, withDirectory } from './testing/temp.ts';

/** Message `n` is change `n + 1` of the log; three months take turns. */
const change = (messageNo: number): IndexChange => ({
  put: makeDocument(messageNo, `message ${messageNo}`, { sentAtMs: Date.UTC(2026, messageNo % 3, 10) + messageNo }),
});

function listAll(directory: string): number[] {
  const reader = openIndexReader({ directory, key: TEST_KEY });
  try {
    return reader.listMessageNos(0, 900_000);
  } finally {
    reader.close();
  }
}

function durableWatermark(directory: string): number {
  const database = openEncryptedDatabase(join(directory, 'index-state.db'), {
    key: TEST_KEY,
    readonly: true,
    mustExist: true,
  });
  try {
    return Number(database.prepare('SELECT sequence FROM watermark').pluck().get());
  } finally {
    database.close();
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, messageNo) => messageNo);

describe('the watermark', () => {
  test('is never ahead of what is synced: the files as they were at that moment hold every change up to it', () => {
    withDirectory((directory) => {
      const live = join(directory, 'live');
      const writer = openIndexWriter({ directory: live, key: TEST_KEY, durableChanges: 40 });
      let durable = 0;
      let syncedBytes = new Map<string, number>();
      const moments = new Set<number>();
      for (let start = 0; start < 400; start += 7) {
        const changes = upTo(7).map((index) => change(start + index));
        writer.apply(changes, start + 7);
        if (durableWatermark(live) !== durable) {
          durable = durableWatermark(live);
          syncedBytes = new Map(
            readdirSync(live)
              .filter((name) => name.endsWith('-wal'))
              .map((name) => [name, statSync(join(live, name)).size]),
          );
        }
        if (durable === 0) continue;
        moments.add(durable);
        // What a power cut may leave: everything synced, nothing of what came after.
        const cut = join(directory, 'cut');
        cpSync(live, cut, { recursive: true });
        for (const [name, bytes] of syncedBytes)
          if (name !== 'index-state.db-wal') truncateSync(join(cut, name), bytes);
        const after = openIndexWriter({ directory: cut, key: TEST_KEY });
        expect(after.watermark()).toBe(durable);
        expect(listAll(cut).slice(0, durable)).toEqual(upTo(durable));
        // Following the log from there brings the rest, and no message twice.
        after.apply(
          upTo(start + 7 - durable).map((index) => change(durable + index)),
          start + 7,
        );
        after.close();
        expect(listAll(cut)).toEqual(upTo(start + 7));
        rmSync(cut, { recursive: true });
      }
      writer.close();
      expect(moments.size).toBeGreaterThan(5);
    });
  });

  test('is durable after flush and close', () => {
    withDirectory((directory) => {
      const writer = openIndexWriter({ directory, key: TEST_KEY });
      writer.apply([change(0)], 1);
      expect([writer.watermark(), durableWatermark(directory)]).toEqual([1, 0]);
      writer.flush();
      expect(durableWatermark(directory)).toBe(1);
      writer.apply([change(1)], 2);
      writer.apply([], 3);
      writer.close();
      const again = openIndexWriter({ directory, key: TEST_KEY });
      expect(again.watermark()).toBe(3);
      again.close();
    });
  });
});

describe('a process that is killed', () => {
  test('at any moment loses nothing up to the watermark, and nothing is doubled when the log is followed again', async () => {
    for (const linesBeforeKill of [1, 5, 12, 30]) {
      await withKilledWriter(linesBeforeKill, (directory, acknowledged) => {
        const writer = openIndexWriter({ directory, key: TEST_KEY });
        const watermark = writer.watermark();
        expect(watermark).toBeLessThanOrEqual(acknowledged + 100);
        expect(listAll(directory).slice(0, watermark)).toEqual(upTo(watermark));
        const end = acknowledged + 200;
        writer.apply(
          upTo(end - watermark).map((index) => change(watermark + index)),
          end,
        );
        writer.close();
        expect(listAll(directory)).toEqual(upTo(end));
      });
    }
  });

  async function withKilledWriter(
    linesBeforeKill: number,
    check: (directory: string, acknowledged: number) => void,
  ): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), 'cartulary-search-'));
    const script = `
      import { openIndexWriter } from ${JSON.stringify(new URL('index-writer.ts', import.meta.url).href)};
      import { makeDocument, TEST_KEY } from ${JSON.stringify(new URL('testing/temp.ts', import.meta.url).href)};
      const writer = openIndexWriter({ directory: ${JSON.stringify(directory)}, key: TEST_KEY, durableChanges: 250 });
      for (let start = 0; start < 100_000; start += 100) {
        const changes = Array.from({ length: 100 }, (_, index) => {
          const n = start + index;
          return { put: makeDocument(n, 'message ' + n, { sentAtMs: Date.UTC(2026, n % 3, 10) + n }) };
        });
        writer.apply(changes, start + 100);
        process.stdout.write(start + 100 + '\\n');
      }`;
    const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let acknowledged = 0;
    let lines = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (++lines === linesBeforeKill) child.kill('SIGKILL');
    }
    expect(lines).toBeGreaterThanOrEqual(linesBeforeKill);
    try {
      check(directory, acknowledged);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
});
