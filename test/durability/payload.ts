/** What the clients send: genuine Twilio webhooks, each made again at any time from its client's name and number, so that the checker needs no copy. */
import { createHash } from 'node:crypto';

import twilio from 'twilio/lib/webhooks/webhooks.js';

import { createRandom } from '../../bench/random.ts';
import { AUTH_TOKEN, inboundFields } from '../support/twilio.ts';
import { makeWords } from './words.ts';

/** Messages that share a word no other message has: as many as a page of a search holds, so that one search answers for all of them. */
export const BLOCK = 200;

/** One webhook. */
export type Payload = {
  readonly sid: string;
  readonly text: string;
  readonly form: string;
  /** SHA-256 of the form's bytes, hex. */
  readonly hash: string;
};

/** The word that all messages of a block have in their text. Letters only, so that guard finds nothing that looks like a card. */
export function blockWord(client: string, n: number): string {
  return `block${client}x${letters(Math.floor(n / BLOCK))}`;
}

/** The webhook with number `n` of a client; the same one each time. */
export function makePayload(client: string, n: number): Payload {
  const digest = createHash('sha256').update(`${client} ${n}`).digest();
  const sid = `SM${digest.toString('hex', 0, 16)}`;
  const words = makeWords(createRandom(digest.readUInt32LE(16)));
  const text = `${words} ${blockWord(client, n)} n${letters(n)}`;
  const from = `+1555${String(1_000_000 + (digest.readUInt32LE(20) % 5000)).slice(-7)}`;
  const form = new URLSearchParams(inboundFields(sid, text, { From: from })).toString();
  return { sid, text, form, hash: createHash('sha256').update(form).digest('hex') };
}

/**
 * The bytes of the request, signed by Twilio's own package.
 * @param hookUrl what the platform was told to call, which the signature covers
 */
export function makeRequest(hookUrl: string, { form }: Payload): Buffer {
  const url = new URL(hookUrl);
  const fields = Object.fromEntries(new URLSearchParams(form));
  const signature = twilio.getExpectedTwilioSignature(AUTH_TOKEN, hookUrl, fields);
  const head = `POST ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: TwilioProxy/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: ${signature}\r\nContent-Length: ${Buffer.byteLength(form)}\r\n\r\n`;
  return Buffer.from(head + form, 'utf8');
}

function letters(number: number): string {
  return number.toString(26).replace(/./g, (digit) => 'abcdefghijklmnopqrstuvwxyz'[Number.parseInt(digit, 26)] ?? '');
}
