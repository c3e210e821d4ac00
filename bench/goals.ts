/** The figures to reach (DESIGN §9), by the figure they are about. A floor must hold; a goal is what is wanted. */

export type Better = 'more' | 'less';

export type Goal = {
  readonly id: string;
  readonly what: string;
  readonly unit: string;
  readonly better: Better;
  readonly floor: number;
  /** A number, or a share of another figure of the same run. */
  readonly goal: number | { readonly of: string; readonly times: number };
};

/** Kinds of queries that are measured; each has the same bounds. */
export const QUERY_KINDS = ['rare word', 'common word', 'phrase', 'field', 'filtered', 'mixed'] as const;

const search: readonly Goal[] = QUERY_KINDS.map((kind) => ({
  id: `search.${kind}.p95`,
  what: `search, ${kind}, p95`,
  unit: 'ms',
  better: 'less',
  floor: 20,
  goal: 5,
}));

const memory: readonly Goal[] = ['capturing', 'searching', 'exporting'].map((doing) => ({
  id: `memory.${doing}`,
  what: `server's memory, peak after ${doing}`,
  unit: 'MB',
  better: 'less',
  floor: 512,
  goal: 256,
}));

export const GOALS: readonly Goal[] = [
  { id: 'capture.ratio', what: 'capture in process', unit: '× baseline', better: 'more', floor: 0.6, goal: 1.2 },
  {
    id: 'searchable.ratio',
    what: 'the same until searchable',
    unit: '× baseline',
    better: 'more',
    floor: 0.5,
    goal: 1,
  },
  {
    id: 'ack.rate',
    what: 'capture over HTTP, one message a request',
    unit: 'messages/s',
    better: 'more',
    floor: 2000,
    goal: { of: 'ack.empty', times: 0.5 },
  },
  {
    id: 'postgres.ratio',
    what: 'capture in process into PostgreSQL',
    unit: '× plain table',
    better: 'more',
    floor: 0.5,
    goal: 0.5,
  },
  { id: 'ack.p99', what: 'acknowledgement at half load, p99', unit: 'ms', better: 'less', floor: 100, goal: 25 },
  ...search,
  { id: 'proof.p95', what: 'inclusion proof, p95', unit: 'ms', better: 'less', floor: 5, goal: 1 },
  {
    id: 'verify.rate',
    what: 'full verify, records opened and hashed',
    unit: 'records/s',
    better: 'more',
    floor: 25_000,
    goal: 50_000,
  },
  ...memory,
  { id: 'disk.total', what: 'disk, index included', unit: '× envelopes', better: 'less', floor: 2.5, goal: 1 },
  { id: 'start.open', what: 'start', unit: 's', better: 'less', floor: 5, goal: 1 },
];

/** How a figure stands to its bounds. */
export type Verdict = 'goal reached' | 'floor held' | 'below floor';

/**
 * Judges a value.
 * @param valueOf the other figures of the run, for goals that are a share of one
 */
export function judge(
  goal: Goal,
  value: number,
  valueOf: (id: string) => number | undefined,
): { readonly verdict: Verdict; readonly goal: number | undefined } {
  const wanted = typeof goal.goal === 'number' ? goal.goal : scale(valueOf(goal.goal.of), goal.goal.times);
  const reaches = (bound: number): boolean => (goal.better === 'more' ? value >= bound : value <= bound);
  const verdict = !reaches(goal.floor)
    ? 'below floor'
    : wanted !== undefined && reaches(wanted)
      ? 'goal reached'
      : 'floor held';
  return { verdict, goal: wanted };
}

function scale(value: number | undefined, times: number): number | undefined {
  return value === undefined ? undefined : value * times;
}
