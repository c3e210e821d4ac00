/**
 * The query language.
 *
 *   refund order          both words                    from: to: with:      number in any spelling, name, handle
 *   refund OR return      either                        channel: direction: status: type: has: brand:
 *   NOT sale, -sale       without                       order: id: source: conversation:
 *   ( )                   grouping                      before: after: on: date:2026-01..2026-02 date>=2026-01-31
 *   "where is it"         these words in a row          older_than:30d newer_than:6m
 *   refund*  r?fund       beginning, wildcards inside   from:(anna OR ben)   a field for a group
 *   refund~  refund~2     misspelled
 *   refund w/5 order      at most 5 words apart; pre/5 in this order; NEAR(4) with at most 4 words between
 *   "refund order"~5      all of them, at most 5 other words from first to last
 *
 * NOT binds before AND (or nothing between words), AND before OR. Operators are upper case. `after:` includes the day it names,
 * `before:` does not. Whatever cannot be read is an error with its column; nothing is ever dropped or guessed, because a search
 * that is part of a review has to mean the same when it is run again. A recursive-descent parser over tokens of query-lexer.ts.
 */
import { QUERY_DEPTH_MAX, QUERY_TERMS_MAX } from './limits.ts';
import { assertTimeZone } from './query-dates.ts';
import { failQuery, tokenizeSyntax } from './query-lexer.ts';
import type { Place, Token } from './query-lexer.ts';
import type { FieldName, ProximityOperand, Query, QueryHint, QueryNode, QuerySettings } from './query-types.ts';
import { parseFieldValue, parseText } from './query-values.ts';

type Parser = {
  readonly tokens: readonly Token[];
  readonly settings: QuerySettings;
  readonly hints: QueryHint[];
  /** Where an error at the end of the query points. */
  readonly end: Place;
  position: number;
  terms: number;
  depth: number;
  /** The field whose group is being read. */
  group?: FieldName;
};

/**
 * Reads a query.
 * @param text as typed; at most 4,096 characters, 64 terms, 20 levels. Empty finds everything
 * @throws CartularyError `bad-query` with `detail` `{column, length}`, 1-based in UTF-16 units; `bad-input` for an unknown time zone
 */
export function parseQuery(text: string, settings: QuerySettings): Query {
  if (settings.timeZone !== undefined) assertTimeZone(settings.timeZone);
  const parser: Parser = {
    tokens: tokenizeSyntax(text),
    settings,
    hints: [],
    end: { column: text.length + 1, length: 0 },
    position: 0,
    terms: 0,
    depth: 0,
  };
  if (parser.tokens.length === 0) return { root: { kind: 'all' }, hints: [], nowMs: settings.nowMs };
  const root = parseOr(parser);
  const rest = peek(parser);
  if (rest !== undefined) failQuery('this closing parenthesis has no opening one', rest);
  return { root, hints: parser.hints, nowMs: settings.nowMs };
}

function peek(parser: Parser): Token | undefined {
  return parser.tokens[parser.position];
}

function take(parser: Parser): Token | undefined {
  return parser.tokens[parser.position++];
}

function parseOr(parser: Parser): QueryNode {
  const parts: QueryNode[] = [];
  let mixed = false;
  let place: Place | undefined;
  for (;;) {
    const { node, unspoken } = parseAnd(parser);
    mixed ||= unspoken;
    parts.push(...(node.kind === 'or' ? node.parts : [node]));
    const operator = peek(parser);
    if (operator?.kind !== 'or') break;
    place ??= operator;
    parser.position++;
  }
  if (mixed && place !== undefined) {
    parser.hints.push({
      code: 'mixed-and-or',
      column: place.column,
      length: place.length,
      text: 'Words without an operator belong together before OR: a b OR c is (a AND b) OR c. Parentheses make it plain.',
    });
  }
  return combine('or', parts);
}

function parseAnd(parser: Parser): { node: QueryNode; unspoken: boolean } {
  const parts: QueryNode[] = [];
  let unspoken = false;
  for (;;) {
    const node = parseUnary(parser);
    parts.push(...(node.kind === 'and' ? node.parts : [node]));
    const next = peek(parser);
    if (next?.kind === 'and') {
      parser.position++;
    } else if (next === undefined || next.kind === 'or' || next.kind === 'close') {
      break;
    } else {
      unspoken = true;
    }
  }
  return { node: combine('and', parts), unspoken };
}

function combine(kind: 'and' | 'or', parts: readonly QueryNode[]): QueryNode {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : { kind, parts };
}

