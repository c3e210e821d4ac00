/**
 * Terms of fields: what stands in the index beside the words of a message so that it can be filtered.
 *
 * Every term begins with ² and a letter for its field. No text can hold ² (tokens.ts makes a 2 of it), so terms and words never
 * meet and need no column of their own; and ² is Latin-1, so the text of a row stays a one-byte string all the way down.
 *
 *   ²c sms          channel        ²n 7654321951+   number of the sender, digits backwards: its end is a prefix of the term
 *   ²d inbound      direction      ²m …             number of a recipient
 *   ²b main         brand          ²f jane          word of the sender's name or handle
 *   ²y optout³2e…   record type    ²t jane          word of a recipient's
 *   ²h media        has            ²o 1001a         order, letters and digits only
 *   ²q failed       delivery state, but only where a message rests in it and few do: see isPassingState
 *   ²s ²v ²i …      source, conversation, id: 50 bits of a hash. Exact look-ups only, so the bytes of long ids need not be kept
 *   ²j 1001a        joined spelling of a number in the text
 *   ²p 0888742804   phone number in the text, digits backwards
 *   ²x              between two names, so that no phrase spans them
 */
import type { IndexDocument } from './document.ts';
import { findAliases, findTextNumbers, foldText, tokenize } from './tokens.ts';

/** Letter of each kind of term. */
export const MARKS = {
  channel: '²c',
  direction: '²d',
  brand: '²b',
  type: '²y',
  has: '²h',
  order: '²o',
  source: '²s',
  conversation: '²v',
  id: '²i',
  alias: '²j',
  textNumber: '²p',
  fromNumber: '²n',
  toNumber: '²m',
  fromWord: '²f',
  toWord: '²t',
  state: '²q',
  barrier: '²x',
} as const;

/** Directions a message can have; together they are all messages, which is what NOT alone is taken from. */
export const DIRECTIONS = ['inbound', 'outbound', 'internal', 'unknown'] as const;

/** A direction of the closed list; anything else is `unknown`. */
export function toDirection(value: string): (typeof DIRECTIONS)[number] {
  const folded = normalizeValue(value);
  return DIRECTIONS.find((direction) => direction === folded) ?? 'unknown';
}

const PASSING_STATES = new Set([
  '',
  'unknown',
  'scheduled',
  'accepted',
  'queued',
  'sending',
  'sent',
  'delivered',
  'read',
  'played',
  'received',
]);

/**
 * Is this a state that messages pass through, or that most of them have? Then it is no term: each step would cost a new index entry,
 * and a list of nearly all messages helps no search. Failures are few and final, and "failed" with a common word has to be fast.
 * @param state normalised
 */
export function isPassingState(state: string): boolean {
  return PASSING_STATES.has(state);
}

/** Values of channel, brand, type, has and state are compared without regard to case, width and outer spaces. */
export function normalizeValue(value: string): string {
  return /^[a-z0-9.]*$/.test(value) ? value : value.normalize('NFKC').toLowerCase().normalize('NFKC').trim();
}

/** An order name by its letters and digits: "#1001-A" and "1001a" are the same order. */
export function normalizeOrder(value: string): string {
  if (/^[\u0020-\u007e]*$/.test(value)) return value.replaceAll(/[^0-9A-Za-z]/g, '').toLowerCase();
  return foldText(value).replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/**
 * Makes one token of any value, one to one: ASCII letters and digits stay, every other UTF-16 unit becomes ³ and two hex digits,
 * or ¹ and four.
 */
export function encodeValue(value: string): string {
  if (/^[a-z0-9]*$/.test(value)) return value;
  return value.replaceAll(/[^a-z0-9]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `³${code.toString(16).padStart(2, '0')}` : `¹${code.toString(16).padStart(4, '0')}`;
  });
}

const HASH_DIGITS = Array.from('0123456789abcdefghjkmnpqrstvwxyz', (digit) => digit.charCodeAt(0));

/**
 * 50 bits of a hash in ten letters and digits, the same on every machine. Not a commitment: hits are looked up in the store before
 * they are shown. Written digit by digit, because `toString(36)` of numbers this large costs a microsecond each.
 */
export function hashValue(value: string): string {
  let high = 0x9e3779b9 | 0;
  let low = 0x85ebca6b | 0;
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    high = Math.imul(high ^ code, 0x5bd1e995);
    high ^= high >>> 15;
    low = Math.imul(low ^ code, 0xc2b2ae35);
    low ^= low >>> 13;
  }
  high = Math.imul(high ^ (low >>> 16), 0x27d4eb2d);
  high ^= high >>> 15;
  low = Math.imul(low ^ (high >>> 13), 0x165667b1);
  low ^= low >>> 16;
  const digit = (word: number, shift: number) => HASH_DIGITS[(word >>> shift) & 31] ?? 0;
  return String.fromCharCode(
    digit(high, 0),
    digit(high, 5),
    digit(high, 10),
    digit(high, 15),
    digit(high, 20),
    digit(low, 0),
    digit(low, 5),
    digit(low, 10),
    digit(low, 15),
    digit(low, 20),
  );
}

/** A number as a party writes it: its digits, and whether its country is known. */
export type PhoneDigits = { readonly digits: string; readonly international: boolean };

const PHONE = /^(?:\+|00)?[\d\s().\-/\u00a0\u2010-\u2013\u202a-\u202e\u2066-\u2069]+$/;

