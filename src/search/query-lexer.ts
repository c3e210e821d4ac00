/** Cuts a query into tokens with their places. Knows operators and field names, not what they mean together. */
import { CartularyError } from '../model/errors.ts';
import { PROXIMITY_WORDS_MAX, QUERY_CHARS_MAX } from './limits.ts';
import { FIELD_NAMES } from './query-types.ts';
import type { FieldName } from './query-types.ts';

/** A place in the query: 1-based column and length, in UTF-16 code units. */
export type Place = { readonly column: number; readonly length: number };

/** A comparison behind a field name; `:` and `=` are the same. */
export type Comparison = ':' | '>=' | '<=' | '>' | '<';

/** A piece of a query. `glued` says that no space stands before it. */
export type Token = Place & { readonly glued: boolean } & (
    | { readonly kind: 'open' }
    | { readonly kind: 'close' }
    | { readonly kind: 'and' }
    | { readonly kind: 'or' }
    | { readonly kind: 'not' }
    | { readonly kind: 'minus' }
    | { readonly kind: 'near'; readonly distance: number; readonly ordered: boolean }
    | { readonly kind: 'field'; readonly name: FieldName; readonly comparison: Comparison }
    | { readonly kind: 'word'; readonly text: string }
    | { readonly kind: 'quoted'; readonly text: string; readonly between?: number; readonly prefix: boolean }
  );

/** KQL's distance where NEAR names none. */
const NEAR_DEFAULT = 8;

