import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import type { IndexDocument } from './document.ts';
import { openIndexReader } from './index-reader.ts';
import { openIndexWriter } from './index-writer.ts';
import { parseQuery } from './query.ts';
import { makeDocument, TEST_KEY, withDirectory } from './testing/temp.ts';

const FILE = 'index-2026-01.db';
const NOW_MS = Date.UTC(2026, 0, 15);
const PHONE = 4_915_198_765_432;

/** Inner pieces: FTS5 stores a term without what it shares with the term before. */
const TRACES = ['bracana', 'lephantm', '345678915194', 'ndoraq'];

const secret = (messageNo: number): IndexDocument =>
  makeDocument(messageNo, 'zebracanary elephantmark', { from: [`+${PHONE}`, 'Pandoraquell'], ids: ['SMsecret'] });
const ordinary = (messageNo: number): IndexDocument =>
  makeDocument(messageNo, `order ${messageNo} shipped to number ${messageNo * 7}`);

/** All pages of a file, free ones included, in clear. */
function decryptPages(directory: string): Buffer {
  const database = openEncryptedDatabase(join(directory, FILE), {
    key: TEST_KEY,
    mustExist: true,
    synchronous: 'NORMAL',
  });
  try {
    const pages = database.serialize();
    expect(pages.subarray(0, 15).toString('latin1')).toBe('SQLite format 3');
    return pages;
  } finally {
    database.close();
  }
}

function countTraces(directory: string): number {
  const pages = decryptPages(directory);
  const party = Buffer.alloc(6);
  party.writeUIntBE(PHONE, 0, 6);
  return [...TRACES, party].filter((trace) => pages.includes(trace)).length;
}

function termsOf(directory: string): string[] {
  const database = openEncryptedDatabase(join(directory, FILE), {
    key: TEST_KEY,
    mustExist: true,
    synchronous: 'NORMAL',
  });
  database.exec("CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'ft', 'row')");
  const terms = database.prepare<[], string>('SELECT term FROM temp.terms').pluck().all();
  database.close();
  return terms;
}

describe('after an erasure', () => {
  // One segment with the message in it, many segments, and a file merged before: FTS5 forgets differently in each.
  test.each(['one batch', 'many batches', 'merged before'])(
    'nothing of the message is in any page or in the log: %s',
    (history) => {
      withDirectory((directory) => {
        const writer = openIndexWriter({ directory, key: TEST_KEY });
        const documents = Array.from({ length: 600 }, (_, messageNo) =>
          messageNo === 300 ? secret(messageNo) : ordinary(messageNo),
        );
        const step = history === 'one batch' ? 600 : 50;
        for (let start = 0; start < 600; start += step) {
          writer.apply(
            documents.slice(start, start + step).map((put) => ({ put })),
            start + step,
          );
        }
        if (history === 'merged before') expect(writer.optimise(Date.UTC(2026, 1, 1))).toBe('2026-01');
        expect(countTraces(directory)).toBe(TRACES.length + 1);

        writer.apply([{ remove: { messageNo: 300, sentAtMs: secret(300).sentAtMs } }], 601);
        expect(writer.monthsWithTraces()).toEqual(['2026-01']);
        expect(countTraces(directory)).toBeGreaterThan(0);

        writer.eraseMonth('2026-01');
        expect(countTraces(directory)).toBe(0);
        expect(termsOf(directory).filter((term) => /zebra|elephant|pandora|³?2345678915/.test(term))).toEqual([]);
        expect(statSync(join(directory, `${FILE}-wal`)).size).toBe(0);
        expect(writer.monthsWithTraces()).toEqual([]);

        const reader = openIndexReader({ directory, key: TEST_KEY });
        expect(
          reader.search(parseQuery('zebracanary OR from:pandoraquell', { nowMs: NOW_MS }), { limit: 1 }).total,
        ).toBe(0);
        expect(reader.search(parseQuery('shipped', { nowMs: NOW_MS }), { limit: 1 }).total).toBe(599);
        reader.close();
        writer.close();
      });
    },
  );

  test('the same holds for a text that was replaced, and for a month that was rebuilt', () => {
    withDirectory((directory) => {
      const writer = openIndexWriter({ directory, key: TEST_KEY });
      writer.apply([{ put: secret(1) }, { put: ordinary(2) }], 2);
      writer.apply([{ put: ordinary(1) }], 3);
      expect(countTraces(directory)).toBeGreaterThan(0);
      writer.eraseMonth('2026-01');
      expect(countTraces(directory)).toBe(0);
      writer.apply([{ put: secret(3) }], 4);
      writer.rebuildMonth('2026-01', [ordinary(1)]);
      expect(countTraces(directory)).toBe(0);
      expect(writer.monthsWithTraces()).toEqual([]);
      writer.close();
    });
  });

  test('it works while a reader has the month open, and a month without a file has nothing to erase', () => {
    withDirectory((directory) => {
      const writer = openIndexWriter({ directory, key: TEST_KEY });
      writer.apply([{ put: secret(1) }, { put: ordinary(2) }], 2);
      const reader = openIndexReader({ directory, key: TEST_KEY });
      const query = parseQuery('', { nowMs: NOW_MS });
      expect(reader.search(query, { limit: 10 }).total).toBe(2);
      writer.apply([{ remove: { messageNo: 1, sentAtMs: secret(1).sentAtMs } }], 3);
      writer.eraseMonth('2026-01');
      writer.eraseMonth('1999-01');
      expect(reader.search(query, { limit: 10 }).hits.map((hit) => hit.messageNo)).toEqual([2]);
      expect(countTraces(directory)).toBe(0);
      reader.close();
      writer.close();
    });
  });
});