/**
 * Reads a phone number or short code in any spelling: "+1 (555) 123-4567", "0049 171 …", "0171/…", "12345".
 * @returns nothing where the text is not a number; leading zeros of national numbers are dropped, since E.164 has none
 */
export function findPhoneDigits(text: string): PhoneDigits | undefined {
  if (!PHONE.test(text.trim())) return undefined;
  const compact = text.replaceAll(/[^\d+()]/g, '');
  const international = compact.startsWith('+') || compact.startsWith('00');
  // "+44 (0)20 …": the zero in parentheses is dialled inside the country only.
  const digits = (international ? compact.replace('(0)', '') : compact).replaceAll(/\D/g, '').replace(/^0+/, '');
  return digits === '' ? undefined : { digits, international };
}

/** From here on the end of a number says enough to be found by it; shorter ones are short codes and match whole. */
export const NUMBER_SUFFIX_DIGITS_MIN = 7;
/** E.164: a number has at most 15 digits. */
const NUMBER_DIGITS_MAX = 15;

/** Digits of the phone numbers that a text holds, as long as its end could find one. */
export function findPhonesInText(text: string): Set<string> {
  const phones = new Set<string>();
  for (const written of findTextNumbers(text)) {
    const digits = findPhoneDigits(written)?.digits ?? '';
    if (digits.length >= NUMBER_SUFFIX_DIGITS_MIN && digits.length <= NUMBER_DIGITS_MAX) phones.add(digits);
  }
  return phones;
}

/** A word or phrase of a query as the phone number it may be. @returns nothing where it is too short or too long for one */
export function findQueryPhone(text: string): PhoneDigits | undefined {
  const phone = findPhoneDigits(text);
  if (phone === undefined) return undefined;
  const { length } = phone.digits;
  return length >= NUMBER_SUFFIX_DIGITS_MIN && length <= NUMBER_DIGITS_MAX ? phone : undefined;
}

/** Digits from last to first, so that the end of a number becomes a prefix. */
export function reverseDigits(digits: string): string {
  let reversed = '';
  for (let index = digits.length - 1; index >= 0; index--) reversed += digits[index];
  return reversed;
}

/** Writes all terms of a document, each after a space, to be put behind its prepared text. */
export type FormatTerms = (document: IndexDocument) => string;

/** Values remembered by one formatter; channels, types, sources and brands are few. */
const REMEMBERED_MAX = 4_096;

/** Makes a formatter that remembers terms of values that come again and again. */
export function makeTermFormatter(): FormatTerms {
  const remembered = new Map<string, string>();
  const remember = (mark: string, value: string, make: (value: string) => string): string => {
    if (value === '') return '';
    const key = mark + value;
    let term = remembered.get(key);
    if (term === undefined) {
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      term = ` ${mark}${make(value)}`;
      remembered.set(key, term);
    }
    return term;
  };
  const encode = (value: string) => encodeValue(normalizeValue(value));
  return (document) => {
    let terms = remember(MARKS.direction, document.direction === '' ? 'unknown' : document.direction, toDirection);
    terms += remember(MARKS.channel, document.channel, encode) + remember(MARKS.brand, document.brand, encode);
    terms += remember(MARKS.source, document.source, hashValue);
    if (document.conversation !== '') terms += ` ${MARKS.conversation}${hashValue(document.conversation)}`;
    terms += formatParty(MARKS.fromNumber, MARKS.fromWord, document.from);
    terms += formatParty(MARKS.toNumber, MARKS.toWord, document.to);
    for (const type of document.types) terms += remember(MARKS.type, type, encode);
    for (const kind of document.has) terms += remember(MARKS.has, kind, encode);
    if (!isPassingState(document.state) && !isPassingState(normalizeValue(document.state))) {
      terms += remember(MARKS.state, document.state, encode);
    }
    for (const order of document.orders) {
      const normalized = normalizeOrder(order);
      if (normalized !== '') terms += ` ${MARKS.order}${encodeValue(normalized)}`;
    }
    for (const id of document.ids) if (id !== '') terms += ` ${MARKS.id}${hashValue(id)}`;
    for (const alias of findAliases(document.text)) terms += ` ${MARKS.alias}${alias}`;
    for (const number of findPhonesInText(document.text)) terms += ` ${MARKS.textNumber}${reverseDigits(number)}`;
    return terms;
  };
}

function formatParty(numberMark: string, wordMark: string, keys: readonly string[]): string {
  let terms = '';
  let afterName = false;
  for (const key of keys) {
    const number = findPlainNumber(key) ?? findPhoneDigits(key)?.digits;
    if (number !== undefined) {
      terms += ` ${numberMark}${reverseDigits(number)}`;
      afterName = false;
      continue;
    }
    const words = tokenize(key);
    if (words.length === 0) continue;
    if (afterName) terms += ` ${MARKS.barrier}`;
    for (const word of words) terms += ` ${wordMark}${word}`;
    afterName = true;
  }
  return terms;
}

/** The digits of a key in plain E.164, as nearly every key is, without the general way's regular expressions. */
export function findPlainNumber(key: string): string | undefined {
  return key.charCodeAt(0) === 0x2b && /^\+[1-9]\d{4,14}$/.test(key) ? key.slice(1) : undefined;
}
