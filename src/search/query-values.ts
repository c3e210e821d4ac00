/** Turns words and values of fields into nodes of the tree: wildcards, fuzzy words, numbers, exact values, dates. */
import { findAge, findPeriod } from './query-dates.ts';
import { failQuery } from './query-lexer.ts';
import type { Comparison, Place, Token } from './query-lexer.ts';
import type { FieldName, QueryHint, QueryNode, QuerySettings, TextField, ValueField } from './query-types.ts';
import { DIRECTIONS, findPhoneDigits, findQueryPhone, normalizeOrder, normalizeValue } from './terms.ts';
import { findSingleWord, foldText, tokenize } from './tokens.ts';

/** A token that carries text. */
export type ValueToken = Extract<Token, { kind: 'word' | 'quoted' }>;

/** What reading a value may look at and add to. */
export type ValueContext = {
  readonly settings: QuerySettings;
  readonly hints: QueryHint[];
};

/** Digits below which a number cannot be anything but a piece of one. */
const NUMBER_DIGITS_MIN = 3;
const INTERNATIONAL_DIGITS_MIN = 5;
const FUZZY_CHARS_MIN = { 1: 3, 2: 5 } as const;

const DIRECTION_ALIASES = new Map([
  ['in', 'inbound'],
  ['incoming', 'inbound'],
  ['out', 'outbound'],
  ['outgoing', 'outbound'],
]);

/** Reads a word or quoted phrase of the text, or of the names of a party. */
export function parseText(token: ValueToken, field: TextField, context: ValueContext): QueryNode {
  if (field === 'body' && findQueryPhone(token.text) !== undefined) {
    context.hints.push({
      code: 'phone-number',
      column: token.column,
      length: token.length,
      text: 'This number is looked for in the text of messages. Write with: before it to find messages from and to it.',
    });
  }
  return token.kind === 'quoted' ? parsePhrase(token, field) : parseWord(token, field, context);
}

/**
 * Reads the value behind `field:`.
 * @param comparison `:` for all fields but date
 */
export function parseFieldValue(
  name: FieldName,
  comparison: Comparison,
  token: ValueToken,
  context: ValueContext,
): QueryNode {
  switch (name) {
    case 'body':
      return parseText(token, 'body', context);
    case 'from':
    case 'to':
    case 'with':
      return parseParty(token, name, context);
    case 'participant':
      return parseParty(token, 'with', context);
    case 'status':
      return { kind: 'state', value: parseWhole(token) };
    case 'direction':
      return parseDirection(token);
    case 'channel':
    case 'type':
    case 'has':
    case 'brand':
      return parseValue(token, name, parseExact(token, true), true);
    case 'source':
    case 'conversation':
    case 'id':
      return parseValue(token, name, token.text.trim(), false);
    case 'sha256':
      return parseHash(token);
    case 'order':
      return parseValue(token, name, normalizeOrder(stripStar(token)), true);
    case 'before':
    case 'after':
    case 'on':
    case 'date':
    case 'older_than':
    case 'newer_than':
      return parseDate(name, comparison, token, context.settings);
  }
}

function requireTokens(text: string, place: Place): void {
  if (tokenize(text).length === 0) failQuery('there is nothing here to look for: no letter, digit or emoji', place);
}

function parsePhrase(token: Extract<ValueToken, { kind: 'quoted' }>, field: TextField): QueryNode {
  requireTokens(token.text, token);
  if (token.between === undefined) return { kind: 'phrase', field, text: token.text, prefix: token.prefix };
  if (field !== 'body') failQuery('~ behind quotation marks works in the text of messages only', token);
  if (splitLooseWords(token.text).length < 2)
    failQuery('~ behind quotation marks needs two words or more in them', token);
  return { kind: 'loose', text: token.text, between: token.between };
}

/** The words of `"a b c"~5`: what stands between spaces and holds something to look for. */
export function splitLooseWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => tokenize(word).length > 0);
}

