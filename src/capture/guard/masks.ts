/**
 * What to mask in a text: all detectors together, and the way from what they found in the folded text to characters of the original.
 */
import { findCardNumbers, findMaskedCards } from './card-numbers.ts';
import { fold, isDigit, originalEnd, originalStart } from './fold.ts';
import type { Folded } from './fold.ts';
import { findOneTimeCodes } from './one-time-codes.ts';
import { findSecurityCodes } from './security-codes.ts';
import { findRuns } from './tokens.ts';
import { findTrackData } from './track-data.ts';

/** Kinds of what guard takes out. */
export type GuardKind = 'card-security-code' | 'track-data' | 'card-number' | 'one-time-code';

/** What was taken out, by kind and count. */
export type GuardCounts = { readonly [kind in GuardKind]?: number };

export type GuardOptions = {
  /** Mask one-time codes too. */
  readonly oneTimeCodes: boolean;
};

/** What to mask: ranges of the original text, in order, not overlapping. */
export type Masks = { readonly ranges: readonly MaskRange[]; readonly counts: GuardCounts };
/** Characters beside each other; each becomes one `*`, and it may have two units. */
export type MaskRange = { readonly start: number; readonly end: number; readonly stars: number };

/** Adds up the counts of two different texts. */
export function addCounts(a: GuardCounts | undefined, b: GuardCounts | undefined): GuardCounts | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : combineCounts(a, b, (x, y) => x + y);
}

/** The counts of two readings of one text. */
export function maxCounts(a: GuardCounts, b: GuardCounts): GuardCounts {
  return combineCounts(a, b, Math.max);
}

function combineCounts(a: GuardCounts, b: GuardCounts, combine: (x: number, y: number) => number): GuardCounts {
  const combined: { [kind in GuardKind]?: number } = {};
  for (const kind of GUARD_KINDS) {
    const count = combine(a[kind] ?? 0, b[kind] ?? 0);
    if (count > 0) combined[kind] = count;
  }
  return combined;
}

const GUARD_KINDS: readonly GuardKind[] = ['card-security-code', 'track-data', 'card-number', 'one-time-code'];

/** Replaces each character of the ranges by one `*`. */
export function applyMasks(text: string, ranges: readonly MaskRange[]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const { start, end, stars } of ranges) {
    pieces.push(text.slice(at, start), '*'.repeat(stars));
    at = end;
  }
  pieces.push(text.slice(at));
  return pieces.join('');
}

/** Longer texts are looked at piece by piece, so that memory stays bounded; the margins hold all context that detection looks at. */
const PIECE_CHARS = 262_144;
const MARGIN_CHARS = 1_024;

/**
 * Finds what has to be masked in a text.
 * @returns undefined where there is nothing
 */
export function findMasks(text: string, options: GuardOptions): Masks | undefined {
  if (text.length < 3) return undefined;
  const collector = openCollector(text.length);
  if (text.length <= PIECE_CHARS + MARGIN_CHARS) {
    collectInPiece({ text, options, from: 0, coreStart: 0, coreEnd: text.length }, collector);
    return closeCollector(collector);
  }
  for (let coreStart = 0; coreStart < text.length; coreStart += PIECE_CHARS) {
    const from = Math.max(0, coreStart - MARGIN_CHARS);
    const coreEnd = coreStart + PIECE_CHARS;
    collectInPiece({ text: text.slice(from, coreEnd + MARGIN_CHARS), options, from, coreStart, coreEnd }, collector);
  }
  return closeCollector(collector);
}

/**
 * Finds what has to be masked in a text that stands behind another one, which is context only. Ranges are of the text.
 * @returns undefined where there is nothing
 */
export function findMasksBehind(before: string, text: string, options: GuardOptions): Masks | undefined {
  if (before.length + text.length > PIECE_CHARS) return findMasks(text, options);
  const collector = openCollector(text.length);
  const piece = { text: before + text, options, from: -before.length, coreStart: 0, coreEnd: text.length };
  collectInPiece(piece, collector);
  return closeCollector(collector);
}

/** Part of a text, with where it begins in it; only what begins between `coreStart` and `coreEnd` of the text counts, the rest is context. */
type Piece = {
  readonly text: string;
  readonly options: GuardOptions;
  readonly from: number;
  readonly coreStart: number;
  readonly coreEnd: number;
};

