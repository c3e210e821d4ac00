/** What `npm run bench` measured, for forecasts; written by `npm run bench -- capacity FILE… --store`. */
import type { Measurements } from './capacity.ts';

export const MEASURED: Measurements = {
  date: '2026-11-27',
  machine: '2 × AMD EPYC',
  textsPerSecond: 4411,
  recordsPerText: 2.18,
  samples: {
    search: [{ records: 290204, value: 18.15 }],
    start: [{ records: 290204, value: 0.87 }],
    verify: [{ records: 290204, value: 10.3 }],
  },
};