function parseWord(token: Extract<ValueToken, { kind: 'word' }>, field: TextField, context: ValueContext): QueryNode {
  const fuzzy = /^([^~]*)~(\d*)$/.exec(token.text);
  if (fuzzy !== null) return parseFuzzy(fuzzy[1] ?? '', fuzzy[2] ?? '', token, field);
  const isUrl = token.text.includes('://');
  if (isUrl || !/[*?]/.test(token.text)) {
    requireTokens(token.text, token);
    return { kind: 'word', field, text: token.text };
  }
  // "Where is my order?": a question mark at the end is far more often punctuation than one more letter.
  const bare = token.text.replace(/[^\p{L}\p{N}\p{M}*]*\?[^\p{L}\p{N}\p{M}*]*$/u, '');
  if (bare !== token.text) {
    context.hints.push({
      code: 'question-mark',
      column: token.column,
      length: token.length,
      text: 'A question mark at the end of a word is taken as punctuation. Inside a word it stands for one character.',
    });
  }
  requireTokens(bare, token);
  if (!/[*?]/.test(bare)) return { kind: 'word', field, text: token.text };
  return parseWildcard(bare, token, field);
}

function parseWildcard(text: string, place: Place, field: TextField): QueryNode {
  if (/^[*?]/.test(text)) failQuery('a word cannot begin with * or ?', place);
  if (text.indexOf('*') === text.length - 1 && !text.includes('?')) {
    const base = text.slice(0, -1);
    if (!/[\p{L}\p{N}\p{M}\p{Extended_Pictographic}]$/u.test(base)) failQuery('the * follows a letter or digit', place);
    return { kind: 'prefix', field, text: base };
  }
  const pieces = text.split(/([*?])/);
  for (const piece of pieces) {
    if (piece === '' || piece === '*' || piece === '?') continue;
    if (!/^[\p{L}\p{N}\p{M}]+$/u.test(piece) || findSingleWord(piece) === undefined) {
      failQuery('* and ? work within one word of letters and digits', place);
    }
  }
  return {
    kind: 'wildcard',
    field,
    pattern: pieces.map((piece) => (/^[*?]?$/.test(piece) ? piece : foldText(piece))).join(''),
  };
}

function parseFuzzy(text: string, written: string, place: Place, field: TextField): QueryNode {
  const folded = findSingleWord(text);
  if (folded === undefined || /[*?]/.test(text)) failQuery('~ follows one word without * or ?', place);
  const length = [...folded].length;
  const distance = written === '' ? (length < FUZZY_CHARS_MIN[2] + 1 ? 1 : 2) : Number(written);
  if (distance !== 1 && distance !== 2) failQuery('words can differ by 1 or 2 letters: write ~1 or ~2', place);
  if (length < FUZZY_CHARS_MIN[distance]) {
    failQuery(`~${distance} needs a word of at least ${FUZZY_CHARS_MIN[distance]} letters`, place);
  }
  return { kind: 'fuzzy', field, text: folded, distance };
}

function parseParty(token: ValueToken, field: 'from' | 'to' | 'with', context: ValueContext): QueryNode {
  const starred = token.kind === 'quoted' ? token.prefix : token.text.endsWith('*');
  const phone = findPhoneDigits(token.kind === 'word' && starred ? token.text.slice(0, -1) : token.text);
  if (phone === undefined) return parseText(token, field, context);
  if (starred) failQuery('a number cannot be cut off at its end. Its last 7 digits or more find it', token);
  if (phone.digits.length < (phone.international ? INTERNATIONAL_DIGITS_MIN : NUMBER_DIGITS_MIN)) {
    failQuery('this number is too short. Put a number with spaces in quotes: from:"+1 (555) 123-4567"', token);
  }
  return { kind: 'number', field, digits: phone.digits, international: phone.international };
}

function stripStar(token: ValueToken): string {
  return token.kind === 'word' && token.text.endsWith('*') ? token.text.slice(0, -1) : token.text;
}

