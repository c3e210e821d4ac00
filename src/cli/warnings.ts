import { describeMissing } from '../api/readiness.ts';
import type { Missing } from '../api/readiness.ts';
import { paint, say } from './output.ts';

/** Says what an archive lacks before messages of real people come in; nothing where it lacks nothing. */
export function warnOfMissing(missing: readonly Missing[]): void {
  if (missing.length === 0) return;
  say(paint('yellow', describeMissing(missing)));
  for (const { todo } of missing) say(`  - ${todo}`);
}
