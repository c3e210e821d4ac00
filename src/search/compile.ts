/**
 * From the tree of a query to what the index can carry out.
 *
 * As much as possible becomes one FTS5 expression, which walks the lists of its terms in step and stops early. Every token in it is a
 * quoted FTS string made of letters, digits and markers only: nothing of the query reaches MATCH or SQL as syntax.
 * What FTS5 cannot answer stays beside it: delivery states on the way (they change too often to be terms), dates inside OR and NOT, word order.
 * Dates that hold for the whole query become a window of months and rows and cost nothing.
 *
 * Wildcards and fuzzy words stand for whatever the vocabulary of a month has; they are filled in by `resolveMatch` for each file.
 */
import { assertNever, CartularyError } from '../model/errors.ts';
import { PROXIMITY_PAIRS_MAX } from './limits.ts';
import type { ProximityOperand, Query, QueryNode, TextField } from './query-types.ts';
import { splitLooseWords } from './query-values.ts';
import {
  DIRECTIONS,
  encodeValue,
  findQueryPhone,
  hashValue,
  isPassingState,
  MARKS,
  NUMBER_SUFFIX_DIGITS_MIN,
  reverseDigits,
} from './terms.ts';
import { findQueryAlias, tokenizeQuery } from './tokens.ts';

/** Tokens in a row; with `prefix` the last is a beginning. */
export type PhraseTerm = { readonly kind: 'phrase'; readonly tokens: readonly string[]; readonly prefix: boolean };
/** Words of the vocabulary that begin with `mark` and fit. */
export type ExpandTerm = {
  readonly kind: 'expand';
  readonly mark: string;
  readonly fit:
    | { readonly kind: 'wildcard'; readonly pattern: string }
    | { readonly kind: 'fuzzy'; readonly text: string; readonly distance: 1 | 2 };
};
/** What can stand in a NEAR group. */
export type Term = PhraseTerm | ExpandTerm;

/** An FTS5 expression, before wildcards are filled in. */
export type Match =
  | Term
  /** Starts of the words at most `between` tokens after the end of each other. */
  | { readonly kind: 'near'; readonly sides: readonly (readonly Term[])[]; readonly between: number }
  | { readonly kind: 'and'; readonly parts: readonly Match[] }
  | { readonly kind: 'or'; readonly parts: readonly Match[] }
  | { readonly kind: 'without'; readonly part: Match; readonly excluded: Match };

/** What is carried out on each month. */
export type Plan =
  | { readonly kind: 'match'; readonly match: Match }
  | { readonly kind: 'all' }
  | { readonly kind: 'state'; readonly value: string }
  | { readonly kind: 'date'; readonly fromMs: number; readonly toMs: number }
  | {
      readonly kind: 'ordered';
      readonly left: readonly Term[];
      readonly right: readonly Term[];
      readonly distance: number;
    }
  | { readonly kind: 'and'; readonly parts: readonly Plan[] }
  | { readonly kind: 'or'; readonly parts: readonly Plan[] }
  | { readonly kind: 'not'; readonly part: Plan };

/** A query ready to run: only messages sent in `[fromMs, toMs)` that fit the plan. */
export type CompiledQuery = { readonly fromMs: number; readonly toMs: number; readonly plan: Plan };

/** Compiles a query. @throws CartularyError `too-large` where a proximity search unfolds into too many pairs */
export function compileQuery(query: Query): CompiledQuery {
  const { root } = query;
  const parts = root.kind === 'and' ? root.parts : [root];
  let fromMs = -Infinity;
  let toMs = Infinity;
  const rest: QueryNode[] = [];
  for (const part of parts) {
    if (part.kind !== 'date') {
      rest.push(part);
      continue;
    }
    fromMs = Math.max(fromMs, part.fromMs ?? -Infinity);
    toMs = Math.min(toMs, part.toMs ?? Infinity);
  }
  return { fromMs, toMs, plan: rest.length === 0 ? { kind: 'all' } : planAnd(rest.map(planNode)) };
}

function planNode(node: QueryNode): Plan {
  switch (node.kind) {
    case 'all':
      return { kind: 'all' };
    case 'and':
      return planAnd(node.parts.map(planNode));
    case 'or':
      return planOr(node.parts.map(planNode));
    case 'not': {
      const part = planNode(node.part);
      // Without its own FTS expression NOT is answered row by row; at the top level that is what `and` wants to see.
      return part.kind === 'match'
        ? { kind: 'match', match: withoutAll([EVERYTHING], [part.match]) }
        : { kind: 'not', part };
    }
    case 'state':
      if (isPassingState(node.value)) return { kind: 'state', value: node.value };
      return {
        kind: 'match',
        match: { kind: 'phrase', tokens: [MARKS.state + encodeValue(node.value)], prefix: false },
      };
    case 'date':
      return { kind: 'date', fromMs: node.fromMs ?? -Infinity, toMs: node.toMs ?? Infinity };
    case 'near':
      return planNear(node);
    case 'loose': {
      const sides = splitLooseWords(node.text).map((word) => [bodyPhrase(word, false)]);
      return { kind: 'match', match: { kind: 'near', sides, between: node.between } };
    }
    default:
      return { kind: 'match', match: any(matchLeaf(node)) };
  }
}

