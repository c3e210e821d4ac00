/**
 * What a query means, said a second time and as plainly as possible: does this one document fit? Shares tokens.ts and the reading of
 * numbers with the index, and nothing else; the index has to give the same answers.
 */
import type { IndexDocument } from '../document.ts';
import type { ProximityOperand, Query, QueryNode, TextField } from '../query-types.ts';
import {
  findPhoneDigits,
  findPhonesInText,
  findQueryPhone,
  normalizeOrder,
  normalizeValue,
  toDirection,
} from '../terms.ts';
import { findAliases, findQueryAlias, tokenize, tokenizeQuery } from '../tokens.ts';

/** Does the document fit the query? */
export function matches(query: Query, document: IndexDocument): boolean {
  return fits(query.root, document);
}

function fits(node: QueryNode, document: IndexDocument): boolean {
  switch (node.kind) {
    case 'all':
      return true;
    case 'and':
      return node.parts.every((part) => fits(part, document));
    case 'or':
      return node.parts.some((part) => fits(part, document));
    case 'not':
      return !fits(node.part, document);
    case 'state':
      return normalizeValue(document.state) === node.value;
    case 'date':
      return document.sentAtMs >= (node.fromMs ?? -Infinity) && document.sentAtMs < (node.toMs ?? Infinity);
    case 'number':
      return partyKeys(node.field, document).some((key) => {
        const digits = findPhoneDigits(key)?.digits;
        if (digits === undefined) return false;
        return node.international || node.digits.length < 7 ? digits === node.digits : digits.endsWith(node.digits);
      });
    case 'value':
      return valuesOf(node.field, document).some((value) =>
        node.prefix ? value.startsWith(node.value) : value === node.value,
      );
    case 'near': {
      const tokens = tokenize(document.text);
      const left = operandSpans(node.left, tokens);
      const right = operandSpans(node.right, tokens);
      return left.some((a) =>
        right.some((b) => (node.ordered ? isBefore(a, b, node.distance) : isNear([a, b], node.distance - 1))),
      );
    }
    case 'loose': {
      const tokens = tokenize(document.text);
      const sides = node.text
        .split(/\s+/)
        .filter((word) => tokenize(word).length > 0)
        .map((word) => phraseSpans(tokens, tokenizeQuery(word)));
      return chooseOneOfEach(sides, []).some((spans) => isNear(spans, node.between));
    }
    case 'word':
      return (
        streams(node.field, document).some((tokens) => phraseSpans(tokens, tokenizeQuery(node.text)).length > 0) ||
        fitsAlias(node, document, false) ||
        fitsPhone(node, document)
      );
    case 'prefix':
      return (
        streams(node.field, document).some(
          (tokens) => phraseSpans(tokens, tokenizeQuery(node.text, true)).length > 0,
        ) || fitsAlias(node, document, true)
      );
    case 'phrase':
      return (
        streams(node.field, document).some(
          (tokens) => phraseSpans(tokens, tokenizeQuery(node.text, node.prefix)).length > 0,
        ) ||
        (!node.prefix && fitsPhone(node, document))
      );
    case 'wildcard':
      return streams(node.field, document)
        .flat()
        .some((token) => fitsPattern([...node.pattern], [...token]));
    case 'fuzzy':
      return streams(node.field, document)
        .flat()
        .some((token) => isClose(node.text, token, node.distance));
  }
}

function partyKeys(field: 'from' | 'to' | 'with', document: IndexDocument): readonly string[] {
  return field === 'from' ? document.from : field === 'to' ? document.to : [...document.from, ...document.to];
}

/** Sequences of tokens in which a phrase can stand: the text, or each name of a party. */
function streams(field: TextField, document: IndexDocument): string[][] {
  if (field === 'body') return [tokenize(document.text)];
  return partyKeys(field, document)
    .filter((key) => findPhoneDigits(key) === undefined)
    .map((key) => tokenize(key));
}

function valuesOf(field: Extract<QueryNode, { kind: 'value' }>['field'], document: IndexDocument): string[] {
  switch (field) {
    case 'direction':
      return [toDirection(document.direction)];
    case 'channel':
    case 'brand':
      return [document[field]].filter((value) => value !== '').map(normalizeValue);
    case 'type':
      return document.types.map(normalizeValue);
    case 'has':
      return document.has.map(normalizeValue);
    case 'source':
    case 'conversation':
      return [document[field]];
    case 'id':
      return [...document.ids];
    case 'order':
      return document.orders.map(normalizeOrder);
  }
}

