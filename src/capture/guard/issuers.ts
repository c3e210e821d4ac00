/**
 * Which digits are a card number: issuer ranges (ISO/IEC 7812; ranges as the card schemes publish them), lengths and the Luhn check digit,
 * and what looks like one without being one: article numbers and telephone numbers.
 */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';

/** Shortest and longest card number, digits. */
export const CARD_DIGITS_MIN = 13;
export const CARD_DIGITS_MAX = 19;

/** First and last value of the leading six digits, and the lengths in use, the most common first. */
type IssuerRange = readonly [from: number, to: number, lengths: readonly number[]];

const L16_19: readonly number[] = [16, 19, 18, 17];
const L16: readonly number[] = [16];
const MAESTRO: readonly number[] = [16, 19, 18, 17, 15, 14, 13];

const RANGES: readonly IssuerRange[] = [
  [180000, 180099, [15]], // JCB, old
  [213100, 213199, [15]], // JCB, old
  [220000, 220499, L16_19], // Mir
  [222100, 272099, L16], // Mastercard
  [300000, 305999, [14, 16, 19, 18, 17]], // Diners Club
  [309500, 309599, [14, 16, 19, 18, 17]], // Diners Club
  [340000, 349999, [15]], // American Express
  [352800, 358999, L16_19], // JCB
  [360000, 369999, [14, 16, 19, 18, 17]], // Diners Club
  [370000, 379999, [15]], // American Express
  [380000, 399999, [14, 16, 19, 18, 17]], // Diners Club
  [400000, 499999, [16, 19, 18, 13]], // Visa
  [500000, 509999, MAESTRO], // Maestro, Dankort, Elo, Verve
  [510000, 559999, L16], // Mastercard
  [560000, 589999, MAESTRO], // Maestro
  [600000, 601099, L16], // RuPay
  [601100, 601199, L16_19], // Discover
  [601200, 609999, L16], // RuPay, Hipercard
  [620000, 629999, L16_19], // UnionPay
  [630400, 630499, MAESTRO], // Maestro
  [636000, 639999, L16_19], // InterPayment, InstaPayment, Elo, Maestro
  [644000, 659999, L16_19], // Discover, RuPay, Troy
  [670000, 679999, MAESTRO], // Maestro
  [810000, 829999, L16_19], // UnionPay, RuPay
  [979200, 979299, L16], // Troy
];

/** By the two leading digits: can a card number begin so? */
const STARTS = new Uint8Array(100);
for (const [from, to] of RANGES) {
  for (let start = Math.floor(from / 10_000); start <= Math.floor(to / 10_000); start += 1) STARTS[start] = 1;
}

/** Can a card number begin with these two digits? */
export function startsLikeCard(first: number, second: number): boolean {
  return STARTS[first * 10 + second] === 1;
}

/** Lengths that a card with these six leading digits can have, the most common first; empty where no issuer has the range. */
export function issuerLengths(leading: number): readonly number[] {
  for (const [from, to, lengths] of RANGES) {
    if (leading < from) return [];
    if (leading <= to) return lengths;
  }
  return [];
}

/** Does the check digit fit (Luhn, ISO/IEC 7812-1 annex B)? `digits` holds values 0 to 9. */
export function fitsLuhn(digits: ArrayLike<number>, length: number): boolean {
  let sum = 0;
  for (let index = length - 1, doubled = false; index >= 0; index -= 1, doubled = !doubled) {
    const digit = digits[index] ?? 0;
    if (!doubled) sum += digit;
    else sum += digit < 5 ? 2 * digit : 2 * digit - 9;
  }
  return sum % 10 === 0;
}

/** Is this a number of 13 to 19 digits that an issuer could have given out? */
export function isCardNumber(digits: ArrayLike<number>, length: number): boolean {
  if (length < CARD_DIGITS_MIN || length > CARD_DIGITS_MAX) return false;
  return issuerLengths(leadingSix(digits)).includes(length) && fitsLuhn(digits, length);
}

/** The six leading digits as a number. */
export function leadingSix(digits: ArrayLike<number>): number {
  let leading = 0;
  for (let index = 0; index < 6; index += 1) leading = leading * 10 + (digits[index] ?? 0);
  return leading;
}

/**
 * Is a number of 13 to 15 digits, without anything said about it, more likely an article number (GTIN-13 with its GS1 check digit) or a
 * telephone number in full (`4915112345678`)? Cards of 13 digits have not been given out for decades; such numbers come every day.
 */
export function isArticleOrPhone(digits: ArrayLike<number>, length: number): boolean {
  if (length > 15) return false;
  if (length === 13 && fitsGs1(digits, length)) return true;
  let text = '+';
  for (let index = 0; index < length; index += 1) text += String(digits[index] ?? 0);
  return parsePhoneNumberFromString(text)?.isValid() ?? false;
}

/** Does the GS1 check digit fit: weights 3 and 1 from the right (GS1 General Specifications §7.9)? */
export function fitsGs1(digits: ArrayLike<number>, length: number): boolean {
  let sum = 0;
  for (let index = length - 1, weight = 1; index >= 0; index -= 1, weight = 4 - weight) {
    sum += weight * (digits[index] ?? 0);
  }
  return sum % 10 === 0;
}
