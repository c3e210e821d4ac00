/**
 * What in an envelope is derived from its body. Where guard took something out none of it may stay: three digits can be guessed from a hash
 * or signature of the text that held them (DESIGN §3).
 */
import type { Headers } from '../../model/record.ts';

/** Headers that platforms and standards derive from the body, lower case. */
const DERIVED_HEADERS: ReadonlySet<string> = new Set([
  // RFC 9110 §8.6, RFC 9530, RFC 3230, RFC 1864, RFC 9421, AWS
  ...[
    'content-length',
    'content-digest',
    'repr-digest',
    'digest',
    'content-md5',
    'etag',
    'signature',
    'signature-input',
    'x-amz-content-sha256',
  ],
  ...['x-content-sha256', 'x-amz-checksum-sha256', 'x-goog-hash', 'x-checksum'],
  // Meta, Intercom
  ...['x-hub-signature', 'x-hub-signature-256'],
  // Shops
  ...[
    'x-shopify-hmac-sha256',
    'shopify-hmac-sha256',
    'x-wc-webhook-signature',
    'stripe-signature',
    'x-bc-webhook-signature',
  ],
  // Standard Webhooks, Svix
  ...['webhook-signature', 'svix-signature'],
  // Messaging
  ...[
    'x-twilio-signature',
    'x-twilio-email-event-webhook-signature',
    'telnyx-signature-ed25519',
    'telnyx-signature',
    'messagebird-signature',
  ],
  ...[
    'messagebird-signature-jwt',
    'x-messagebird-signature',
    'x-plivo-signature',
    'x-plivo-signature-v2',
    'x-plivo-signature-ma-v2',
  ],
  ...[
    'x-plivo-signature-v3',
    'x-plivo-signature-ma-v3',
    'x-sinch-webhook-signature',
    'x-sinch-signature',
    'x-line-signature',
  ],
  ...[
    'x-viber-content-signature',
    'x-zevent-signature',
    'x-goog-signature',
    'x-signature-ed25519',
    'x-slack-signature',
    'x-signature',
  ],
  ...['x-infobip-signature', 'x-infobip-hmac', 'x-cm-signature', 'x-8x8-signature'],
  // Help desks and marketing
  ...[
    'x-zendesk-webhook-signature',
    'x-front-signature',
    'x-freshchat-signature',
    'klaviyo-signature',
    'x-attentive-hmac-sha256',
  ],
  ...[
    'x-gorgias-signature',
    'x-chatwoot-signature',
    'x-postscript-signature',
    'x-omnisend-signature',
    'x-yotpo-signature',
  ],
  // Vonage: a token whose claim is the SHA-256 of the body
  'authorization',
]);

/** Other headers whose name says that they are a check of what is sent. */
const DERIVED_NAME = /signature|hmac|digest|checksum|md5|sha-?(?:1|256|512)|(?:^|-)hash(?:-|$)/;

/** Removes all headers that were derived from the body. */
export function withoutDerivedHeaders(headers: Headers): Headers {
  return headers.filter(([name]) => !isDerivedHeader(name.toLowerCase()));
}

/** Is this a header that was derived from the body? @param lower its name in lower case */
export function isDerivedHeader(lower: string): boolean {
  return DERIVED_HEADERS.has(lower) || DERIVED_NAME.test(lower);
}

/** Query parameters that platforms derive from the body or from the other parameters, lower case. */
const DERIVED_PARAMETERS: ReadonlySet<string> = new Set(
  'bodysha256 sig signature msg_signature hmac mac hash digest checksum md5 sha1 sha256'.split(' '),
);

/** Removes the query parameters of a URL that were derived from what is sent; all else stays as it is written. */
export function withoutDerivedParameters(url: string): string {
  const query = findQuery(url);
  if (query === undefined) return url;
  const kept = url
    .slice(query.start, query.end)
    .split('&')
    .filter((pair) => !DERIVED_PARAMETERS.has(pair.slice(0, indexOrLength(pair, '=')).toLowerCase()));
  const joined = kept.join('&');
  const before = url.slice(0, joined === '' ? query.start - 1 : query.start);
  return before + joined + url.slice(query.end);
}

function indexOrLength(text: string, char: string): number {
  const index = text.indexOf(char);
  return index === -1 ? text.length : index;
}

/** Where the query of a URL stands, without `?` and fragment; undefined where there is none. */
export function findQuery(url: string): { readonly start: number; readonly end: number } | undefined {
  const mark = url.indexOf('?');
  const fragment = url.indexOf('#');
  const end = fragment === -1 ? url.length : fragment;
  return mark === -1 || mark + 1 >= end ? undefined : { start: mark + 1, end };
}

/** Names of fields in a body that hold a signature or hash of other fields, lower case: AWS SNS and SQS, Vonage, Zalo. */
const DERIVED_FIELDS: ReadonlySet<string> = new Set(
  'signature sig mac hmac msg_signature md5ofbody md5ofmessagebody payload_hash body_hash bodysha256'.split(' '),
);

/** Is this a field that holds a signature or hash of the body? */
export function isDerivedField(name: string): boolean {
  return DERIVED_FIELDS.has(name.toLowerCase());
}