function parseWhole(token: ValueToken): string {
  const node = parseValue(token, 'channel', parseExact(token, false), false);
  return node.value;
}

function parseExact(token: ValueToken, mayEndOpen: boolean): string {
  const value = normalizeValue(mayEndOpen ? stripStar(token) : token.text);
  if (value === '') failQuery('the value is empty', token);
  return value;
}

type ValueNode = Extract<QueryNode, { kind: 'value' }>;

function parseValue(token: ValueToken, field: ValueField, value: string, mayEndOpen: boolean): ValueNode {
  const starred = token.kind === 'quoted' ? token.prefix : token.text.endsWith('*');
  if (value === '') failQuery('the value is empty', token);
  if (token.kind === 'quoted' && token.between !== undefined) failQuery('~ does not work with this field', token);
  if (starred && !mayEndOpen) failQuery('this field takes whole values only, without *', token);
  if (token.kind === 'word' && /[*?]/.test(stripStar(token))) {
    failQuery('in this field only a * at the end works. Put the value in quotes if it holds this character', token);
  }
  return { kind: 'value', field, value, prefix: starred };
}

/** A medium by its hash, which stands among the ids of its message. */
function parseHash(token: ValueToken): QueryNode {
  const written = token.text.trim().toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(written)) failQuery('a SHA-256 is written as 64 hexadecimal digits', token);
  return parseValue(token, 'id', `sha256:${written}`, false);
}

function parseDirection(token: ValueToken): QueryNode {
  const written = normalizeValue(token.text);
  const value = DIRECTION_ALIASES.get(written) ?? written;
  if (!DIRECTIONS.some((direction) => direction === value))
    failQuery(`direction is one of ${DIRECTIONS.join(', ')}`, token);
  return parseValue(token, 'direction', value, false);
}

const DATE_HELP =
  'write a date as 2026, 2026-01, 2026-01-31 or 2026-01-31T14:05Z, today or yesterday, and two of them as 2026-01..2026-02';

function parseDate(name: FieldName, comparison: Comparison, token: ValueToken, settings: QuerySettings): QueryNode {
  const { nowMs, timeZone = 'UTC' } = settings;
  if (token.kind === 'quoted' && (token.prefix || token.between !== undefined)) failQuery(DATE_HELP, token);
  if (name === 'older_than' || name === 'newer_than') {
    const at = findAge(token.text, nowMs);
    if (at === undefined) failQuery('write an age as 12h, 30d, 6w, 3m or 2y', token);
    return name === 'older_than' ? { kind: 'date', toMs: at } : { kind: 'date', fromMs: at };
  }
  const get = (text: string) => findPeriod(text, nowMs, timeZone) ?? failQuery(DATE_HELP, token);
  const range = name === 'date' && comparison === ':' ? /^(.*?)\.\.(.*)$/.exec(token.text) : null;
  if (range !== null) return parseRange(range[1] ?? '', range[2] ?? '', get, token);
  const period = get(token.text);
  if (name === 'before' || comparison === '<') return { kind: 'date', toMs: period.startMs };
  if (name === 'after' || comparison === '>=') return { kind: 'date', fromMs: period.startMs };
  if (comparison === '>') return { kind: 'date', fromMs: period.endMs };
  if (comparison === '<=') return { kind: 'date', toMs: period.endMs };
  return { kind: 'date', fromMs: period.startMs, toMs: period.endMs };
}

function parseRange(
  first: string,
  last: string,
  get: (text: string) => { startMs: number; endMs: number },
  place: Place,
): QueryNode {
  if (first === '' && last === '') failQuery(DATE_HELP, place);
  if (first === '') return { kind: 'date', toMs: get(last).endMs };
  if (last === '') return { kind: 'date', fromMs: get(first).startMs };
  const fromMs = get(first).startMs;
  const toMs = get(last).endMs;
  if (toMs <= fromMs) failQuery('the first date is later than the last', place);
  return { kind: 'date', fromMs, toMs };
}
