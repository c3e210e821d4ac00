import { describe, expect, it } from 'vitest';

import { findBounds, fitPower, forecast, forecastAll } from './capacity.ts';
import type { Measurements } from './capacity.ts';

const measured: Measurements = {
  date: '2026-11-01',
  machine: 'test',
  textsPerSecond: 4000,
  recordsPerText: 2,
  samples: {
    verify: [
      { records: 1e6, value: 40 },
      { records: 1e7, value: 400 },
    ],
    disk: [{ records: 1e6, value: 1e9 }],
  },
};

describe('forecasts', () => {
  it('finds the power that two sizes show and continues it', () => {
    const fit = fitPower([
      { records: 100, value: 10 },
      { records: 10_000, value: 100 },
    ]);
    expect(fit?.exponent).toBeCloseTo(0.5);
    expect(fit === undefined ? 0 : forecast(fit, 1e6).value).toBeCloseTo(1000);
  });

  it('says how much a forecast is worth', () => {
    const two = fitPower(measured.samples.verify ?? []);
    const one = fitPower(measured.samples.disk ?? [], 1);
    if (two === undefined || one === undefined) throw new Error('no fit');
    expect([1.5e7, 2e8, 6e8].map((records) => forecast(two, records).confidence)).toEqual([
      'measured',
      'likely',
      'rough',
    ]);
    expect(forecast(one, 1e8)).toMatchObject({ confidence: 'assumed' });
    expect(forecast(one, 1e8).value).toBeCloseTo(1e11, -6);
    expect(fitPower([])).toBeUndefined();
  });

  it('forecasts only what was measured', () => {
    const lines = forecastAll(measured, { recordsNow: 1e6, recordsPerMonth: 1e6, years: 1 });
    expect(lines.map(({ name }) => name)).toEqual(['verify', 'disk']);
    expect(lines[0]?.ahead).toBeCloseTo(520);
  });

  it('names the month in which a bound is reached', () => {
    const growth = { recordsNow: 0, recordsPerMonth: 6e7, years: 7 };
    const bounds = new Map(findBounds(measured, growth, 1e12).map(({ name, inMonths }) => [name, inMonths]));
    // 28,800 s are 720 M records, which are more than 12 months; 700 GB are 700 M records, at 60 M a month.
    expect([...bounds]).toEqual([
      ['rate', 'never'],
      ['verify', 13],
      ['backup', 'unknown'],
      ['disk', 12],
    ]);
    const busy = findBounds(measured, { ...growth, recordsPerMonth: 1e9 }, undefined);
    expect(busy.find(({ name }) => name === 'rate')?.inMonths).toBe(0);
  });
});
