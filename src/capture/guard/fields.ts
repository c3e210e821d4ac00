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
import { isDerivedField } from './derived.ts';
import { fold } from './fold.ts';
import { addCounts, findMasks, findMasksBehind, maxCounts } from './masks.ts';
import type { GuardCounts, GuardOptions, Masks } from './masks.ts';
import { mayHoldCardData } from './prefilter.ts';
import { classifyKey } from './keys.ts';
import type { KeyKind } from './keys.ts';
import { findLabels } from './labels.ts';
import { scanForm, scanJson } from './scan.ts';
import type { Scanned, SourceKind } from './scan.ts';

/** Replaces a part of a source. */
export type Edit = { readonly start: number; readonly end: number; readonly text: string };

/** What was found in a source. */
export type SourceFindings = { readonly edits: readonly Edit[]; readonly counts: GuardCounts };

/** Strings within strings are followed this deep. */
const NESTING_MAX = 3;

/**
 * Looks at a source once. Where something is found there may be more: the caller applies the edits and asks again until nothing is found.
 * @param bytes true where each character of the source is a byte
 */
export function guardSource(
  source: string,
  bytes: boolean,
  kind: SourceKind,
  options: GuardOptions,
): SourceFindings | undefined {
  if (kind === 'text') return guardAsText(source, bytes, options);
  const pass = kind === 'json' ? passJson(source, bytes, options, 0) : passForm(source, bytes, options);
  return (pass.wellFormed ? undefined : guardAsText(source, bytes, options)) ?? endPass(pass);
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

/** A pass over one source; collects edits in the order of the source. */
type Pass = {
  readonly source: string;
  readonly bytes: boolean;
  /** The same as bytes, where each character of the source is one: most values can be ruled out without decoding. */
  readonly body: Uint8Array | undefined;
  readonly options: GuardOptions;
  readonly depth: number;
  readonly edits: Edit[];
  counts: GuardCounts | undefined;
  wellFormed: boolean;
  /** What earlier values left behind for the next ones. */
  cardTail: string;
  cardAge: number;
  previous: Place | undefined;
};

/** A value within a source. */
type Place = { readonly start: number; readonly end: number; readonly escape: Escape };

function beginPass(source: string, bytes: boolean, options: GuardOptions, depth: number): Pass {
  const body = bytes ? Buffer.from(source, 'latin1') : undefined;
  return {
    ...{ source, bytes, body, options, depth, edits: [], counts: undefined },
    ...{ wellFormed: true, cardTail: '', cardAge: 0, previous: undefined },
  };
}

function endPass(pass: Pass): SourceFindings | undefined {
  return pass.counts === undefined ? undefined : { edits: pass.edits, counts: pass.counts };
}

function passJson(source: string, bytes: boolean, options: GuardOptions, depth: number): Pass {
  const pass = beginPass(source, bytes, options, depth);
  let kind: KeyKind = 'neutral';
  let fresh = false;
  pass.wellFormed = scanJson(source, {
    string: (value, isKey) => {
      if (isKey) {
        const named = classifyKey(
          decodePart(source, bytes, value.start, Math.min(value.end, value.start + KEY_CHARS_MAX), 'json').text,
        );
        // In `"cvv": { "value": "123" }` the outer name speaks for the inner one.
        if (!(fresh && named === 'neutral')) kind = named;
        fresh = true;
        passName(pass, value, 'json');
        return;
      }
      fresh = false;
      passString(pass, value, 'json', kind);
    },
    number: (value) => {
      fresh = false;
      if (value.digits >= 13 || pass.cardTail !== '' || (value.digits >= 3 && kind !== 'plain' && kind !== 'spared')) {
        passValue(pass, { ...placeOf(value), escape: 'none' }, kind, false);
      }
    },
  });
  return pass;
}

const KEY_CHARS_MAX = 512;

function passForm(source: string, bytes: boolean, options: GuardOptions): Pass {
  const pass = beginPass(source, bytes, options, 0);
  pass.wellFormed = scanForm(source, (name, value) => {
    passName(pass, name, 'form');
    if (value === undefined) return;
    const nameEnd = Math.min(name.end, name.start + KEY_CHARS_MAX);
    const kind = isWorthALook(value)
      ? classifyKey(decodePart(source, bytes, name.start, nameEnd, 'form').text)
      : 'plain';
    passString(pass, value, 'form', kind);
  });
  return pass;
}

/** Looks at the name of a field where there is reason to. */
function passName(pass: Pass, name: Scanned, escape: Escape): void {
  const place: Place = { start: name.start, end: name.end, escape };
  if (isWorthALook(name) && mayHold(pass, place)) lookAt(pass, place, 'plain', true);
}

/** Looks at a value where there is reason to. */
function passString(pass: Pass, value: Scanned, escape: Escape, kind: KeyKind): void {
  const place: Place = { start: value.start, end: value.end, escape };
  if (pass.cardTail !== '' || (isWorthALook(value) && (hasContext(pass, kind) || mayHold(pass, place)))) {
    passValue(pass, place, kind, true);
  } else pass.previous = place;
}

/** Looks at a value, and remembers what it means for the next ones. */
function passValue(pass: Pass, place: Place, kind: KeyKind, quoted: boolean): void {
  const { text, counts } = lookAt(pass, place, kind, quoted);
  followCard(pass, text, counts);
  pass.previous = place;
}

/** Can what stands around a value make something of it that it is not by itself? */
function hasContext(pass: Pass, kind: KeyKind): boolean {
  return kind === 'security' || kind === 'neutral' || (kind === 'one-time' && pass.options.oneTimeCodes);
}

function mayHold(pass: Pass, place: Place): boolean {
  if (pass.body === undefined) return true;
  const kind = place.escape === 'form' || place.escape === 'json' ? place.escape : 'text';
  return mayHoldCardData(pass.body.subarray(place.start, place.end), kind, pass.options.oneTimeCodes);
}

function placeOf(value: Scanned): { start: number; end: number } {
  return { start: value.start, end: value.end };
}

/** Without three digits only spoken ones or Base64 could matter. */
function isWorthALook(value: Scanned): boolean {
  return value.digits >= 3 || value.coded || value.end - value.start >= 10;
}

/** Looks at one text under its name. `quoted` is false for a number of JSON, which becomes a string where it is masked. */
function lookAt(
  pass: Pass,
  place: Place,
  kind: KeyKind,
  quoted: boolean,
): { readonly text: string; readonly counts: GuardCounts | undefined } {
  const decoded = decodePart(pass.source, pass.bytes, place.start, place.end, place.escape);
  const text = quoted ? decoded.text : plainNumber(decoded.text);
  const found = findInValue(pass, text, kind);
  if (found === undefined) return { text, counts: undefined };
  pass.counts = addCounts(pass.counts, found.counts);
  if (!quoted) {
    pass.edits.push({ start: place.start, end: place.end, text: `"${applyEdits(text, found.edits)}"` });
    return { text, counts: found.counts };
  }
  for (const edit of found.edits) {
    pass.edits.push({
      start: sourceAt(decoded, edit.start),
      end: sourceAt(decoded, edit.end),
      text: encodeFor(place.escape, pass.bytes, edit.text),
    });
  }
  return { text, counts: found.counts };
}

/** `4.111111111111111E15` is a card number to whoever reads the JSON. */
function plainNumber(text: string): string {
  if (!/[.eE]/.test(text)) return text;
  const value = Number(text);
  return Number.isSafeInteger(value) ? String(value) : text;
}

/** A value short enough to be a code. */
const SHORT_VALUE_CHARS_MAX = 24;

function findInValue(pass: Pass, text: string, kind: KeyKind): SourceFindings | undefined {
  const nested = findNested(text, pass.options, pass.depth);
  if (nested !== undefined) return nested.found;
  const decoded = findDecoded(text, false, 'percent', PERCENT_SIGN, pass.options);
  const prefix = prefixFor(pass, text, kind);
  const masks = prefix === '' ? findMasks(text, pass.options) : findMasksBehind(prefix, text, pass.options);
  if (masks !== undefined) return joinFindings(decoded, asEdits(masks));
  if (decoded !== undefined) return decoded;
  if (pass.cardTail !== '' && kind !== 'spared' && text.length <= SHORT_VALUE_CHARS_MAX) {
    const behind = findMasksBehind(`${pass.cardTail} `, text, pass.options);
    if (behind !== undefined) return asEdits(behind);
  }
  return findInBase64(text, pass.options, pass.depth);
}

const PERCENT_SIGN = /%[0-9a-fA-F]{2}/;

function asEdits({ ranges, counts }: Masks): SourceFindings {
  return { edits: ranges.map(({ start, end, stars }) => ({ start, end, text: '*'.repeat(stars) })), counts };
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

/** JSON within a string; undefined where the text is none. */
function findNested(
  text: string,
  options: GuardOptions,
  depth: number,
): { readonly found: SourceFindings | undefined } | undefined {
  if (depth >= NESTING_MAX || !/^\s{0,64}[{[]/.test(text) || !text.includes('"')) return undefined;
  const pass = passJson(text, false, options, depth + 1);
  return pass.wellFormed ? { found: endPass(pass) } : undefined;
}

function findInBase64(text: string, options: GuardOptions, depth: number): SourceFindings | undefined {
  if (depth >= NESTING_MAX) return undefined;
  const edits: Edit[] = [];
  let counts: GuardCounts | undefined;
  for (const run of findBase64Text(text)) {
    const found = findInRun(run.text, options, depth + 1);
    if (found === undefined) continue;
    edits.push({ start: run.start, end: run.end, text: run.encode(applyEdits(run.text, found.edits)) });
    counts = addCounts(counts, found.counts);
  }
  return counts === undefined ? undefined : { edits, counts };
}

function findInRun(text: string, options: GuardOptions, depth: number): SourceFindings | undefined {
  const nested = findNested(text, options, depth);
  if (nested !== undefined) return nested.found;
  const masks = findMasks(text, options);
  return masks === undefined ? findInBase64(text, options, depth) : asEdits(masks);
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
  const edits = asEdits(masks).edits.map(({ start, end, text }) => ({
    start: sourceAt(decoded, start),
    end: sourceAt(decoded, end),
    text,
  }));
  return { edits, counts: masks.counts };
}

/** Looks at a source as plain text, whatever it is: as it stands, and with each kind of escape undone that it shows signs of. */
function guardAsText(source: string, bytes: boolean, options: GuardOptions): SourceFindings | undefined {
  const readings = [
    findDecoded(source, bytes, 'none', undefined, options),
    findDecoded(source, bytes, 'form', PERCENT_SIGN, options),
    findDecoded(source, bytes, 'json', /\\u[0-9a-fA-F]{4}/, options),
    findDecoded(source, bytes, 'entities', /&#[x0-9]/, options),
    findDecoded(source, bytes, 'quoted-printable', /=\r?\n|=3[0-9D]|(?:=[0-9A-F]{2}){2}/, options),
    findInBase64(source, options, 0),
  ];
  return readings.reduce(joinFindings, undefined);
}

/** Joins what two readings of the same source found; of overlapping edits the first and longest stays, the next round sees the rest. */
function joinFindings(a: SourceFindings | undefined, b: SourceFindings | undefined): SourceFindings | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  const all = [...a.edits, ...b.edits].sort((x, y) => x.start - y.start || y.end - x.end);
  const edits: Edit[] = [];
  let end = 0;
  for (const edit of all) {
    if (edit.start < end) continue;
    edits.push(edit);
    end = edit.end;
  }
  return { edits, counts: maxCounts(a.counts, b.counts) };
}

/**
 * Masks the values of fields that hold a signature or hash of the rest; used where something was taken out.
 * The source is bytes, one character each; nothing else is changed.
 */
export function maskDerivedFields(source: string, kind: SourceKind): string {
  const edits: Edit[] = [];
  const mask = ({ start, end }: Scanned): void => {
    if (end - start >= 8) edits.push({ start, end, text: '*'.repeat(end - start) });
  };
  let derived = false;
  if (kind === 'json') {
    scanJson(source, {
      string: (value, isKey) => {
        if (isKey) derived = value.end - value.start <= 32 && isDerivedField(source.slice(value.start, value.end));
        else if (derived) mask(value);
      },
      number: () => undefined,
    });
  } else if (kind === 'form') {
    scanForm(source, (name, value) => {
      const short = name.end - name.start <= 32;
      if (value !== undefined && short && isDerivedField(source.slice(name.start, name.end))) mask(value);
    });
  }
  return applyEdits(source, edits);
}

/** Writes a replacement the way the source is written. Replacements are masks, Base64 and guarded JSON. */
function encodeFor(escape: Escape, bytes: boolean, text: string): string {
  if (/^\*+$/.test(text)) return text;
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