/** Every message has exactly one direction. */
const EVERYTHING: Match = {
  kind: 'or',
  parts: DIRECTIONS.map((direction) => ({ kind: 'phrase', tokens: [MARKS.direction + direction], prefix: false })),
};

function planAnd(plans: readonly Plan[]): Plan {
  const included: Match[] = [];
  const excluded: Match[] = [];
  const others: Plan[] = [];
  for (const plan of plans.flatMap((each) => (each.kind === 'and' ? each.parts : [each]))) {
    if (plan.kind !== 'match') others.push(plan);
    else if (plan.match.kind === 'without' && plan.match.part === EVERYTHING) excluded.push(plan.match.excluded);
    else included.push(plan.match);
  }
  const matches: Plan[] = [];
  if (included.length > 0 || excluded.length > 0) {
    matches.push({ kind: 'match', match: withoutAll(included.length > 0 ? included : [EVERYTHING], excluded) });
  }
  return single('and', [...matches, ...others]);
}

function planOr(plans: readonly Plan[]): Plan {
  const matches = plans.flatMap((plan) => (plan.kind === 'match' ? [plan.match] : []));
  const others = plans.filter((plan) => plan.kind !== 'match');
  return single('or', [...(matches.length > 0 ? [{ kind: 'match' as const, match: any(matches) }] : []), ...others]);
}

function single(kind: 'and' | 'or', parts: readonly Plan[]): Plan {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : { kind, parts };
}

function any(matches: readonly Match[]): Match {
  const [only] = matches;
  return matches.length === 1 && only !== undefined ? only : { kind: 'or', parts: matches };
}

function withoutAll(included: readonly Match[], excluded: readonly Match[]): Match {
  const [only] = included;
  const part: Match = included.length === 1 && only !== undefined ? only : { kind: 'and', parts: included };
  return excluded.length === 0 ? part : { kind: 'without', part, excluded: any(excluded) };
}

type LeafNode = Extract<QueryNode, { kind: 'word' | 'phrase' | 'prefix' | 'wildcard' | 'fuzzy' | 'number' | 'value' }>;

function matchLeaf(node: LeafNode): Term[] {
  switch (node.kind) {
    case 'word':
    case 'prefix': {
      const open = node.kind === 'prefix';
      const terms: Term[] = marksOf(node.field).map((mark) => markedPhrase(mark, node.text, open));
      if (node.field !== 'body') return terms;
      return [...terms, ...aliasTerms(node.text, open), ...(open ? [] : phoneTerms(node.text))];
    }
    case 'phrase': {
      const terms = marksOf(node.field).map((mark) => markedPhrase(mark, node.text, node.prefix));
      return node.field === 'body' && !node.prefix ? [...terms, ...phoneTerms(node.text)] : terms;
    }
    case 'wildcard':
      return marksOf(node.field).map((mark) => ({
        kind: 'expand',
        mark,
        fit: { kind: 'wildcard', pattern: node.pattern },
      }));
    case 'fuzzy': {
      const { text, distance } = node;
      return marksOf(node.field).map((mark) => ({ kind: 'expand', mark, fit: { kind: 'fuzzy', text, distance } }));
    }
    case 'number': {
      const reversed = reverseDigits(node.digits);
      const prefix = !node.international && node.digits.length >= NUMBER_SUFFIX_DIGITS_MIN;
      const marks =
        node.field === 'with'
          ? [MARKS.fromNumber, MARKS.toNumber]
          : [node.field === 'from' ? MARKS.fromNumber : MARKS.toNumber];
      return marks.map((mark) => ({ kind: 'phrase', tokens: [mark + reversed], prefix }));
    }
    case 'value': {
      const hashed = node.field === 'source' || node.field === 'conversation' || node.field === 'id';
      const token = MARKS[node.field] + (hashed ? hashValue(node.value) : encodeValue(node.value));
      return [{ kind: 'phrase', tokens: [token], prefix: node.prefix }];
    }
  }
}

function marksOf(field: TextField): string[] {
  if (field === 'body') return [''];
  if (field === 'from') return [MARKS.fromWord];
  return field === 'to' ? [MARKS.toWord] : [MARKS.fromWord, MARKS.toWord];
}

function markedPhrase(mark: string, text: string, open: boolean): PhraseTerm {
  const { tokens, prefix } = tokenizeQuery(text, open);
  return { kind: 'phrase', tokens: tokens.map((token) => mark + token), prefix };
}

function bodyPhrase(text: string, open: boolean): PhraseTerm {
  return markedPhrase('', text, open);
}

