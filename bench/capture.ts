/** Capture in process: guarded, read, sealed, logged, durable; and until it can be found. */
import { getConnector, takeEnvelope } from '../src/capture/receive.ts';
import type { Envelope } from '../src/model/envelope.ts';
import type { Bench } from './setup.ts';
import { twilioHeaders } from './setup.ts';

/** Envelopes under way at once: what a busy server has when a commit holds a thousand, as one of the baseline's does. */
const UNDER_WAY = 2048;

const YEAR_MS = 365 * 86_400_000;

export type CaptureResult = {
  readonly seconds: number;
  readonly searchableSeconds: number;
  readonly envelopeBytes: number;
};

/** The envelopes as they would arrive, made before the clock runs. */
export type CaptureLoad = { readonly envelopes: readonly Envelope[]; readonly envelopeBytes: number };

/** Makes the envelopes of a source, with the times of a year, as an archive of this size holds them. */
export function prepareCapture({ source }: Bench, forms: readonly Buffer[]): CaptureLoad {
  const url = `http://archive.example/hooks/${source.id}`;
  const firstMs = Date.now() - YEAR_MS;
  const envelopes = forms.map((body, number) => ({
    transport: 'webhook' as const,
    method: 'POST',
    url,
    headers: twilioHeaders(body, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA='),
    body,
    receivedAtMs: firstMs + Math.floor((YEAR_MS * number) / forms.length),
  }));
  const envelopeBytes = envelopes.reduce((sum, { body, headers }) => sum + bytesOf(url, body, headers), 0);
  return { envelopes, envelopeBytes };
}

/** Takes all envelopes in; answers how long it took. */
export async function runCapture(
  { service, source }: Bench,
  { envelopes, envelopeBytes }: CaptureLoad,
): Promise<CaptureResult> {
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
  const searchableSeconds = (performance.now() - startedAt) / 1000;
  return { seconds, searchableSeconds, envelopeBytes };
}

function bytesOf(url: string, body: Buffer, headers: readonly (readonly [string, string])[]): number {
  return 4 + url.length + body.length + headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
}
