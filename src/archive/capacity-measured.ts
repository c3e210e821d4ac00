/** What `npm run bench` measured, for forecasts; written by `npm run bench -- capacity FILE… --store`. */
import type { Measurements } from './capacity.ts';

export const MEASURED: Measurements = {
  date: '2026-11-27',
  machine: '2 × AMD EPYC',
  textsPerSecond: 4604,
  recordsPerText: 2.18,
  samples: {
    search: [
      {
        records: 293419,
        value: 11.802657000000181,
      },
      {
        records: 1012404,
        value: 12.215383000002475,
      },
      {
        records: 6857329,
        value: 9.46134499999971,
      },
    ],
    start: [
      {
        records: 293419,
        value: 0.9048813379999993,
      },
      {
        records: 1012404,
        value: 0.8952959485000028,
      },
      {
        records: 6857329,
        value: 0.6574699610000007,
      },
    ],
    verify: [
      {
        records: 293419,
        value: 11.628844324667089,
      },
      {
        records: 1012404,
        value: 37.639518239569874,
      },
    ],
    backup: [
      {
        records: 293419,
        value: 3.816297575000004,
      },
    ],
    restore: [
      {
        records: 293419,
        value: 4.876559727999993,
      },
    ],
    rebuild: [
      {
        records: 293419,
        value: 27.61378265117392,
      },
    ],
    disk: [
      {
        records: 293419,
        value: 443676308.35814005,
      },
      {
        records: 1012404,
        value: 1638731776,
      },
      {
        records: 6857329,
        value: 11202441229.247038,
      },
    ],
  },
};
