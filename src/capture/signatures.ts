/**
 * Was this request made by someone who holds one of the source's secrets? The one place where webhook signatures are checked.
 *
 * - Everything in the envelope is controlled by whoever sent it; nothing of it may make the check throw, and nothing is quoted in a result.
 * - Works on the bytes that came; the body is never decoded and written again before it is hashed.
 * - Several secrets (rotation), several signatures in a header and repeated headers are all tried; one fit is enough. An empty secret never
 *   fits. Decoded bytes are compared in constant time.
 * - Where a scheme signs a time, it must lie within five minutes of now, before or after.
 */
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Envelope } from '../model/envelope.ts';
import { assertNever } from '../model/errors.ts';
import type { Headers, SignatureVerdict } from '../model/record.ts';
import { parseEpochInstant, parseIsoInstant } from '../model/time.ts';
import { parseQuery } from './form.ts';
import { isJsonObject, parseJsonSafely } from './json.ts';
import { SIGNATURE_SCHEMES } from './signature-schemes.ts';
import type {
  HeaderScheme,
  SharedSecretScheme,
  SignatureScheme,
  SignedPiece,
  SignedTime,
  StandardScheme,
} from './signature-schemes.ts';
import { verifyToken } from './signature-token.ts';
import { plivoSignedTexts, twilioSignedTexts } from './signature-urls.ts';
import { textMac } from './text-mac.ts';

export { SIGNATURE_SCHEMES };
export type { SignatureScheme };

/** Why a signature was not accepted. */
export type SignatureFault = 'missing' | 'malformed' | 'stale' | 'mismatch';

/** What the check found; the reason says nothing about the content or the secret. */
export type SignatureResult =
  | { readonly ok: true; readonly verdict: SignatureVerdict }
  | { readonly ok: false; readonly reason: SignatureFault };

/** What a scheme answers: the index of the secret that fitted, with the public key where anybody could check again, or a fault. */
export type KeyMatch = { readonly key: number; readonly publicKey?: string };

/** Longest header that is looked into, in characters. */
export const SIGNATURE_HEADER_CHARS_MAX = 8_192;
/** Most signatures that are tried in one request. */
export const SIGNATURES_MAX = 32;

/**
 * Checks the signature of a request.
 * @param scheme a row of `SIGNATURE_SCHEMES`
 * @param envelope the request as it came; `url` is the public URL as configured, since that is what platforms sign
 * @param secrets the source's secrets, in the form that the platform shows them; several while they are rotated
 * @param nowMs our clock, milliseconds since 1970
 * @returns a verdict to be kept with the record, or why not: `missing` (no signature, or no secret to check it with), `malformed`,
 *   `stale` (signed time too far from now, either way), `mismatch`
 */
export function verifySignature(
  scheme: SignatureScheme,
  envelope: Envelope,
  secrets: readonly string[],
  nowMs: number,
): SignatureResult {
  if (scheme.kind === 'none') return { ok: true, verdict: { scheme: scheme.name, result: 'not-applicable' } };
  if (!secrets.some((secret) => secret !== '')) return { ok: false, reason: 'missing' };
  let match: KeyMatch | SignatureFault;
  try {
    match = findMatch(scheme, envelope, secrets, nowMs);
  } catch {
    // Whatever a hostile request provokes in a parser or in the crypto library is a request that was not signed.
    match = 'malformed';
  }
  return typeof match === 'string'
    ? { ok: false, reason: match }
    : { ok: true, verdict: { scheme: scheme.name, result: 'valid', ...match } };
}

