/** Where the processor's time goes while messages are captured: a capture of its own under the profiler, thread by thread and step by step. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { stepTimes } from '../profile.ts';
import type { CpuProfile } from '../profile.ts';
import type { BenchRun } from '../run.ts';

const MESSAGES_MAX = 200_000;
/** Steps below this are not worth a line, in microseconds a message. */
const WORTH_US = 0.5;

/** Profiles a capture without its baseline. */
export async function measureShares({ options, scratch, note }: BenchRun): Promise<void> {
  const messages = Math.min(MESSAGES_MAX, options.messages);
  const profiles = join(scratch, 'profiles');
  mkdirSync(profiles);
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const flags = [...process.execArgv, '--cpu-prof', `--cpu-prof-dir=${profiles}`, '--cpu-prof-interval=1000'];
  const args = ['capture', '--alone', '--messages', String(messages), '--mix', options.mix, '--data', scratch];
  execFileSync(process.execPath, [...flags, main, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const sums = new Map<string, number>();
  for (const name of readdirSync(profiles)) {
    const profile = JSON.parse(readFileSync(join(profiles, name), 'utf8')) as CpuProfile;
    for (const { thread, step, us } of stepTimes(profile)) {
      const key = `${thread}: ${step}`;
      sums.set(key, (sums.get(key) ?? 0) + us);
    }
  }
  const total = [...sums.values()].reduce((sum, us) => sum + us, 0);
  const unit = 'µs/message';
  note({
    id: 'shares.all',
    what: 'capture under the profiler, all threads',
    unit,
    better: 'less',
    value: total / messages,
  });
  for (const [key, us] of [...sums].sort(([one], [other]) => (one < other ? -1 : 1))) {
    if (us / messages < WORTH_US) continue;
    const share = `${((us / total) * 100).toFixed(0)} %`;
    note({
      id: `shares.${key.replaceAll(/[: ]+/g, '.')}`,
      what: `${key}, ${share}`,
      unit,
      better: 'less',
      value: us / messages,
    });
  }
}
