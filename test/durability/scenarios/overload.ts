/** Ten times more than can be kept: what is let in is kept in time, everybody else is told at once, and afterwards all is as before. */
import { setTimeout as pause } from 'node:timers/promises';

import { AUTH_TOKEN } from '../../support/twilio.ts';
import { createChecker } from '../checker.ts';
import { startFlood } from '../flood-process.ts';
import type { Phase, PhaseResult } from '../flood.ts';
import { addLatency, createLatencies, quantile } from '../latencies.ts';
import type { Latencies } from '../latencies.ts';
import { makeProduct, startReady } from '../product.ts';
import type { Product, Server } from '../product.ts';
import { readFigures } from '../process-figures.ts';
import type { Scenario, ScenarioResult, ScenarioRun } from '../scenario.ts';

const FACTOR = 10;
/** Connections of the senders; one that finds all of them waiting for an answer sends nothing. */
const CONNECTIONS = 2000;
/** Connections that measure what can be sustained. */
const CONNECTIONS_FAIR = 64;
/** Seconds of overload from which on the bounds of time hold: a short run shares its machine with other tests. */
const LONG_SECONDS = 30;
/** Milliseconds that 99 of 100 answers may take, and that may pass until all is as before. */
const ANSWER_MS_MAX = 2000;
const RECOVERY_MS_MAX = 2000;
const RECOVERY_SECONDS = 5;
const MEMORY_MB_MAX = 512;
/** Share of what is sustained without overload that must still be kept. */
const KEPT_SHARE_MIN = 0.25;

export const OVERLOAD: Scenario = {
  name: 'overload',
  proves: `${FACTOR} times the sustainable rate: answers are bounded in time, refusals say when to come again, nothing acknowledged is lost; rounds are seconds.`,
  needs: ['linux'],
  rounds: { short: 3, long: 60 },
  async run(run) {
    const product = await makeProduct(`${run.data}/data`);
    const checker = await createChecker(product, run.journal);
    const server = await startReady(product);
    const readers = watchReaders(product, server);
    try {
      const flooded = await overload(run, product);
      await checker.keepCheckpoint();
      const read = await readers.stop();
      const complaints = judge(run, flooded, read, server);
      const result = await checker.checkAll(() => server.stop());
      const violations = [...complaints, ...result.violations];
      if (result.acknowledged === 0) violations.push('nothing was acknowledged: nothing was checked');
      return { ...result, violations, faults: { refusal: flooded.over.refused.count } } satisfies ScenarioResult;
    } finally {
      await readers.stop();
      await server.kill();
    }
  },
};

type Flooded = { readonly perSecond: number; readonly over: PhaseResult; readonly after: PhaseResult };

async function overload(run: ScenarioRun, { hookUrl }: Product): Promise<Flooded> {
  const seconds = run.rounds;
  const measureSeconds = seconds < LONG_SECONDS ? 2 : 10;
  const flood = async (client: string, seed: number, phases: readonly Phase[]): Promise<readonly PhaseResult[]> =>
    startFlood({
      ...{ url: hookUrl, signUrl: hookUrl, token: AUTH_TOKEN, seed, phases },
      journal: { directory: run.journal, client },
    }).done;
  // Compilers have their say first, as in a server that has been running for a while.
  const fair = { seconds: measureSeconds, connections: CONNECTIONS_FAIR };
  const measured = (await flood('fair', run.seed, [fair, fair]))[1];
  if (measured === undefined) throw new Error('nothing was measured');
  const perSecond = measured.acknowledged.count / measured.seconds;
  run.report(`sustainable: ${Math.round(perSecond)} a second, ${describe(measured.acknowledged)}`);
  const [over, after] = await flood('flood', run.seed + 1, [
    { seconds, perSecond: perSecond * FACTOR, connections: CONNECTIONS },
    { seconds: RECOVERY_SECONDS, perSecond: perSecond / 2, connections: CONNECTIONS_FAIR },
  ]);
  if (over === undefined || after === undefined) throw new Error('the flood has no result');
  const each = (count: number): string => `${Math.round(count / over.seconds)} a second`;
  run.report(`offered ${each(over.due)}, with a free connection ${each(over.due - over.unsent)}`);
  run.report(`acknowledged ${each(over.acknowledged.count)}, ${describe(over.acknowledged)}`);
  run.report(`refused ${each(over.refused.count)}, ${describe(over.refused)}`);
  run.report(
    `afterwards, at half: ${describe(after.acknowledged)}; as before after ${Math.round(after.lastBadMs)} ms, ${after.refused.count} refused`,
  );
  return { perSecond, over, after };
}

function judge(run: ScenarioRun, { perSecond, over, after }: Flooded, read: Latencies, server: Server): string[] {
  const complaints: string[] = [];
  const expect = (holds: boolean, text: string): void => {
    if (!holds) complaints.push(text);
  };
  const memory = readFigures(server.process.pid ?? 0).rssPeakMb;
  run.report(`memory at most ${Math.round(memory)} MB; searches meanwhile: ${read.count}, ${describe(read)}`);
  expect(over.refused.count > 0, 'nobody was refused: there was no overload');
  expect(over.acknowledged.count > 0, 'nothing was acknowledged during the overload');
  for (const phase of [over, after]) {
    expect(phase.refusedBare === 0, `${phase.refusedBare} refusals did not say when to come again`);
    expect(phase.other === 0, `${phase.other} answers were neither 200 nor 503`);
    expect(phase.cut === 0, `${phase.cut} requests were cut off without an answer`);
  }
  expect(memory <= MEMORY_MB_MAX, `${Math.round(memory)} MB resident, of ${MEMORY_MB_MAX}`);
  expect(read.count > 0, 'no search was answered during the overload');
  if (run.rounds < LONG_SECONDS) return complaints;
  for (const answers of [over.acknowledged, over.refused])
    expect(quantile(answers, 0.99) <= ANSWER_MS_MAX, `answers took too long: ${describe(answers)}`);
  const kept = over.acknowledged.count / over.seconds / perSecond;
  expect(kept >= KEPT_SHARE_MIN, `only ${kept.toFixed(2)} of the sustainable rate was kept`);
  expect(after.lastBadMs <= RECOVERY_MS_MAX, `as before only after ${Math.round(after.lastBadMs)} ms`);
  return complaints;
}

/** Searches and asks for readiness all the while: who reads must not starve because somebody writes. */
function watchReaders(product: Product, server: Server): { stop(): Promise<Latencies> } {
  const latencies = createLatencies();
  const stopped = new AbortController();
  const ask = async (path: string): Promise<void> => {
    const answer = await fetch(product.url + path, { headers: { authorization: `Bearer ${product.apiKey}` } });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status}`);
  };
  const watch = async (): Promise<void> => {
    while (!stopped.signal.aborted && !server.isOver()) {
      const startedAt = performance.now();
      await ask('/api/v1/messages?q=the&limit=20');
      addLatency(latencies, performance.now() - startedAt);
      await ask('/readyz');
      await pause(200);
    }
  };
  const done = watch();
  // Told by `stop`; until then it is no unhandled one.
  done.catch(() => undefined);
  return {
    async stop() {
      stopped.abort();
      await done;
      return latencies;
    },
  };
}

function describe(latencies: Latencies): string {
  const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  return `p50 ${ms(quantile(latencies, 0.5))}, p99 ${ms(quantile(latencies, 0.99))}, at most ${ms(latencies.maxMs)}`;
}
