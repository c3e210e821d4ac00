/** Temporary directories and small documents for the tests of this folder. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { IndexDocument } from '../document.ts';

/** A page key; tests have nothing to hide. */
export const TEST_KEY = Buffer.alloc(32, 7);

/** Runs `work` with a directory of its own, which is removed afterwards. */
export function withDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'cartulary-search-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** An ordinary inbound text, with whatever a test wants to be different. */
export function makeDocument(messageNo: number, text: string, differences: Partial<IndexDocument> = {}): IndexDocument {
  return {
    messageNo,
    sentAtMs: Date.UTC(2026, 0, 1) + messageNo * 60_000,
    text,
    channel: 'sms',
    direction: 'inbound',
    source: 'source-1',
    conversation: 'conversation-1',
    from: ['+15551234567', 'Jane Doe'],
    to: ['+18005550199'],
    types: ['customer.message'],
    state: '',
    has: [],
    orders: [],
    ids: [`SM${messageNo}`],
    brand: '',
    ...differences,
  };
}
