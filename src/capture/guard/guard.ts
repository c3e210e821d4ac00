/**
 * Guard: takes out of texts and envelopes what must never become durable: card security codes and track data (PCI DSS 3.3.1), and masks card
 * numbers (3.4.1: the first six and last four digits may stay) and, where a shop set it, one-time codes.
 *
 * - Runs before anything is written, sealed, hashed or logged, quarantine included; what it found is told by kind and count, never by value.
 * - Recognises what it can; what is found later (a picture, a code split over two texts) is the archive's matter.
 * - Pure and linear: no input, however hostile, costs more than its length; no clock, no I/O, no state but caches of folded characters.
 * - A doubt about a security code goes against keeping; a doubt about a long number goes by the words, shapes and check digits around it,
 *   because order, parcel and telephone numbers are what shops write about all day, and ids are what platforms do.
 * - Where nothing is found, text and envelope are returned as they came: the very same object. Where something is, all other bytes of the
 *   body stay, and everything goes that was derived from the body and from which three digits could be guessed.
 * - Doing it twice changes nothing.
 *
 * The way: prefilter.ts rules out most bodies in one pass over the bytes; scan.ts and fields.ts split what remains into values; decode.ts
 * undoes escapes with the way back; fold.ts makes spellings one; card-numbers.ts, security-codes.ts, track-data.ts, one-time-codes.ts find.
 */
import type { Envelope } from '../../model/envelope.ts';
import { findHeader } from '../../model/envelope.ts';
import type { Headers } from '../../model/record.ts';
import { findQuery, isDerivedHeader, withoutDerivedHeaders, withoutDerivedParameters } from './derived.ts';
import { applyEdits, guardSource, maskDerivedFields } from './fields.ts';
import type { SourceKind } from './scan.ts';
import { addCounts, applyMasks, findMasks } from './masks.ts';
import type { GuardCounts, GuardOptions } from './masks.ts';
import { mayHoldCardData } from './prefilter.ts';

export type { GuardCounts, GuardKind, GuardOptions } from './masks.ts';

/** A text without what must not be kept. */
export type GuardedText = { readonly text: string; readonly findings?: GuardCounts };

/** An envelope without what must not be kept. */
export type GuardedEnvelope = { readonly envelope: Envelope; readonly findings: GuardCounts | undefined };

/**
 * A mask can make plain what stands beside it, and values are found one spelling after the other; the bound is far beyond what was ever
 * seen, and each round is linear.
 */
const ROUNDS_MAX = 12;

/**
 * Takes out card security codes and track data, masks card numbers and, if set, one-time codes. Each character taken out becomes one `*`;
 * of a card number the first six and last four digits stay.
 * @param text any text, of whatever length
 * @returns the very same string, without `findings`, where nothing was found
 */
export function guardText(text: string, options: GuardOptions): GuardedText {
  let guarded = text;
  let findings: GuardCounts | undefined;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const masks = findMasks(guarded, options);
    if (masks === undefined) break;
    guarded = applyMasks(guarded, masks.ranges);
    findings = addCounts(findings, masks.counts);
  }
  return findings === undefined ? { text } : { text: guarded, findings };
}

/**
 * Does the same to an envelope, byte for byte: body, headers and query of the URL, as form, JSON or text, without trusting that they are what they
 * are said to be. A number of JSON that is masked becomes a string.
 * @param envelope as it came from outside; its body may be any bytes of any size
 * @returns the very same envelope, without `findings`, where nothing was found; else one whose headers, query parameters and fields that
 *   were derived from the body are gone
 */
