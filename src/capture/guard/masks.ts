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

/** What to mask: ranges of single characters of the original text, in order, not overlapping; each becomes one `*`. */
export type Masks = { readonly ranges: readonly Range[]; readonly counts: GuardCounts };
export type Range = readonly [start: number, end: number];

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

/** Replaces each range by one `*`. */
export function applyMasks(text: string, ranges: readonly Range[]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const [start, end] of ranges) {
    if (start > at) pieces.push(text.slice(at, start));
    pieces.push('*');
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
  if (text.length <= PIECE_CHARS + MARGIN_CHARS) return findMasksInPiece(text, options, 0, text.length);
  const ranges: Range[] = [];
  let counts: GuardCounts | undefined;
  for (let core = 0; core < text.length; core += PIECE_CHARS) {
    const from = Math.max(0, core - MARGIN_CHARS);
    const piece = text.slice(from, core + PIECE_CHARS + MARGIN_CHARS);
    const masks = findMasksInPiece(piece, options, core - from, core - from + PIECE_CHARS);
    if (masks === undefined) continue;
    const last = ranges.at(-1)?.[1] ?? 0;
    for (const [start, end] of masks.ranges) if (start + from >= last) ranges.push([start + from, end + from]);
    counts = addCounts(counts, masks.counts);
  }
  return counts === undefined ? undefined : { ranges, counts };
}

/**
 * Finds what has to be masked in a text that stands behind another one, which is context only. Ranges are of the text.
 * @returns undefined where there is nothing
 */
export function findMasksBehind(before: string, text: string, options: GuardOptions): Masks | undefined {
  const masks =
    before.length + text.length <= PIECE_CHARS
      ? findMasksInPiece(before + text, options, before.length, before.length + text.length)
      : findMasks(text, options);
  if (masks === undefined || before.length + text.length > PIECE_CHARS) return masks;
  const { length } = before;
  return { ranges: masks.ranges.map(([start, end]): Range => [start - length, end - length]), counts: masks.counts };
}

/** Only what begins between `coreStart` and `coreEnd` counts; the rest is context. */
function findMasksInPiece(text: string, options: GuardOptions, coreStart: number, coreEnd: number): Masks | undefined {
  const folded = fold(text);
  const collector: Collector = { widths: undefined };
  const counts: { [kind in GuardKind]?: number } = {};
  const take = (kind: GuardKind, start: number, end: number, keep?: (index: number) => boolean): void => {
    const from = originalStart(folded, start);
    if (from < coreStart || from >= coreEnd) return;
    if (collectMasks(folded, text, start, end, keep, collector)) counts[kind] = (counts[kind] ?? 0) + 1;
  };
  findAll(folded.chars, options, take);
  const { widths } = collector;
  if (widths === undefined) return undefined;
  const ranges: Range[] = [];
  for (let index = 0; index < widths.length; index += 1) {
    const width = widths[index] ?? 0;
    if (width > 0) ranges.push([index, index + width]);
  }
  return { ranges, counts };
}

/** For each character of the original that is to be masked, at its first unit, how many units it has. */
type Collector = { widths: Uint8Array | undefined };

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
  folded: Folded,
  text: string,
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
    const from = originalStart(folded, index);
    if (text.charAt(from) === '*') continue;
    collector.widths ??= new Uint8Array(text.length);
    if (collector.widths[from] === 0) added = true;
    collector.widths[from] = originalEnd(folded, text, index) - from;
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
