/**
 * What is kept of an envelope beside the event: the bytes as they came, so that the signature can be checked again in ten years. Credentials are never
 * kept. Where the envelope was cut or guarded, nothing is kept that was derived from the whole, since three digits can be guessed from a hash.
 */
import type { Envelope } from '../model/envelope.ts';
import type { GuardFindings, Headers, RawSlice, SignatureVerdict } from '../model/record.ts';
import { LIMITS } from './limits.ts';

/** Headers that carry credentials. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api-key',
  'x-telegram-bot-api-secret-token',
  'x-auth-token',
]);

/** Headers that say something of the whole body. */
const DERIVED_HEADER = /signature|digest|hmac|content-md5|content-length|etag/i;

/** The raw slice of one part of an envelope. @param body the part's own bytes; undefined where the part is the whole */
export function makeRawSlice(
  envelope: Envelope,
  body: Uint8Array | undefined,
  found: { readonly verdict?: SignatureVerdict; readonly findings?: GuardFindings },
): RawSlice {
  const isPartial = body !== undefined || found.findings !== undefined;
  const bytes = body ?? envelope.body;
  const text = decodeExactly(bytes);
  return {
    transport: envelope.transport,
    method: envelope.method,
    url: isPartial ? withoutBodyHash(envelope.url) : envelope.url,
    headers: keptHeaders(envelope.headers, isPartial),
    body: text ?? Buffer.from(bytes).toString('base64'),
    encoding: text === undefined ? 'base64' : 'utf8',
    ...(body === undefined ? {} : { cut: true }),
    ...(found.findings === undefined ? {} : { guarded: found.findings }),
    ...(found.verdict === undefined ? {} : { verdict: found.verdict }),
  };
}

/** An envelope again, from what was kept of it. */
export function restoreEnvelope(raw: RawSlice, receivedAtMs: number): Envelope {
  return {
    transport: raw.transport,
    method: raw.method ?? 'POST',
    url: raw.url ?? '',
    headers: raw.headers ?? [],
    body: Buffer.from(raw.body, raw.encoding === 'base64' ? 'base64' : 'utf8'),
    receivedAtMs,
  };
}

function keptHeaders(headers: Headers, isPartial: boolean): Headers {
  const kept: [string, string][] = [];
  for (const [name, value] of headers) {
    if (kept.length >= LIMITS.headersMax) break;
    if (CREDENTIAL_HEADERS.has(name.toLowerCase()) || (isPartial && DERIVED_HEADER.test(name))) continue;
    kept.push([name, value.slice(0, LIMITS.headerCharsMax)]);
  }
  return kept;
}

function withoutBodyHash(url: string): string {
  return url.replace(/([?&])bodySHA256=[0-9A-Fa-f]*(&?)/, (_match, before: string, after: string) =>
    after === '' ? '' : before,
  );
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of bytes that are UTF-8 to the last bit; undefined where they are not, and base64 must keep them. */
function decodeExactly(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
