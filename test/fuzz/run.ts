/** Runs the fuzz targets one after the other. */
import { TARGETS } from './targets.ts';

/**
 * Runs all targets, or those whose name begins so.
 * @param options `cases`: for each target, divided by its cost
 * @returns how many targets failed
 */
export async function runTargets(options: {
  readonly cases: number;
  readonly seed: number;
  readonly only?: string;
  readonly print: (line: string) => void;
}): Promise<number> {
  const { cases, seed, only = '', print } = options;
  let faults = 0;
  let total = 0;
  print(`seed ${seed}, ${cases} cases a target`);
  for (const target of TARGETS.filter(({ name }) => name.startsWith(only))) {
    const numRuns = Math.max(1, Math.ceil(cases / (target.cost ?? 1)));
    const begun = performance.now();
    const { accepted, fault, ...ran } = await target.run({ numRuns, seed });
    total += ran.cases;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    print(
      `${target.name}: ${ran.cases} cases, ${accepted} accepted, ${seconds} s${fault === undefined ? '' : ' FAULT'}`,
    );
    if (fault === undefined) continue;
    faults += 1;
    print(fault);
  }
  print(`${total} cases, ${faults} faults`);
  return faults;
}
