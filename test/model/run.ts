/** Runs random sequences of all that may happen to an archive, each held against a simple list of messages. */
import * as fc from 'fast-check';

import { commandArbitraries, ENDING, expectSound } from './commands.ts';
import type { Model, Spent } from './commands.ts';
import { openProduct } from './product.ts';

const COMMANDS_MAX = 30;
/** A sequence that takes longer hangs. */
export const SEQUENCE_MS_MAX = 120_000;

/** What the sequences did. */
export type SequencesResult = {
  readonly sequences: number;
  /** Events that were sent, and what else was done: by kind, how often and how long. */
  readonly sent: number;
  readonly spent: Spent;
  /** What leads to it again. */
  readonly fault?: string;
};

/** Runs so many sequences, up to the first that does not hold. The same seed gives the same sequences. */
export async function runSequences(options: {
  readonly sequences: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
}): Promise<SequencesResult> {
  const { sequences, seed, report } = options;
  const spent: Spent = new Map();
  let sent = 0;
  let done = 0;
  const commands = fc.commands(commandArbitraries(), { maxCommands: COMMANDS_MAX, size: 'max' });
  const property = fc.asyncProperty(commands, async (sequence) => {
    const product = await openProduct();
    try {
      const size = await product.service.archive.size();
      const model: Model = { messages: new Map(), size, last: undefined, counter: 0, spent };
      await fc.asyncModelRun(() => ({ model, real: product }), sequence);
      for (const command of ENDING) await command.run(model, product);
      sent += model.counter;
      await expectSound(model, product);
      done += 1;
      report?.(`${done} of ${sequences} sequences, ${sent} events sent`);
    } finally {
      await product.close();
    }
  });
  const details = await fc.check(property, {
    seed,
    numRuns: sequences,
    interruptAfterTimeLimit: sequences * SEQUENCE_MS_MAX,
    markInterruptAsFailure: true,
    // To make one shorter takes as long as many others.
    endOnFailure: sequences < 20,
  });
  const fault = details.failed ? fc.defaultReportMessage(details) : undefined;
  return { sequences: done, sent, spent, ...(fault === undefined ? {} : { fault }) };
}

/** How long each kind of command took, the longest first. */
export function describeSpent(spent: Spent): string[] {
  return [...spent]
    .sort(([, one], [, other]) => other.ms - one.ms)
    .map(([name, { times, ms }]) => `${name}: ${times} times, ${Math.round(ms / times)} ms each`);
}
