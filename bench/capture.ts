/** Capture in process: guarded, read, sealed, logged, durable; and until it can be found. */
import { getConnector, takeEnvelope } from '../src/capture/receive.ts';
import type { Bench } from './setup.ts';
import { twilioHeaders } from './setup.ts';

/** Envelopes under way at once: what a busy server has. */
const UNDER_WAY = 1024;

const YEAR_MS = 365 * 86_400_000;

export type CaptureResult = {
  readonly seconds: number;
  readonly searchableSeconds: number;
  readonly envelopeBytes: number;
};

/** Takes all forms in; answers how long it took. */
export async function runCapture({ service, source }: Bench, forms: readonly Buffer[]): Promise<CaptureResult> {
  const connector = getConnector(source);
  const url = `http://archive.example/hooks/${source.id}`;
  // The texts of a year, as an archive of this size holds them.
  const firstMs = Date.now() - YEAR_MS;
  let envelopeBytes = 0;
  let next = 0;
  const startedAt = performance.now();
  const worker = async (): Promise<void> => {
    while (next < forms.length) {
      const number = next++;
      const body = forms[number];
      if (body === undefined) return;
      const headers = twilioHeaders(body, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=');
      envelopeBytes +=
        4 + url.length + body.length + headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
      const envelope = {
        transport: 'webhook' as const,
        method: 'POST',
        url,
        headers,
        body,
        receivedAtMs: firstMs + Math.floor((YEAR_MS * number) / forms.length),
      };
      await takeEnvelope(service, source, connector, envelope, { scheme: 'twilio', result: 'valid', key: 0 });
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  await service.archive.reachIndex();
  const searchableSeconds = (performance.now() - startedAt) / 1000;
  return { seconds, searchableSeconds, envelopeBytes };
}
