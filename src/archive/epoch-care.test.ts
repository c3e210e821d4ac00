import { expect, it } from 'vitest';

import { stepAfter } from './epoch-care.ts';

const DAY_MS = 86_400_000;

it.each([
  ['none, where the records are in a file', [], 3, undefined],
  ['a young one', [0], 3, undefined],
  ['one that is a week old', [0], 7, 'begin'],
  ['one that has just followed another, whose key a replica may still need', [0, 7], 7.5, undefined],
  ['the same a day later', [0, 7], 8, 'end'],
  ['one that was begun by a clock that was years ahead', [0, 4000], 8, 'begin'],
] as const)('what is due for %s', (_what, starts, atDay, step) => {
  const startsMs = starts.map((day) => day * DAY_MS);
  expect(stepAfter(startsMs, atDay * DAY_MS)).toBe(step);
});
