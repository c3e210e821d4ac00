/** A flood in a process of its own, so that it disturbs the server as little as the machine allows. Starts with the plan it is sent. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { runFlood } from './flood.ts';
import type { FloodPlan, FloodResult } from './flood.ts';

if (process.send !== undefined && process.argv[2] === 'flood')
  process.once('message', (plan) => {
    void runFlood(plan as FloodPlan).then((result) => process.send?.(result, () => process.exit(0)));
  });

/** Starts a flood; resolves with what became of it. */
export function startFlood(plan: FloodPlan): { readonly done: Promise<FloodResult>; stop(): void } {
  const child = fork(fileURLToPath(import.meta.url), ['flood'], { serialization: 'advanced' });
  const done = new Promise<FloodResult>((resolve, reject) => {
    child.once('message', (result) => resolve(result as FloodResult));
    child.once('exit', (code) => reject(new Error(`the flood ended without a result (${code})`)));
  });
  child.send(plan);
  return { done, stop: () => child.kill('SIGKILL') };
}
