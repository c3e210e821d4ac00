/**
 * Finds labels (`cvv`, `security code`, `Prüfziffer` …) in folded text: one pass, a bounded look at each place where a label could begin.
 *
 * A label of Latin or Cyrillic letters begins at a word's beginning, unless it is long enough to be part of a compound
 * (`Kreditkartenprüfnummer`). A space in a label matches up to three characters that are neither letter nor digit, or none.
 */
import { isDigit, isLetter } from './fold.ts';

/** A place where a label stands. */
export type LabelMatch = { readonly start: number; readonly end: number; readonly label: string };

/** Labels ready to be looked for. */
export type LabelIndex = {
  /** For each three characters that a label could begin with: 1. Letters are told apart, the rest is not. */
  readonly triples: Uint8Array;
  /** Labels by their first character, the longest first. */
  readonly byFirst: ReadonlyMap<number, readonly string[]>;
};

/** A label this long is also found inside a compound word. */
const COMPOUND_LETTERS_MIN = 8;
const SPACE_CHARS_MAX = 3;
const SPACE = 0x20;

/** Prepares labels; the longest that fits is taken. */
export function indexLabels(labels: readonly string[]): LabelIndex {
  const triples = new Uint8Array(1 << 15);
  const byFirst = new Map<number, string[]>();
  for (const label of labels) {
    for (const beginning of beginnings(label)) {
      triples[tripleKey(beginning.charCodeAt(0), beginning.charCodeAt(1), beginning.charCodeAt(2))] = 1;
    }
    const known = byFirst.get(label.charCodeAt(0));
    if (known === undefined) byFirst.set(label.charCodeAt(0), [label]);
    else known.push(label);
  }
  for (const known of byFirst.values()) known.sort((a, b) => b.length - a.length);
  return { triples, byFirst };
}

/** All ways in which a label can begin, its spaces being none, or signs of ASCII or of others. A label may end before its third character. */
function beginnings(label: string): string[] {
  let all = [''];
  for (const char of `${label}  `) {
    const ways = char === ' ' ? ['', '.', '..', '...', '\uffff', '\uffff\uffff', '.\uffff', '\uffff.'] : [char];
    all = all.flatMap((beginning) => (beginning.length >= 3 ? [beginning] : ways.map((way) => beginning + way)));
  }
  const complete = all.filter((beginning) => beginning.length >= 3);
  const short = all.filter((beginning) => beginning.length < 3);
  // Behind a label of two characters anything may stand.
  const anything = ['.', '\uffff', ...'abcdefghijklmnopqrstuvwxyz'];
  return [...complete, ...short.flatMap((beginning) => anything.map((char) => (beginning + char).padEnd(3, '.')))];
}

/** Five bits for each of three characters: a letter, another sign of ASCII, or none of it. */
function tripleKey(first: number, second: number, third: number): number {
  return (bits(first) << 10) | (bits(second) << 5) | bits(third);
}

function bits(code: number): number {
  if (code >= 0x61 && code <= 0x7a) return code - 0x60;
  return code < 0x80 ? 0 : 31;
}

/** Finds all labels of an index, in order, not overlapping. */
export function findLabels(chars: string, index: LabelIndex): LabelMatch[] {
  const found: LabelMatch[] = [];
  const { triples } = index;
  let key = (bits(chars.charCodeAt(0)) << 5) | bits(chars.charCodeAt(1));
  for (let at = 0; at < chars.length; at += 1) {
    // Behind the end stands NaN, which counts as what is no letter.
    key = ((key << 5) | bits(chars.charCodeAt(at + 2))) & 0x7fff;
    if (triples[key] !== 1) continue;
    const match = findLabelAt(chars, at, index);
    if (match === undefined || match.start < (found.at(-1)?.end ?? 0)) continue;
    found.push(match);
  }
  return found;
}

/** The label that begins here. */
export function findLabelAt(chars: string, at: number, index: LabelIndex): LabelMatch | undefined {
  const first = chars.charCodeAt(at);
  if (index.triples[tripleKey(first, chars.charCodeAt(at + 1), chars.charCodeAt(at + 2))] !== 1) return undefined;
  const labels = index.byFirst.get(first);
  if (labels === undefined) return undefined;
  const inWord = at > 0 && isLetter(chars.charCodeAt(at - 1)) && isAlphabetic(first);
  const second = chars.charCodeAt(at + 1);
  for (const label of labels) {
    if (inWord && label.length < COMPOUND_LETTERS_MIN) continue;
    const next = label.charCodeAt(1);
    if (next !== second && next !== SPACE && !Number.isNaN(next)) continue;
    const end = matchLabel(chars, at, label);
    if (end !== undefined) return { start: at, end, label };
  }
  return undefined;
}

/** Scripts that part words by spaces; the others (Chinese, Japanese, Thai …) run on. */
function isAlphabetic(code: number): boolean {
  return code < 0x0590;
}

function matchLabel(chars: string, at: number, label: string): number | undefined {
  let index = at;
  for (let k = 0; k < label.length; k += 1) {
    const code = label.charCodeAt(k);
    if (code === SPACE) {
      let skipped = 0;
      while (skipped < SPACE_CHARS_MAX && isBetween(chars.charCodeAt(index))) {
        index += 1;
        skipped += 1;
      }
    } else {
      if (chars.charCodeAt(index) !== code) return undefined;
      index += 1;
    }
  }
  return index;
}

function isBetween(code: number): boolean {
  return !Number.isNaN(code) && !isLetter(code) && !isDigit(code);
}

/** Does a word begin with one of these? Stems of up to three Latin letters must be the whole word. */
export function hasStem(word: string, stems: readonly string[]): boolean {
  for (const stem of stems) {
    if (!word.startsWith(stem)) continue;
    if (word.length === stem.length || stem.length > 3 || !isAlphabetic(stem.charCodeAt(0))) return true;
  }
  return false;
}

/** Does a whole word end here, that is, does no letter follow? */
export function endsWord(chars: string, end: number): boolean {
  return end >= chars.length || !isLetter(chars.charCodeAt(end));
}
