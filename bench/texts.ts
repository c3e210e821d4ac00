/** Made-up texts of a shop, from a seed: about 90 characters, words by Zipf's law, some needles that occur seldom. */

import { createHash } from 'node:crypto';

/** A small generator of pseudo-random numbers (mulberry32); the same seed gives the same numbers. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const COMMON =
  'the your order you to is and we a for it in of will be has been on with this please can my not thanks hi have delivery size return refund today tomorrow package shipped arrived address store code'.split(
    ' ',
  );
const STEMS =
  'ka lo mi ren tas ver bol dur fen gri hal jon kel lum mar nor pel qui ros sen tor ul vin wes yar zel'.split(' ');

function makeWords(count: number): string[] {
  const words = [...COMMON];
  for (let index = 0; words.length < count; index += 1) {
    const a = STEMS[index % STEMS.length] ?? '';
    const b = STEMS[Math.floor(index / STEMS.length) % STEMS.length] ?? '';
    const c = STEMS[Math.floor(index / STEMS.length ** 2) % STEMS.length] ?? '';
    words.push(a + b + (index >= STEMS.length ** 2 ? c : ''));
  }
  return words;
}

const WORDS = makeWords(8000);

/** One text. */
export function makeText(random: () => number, number: number): string {
  const words: string[] = [];
  const length = 8 + Math.floor(random() * 14);
  for (let index = 0; index < length; index += 1) {
    // Zipf: the rank is exponential in a uniform number.
    words.push(WORDS[Math.floor(WORDS.length ** random()) - 1] ?? 'the');
  }
  if (number % 5000 === 17) words.push(`needle${number}`);
  if (number % 40 === 3) words.push(`#${10_000 + (number % 5000)}`);
  return words.join(' ');
}

/** Body of a Twilio webhook, byte for byte as Twilio would send it. */
export function makeForm(random: () => number, number: number, seed: number): Buffer {
  const id = createHash('md5').update(`${seed} ${number}`).digest('hex');
  const customer = `+1555${String(1_000_000 + Math.floor(random() * 20_000)).slice(-7)}`;
  const fields = new URLSearchParams({
    ToCountry: 'US',
    ToState: 'NY',
    SmsMessageSid: `SM${id}`,
    NumMedia: '0',
    ToCity: '',
    FromZip: '10001',
    SmsSid: `SM${id}`,
    FromState: 'NY',
    SmsStatus: 'received',
    FromCity: 'NEW YORK',
    Body: makeText(random, number),
    FromCountry: 'US',
    To: '+15550100100',
    ToZip: '',
    NumSegments: '1',
    MessageSid: `SM${id}`,
    AccountSid: 'ACf3b9c0de4a7714be8d0a6cbb2f95e17c',
    From: customer,
    ApiVersion: '2010-04-01',
  });
  return Buffer.from(fields.toString(), 'latin1');
}
