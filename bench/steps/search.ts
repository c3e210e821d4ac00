/** Search: newest 50 of each query, counted to 1,000, the audit record durable before the answer; in turns with FTS5 in plaintext, which keeps no record of who asked. */
import { existsSync } from 'node:fs';

import type { Service } from '../../src/api/service.ts';
import type { Archive } from '../../src/archive/archive.ts';
import type { Caller } from '../../src/archive/caller.ts';
import { openBaseline } from '../baselines/sqlite.ts';
import type { SqliteBaseline } from '../baselines/sqlite.ts';
import { median, percentile, timeOf } from '../figure.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';

export const CALLER: Caller = { kind: 'local', user: 'bench' };

/** A query of ours and, where it has one, the same of the baseline: in FTS5's language, or by sender. */
type Query = { readonly q: string; readonly plain?: string; readonly sender?: string };
type QueryKind = { readonly name: string; readonly queries: readonly Query[] };

const same = (...texts: string[]): Query[] => texts.map((q) => ({ q, plain: q }));

export const KINDS: readonly QueryKind[] = [
  { name: 'rare word', queries: same('needle17', 'needle5017', 'needle10017', 'needle15017') },
  { name: 'common word', queries: same('the', 'order', 'delivery', 'your') },
  {
    name: 'two common words',
    queries: ['the order', 'your refund', 'delivery please'].map((q) => ({ q, plain: q.replace(' ', ' AND ') })),
  },
  { name: 'phrase', queries: same('"the order"', '"my order"', '"in the"') },
  {
    name: 'field',
    queries: [
      { q: 'from:+15551000123', sender: '+15551000123' },
      { q: 'from:5551000321', sender: '+15551000321' },
      { q: 'order:#10003', plain: '10003' },
    ],
  },
  {
    name: 'filtered',
    queries: [
      { q: 'the direction:inbound channel:sms', plain: 'the' },
      { q: 'refund channel:sms after:2020-01-01', plain: 'refund' },
    ],
  },
  {
    name: 'mixed',
    queries: [
      { q: '(refund OR return) -package direction:inbound', plain: '(refund OR return) NOT package' },
      { q: '"my order" OR needle17', plain: '"my order" OR needle17' },
      { q: 'deliver* the channel:sms', plain: 'deliver* AND the' },
    ],
  },
  {
    // Reported without a bound (DESIGN §9): whoever answers must look at all of both words.
    name: 'frequent words that seldom meet',
    queries: [
      { q: '"your order"', plain: '"your order"' },
      { q: 'ship* the channel:sms', plain: 'ship* AND the' },
    ],
  },
];

/** Searches of a kind in one run. */
const ROUNDS = 100;

/** Measures every kind. */
export async function measureSearch({ options, place, note, miss }: BenchRun): Promise<void> {
  const baseline = existsSync(place.baselinePath) ? openBaseline(place.baselinePath) : undefined;
  if (baseline === undefined) miss('search against FTS5: the archive was kept without its baseline');
  const service = await openPlace(place.data);
  try {
    await settleIndex(service);
    baseline?.optimise();
    for (const kind of KINDS) {
      const ours: number[][] = [];
      const plain: number[][] = [];
      for (let run = 0; run <= options.runs; run += 1) {
        const times = await searchOften(service.archive, kind);
        const plainTimes = baseline === undefined ? [] : await searchBaseline(baseline, kind);
        // The first is the warm-up.
        if (run > 0) ours.push(times);
        if (run > 0) plain.push(plainTimes);
      }
      for (const [at, share] of [
        ['p50', 0.5],
        ['p95', 0.95],
      ] as const) {
        const value = plain.map((times) => percentile(times, share));
        note({
          id: `search.${kind.name}.${at}`,
          what: `search, ${kind.name}, ${at}`,
          unit: 'ms',
          better: 'less',
          value: ours.map((times) => percentile(times, share)),
          ...(baseline === undefined ? {} : { baseline: { what: 'plaintext SQLite + FTS5', value: median(value) } }),
        });
      }
    }
  } finally {
    await service.close();
    baseline?.close();
  }
}

/** Has the index follow to the end of the log, and does what the product does within the hour where a month is left alone. */
export async function settleIndex({ archive }: Service): Promise<void> {
  await archive.reachIndex();
  while ((await archive.threads.follow.call('optimise', { quietMs: 0 })) !== undefined);
}

/** Searches as often as a kind is searched in one run. @returns milliseconds of each */
export async function searchOften(archive: Archive, { queries }: QueryKind): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { q } = queries[round % queries.length] as Query;
    times.push(await timeOf(() => archive.search(CALLER, { q, limit: 50 })));
  }
  return times;
}

async function searchBaseline(baseline: SqliteBaseline, { queries }: QueryKind): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { plain, sender } = queries[round % queries.length] as Query;
    times.push(
      await timeOf(() =>
        sender === undefined ? plain !== undefined && baseline.search(plain) : baseline.searchSender(sender),
      ),
    );
  }
  return times;
}