function findMatch(
  scheme: Exclude<SignatureScheme, { kind: 'none' }>,
  envelope: Envelope,
  secrets: readonly string[],
  nowMs: number,
): KeyMatch | SignatureFault {
  switch (scheme.kind) {
    case 'header':
      return matchHeader(scheme, envelope, secrets, nowMs);
    case 'standard':
      return matchStandard(scheme, envelope, secrets, nowMs);
    case 'token':
      return verifyToken(scheme, envelope, listHeader(envelope.headers, scheme.header), secrets, nowMs);
    case 'secret':
      return matchSecret(scheme, envelope, secrets);
    case 'twilio':
      return matchTexts(envelope, ['x-twilio-signature'], 'sha1', twilioSignedTexts(envelope), secrets);
    case 'plivo':
      return matchPlivo(envelope, secrets);
    case 'wechat':
      return matchWechat(envelope, secrets, nowMs);
    default:
      return assertNever(scheme);
  }
}

const DIGEST_BYTES = {
  'hmac-sha1': 20,
  'hmac-sha256': 32,
  'hmac-sha512': 64,
  ed25519: 64,
  'rsa-sha256': undefined,
} as const;

function matchHeader(
  scheme: HeaderScheme,
  envelope: Envelope,
  secrets: readonly string[],
  nowMs: number,
): KeyMatch | SignatureFault {
  const values = scheme.headers.flatMap((name) => listHeader(envelope.headers, name));
  const items = scheme.item === undefined ? undefined : parseItems(values);
  const tokens = items === undefined ? splitTokens(values) : (items.get(scheme.item ?? '') ?? []);
  const signatures = decodeSignatures(values, tokens, scheme);
  if (typeof signatures === 'string') return signatures;
  if (scheme.time !== undefined) {
    const fault = findTimeFault(scheme.time, envelope, items, nowMs);
    if (fault !== undefined) return fault;
  }
  const signed = gatherPieces(scheme.signed, envelope, items);
  if (typeof signed === 'string') return signed;
  for (const [index, secret] of secrets.entries()) {
    if (secret === '') continue;
    if (scheme.algorithm === 'ed25519' || scheme.algorithm === 'rsa-sha256') {
      const key = findPublicKey(secret, scheme.key ?? 'pem');
      const digest = scheme.algorithm === 'ed25519' ? null : 'sha256';
      if (key === undefined) continue;
      const message = Buffer.concat(signed);
      if (signatures.some((signature) => verify(digest, message, key, signature)))
        return { key: index, publicKey: secret };
    } else {
      const mac = createHmac(scheme.algorithm.slice('hmac-'.length), secret);
      for (const piece of signed) mac.update(piece);
      if (hasEqual(signatures, mac.digest())) return { key: index };
    }
  }
  return 'mismatch';
}

function matchStandard(
  scheme: StandardScheme,
  envelope: Envelope,
  secrets: readonly string[],
  nowMs: number,
): KeyMatch | SignatureFault {
  const values = listHeader(envelope.headers, scheme.signatureHeader);
  if (values.every((value) => value === '')) return 'missing';
  if (values.some((value) => value.length > SIGNATURE_HEADER_CHARS_MAX)) return 'malformed';
  const fault = findTimeFault(
    { from: { header: scheme.timeHeader }, unit: 's', ...scheme },
    envelope,
    undefined,
    nowMs,
  );
  if (fault !== undefined) return fault;
  const signed = gatherPieces(
    [{ header: scheme.idHeader }, { text: '.' }, { header: scheme.timeHeader }, { text: '.' }, 'body'],
    envelope,
    undefined,
  );
  if (typeof signed === 'string') return signed;
  // A proxy that joined repeated headers leaves a comma behind each signature.
  const tokens = values.flatMap((value) => value.split(/[ \t]+/)).map((token) => token.replace(/,$/, ''));
  if (tokens.length > SIGNATURES_MAX) return 'malformed';
  const macs = decodeAll(tokens, 'v1,', 'base64', 32);
  const signatures = decodeAll(tokens, 'v1a,', 'base64', 64);
  if (macs.length + signatures.length === 0) return 'malformed';
  const message = signatures.length === 0 ? undefined : Buffer.concat(signed);
  for (const [index, secret] of secrets.entries()) {
    if (scheme.key === 'tagged' && secret.startsWith('whpk_')) {
      const key = findPublicKey(secret.slice('whpk_'.length), 'base64');
      if (key === undefined || message === undefined) continue;
      if (signatures.some((signature) => verify(null, message, key, signature)))
        return { key: index, publicKey: secret };
      continue;
    }
    const key = scheme.key === 'utf8' ? Buffer.from(secret, 'utf8') : decodeTaggedSecret(secret);
    if (key === undefined || key.length === 0 || macs.length === 0) continue;
    const mac = createHmac('sha256', key);
    for (const piece of signed) mac.update(piece);
    if (hasEqual(macs, mac.digest())) return { key: index };
  }
  return 'mismatch';
}

