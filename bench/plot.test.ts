import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';

import { toFigure } from './figure.ts';
import { growthPanels, pointsOf } from './growth.ts';
import { plot } from './plot.ts';
import type { RunReport } from './report-file.ts';

function report(messages: number, value: readonly number[], date = '2026-11-01'): RunReport {
  return {
    command: '',
    machine: { date, cpus: 2, cpu: 'cpu', memoryBytes: 1, node: 'v24' },
    load: { before: [], after: [] },
    messages,
    records: messages,
    envelopeBytes: messages,
    mix: 'plain',
    seed: 1,
    figures: [toFigure({ id: 'verify.rate', what: 'verify', unit: 'records/s', better: 'more', value })],
    missing: [],
  };
}

/** Elements by name with their attributes; throws where it is no XML. */
function parse(svg: string): { readonly name: string; readonly attributes: Record<string, string> }[] {
  const elements: { name: string; attributes: Record<string, string> }[] = [];
  const parser = new SaxesParser();
  parser.on('opentag', ({ name, attributes }) =>
    elements.push({ name, attributes: attributes as Record<string, string> }),
  );
  parser.on('error', (cause) => {
    throw cause;
  });
  parser.write(svg).close();
  return elements;
}

describe('plots', () => {
  const reports = [report(1e5, [40_000, 42_000]), report(1e6, [39_000, 41_000]), report(1e7, [30_000, 34_000])];

  it('draws a point for each size, equal steps for equal factors, higher values higher', () => {
    const circles = parse(plot(growthPanels(reports), 'growth')).filter(({ name }) => name === 'circle');
    const xs = circles.map(({ attributes }) => Number(attributes['cx']));
    const ys = circles.map(({ attributes }) => Number(attributes['cy']));
    expect(circles).toHaveLength(3);
    expect((xs[1] ?? 0) - (xs[0] ?? 0)).toBeCloseTo((xs[2] ?? 0) - (xs[1] ?? 0), 0);
    expect(ys[2]).toBeGreaterThan(ys[0] ?? 0);
  });

  it('names axes, floor and goal, and is made for dark ground as well', () => {
    const svg = plot(growthPanels(reports), 'a < b');
    for (const text of ['100 k', '1 M', '10 M', 'floor 25 k', 'goal 50 k', 'full verify, records/s', 'a &lt; b'])
      expect(svg).toContain(text);
    expect(svg).toContain('prefers-color-scheme:dark');
  });

  it('leaves out what was not measured and refuses to draw nothing', () => {
    expect(growthPanels(reports)).toHaveLength(1);
    expect(() => plot([{ title: 'x', unit: 's', series: [] }], 'x')).toThrow(/nothing to draw/);
  });

  it('takes the newest of runs of about one size', () => {
    const points = pointsOf([report(1.02e6, [2], '2026-11-02'), report(1e6, [1]), report(1e5, [3])], 'verify.rate');
    expect(points.map(({ x, y }) => [x, y])).toEqual([
      [1e5, 3],
      [1.02e6, 2],
    ]);
  });
});
