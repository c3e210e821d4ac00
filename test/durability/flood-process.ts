/** A flood in a process of its own, so that it disturbs the server as little as the machine allows. Starts with the plan it is sent. */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { createFloodMessages, floodSid } from './flood-message.ts';
import { FATE, runFlood } from './flood.ts';
import type { FloodPlan, PhaseResult } from './flood.ts';
import { openJournal } from './journal.ts';

/** A flood. Where a journal is named, the fates of its messages go there for the checker. */
export type JournalledPlan = FloodPlan & {
  readonly journal?: { readonly directory: string; readonly client: string };
};

if (process.send !== undefined && process.argv[2] === 'flood')
  process.once('message', (plan) => {
    void runJournalled(plan as JournalledPlan).then((phases) => process.send?.(phases, () => process.exit(0)));
  });

/** The journal is written at the end: a flood that stops for each message to be written is none. It outlives the server, which is all it must. */
async function runJournalled(plan: JournalledPlan): Promise<readonly PhaseResult[]> {
  const { phases, fates } = await runFlood(plan);
  if (plan.journal === undefined) return phases;
  const journal = openJournal(plan.journal.directory, plan.journal.client);
  const makeMessage = createFloodMessages(plan);
  for (const [number, fate] of fates.entries()) {
    if (fate === FATE.unsent) continue;
    const [, form = ''] = makeMessage(number).split('\r\n\r\n');
    const entry = [number, floodSid(plan.seed, number), createHash('sha256').update(form).digest('hex')] as const;
    journal.write(...entry, 'sent');
    journal.write(...entry, fate === FATE.acknowledged ? 'acked' : fate === FATE.refused ? 'error:503' : 'unknown');
  }
  journal.close();
  return phases;
}

/** Starts a flood; resolves with what became of it. */
export function startFlood(plan: JournalledPlan): { readonly done: Promise<readonly PhaseResult[]>; stop(): void } {
  const child = fork(fileURLToPath(import.meta.url), ['flood'], { serialization: 'advanced' });
  const done = new Promise<readonly PhaseResult[]>((resolve, reject) => {
    child.once('message', (result) => resolve(result as readonly PhaseResult[]));
    child.once('exit', (code) => reject(new Error(`the flood ended without a result (${code})`)));
  });
  child.send(plan);
  return { done, stop: () => child.kill('SIGKILL') };
}
