/** Fuzz targets of capture: everything here is what strangers send. */
import { isUtf8 } from 'node:buffer';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

import * as fc from 'fast-check';

import { importedEvent } from '../../src/capture/imports/event-schema.ts';
import { readStandardEvents, STANDARD_WEBHOOKS } from '../../src/capture/connectors/standard-webhooks.ts';
import { parseEndpoint, parseCount, parseTwilioTime } from '../../src/capture/connectors/twilio-common.ts';
import { TWILIO_CONNECTOR } from '../../src/capture/connectors/twilio.ts';
import { TWILIO_MEDIA_LIST } from '../../src/capture/connectors/twilio-rest.ts';
import { parseForm, parseQuery } from '../../src/capture/form.ts';
import { guardEnvelope, guardText, isDoubtful } from '../../src/capture/guard/guard.ts';
import { scanForm, scanJson } from '../../src/capture/guard/scan.ts';
import { joinJsonElements, parseJsonSafely, sliceJsonElements } from '../../src/capture/json.ts';
import { isPublicAddress } from '../../src/capture/media/address-guard.ts';
import { parseRetryAfter } from '../../src/capture/media/fetch-media.ts';
import { sniffMime } from '../../src/capture/media/sniff.ts';
import { isOptOutWord } from '../../src/capture/opt-out-words.ts';
import { makeRawSlice, restoreEnvelope } from '../../src/capture/raw-slice.ts';
import { SIGNATURE_SCHEMES, verifySignature } from '../../src/capture/signatures.ts';
import type { SignatureScheme } from '../../src/capture/signatures.ts';
import { plivoSignedTexts, twilioSignedTexts } from '../../src/capture/signature-urls.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { textMac } from '../../src/capture/text-mac.ts';
import { hostileBytes, hostileForm, hostileJson, hostileText } from './arbitraries.ts';
import { checkEvents } from './check-events.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const folder = new URL('../../src/capture/connectors/fixtures/twilio/', import.meta.url);
const fixtures = readdirSync(folder)
  .filter((name) => !name.includes('.url.'))
  .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }));
export const TWILIO_FORMS = fixtures
  .filter(({ name }) => name.endsWith('.txt'))
  .map(({ text }) => Object.fromEntries(new URLSearchParams(text.trim())));
const jsonOf = (prefix: string): unknown[] =>
  fixtures
    .filter(({ name }) => name.startsWith(prefix) && name.endsWith('.json'))
    .map(({ text }) => JSON.parse(text) as unknown);
const streams = jsonOf('event-streams');
const answers = jsonOf('rest-');

const AT = '2026-11-22T12:00:00Z';
const message = { id: 'm1', channel: 'sms', direction: 'inbound', from: '+14155550100', to: ['+14155550101'] };
const medium = { url: 'https://cdn.example/a.jpg', mimeType: 'image/jpeg', bytes: 5, sha256: 'ab'.repeat(32) };
export const STANDARD_EVENTS: readonly unknown[] = [
  {
    type: 'message.created',
    timestamp: AT,
    data: { ...message, text: ' Hello ', media: [medium], parts: [{ kind: 'location', latitude: 1, longitude: 2 }] },
  },
  {
    events: [
      { type: 'message.edited', timestamp: AT, data: { id: 'm1', text: 'other' } },
      { type: 'message.deleted', timestamp: AT, data: { id: 'm1', by: 'sender', scope: 'everyone' } },
      { type: 'message.status', timestamp: AT, data: { id: 'm1', state: 'delivered' } },
      { type: 'reaction.added', timestamp: AT, data: { id: 'm1', emoji: '👍', by: '+14155550100' } },
    ],
  },
];

function envelopeOf(body: Uint8Array, more: Partial<Envelope> = {}): Envelope {
  return {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/src_1',
    headers: [],
    body,
    receivedAtMs: 1_795_305_600_000,
    ...more,
  };
}
const utf8 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'utf8'));
const jsonBody = (samples: readonly unknown[]): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    { weight: 2, arbitrary: hostileJson(samples).map(utf8) },
    { weight: 1, arbitrary: hostileBytes(samples.map((sample) => JSON.stringify(sample))) },
  );

