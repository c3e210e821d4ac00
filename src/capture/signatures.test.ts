import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import type { Envelope } from '../model/envelope.ts';
import type { Headers } from '../model/record.ts';
import { SIGNATURE_SCHEMES, SIGNATURE_HEADER_CHARS_MAX, verifySignature } from './signatures.ts';
import type { SignatureResult, SignatureScheme } from './signatures.ts';

type Vector = Readonly<Record<string, unknown>> & { readonly p: string };

const vectorFolder = new URL('../../test/vectors/', import.meta.url);
const vectors = JSON.parse(readFileSync(new URL('signature-vectors.json', vectorFolder), 'utf8')) as readonly Vector[];
const published = JSON.parse(
  readFileSync(new URL('signature-vectors-published.json', vectorFolder), 'utf8'),
) as Readonly<Record<string, Readonly<Record<string, string>>>>;

const NOW = Date.parse('2026-11-22T12:00:00Z');

function envelope(
  parts: { url?: string; method?: string; headers?: Headers; body?: string | Uint8Array } = {},
): Envelope {
  const body = parts.body ?? '';
  return {
    transport: 'webhook',
    method: parts.method ?? 'POST',
    url: parts.url ?? 'https://archive.example/hooks/a',
    headers: parts.headers ?? [],
    body: typeof body === 'string' ? Buffer.from(body, 'utf8') : body,
    receivedAtMs: NOW,
  };
}

