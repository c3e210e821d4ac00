import { describe, expect, it } from 'vitest';

import { toFigure } from './figure.ts';
import { compareRatios, nameOfRun, ratiosOf } from './ratios.ts';

describe('the guard against getting slower', () => {
  const stored = { rate: { ratio: 1, better: 'more' }, time: { ratio: 10, better: 'less' } } as const;

  it('lets a fifth pass and names what is worse than that, in the direction that is bad', () => {
    expect(
      compareRatios(stored, { rate: { ratio: 0.81, better: 'more' }, time: { ratio: 11.9, better: 'less' } }),
    ).toEqual({
      compared: 2,
      worse: [],
    });
    expect(
      compareRatios(stored, { rate: { ratio: 0.79, better: 'more' }, time: { ratio: 12.1, better: 'less' } }),
    ).toEqual({
      compared: 2,
      worse: [
        { id: 'rate', stored: 1, measured: 0.79 },
        { id: 'time', stored: 10, measured: 12.1 },
      ],
    });
    expect(
      compareRatios(stored, { rate: { ratio: 5, better: 'more' }, time: { ratio: 1, better: 'less' } }).worse,
    ).toEqual([]);
  });

  it('does not count what was not measured, and does not let nonsense pass', () => {
    expect(compareRatios(stored, {})).toEqual({ compared: 0, worse: [] });
    expect(compareRatios(stored, { rate: { ratio: Number.NaN, better: 'more' } }).worse).toHaveLength(1);
  });

  it('takes the ratio of a figure to its baseline, or a figure that is one', () => {
    const figures = [
      toFigure({ id: 'a', what: 'a', unit: 'ms', better: 'less', value: [3, 1, 2], baseline: { what: 'b', value: 4 } }),
      toFigure({ id: 'c', what: 'c', unit: '× baseline', better: 'more', value: 0.7 }),
      toFigure({ id: 'd', what: 'd', unit: 'ms', better: 'less', value: 7 }),
    ];
    expect(ratiosOf(figures)).toEqual({ a: { ratio: 0.5, better: 'less' }, c: { ratio: 0.7, better: 'more' } });
  });

  it('stores runs of about the same size under one name', () => {
    expect(nameOfRun({ mix: 'plain', messages: 210_000 })).toBe('plain 200000');
    expect(nameOfRun({ mix: 'shop', messages: 10_110_000 })).toBe('shop 10000000');
  });
});
