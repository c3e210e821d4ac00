/**
 * Guards what a body consists of: fields of forms, members of JSON, plain text, and what is written inside of those (JSON in a form field,
 * Base64 in JSON). Structure is never trusted: forms and JSON are split by linear scanners that accept anything, and whatever does not look
 * like what it should be is looked at as plain text as well.
 *
 * All functions give edits of their source; they keep no state and use no recursion but for what is nested in strings, three deep.
 */
import { findBase64Text } from './base64-runs.ts';
import { decodePart, sourceAt } from './decode.ts';
import type { Escape } from './decode.ts';
import { SECURITY_INDEX } from './context.ts';
import { fold } from './fold.ts';
import { addCounts, findMasks, findMasksBehind } from './guard-text.ts';
import type { GuardCounts, GuardOptions, Masks } from './guard-text.ts';
import { classifyKey } from './keys.ts';
import type { KeyKind } from './keys.ts';
import { findLabels } from './labels.ts';

/** Replaces a part of a source. */
export type Edit = { readonly start: number; readonly end: number; readonly text: string };

/** What was found in a source. */
export type SourceFindings = { readonly edits: readonly Edit[]; readonly counts: GuardCounts };

/** How a source is read. */
export type SourceKind = 'form' | 'json' | 'text';

/** Strings within strings are followed this deep. */
export const NESTING_MAX = 3;

/** A pass over one source; collects edits in the order of the source. */
export type Pass = {
  readonly source: string;
  /** Each character of the source is a byte. */
  readonly bytes: boolean;
  readonly options: GuardOptions;
  readonly depth: number;
  readonly edits: Edit[];
  counts: GuardCounts | undefined;
  /** What earlier values left behind for the next ones. */
  cardTail: string;
  cardAge: number;
  previous: Place | undefined;
};

/** A value within a source. */
export type Place = { readonly start: number; readonly end: number; readonly escape: Escape };

/** Begins a pass. */
export function beginPass(source: string, bytes: boolean, options: GuardOptions, depth: number): Pass {
  return { source, bytes, options, depth, edits: [], counts: undefined, cardTail: '', cardAge: 0, previous: undefined };
}

/** What a pass found. */
export function endPass(pass: Pass): SourceFindings | undefined {
  return pass.counts === undefined ? undefined : { edits: pass.edits, counts: pass.counts };
}