test('a copy of a month holds all of it, and nothing of what was removed', () => {
  withDirectory((directory) => {
    const writer = openIndexWriter({ directory, key: TEST_KEY });
    writer.apply([{ put: secret(1) }, { put: ordinary(2) }], 2);
    writer.apply([{ put: ordinary(3) }, { remove: { messageNo: 1, sentAtMs: secret(1).sentAtMs } }], 5);
    expect(writer.pastMonths(NOW_MS)).toEqual([]);
    expect(writer.pastMonths(Date.UTC(2026, 1, 1))).toEqual([
      { month: '2026-01', messages: 2, changedAt: 5, erasedAt: 0 },
    ]);
    expect(countTraces(directory)).toBeGreaterThan(0);
    withDirectory((other) => {
      expect(writer.copyMonth('2026-01', join(other, FILE))).toBe(true);
      expect(writer.copyMonth('1999-01', join(other, 'none'))).toBe(false);
      // What comes later is not in it.
      writer.apply([{ put: ordinary(4) }], 6);
      const reader = openIndexReader({ directory: other, key: TEST_KEY });
      expect(reader.isSound('2026-01')).toBe(true);
      const places = [2, 3].map((messageNo) => ({ messageNo, sentAtMs: ordinary(messageNo).sentAtMs }));
      expect(reader.listPlaces(0, 10)).toEqual(places);
      expect(reader.listPlaces(3, 10)).toEqual(places.slice(1));
      reader.close();
      expect(countTraces(other)).toBe(0);
    });
    writer.apply([{ remove: { messageNo: 4, sentAtMs: ordinary(4).sentAtMs } }], 7);
    writer.eraseMonth('2026-01');
    expect(writer.pastMonths(Date.UTC(2026, 1, 1))).toMatchObject([{ messages: 2, changedAt: 7, erasedAt: 7 }]);
    writer.close();
  });
});

test('no file of the index holds a word in clear', () => {
  withDirectory((directory) => {
    const writer = openIndexWriter({ directory, key: TEST_KEY });
    writer.apply([{ put: secret(1) }], 1);
    writer.flush();
    for (const name of [FILE, `${FILE}-wal`, `${FILE}-shm`, 'index-state.db', 'index-state.db-wal']) {
      const bytes = readFileSync(join(directory, name));
      for (const trace of [...TRACES, 'SQLite format 3', 'CREATE '])
        expect(bytes.includes(trace), `${name}: ${trace}`).toBe(false);
    }
    writer.close();
  });
});