/** "1001-A" also finds "1001A", and "1001A" finds "1001-A", by the joined spelling. */
function aliasTerms(word: string, prefix: boolean): PhraseTerm[] {
  const alias = findQueryAlias(word);
  if (alias === undefined) return [];
  const joined: PhraseTerm = { kind: 'phrase', tokens: [MARKS.alias + alias], prefix };
  const isWhole = tokenizeQuery(word).tokens.length === 1;
  return isWhole ? [joined] : [joined, { kind: 'phrase', tokens: [alias], prefix }];
}

/** "408.247.8880" also finds "(408) 247-8880", "+1 408 247 8880" and "4082478880". */
function phoneTerms(text: string): PhraseTerm[] {
  const phone = findQueryPhone(text);
  if (phone === undefined) return [];
  const { digits, international } = phone;
  return [
    { kind: 'phrase', tokens: [MARKS.textNumber + reverseDigits(digits)], prefix: !international },
    { kind: 'phrase', tokens: [digits], prefix: false },
  ];
}

function planNear(node: Extract<QueryNode, { kind: 'near' }>): Plan {
  const left = operandTerms(node.left);
  const right = operandTerms(node.right);
  if (left.length * right.length > PROXIMITY_PAIRS_MAX) failPairs();
  if (node.ordered) return { kind: 'ordered', left, right, distance: node.distance };
  return { kind: 'match', match: { kind: 'near', sides: [left, right], between: node.distance - 1 } };
}

function operandTerms(operand: ProximityOperand): Term[] {
  switch (operand.kind) {
    case 'or':
      return operand.parts.flatMap(operandTerms);
    case 'word':
      return [bodyPhrase(operand.text, false)];
    case 'phrase':
      return [bodyPhrase(operand.text, operand.prefix)];
    case 'prefix':
      return [bodyPhrase(operand.text, true)];
    case 'wildcard':
    case 'fuzzy':
      return matchLeaf(operand);
  }
}

function failPairs(): never {
  throw new CartularyError(
    'too-large',
    `a proximity search unfolds into more than ${PROXIMITY_PAIRS_MAX} pairs of words; name fewer alternatives`,
  );
}

/** Finds the words of one month's vocabulary that a wildcard or fuzzy word stands for. */
export type Expand = (term: ExpandTerm) => readonly string[];

/**
 * Writes the MATCH string of one month.
 * @returns nothing where no message of the month can fit, since a wildcard stands for no word of it
 * @throws CartularyError `too-large`
 */
export function resolveMatch(match: Match, expand: Expand): string | undefined {
  switch (match.kind) {
    case 'phrase':
      return quotePhrase(match);
    case 'expand':
      return joinOr(expand(match).map(quoteToken));
    case 'near':
      return resolveNear(match.sides, match.between, expand);
    case 'or':
      return joinOr(match.parts.flatMap((part) => resolveMatch(part, expand) ?? []));
    case 'and': {
      const parts: string[] = [];
      for (const part of match.parts) {
        const resolved = resolveMatch(part, expand);
        if (resolved === undefined) return undefined;
        parts.push(resolved);
      }
      return `(${parts.join(' AND ')})`;
    }
    case 'without': {
      const part = resolveMatch(match.part, expand);
      const excluded = resolveMatch(match.excluded, expand);
      return part === undefined || excluded === undefined ? part : `(${part} NOT ${excluded})`;
    }
    default:
      return assertNever(match);
  }
}

/** Each term of a side as phrases without placeholders. */
export function resolveTerms(terms: readonly Term[], expand: Expand): PhraseTerm[] {
  return terms.flatMap((term) =>
    term.kind === 'phrase'
      ? [term]
      : expand(term).map((token) => ({ kind: 'phrase' as const, tokens: [token], prefix: false })),
  );
}

/** NEAR takes phrases only, so alternatives are multiplied out. */
function resolveNear(sides: readonly (readonly Term[])[], between: number, expand: Expand): string | undefined {
  let groups: string[] = [''];
  for (const side of sides) {
    const phrases = resolveTerms(side, expand).map(quotePhrase);
    if (groups.length * phrases.length > PROXIMITY_PAIRS_MAX) failPairs();
    groups = groups.flatMap((group) => phrases.map((phrase) => `${group} ${phrase}`));
  }
  return joinOr(groups.map((group) => `NEAR(${group.trim()}, ${between})`));
}

function joinOr(parts: readonly string[]): string | undefined {
  return parts.length === 0 ? undefined : parts.length === 1 ? parts[0] : `(${parts.join(' OR ')})`;
}

function quotePhrase(phrase: PhraseTerm): string {
  return quoteToken(phrase.tokens.join(' ')) + (phrase.prefix ? ' *' : '');
}

/** Tokens hold letters, digits, marks and private-use characters only; a quotation mark in one would be a bug, so it is doubled all the same. */
function quoteToken(token: string): string {
  return `"${token.replaceAll('"', '""')}"`;
}