/** `whsec_` and base64, or base64 alone; a signing key (`whsk_`) is never a secret of a receiver. */
function decodeTaggedSecret(secret: string): Buffer | undefined {
  return decodeText(secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret, 'base64');
}

function matchSecret(
  scheme: SharedSecretScheme,
  envelope: Envelope,
  secrets: readonly string[],
): KeyMatch | SignatureFault {
  const values = listHeader(envelope.headers, scheme.header);
  if (values.every((value) => value === '')) return 'missing';
  const sent: Buffer[] = [];
  for (const value of values.slice(0, SIGNATURES_MAX)) {
    if (value.length > SIGNATURE_HEADER_CHARS_MAX) return 'malformed';
    const credential = CREDENTIAL[scheme.form].exec(value)?.[1];
    if (credential === undefined) continue;
    // Header values are bytes that arrived as Latin-1.
    const bytes = scheme.form === 'basic' ? decodeText(credential, 'base64') : Buffer.from(credential, 'latin1');
    if (bytes !== undefined) sent.push(sha256(bytes));
  }
  if (sent.length === 0) return 'malformed';
  // Hashes are compared, so that not even the length of the secret can be timed.
  for (const [index, secret] of secrets.entries()) {
    if (secret !== '' && hasEqual(sent, sha256(Buffer.from(secret, 'utf8')))) return { key: index };
  }
  return 'mismatch';
}

const CREDENTIAL = { plain: /^(.*)$/s, bearer: /^bearer +(.+)$/i, basic: /^basic +(.+)$/i } as const;

function matchPlivo(envelope: Envelope, secrets: readonly string[]): KeyMatch | SignatureFault {
  const nonce = single(listHeader(envelope.headers, 'x-plivo-signature-v3-nonce'));
  if (typeof nonce === 'string') return nonce;
  // `-MA-` is made with the main account's token, the other with the subaccount's: either token may be among the secrets.
  const headers = ['x-plivo-signature-v3', 'x-plivo-signature-ma-v3'];
  return matchTexts(envelope, headers, 'sha256', plivoSignedTexts(envelope, nonce.text), secrets);
}

/** Signatures (base64) over one of several possible texts: the first texts are the likely ones. */
function matchTexts(
  envelope: Envelope,
  headers: readonly string[],
  algorithm: 'sha1' | 'sha256',
  texts: Iterable<string>,
  secrets: readonly string[],
): KeyMatch | SignatureFault {
  const values = headers.flatMap((name) => listHeader(envelope.headers, name));
  const signatures = decodeSignatures(values, splitTokens(values), {
    algorithm: `hmac-${algorithm}`,
    encoding: 'base64',
  });
  if (typeof signatures === 'string') return signatures;
  for (const text of texts) {
    for (const [index, secret] of secrets.entries()) {
      if (secret === '') continue;
      if (hasEqual(signatures, textMac(algorithm, secret, text))) return { key: index };
    }
  }
  return 'mismatch';
}