const source = { platform: 'twilio', settings: {} };
const standardSource = { platform: 'standard-webhooks', settings: {} };
const SECRET = '0123456789abcdef0123456789abcdef';
const schemes = Object.values(SIGNATURE_SCHEMES) as readonly SignatureScheme[];
const headerNames = [
  ...new Set(JSON.stringify(schemes).match(/"[a-z0-9]+(?:-[a-z0-9]+)+"/g) ?? []),
  '"authorization"',
].map((name) => name.slice(1, -1));
const jwt = [{ alg: 'HS256' }, { iat: 1_795_305_600, exp: 1_795_305_700, payload_hash: 'x' }]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .join('.');
const headerValues = hostileText([
  `sha256=${'ab'.repeat(32)}`,
  't=1795305600,v1=abcdef,v0=12',
  `v1,${Buffer.alloc(32).toString('base64')} v1a,${Buffer.alloc(64).toString('base64')}`,
  `Bearer ${jwt}.${Buffer.alloc(32).toString('base64url')}`,
  '1795305600',
  'Basic dXNlcjpwYXNz',
]);

export const CAPTURE_TARGETS: readonly Target[] = [
  defineTarget('form', ['parseForm'], hostileForm(TWILIO_FORMS), (body) => {
    const { pairs, wellFormed } = parseForm(body);
    // Node's own reader drops a leading question mark, and breaks the character behind a percent sign that escapes nothing.
    const text = Buffer.from(body).toString('utf8');
    if (!isUtf8(body) || !wellFormed || /^\?|%(?![0-9a-f]{2})/i.test(text)) return;
    mustEqual(pairs, [...new URLSearchParams(text)], 'a form reads otherwise');
  }),
  defineTarget('query of a URL', ['parseQuery'], hostileText(['https://a.example/x?a=1&b=%20c#d', '?']), (url) => {
    must(parseQuery(url).pairs.length <= 2_000, 'too many pairs');
  }),
  defineTarget(
    'JSON of strangers',
    ['parseJsonSafely', 'sliceJsonElements'],
    jsonBody([...streams, ...STANDARD_EVENTS, { a: [1, 1e25, 'x'] }]),
    (body) => {
      const value = parseJsonSafely(body);
      const text = new TextDecoder().decode(body);
      must(Array.isArray(value) === text.trimStart().startsWith('['), 'another kind of value');
      if (!Array.isArray(value)) return;
      const slices = sliceJsonElements(body);
      mustEqual(parseJsonSafely(joinJsonElements(slices)), value, 'elements were cut wrongly');
    },
  ),
  defineTarget(
    'Twilio forms',
    ['readForm', 'readConversationEvent', 'readEnds'],
    hostileForm(TWILIO_FORMS),
    (body) => {
      const type = 'application/x-www-form-urlencoded';
      const envelope = envelopeOf(body, { headers: [['Content-Type', type]] });
      for (const { events } of TWILIO_CONNECTOR.read(envelope, source)) checkEvents(events);
    },
    { cost: 2 },
  ),
  defineTarget(
    'Twilio Event Streams',
    ['readEventStreams'],
    jsonBody(streams),
    (body) => {
      const envelope = envelopeOf(body, { headers: [['Content-Type', 'application/json']] });
      for (const { events } of TWILIO_CONNECTOR.read(envelope, source)) checkEvents(events);
    },
    { cost: 2 },
  ),
  defineTarget(
    'Twilio REST answers',
    ['readRestAnswer'],
    jsonBody(answers),
    (body) => {
      const envelope = envelopeOf(body, { transport: 'poll', url: 'https://api.twilio.com/x' });
      TWILIO_MEDIA_LIST.locate('https://api.twilio.com/a/Media.json', body, 0);
      TWILIO_CONNECTOR.pull?.nextPage?.(source, envelope);
      for (const { events } of TWILIO_CONNECTOR.read(envelope, source)) checkEvents(events);
    },
    { cost: 2 },
  ),
  defineTarget(
    'Twilio values',
    ['parseEndpoint', 'parseTwilioTime', 'parseCount'],
    hostileText([
      'whatsapp:+4915112345678',
      'rcs:agent',
      'Thu, 30 Jul 2015 20:12:31 +0000',
      '2015-07-30T20:12:31Z',
      '3',
    ]),
    (text) => {
      must(parseEndpoint(text).address.value.length <= 256, 'a long address');
      parseTwilioTime(text);
      const count = parseCount(text);
      must(count === undefined || (Number.isSafeInteger(count) && count >= 0), 'no count');
    },
    { cost: 5 },
  ),
  defineTarget(
    'Standard Webhooks events',
    ['readStandardEvents', 'readStandardEvent'],
    jsonBody(STANDARD_EVENTS),
    (body) => {
      for (const { events } of STANDARD_WEBHOOKS.read(envelopeOf(body), standardSource)) checkEvents(events);
      for (const { events } of readStandardEvents(envelopeOf(body), standardSource)) {
        for (const event of events) {
          if (event.kind !== 'unknown') must(importedEvent.safeParse(event).success, 'an event that no import takes');
        }
      }
    },
    { cost: 5 },
  ),
  defineTarget(
    'signatures',
    ['verifySignature', 'verifyToken'],
    fc.record({
      scheme: fc.constantFrom(...schemes.filter(({ kind }) => kind !== 'none')),
      headers: fc.array(fc.tuple(fc.constantFrom(...headerNames), headerValues), { maxLength: 4 }),
      body: hostileForm(TWILIO_FORMS),
      url: hostileText(['https://archive.example/hooks/src_1?bodySHA256=ab']),
      secret: fc.constantFrom(SECRET, 'whsec_AAAA', 'whpk_AAAA', '-----BEGIN PUBLIC KEY-----', '\ud800'),
    }),
    ({ scheme, headers, body, url, secret }) => {
      const { ok } = verifySignature(scheme, envelopeOf(body, { headers, url }), [secret], 1_795_305_600_000);
      must(!ok, 'a signature was forged');
    },
    { cost: 4 },
  ),
  defineTarget(
    'signed texts of Twilio and Plivo',
    ['twilioSignedTexts', 'plivoSignedTexts'],
    fc.tuple(hostileText(['https://a.example:443/x?b=1&a=%20#rc=3', 'http://[::1]/']), hostileForm(TWILIO_FORMS)),
    ([url, body]) => {
      must([...twilioSignedTexts(envelopeOf(body, { url }))].length <= 16, 'many texts');
      must([...plivoSignedTexts(envelopeOf(body, { url }), 'n')].length <= 16, 'many texts');
    },
  ),
  defineTarget(
    'MAC of a text',
    ['textMac'],
    fc.tuple(fc.constantFrom('sha1' as const, 'sha256' as const), hostileText([SECRET]), hostileText(['text'])),
    ([algorithm, secret, text]) =>
      mustEqual(textMac(algorithm, secret, text), createHmac(algorithm, secret).update(text).digest(), 'another MAC'),
  ),
  defineTarget(
    'raw slice',
    ['makeRawSlice', 'restoreEnvelope'],
    fc.tuple(hostileBytes(['a=1', Buffer.from([0xff, 0xfe])]), hostileText(['https://a.example/?bodySHA256=ab&c=1'])),
    ([body, url]) => {
      const envelope = envelopeOf(body, { url });
      mustEqual(restoreEnvelope(makeRawSlice(envelope, undefined, {}), envelope.receivedAtMs), envelope, 'another');
    },
  ),
  defineTarget(
    'guard',
    ['guardEnvelope', 'guardText', 'scanJson', 'scanForm', 'decodePart'],
    fc.oneof(
      hostileForm([{ Body: 'card 4111 1111 1111 1111 exp 12/27 cvv 123', From: '+1' }]),
      jsonBody([
        { text: 'my card is 5500-0000-0000-0004, cvc: 987', code: 'Your code is 123456', n: 4111111111111111 },
      ]),
    ),
    (body) => {
      const options = { oneTimeCodes: true };
      const envelope = envelopeOf(body);
      const guarded = guardEnvelope(envelope, options);
      if (guarded.findings !== undefined) must(isDoubtful(envelope, options), 'the quick look missed something');
      must(guardEnvelope(guarded.envelope, options).findings === undefined, 'guard left something');
      const text = Buffer.from(body).toString('utf8');
      guardText(text, options);
      scanJson(text, { string: () => undefined, number: () => undefined });
      scanForm(text, () => undefined);
    },
    { cost: 10 },
  ),
  defineTarget('opt-out words', ['isOptOutWord'], hostileText(['STOP', ' opt-out ', 'unsubscribe']), (text) => {
    if (isOptOutWord(text)) must(text.trim().length <= 11, 'a sentence was taken for a word');
  }),
  defineTarget('Retry-After', ['parseRetryAfter'], hostileText(['120', 'Wed, 21 Oct 2026 07:28:00 GMT']), (text) => {
    const ms = parseRetryAfter(text, 1_795_305_600_000);
    must(ms === undefined || (ms >= 0 && ms <= 3_600_000), 'a wait beyond the limit');
  }),
  defineTarget(
    'addresses of the network',
    ['isPublicAddress'],
    hostileText(['127.0.0.1', '8.8.8.8', '::ffff:10.0.0.1']),
    (text) => {
      if (isPublicAddress(text)) must(!/^(?:127\.|10\.|0\.|169\.254\.|192\.168\.|::)/.test(text), 'a private address');
    },
  ),
  defineTarget(
    'media type',
    ['sniffMime'],
    hostileBytes([
      Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
      '<svg xmlns="x">',
      '%PDF-1.7',
      'PK\x03\x04',
      'RIFF....WEBPVP8 ',
      'BEGIN:VCARD',
      '....ftypisom',
    ]),
    async (bytes) => void (await sniffMime(bytes)),
    { cost: 10, isAsync: true },
  ),
];
