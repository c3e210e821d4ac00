/**
 * How platforms sign their webhooks, as data: one row a scheme, read by `verifySignature`. Rows whose check needs a certificate to be
 * fetched (AWS SNS, Microsoft Graph) stand with their connectors. Sources: reference integrations §1 and the vendors' pages named there.
 *
 * A row says what is signed as a list of pieces, so that the bytes of the body are never re-serialised and never decoded.
 */

/** A piece of what is signed. Header values count as the bytes that were sent. */
export type SignedPiece =
  /** The body, byte for byte. */
  | 'body'
  /** The raw 32 bytes of the body's SHA-256. */
  | 'body-sha256'
  /** The bytes that the base64 text in the JSON body's `message.data` stands for (Google Pub/Sub push). */
  | 'pubsub-data'
  /** The public URL, as the platform was told it. */
  | 'url'
  | { readonly text: string }
  | { readonly header: string }
  /** A named item of the signature header itself (`t=…`). */
  | { readonly item: string };

/** Where the time of signing stands and how far from now it may be, either way. */
export type SignedTime = {
  readonly from: { readonly header: string } | { readonly item: string } | { readonly query: string };
  readonly unit: 's' | 'ms' | 'iso';
  readonly toleranceSeconds: number;
};

/** A MAC or signature in a header over pieces of the request (families A, B, E, F and part of C). */
export type HeaderScheme = {
  readonly kind: 'header';
  readonly name: string;
  readonly algorithm: 'hmac-sha1' | 'hmac-sha256' | 'hmac-sha512' | 'ed25519' | 'rsa-sha256';
  /** Names of headers that may hold signatures, in lower case. */
  readonly headers: readonly string[];
  /** Text before each signature (`sha256=`); what lacks it is not a signature. */
  readonly prefix?: string;
  /** The header is a list of `name=value` items, and signatures are the items of this name. */
  readonly item?: string;
  readonly encoding: 'hex' | 'base64';
  /** How a secret stands for key bytes: its UTF-8 (default), or the base64 or hex of a raw Ed25519 key, or a PEM. */
  readonly key?: 'utf8' | 'base64' | 'hex' | 'pem';
  readonly signed: readonly SignedPiece[];
  readonly time?: SignedTime;
};

/** Standard Webhooks and what was made like it: `v1` (HMAC-SHA256) and `v1a` (Ed25519) in one space-separated list. */
export type StandardScheme = {
  readonly kind: 'standard';
  readonly name: string;
  readonly idHeader: string;
  readonly timeHeader: string;
  readonly signatureHeader: string;
  /** `tagged`: base64 behind an optional `whsec_` (secret) or behind `whpk_` (public key). `utf8`: the secret's own bytes. */
  readonly key: 'tagged' | 'utf8';
  readonly toleranceSeconds: number;
};

/** A JSON Web Token whose claims hold hashes of the request (family D). */
export type TokenScheme = {
  readonly kind: 'token';
  readonly name: string;
  readonly header: string;
  readonly prefix?: string;
  readonly algorithms: readonly ('HS256' | 'HS384' | 'HS512')[];
  readonly issuer?: string;
  /** The claim that holds hex SHA-256 of the public URL. */
  readonly urlHashClaim?: string;
  /** `iat`: issued within the tolerance of now. `exp`: between `nbf` and `exp`, with the tolerance as leeway. */
  readonly clock: 'iat' | 'exp';
  readonly toleranceSeconds: number;
};

/** A secret that is itself sent (family G and the checkable part of H). */
export type SharedSecretScheme = {
  readonly kind: 'secret';
  readonly name: string;
  readonly header: string;
  /** `basic`: the secret is `user:password` and the header an HTTP Basic credential. */
  readonly form: 'plain' | 'bearer' | 'basic';
};

/** Schemes with a canonical form of their own. */
export type OwnScheme = { readonly kind: 'twilio' | 'plivo' | 'wechat'; readonly name: string };

/** No signature: the platform has none, and the secret path of the hook stands alone. */
export type NoScheme = { readonly kind: 'none'; readonly name: string };

/** A row of the table of signature schemes; see verifySignature. */
export type SignatureScheme = HeaderScheme | StandardScheme | TokenScheme | SharedSecretScheme | OwnScheme | NoScheme;

