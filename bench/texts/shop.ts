/**
 * The texts of a shop as its platform sends them, one after the other and from a seed: conversations that are answered, customers of whom few write much and most
 * little, and, in the mix `shop`, what the shop sends with the reports of its delivery. Byte for byte as Twilio would send it; never more than a few thousand in memory.
 */
import { hash } from 'node:crypto';

import { createRandom } from '../random.ts';
import { languageOf, makeText } from './text.ts';

/** `plain`: inbound texts only, an envelope each. `shop`: also what the shop sends, with its states, and texts with pictures. */
export type Mix = 'plain' | 'shop';
export const MIXES: readonly Mix[] = ['plain', 'shop'];

/** Something the platform tells. */
export type Told = {
  /** `webhook`: a form that comes by itself; `fetch`: JSON that was asked for. */
  readonly transport: 'webhook' | 'fetch';
  readonly body: Buffer;
  /** What names it for the baseline: the same thing told twice has the same key. */
  readonly key: string;
  /** Number of the text that it is about, from 0. */
  readonly number: number;
  /** Is the text told of for the first time? */
  readonly isNew: boolean;
  /** When it is told, milliseconds since 1970. */
  readonly atMs: number;
};

export type Shop = {
  /** What is told next. */
  readonly next: () => Told;
  /** Reports that are still to come when no more texts are wanted. */
  readonly rest: () => Told[];
};

/** Texts of one customer on average; the number of customers follows from it. */
const TEXTS_A_CUSTOMER = 12;
const CUSTOMERS_MIN = 2000;
/** Conversations that go on side by side, and the chance that the next text belongs to one of them. */
const OPEN_CONVERSATIONS = 512;
const GOES_ON = 0.6;
/** Of the texts of a shop, those that it sends. */
const OUTBOUND_SHARE = 0.6;
/** Of all texts of a shop, those with a picture. The picture itself is not fetched. */
const MULTIMEDIA_SHARE = 0.04;
/** What becomes of a text that is sent: shares of its last state; the rest is never heard of again. */
const DELIVERED_SHARE = 0.92;
const UNDELIVERED_SHARE = 0.04;
/** Things told between a text and the report of its delivery. */
const REPORT_AFTER_MIN = 2500;
const REPORT_AFTER_SPREAD = 2500;

/** The texts are spread over a year that begins then. */
export const FIRST_MS = Date.UTC(2025, 9, 1);
export const YEAR_MS = 365 * 86_400_000;

const ACCOUNT = 'ACf3b9c0de4a7714be8d0a6cbb2f95e17c';
const SHOP_NUMBER = '+15550100100';

type Conversation = { readonly customer: number; readonly order: number };

/** Opens a shop. @param messages how many texts are wanted, which says how many customers there are */
export function openShop(seed: number, messages: number, mix: Mix): Shop {
  const random = createRandom(seed);
  const customers = Math.max(CUSTOMERS_MIN, Math.ceil(messages / TEXTS_A_CUSTOMER));
  const open: Conversation[] = [];
  const reports: { readonly due: number; readonly told: Told }[] = [];
  let number = 0;
  let told = 0;
  const nowMs = (): number => FIRST_MS + Math.floor((YEAR_MS * number) / messages);
  const nextConversation = (): Conversation => {
    const slot = Math.floor(random() * OPEN_CONVERSATIONS);
    const known = open[slot];
    if (known !== undefined && random() < GOES_ON) return known;
    // Density falls with the square root of the rank: one customer in a hundred writes a tenth of all.
    const conversation = { customer: Math.floor(customers * random() ** 2), order: 10_000 + Math.floor(number / 4) };
    open[slot] = conversation;
    return conversation;
  };
  const makeNext = (): Told => {
    const { customer, order } = nextConversation();
    const isFromShop = mix === 'shop' && random() < OUTBOUND_SHARE;
    const isMultimedia = mix === 'shop' && random() < MULTIMEDIA_SHARE;
    const sid = `${isMultimedia ? 'MM' : 'SM'}${hash('md5', `${seed} ${number}`)}`;
    const text = makeText(random, { language: languageOf(customer), isFromShop, number, order });
    const phone = `+1555${1_000_000 + customer}`;
    const made = isFromShop
      ? { transport: 'fetch' as const, body: makeResource(sid, phone, text, nowMs()) }
      : { transport: 'webhook' as const, body: makeForm(sid, phone, text) };
    if (isFromShop) addReport(sid, phone);
    const atMs = nowMs();
    return { ...made, key: sid, isNew: true, atMs, number: number++ };
  };
  const addReport = (sid: string, phone: string): void => {
    const chance = random();
    if (chance >= DELIVERED_SHARE + UNDELIVERED_SHARE) return;
    const state = chance < DELIVERED_SHARE ? 'delivered' : 'undelivered';
    const due = Math.max(
      reports.at(-1)?.due ?? 0,
      told + REPORT_AFTER_MIN + Math.floor(random() ** 8 * REPORT_AFTER_SPREAD),
    );
    const body = makeReport(sid, phone, state);
    reports.push({
      due,
      told: { transport: 'webhook', body, key: `${sid} ${state}`, number, isNew: false, atMs: nowMs() },
    });
  };
  return {
    next() {
      told += 1;
      return (reports[0]?.due ?? Number.POSITIVE_INFINITY) <= told ? (reports.shift()?.told ?? makeNext()) : makeNext();
    },
    rest: () => reports.splice(0).map((report) => report.told),
  };
}

/** As `application/x-www-form-urlencoded` has it. @source WHATWG URL §5 */
function encodeField(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Body of the webhook of an inbound text. */
function makeForm(sid: string, phone: string, text: string): Buffer {
  const from = encodeField(phone);
  return Buffer.from(
    `ToCountry=US&ToState=NY&SmsMessageSid=${sid}&NumMedia=0&ToCity=&FromZip=10001&SmsSid=${sid}&FromState=NY&SmsStatus=received&FromCity=NEW+YORK&Body=${encodeField(text)}&FromCountry=US&To=%2B15550100100&ToZip=&NumSegments=${Math.ceil(text.length / 153)}&MessageSid=${sid}&AccountSid=${ACCOUNT}&From=${from}&ApiVersion=2010-04-01`,
    'latin1',
  );
}

/** Body of a delivery report. */
function makeReport(sid: string, phone: string, state: string): Buffer {
  const error = state === 'undelivered' ? '&ErrorCode=30003' : '';
  return Buffer.from(
    `SmsSid=${sid}&SmsStatus=${state}&MessageStatus=${state}&To=${encodeField(phone)}&MessageSid=${sid}&AccountSid=${ACCOUNT}&From=%2B15550100100&ApiVersion=2010-04-01${error}`,
    'latin1',
  );
}

/** A text that the shop sent, as the platform's REST API gives it. */
function makeResource(sid: string, phone: string, text: string, atMs: number): Buffer {
  const date = new Date(atMs).toUTCString().replace('GMT', '+0000');
  return Buffer.from(
    JSON.stringify({
      account_sid: ACCOUNT,
      api_version: '2010-04-01',
      body: text,
      date_created: date,
      date_sent: date,
      date_updated: date,
      direction: 'outbound-api',
      error_code: null,
      error_message: null,
      from: SHOP_NUMBER,
      messaging_service_sid: null,
      num_media: '0',
      num_segments: String(Math.ceil(text.length / 153)),
      price: null,
      price_unit: 'USD',
      sid,
      status: 'sent',
      subresource_uris: { media: `/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}/Media.json` },
      to: phone,
      uri: `/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}.json`,
    }),
  );
}
