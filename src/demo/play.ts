/** Turns conversations into what Twilio would send: requests in an order, with times, media, reports, repetitions. */
import { createHash } from 'node:crypto';

import { CONVERSATIONS, NAMES, NUMBERS } from './conversations.ts';
import type { Conversation, Country } from './conversations.ts';
import { makePdf, makePng } from './media.ts';
import { createPrng } from './prng.ts';
import type { Prng } from './prng.ts';
import { slotsOf } from './slots.ts';
import { ACCOUNT_SID } from './stand-in.ts';
import type { RestMessage } from './stand-in.ts';

/** What is posted to the hook. `forged`: with a signature that does not fit. */
export type Delivery = { readonly fields: Readonly<Record<string, string>>; readonly forged?: true };

/** One step of the play: what the API knows from then on, and what it tells. */
export type Step = {
  readonly message: RestMessage;
  readonly media: readonly { sid: string; bytes: Buffer; mime: string }[];
  readonly deliveries: readonly Delivery[];
};

const SHOP_NUMBER = '+12125550199';
const DAY_MS = 86_400_000;

type Customer = { readonly country: Country; readonly name: string; readonly number: string };

/** Endless steps; the first `backlog` messages lie in the past 90 days, the rest are of now. The same seed gives the same texts. */
export function* playShop(options: {
  readonly seed: number;
  readonly backlog: number;
  readonly standInUrl: string;
  readonly now: () => number;
}): Generator<Step> {
  const prng = createPrng(options.seed);
  const startMs = options.now() - 90 * DAY_MS;
  let count = 0;
  for (;;) {
    const conversation = prng.pick(CONVERSATIONS);
    const customer = makeCustomer(prng, conversation.country);
    const slots = makeSlots(prng, customer);
    const conversationMs = count < options.backlog ? startMs + ((90 * DAY_MS) / options.backlog) * count : undefined;
    for (const [index, line] of conversation.lines.entries()) {
      count += 1;
      const sentMs =
        conversationMs === undefined
          ? options.now()
          : Math.min(conversationMs + index * 600_000 + prng.below(300_000), options.now());
      yield makeStep({ prng, conversation, customer, line, slots, sentMs, number: count, ...options });
    }
  }
}

function makeCustomer(prng: Prng, country: Country): Customer {
  const index = prng.below(100);
  const names = NAMES[country];
  // Whoever writes from a number again has the same name.
  const name = names[index % names.length] ?? '';
  return { country, name, number: `${NUMBERS[country]}${String(index).padStart(2, '0')}` };
}

function makeSlots(prng: Prng, customer: Customer): Record<string, string> {
  const slots: Record<string, string> = { name: customer.name, order: `#${10_000 + prng.below(2500)}` };
  for (const [name, values] of Object.entries(slotsOf(customer.country))) slots[name] = prng.pick(values);
  return slots;
}

type StepInput = {
  readonly prng: Prng;
  readonly conversation: Conversation;
  readonly customer: Customer;
  readonly line: Conversation['lines'][number];
  readonly slots: Record<string, string>;
  readonly sentMs: number;
  readonly number: number;
  readonly seed: number;
  readonly standInUrl: string;
};

