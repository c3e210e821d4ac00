/** Random sequences of capture, edit, delete, search, export, rotation, restart, backup and restore, held against a simple list of messages. */
import { emptyResult } from '../checker.ts';
import type { Scenario } from '../scenario.ts';

export const MODEL: Scenario = {
  name: 'model',
  proves:
    'Whatever happens in whatever order, an archive holds, finds, shows and exports what was sent to it; rounds are sequences.',
  needs: [],
  rounds: { short: 3, long: 1000 },
  async run(run) {
    const { describeSpent, runSequences } = await import('../../model/run.ts');
    const { sequences, sent, spent, fault } = await runSequences({
      ...{ sequences: run.rounds, seed: run.seed },
      report: (line) => run.report(line),
    });
    for (const line of describeSpent(spent)) run.report(line);
    const violations = fault === undefined ? [] : [fault];
    if (sent === 0) violations.push('nothing was sent: nothing was checked');
    const faults = Object.fromEntries([...spent].map(([name, { times }]) => [name, times]));
    return {
      ...emptyResult(),
      ...{ sent, acknowledged: sent },
      ...{ judge: `its own verify, ${sequences} times`, violations, faults },
    };
  },
};