/** Applies edits, which are in order and do not overlap. */
export function applyEdits(source: string, edits: readonly Edit[]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const edit of edits) {
    pieces.push(source.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  pieces.push(source.slice(at));
  return pieces.join('');
}

/** Looks at one value under its name. `quoted` is false for a number of JSON, which becomes a string where it is masked. */
export function passValue(pass: Pass, place: Place, key: string | undefined, quoted = true): void {
  const decoded = decodePart(pass.source, pass.bytes, place.start, place.end, place.escape);
  const { text } = decoded;
  const kind = key === undefined ? 'neutral' : classifyKey(key);
  const found = findInValue(pass, text, kind);
  followCard(pass, text, found?.counts);
  pass.previous = place;
  if (found === undefined) return;
  pass.counts = addCounts(pass.counts, found.counts);
  if (!quoted) {
    pass.edits.push({ start: place.start, end: place.end, text: `"${applyEdits(text, found.edits)}"` });
    return;
  }
  for (const edit of found.edits) {
    pass.edits.push({
      start: sourceAt(decoded, edit.start),
      end: sourceAt(decoded, edit.end),
      text: encodeFor(place.escape, pass.bytes, edit.text),
    });
  }
}

/** A value short enough to be a code. */
const SHORT_VALUE_CHARS_MAX = 24;

function findInValue(pass: Pass, text: string, kind: KeyKind): SourceFindings | undefined {
  const prefix = prefixFor(pass, text, kind);
  const masks = prefix === '' ? findMasks(text, pass.options) : findMasksBehind(prefix, text, pass.options);
  if (masks !== undefined) return asEdits(masks);
  if (pass.cardTail !== '' && kind !== 'spared' && text.length <= SHORT_VALUE_CHARS_MAX) {
    const behind = findMasksBehind(`${pass.cardTail} `, text, pass.options);
    if (behind !== undefined) return asEdits(behind);
  }
  return findInside(text, pass.options, pass.depth);
}

function asEdits(masks: Masks): SourceFindings {
  return { edits: masks.ranges.map(([start, end]) => ({ start, end, text: '*' })), counts: masks.counts };
}

/** The words that a value stands behind, as its name or the value before it give them. */
function prefixFor(pass: Pass, text: string, kind: KeyKind): string {
  const short = text.length <= SHORT_VALUE_CHARS_MAX;
  switch (kind) {
    case 'security':
      return short ? 'cvv: ' : '';
    case 'one-time':
      return short && pass.options.oneTimeCodes ? 'otp: ' : '';
    case 'card':
      return 'card ';
    case 'spared':
      return /^\s*\+?\d+\s*$/.test(text) ? 'id: ' : '';
    case 'neutral':
      return short ? labelBefore(pass) : '';
    case 'plain':
      return '';
  }
}

const LABEL_CHARS_MAX = 64;

/** `{"label":"CVV","value":"123"}`: the value before ends with the name of a security code. */
function labelBefore(pass: Pass): string {
  const { previous } = pass;
  if (previous === undefined) return '';
  const start = Math.max(previous.start, previous.end - 6 * LABEL_CHARS_MAX);
  const before = decodePart(pass.source, pass.bytes, start, previous.end, previous.escape).text.slice(-LABEL_CHARS_MAX);
  const { chars } = fold(before);
  const last = findLabels(chars, SECURITY_INDEX).at(-1);
  return last !== undefined && !/\d/.test(chars.slice(last.end)) && chars.length - last.end <= 24 ? `${before}: ` : '';
}

const CARD_TAIL_CHARS_MAX = 128;
const CARD_AGE_MAX = 4;

/** Values behind one that held a card number may be its date of expiry and its code. */
function followCard(pass: Pass, text: string, counts: GuardCounts | undefined): void {
  if (counts?.['card-number'] !== undefined) {
    pass.cardTail = text.slice(-CARD_TAIL_CHARS_MAX);
    pass.cardAge = 0;
  } else if (pass.cardTail !== '') {
    pass.cardAge += 1;
    const long = text.length > 40 || pass.cardAge > CARD_AGE_MAX;
    pass.cardTail = long ? '' : `${pass.cardTail} ${text}`.slice(-CARD_TAIL_CHARS_MAX);
  }
}

/** Looks into what is written inside a text: JSON, Base64, percent-encoding. */
function findInside(text: string, options: GuardOptions, depth: number): SourceFindings | undefined {
  if (depth >= NESTING_MAX || text.length < 8) return undefined;
  if (/^\s*[{[]/.test(text) && text.includes('"')) {
    const nested = guardNested(text, options, depth + 1);
    if (nested !== undefined) return nested;
  }
  return findInBase64(text, options, depth) ?? findDecoded(text, false, 'percent', /%[0-9a-fA-F]{2}/, options);
}

/** Set by json-scan.ts, which needs this module in turn. */
let guardNested: (text: string, options: GuardOptions, depth: number) => SourceFindings | undefined = () => undefined;

/** Tells how JSON within a string is looked at. */
export function setNestedGuard(guard: typeof guardNested): void {
  guardNested = guard;
}

function findInBase64(text: string, options: GuardOptions, depth: number): SourceFindings | undefined {
  const edits: Edit[] = [];
  let counts: GuardCounts | undefined;
  for (const run of findBase64Text(text)) {
    const masks = findMasks(run.text, options);
    const found = masks === undefined ? findInside(run.text, options, depth + 1) : asEdits(masks);
    if (found === undefined) continue;
    edits.push({ start: run.start, end: run.end, text: run.encode(applyEdits(run.text, found.edits)) });
    counts = addCounts(counts, found.counts);
  }
  return counts === undefined ? undefined : { edits, counts };
}

function findDecoded(
  source: string,
  bytes: boolean,
  escape: Escape,
  sign: RegExp | undefined,
  options: GuardOptions,
): SourceFindings | undefined {
  if (sign !== undefined && !sign.test(source)) return undefined;
  const decoded = decodePart(source, bytes, 0, source.length, escape);
  const masks = findMasks(decoded.text, options);
  if (masks === undefined) return undefined;
  const edits = masks.ranges.map(([start, end]) => ({
    start: sourceAt(decoded, start),
    end: sourceAt(decoded, end),
    text: '*',
  }));
  return { edits, counts: masks.counts };
}

/**
 * Looks at a source as plain text, whatever it is: as it stands, and with each kind of escape undone that it shows signs of.
 * Gives the findings of the first reading that has any; the caller repeats until there are none.
 */
export function guardAsText(source: string, bytes: boolean, options: GuardOptions): SourceFindings | undefined {
  return (
    findDecoded(source, bytes, 'none', undefined, options) ??
    findDecoded(source, bytes, 'form', /%[0-9a-fA-F]{2}/, options) ??
    findDecoded(source, bytes, 'json', /\\u[0-9a-fA-F]{4}/, options) ??
    findDecoded(source, bytes, 'entities', /&#[x0-9]/, options) ??
    findDecoded(source, bytes, 'quoted-printable', /=(?:[0-9A-Fa-f]{2}|\r?\n)/, options) ??
    findInBase64(source, options, 0)
  );
}

/** Writes a replacement the way the source is written. Replacements are masks, Base64 and guarded JSON. */
function encodeFor(escape: Escape, bytes: boolean, text: string): string {
  if (text === '*') return text;
  switch (escape) {
    case 'json': {
      const quoted = JSON.stringify(text).slice(1, -1);
      return bytes ? Buffer.from(quoted, 'utf8').toString('latin1') : quoted;
    }
    case 'form':
    case 'percent':
      return encodeURIComponent(text.toWellFormed()).replaceAll('%20', escape === 'form' ? '+' : '%20');
    case 'none':
    case 'quoted-printable':
    case 'entities':
      return bytes ? Buffer.from(text, 'utf8').toString('latin1') : text;
  }
}
