/** Capture in process: guarded, read, sealed, logged, durable; and until it can be found; in turns with the baseline. */
import { getConnector, takeEnvelope } from '../src/capture/receive.ts';
import type { Envelope } from '../src/model/envelope.ts';
import { openBaseline } from './baseline.ts';
import type { Bench } from './setup.ts';
import { twilioHeaders } from './setup.ts';
import { createRandom, makeForm } from './texts.ts';

/** Envelopes under way at once: what a busy server has when a commit holds a thousand, as one of the baseline's does. */
const UNDER_WAY = 2048;

const YEAR_MS = 365 * 86_400_000;
/** Messages a round; the baseline and the archive take turns, so that what else the machine does meets both. */
const ROUND = 50_000;
/** Messages before the first round, for both: a server that is measured has been running for a while. */
const WARM_UP = 10_000;

export type CaptureResult = {
  readonly baselineSeconds: number;
  readonly seconds: number;
  readonly searchableSeconds: number;
  /** Of all that was captured, the warm-up included. */
  readonly envelopeBytes: number;
};

/** Takes in `count` messages, spread over a year, in turns with the baseline. */
export async function measureCapture(
  bench: Bench,
  directory: string,
  count: number,
  seed: number,
): Promise<CaptureResult> {
  const random = createRandom(seed);
  const baseline = openBaseline(directory);
  const firstMs = Date.now() - YEAR_MS;
  const total = { baselineSeconds: 0, seconds: 0, searchableSeconds: 0, envelopeBytes: 0 };
  for (let from = -WARM_UP; from < count; from += from < 0 ? WARM_UP : ROUND) {
    const size = from < 0 ? WARM_UP : Math.min(ROUND, count - from);
    const forms = Array.from({ length: size }, (_none, index) => makeForm(random, from + index, seed));
    const timeOf = (index: number): number => firstMs + Math.floor((YEAR_MS * Math.max(0, from + index)) / count);
    const envelopes = forms.map((form, index) => makeEnvelope(bench, form, timeOf(index)));
    const baselineSeconds = baseline.run(forms);
    const { seconds, searchableSeconds } = await takeAll(bench, envelopes);
    total.envelopeBytes += envelopes.reduce((sum, envelope) => sum + bytesOf(envelope), 0);
    if (from < 0) continue;
    total.baselineSeconds += baselineSeconds;
    total.seconds += seconds;
    total.searchableSeconds += searchableSeconds;
  }
  baseline.close();
  return total;
}

/** An envelope as it would arrive, made before the clock runs. */
function makeEnvelope({ source }: Bench, body: Buffer, receivedAtMs: number): Envelope {
  const url = `http://archive.example/hooks/${source.id}`;
  const headers = twilioHeaders(body, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=');
  return { transport: 'webhook', method: 'POST', url, headers, body, receivedAtMs };
}

/** Takes all envelopes in; answers how long it took until all was durable, and until all could be found. */
async function takeAll(
  { service, source }: Bench,
  envelopes: readonly Envelope[],
): Promise<{ seconds: number; searchableSeconds: number }> {
  const connector = getConnector(source);
  const verdict = { scheme: 'twilio', result: 'valid' as const, key: 0 };
  let next = 0;
  const startedAt = performance.now();
  const worker = async (): Promise<void> => {
    for (let envelope = envelopes[next++]; envelope !== undefined; envelope = envelopes[next++])
      await takeEnvelope(service, source, connector, envelope, verdict);
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  await service.archive.reachIndex();
  return { seconds, searchableSeconds: (performance.now() - startedAt) / 1000 };
}

function bytesOf({ url, body, headers }: Envelope): number {
  return 4 + url.length + body.length + headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
}
