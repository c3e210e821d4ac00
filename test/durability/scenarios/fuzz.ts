/** Every parser and decoder with input that was made to break it. No archive, no fault of a machine: what is counted is inputs, and which of them were accepted. */
import { emptyResult } from '../checker.ts';
import type { Scenario } from '../scenario.ts';

export const FUZZ: Scenario = {
  name: 'fuzz',
  proves:
    'Whatever comes in is read as what it is or refused by a typed error; rounds are inputs, divided over the parsers by their cost.',
  needs: [],
  rounds: { short: 20_000, long: 1_000_000 },
  async run(run) {
    const { rounds, seed, only } = run;
    // Some parsers bring threads and directories of their own, which no other scenario should wait for.
    const { runTargets } = await import('../../fuzz/run.ts');
    const { targets, cases, accepted, faults } = await runTargets({
      cases: rounds,
      seed,
      ...(only === undefined ? {} : { only }),
      print: (line) => run.report(line),
    });
    const violations = [...faults];
    if (targets === 0) violations.push(`no parser is called ${only ?? ''}…`);
    else if (accepted === 0) violations.push('nothing was accepted: what is accepted was not checked');
    return {
      ...emptyResult(),
      ...{ sent: cases, acknowledged: accepted, judge: 'what must hold of each', violations },
      faults: { 'parsers given hostile input': targets },
    };
  },
};