const SPACE = /\s+/y;
const NEAR = /(O?)NEAR(?:\((?:n=)?(\d{1,6})\)|\/(\d{1,6}))?(?=[\s()]|$)/y;
const WITHIN = /(w|pre)\/(\d{1,6})(?=[\s()]|$)/iy;
const FIELD = /([\p{L}_][\p{L}\p{N}_]*)(:(?!\/\/)|>=|<=|>|<|=)/uy;
const OPERATOR = /(AND|OR|NOT)(?=[\s()"“”„]|$)/y;
const WORD = /[^\s()"“”„]+/y;
// Parentheses inside a number, as in from:+1(555)123-4567.
const NUMBER_WORD = /\+?\d*\(\d{1,5}\)[\d\-./]+(?=[\s()]|$)/y;
const QUOTE = /["“”„]/;

/** Throws for a place in a query. The text says what to do and repeats nothing of the query, which may hold personal data. */
export function failQuery(message: string, place: Place): never {
  throw new CartularyError('bad-query', `column ${place.column}: ${message}`, {
    detail: { column: place.column, length: place.length },
  });
}

/**
 * @param text the query as typed
 * @throws CartularyError `bad-query` with `detail` `{column, length}`
 */
export function tokenizeSyntax(text: string): Token[] {
  if (text.length > QUERY_CHARS_MAX) {
    failQuery(`a query has at most ${QUERY_CHARS_MAX.toLocaleString('en')} characters`, {
      column: QUERY_CHARS_MAX + 1,
      length: text.length - QUERY_CHARS_MAX,
    });
  }
  const tokens: Token[] = [];
  let position = 0;
  let glued = false;
  while (position < text.length) {
    const space = matchAt(SPACE, text, position);
    if (space !== undefined) {
      position += space[0].length;
      glued = false;
      continue;
    }
    const token = readToken(text, position, glued, tokens.at(-1));
    tokens.push(token);
    position += token.length;
    glued = true;
  }
  return tokens;
}

/** Is this, standing alone, one word and nothing else? */
export function isPlainWord(text: string): boolean {
  try {
    const [token, ...rest] = tokenizeSyntax(text);
    return token?.kind === 'word' && token.text === text && rest.length === 0;
  } catch {
    return false;
  }
}

function matchAt(pattern: RegExp, text: string, position: number): RegExpExecArray | undefined {
  pattern.lastIndex = position;
  return pattern.exec(text) ?? undefined;
}

function readToken(text: string, position: number, glued: boolean, before: Token | undefined): Token {
  const character = text.charAt(position);
  const place = { column: position + 1, length: 1, glued };
  const isValue = glued && before?.kind === 'field';
  if (character === '(') {
    if (glued && (before?.kind === 'word' || before?.kind === 'quoted')) {
      failQuery('write a space before a parenthesis, or put the word in quotes', place);
    }
    return { kind: 'open', ...place };
  }
  if (character === ')') return { kind: 'close', ...place };
  if (QUOTE.test(character)) return readQuoted(text, position, glued, before);
  if (!isValue) {
    const token = readOperator(text, position, glued) ?? readField(text, position, glued);
    if (token !== undefined) return token;
    if (character === '-') return readMinus(text, position, place);
  }
  const number = isValue && isPartyField(before.name) ? matchAt(NUMBER_WORD, text, position) : undefined;
  const word = (number ?? matchAt(WORD, text, position))?.[0] ?? character;
  return { kind: 'word', text: word, column: position + 1, length: word.length, glued };
}

function isPartyField(name: FieldName): boolean {
  return name === 'from' || name === 'to' || name === 'with' || name === 'participant';
}

function readMinus(text: string, position: number, place: Place & { glued: boolean }): Token {
  const next = text.charAt(position + 1);
  if (next === '' || /[\s)-]/.test(next)) failQuery('a minus stands directly before what it excludes', place);
  return { kind: 'minus', ...place };
}

function readOperator(text: string, position: number, glued: boolean): Token | undefined {
  const near = matchAt(NEAR, text, position);
  if (near !== undefined) {
    const place = { column: position + 1, length: near[0].length, glued };
    if (text.charAt(position + near[0].length) === '(') {
      failQuery('NEAR stands between two words, as in: refund NEAR(5) order', place);
    }
    const between = Number(near[2] ?? near[3] ?? NEAR_DEFAULT);
    return { kind: 'near', distance: checkReach(between + 1, place), ordered: near[1] === 'O', ...place };
  }
  const within = matchAt(WITHIN, text, position);
  if (within !== undefined) {
    const place = { column: position + 1, length: within[0].length, glued };
    const ordered = within[1]?.toLowerCase() === 'pre';
    return { kind: 'near', distance: checkReach(Number(within[2]), place), ordered, ...place };
  }
  const operator = matchAt(OPERATOR, text, position)?.[1];
  if (operator === undefined) return undefined;
  const kind = operator === 'AND' ? 'and' : operator === 'OR' ? 'or' : 'not';
  return { kind, column: position + 1, length: operator.length, glued };
}

function checkReach(distance: number, place: Place): number {
  if (distance >= 1 && distance <= PROXIMITY_WORDS_MAX) return distance;
  return failQuery(`words can be at most ${PROXIMITY_WORDS_MAX} apart, and at least 1`, place);
}

function readField(text: string, position: number, glued: boolean): Token | undefined {
  const match = matchAt(FIELD, text, position);
  if (match === undefined) return undefined;
  const written = match[1]?.toLowerCase();
  const name = FIELD_NAMES.find((field) => field === written);
  const operator = match[2] ?? ':';
  const place = { column: position + 1, length: match[0].length, glued };
  if (name === undefined) {
    if (operator === '=') return undefined;
    failQuery(`this is not a field. Fields are: ${FIELD_NAMES.join(', ')}. Put text with a colon in quotes`, place);
  }
  const comparison = operator === '=' ? ':' : (operator as Comparison);
  if (comparison !== ':' && name !== 'date') failQuery('only date can be compared with < and >', place);
  const after = text.charAt(position + match[0].length);
  if (after === '' || /[\s)]/.test(after)) failQuery('the value follows directly, without a space', place);
  return { kind: 'field', name, comparison, ...place };
}

function readQuoted(text: string, position: number, glued: boolean, before: Token | undefined): Token {
  if (glued && (before?.kind === 'word' || before?.kind === 'quoted')) {
    failQuery('write a space before a quotation mark', { column: position + 1, length: 1 });
  }
  let content = '';
  let index = position + 1;
  for (; index < text.length && !QUOTE.test(text.charAt(index)); index++) {
    const escaped = text.charAt(index + 1);
    if (text.charAt(index) === '\\' && (escaped === '\\' || QUOTE.test(escaped))) index++;
    content += text.charAt(index);
  }
  if (index >= text.length) {
    failQuery('this quotation mark is never closed', { column: position + 1, length: text.length - position });
  }
  index++;
  const suffix = /^(?:~(\d{1,6})|(\*))?(?=[\s()]|$)/.exec(text.slice(index, index + 9));
  const end = { column: index + 1, length: 1 };
  if (suffix === null) failQuery('after a quotation mark come a space, ~ with a number of words, or *', end);
  const place = { column: position + 1, length: index + suffix[0].length - position, glued };
  const prefix = suffix[2] !== undefined;
  if (suffix[1] === undefined) return { kind: 'quoted', text: content, prefix, ...place };
  const between = Number(suffix[1]);
  checkReach(between + 1, end);
  return { kind: 'quoted', text: content, prefix, between, ...place };
}