type Span = { readonly start: number; readonly length: number };

function phraseSpans(
  tokens: readonly string[],
  phrase: { readonly tokens: readonly string[]; readonly prefix: boolean },
): Span[] {
  const { length } = phrase.tokens;
  return tokens.flatMap((_, start) => {
    const fit = phrase.tokens.every((token, index) => {
      const found = tokens[start + index];
      return phrase.prefix && index === length - 1 ? found?.startsWith(token) === true : found === token;
    });
    return fit ? [{ start, length }] : [];
  });
}

function fitsAlias(
  node: { readonly field: TextField; readonly text: string },
  document: IndexDocument,
  open: boolean,
): boolean {
  const alias = node.field === 'body' ? findQueryAlias(node.text) : undefined;
  if (alias === undefined) return false;
  const spellings = [...findAliases(document.text), ...tokenize(document.text)];
  return spellings.some((spelling) => (open ? spelling.startsWith(alias) : spelling === alias));
}

function fitsPhone(node: { readonly field: TextField; readonly text: string }, document: IndexDocument): boolean {
  const phone = node.field === 'body' ? findQueryPhone(node.text) : undefined;
  if (phone === undefined) return false;
  const { digits, international } = phone;
  if (tokenize(document.text).includes(digits)) return true;
  return [...findPhonesInText(document.text)].some((found) =>
    international ? found === digits : found.endsWith(digits),
  );
}

function operandSpans(operand: ProximityOperand, tokens: readonly string[]): Span[] {
  switch (operand.kind) {
    case 'or':
      return operand.parts.flatMap((part) => operandSpans(part, tokens));
    case 'word':
      return phraseSpans(tokens, tokenizeQuery(operand.text));
    case 'prefix':
      return phraseSpans(tokens, tokenizeQuery(operand.text, true));
    case 'phrase':
      return phraseSpans(tokens, tokenizeQuery(operand.text, operand.prefix));
    case 'wildcard':
      return tokens.flatMap((token, start) =>
        fitsPattern([...operand.pattern], [...token]) ? [{ start, length: 1 }] : [],
      );
    case 'fuzzy':
      return tokens.flatMap((token, start) =>
        isClose(operand.text, token, operand.distance) ? [{ start, length: 1 }] : [],
      );
  }
}

function isBefore(a: Span, b: Span, distance: number): boolean {
  const steps = b.start - (a.start + a.length - 1);
  return steps >= 1 && steps <= distance;
}

/** From the end of each to the start of the last there are at most `between` tokens. */
function isNear(spans: readonly Span[], between: number): boolean {
  const last = Math.max(...spans.map((span) => span.start));
  return spans.every((span) => last - (span.start + span.length) <= between);
}

function chooseOneOfEach(sides: readonly Span[][], chosen: readonly Span[]): Span[][] {
  const [first, ...rest] = sides;
  if (first === undefined) return [[...chosen]];
  return first.flatMap((span) => chooseOneOfEach(rest, [...chosen, span]));
}

function fitsPattern(pattern: readonly string[], word: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return word.length === 0;
  if (first === '*') return fitsPattern(rest, word) || (word.length > 0 && fitsPattern(pattern, word.slice(1)));
  return word.length > 0 && (first === '?' || first === word[0]) && fitsPattern(rest, word.slice(1));
}

function isClose(wanted: string, word: string, edits: number): boolean {
  return [...wanted][0] === [...word][0] && distance([...wanted], [...word]) <= edits;
}

/** Optimal string alignment, by its definition. */
function distance(a: readonly string[], b: readonly string[]): number {
  const known = new Map<string, number>();
  const between = (i: number, j: number): number => {
    if (i === 0 || j === 0) return i + j;
    const key = `${i},${j}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    let least = Math.min(
      between(i - 1, j) + 1,
      between(i, j - 1) + 1,
      between(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
    );
    if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
      least = Math.min(least, between(i - 2, j - 2) + 1);
    known.set(key, least);
    return least;
  };
  return between(a.length, b.length);
}