function makeStep(input: StepInput): Step {
  const { conversation, customer, line, prng } = input;
  const [who, template, attachment] = line;
  const text = template.replaceAll(/\{(\w+)\}/g, (_match, slot: string) => input.slots[slot] ?? '');
  const sid = makeSid(attachment === undefined ? 'SM' : 'MM', input);
  const prefix = conversation.channel === undefined ? '' : `${conversation.channel}:`;
  const [from, to] = who === 'c' ? [customer.number, SHOP_NUMBER] : [SHOP_NUMBER, customer.number];
  const media = attachment === undefined ? [] : [makeMedium(attachment, makeSid('ME', input), prng, text)];
  const failure = who === 's' && prng.below(40) === 0 ? 30_006 : null;
  const date = new Date(input.sentMs).toUTCString().replace('GMT', '+0000');
  const message: RestMessage = {
    sid,
    account_sid: ACCOUNT_SID,
    from: prefix + from,
    to: prefix + to,
    body: text,
    status: who === 'c' ? 'received' : failure === null ? 'delivered' : 'undelivered',
    direction: who === 'c' ? 'inbound' : 'outbound-api',
    date_created: date,
    date_sent: date,
    date_updated: date,
    num_media: String(media.length),
    num_segments: '1',
    price: '-0.00790',
    price_unit: 'USD',
    error_code: failure,
    error_message: failure === null ? null : 'Landline or unreachable carrier',
    messaging_service_sid: null,
  };
  const deliveries = who === 'c' ? inbound(input, message, media) : reports(input, message);
  return { message, media, deliveries };
}

function makeSid(prefix: string, input: StepInput): string {
  return prefix + createHash('md5').update(`${input.seed} ${input.number} ${prefix}`).digest('hex');
}

function makeMedium(
  kind: 'image' | 'pdf',
  sid: string,
  prng: Prng,
  text: string,
): { sid: string; bytes: Buffer; mime: string } {
  return kind === 'image'
    ? { sid, bytes: makePng(prng.below(200), prng.below(200), prng.below(200)), mime: 'image/png' }
    : { sid, bytes: makePdf(`Return label ${text.length}`), mime: 'application/pdf' };
}

/** What comes in: the webhook, now and then twice, seldom forged first. */
function inbound(input: StepInput, message: RestMessage, media: readonly { sid: string; mime: string }[]): Delivery[] {
  const isWhatsApp = input.conversation.channel === 'whatsapp';
  const fields: Record<string, string> = {
    MessageSid: message.sid,
    SmsSid: message.sid,
    SmsMessageSid: message.sid,
    AccountSid: ACCOUNT_SID,
    From: message.from,
    To: message.to,
    Body: message.body,
    NumMedia: message.num_media,
    NumSegments: '1',
    SmsStatus: 'received',
    ApiVersion: '2010-04-01',
    ...(isWhatsApp
      ? {
          ProfileName: input.customer.name,
          WaId: input.customer.number.slice(1),
          MessageType: media.length > 0 ? 'image' : 'text',
        }
      : { FromCountry: input.customer.country, ToCountry: 'US' }),
    ...(message.body === 'STOP' ? { OptOutType: 'STOP' } : {}),
  };
  for (const [index, { sid, mime }] of media.entries()) {
    fields[`MediaUrl${index}`] =
      `${input.standInUrl}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/${message.sid}/Media/${sid}`;
    fields[`MediaContentType${index}`] = mime;
  }
  const delivery: Delivery = { fields };
  const twice = input.prng.below(25) === 0 ? [delivery] : [];
  const forged: Delivery[] =
    input.prng.below(200) === 0 ? [{ fields: { ...fields, Body: 'I am somebody else' }, forged: true }] : [];
  return [...forged, delivery, ...twice];
}

/** What Twilio tells of an outbound text: states without a body, late and out of order at times. */
function reports(input: StepInput, message: RestMessage): Delivery[] {
  const states =
    message.error_code === null
      ? ['sent', 'delivered', ...(input.conversation.channel === undefined ? [] : ['read'])]
      : ['sent', 'undelivered'];
  const ordered = input.prng.below(10) === 0 ? states.toReversed() : states;
  return ordered.map((state) => ({
    fields: {
      MessageSid: message.sid,
      SmsSid: message.sid,
      AccountSid: ACCOUNT_SID,
      From: message.from,
      To: message.to,
      MessageStatus: state,
      SmsStatus: state,
      ApiVersion: '2010-04-01',
      ...(message.error_code !== null && state === 'undelivered' ? { ErrorCode: String(message.error_code) } : {}),
    },
  }));
}
