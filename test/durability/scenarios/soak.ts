/** Half of what can be sustained, for long, with everything else that goes on in an archive; nothing may grow but the archive. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { MessagePage } from '../../../src/archive/views.ts';
import { runCli } from '../../support/cli.ts';
import { AUTH_TOKEN } from '../../support/twilio.ts';
import { startFlood } from '../flood-process.ts';
import type { Phase, PhaseResult } from '../flood.ts';
import { addLatency, createLatencies, quantile } from '../latencies.ts';
import { askApi, makeProduct, startReady } from '../product.ts';
import type { Product, Server } from '../product.ts';
import type { Scenario, ScenarioResult, ScenarioRun } from '../scenario.ts';
import { compareThirds, takeSample } from '../soak-watch.ts';
import type { Sample } from '../soak-watch.ts';

const CONNECTIONS = 64;
const SAMPLE_SECONDS = 10;
const SEARCH_EVERY_MS = 250;
/** Milliseconds between two of the long works. */
const WORK_EVERY_MS = 5000;
const WORK_MS_MAX = 90 * 60_000;
/** Minutes from which on it must be flat. */
const JUDGED_MINUTES = 5;
const QUERIES = ['the', 'the order', '"your order"', 'ship* the channel:sms', '(refund OR return) -package'];

export const SOAK: Scenario = {
  name: 'soak',
  proves:
    'Half of the sustainable rate with searches, exports, rebuilds, verifications and backups: memory, files and latency stay flat; rounds are minutes.',
  needs: ['linux'],
  rounds: { short: 0.2, long: 60 },
  async run(run) {
    const product = await makeProduct(`${run.data}/data`);
    const server = await startReady(product);
    let flooding: ReturnType<typeof flood> | undefined;
    try {
      const perSecond = await measureRate(run, product);
      const seconds = Math.ceil((run.rounds * 60) / SAMPLE_SECONDS) * SAMPLE_SECONDS;
      const phase: Phase = { seconds: SAMPLE_SECONDS, perSecond: perSecond / 2, connections: CONNECTIONS };
      const soaking = flood(
        run,
        product,
        1,
        Array.from({ length: seconds / SAMPLE_SECONDS }, () => phase),
      );
      flooding = soaking;
      const stop = new AbortController();
      const watching = watch(product, server, stop.signal);
      const working = work(run, product, stop.signal);
      const [phases, samples, works] = await Promise.all([soaking.done.finally(() => stop.abort()), watching, working]);
      for (const [at, result] of phases.entries()) note(samples[at], result);
      return await judge(run, product, { phases, samples, works });
    } finally {
      flooding?.stop();
      await server.stop();
    }
  },
};

function flood(run: ScenarioRun, { hookUrl }: Product, at: number, phases: readonly Phase[]) {
  return startFlood({ url: hookUrl, signUrl: hookUrl, token: AUTH_TOKEN, seed: run.seed + at, phases });
}

/** What can be taken in for good: as many as came, over the time until all of them could be found. A burst is faster, and leaves the index behind. */
async function measureRate(run: ScenarioRun, product: Product): Promise<number> {
  const seconds = run.rounds < 1 ? 1 : 30;
  await flood(run, product, 0, [{ seconds: Math.ceil(seconds / 3), connections: CONNECTIONS }]).done;
  await untilFollowed(product);
  const startedAt = performance.now();
  const [measured] = await flood(run, product, 2, [{ seconds, connections: CONNECTIONS }]).done;
  await untilFollowed(product);
  const perSecond = (measured?.acknowledged.count ?? 0) / ((performance.now() - startedAt) / 1000);
  run.report(`sustainable, until it is found: ${Math.round(perSecond)} a second`);
  return perSecond;
}

/** Waits until a search does not say any more that the index is behind. */
async function untilFollowed(product: Product): Promise<void> {
  const deadline = performance.now() + WORK_MS_MAX;
  while (performance.now() < deadline) {
    const { hints } = await askApi<MessagePage>(product, '/api/v1/messages?limit=1&q=the');
    if (!hints.some((hint) => hint.includes('still being built'))) return;
    await pause(SEARCH_EVERY_MS);
  }
  throw new Error('the index does not catch up');
}

