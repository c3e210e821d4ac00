/**
 * Twilio Programmable Messaging (SMS, MMS, WhatsApp, RCS), Event Streams and Conversations.
 *
 * Four ways tell of the same texts: webhooks (inbound, with everything the channel says), status callbacks (no text), Event Streams (text of
 * what was sent) and the message list (everything of every tool on the account). They meet in one natural key, so that it does not matter
 * which came first or came at all.
 */
import type { Envelope, EnvelopePart, SourceView } from '../../model/envelope.ts';
import { CartularyError } from '../../model/errors.ts';
import type { Event, MessageKey } from '../../model/event.ts';
import { findHeader } from '../../model/envelope.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import type { Connector, PlatformCredentials, PlatformRequest } from '../connector.ts';
import { parseForm, parseQuery } from '../form.ts';
import { isJsonObject, parseJsonSafely } from '../json.ts';
import { SIGNATURE_SCHEMES } from '../signatures.ts';
import { accountOf, apiBaseOf, contextOf, TWILIO, TWILIO_API, pathElement } from './twilio-common.ts';
import { readEventStreams } from './twilio-events.ts';
import { readForm } from './twilio-form.ts';
import { readRestAnswer, TWILIO_MEDIA_LIST } from './twilio-rest.ts';

/** Twilio's largest page. */
const PAGE_SIZE = 1000;
const DAY_MS = 86_400_000;

/**
 * Says what an envelope of Twilio's means: an answer that was asked for, a form (in the body, or in the query of a GET), or Event Streams.
 * @throws UnreadableEnvelope
 */
function readTwilio(envelope: Envelope, source: SourceView): readonly EnvelopePart[] {
  const context = contextOf(envelope, source);
  if (envelope.transport === 'fetch' || envelope.transport === 'poll') return readRestAnswer(envelope, context);
  if (isJson(envelope)) return readEventStreams(envelope, context);
  const form = envelope.body.length === 0 ? parseQuery(envelope.url) : parseForm(envelope.body);
  return [{ events: readForm(form, context).map((event, index) => withDelivery(event, envelope, index)) }];
}

/** What Twilio gives no key of its own to tell it by is told by the token that names one webhook over all its retries. */
function withDelivery(event: Event, envelope: Envelope, index: number): Event {
  if (event.dedupe !== undefined) return event;
  const token = findHeader(envelope.headers, 'i-twilio-idempotency-token');
  return token === undefined || token === '' ? event : { ...event, dedupe: `delivery|${token.slice(0, 200)}|${index}` };
}

function isJson(envelope: Envelope): boolean {
  const type = findHeader(envelope.headers, 'content-type')?.toLowerCase() ?? '';
  if (type.startsWith('application/x-www-form-urlencoded')) return false;
  if (type.includes('json')) return true;
  // `[` or `{` is no beginning of a form of Twilio's.
  return envelope.body[0] === 0x5b || envelope.body[0] === 0x7b;
}

/** An API key where there is one, else the account's own token; an empty header where there is neither. */
const credentials: PlatformCredentials = (settings) => {
  const { accountSid, authToken, apiKeySid, apiKeySecret } = {
    accountSid: settings['accountSid'],
    authToken: settings['authToken'],
    apiKeySid: settings['apiKeySid'],
    apiKeySecret: settings['apiKeySecret'],
  };
  const [user, password] = apiKeySid && apiKeySecret ? [apiKeySid, apiKeySecret] : [accountSid, authToken];
  if (!user || !password) return { authorization: '' };
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}` };
};

function getAccount(source: SourceView): string {
  const account = accountOf(source);
  if (account === undefined || !/^AC[0-9a-zA-Z]+$/.test(account)) {
    throw new CartularyError('setting', 'this Twilio source has no account SID; set "accountSid"');
  }
  return account;
}

function get(url: string): PlatformRequest {
  return { method: 'GET', url, accept: 'application/json' };
}

function fetchMessage(source: SourceView, key: MessageKey): PlatformRequest {
  const id = pathElement(key.id);
  if (key.conversation !== undefined) {
    return get(`https://conversations.twilio.com/v1/Conversations/${pathElement(key.conversation)}/Messages/${id}`);
  }
  return get(`${apiBaseOf(source)}/2010-04-01/Accounts/${pathElement(key.account)}/Messages/${id}.json`);
}

function listSince(source: SourceView, sinceMs: number): PlatformRequest {
  const since = new Date(sinceMs).toISOString().replace(/\.\d+Z$/, 'Z');
  // The name of the filter is `DateSent>`, so that with its value it reads `DateSent>=…`.
  const query = `PageSize=${PAGE_SIZE}&DateSent%3E=${encodeURIComponent(since)}`;
  return get(`${apiBaseOf(source)}/2010-04-01/Accounts/${getAccount(source)}/Messages.json?${query}`);
}

function nextPage(source: SourceView, answer: Envelope): PlatformRequest | undefined {
  let page: unknown;
  try {
    page = parseJsonSafely(answer.body);
  } catch (cause) {
    if (cause instanceof UnreadableEnvelope) return undefined;
    throw cause;
  }
  const uri = isJsonObject(page) ? page['next_page_uri'] : undefined;
  // It is followed with credentials: only a path on the API's own host is.
  if (typeof uri !== 'string' || !/^\/2010-04-01\/Accounts\/[^\s\\]*$/.test(uri)) return undefined;
  return get(`${apiBaseOf(source)}${uri}`);
}

