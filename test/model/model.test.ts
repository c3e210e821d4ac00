/** The short form of the random sequences. The long form: `npm run test:durability -- model [--rounds SEQUENCES] [--seed S]`. */
import { expect, it } from 'vitest';

import { describeSpent, runSequences, SEQUENCE_MS_MAX } from './run.ts';

const SEED = Number(process.env['CARTULARY_TEST_SEED'] ?? 20_261_122);
const SEQUENCES = Number(process.env['CARTULARY_TEST_SEQUENCES'] ?? 3);

it('an archive is the list of what was sent to it', { timeout: SEQUENCES * SEQUENCE_MS_MAX }, async () => {
  const { fault, sequences, sent, spent } = await runSequences({ sequences: SEQUENCES, seed: SEED });
  expect(fault, describeSpent(spent).join('\n')).toBeUndefined();
  expect(sequences).toBe(SEQUENCES);
  expect(sent).toBeGreaterThan(SEQUENCES);
});
