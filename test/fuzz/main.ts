/**
 * The long form of the fuzzing: `node test/fuzz/main.ts [--cases 1000000] [--seed S] [--target NAME]`. A fault is printed with the seed and path that lead to it again.
 */
import { parseArgs } from 'node:util';

import { runTargets } from './run.ts';

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '1000000' }, seed: { type: 'string' }, target: { type: 'string' } },
});
const faults = await runTargets({
  cases: Number(values.cases),
  seed: Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)),
  ...(values.target === undefined ? {} : { only: values.target }),
  print: (line) => void process.stdout.write(`${line}\n`),
});
process.exitCode = faults === 0 ? 0 : 1;
