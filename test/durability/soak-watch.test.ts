import { describe, expect, it } from 'vitest';

import { compareThirds } from './soak-watch.ts';
import type { Sample } from './soak-watch.ts';
import { plotOverTime } from './time-plot.ts';

const FLAT: Sample = {
  ...{ second: 0, rssMb: 300, files: 60, threads: 20, walMb: 8, diskMb: 1, diskFiles: 10 },
  ...{ searchP50Ms: 5, searchP99Ms: 20, ackP50Ms: 10, ackP99Ms: 40, perSecond: 1000 },
};

/** A soak of sixty samples; `grow` changes what the first one was to what it is at a share of the time. */
function soak(grow: (share: number) => Partial<Sample>): string[] {
  const samples = Array.from({ length: 60 }, (_none, at) => ({ ...FLAT, second: at * 10, ...grow(at / 59) }));
  return compareThirds(samples).flatMap(({ figure, flat }) => (flat ? [] : [figure]));
}

describe('a soak', () => {
  it('is flat where nothing grows, and where what grew is full after the first minute', () => {
    expect(soak(() => ({}))).toEqual([]);
    expect(soak((share) => ({ rssMb: share < 0.1 ? 100 : 300 }))).toEqual([]);
    // A rebuild is under way for most of the last third.
    expect(soak((share) => ({ files: share > 0.7 && share < 0.98 ? 68 : 60 }))).toEqual([]);
  });

  it('is not where memory or files leak, or answers become slow', () => {
    expect(soak((share) => ({ rssMb: 300 + 60 * share }))).toEqual(['rssMb']);
    expect(soak((share) => ({ files: 60 + Math.floor(20 * share) }))).toEqual(['files']);
    expect(soak((share) => ({ ackP50Ms: 10 + 40 * share, walMb: 8 + 200 * share }))).toEqual(['walMb', 'ackP50Ms']);
  });

  it('is drawn, a line a panel', () => {
    const svg = plotOverTime([0, 10, 20], [{ title: 'memory', values: [1, 2, 2] }]);
    expect(svg).toContain('memory');
    expect(svg.match(/<path class="l"/g)).toHaveLength(1);
    expect(svg).not.toContain('NaN');
  });
});