function note(sample: Sample | undefined, { acknowledged, seconds }: PhaseResult): void {
  if (sample === undefined) return;
  sample.ackP50Ms = quantile(acknowledged, 0.5);
  sample.ackP99Ms = quantile(acknowledged, 0.99);
  sample.perSecond = acknowledged.count / seconds;
}

/** Searches all the while, and takes a sample at the end of each phase. */
async function watch(product: Product, server: Server, signal: AbortSignal): Promise<Sample[]> {
  const samples: Sample[] = [];
  const startedAt = performance.now();
  let searches = createLatencies();
  for (let count = 0; !signal.aborted; count += 1) {
    const askedAt = performance.now();
    await askApi<MessagePage>(
      product,
      `/api/v1/messages?limit=50&q=${encodeURIComponent(QUERIES[count % QUERIES.length] ?? '')}`,
    );
    addLatency(searches, performance.now() - askedAt);
    const second = (performance.now() - startedAt) / 1000;
    if (second >= (samples.length + 1) * SAMPLE_SECONDS) {
      samples.push(await takeSample(product, server, second, searches));
      searches = createLatencies();
    }
    await pause(SEARCH_EVERY_MS);
  }
  return samples;
}

/** One long work after the other, as the command line does them. @returns how often each was done */
async function work(run: ScenarioRun, product: Product, signal: AbortSignal): Promise<Record<string, number>> {
  const place = join(run.data, 'out');
  await mkdir(place, { recursive: true });
  const works: readonly (readonly [string, ...string[]])[] = [
    ['export', 'refund', '--out', join(place, 'export.zip')],
    ['rebuild'],
    ['verify'],
    ['backup', place],
  ];
  const done: Record<string, number> = {};
  for (let count = 0; !signal.aborted; count += 1) {
    const [name, ...args] = works[count % works.length] ?? ['verify'];
    const { code, stdout, stderr } = await runCli(
      [name, ...args, '--data', product.data, '--json'],
      { ...product.env },
      { msMax: WORK_MS_MAX },
    );
    if (code !== 0) throw new Error(`${name} ended with ${code}: ${stderr}${stdout.slice(0, 2000)}`);
    done[name] = (done[name] ?? 0) + 1;
    await rm(place, { recursive: true, force: true });
    await mkdir(place);
    // Ends with the soak.
    await pause(WORK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
  return done;
}

type Soaked = {
  readonly phases: readonly PhaseResult[];
  readonly samples: readonly Sample[];
  readonly works: Readonly<Record<string, number>>;
};

async function judge(run: ScenarioRun, product: Product, { phases, samples, works }: Soaked): Promise<ScenarioResult> {
  const violations: string[] = [];
  const sum = (of: (phase: PhaseResult) => number): number => phases.reduce((total, phase) => total + of(phase), 0);
  const acknowledged = sum((phase) => phase.acknowledged.count);
  const unanswered = sum(({ refused, other, cut, unsent }) => refused.count + other + cut + unsent);
  if (acknowledged === 0) violations.push('nothing was acknowledged: nothing was checked');
  run.report(`${acknowledged} acknowledged, ${unanswered} not; ${JSON.stringify(works)}`);
  for (const { figure, first, last, flat } of compareThirds(samples)) {
    run.report(
      `${figure.padEnd(12)} first third ${first.toFixed(1).padStart(8)}   last third ${last.toFixed(1).padStart(8)}${flat ? '' : '   NOT FLAT'}`,
    );
    if (!flat && run.rounds >= JUDGED_MINUTES)
      violations.push(`${figure} grew from ${first.toFixed(1)} to ${last.toFixed(1)}`);
  }
  const { code, stdout } = await runCli(
    ['verify', '--data', product.data, '--json'],
    { ...product.env },
    { msMax: WORK_MS_MAX },
  );
  const report = JSON.parse(stdout) as { readonly ok: boolean; readonly size: number };
  if (code !== 0 || !report.ok) violations.push(`verify ended with ${code}`);
  if (report.size < acknowledged) violations.push(`${acknowledged} acknowledged, and only ${report.size} in the log`);
  return {
    sent: sum(({ due, unsent }) => due - unsent),
    acknowledged,
    unacknowledgedKept: 0,
    again: 0,
    lost: Math.max(0, acknowledged - report.size),
    doubled: 0,
    checkpoints: 0,
    leaves: report.size,
    blobs: 0,
    judge: 'its own verify',
    violations,
    faults: works,
    samples,
  };
}