function vector(name: string): Readonly<Record<string, string>> {
  const found = vectors.find((entry) => entry.p === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found as unknown as Readonly<Record<string, string>>;
}

function valid(scheme: SignatureScheme, key = 0): SignatureResult {
  return { ok: true, verdict: { scheme: scheme.name, result: 'valid', key } };
}

function fault(reason: 'missing' | 'malformed' | 'stale' | 'mismatch'): SignatureResult {
  return { ok: false, reason };
}

/** Changes one bit of a body. */
function flip(body: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(body);
  const index = Math.floor(bit / 8) % copy.length;
  copy[index] = (copy[index] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

describe('vectors computed or published elsewhere', () => {
  const { twilio: twilioScheme } = SIGNATURE_SCHEMES;

  it('Twilio form, published', () => {
    const entry = vectors.find((one) => one.p === 'twilio-form');
    const body = new URLSearchParams(entry?.['params'] as Record<string, string>).toString();
    const signed = envelope({
      url: String(entry?.['url']),
      headers: [['X-Twilio-Signature', String(entry?.['published'])]],
      body,
    });
    expect(verifySignature(twilioScheme, signed, ['12345'], NOW)).toEqual(valid(twilioScheme));
    expect(verifySignature(twilioScheme, signed, ['wrong', '12345'], NOW)).toEqual(valid(twilioScheme, 1));
    expect(verifySignature(twilioScheme, signed, ['1234'], NOW)).toEqual(fault('mismatch'));
  });

  it('Twilio JSON with bodySHA256', () => {
    const entry = vector('twilio-json(EventStreams)');
    const headers: Headers = [['x-twilio-signature', entry['signature'] ?? '']];
    const signed = envelope({ url: entry['url'] ?? '', headers, body: entry['body'] ?? '' });
    expect(verifySignature(twilioScheme, signed, ['12345'], NOW)).toEqual(valid(twilioScheme));
    const changed = { ...signed, body: flip(signed.body, 77) };
    expect(verifySignature(twilioScheme, changed, ['12345'], NOW)).toEqual(fault('mismatch'));
  });

  const plivoHeaders: Headers = [['X-Plivo-Signature-V3-Nonce', '12345']];
  const plivoBody = 'From=14155550100&MessageUUID=u&Text=hi&To=14155550101';

  it.each([
    ['plivo-v3-post-with-query', 'https://archive.example/hooks/plivo?a=1'],
    ['plivo-v3-post-no-query', 'https://archive.example/hooks/plivo'],
  ])('%s', (name, url) => {
    const { plivo } = SIGNATURE_SCHEMES;
    const headers: Headers = [...plivoHeaders, ['X-Plivo-Signature-MA-V3', vector(name)['signature'] ?? '']];
    const signed = envelope({ url, headers, body: plivoBody });
    expect(verifySignature(plivo, signed, ['sub', 'MA0token'], NOW)).toEqual(valid(plivo, 1));
    expect(verifySignature(plivo, { ...signed, body: flip(signed.body, 3) }, ['MA0token'], NOW)).toEqual(
      fault('mismatch'),
    );
    const several = {
      ...signed,
      headers: [...plivoHeaders, ['X-Plivo-Signature-V3', `AAAA,${headers[1]?.[1] ?? ''}`]],
    } as Envelope;
    expect(verifySignature(plivo, several, ['MA0token'], NOW)).toEqual(valid(plivo));
  });

  it('plivo-v2 does not cover the body and is not taken', () => {
    const signature = vector('plivo-v2')['signature'] ?? '';
    const signed = envelope({ headers: [['X-Plivo-Signature-V2', signature], ...plivoHeaders], body: plivoBody });
    expect(verifySignature(SIGNATURE_SCHEMES.plivo, signed, ['MA0token'], NOW)).toEqual(fault('missing'));
  });

  const plain: readonly [string, SignatureScheme, Headers, string][] = [
    ['meta X-Hub-Signature-256', SIGNATURE_SCHEMES.meta, [['X-Hub-Signature-256', '']], ''],
    ['line', SIGNATURE_SCHEMES.line, [['X-Line-Signature', '']], ''],
    ['shopify', SIGNATURE_SCHEMES.shopify, [['X-Shopify-Hmac-Sha256', '']], ''],
    ['intercom', SIGNATURE_SCHEMES.intercom, [['X-Hub-Signature', '']], ''],
    ['front-rule', SIGNATURE_SCHEMES['front-rule'], [['X-Front-Signature', '']], ''],
    ['attentive', SIGNATURE_SCHEMES.attentive, [['x-attentive-hmac-sha256', '']], ''],
    ['viber', SIGNATURE_SCHEMES.viber, [['X-Viber-Content-Signature', '']], ''],
    ['sinch', SIGNATURE_SCHEMES.sinch, [['x-sinch-webhook-signature', '']], 'x-sinch-webhook-signature-timestamp'],
    ['bird', SIGNATURE_SCHEMES.bird, [['messagebird-signature', '']], 'messagebird-request-timestamp'],
    [
      'zendesk',
      SIGNATURE_SCHEMES.zendesk,
      [['X-Zendesk-Webhook-Signature', '']],
      'X-Zendesk-Webhook-Signature-Timestamp',
    ],
    ['front-app', SIGNATURE_SCHEMES['front-app'], [['X-Front-Signature', '']], 'X-Front-Request-Timestamp'],
    ['klaviyo', SIGNATURE_SCHEMES.klaviyo, [['Klaviyo-Signature', '']], 'Klaviyo-Timestamp'],
  ];

  it.each(plain)('%s', (name, scheme, [header], timeHeader) => {
    const entry = vector(name);
    const headers: [string, string][] = [[header?.[0] ?? '', entry['signature'] ?? '']];
    if (timeHeader !== '') headers.push([timeHeader, entry['ts'] ?? '']);
    if (name === 'sinch') headers.push(['x-sinch-webhook-signature-nonce', entry['nonce'] ?? '']);
    const body = entry['body'] ?? '';
    const url = entry['url'] ?? 'https://archive.example/hooks/a';
    const secret = entry['secret'] ?? entry['key'] ?? entry['token'] ?? '';
    const now = timeHeader === '' ? NOW : timeOf(entry['ts'] ?? '');
    const signed = envelope({ url, headers, body });
    expect(verifySignature(scheme, signed, ['other', secret], now + 299_000)).toEqual(valid(scheme, 1));
    expect(verifySignature(scheme, { ...signed, body: flip(signed.body, 9) }, [secret], now)).toEqual(
      fault('mismatch'),
    );
    expect(verifySignature(scheme, { ...signed, headers: [] }, [secret], now)).toEqual(fault('missing'));
    if (timeHeader === '') return;
    expect(verifySignature(scheme, signed, [secret], now + 301_000)).toEqual(fault('stale'));
    expect(verifySignature(scheme, signed, [secret], now - 301_000)).toEqual(fault('stale'));
    const twice = { ...signed, headers: [...headers, [timeHeader, '1700000001']] } as Envelope;
    expect(verifySignature(scheme, twice, [secret], now)).toEqual(fault('malformed'));
    const alike = { ...signed, headers: [...headers, [timeHeader, entry['ts'] ?? '']] } as Envelope;
    expect(verifySignature(scheme, alike, [secret], now)).toEqual(valid(scheme));
  });

  function timeOf(text: string): number {
    if (text.includes('T')) return Date.parse(text);
    return Number(text) * (text.length > 10 ? 1 : 1000);
  }

  it('Slack, published', () => {
    const entry = published['slack'] ?? {};
    expect(entry['signature']).toBe(vector('slack')['published']);
    const headers: Headers = [
      ['X-Slack-Signature', entry['signature'] ?? ''],
      ['X-Slack-Request-Timestamp', entry['timestamp'] ?? ''],
    ];
    const signed = envelope({ headers, body: entry['body'] ?? '' });
    const { slack } = SIGNATURE_SCHEMES;
    expect(verifySignature(slack, signed, [entry['secret'] ?? ''], 1531420618_000)).toEqual(valid(slack));
    // The vendor's own library takes a stamp of tomorrow.
    expect(verifySignature(slack, signed, [entry['secret'] ?? ''], 1531420618_000 - 86_400_000)).toEqual(
      fault('stale'),
    );
  });

  it('Stripe: several v1 and one t', () => {
    const { stripe } = SIGNATURE_SCHEMES;
    const body = '{"id":"evt_1"}';
    const seconds = Number(/t=(\d+)/.exec(vector('stripe')['header'] ?? '')?.[1]);
    const mac = createHmac('sha256', 'whsec_literal').update(`${seconds}.${body}`).digest('hex');
    const signed = envelope({
      headers: [['Stripe-Signature', `t=${seconds},v1=${'0'.repeat(64)},v1=${mac},v0=zz`]],
      body,
    });
    expect(verifySignature(stripe, signed, ['whsec_literal'], seconds * 1000)).toEqual(valid(stripe));
    const twoTimes = envelope({ headers: [['Stripe-Signature', `t=${seconds},t=${seconds + 1},v1=${mac}`]], body });
    expect(verifySignature(stripe, twoTimes, ['whsec_literal'], seconds * 1000)).toEqual(fault('malformed'));
    const noTime = envelope({ headers: [['Stripe-Signature', `v1=${mac}`]], body });
    expect(verifySignature(stripe, noTime, ['whsec_literal'], seconds * 1000)).toEqual(fault('missing'));
    const noSignature = envelope({ headers: [['Stripe-Signature', `t=${seconds}`]], body });
    expect(verifySignature(stripe, noSignature, ['whsec_literal'], seconds * 1000)).toEqual(fault('malformed'));
  });

  it('WeChat plain mode', () => {
    const entry = vector('wechat');
    const { wechat } = SIGNATURE_SCHEMES;
    const url = `https://archive.example/hooks/w?signature=${entry['signature']}&timestamp=${entry['timestamp']}&nonce=${entry['nonce']}`;
    const now = Number(entry['timestamp']) * 1000;
    expect(verifySignature(wechat, envelope({ url }), [entry['token'] ?? ''], now)).toEqual(valid(wechat));
    expect(verifySignature(wechat, envelope({ url }), ['tik'], now)).toEqual(fault('mismatch'));
    expect(verifySignature(wechat, envelope({ url }), [entry['token'] ?? ''], now + 400_000)).toEqual(fault('stale'));
    expect(verifySignature(wechat, envelope({ url: 'https://archive.example/w' }), ['tok'], now)).toEqual(
      fault('missing'),
    );
  });

  it('Google RBM signs the decoded data of the push', () => {
    const entry = vector('rbm');
    const { rbm } = SIGNATURE_SCHEMES;
    const headers: Headers = [['X-Goog-Signature', entry['signature'] ?? '']];
    const body = JSON.stringify({ message: { data: entry['data'], messageId: '1' }, subscription: 's' });
    expect(verifySignature(rbm, envelope({ headers, body }), [entry['clientToken'] ?? ''], NOW)).toEqual(valid(rbm));
    for (const broken of ['', 'x', '{}', '{"message":{"data":"%%"}}', '['.repeat(10_000)]) {
      expect(verifySignature(rbm, envelope({ headers, body: broken }), ['tok'], NOW)).toEqual(fault('malformed'));
    }
  });

  it('Freshchat: RSA key under a wrong label, published', () => {
    const entry = published['freshchat'] ?? {};
    const { freshchat } = SIGNATURE_SCHEMES;
    const secrets = ['-----BEGIN PUBLIC KEY-----nonsense-----END PUBLIC KEY-----', entry['publicKey'] ?? ''];
    const headers: Headers = [['X-FreshChat-Signature', entry['signature'] ?? '']];
    const signed = envelope({ headers, body: entry['body'] ?? '' });
    expect(verifySignature(freshchat, signed, secrets, NOW)).toEqual({
      ok: true,
      verdict: { scheme: 'freshchat', result: 'valid', key: 1, publicKey: secrets[1] },
    });
    expect(verifySignature(freshchat, { ...signed, body: flip(signed.body, 800) }, secrets, NOW)).toEqual(
      fault('mismatch'),
    );
  });

  it('BigCommerce: the client secret is the key itself', () => {
    const { bigcommerce } = SIGNATURE_SCHEMES;
    const headers: Headers = [
      ['webhook-id', 'id1'],
      ['webhook-timestamp', '1700000000'],
      ['webhook-signature', vector('bigcommerce')['sig'] ?? ''],
    ];
    const signed = envelope({ headers, body: '{}' });
    expect(verifySignature(bigcommerce, signed, ['client_secret_abc'], 1_700_000_000_000)).toEqual(valid(bigcommerce));
    const library = new Webhook(Buffer.from('client_secret_abc').toString('base64'));
    expect(library.sign('id1', new Date(1_700_000_000_000), '{}')).toBe(headers[2]?.[1]);
  });
});

describe('Ed25519', () => {
  const pair = generateKeyPairSync('ed25519');
  const raw = pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(12);
  const body = '{"data":{"id":"1"}}';
  const seconds = String(NOW / 1000);

  it.each([
    ['discord', SIGNATURE_SCHEMES.discord, 'X-Signature-Ed25519', 'X-Signature-Timestamp', '', 'hex'],
    ['telnyx', SIGNATURE_SCHEMES.telnyx, 'telnyx-signature-ed25519', 'telnyx-timestamp', '|', 'base64'],
  ] as const)('%s', (_name, scheme, header, timeHeader, separator, encoding) => {
    const signature = sign(null, Buffer.from(`${seconds}${separator}${body}`), pair.privateKey).toString(encoding);
    const signed = envelope({
      headers: [
        [header, signature],
        [timeHeader, seconds],
      ],
      body,
    });
    const key = raw.toString(encoding);
    expect(verifySignature(scheme, signed, ['no key', key], NOW)).toEqual({
      ok: true,
      verdict: { scheme: scheme.name, result: 'valid', key: 1, publicKey: key },
    });
    expect(verifySignature(scheme, { ...signed, body: flip(signed.body, 5) }, [key], NOW)).toEqual(fault('mismatch'));
    expect(verifySignature(scheme, signed, ['no key'], NOW)).toEqual(fault('mismatch'));
    expect(verifySignature(scheme, signed, [key], NOW + 301_000)).toEqual(fault('stale'));
    expect(verifySignature(scheme, signed, [key], NOW - 301_000)).toEqual(fault('stale'));
    const short = envelope({
      headers: [
        [header, signature.slice(4)],
        [timeHeader, seconds],
      ],
      body,
    });
    expect(verifySignature(scheme, short, [key], NOW)).toEqual(fault('malformed'));
  });
});

describe('Standard Webhooks', () => {
  const scheme = SIGNATURE_SCHEMES['standard-webhooks'];
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const body = '{"type":"message.created","data":{"text":"ä😀"}}';

  function headersOf(signature: string, id = 'msg_1', at = NOW): Headers {
    return [
      ['Webhook-Id', id],
      ['Webhook-Timestamp', String(Math.floor(at / 1000))],
      ['Webhook-Signature', signature],
    ];
  }

  it('agrees with the official library as signer', () => {
    const library = new Webhook(secret);
    fc.assert(
      fc.property(
        fc.string(),
        fc.stringMatching(/^[\w.-]{1,40}$/),
        fc.integer({ min: 0, max: 4e12 }),
        (text, id, at) => {
          const headers = headersOf(library.sign(id, new Date(at), text), id, at);
          // A lone surrogate cannot be sent: the library signs its replacement, which is what goes over the wire.
          const sent = envelope({ headers, body: Buffer.from(text, 'utf8') });
          expect(verifySignature(scheme, sent, [secret], at)).toEqual(valid(scheme));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('the official library accepts what is accepted here', () => {
    const headers = headersOf(new Webhook(secret).sign('msg_1', new Date(), body), 'msg_1', Date.now());
    const plain = Object.fromEntries(headers);
    expect(new Webhook(secret).verify(body, plain)).toEqual(JSON.parse(body));
    expect(verifySignature(scheme, envelope({ headers, body }), [secret], Date.now())).toEqual(valid(scheme));
  });

  it('published v1 and v1a', () => {
    const first = published['standard-webhooks-v1'] ?? {};
    const second = published['standard-webhooks-v1a'] ?? {};
    const at = Number(first['timestamp']) * 1000;
    const sent = envelope({ headers: headersOf(first['signature'] ?? '', first['id'], at), body: first['body'] ?? '' });
    expect(verifySignature(scheme, sent, [first['secret'] ?? ''], at)).toEqual(valid(scheme));
    expect(vector('standardwebhooks')['published']).toBe(first['signature']);

    const seed = Buffer.from(second['seed'] ?? '', 'base64');
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const spki = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
      format: 'der',
      type: 'spki',
    });
    const publicKey = `whpk_${spki.subarray(12).toString('base64')}`;
    const asymmetric = envelope({
      headers: headersOf(second['signature'] ?? '', second['id'], at),
      body: second['body'] ?? '',
    });
    expect(verifySignature(scheme, asymmetric, [secret, publicKey], at)).toEqual({
      ok: true,
      verdict: { scheme: 'standard-webhooks', result: 'valid', key: 1, publicKey },
    });
    expect(verifySignature(scheme, { ...asymmetric, body: flip(asymmetric.body, 1) }, [publicKey], at)).toEqual(
      fault('mismatch'),
    );
    // A v1 signature is none of v1a, and a public key must not serve as an HMAC secret.
    const forged = createHmac('sha256', spki.subarray(12))
      .update(`msg_1.${at / 1000}.${body}`)
      .digest('base64');
    const confused = envelope({ headers: headersOf(`v1,${forged}`, 'msg_1', at), body });
    expect(verifySignature(scheme, confused, [publicKey], at)).toEqual(fault('mismatch'));
  });

  it('several signatures, unknown versions, joined headers', () => {
    const good = new Webhook(secret).sign('msg_1', new Date(NOW), body);
    const bad = `v1,${Buffer.alloc(32).toString('base64')}`;
    for (const list of [`${bad} ${good}`, `v9,xyz ${good}`, `${good} ${bad}`, `${bad}, ${good}`, `  ${good}`]) {
      expect(verifySignature(scheme, envelope({ headers: headersOf(list), body }), [secret], NOW)).toEqual(
        valid(scheme),
      );
    }
    const repeated: Headers = [...headersOf(bad), ['webhook-signature', good]];
    expect(verifySignature(scheme, envelope({ headers: repeated, body }), [secret], NOW)).toEqual(valid(scheme));
    for (const [list, reason] of [
      [bad, 'mismatch'],
      ['v1,', 'malformed'],
      ['v2,AAAA', 'malformed'],
      ['', 'missing'],
      ['v1,####', 'malformed'],
      [Array.from({ length: 40 }, () => bad).join(' '), 'malformed'],
      [`${good}${' '.repeat(SIGNATURE_HEADER_CHARS_MAX)}`, 'malformed'],
    ] as const) {
      expect(verifySignature(scheme, envelope({ headers: headersOf(list), body }), [secret], NOW)).toEqual(
        fault(reason),
      );
    }
  });

  it('rotation: any of the secrets, with or without prefix', () => {
    const good = new Webhook(secret).sign('msg_1', new Date(NOW), body);
    const sent = envelope({ headers: headersOf(good), body });
    const old = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
    expect(verifySignature(scheme, sent, [old, secret], NOW)).toEqual(valid(scheme, 1));
    expect(verifySignature(scheme, sent, [secret.slice('whsec_'.length), old], NOW)).toEqual(valid(scheme));
    for (const useless of ['', 'whsec_', 'whsk_AAAA', 'whsec_###', 'whpk_AAAA']) {
      expect(verifySignature(scheme, sent, [useless], NOW).ok).toBe(false);
    }
  });

  it('bodies that are no UTF-8 are signed as they are', () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x00, 0xed, 0xa0, 0x80, 0x7d]);
    const mac = createHmac('sha256', Buffer.alloc(32, 7));
    mac.update(`msg_1.${NOW / 1000}.`).update(bytes);
    const sent = envelope({ headers: headersOf(`v1,${mac.digest('base64')}`), body: bytes });
    expect(verifySignature(scheme, sent, [secret], NOW)).toEqual(valid(scheme));
  });

  it('times: five minutes either way, and nothing that is no number', () => {
    const library = new Webhook(secret);
    const signedAt = (at: number): Envelope =>
      envelope({ headers: headersOf(library.sign('msg_1', new Date(at), body), 'msg_1', at), body });
    expect(verifySignature(scheme, signedAt(NOW - 300_000), [secret], NOW)).toEqual(valid(scheme));
    expect(verifySignature(scheme, signedAt(NOW + 300_000), [secret], NOW)).toEqual(valid(scheme));
    expect(verifySignature(scheme, signedAt(NOW - 301_000), [secret], NOW)).toEqual(fault('stale'));
    expect(verifySignature(scheme, signedAt(NOW + 301_000), [secret], NOW)).toEqual(fault('stale'));
    for (const [text, reason] of [
      ['', 'missing'],
      ['NaN', 'malformed'],
      ['-1', 'malformed'],
      ['1e9', 'malformed'],
      ['9'.repeat(30), 'malformed'],
    ] as const) {
      const headers: Headers = [
        ['webhook-id', 'a'],
        ['webhook-timestamp', text],
        ['webhook-signature', 'v1,AAAA'],
      ];
      expect(verifySignature(scheme, envelope({ headers, body }), [secret], NOW)).toEqual(fault(reason));
    }
  });
});

describe('JSON Web Tokens', () => {
  const body = '{"message_uuid":"u","text":"hi"}';
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

  function token(header: object, claims: object, secret: string, algorithm = 'sha256'): string {
    const [head, payload] = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    return `${head}.${payload}.${createHmac(algorithm, secret).update(`${head}.${payload}`).digest('base64url')}`;
  }

  it('Vonage: the body must be covered, the algorithm is pinned', () => {
    const { vonage } = SIGNATURE_SCHEMES;
    const iat = NOW / 1000;
    const check = (jwt: string, sent = body): SignatureResult =>
      verifySignature(
        vonage,
        envelope({ headers: [['Authorization', `Bearer ${jwt}`]], body: sent }),
        ['old', 's3cret'],
        NOW,
      );
    expect(check(token({ alg: 'HS256' }, { iat, payload_hash: hash(body) }, 's3cret'))).toEqual(valid(vonage, 1));
    expect(check(token({ alg: 'HS256' }, { iat }, 's3cret'))).toEqual(fault('mismatch'));
    expect(check(token({ alg: 'HS256' }, { iat }, 's3cret'), '')).toEqual(valid(vonage, 1));
    expect(check(token({ alg: 'HS256' }, { iat, payload_hash: hash('else') }, 's3cret'))).toEqual(fault('mismatch'));
    expect(check(token({ alg: 'HS256' }, { iat: iat - 301, payload_hash: hash(body) }, 's3cret'))).toEqual(
      fault('stale'),
    );
    expect(check(token({ alg: 'HS256' }, { iat: iat + 301, payload_hash: hash(body) }, 's3cret'))).toEqual(
      fault('stale'),
    );
    expect(check(token({ alg: 'HS256' }, { payload_hash: hash(body) }, 's3cret'))).toEqual(fault('malformed'));
    expect(check(token({ alg: 'none' }, { iat, payload_hash: hash(body) }, 's3cret'))).toEqual(fault('malformed'));
    expect(check(token({ alg: 'HS512' }, { iat, payload_hash: hash(body) }, 's3cret', 'sha512'))).toEqual(
      fault('malformed'),
    );
    expect(check(token({ alg: 'HS256' }, { iat, payload_hash: hash(body) }, 'guess'))).toEqual(fault('mismatch'));
    for (const broken of ['', 'a.b', 'a.b.c', '...', `${'x'.repeat(9_000)}.a.b`]) expect(check(broken).ok).toBe(false);
  });

  it('MessageBird: URL and body, between nbf and exp', () => {
    const { messagebird } = SIGNATURE_SCHEMES;
    const url = 'https://archive.example/hooks/mb?a=1';
    const claims = {
      iss: 'MessageBird',
      nbf: NOW / 1000,
      exp: NOW / 1000 + 60,
      url_hash: hash(url),
      payload_hash: hash(body),
    };
    const check = (changed: object, at = NOW): SignatureResult => {
      const jwt = token({ alg: 'HS512' }, { ...claims, ...changed }, 'k', 'sha512');
      return verifySignature(
        messagebird,
        envelope({ url, headers: [['MessageBird-Signature-JWT', jwt]], body }),
        ['k'],
        at,
      );
    };
    expect(check({})).toEqual(valid(messagebird));
    expect(check({ iss: 'Someone' })).toEqual(fault('mismatch'));
    expect(check({ url_hash: hash('https://other.example/') })).toEqual(fault('mismatch'));
    expect(check({ payload_hash: undefined })).toEqual(fault('mismatch'));
    expect(check({}, NOW + 66_000)).toEqual(fault('stale'));
    expect(check({}, NOW - 6_000)).toEqual(fault('stale'));
  });
});

describe('shared secrets', () => {
  it('Telegram', () => {
    const { telegram } = SIGNATURE_SCHEMES;
    const send = (value: string, secrets: readonly string[]): SignatureResult =>
      verifySignature(telegram, envelope({ headers: [['X-Telegram-Bot-Api-Secret-Token', value]] }), secrets, NOW);
    expect(send('tok_1', ['tok_0', 'tok_1'])).toEqual(valid(telegram, 1));
    expect(send('tok_', ['tok_1'])).toEqual(fault('mismatch'));
    expect(send('', ['tok_1'])).toEqual(fault('missing'));
    expect(send('', [''])).toEqual(fault('missing'));
    expect(send('x'.repeat(9_000), ['tok_1'])).toEqual(fault('malformed'));
  });

  it('Basic and Bearer', () => {
    const { basic, bearer } = SIGNATURE_SCHEMES;
    const credential = Buffer.from('user:pässword').toString('base64');
    const send = (scheme: SignatureScheme, value: string, secret: string): SignatureResult =>
      verifySignature(scheme, envelope({ headers: [['Authorization', value]] }), [secret], NOW);
    expect(send(basic, `Basic ${credential}`, 'user:pässword')).toEqual(valid(basic));
    expect(send(basic, `basic ${credential}`, 'user:other')).toEqual(fault('mismatch'));
    expect(send(basic, `Bearer ${credential}`, 'user:pässword')).toEqual(fault('malformed'));
    expect(send(basic, 'Basic ###', 'user:pässword')).toEqual(fault('malformed'));
    expect(send(bearer, 'Bearer abc', 'abc')).toEqual(valid(bearer));
    expect(send(bearer, 'abc', 'abc')).toEqual(fault('malformed'));
  });

  it('none is said to be none', () => {
    const expected = { ok: true, verdict: { scheme: 'none', result: 'not-applicable' } };
    expect(verifySignature(SIGNATURE_SCHEMES.none, envelope(), [], NOW)).toEqual(expected);
  });
});

describe('Twilio against its own library', () => {
  const { twilio: scheme } = SIGNATURE_SCHEMES;
  const token = '12345';
  const { getExpectedTwilioSignature, validateRequest, validateRequestWithBody, getExpectedBodyHash } = twilio;

  function sent(url: string, body: string | Uint8Array, signature: string, method = 'POST'): Envelope {
    return envelope({ url, method, body, headers: [['X-Twilio-Signature', signature]] });
  }

  /** Parameters as the library is given them: a list where a name repeats. */
  function paramsOf(body: string): Record<string, string | string[]> {
    const params: Record<string, string | string[]> = {};
    for (const [name, value] of new URLSearchParams(body)) {
      const known = Object.hasOwn(params, name) ? params[name] : undefined;
      params[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
    }
    return params;
  }

  const urls = [
    'https://archive.example/hooks/twilio',
    'https://archive.example/hooks/twilio/',
    'https://archive.example:443/hooks/twilio',
    'https://archive.example:8443/hooks/twilio',
    'http://archive.example/hooks/twilio',
    "https://archive.example/hooks/o'brien?a=1&b='x'",
    'https://archive.example/hooks/%7Euser/~x?q=%20+%2B',
    'https://archive.example/hooks/twilio?b=2&a=1&a=0',
    'https://user:pass@archive.example/hooks/twilio',
    'https://[2001:db8::1]:8443/hooks/twilio',
    'https://ARCHIVE.example/Hooks',
    'https://archive.example',
    'https://archive.example/hooks?x=ü',
  ];
  const bodies = [
    'MessageSid=SM1&Body=Hi&From=%2B1',
    'Body=++two+spaces++&From=%2B1',
    'A=2&A=1&A=2&B=',
    'a=1&A=2&aa=3&a=0',
    'Body=%F0%9F%98%80+%C3%A4%0A%00&x',
    'Body=%FF%C3&Raw=%E2%82',
    '',
  ];

  it('takes what the library signs for every form of URL and body', () => {
    for (const url of urls) {
      for (const body of bodies) {
        const signature = getExpectedTwilioSignature(token, url, paramsOf(body));
        expect(verifySignature(scheme, sent(url, body, signature), [token], NOW), `${url} ${body}`).toEqual(
          valid(scheme),
        );
      }
    }
  });

  it('agrees with the library on URLs written otherwise', () => {
    const variants = (url: string): string[] => [
      url,
      url.replace('archive.example/', 'archive.example:443/'),
      url.replace(':443', ''),
      url.replace(':8443', ''),
      URL.parse(url)?.href ?? url,
      url.replaceAll("'", '%27'),
      `${url}/`,
      url.toUpperCase(),
    ];
    const body = bodies[0] ?? '';
    let accepted = 0;
    for (const url of urls) {
      for (const signedUrl of variants(url)) {
        const signature = getExpectedTwilioSignature(token, signedUrl, paramsOf(body));
        const library = validateRequest(token, signature, url, paramsOf(body));
        expect(verifySignature(scheme, sent(url, body, signature), [token], NOW).ok, `${signedUrl} for ${url}`).toBe(
          library,
        );
        if (library) accepted += 1;
      }
    }
    expect(accepted).toBeGreaterThan(urls.length * 2);
  });

  it('agrees with the library on arbitrary parameters', () => {
    const name = fc
      .string({ maxLength: 8 })
      .filter((text) => text.isWellFormed() && text !== '__proto__' && text !== '');
    const value = fc.string({ maxLength: 12, unit: 'binary' }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 12 }), (pairs) => {
        const body = new URLSearchParams(pairs).toString();
        const url = urls[0] ?? '';
        const signature = getExpectedTwilioSignature(token, url, paramsOf(body));
        expect(verifySignature(scheme, sent(url, body, signature), [token], NOW)).toEqual(valid(scheme));
      }),
      { numRuns: 300 },
    );
  });

  it('the fragment with connection overrides is no part of the request', () => {
    const body = bodies[0] ?? '';
    const signature = getExpectedTwilioSignature(token, 'https://archive.example/hooks/twilio?a=1', paramsOf(body));
    const configured = 'https://archive.example/hooks/twilio?a=1#rc=3&rp=all';
    expect(verifySignature(scheme, sent(configured, body, signature), [token], NOW)).toEqual(valid(scheme));
    const withFragment = getExpectedTwilioSignature(token, configured, paramsOf(body));
    expect(verifySignature(scheme, sent(configured, body, withFragment), [token], NOW)).toEqual(fault('mismatch'));
  });

  it('GET: the query is signed as part of the URL', () => {
    const url = 'https://archive.example/hooks/twilio?MessageSid=SM1&Body=Hi+there&From=%2B1';
    const signature = getExpectedTwilioSignature(token, url, {});
    expect(verifySignature(scheme, sent(url, '', signature, 'GET'), [token], NOW)).toEqual(valid(scheme));
    expect(verifySignature(scheme, sent(url.replace('Hi', 'Ho'), '', signature, 'GET'), [token], NOW)).toEqual(
      fault('mismatch'),
    );
  });

  it('JSON: the body is covered by bodySHA256 or not at all', () => {
    const body = '[{"specversion":"1.0"}]';
    const url = `https://archive.example/hooks/twilio?x=1&bodySHA256=${getExpectedBodyHash(body)}`;
    const signature = getExpectedTwilioSignature(token, url, {});
    expect(validateRequestWithBody(token, signature, url, body)).toBe(true);
    expect(verifySignature(scheme, sent(url, body, signature), [token], NOW)).toEqual(valid(scheme));
    expect(verifySignature(scheme, sent(url, `${body} `, signature), [token], NOW)).toEqual(fault('mismatch'));
    const emptyHash = 'https://archive.example/hooks/twilio?bodySHA256=';
    const emptySignature = getExpectedTwilioSignature(token, emptyHash, {});
    expect(verifySignature(scheme, sent(emptyHash, body, emptySignature), [token], NOW)).toEqual(fault('mismatch'));
    // A signature over the URL alone, as a GET carries it, must not vouch for a body.
    const bare = 'https://archive.example/hooks/twilio';
    const urlOnly = getExpectedTwilioSignature(token, bare, {});
    expect(verifySignature(scheme, sent(bare, body, urlOnly), [token], NOW)).toEqual(fault('mismatch'));
  });

  it('fault matrix', () => {
    const url = urls[0] ?? '';
    const body = 'MessageSid=SM1&Body=Hi+&From=%2B1&To=%2B2';
    const signature = getExpectedTwilioSignature(token, url, paramsOf(body));
    const check = (
      headers: Headers,
      changed: string | Uint8Array = body,
      secrets: readonly string[] = [token],
    ): SignatureResult => verifySignature(scheme, envelope({ url, headers, body: changed }), secrets, NOW);
    const good: Headers = [['X-Twilio-Signature', signature]];
    expect(check(good)).toEqual(valid(scheme));
    expect(check([['x-TWILIO-signature', signature]])).toEqual(valid(scheme));
    expect(check([['X-Twilio-Signature', 'AAAAAAAAAAAAAAAAAAAAAAAAAAA='], ...good])).toEqual(valid(scheme));
    expect(check([['X-Twilio-Signature', `AAAAAAAAAAAAAAAAAAAAAAAAAAA=, ${signature}`]])).toEqual(valid(scheme));
    expect(check(good, body, ['new', token])).toEqual(valid(scheme, 1));
    expect(check(good, body, ['wrong'])).toEqual(fault('mismatch'));
    expect(check(good, body, [])).toEqual(fault('missing'));
    expect(check(good, body, [''])).toEqual(fault('missing'));
    expect(check([])).toEqual(fault('missing'));
    expect(check([['X-Twilio-Signature', '']])).toEqual(fault('missing'));
    expect(check([['X-Twilio-Signature', 'x'.repeat(9_000)]])).toEqual(fault('malformed'));
    expect(check([['X-Twilio-Signature', '!!']])).toEqual(fault('malformed'));
    expect(check([['X-Twilio-Signature', signature.slice(0, 20)]])).toEqual(fault('malformed'));
    // Re-serialised in another order or spelling, the parameters are the same; trimmed or changed, they are not.
    expect(check(good, 'To=%2b2&From=%2B1&Body=Hi%20&MessageSid=SM1')).toEqual(valid(scheme));
    expect(check(good, 'MessageSid=SM1&Body=Hi&From=%2B1&To=%2B2')).toEqual(fault('mismatch'));
    expect(check(good, `${body}&To=%2B2`)).toEqual(valid(scheme));
    expect(check(good, `${body}&To=%2B3`)).toEqual(fault('mismatch'));
    expect(check(good, 'a=1&'.repeat(2_001))).toEqual(fault('malformed'));
  });

  it('an empty token never verifies', () => {
    const url = urls[0] ?? '';
    const signature = getExpectedTwilioSignature('', url, { Body: 'x' });
    expect(verifySignature(scheme, sent(url, 'Body=x', signature), ['', 'real'], NOW)).toEqual(fault('mismatch'));
  });
});

describe('hostile input', () => {
  const schemes = Object.values(SIGNATURE_SCHEMES).filter((scheme) => scheme.kind !== 'none');

  it('never throws and never accepts what was not signed', () => {
    const names = [
      ...new Set(
        schemes.flatMap((scheme) => {
          if (scheme.kind === 'header')
            return [...scheme.headers, ...('time' in scheme ? [JSON.stringify(scheme.time)] : [])];
          if (scheme.kind === 'standard') return [scheme.idHeader, scheme.timeHeader, scheme.signatureHeader];
          return 'header' in scheme
            ? [scheme.header]
            : ['x-twilio-signature', 'x-plivo-signature-v3', 'x-plivo-signature-v3-nonce'];
        }),
      ),
    ];
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.base64String(),
      fc.constantFrom('v1,AAAA', `t=${NOW / 1000},v1=00`, String(NOW / 1000), 'sha256=', 'Bearer a.b.c', 'e30.e30.e30'),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...schemes),
        fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 6 }),
        fc.uint8Array({ maxLength: 60 }),
        fc.string({ unit: 'binary', maxLength: 60 }),
        (scheme, headers, body, url) => {
          const result = verifySignature(scheme, envelope({ headers, body, url }), ['a secret nobody sends'], NOW);
          expect(result.ok).toBe(false);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('flipping any bit of a signed body is noticed', () => {
    const body = Buffer.from('{"object":"page","entry":[]}');
    const headers: Headers = [
      ['X-Hub-Signature-256', `sha256=${createHmac('sha256', 'k').update(body).digest('hex')}`],
    ];
    for (let bit = 0; bit < body.length * 8; bit += 1) {
      const result = verifySignature(SIGNATURE_SCHEMES.meta, envelope({ headers, body: flip(body, bit) }), ['k'], NOW);
      expect(result).toEqual(fault('mismatch'));
    }
  });

  it('names of rows are their keys', () => {
    for (const [key, scheme] of Object.entries(SIGNATURE_SCHEMES)) expect(scheme.name).toBe(key);
  });
});
