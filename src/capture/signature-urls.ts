/**
 * What Twilio and Plivo sign: the public URL and the form's parameters in an order of their own. Both sign text, so that the same request
 * can be written in several ways; each way that the vendor's own library accepts is offered, the likely one first.
 */
import { createHash } from 'node:crypto';
import { parse, stringify } from 'node:querystring';
import type { Envelope } from '../model/envelope.ts';
import { parseForm, parseQuery } from './form.ts';
import type { FormPair } from './form.ts';

/**
 * The texts that Twilio may have signed for this request: each form of the URL, followed by the form's parameters. For a body that is
 * announced by `bodySHA256` in the URL (JSON), the texts are the URL alone, and there are none where the hash is not the body's.
 * Reference: Twilio "Secure webhooks"; twilio-node 6.2.0 `webhooks.validateRequest`, `validateRequestWithBody`.
 * @throws UnreadableEnvelope where the form is too large
 */
export function* twilioSignedTexts(envelope: Envelope): Generator<string> {
  // Connection overrides (`#rc=3`) belong to Twilio's settings, not to the request.
  const url = withoutFragment(envelope.url);
  const announced = url.includes('bodySHA256') ? findPair(parseQuery(url).pairs, 'bodySHA256') : undefined;
  if (announced !== undefined && announced.toLowerCase() !== hexSha256(envelope.body)) return;
  const parameters = announced === undefined ? sortedParameters(parseForm(envelope.body).pairs) : '';
  const tried = new Set<string>();
  for (const candidate of urlCandidates(url)) {
    if (tried.has(candidate)) continue;
    tried.add(candidate);
    yield candidate + parameters;
  }
}

/**
 * The texts that Plivo may have signed (V3): the URL with its query in order, the form's parameters in order, and the nonce.
 * Reference: Plivo "Validating requests", plivo-node 4.79.0.
 * @throws UnreadableEnvelope where query or form is too large
 */
export function* plivoSignedTexts(envelope: Envelope, nonce: string): Generator<string> {
  const url = withoutFragment(envelope.url);
  const mark = url.indexOf('?');
  const base = mark === -1 ? url : url.slice(0, mark);
  const query = [...parseQuery(url).pairs].sort(comparePairs);
  const ordered = query.map(([name, value]) => `${name}=${value}`).join('&');
  if (envelope.method.toUpperCase() === 'GET') {
    yield `${query.length === 0 ? base : `${base}?${ordered}`}.${nonce}`;
    return;
  }
  const parameters = sortedParameters(parseForm(envelope.body).pairs);
  yield `${base}?${query.length === 0 ? '' : `${ordered}.`}${parameters}.${nonce}`;
}

/** Names in order, each followed by its values in order; a value that repeats under its name counts once. Nothing is trimmed. */
function sortedParameters(pairs: readonly FormPair[]): string {
  const sorted = [...pairs].sort(comparePairs);
  // Joined at once: a text grown by many additions is costly to hash.
  const pieces: string[] = [];
  let last: FormPair | undefined;
  for (const pair of sorted) {
    if (last !== undefined && last[0] === pair[0] && last[1] === pair[1]) continue;
    pieces.push(pair[0], pair[1]);
    last = pair;
  }
  return pieces.join('');
}

/** Order of UTF-16 code units, which is what the vendors' libraries sort by. */
function comparePairs(a: FormPair, b: FormPair): number {
  if (a[0] < b[0]) return -1;
  if (a[0] !== b[0]) return 1;
  return a[1] < b[1] ? -1 : Number(a[1] !== b[1]);
}

/** Forms of one URL: as it is, without and with its port; then as WHATWG writes it; then with the query escaped as Node used to. */
function* urlCandidates(url: string): Generator<string> {
  yield withoutPort(url);
  yield withPort(url);
  const normalized = URL.parse(url)?.href;
  if (normalized === undefined) return;
  yield withoutPort(normalized);
  yield withPort(normalized);
  yield withLegacyQuery(withoutPort(normalized));
  yield withLegacyQuery(withPort(normalized));
}

type UrlParts = { readonly before: string; readonly port: string; readonly rest: string; readonly secure: boolean };

/** Takes a URL apart without changing a character of it; undefined where it has no scheme and authority. */
function splitUrl(url: string): UrlParts | undefined {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)((?:[^/?#]*@)?)(\[[^\]/?#]*\]|[^/?#:]*)((?::[^/?#]*)?)/i.exec(url);
  if (match === null) return undefined;
  const [whole, scheme = '', userInfo = '', host = '', port = ''] = match;
  return {
    before: scheme + userInfo + host,
    port,
    rest: url.slice(whole.length),
    secure: scheme.toLowerCase() === 'https://',
  };
}

function withoutPort(url: string): string {
  const parts = splitUrl(url);
  return parts === undefined ? url : parts.before + parts.rest;
}

function withPort(url: string): string {
  const parts = splitUrl(url);
  if (parts === undefined || parts.port !== '') return url;
  return `${parts.before}:${parts.secure ? '443' : '80'}${parts.rest}`;
}

function withLegacyQuery(url: string): string {
  const mark = url.indexOf('?');
  return mark === -1 || mark === url.length - 1
    ? url
    : `${url.slice(0, mark)}?${stringify(parse(url.slice(mark + 1)))}`;
}

function withoutFragment(url: string): string {
  const mark = url.indexOf('#');
  return mark === -1 ? url : url.slice(0, mark);
}

function findPair(pairs: readonly FormPair[], name: string): string | undefined {
  return pairs.find((pair) => pair[0] === name)?.[1];
}

function hexSha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
