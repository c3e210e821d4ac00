import { describe, expect, it } from 'vitest';

import { addLatency, createLatencies, quantile } from './latencies.ts';

describe('counted latencies', () => {
  it('tell quantiles to 2 %, and never more than the most there was', () => {
    const latencies = createLatencies();
    for (let ms = 1; ms <= 10_000; ms += 1) addLatency(latencies, ms);
    for (const share of [0.01, 0.5, 0.99]) {
      const told = quantile(latencies, share);
      expect(Math.abs(told - 10_000 * share) / (10_000 * share)).toBeLessThan(0.025);
    }
    expect(quantile(latencies, 1)).toBe(10_000);
    expect([quantile(createLatencies(), 0.99), latencies.count]).toEqual([0, 10_000]);
  });
});
