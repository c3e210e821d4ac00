/** Capture in process: guarded, read, sealed, logged, durable; and until it can be found; in turns with the baseline. */
import type { Service } from '../../src/api/service.ts';
import type { Source } from '../../src/archive/registry.ts';
import { takeEnvelope } from '../../src/capture/receive.ts';
import { getConnector } from '../../src/capture/source-view.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { openBaseline } from '../baselines/sqlite.ts';
import type { Arrival, SqliteBaseline } from '../baselines/sqlite.ts';
import type { Measured } from '../figure.ts';
import { envelopeBytes, makeEnvelope, makePlace, savePlace } from '../place.ts';
import type { Place } from '../place.ts';
import type { BenchOptions } from '../run.ts';
import { openShop } from '../texts/shop.ts';
import type { Told } from '../texts/shop.ts';

/** Envelopes under way at once: what a busy server has when a commit holds a thousand, as one of the baseline's does. */
const UNDER_WAY = 2048;
/** Messages a round at most; the baseline and the archive take turns, so that what else the machine does meets both, and no more than a round is in memory. */
const ROUND_MAX = 50_000;
/** Messages before the first round, for both: a server that is measured has been running for a while. */
const WARM_UP = 10_000;

export type Round = {
  readonly told: number;
  readonly baselineSeconds: number;
  readonly seconds: number;
  readonly searchableSeconds: number;
};

export type Captured = { readonly place: Place; readonly figures: readonly Measured[] };

/** Makes an archive with as many messages as are wanted, and the baseline with the same, in turns. */
export async function capture(directory: string, options: BenchOptions): Promise<Captured> {
  const { messages, seed, mix, runs } = options;
  const { place, service, source } = await makePlace(directory, { seed, mix });
  const baseline = options.alone ? undefined : openBaseline(place.baselinePath);
  const warmUp = Math.min(WARM_UP, messages);
  const shop = openShop(seed, messages + warmUp, mix);
  const size = Math.min(ROUND_MAX, Math.ceil(messages / Math.max(1, runs)));
  const rounds: Round[] = [];
  try {
    await takeRound({ service, source, baseline, place }, tellSome(shop.next, warmUp));
    let left = messages;
    while (left > 0) {
      const told = tellSome(shop.next, Math.min(size, left));
      left -= size;
      // What is still to come of the last texts belongs to the last round.
      if (left <= 0) told.push(...shop.rest());
      rounds.push(await takeRound({ service, source, baseline, place }, told));
    }
  } finally {
    baseline?.close();
    await service.close();
  }
  savePlace(place);
  return { place, figures: figuresOf(rounds, options.alone) };
}

/** What is told about the next texts, with what is told of earlier ones in between. */
function tellSome(next: () => Told, texts: number): Told[] {
  const told: Told[] = [];
  for (let made = 0; made < texts;) {
    const one = next();
    if (one.isNew) made += 1;
    told.push(one);
  }
  return told;
}

export async function takeRound(
  bench: {
    readonly service: Service;
    readonly source: Source;
    readonly baseline: SqliteBaseline | undefined;
    readonly place: Place;
  },
  told: readonly Told[],
): Promise<Round> {
  const { service, source, baseline, place } = bench;
  const arrivals = told.map((one): Arrival => ({ told: one, envelope: makeEnvelope(source.id, one) }));
  const baselineSeconds = baseline?.store(arrivals) ?? 0;
  const envelopes = arrivals.map(({ envelope }) => envelope);
  const taken = await takeAll(service, source, envelopes);
  place.known.messages += told.filter(({ isNew }) => isNew).length;
  const bytes = envelopes.reduce((sum, envelope) => sum + envelopeBytes(envelope), 0);
  place.known.envelopeBytes += bytes;
  if (baseline !== undefined) place.known.baselineBytes += bytes;
  return { told: told.length, baselineSeconds, ...taken };
}

/** Takes all envelopes in; answers how long it took until all was durable, and until all could be found. */
export async function takeAll(
  service: Service,
  source: Source,
  envelopes: readonly Envelope[],
): Promise<{ seconds: number; searchableSeconds: number }> {
  const connector = getConnector(source);
  const verdict = { scheme: 'twilio', result: 'valid' as const, key: 0 };
  let next = 0;
  const startedAt = performance.now();
  const worker = async (): Promise<void> => {
    for (let envelope = envelopes[next++]; envelope !== undefined; envelope = envelopes[next++]) {
      const { stored, quarantined } = await takeEnvelope(service, source, connector, envelope, verdict);
      if (stored === 0 || quarantined) throw new Error('an envelope of the benchmark was not kept as what it is');
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  await service.archive.reachIndex();
  return { seconds, searchableSeconds: (performance.now() - startedAt) / 1000 };
}

/** The value is that of all rounds together, since what an index puts off is paid in some of them only; the spread is that of the rounds. */
export function figuresOf(rounds: readonly Round[], alone: boolean): Measured[] {
  const unit = 'envelopes/s';
  const total = (of: (round: Round) => number): number => rounds.reduce((sum, round) => sum + of(round), 0);
  const rate = (seconds: (round: Round) => number) => ({
    value: total(({ told }) => told) / total(seconds),
    runs: rounds.map((round) => round.told / seconds(round)),
  });
  const ratio = (seconds: (round: Round) => number) => ({
    value: total(({ baselineSeconds }) => baselineSeconds) / total(seconds),
    runs: rounds.map((round) => round.baselineSeconds / seconds(round)),
  });
  if (alone)
    return [
      { id: 'capture.rate', what: 'capture in process', unit, better: 'more', ...rate(({ seconds }) => seconds) },
      {
        id: 'searchable.rate',
        what: 'the same until searchable',
        unit,
        better: 'more',
        ...rate(({ searchableSeconds }) => searchableSeconds),
      },
    ];
  const base = rate(({ baselineSeconds }) => baselineSeconds);
  const baseline = { what: 'plaintext SQLite + FTS5', value: base.value };
  const kept = rate(({ seconds }) => seconds);
  const found = rate(({ searchableSeconds }) => searchableSeconds);
  return [
    { id: 'capture.baseline', what: 'plaintext SQLite + FTS5', unit, better: 'more', ...base },
    { id: 'capture.rate', what: 'capture in process', unit, better: 'more', ...kept, baseline },
    {
      id: 'capture.ratio',
      what: 'capture in process',
      unit: '× baseline',
      better: 'more',
      ...ratio(({ seconds }) => seconds),
    },
    { id: 'searchable.rate', what: 'the same until searchable', unit, better: 'more', ...found, baseline },
    {
      id: 'searchable.ratio',
      what: 'the same until searchable',
      unit: '× baseline',
      better: 'more',
      ...ratio(({ searchableSeconds }) => searchableSeconds),
    },
  ];
}
