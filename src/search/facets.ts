/** Histogram and facets over the newest hits of a query. */
import { CartularyError } from '../model/errors.ts';
import type { CompiledQuery } from './compile.ts';
import type { FacetCount, FacetResult } from './document.ts';
import { COUNT_CEILING, FACET_SCAN_MAX, FACET_VALUES_MAX } from './limits.ts';
import type { MonthReader, MonthRow, Profile } from './month-reader.ts';
import { UNDATED } from './months.ts';
import type { Month } from './months.ts';
import { stepFrom } from './rows.ts';

/** What facets are asked with. */
export type FacetOptions = {
  /** Hits looked at, newest first. Default 100,000. */
  readonly scanMax?: number;
  /** Default: days where the hits looked at span three months or less, otherwise months. */
  readonly bucket?: 'day' | 'month';
  /** Values of each facet, most frequent first. Default 50. */
  readonly valuesMax?: number;
};

type Counts = Map<string, number>;

type Tally = {
  readonly days: Counts;
  readonly channel: Counts;
  readonly direction: Counts;
  readonly party: Counts;
  readonly type: Counts;
  readonly state: Counts;
};

const BLOCK_ROWS = 2_000;
const DAY_BUCKETS_MAX = 93;

/**
 * Walks months from the newest back and counts.
 * @param months newest first
 * @throws CartularyError `bad-input` for bounds
 */
export function countFacets(
  months: readonly Month[],
  findMonth: (month: Month) => MonthReader | undefined,
  query: CompiledQuery,
  options: FacetOptions,
): FacetResult {
  const { scanMax = FACET_SCAN_MAX, valuesMax = FACET_VALUES_MAX } = options;
  if (!(scanMax >= 1 && scanMax <= COUNT_CEILING && valuesMax >= 1 && valuesMax <= 1000)) {
    throw new CartularyError('bad-input', `facets look at 1 to ${COUNT_CEILING} messages and give 1 to 1000 values`);
  }
  const tally: Tally = {
    days: new Map(),
    channel: new Map(),
    direction: new Map(),
    party: new Map(),
    type: new Map(),
    state: new Map(),
  };
  let counted = 0;
  let capped = false;
  for (const month of months) {
    const reader = findMonth(month);
    if (reader === undefined) continue;
    reader.read(() => {
      const profiles = new Map(reader.profiles().map((profile) => [profile.id, profile]));
      const { set, bounds } = reader.rows(query, 'newest');
      let row = set.seek(bounds.high);
      while (row !== undefined && counted < scanMax) {
        const ids: number[] = [];
        for (; row !== undefined && ids.length < BLOCK_ROWS && counted < scanMax; counted++) {
          ids.push(row);
          row = row === 0 ? undefined : set.seek(stepFrom(row, 'newest'));
        }
        for (const message of reader.messages(ids)) count(tally, month, message, profiles.get(message.profile));
      }
      capped ||= row !== undefined;
    });
    if (capped) break;
  }
  const facet = (counts: Counts) => topValues(counts, valuesMax);
  const more = (counts: Counts) => Math.max(0, counts.size - valuesMax);
  const { channel, direction, party, type, state } = tally;
  return {
    histogram: makeHistogram(tally.days, options.bucket),
    facets: {
      channel: facet(channel),
      direction: facet(direction),
      party: facet(party),
      type: facet(type),
      state: facet(state),
    },
    moreValues: {
      channel: more(channel),
      direction: more(direction),
      party: more(party),
      type: more(type),
      state: more(state),
    },
    counted,
    capped,
  };
}

function add(counts: Counts, value: string, times = 1): void {
  counts.set(value, (counts.get(value) ?? 0) + times);
}

function count(tally: Tally, month: Month, message: MonthRow, profile: Profile | undefined): void {
  if (profile === undefined) throw new CartularyError('index-damaged', 'a row of the search index names no profile');
  add(tally.days, month === UNDATED ? UNDATED : new Date(message.sentAtMs).toISOString().slice(0, 10));
  add(tally.channel, profile.channel);
  add(tally.direction, profile.direction);
  if (profile.state !== '') add(tally.state, profile.state);
  for (const type of profile.types === '' ? [] : profile.types.split('\n')) add(tally.type, type);
  if (message.party !== null)
    add(tally.party, typeof message.party === 'number' ? `+${message.party}` : message.party.slice(1));
}

function topValues(counts: Counts, valuesMax: number): FacetCount[] {
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, valuesMax);
}

function makeHistogram(days: Counts, wanted: 'day' | 'month' | undefined): FacetResult['histogram'] {
  const dated = [...days.keys()].filter((day) => day !== UNDATED).sort();
  const spanMs = Date.parse(dated.at(-1) ?? '1970-01-01') - Date.parse(dated[0] ?? '1970-01-01');
  const bucket = wanted ?? (spanMs <= DAY_BUCKETS_MAX * 86_400_000 ? 'day' : 'month');
  const buckets: Counts = new Map();
  for (const [day, count] of days) add(buckets, day === UNDATED || bucket === 'day' ? day : day.slice(0, 7), count);
  const order = (name: string) => (name === UNDATED ? '' : name);
  return [...buckets]
    .map(([name, count]) => ({ bucket: name, count }))
    .sort((a, b) => (order(a.bucket) < order(b.bucket) ? -1 : 1));
}
