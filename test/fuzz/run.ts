/** Runs the fuzz targets one after the other. */
import { TARGETS } from './targets.ts';

/** What all targets together did; `faults` says of each what leads to it again. */
export type FuzzResult = {
  readonly targets: number;
  readonly cases: number;
  readonly accepted: number;
  readonly faults: readonly string[];
};

/**
 * Runs all targets, or those whose name begins so.
 * @param options `cases`: of all targets together, divided by their cost: a target twice as slow is given half as many
 */
export async function runTargets(options: {
  readonly cases: number;
  readonly seed: number;
  readonly only?: string;
  readonly print: (line: string) => void;
}): Promise<FuzzResult> {
  const { cases, seed, only = '', print } = options;
  const targets = TARGETS.filter(({ name }) => name.startsWith(only));
  const shares = targets.reduce((sum, { cost = 1 }) => sum + 1 / cost, 0);
  const faults: string[] = [];
  const total = { cases: 0, accepted: 0 };
  for (const { name, cost = 1, run } of targets) {
    const begun = performance.now();
    const { accepted, fault, ...ran } = await run({ numRuns: Math.max(1, Math.ceil(cases / shares / cost)), seed });
    total.cases += ran.cases;
    total.accepted += accepted;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    print(`${name}: ${ran.cases} cases, ${accepted} accepted, ${seconds} s${fault === undefined ? '' : ' FAULT'}`);
    if (fault !== undefined) faults.push(`${name}: ${fault}`);
  }
  return { targets: targets.length, ...total, faults };
}