/** Window around now in which a signed time must lie, either way. */
export const SIGNED_TIME_TOLERANCE_SECONDS = 300;

const WINDOW = { toleranceSeconds: SIGNED_TIME_TOLERANCE_SECONDS };

/** An HMAC over the body alone. */
function bodyMac(
  name: string,
  header: string,
  algorithm: 'hmac-sha1' | 'hmac-sha256',
  encoding: 'hex' | 'base64',
): HeaderScheme {
  return { kind: 'header', name, headers: [header], algorithm, encoding, signed: ['body'] };
}

/** Every scheme that can be checked from the request and the source's secrets alone, by name. */
export const SIGNATURE_SCHEMES = {
  none: { kind: 'none', name: 'none' },

  meta: { ...bodyMac('meta', 'x-hub-signature-256', 'hmac-sha256', 'hex'), prefix: 'sha256=' },
  intercom: { ...bodyMac('intercom', 'x-hub-signature', 'hmac-sha1', 'hex'), prefix: 'sha1=' },
  shopify: {
    kind: 'header',
    name: 'shopify',
    // Events came later than webhooks and dropped the `x-`.
    headers: ['x-shopify-hmac-sha256', 'shopify-hmac-sha256'],
    algorithm: 'hmac-sha256',
    encoding: 'base64',
    signed: ['body'],
  },
  woocommerce: bodyMac('woocommerce', 'x-wc-webhook-signature', 'hmac-sha256', 'base64'),
  line: bodyMac('line', 'x-line-signature', 'hmac-sha256', 'base64'),
  viber: bodyMac('viber', 'x-viber-content-signature', 'hmac-sha256', 'hex'),
  attentive: bodyMac('attentive', 'x-attentive-hmac-sha256', 'hmac-sha256', 'hex'),
  'front-rule': bodyMac('front-rule', 'x-front-signature', 'hmac-sha1', 'base64'),
  rbm: {
    kind: 'header',
    name: 'rbm',
    headers: ['x-goog-signature'],
    algorithm: 'hmac-sha512',
    encoding: 'base64',
    signed: ['pubsub-data'],
  },

  slack: {
    kind: 'header',
    name: 'slack',
    headers: ['x-slack-signature'],
    prefix: 'v0=',
    algorithm: 'hmac-sha256',
    encoding: 'hex',
    signed: [{ text: 'v0:' }, { header: 'x-slack-request-timestamp' }, { text: ':' }, 'body'],
    time: { from: { header: 'x-slack-request-timestamp' }, unit: 's', ...WINDOW },
  },
  stripe: {
    kind: 'header',
    name: 'stripe',
    headers: ['stripe-signature'],
    item: 'v1',
    algorithm: 'hmac-sha256',
    encoding: 'hex',
    signed: [{ item: 't' }, { text: '.' }, 'body'],
    time: { from: { item: 't' }, unit: 's', ...WINDOW },
  },
  zendesk: {
    kind: 'header',
    name: 'zendesk',
    headers: ['x-zendesk-webhook-signature'],
    algorithm: 'hmac-sha256',
    encoding: 'base64',
    signed: [{ header: 'x-zendesk-webhook-signature-timestamp' }, 'body'],
    time: { from: { header: 'x-zendesk-webhook-signature-timestamp' }, unit: 'iso', ...WINDOW },
  },
  'front-app': {
    kind: 'header',
    name: 'front-app',
    headers: ['x-front-signature'],
    algorithm: 'hmac-sha256',
    encoding: 'base64',
    signed: [{ header: 'x-front-request-timestamp' }, { text: ':' }, 'body'],
    time: { from: { header: 'x-front-request-timestamp' }, unit: 'ms', ...WINDOW },
  },
  klaviyo: {
    kind: 'header',
    name: 'klaviyo',
    headers: ['klaviyo-signature'],
    algorithm: 'hmac-sha256',
    encoding: 'hex',
    signed: ['body', { header: 'klaviyo-timestamp' }],
    time: { from: { header: 'klaviyo-timestamp' }, unit: 's', ...WINDOW },
  },
  sinch: {
    kind: 'header',
    name: 'sinch',
    headers: ['x-sinch-webhook-signature'],
    algorithm: 'hmac-sha256',
    encoding: 'base64',
    signed: [
      'body',
      { text: '.' },
      { header: 'x-sinch-webhook-signature-nonce' },
      { text: '.' },
      { header: 'x-sinch-webhook-signature-timestamp' },
    ],
    time: { from: { header: 'x-sinch-webhook-signature-timestamp' }, unit: 's', ...WINDOW },
  },
  bird: {
    kind: 'header',
    name: 'bird',
    headers: ['messagebird-signature'],
    algorithm: 'hmac-sha256',
    encoding: 'base64',
    signed: [{ header: 'messagebird-request-timestamp' }, { text: '\n' }, 'url', { text: '\n' }, 'body-sha256'],
    time: { from: { header: 'messagebird-request-timestamp' }, unit: 's', ...WINDOW },
  },

  discord: {
    kind: 'header',
    name: 'discord',
    headers: ['x-signature-ed25519'],
    algorithm: 'ed25519',
    encoding: 'hex',
    key: 'hex',
    signed: [{ header: 'x-signature-timestamp' }, 'body'],
    time: { from: { header: 'x-signature-timestamp' }, unit: 's', ...WINDOW },
  },
  telnyx: {
    kind: 'header',
    name: 'telnyx',
    headers: ['telnyx-signature-ed25519'],
    algorithm: 'ed25519',
    encoding: 'base64',
    key: 'base64',
    signed: [{ header: 'telnyx-timestamp' }, { text: '|' }, 'body'],
    time: { from: { header: 'telnyx-timestamp' }, unit: 's', ...WINDOW },
  },
  freshchat: {
    kind: 'header',
    name: 'freshchat',
    headers: ['x-freshchat-signature'],
    algorithm: 'rsa-sha256',
    encoding: 'base64',
    key: 'pem',
    signed: ['body'],
  },

  'standard-webhooks': {
    kind: 'standard',
    name: 'standard-webhooks',
    idHeader: 'webhook-id',
    timeHeader: 'webhook-timestamp',
    signatureHeader: 'webhook-signature',
    key: 'tagged',
    ...WINDOW,
  },
  svix: {
    kind: 'standard',
    name: 'svix',
    idHeader: 'svix-id',
    timeHeader: 'svix-timestamp',
    signatureHeader: 'svix-signature',
    key: 'tagged',
    ...WINDOW,
  },
  bigcommerce: {
    kind: 'standard',
    name: 'bigcommerce',
    idHeader: 'webhook-id',
    timeHeader: 'webhook-timestamp',
    signatureHeader: 'webhook-signature',
    key: 'utf8',
    ...WINDOW,
  },

  vonage: {
    kind: 'token',
    name: 'vonage',
    header: 'authorization',
    prefix: 'bearer ',
    // The vendor's library takes RS256 as well and does not compare the hash of the body.
    algorithms: ['HS256'],
    clock: 'iat',
    ...WINDOW,
  },
  messagebird: {
    kind: 'token',
    name: 'messagebird',
    header: 'messagebird-signature-jwt',
    algorithms: ['HS256', 'HS384', 'HS512'],
    issuer: 'MessageBird',
    urlHashClaim: 'url_hash',
    clock: 'exp',
    toleranceSeconds: 5,
  },

  twilio: { kind: 'twilio', name: 'twilio' },
  plivo: { kind: 'plivo', name: 'plivo' },
  wechat: { kind: 'wechat', name: 'wechat' },

  telegram: { kind: 'secret', name: 'telegram', header: 'x-telegram-bot-api-secret-token', form: 'plain' },
  sunshine: { kind: 'secret', name: 'sunshine', header: 'x-api-key', form: 'plain' },
  /** For platforms that let the shop set headers of its own (Gorgias, Infobip). */
  'secret-header': { kind: 'secret', name: 'secret-header', header: 'x-cartulary-secret', form: 'plain' },
  bearer: { kind: 'secret', name: 'bearer', header: 'authorization', form: 'bearer' },
  basic: { kind: 'secret', name: 'basic', header: 'authorization', form: 'basic' },
} as const satisfies Readonly<Record<string, SignatureScheme>>;
