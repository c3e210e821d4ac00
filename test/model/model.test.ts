/**
 * Random sequences of all that may happen to an archive, held against a simple list of messages. The long form: CARTULARY_TEST_SEQUENCES=1000 npm test -- test/model.
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { commandArbitraries, expectSound } from './commands.ts';
import type { Model } from './commands.ts';
import { openProduct } from './product.ts';

const SEED = Number(process.env['CARTULARY_TEST_SEED'] ?? 20_261_122);
const SEQUENCES = Number(process.env['CARTULARY_TEST_SEQUENCES'] ?? 3);
const SEQUENCE_MS_MAX = 120_000;

it('an archive is the list of what was sent to it', { timeout: SEQUENCES * SEQUENCE_MS_MAX }, async () => {
  let commandsRun = 0;
  const sequences = fc.commands(commandArbitraries(), { maxCommands: 30, size: 'max' });
  await fc.assert(
    fc.asyncProperty(sequences, async (commands) => {
      const product = await openProduct();
      try {
        const model: Model = {
          messages: new Map(),
          size: await product.service.archive.size(),
          last: undefined,
          counter: 0,
        };
        await fc.asyncModelRun(() => ({ model, real: product }), commands);
        commandsRun += model.counter;
        await expectSound(model, product);
      } finally {
        await product.close();
      }
    }),
    {
      seed: SEED,
      numRuns: SEQUENCES,
      interruptAfterTimeLimit: SEQUENCES * SEQUENCE_MS_MAX,
      endOnFailure: SEQUENCES < 20,
    },
  );
  expect(commandsRun).toBeGreaterThan(SEQUENCES);
});
