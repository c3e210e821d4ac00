/** Fits words of a vocabulary to wildcards and misspellings. Comparisons of characters only: no pattern becomes a RegExp. */
import type { ExpandTerm } from './compile.ts';

/** Words to look at: at or after `from`, before `until`, in the order of their UTF-8 bytes. */
export type WordRange = { readonly from: string; readonly until: string };

/** The part of a vocabulary in which all words that fit a term lie. A misspelled word has its first character right. */
export function wordRange(term: ExpandTerm): WordRange {
  const { fit, mark } = term;
  const head = fit.kind === 'fuzzy' ? ([...fit.text][0] ?? '') : fit.pattern.slice(0, fit.pattern.search(/[*?]/));
  return { from: mark + head, until: `${mark}${head}\u{10ffff}` };
}

/** Does a word (without the mark of its field) fit? */
export function fitsWord(fit: ExpandTerm['fit'], word: string): boolean {
  return fit.kind === 'fuzzy' ? isWithinEdits(fit.text, word, fit.distance) : fitsWildcard(fit.pattern, word);
}

/** `?` is one character, `*` any number of them. The last `*` alone is ever retried, so the time is at most pattern × word. */
export function fitsWildcard(pattern: string, word: string): boolean {
  const wanted = [...pattern];
  const characters = [...word];
  let at = 0;
  let position = 0;
  let star = -1;
  let starPosition = 0;
  while (position < characters.length) {
    const next = wanted[at];
    if (next === '*') {
      star = at++;
      starPosition = position;
    } else if (next !== undefined && (next === '?' || next === characters[position])) {
      at++;
      position++;
    } else if (star >= 0) {
      at = star + 1;
      position = ++starPosition;
    } else {
      return false;
    }
  }
  while (wanted[at] === '*') at++;
  return at === wanted.length;
}

/**
 * Is the optimal-string-alignment distance (insert, delete, replace, swap of neighbours) at most `edits`, the first characters being equal?
 */
export function isWithinEdits(a: string, b: string, edits: number): boolean {
  const left = [...a];
  const right = [...b];
  if (left[0] !== right[0] || Math.abs(left.length - right.length) > edits) return false;
  let before: number[] = [];
  let row = right.map((_, index) => index);
  row.push(right.length);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1];
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      next.push(cost);
      least = Math.min(least, cost);
    }
    // A swap can reach back one row, so only a margin of one allows to stop.
    if (least > edits + 1) return false;
    before = row;
    row = next;
  }
  return (row[right.length] ?? Infinity) <= edits;
}
