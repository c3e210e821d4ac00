/** Runs the probes whose time has come, side by side, each limited in time: one that hangs keeps no other from being looked at. */
import type { Logger } from 'pino';

import { isDiskFailed } from '../store/thread.ts';
import type { ConditionCode } from './conditions.ts';
import { causeOf } from './probes.ts';
import type { Probe } from './probes.ts';
import type { Finding } from './watch.ts';
import { within } from '../jobs/within.ts';

/** What a look gave: the conditions that were looked for, and those that are so. */
export type Looked = { readonly codes: readonly ConditionCode[]; readonly findings: readonly Finding[] };

/** Milliseconds after which a look counts as stuck. */
const LOOK_MS_MAX = 20_000;

/** Makes what looks. @param msMax milliseconds after which a look counts as stuck */
export function createLooks(
  probes: readonly Probe[],
  now: () => number,
  log: Logger,
  msMax = LOOK_MS_MAX,
): () => Promise<Looked> {
  const lastMs = new Map<Probe, number>();
  const running = new Set<Probe>();
  const lookWith = async (probe: Probe): Promise<Looked> => {
    if (running.has(probe)) return stuck(probe);
    if (now() - (lastMs.get(probe) ?? Number.NEGATIVE_INFINITY) < probe.everyMs) return NOTHING;
    lastMs.set(probe, now());
    running.add(probe);
    const look = probe.look().finally(() => running.delete(probe));
    try {
      const findings = await within(msMax, look, undefined);
      return findings === undefined ? stuck(probe) : { codes: probe.covers, findings };
    } catch (cause) {
      if (isDiskFailed(cause)) throw cause;
      log.warn({ conditions: probe.covers, cause: causeOf(cause) }, 'it could not be looked whether all is well');
      return NOTHING;
    } finally {
      look.catch(() => undefined);
    }
  };
  return async () => {
    const all = await Promise.all(probes.map(lookWith));
    return { codes: all.flatMap(({ codes }) => codes), findings: all.flatMap(({ findings }) => findings) };
  };
}

const NOTHING: Looked = { codes: [], findings: [] };

function stuck({ whenStuck }: Probe): Looked {
  if (whenStuck === undefined) return NOTHING;
  return { codes: [whenStuck], findings: [{ code: whenStuck, facts: { cause: 'no end in time' } }] };
}
