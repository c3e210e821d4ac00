/** Numbers that shops write about all day, in the forms in which carriers, banks and platforms give them out. */
import { describe, expect, it } from 'vitest';

import { guardText } from './guard.ts';

const ROUNDS = 2_000;

/** The same numbers in each run. */
function createDigits(seed: number): (count: number) => string {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * 10);
  };
  return (count) => Array.from({ length: count }, next).join('');
}

const inFours = (text: string): string => text.replace(/(.{4})(?=.)/g, '$1 ');

/** A number with the last digit that makes its GS1 check digit fit. */
function withGs1(digits: string): string {
  const sum = [...digits].reverse().reduce((total, digit, at) => total + Number(digit) * (at % 2 === 0 ? 3 : 1), 0);
  return digits + String((10 - (sum % 10)) % 10);
}

function withRemainder(account: string): string {
  const number = BigInt(`${account}131400`);
  return `DE${String(98n - (number % 97n)).padStart(2, '0')}${account}`;
}

const digits = createDigits(7);
const FORMS: readonly (readonly [string, readonly string[], () => string])[] = [
  ['UPS', ['UPS {} is out for delivery', '{}'], () => `1Z${digits(16)}`],
  ['FedEx 12', ['FedEx {} delivered', '{}'], () => digits(12)],
  ['FedEx 15', ['tracking number {}', 'Your parcel {} is on its way'], () => digits(15)],
  ['FedEx 22', ['FedEx {} delivered', '{}'], () => `96${digits(20)}`],
  ['DHL', ['DHL Sendung {} kommt morgen', '{}'], () => `00340${digits(15)}`],
  ['DHL JJD', ['Sendungsnummer {}', '{}'], () => `JJD${digits(18)}`],
  ['USPS', ['UPS {} delivered', '{}'], () => withGs1(`9400${digits(17)}`)],
  ['USPS in fours', ['USPS {} delivered', '{}', 'hi, {} thanks'], () => inFours(withGs1(`9400${digits(17)}`))],
  ['Royal Mail', ['{}'], () => `RM${digits(9)}GB`],
  ['order', ['order {} confirmed', 'Bestellung {} wurde versandt', 'pedido {} enviado'], () => digits(16)],
  ['IBAN', ['IBAN {}', 'please refund to {}', '{}'], () => withRemainder(`37040044${digits(10)}`)],
  ['IBAN in fours', ['IBAN {}', '{}'], () => inFours(withRemainder(`37040044${digits(10)}`))],
  ['article', ['barcode {}', '{}'], () => withGs1(digits(12))],
  ['time in milliseconds', ['{}'], () => `17${digits(11)}`],
  ['phone', ['call me on {}', '{}'], () => `+1${digits(10)}`],
  ['message id', ['{}'], () => `SM${digits(16)}abcdef0123456789`],
];

/** Found among 86,000 ids of messages: a run of digits in them fits the check digit of a card, and the letters beside it are words of some language. */
const CARD_LIKE_IDS = [
  'SMb1c834341d12a58776501360081a33b1',
  'SM1f818a70c6430a39469981707252a30d',
  'SM51333a9f2dff1ea2e670468670902640',
  'SMd083bd5ab8bea99e36983373584148e8',
  'SM511173646783d810670734e75da7678a',
  'SMb413253945898d1704368fa8a78cd969',
];

describe('guard spares', () => {
  it.each(FORMS)('numbers of the form %s', (_name, sentences, make) => {
    const touched: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const text = (sentences[round % sentences.length] ?? '').replace('{}', make());
      if (guardText(text, { oneTimeCodes: false }).findings !== undefined) touched.push(text);
    }
    expect(touched).toEqual([]);
  });

  it.each(CARD_LIKE_IDS)('an id that looks like a card from within: %s', (id) => {
    expect(guardText(id, { oneTimeCodes: false })).toEqual({ text: id });
  });
});
