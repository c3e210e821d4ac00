import { describe, expect, it } from 'vitest';

import type { Envelope } from '../../model/envelope.ts';
import { guardEnvelope } from './guard.ts';

const FORM = 'application/x-www-form-urlencoded';

function envelope(body: string | Buffer, type: string, url = 'https://archive.example/hooks/src_1'): Envelope {
  const headers: [string, string][] = [
    ['Content-Type', type],
    ['X-Unknown-Signature', 'abc='],
    ['X-Keep', '1'],
  ];
  return { transport: 'webhook', method: 'POST', url, headers, body: Buffer.from(body), receivedAtMs: 0 };
}

function guarded(body: string | Buffer, type = 'application/json', oneTimeCodes = false): string {
  return Buffer.from(guardEnvelope(envelope(body, type), { oneTimeCodes }).envelope.body).toString('utf8');
}

describe('guard on JSON', () => {
  it.each([
    ['{"text":"cvv 123","n":1}', '{"text":"cvv ***","n":1}'],
    ['{ "text" : "\\u0063vv \\u0031\\u0032\\u0033 \\u00fc" }', '{ "text" : "\\u0063vv *** \\u00fc" }'],
    ['{"cvv":"123"}', '{"cvv":"***"}'],
    ['{"cardCvv":123}', '{"cardCvv":"***"}'],
    ['{"cvv":{"value":"123"}}', '{"cvv":{"value":"***"}}'],
    ['{"label":"CVV","value":"123"}', '{"label":"CVV","value":"***"}'],
    ['["4111111111111111","12/27","123"]', '["411111******1111","12/27","***"]'],
    ['{"number":4111111111111111}', '{"number":"411111******1111"}'],
    ['{"n":4.111111111111111E15}', '{"n":"411111******1111"}'],
    [
      '{"a":"{\\"cvv\\":\\"123\\",\\"id\\":\\"5555555555554444\\"}"}',
      '{"a":"{\\"cvv\\":\\"***\\",\\"id\\":\\"5555555555554444\\"}"}',
    ],
    ['{"text":"He said "cvv" 123 ok"}', '{"text":"He said "cvv" *** ok"}'],
    ['{"text":"cvv 123', '{"text":"cvv ***'],
    [
      '{"Message":"cvv 123","Signature":"EXAMPLEabc/+==","n":1}',
      '{"Message":"cvv ***","Signature":"**************","n":1}',
    ],
  ])('%s becomes %s', (body, expected) => {
    expect(guarded(body)).toBe(expected);
    expect(guarded(expected)).toBe(expected);
  });

  it('looks into Base64 that holds text', () => {
    const inner = Buffer.from('{"text":"my cvv is 123 ok"}').toString('base64');
    expect(guarded(`{"data":"${inner}"}`)).toBe(
      `{"data":"${Buffer.from('{"text":"my cvv is *** ok"}').toString('base64')}"}`,
    );
  });

  it.each([
    '{"sender":{"id":"5555555555554444"},"message_token":4111111111111111,"text":"hi"}',
    '{"from":"5555555555554444","wa_id":"4915112345678"}',
    '{"barcode":"4006381333931","latitude":52.4111111111111111}',
  ])('leaves the ids of %s alone', (body) => {
    expect(guarded(body)).toBe(body);
  });

  it('follows nesting without a stack', () => {
    const deep = `${'[{"a":'.repeat(5_000)}"cvv 123"${'}]'.repeat(5_000)}`;
    expect(guarded(deep)).toBe(deep.replace('123', '***'));
  });
});

describe('guard on forms and other bodies', () => {
  it.each([
    ['Body=my+cvv+is+123&From=%2B4915112345678', 'Body=my+cvv+is+***&From=%2B4915112345678', FORM],
    ['Body=%63vv%20%31%32%33&X=%7e', 'Body=%63vv%20***&X=%7e', FORM],
    ['cvv=123', 'cvv=***', FORM],
    ['card=4111+1111+1111+1111&exp=12%2F27&code=123', 'card=4111+11**+****+1111&exp=12%2F27&code=***', FORM],
    [';4111111111111111=27121010000012345678?', '*'.repeat(39), FORM],
    ['cvv 123', 'cvv ***', FORM],
    ['<cvv>123</cvv>', '<cvv>***</cvv>', 'text/xml'],
    ['<c>&#99;vv &#49;23</c>', '<c>&#99;vv ***</c>', 'text/xml'],
    ['cvv =31=32=33', 'cvv ***', 'message/rfc822'],
  ])('%s becomes %s', (body, expected, type) => {
    expect(guarded(body, type)).toBe(expected);
  });

  it('sees through UTF-16', () => {
    expect(guarded(Buffer.from('cvv 123', 'utf16le'), 'text/plain')).not.toMatch(/1\0?2\0?3/);
  });

  it('guards the query of a URL and removes what was derived', () => {
    const url = 'https://archive.example/hooks/src_1?text=cvv+123&bodySHA256=aa&z=1';
    const { envelope: out, findings } = guardEnvelope(envelope('x=1', FORM, url), { oneTimeCodes: false });
    expect(out.url).toBe('https://archive.example/hooks/src_1?text=cvv+***&z=1');
    expect(out.headers.map(([name]) => name)).toEqual(['Content-Type', 'X-Keep']);
    expect(findings).toEqual({ 'card-security-code': 1 });
  });

  it('guards headers too, and leaves ids, addresses and signatures in them alone', () => {
    const plain = envelope('x=1', FORM);
    const ids: [string, string][] = [
      ['X-Request-Id', '4111111111111111'],
      ['Idempotency-Token', '6d4cf9d8-3214-4b3c-9d1c-0c6f8d7a4b21'],
      ['X-Forwarded-For', '203.0.113.7, 198.51.100.123'],
      ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36'],
      ['X-Hub-Signature-256', 'sha256=4111111111111111'],
    ];
    const spared = { ...plain, headers: [...plain.headers, ...ids] };
    expect(guardEnvelope(spared, { oneTimeCodes: true }).envelope).toBe(spared);
    const talking = { ...plain, headers: [...plain.headers, ['X-Note', 'card 4111111111111111 cvv 123'] as const] };
    const { envelope: out, findings } = guardEnvelope(talking, { oneTimeCodes: false });
    expect(out.headers).toEqual([
      ['Content-Type', FORM],
      ['X-Keep', '1'],
      ['X-Note', 'card 411111******1111 cvv ***'],
    ]);
    expect(findings).toEqual({ 'card-number': 1, 'card-security-code': 1 });
    expect(guardEnvelope(out, { oneTimeCodes: false }).envelope).toBe(out);
  });

  it('masks one-time codes by their field where it is told to', () => {
    expect(guarded('{"otp":"123456"}', 'application/json', true)).toBe('{"otp":"******"}');
    expect(guarded('{"otp":"123456"}')).toBe('{"otp":"123456"}');
  });
});