/** Fragment that makes Twilio try again: three times, whatever failed. It is read by Twilio and never sent. */
const RETRY = '#rc=3&rp=all';

/** Event types of Event Streams worth subscribing to. */
const STREAM_TYPES = [
  'com.twilio.messaging.message.queued',
  'com.twilio.messaging.message.sent',
  'com.twilio.messaging.message.delivered',
  'com.twilio.messaging.message.undelivered',
  'com.twilio.messaging.message.failed',
  'com.twilio.messaging.message.read',
] as const;

function setupSteps(hookUrl: string): readonly string[] {
  return [
    `Phone Numbers > Manage > Active numbers > your number > Messaging > "A message comes in": Webhook, ${hookUrl}${RETRY}, HTTP POST. If the number is in a Messaging Service, set the same under Messaging > Services > your service > Integration > "Send a webhook".`,
    `"Primary handler fails" (fallback URL): ${hookUrl}${RETRY} as well, or the same path on a second address of this server.`,
    `Messaging > Services > your service > Integration > "Delivery Status Callback": ${hookUrl}${RETRY}. Without a service, pass StatusCallback=${hookUrl}${RETRY} with each message.`,
    `WhatsApp and RCS senders: the same URLs under Messaging > Senders > your sender ("Webhook URL for incoming messages", "Fallback URL", "Status callback URL").`,
    `Event Streams > Create new sink > Webhook: ${hookUrl} (no fragment: Event Streams retries for four hours by itself), method POST, batch on. Subscribe it to ${STREAM_TYPES.join(', ')}, each in its newest schema version.`,
    `Conversations, if you use it: Conversations > Manage > Global webhooks > Post-event URL: ${hookUrl}; events onMessageAdded, onMessageUpdated, onMessageRemoved, onDeliveryUpdated, onParticipantAdded, onParticipantRemoved, onConversationUpdated.`,
    'Account > API keys & tokens: create a Standard API key and give its SID and secret as apiKeySid and apiKeySecret, so that media, missing texts and the message list can be fetched.',
    'When you rotate the Auth Token, add the new one as a further secret of this source before you promote it.',
  ];
}

/** Twilio: see the head of this file. */
export const TWILIO_CONNECTOR: Connector = {
  name: 'twilio',
  version: 2,
  title: 'Twilio (SMS, MMS, WhatsApp, RCS, Conversations)',
  platform: TWILIO,
  signature: SIGNATURE_SCHEMES.twilio,
  settings: [
    {
      name: 'accountSid',
      title: 'Account SID (AC…), to ask for the list of messages; missing texts and media are asked for without it',
      required: false,
      secret: false,
      defaultsToAccount: true,
    },
    { name: 'apiKeySid', title: 'API key SID (SK…), to fetch media and missing texts', required: false, secret: false },
    { name: 'apiKeySecret', title: 'API key secret', required: false, secret: true },
    {
      name: 'authToken',
      title: 'Auth Token, to fetch with where there is no API key; the signing secret where it is not given',
      required: false,
      secret: true,
      defaultsToSecret: true,
    },
  ],
  read: readTwilio,
  acknowledgement: { status: 200, contentType: 'text/xml', body: '<Response/>' },
  media: {
    hosts: [
      'api.twilio.com',
      'api.dublin.ie1.twilio.com',
      'api.sydney.au1.twilio.com',
      'mcs.us1.twilio.com',
      'media.us1.twilio.com',
      '.twiliocdn.com',
      's3-external-1.amazonaws.com',
    ],
    credentialHosts: ['api.twilio.com', 'api.dublin.ie1.twilio.com', 'api.sydney.au1.twilio.com', 'mcs.us1.twilio.com'],
    credentials,
    list: TWILIO_MEDIA_LIST,
    bytesMax: 100 * 1024 * 1024,
    // Twilio keeps media until the message is deleted: there is time, unless the shop redacts.
    lossAfterMs: 30 * DAY_MS,
  },
  pull: { baseUrl: TWILIO_API, credentials, fetchMessage, list: listSince, nextPage },
  setupSteps,
  captures: [
    'inbound SMS, MMS, WhatsApp and RCS: text, media, location, buttons and list replies, reply and forward marks, profile name, ad referral',
    'group MMS with all recipients that Twilio names',
    'outbound texts of every tool that sends through the account, by Event Streams or the message list',
    'delivery and read reports with error codes',
    'opt-out, opt-in and help words, as Twilio recognised them',
    'Conversations: messages, edits, deletions, delivery for each participant, who came and went',
  ],
  doesNotGive: [
    'the text in status callbacks: it is fetched, or comes by Event Streams',
    'status callbacks of messages that were sent with a StatusCallback of their own: the message list covers them',
    'reactions on WhatsApp and RCS',
    'edits and deletions outside Conversations',
    'texts that were redacted or deleted at Twilio before they were fetched',
    'the time an inbound text was sent: its webhook has none, so the time of receipt stands for it',
  ],
};