/** WeChat's plain mode: SHA-1 of token, time and nonce in order of text. It does not cover the body; encrypted mode does. */
function matchWechat(envelope: Envelope, secrets: readonly string[], nowMs: number): KeyMatch | SignatureFault {
  const query = new Map(parseQuery(envelope.url).pairs);
  const sent = query.get('signature');
  const time = query.get('timestamp');
  const nonce = query.get('nonce');
  if (sent === undefined || time === undefined || nonce === undefined || sent === '') return 'missing';
  const signature = decodeText(sent, 'hex');
  if (signature?.length !== 20) return 'malformed';
  const fault = findTimeFault(
    { from: { query: 'timestamp' }, unit: 's', toleranceSeconds: 300 },
    envelope,
    new Map([['timestamp', [time]]]),
    nowMs,
  );
  if (fault !== undefined) return fault;
  for (const [index, secret] of secrets.entries()) {
    if (secret === '') continue;
    const expected = createHash('sha1').update([secret, time, nonce].sort().join(''), 'utf8').digest();
    if (hasEqual([signature], expected)) return { key: index };
  }
  return 'mismatch';
}

/** Is the signed time there, readable, and near enough to now? */
function findTimeFault(
  time: SignedTime,
  envelope: Envelope,
  items: ReadonlyMap<string, readonly string[]> | undefined,
  nowMs: number,
): SignatureFault | undefined {
  const { from } = time;
  const values =
    'header' in from
      ? listHeader(envelope.headers, from.header)
      : (items?.get('item' in from ? from.item : from.query) ?? []);
  const found = single(values);
  if (typeof found === 'string') return found;
  const instant =
    time.unit === 'iso'
      ? parseIsoInstant(found.text, 'transport')
      : parseEpochInstant(found.text, time.unit, 'transport');
  if (instant === undefined) return 'malformed';
  return Math.abs(nowMs - instant.ms) > time.toleranceSeconds * 1000 ? 'stale' : undefined;
}