export function guardEnvelope(envelope: Envelope, options: GuardOptions): GuardedEnvelope {
  const kind = kindOf(envelope);
  const doubts = findDoubts(envelope, kind, options);
  if (!doubts.body && !doubts.query && !doubts.headers) return { envelope, findings: undefined };
  const source = toSource(envelope.body);
  const query = findQuery(envelope.url);
  const body = doubts.body ? guardRounds(source, true, kind, options) : undefined;
  const inQuery =
    doubts.query && query !== undefined
      ? guardRounds(envelope.url.slice(query.start, query.end), false, 'form', options)
      : undefined;
  const inHeaders = doubts.headers ? guardHeaders(envelope.headers, options) : undefined;
  const findings = addCounts(addCounts(body?.counts, inQuery?.counts), inHeaders?.counts);
  if (findings === undefined) return { envelope, findings: undefined };
  const url =
    query === undefined || inQuery === undefined
      ? envelope.url
      : envelope.url.slice(0, query.start) + inQuery.source + envelope.url.slice(query.end);
  return {
    envelope: {
      ...envelope,
      url: withoutDerivedParameters(url),
      headers: withoutDerivedHeaders(inHeaders?.headers ?? envelope.headers),
      body: Buffer.from(maskDerivedFields(body?.source ?? source, kind), 'latin1'),
    },
    findings,
  };
}

/** The quick look alone: may there be something to take out? Yes where it does not know; never no where there is. */
export function isDoubtful(envelope: Envelope, options: GuardOptions): boolean {
  const doubts = findDoubts(envelope, kindOf(envelope), options);
  return doubts.body || doubts.query || doubts.headers;
}

type Doubts = { readonly body: boolean; readonly query: boolean; readonly headers: boolean };

function findDoubts(envelope: Envelope, kind: SourceKind, options: GuardOptions): Doubts {
  const query = findQuery(envelope.url);
  const inText = (text: string, as: SourceKind): boolean =>
    text !== '' && mayHoldCardData(Buffer.from(text, 'utf8'), as, options.oneTimeCodes);
  return {
    body: mayHoldCardData(envelope.body, kind, options.oneTimeCodes),
    query: query !== undefined && inText(envelope.url.slice(query.start, query.end), 'form'),
    headers: inText(guardedHeaders(envelope.headers), 'text'),
  };
}

/** Headers that no text of a person stands in, by what they are for. */
const PLAIN_HEADERS: ReadonlySet<string> = new Set(
  'host connection accept accept-encoding accept-language content-type content-length transfer-encoding date'.split(
    ' ',
  ),
);

/** Names and values of the headers that could hold a text, one a line. Those derived from the body are random to whoever reads them. */
function guardedHeaders(headers: Headers): string {
  let lines = '';
  for (const [name, value] of headers) {
    if (isGuardedHeader(name)) lines += `${name}: ${value}\n`;
  }
  return lines;
}

function isGuardedHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return !PLAIN_HEADERS.has(lower) && !isDerivedHeader(lower);
}

/** Each header by itself, under its name: `X-Request-Id: 4111…` is an id. */
function guardHeaders(
  headers: Headers,
  options: GuardOptions,
): { readonly headers: Headers; readonly counts: GuardCounts | undefined } {
  let counts: GuardCounts | undefined;
  const guarded = headers.map(([name, value]): readonly [string, string] => {
    if (!isGuardedHeader(name)) return [name, value];
    const found = guardRounds(`${name}: ${value}`, false, 'text', options);
    if (found === undefined) return [name, value];
    counts = addCounts(counts, found.counts);
    const at = found.source.indexOf(': ');
    return [found.source.slice(0, at), found.source.slice(at + 2)];
  });
  return { headers: guarded, counts };
}

type Guarded = { readonly source: string; readonly counts: GuardCounts };

function guardRounds(source: string, bytes: boolean, kind: SourceKind, options: GuardOptions): Guarded | undefined {
  let guarded = source;
  let counts: GuardCounts | undefined;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const found = guardSource(guarded, bytes, kind, options);
    if (found === undefined) break;
    guarded = applyEdits(guarded, found.edits);
    counts = addCounts(counts, found.counts);
  }
  return counts === undefined ? undefined : { source: guarded, counts };
}

/** One character a byte. */
function toSource(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
}

/** JSON is told by how it begins, since platforms send it as `text/plain` too; a form only by its content type. */
function kindOf(envelope: Envelope): SourceKind {
  const { body } = envelope;
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  while (at < 64 && (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09)) at += 1;
  if (body[at] === 0x7b || body[at] === 0x5b) return 'json';
  const type = findHeader(envelope.headers, 'content-type');
  return type !== undefined && /^\s*application\/x-www-form-urlencoded/i.test(type) ? 'form' : 'text';
}