function descend<T>(parser: Parser, place: Place, read: () => T): T {
  if (++parser.depth > QUERY_DEPTH_MAX) failQuery(`parentheses and NOT nest at most ${QUERY_DEPTH_MAX} deep`, place);
  const result = read();
  parser.depth--;
  return result;
}

function parseUnary(parser: Parser): QueryNode {
  const token = peek(parser);
  if (token?.kind === 'not' || token?.kind === 'minus') {
    parser.position++;
    const next = peek(parser);
    if (next?.kind === 'near') failQuery('NOT cannot stand before w/, pre/ or NEAR', token);
    const part = descend(parser, token, () => parseUnary(parser));
    if (token.kind === 'minus' && part.kind === 'near' && next?.kind !== 'open') {
      failQuery('write -( ) around words that are to be near each other', token);
    }
    return { kind: 'not', part };
  }
  return parseNear(parser);
}

function parseNear(parser: Parser): QueryNode {
  const left = parsePrimary(parser);
  const operator = peek(parser);
  if (operator?.kind !== 'near') return left;
  parser.position++;
  if (left.kind === 'word' && left.text === 'not') failQuery('not w/ is not known; use NOT (a w/5 b)', operator);
  const right = parsePrimary(parser);
  const next = peek(parser);
  if (next?.kind === 'near') failQuery('only two sides can be near each other; use AND between pairs', next);
  const { distance, ordered } = operator;
  return { kind: 'near', left: toOperand(left, operator), right: toOperand(right, operator), distance, ordered };
}

function toOperand(node: QueryNode, place: Place): ProximityOperand {
  const { kind } = node;
  if (kind === 'or') return { kind, parts: node.parts.map((part) => toOperand(part, place)) };
  if (kind === 'word' || kind === 'phrase' || kind === 'prefix' || kind === 'wildcard' || kind === 'fuzzy') {
    const { field } = node;
    if (field === 'body') return { ...node, field };
  }
  return failQuery('both sides are words or phrases of the text, or several of them with OR in parentheses', place);
}

function parsePrimary(parser: Parser): QueryNode {
  const token = take(parser);
  if (token === undefined) return failQuery('something is missing here at the end', parser.end);
  switch (token.kind) {
    case 'open':
      return parseGroup(parser, token);
    case 'field':
      return parseField(parser, token);
    case 'word':
    case 'quoted':
      return parseValueToken(parser, token);
    case 'close':
      return failQuery('a closing parenthesis is not expected here', token);
    case 'near':
      return failQuery('w/, pre/ and NEAR stand between two words', token);
    case 'and':
    case 'or':
      return failQuery('an operator needs something on both sides; in quotes it is a word', token);
    case 'not':
    case 'minus':
      return failQuery('NOT is not expected here; put it in parentheses', token);
  }
}

function parseGroup(parser: Parser, open: Token): QueryNode {
  const next = peek(parser);
  if (next?.kind === 'close') failQuery('there is nothing in these parentheses', { column: open.column, length: 2 });
  const node = descend(parser, open, () => parseOr(parser));
  if (take(parser)?.kind !== 'close') failQuery('this parenthesis is never closed', open);
  return node;
}

function parseField(parser: Parser, field: Extract<Token, { kind: 'field' }>): QueryNode {
  if (parser.group !== undefined) failQuery('a field cannot stand inside the group of another field', field);
  const token = take(parser);
  if (token?.kind === 'open' && token.glued && field.comparison === ':') {
    parser.group = field.name;
    const node = parseGroup(parser, token);
    delete parser.group;
    return node;
  }
  if ((token?.kind !== 'word' && token?.kind !== 'quoted') || !token.glued) {
    return failQuery('the value of the field is missing', field);
  }
  countTerm(parser, field);
  return parseFieldValue(field.name, field.comparison, token, parser);
}

function parseValueToken(parser: Parser, token: Extract<Token, { kind: 'word' | 'quoted' }>): QueryNode {
  countTerm(parser, token);
  if (parser.group !== undefined) return parseFieldValue(parser.group, ':', token, parser);
  if (token.kind === 'word' && /^(?:and|or|not)$/i.test(token.text)) {
    parser.hints.push({
      code: 'lowercase-operator',
      column: token.column,
      length: token.length,
      text: `"${token.text}" is searched for as a word. Did you mean ${token.text.toUpperCase()}?`,
    });
  }
  return parseText(token, 'body', parser);
}

function countTerm(parser: Parser, place: Place): void {
  if (++parser.terms > QUERY_TERMS_MAX) failQuery(`a query has at most ${QUERY_TERMS_MAX} terms`, place);
}