/** The bytes of each signed piece, in order. */
function gatherPieces(
  pieces: readonly SignedPiece[],
  envelope: Envelope,
  items: ReadonlyMap<string, readonly string[]> | undefined,
): Uint8Array[] | SignatureFault {
  const gathered: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece === 'body') gathered.push(envelope.body);
    else if (piece === 'body-sha256') gathered.push(sha256(envelope.body));
    else if (piece === 'url') gathered.push(Buffer.from(envelope.url.replace(/#.*$/s, ''), 'utf8'));
    else if (piece === 'pubsub-data') {
      const data = pubsubData(envelope.body);
      if (data === undefined) return 'malformed';
      gathered.push(data);
    } else if ('text' in piece) gathered.push(Buffer.from(piece.text, 'utf8'));
    else {
      const values = 'header' in piece ? listHeader(envelope.headers, piece.header) : (items?.get(piece.item) ?? []);
      const value = single(values);
      if (typeof value === 'string') return value;
      gathered.push(Buffer.from(value.text, 'latin1'));
    }
  }
  return gathered;
}

function pubsubData(body: Uint8Array): Buffer | undefined {
  const push = parseJsonSafely(body);
  const message = isJsonObject(push) ? push['message'] : undefined;
  const data = isJsonObject(message) ? message['data'] : undefined;
  return typeof data === 'string' ? decodeText(data, 'base64') : undefined;
}

/** Every value of a header, in order. */
function listHeader(headers: Headers, name: string): string[] {
  const values: string[] = [];
  for (const [key, value] of headers) {
    if (key.length === name.length && key.toLowerCase() === name) values.push(value);
  }
  return values;
}

/** The one value of what must not contradict itself: a signed time, an id, a nonce. Repeated alike it is still one. */
function single(values: readonly string[]): { readonly text: string } | SignatureFault {
  const [text, ...rest] = values;
  if (text === undefined || text === '') return 'missing';
  return text.length > SIGNATURE_HEADER_CHARS_MAX || rest.some((value) => value !== text) ? 'malformed' : { text };
}

/** Signatures stand apart by commas or white space; neither occurs in hex or base64. */
function splitTokens(values: readonly string[]): string[] {
  const [value] = values;
  if (values.length === 1 && value !== undefined && !/[,\s]/.test(value)) return [value];
  return values.flatMap((text) => text.split(/[,\s]+/)).filter((token) => token !== '');
}

/** `t=1,v1=ab,v1=cd` as lists by name. */
function parseItems(values: readonly string[]): Map<string, string[]> {
  const items = new Map<string, string[]>();
  for (const token of splitTokens(values)) {
    const equals = token.indexOf('=');
    if (equals === -1) continue;
    const name = token.slice(0, equals);
    const list = items.get(name);
    if (list === undefined) items.set(name, [token.slice(equals + 1)]);
    else list.push(token.slice(equals + 1));
  }
  return items;
}

function decodeSignatures(
  values: readonly string[],
  tokens: readonly string[],
  scheme: Pick<HeaderScheme, 'algorithm' | 'encoding' | 'prefix'>,
): Buffer[] | SignatureFault {
  if (values.every((value) => value === '')) return 'missing';
  if (tokens.length > SIGNATURES_MAX || values.some((value) => value.length > SIGNATURE_HEADER_CHARS_MAX))
    return 'malformed';
  const signatures = decodeAll(tokens, scheme.prefix ?? '', scheme.encoding, DIGEST_BYTES[scheme.algorithm]);
  return signatures.length === 0 ? 'malformed' : signatures;
}

function decodeAll(
  tokens: readonly string[],
  prefix: string,
  encoding: 'hex' | 'base64',
  bytes: number | undefined,
): Buffer[] {
  const decoded: Buffer[] = [];
  for (const token of tokens) {
    if (!token.startsWith(prefix)) continue;
    const signature = decodeText(token.slice(prefix.length), encoding);
    if (signature !== undefined && signature.length > 0 && (bytes ?? signature.length) === signature.length) {
      decoded.push(signature);
    }
  }
  return decoded;
}

const TEXT_FORM = { hex: /^(?:[0-9a-f]{2})*$/i, base64: /^[A-Za-z0-9+/]*={0,2}$/ } as const;

/** Bytes of a hex or base64 text; undefined where it is none (`Buffer.from` would read around what it does not know). */
function decodeText(text: string, encoding: 'hex' | 'base64'): Buffer | undefined {
  return TEXT_FORM[encoding].test(text) ? Buffer.from(text, encoding) : undefined;
}

function hasEqual(candidates: readonly Buffer[], expected: Buffer): boolean {
  return candidates.some((candidate) => candidate.length === expected.length && timingSafeEqual(candidate, expected));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

const PUBLIC_KEYS_MAX = 256;
const publicKeys = new Map<string, KeyObject | undefined>();
/** Before the 32 bytes of a raw Ed25519 key, as SubjectPublicKeyInfo (RFC 8410 §4). */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** Reads a public key from settings, once; undefined where it is none. */
function findPublicKey(text: string, form: 'utf8' | 'base64' | 'hex' | 'pem'): KeyObject | undefined {
  const name = `${form} ${text}`;
  if (publicKeys.has(name)) return publicKeys.get(name);
  let key: KeyObject | undefined;
  try {
    key = createPublicKey({ key: publicKeyDer(text, form), format: 'der', type: 'spki' });
  } catch {
    key = undefined;
  }
  if (publicKeys.size >= PUBLIC_KEYS_MAX) publicKeys.clear();
  publicKeys.set(name, key);
  return key;
}

/** Freshchat labels its key `RSA PUBLIC KEY` although it is SubjectPublicKeyInfo, hence the armour is taken off whatever it says. */
function publicKeyDer(text: string, form: 'utf8' | 'base64' | 'hex' | 'pem'): Buffer {
  if (form === 'pem') return Buffer.from(text.replace(/-----[^-]*-----|\s/g, ''), 'base64');
  return Buffer.concat([ED25519_SPKI, decodeText(text.trim(), form === 'hex' ? 'hex' : 'base64') ?? Buffer.alloc(0)]);
}
