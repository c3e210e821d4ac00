/** Signed webhooks by the tens of thousands a second: what is the same in all of them is made once. */
import { createHmac } from 'node:crypto';

import { createRandom } from '../../bench/random.ts';
import { makeWords } from './words.ts';

const TEXTS = 2048;
const CONSTANT = {
  AccountSid: 'ACf3b9c0de4a7714be8d0a6cbb2f95e17c',
  ApiVersion: '2010-04-01',
  FromCountry: 'US',
  NumMedia: '0',
  NumSegments: '1',
  SmsStatus: 'received',
  To: '+15550100100',
  ToCountry: 'US',
} as const;

/** Where a flood goes and how its messages are told apart from those of another. */
export type FloodTarget = {
  readonly url: string;
  /** The address that the signature covers. */
  readonly signUrl: string;
  readonly token: string;
  /** 0 to 2^32 - 1; the same seed gives the same messages. */
  readonly seed: number;
};

/** What the platform calls a message of a flood. */
export function floodSid(seed: number, number: number): string {
  return `SM${(seed >>> 0).toString(16).padStart(8, '0')}${number.toString(16).padStart(24, '0')}`;
}

/** Makes the maker of a flood's requests, as they go over the wire. */
export function createFloodMessages({ url, signUrl, token, seed }: FloodTarget): (number: number) => string {
  const random = createRandom(seed);
  const texts = Array.from({ length: TEXTS }, () => makeWords(random));
  const encoded = texts.map((text) => new URLSearchParams({ Body: text }).toString());
  const target = new URL(url);
  const head = `POST ${target.pathname} HTTP/1.1\r\nHost: ${target.host}\r\nUser-Agent: TwilioProxy/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: `;
  const constant = new URLSearchParams(CONSTANT).toString();
  return (number) => {
    const sid = floodSid(seed, number);
    const from = `+1555${String(1_000_000 + ((number * 7919) % 20_000))}`;
    const at = number % TEXTS;
    // In the order of names, which the signature wants.
    const signed = `${signUrl}AccountSid${CONSTANT.AccountSid}ApiVersion${CONSTANT.ApiVersion}Body${texts[at] ?? ''}From${from}FromCountryUSMessageSid${sid}NumMedia0NumSegments1SmsMessageSid${sid}SmsSid${sid}SmsStatusreceivedTo${CONSTANT.To}ToCountryUS`;
    const signature = createHmac('sha1', token).update(signed).digest('base64');
    const form = `${constant}&MessageSid=${sid}&SmsMessageSid=${sid}&SmsSid=${sid}&From=%2B${from.slice(1)}&${encoded[at] ?? ''}`;
    return `${head}${signature}\r\nContent-Length: ${form.length}\r\n\r\n${form}`;
  };
}
