/**
 * Webhooks signed by a JSON Web Token (RFC 7515, RFC 7519) whose claims hold hashes of the request. The algorithm is the row's, never the
 * token's choice; a token that does not cover the body of a request that has one is refused, which the vendors' own libraries omit.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Envelope } from '../model/envelope.ts';
import { isJsonObject, parseJsonSafely } from './json.ts';
import type { JsonObject } from './json.ts';
import type { TokenScheme } from './signature-schemes.ts';

const TOKEN_LIMITS = { bytesMax: 4_096, depthMax: 8 };
const TOKEN_CHARS_MAX = 8_192;

/**
 * Checks the token of a request.
 * @param values the header's values
 * @returns the index of the secret that fitted, or a fault as `verifySignature` names it
 * @throws UnreadableEnvelope where the token's parts are no JSON
 */
export function verifyToken(
  scheme: TokenScheme,
  envelope: Envelope,
  values: readonly string[],
  secrets: readonly string[],
  nowMs: number,
): { readonly key: number } | 'missing' | 'malformed' | 'stale' | 'mismatch' {
  const [value] = values;
  if (value === undefined || value === '') return 'missing';
  if (values.some((other) => other !== value) || value.length > TOKEN_CHARS_MAX) return 'malformed';
  const prefix = scheme.prefix ?? '';
  if (value.slice(0, prefix.length).toLowerCase() !== prefix) return 'malformed';
  const parts = value.slice(prefix.length).trim().split('.');
  const [head, body, sent] = parts.map(decodePart);
  if (parts.length !== 3 || head === undefined || body === undefined || sent === undefined) return 'malformed';
  const header = parseJsonSafely(head, TOKEN_LIMITS);
  const claims = parseJsonSafely(body, TOKEN_LIMITS);
  if (!isJsonObject(header) || !isJsonObject(claims)) return 'malformed';
  const algorithm = scheme.algorithms.find((name) => name === header['alg']);
  if (algorithm === undefined) return 'malformed';
  const signed = `${parts[0]}.${parts[1]}`;
  const key = secrets.findIndex((secret) => {
    if (secret === '') return false;
    const expected = createHmac(`sha${algorithm.slice(2)}`, secret)
      .update(signed, 'latin1')
      .digest();
    return expected.length === sent.length && timingSafeEqual(expected, sent);
  });
  if (key === -1) return 'mismatch';
  return findClaimFault(scheme, claims, envelope, nowMs) ?? { key };
}

function findClaimFault(
  scheme: TokenScheme,
  claims: JsonObject,
  envelope: Envelope,
  nowMs: number,
): 'malformed' | 'stale' | 'mismatch' | undefined {
  if (scheme.issuer !== undefined && claims['iss'] !== scheme.issuer) return 'mismatch';
  const fault = findClockFault(scheme, claims, nowMs / 1000);
  if (fault !== undefined) return fault;
  const url = Buffer.from(envelope.url.replace(/#.*$/s, ''), 'utf8');
  if (scheme.urlHashClaim !== undefined && !isHash(claims[scheme.urlHashClaim], url)) return 'mismatch';
  const covered =
    claims['payload_hash'] === undefined ? envelope.body.length === 0 : isHash(claims['payload_hash'], envelope.body);
  return covered ? undefined : 'mismatch';
}

function findClockFault(
  scheme: TokenScheme,
  claims: JsonObject,
  nowSeconds: number,
): 'malformed' | 'stale' | undefined {
  const { iat, exp, nbf } = { iat: claims['iat'], exp: claims['exp'], nbf: claims['nbf'] };
  if (scheme.clock === 'iat') {
    if (typeof iat !== 'number') return 'malformed';
    return Math.abs(nowSeconds - iat) > scheme.toleranceSeconds ? 'stale' : undefined;
  }
  if (typeof exp !== 'number' || (nbf !== undefined && typeof nbf !== 'number')) return 'malformed';
  const early = typeof nbf === 'number' && nowSeconds < nbf - scheme.toleranceSeconds;
  return early || nowSeconds > exp + scheme.toleranceSeconds ? 'stale' : undefined;
}

function isHash(claim: unknown, bytes: Uint8Array): boolean {
  return typeof claim === 'string' && claim.toLowerCase() === createHash('sha256').update(bytes).digest('hex');
}

function decodePart(text: string): Buffer | undefined {
  return /^[A-Za-z0-9_-]+$/.test(text) ? Buffer.from(text, 'base64url') : undefined;
}
