/** Export: messages with the exact bytes of their records and proofs into a bundle, against the baseline's rows as lines of JSON. */
import { createWriteStream, existsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { exportMessages } from '../../src/evidence/export-run.ts';
import { EXPORTERS } from '../../src/evidence/exports/list.ts';
import { openBaseline } from '../baselines/sqlite.ts';
import { timeOf } from '../figure.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { FIRST_MS, YEAR_MS } from '../texts/shop.ts';
import { CALLER } from './search.ts';

const DAY_MS = 86_400_000;

/** Messages that are handed out, about: as many as a dispute or an auditor asks for, however large the archive is. */
const MESSAGES = 20_000;
/** Share of messages that say the word, about. */
const ORDER_SHARE = 0.1;

/** A common word in as many of the newest days as there are enough messages in. */
export function exportQuery(messages: number): string {
  const days = Math.max(1, Math.ceil((365 * MESSAGES) / (messages * ORDER_SHARE)));
  const before = FIRST_MS + YEAR_MS;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  return `order after:${day(before - Math.min(days, 365) * DAY_MS)} before:${day(before)}`;
}

/** Measures messages a second, and bytes a message. */
export async function measureExport({ options, place, scratch, note, miss }: BenchRun): Promise<void> {
  const exporter = EXPORTERS[0];
  if (exporter === undefined) throw new Error('there is no format to export');
  const service = await openPlace(place.data);
  const path = join(scratch, 'export.zip');
  const rates: number[] = [];
  let bytes = 0;
  try {
    await service.archive.reachIndex();
    for (let run = 0; run < options.runs; run += 1) {
      await rm(path, { force: true });
      let messages = 0;
      const ms = await timeOf(async () => {
        const context = { now: Date.now, signal: new AbortController().signal, onProgress: () => {} };
        ({ messages } = await exportMessages(
          service.archive,
          CALLER,
          { exporter, q: exportQuery(place.known.messages), path },
          context,
        ));
      });
      rates.push(messages / (ms / 1000));
      bytes = statSync(path).size / messages;
    }
  } finally {
    await service.close();
    await rm(path, { force: true });
  }
  const baseline = existsSync(place.baselinePath) ? await dumpBaseline(place.baselinePath, scratch) : undefined;
  if (baseline === undefined) miss('export against SQLite: the archive was kept without its baseline');
  note({
    id: 'export.rate',
    what: 'export with records and proofs',
    unit: 'messages/s',
    better: 'more',
    value: rates,
    ...(baseline === undefined ? {} : { baseline: { what: 'rows as lines of JSON, no proofs', value: baseline } }),
  });
  note({ id: 'export.bytes', what: 'export, bundle', unit: 'bytes/message', better: 'less', value: bytes });
}

async function dumpBaseline(path: string, scratch: string): Promise<number> {
  const baseline = openBaseline(path);
  const out = join(scratch, 'baseline.jsonl');
  let rows = 0;
  try {
    const ms = await timeOf(async () => {
      const lines = function* (): Generator<string> {
        for (const line of baseline.dump()) {
          rows += 1;
          yield line;
        }
      };
      await pipeline(Readable.from(lines()), createWriteStream(out, { flush: true }));
    });
    return rows / (ms / 1000);
  } finally {
    baseline.close();
    await rm(out, { force: true });
  }
}