/** For each character of the text that is to be masked, at its first unit, how many units it has: one byte each, whatever is found. */
type Collector = { readonly length: number; widths: Uint8Array | undefined; counts: GuardCounts | undefined };

function openCollector(length: number): Collector {
  return { length, widths: undefined, counts: undefined };
}

function collectInPiece({ text, options, from, coreStart, coreEnd }: Piece, collector: Collector): void {
  const folded = fold(text);
  const counts: { [kind in GuardKind]?: number } = {};
  findAll(folded.chars, options, (kind, start, end, keep) => {
    const begin = originalStart(folded, start) + from;
    if (begin < coreStart || begin >= coreEnd) return;
    if (collectMasks({ folded, text, from }, start, end, keep, collector)) counts[kind] = (counts[kind] ?? 0) + 1;
  });
  if (Object.keys(counts).length > 0) collector.counts = addCounts(collector.counts, counts);
}

/** Makes ranges of what was collected: neighbours become one, since a body of card numbers alone has a million masked characters. */
function closeCollector({ widths, counts }: Collector): Masks | undefined {
  if (widths === undefined || counts === undefined) return undefined;
  const ranges: MaskRange[] = [];
  for (let at = 0; at < widths.length;) {
    if (widths[at] === 0) {
      at += 1;
      continue;
    }
    const start = at;
    let stars = 0;
    for (let width = widths[at] ?? 0; width > 0; width = widths[at] ?? 0) {
      stars += 1;
      at += width;
    }
    ranges.push({ start, end: at, stars });
  }
  return { ranges, counts };
}

type Take = (kind: GuardKind, start: number, end: number, keep?: (index: number) => boolean) => void;

function findAll(chars: string, options: GuardOptions, take: Take): void {
  const runs = findRuns(chars);
  const found = runs.starts.length > 0;
  const cards = found ? findCardNumbers(chars, runs) : [];
  const masked = found ? findMaskedCards(chars, runs) : [];
  if (found) {
    for (const track of findTrackData(chars, runs)) take('track-data', track.start, track.end, keepNothing);
  }
  for (const code of findSecurityCodes(chars, [...cards, ...masked])) {
    const [first] = code.pieces;
    const last = code.pieces.at(-1);
    if (first !== undefined && last !== undefined) take('card-security-code', first.start, last.end);
  }
  for (const card of cards) take('card-number', card.start, card.end, keepEnds(chars, card.start, card.digits));
  if (options.oneTimeCodes && found) {
    for (const code of findOneTimeCodes(chars)) take('one-time-code', code.start, code.end);
  }
}

function keepNothing(): boolean {
  return false;
}

const FIRST_KEPT = 6;
const LAST_KEPT = 4;

/** Keeps the first six and last four digits of a card number. Called once for each character, in order. */
function keepEnds(chars: string, start: number, digits: number): (index: number) => boolean {
  let at = start;
  let seen = 0;
  return (index) => {
    while (at <= index) {
      if (isDigit(chars.charCodeAt(at))) seen += 1;
      at += 1;
    }
    return seen <= FIRST_KEPT || seen > digits - LAST_KEPT;
  };
}

/** Puts the original characters of a span into the collector; without `keep` only digits and letters are masked, with it all but those kept. */
function collectMasks(
  { folded, text, from }: { readonly folded: Folded; readonly text: string; readonly from: number },
  start: number,
  end: number,
  keep: ((index: number) => boolean) | undefined,
  collector: Collector,
): boolean {
  let added = false;
  for (let index = start; index < end; index += 1) {
    if (
      keep === undefined ? !isCodeCharacter(folded.chars.charCodeAt(index)) : keepsCharacter(folded.chars, index, keep)
    )
      continue;
    const original = originalStart(folded, index);
    if (text.charAt(original) === '*') continue;
    collector.widths ??= new Uint8Array(collector.length);
    if (collector.widths[original + from] === 0) added = true;
    collector.widths[original + from] = originalEnd(folded, text, index) - original;
  }
  return added;
}

function isCodeCharacter(code: number): boolean {
  return code > 0x20 && !'-.,;:/_|·•()[]'.includes(String.fromCharCode(code));
}

function keepsCharacter(chars: string, index: number, keep: (index: number) => boolean): boolean {
  if (keep === keepNothing) return false;
  return keep(index) || !isDigit(chars.charCodeAt(index));
}
