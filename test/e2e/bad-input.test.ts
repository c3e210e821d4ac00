/** Bad input gets the answer that DESIGN §8 tells; it never crashes, never loses, never leaks. */
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';

import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

const place = await makePlace('bad');
let server: Served;
let hookUrl = '';
let sourceId = '';
let apiKey = '';
let archiveId = '';

beforeAll(async () => {
  ({ apiKey, archiveId } = await runJson<{ apiKey: string; archiveId: string }>([
    ...['init', '--data', place.data, '--name', 'Bad'],
  ]));
  server = await serve(place.data);
  const source = await runJson<{ id: string; hookUrl: string }>([
    'source',
    'add',
    'twilio',
    '--data',
    place.data,
    '--name',
    'b',
    '--secret',
    AUTH_TOKEN,
  ]);
  ({ hookUrl, id: sourceId } = source);
});
afterAll(async () => {
  await server.stop();
  await place.remove();
});

const sid = (name: string): string => `SM${Buffer.from(name.padEnd(16, '0')).toString('hex').slice(0, 32)}`;
const post = (init: RequestInit, url = hookUrl): Promise<Response> => fetch(url, init);
const get = (path: string): Promise<Response> =>
  fetch(server.url + path, { headers: { authorization: `Bearer ${apiKey}` } });

async function expectProblem(answer: Response, status: number, code: string): Promise<void> {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  const problem = (await answer.json()) as { type: string; hint: string; requestId: string };
  expect(problem.type).toBe(`/problems/${code}`);
  expect(problem.hint.length).toBeGreaterThan(5);
}

/** Sends bytes as they are and closes our half; the first answer, or all until the connection ends. */
async function speak(text: string, { toTheEnd = false } = {}): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    answer += part;
    if (!toTheEnd && isWhole(answer)) socket.destroy();
  });
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.end(text, 'latin1');
  await closed;
  return answer;
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(0, end))?.[1];
  return end !== -1 && length !== undefined && answer.length >= end + 4 + Number(length);
}

function readProblem(answer: string): unknown {
  const end = answer.indexOf('\r\n\r\n');
  expect(answer.slice(0, end)).toMatch(/content-type: application\/problem\+json/i);
  return JSON.parse(answer.slice(end + 4)) as unknown;
}

type Listed = { id: string; badSignatures: { refused: number; waiting: number } };

async function waitingOf(id: string): Promise<number | undefined> {
  const sources = await runJson<Listed[]>(['source', 'list', '--data', place.data]);
  return sources.find((one) => one.id === id)?.badSignatures.waiting;
}

const STALE_EVENT = JSON.stringify({
  type: 'message.created',
  timestamp: '2026-11-22T10:00:00Z',
  data: {
    ...{ id: 'stale-1', channel: 'chat', direction: 'inbound', text: 'staletext' },
    ...{ from: { address: 'a' }, to: [{ address: 'b' }] },
  },
});

describe('webhooks', () => {
  it('forged, unsigned and altered ones are refused and kept in the ring, and a right secret takes them in', async () => {
    const fields = inboundFields(sid('forged'), 'forged text');
    const url = (await runJson<{ hookUrl: string; id: string }>([
      'source',
      'add',
      'twilio',
      '--data',
      place.data,
      '--name',
      'ring',
      '--secret',
      'wrong wrong wrong',
    ])) satisfies { hookUrl: string };
    await expectProblem(await post(signedForm(url.hookUrl, fields), url.hookUrl), 403, 'bad-signature');
    const unsigned = signedForm(url.hookUrl, fields);
    await expectProblem(
      await post({ ...unsigned, headers: { 'content-type': 'application/x-www-form-urlencoded' } }, url.hookUrl),
      403,
      'bad-signature',
    );
    await expectProblem(
      await post({ ...unsigned, body: `${unsigned.body}&Body=more` }, url.hookUrl),
      403,
      'bad-signature',
    );
    const changed = await runJson<{ ring: { released: number; kept: number } }>([
      'source',
      'secret',
      url.id,
      '--secret',
      AUTH_TOKEN,
      '--data',
      place.data,
    ]);
    expect(changed.ring).toEqual({ released: 1, kept: 2 });
    expect((await runJson<MessagePage>(['search', 'forged', '--data', place.data])).total).toBe(1);
  });

  it('replayed a hundred times at once give one message', async () => {
    const request = signedForm(hookUrl, inboundFields(sid('replayed'), 'replayed text'));
    const answers = await Promise.all(Array.from({ length: 100 }, () => post(request)));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    expect((await runJson<MessagePage>(['search', 'replayed', '--data', place.data])).total).toBe(1);
  });

  it('to an unknown source answer 404', async () => {
    await expectProblem(
      await post(signedForm(hookUrl, {}), `${server.url}/hooks/src_${'0'.repeat(32)}`),
      404,
      'not-found',
    );
    await expectProblem(await post(signedForm(hookUrl, {}), `${server.url}/hooks/nonsense`), 404, 'not-found');
  });

  it('of 0 bytes are refused, as no signature of theirs fits', async () => {
    await expectProblem(await post({ method: 'POST', body: '' }), 403, 'bad-signature');
  });

  it('of 50 MB are refused by the limit, and a sender that is still writing gets to read the answer', async () => {
    const chunk = Buffer.alloc(1024 * 1024);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const announced = (): RequestInit => ({ method: 'POST', body: Buffer.alloc(50 * chunk.length), headers });
    const streamed = (): RequestInit => {
      let left = 50;
      const body = new ReadableStream({
        pull(controller) {
          left -= 1;
          if (left < 0) controller.close();
          else controller.enqueue(chunk);
        },
      });
      return { method: 'POST', body, headers, duplex: 'half' };
    };
    for (const make of [announced, streamed])
      for (let round = 0; round < 4; round += 1) await expectProblem(await post(make()), 413, 'too-large');
  });

  it('that unpack beyond the limit end at the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    await expectProblem(
      await post({
        method: 'POST',
        body: bomb,
        headers: { 'content-encoding': 'gzip', 'content-type': 'application/json' },
      }),
      413,
      'too-large',
    );
    await expectProblem(
      await post({ method: 'POST', body: Buffer.from('not packed'), headers: { 'content-encoding': 'gzip' } }),
      400,
      'bad-input',
    );
    await expectProblem(
      await post({ method: 'POST', body: Buffer.from('x'), headers: { 'content-encoding': 'zip9' } }),
      415,
      'unsupported-media',
    );
  });

  it('packed by gzip and signed over what was packed are taken', async () => {
    const fields = inboundFields(sid('gzipped'), 'gzipped text');
    const signed = signedForm(hookUrl, fields);
    const answer = await post({
      ...signed,
      headers: { ...(signed.headers as Record<string, string>), 'content-encoding': 'gzip' },
      body: gzipSync(signed.body),
    });
    expect(answer.status).toBe(200);
    expect((await runJson<MessagePage>(['search', 'gzipped', '--data', place.data])).total).toBe(1);
  });

  it('signed but unreadable ones are kept as quarantine and acknowledged', async () => {
    const answer = await post(signedForm(hookUrl, { Unknown: 'event of tomorrow' }));
    expect(answer.status).toBe(200);
    const report = await runJson<{ envelopes: number; stillUnreadable: number }>(['reprocess', '--data', place.data]);
    expect(report.envelopes).toBeGreaterThanOrEqual(1);
    expect(report.stillUnreadable).toBe(report.envelopes);
  });

  it('with NUL, lone surrogates as platforms write them, and emoji keep their text', async () => {
    const text = 'nul \u0000 and 😀 and \u202eright to left';
    expect((await post(signedForm(hookUrl, inboundFields(sid('odd'), text)))).status).toBe(200);
    const page = await runJson<MessagePage>(['search', `id:${sid('odd')}`, '--data', place.data]);
    expect(page.items[0]?.text).toBe(text);
  });

  it('in a flood of bad signatures leave room for good ones', async () => {
    const bad = {
      ...signedForm(hookUrl, { a: 'b' }),
      headers: {
        'x-twilio-signature': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=',
        'content-type': 'application/x-www-form-urlencoded',
      },
    };
    await inParallel(
      Array.from({ length: 1000 }, () => bad),
      32,
      async (request) => {
        expect((await post(request)).status).toBe(403);
      },
    );
    expect((await post(signedForm(hookUrl, inboundFields(sid('after flood'), 'after the flood')))).status).toBe(200);
    const [source] = (
      await runJson<{ id: string; badSignatures: { refused: number; waiting: number } }[]>([
        'source',
        'list',
        '--data',
        place.data,
      ])
    ).filter((one) => one.id === sourceId);
    expect(source?.badSignatures.refused).toBeGreaterThanOrEqual(1000);
    expect(source?.badSignatures.waiting).toBeLessThanOrEqual(500);
  });

  it('cut off or framed wrongly are refused and leave nothing', async () => {
    const before = await waitingOf(sourceId);
    for (const rest of [
      'Content-Length: 1000\r\n\r\nBody=truncated',
      'Transfer-Encoding: chunked\r\n\r\n40\r\nBody=truncated',
      'Transfer-Encoding: chunked\r\n\r\ne\r\nBody=truncated\r\n',
      'Transfer-Encoding: chunked\r\n\r\nzz\r\nBody=truncated\r\n0\r\n\r\n',
      'Content-Length: 5\r\nContent-Length: 6\r\n\r\nBody=truncated',
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz',
    ]) {
      const answer = await speak(`POST /hooks/${sourceId} HTTP/1.1\r\nHost: x\r\n${rest}`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(readProblem(answer)).toMatchObject({ type: '/problems/bad-input', status: 400 });
    }
    expect(await waitingOf(sourceId)).toBe(before);
    expect((await (await get('/api/v1/messages?q=truncated')).json()) as MessagePage).toMatchObject({ total: 0 });
  });

  it('that are stale or replayed with a new time are refused', async () => {
    const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    const added = await runJson<{ hookUrl: string }>([
      ...['source', 'add', 'standard-webhooks', '--data', place.data, '--name', 'sw', '--secret', secret],
    ]);
    const sign = (id: string, at: Date): Record<string, string> => ({
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, at, STALE_EVENT),
    });
    const sendEvent = (headers: Record<string, string>): Promise<Response> =>
      post(
        { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: STALE_EVENT },
        added.hookUrl,
      );
    const now = Date.now();
    await expectProblem(await sendEvent(sign('m1', new Date(now - 3_600_000))), 403, 'bad-signature');
    await expectProblem(await sendEvent(sign('m1', new Date(now + 3_600_000))), 403, 'bad-signature');
    const good = sign('m1', new Date(now));
    const later = { ...good, 'webhook-timestamp': String(Math.floor(now / 1000) + 1) };
    await expectProblem(await sendEvent(later), 403, 'bad-signature');
    await expectProblem(await sendEvent({ ...good, 'webhook-timestamp': 'NaN' }), 403, 'bad-signature');
    for (let round = 0; round < 3; round += 1) expect((await sendEvent(good)).status).toBe(200);
    expect((await runJson<MessagePage>(['search', 'staletext', '--data', place.data])).total).toBe(1);
  });

  it('that fill the room for large bodies are asked to come again, and texts are still taken', async () => {
    const sockets = Array.from({ length: 20 }, () => connect(server.port, '127.0.0.1'));
    try {
      let busy = 0;
      for (const socket of sockets) {
        socket.on('data', (bytes) => (busy += bytes.toString('latin1').includes(' 503 ') ? 1 : 0));
        socket.on('error', () => undefined);
        socket.write(`POST /hooks/${sourceId} HTTP/1.1\r\nHost: x\r\nContent-Length: ${10 * 1024 * 1024}\r\n\r\n`);
        socket.write(Buffer.alloc(9 * 1024 * 1024, 0x61));
      }
      await until('the room is full', async () => busy > 0);
      expect((await post(signedForm(hookUrl, inboundFields(sid('roomy'), 'still taken')))).status).toBe(200);
      expect(busy).toBeLessThan(20);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    // What was held is free again once they have gone.
    const large = { method: 'POST', body: Buffer.alloc(9 * 1024 * 1024, 0x61) };
    await until('there is room again', async () => (await post(large)).status === 403);
  });

  it('with a large body full of card data do not hold up others', async () => {
    const body = 'cvv 123 4111111111111111 '.repeat(160_000);
    const startedAt = performance.now();
    await expectProblem(await post({ method: 'POST', body }), 403, 'bad-signature');
    // Looked at closely, four megabytes of this take half a minute and more.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('of 100,000 parameters are refused', async () => {
    const body = Array.from({ length: 100_000 }, (_, at) => `a${at}=b`).join('&');
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': 'AAAA' };
    await expectProblem(await post({ method: 'POST', body, headers }), 403, 'bad-signature');
  });

  it.each(['constructor', '__proto__', 'gzip, gzip'])('packed by %s are not understood', async (name) => {
    const answer = await post({ method: 'POST', body: 'x', headers: { 'content-encoding': name } });
    await expectProblem(answer, 415, 'unsupported-media');
  });
});

describe('what is no request', () => {
  it.each([
    ['headers of 200 kB', `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(200_000)}\r\n\r\n`, 431, 'too-large'],
    ['5,000 headers', `GET /healthz HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(5000)}\r\n`, 431, 'too-large'],
    [
      'an address of 100 kB',
      `GET /api/v1/messages?q=${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      431,
      'too-large',
    ],
    [
      'an address that cannot be decoded',
      'GET /api/v1/messages/%zz-private HTTP/1.1\r\nHost: x\r\n\r\n',
      400,
      'bad-input',
    ],
    [
      'an address too long for its place',
      `GET /hooks/private${'a'.repeat(1000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      400,
      'bad-input',
    ],
    ['a header within a header', 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n', 400, 'bad-input'],
    ['noise', '\x16\x03\x01\x00private', 400, 'bad-input'],
  ])('%s is answered as a problem, and nothing of it is quoted', async (_name, request, status, code) => {
    const answer = await speak(request);
    expect(readProblem(answer)).toMatchObject({ type: `/problems/${code}` });
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).not.toMatch(/private|aaaa/);
  });

  it('takes in no body of who has no key, and none for a source that there is not', async () => {
    // Answered although the body never comes.
    const missing = `POST /hooks/src_${'0'.repeat(32)} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n`;
    expect(readProblem(await speak(missing))).toMatchObject({ type: '/problems/not-found' });
    const keyless = 'POST /api/v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n';
    expect(readProblem(await speak(keyless))).toMatchObject({ type: '/problems/unauthenticated' });
    // Once, also where the rest of the body never comes.
    for (let round = 0; round < 20; round += 1)
      expect((await speak(missing, { toTheEnd: true })).match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  it('finds no file outside of the log', async () => {
    for (const path of [
      '../../house.json',
      '..%2f..%2fhouse.json',
      'tile/0/%2e%2e/%2e%2e/x',
      'tile/0/000%00',
      'tile//0/000',
    ])
      expect(await speak(`GET /log/${archiveId}/${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(await speak(`GET /log/${archiveId}/tile%2fentries/000.p/1 HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 401 /,
    );
  });
});

describe('records sent with a key', () => {
  const send = (body: string | Uint8Array): Promise<Response> =>
    fetch(`${server.url}/api/v1/records`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : Buffer.from(body),
    });

  it.each([
    ['nothing', ''],
    ['no JSON', '{"type":'],
    ['JSON 10,000 deep', '['.repeat(10_000) + ']'.repeat(10_000)],
    [
      'duplicate keys',
      '{"type":"message.created","type":"message.deleted","timestamp":"2026-01-01T00:00:00Z","data":{}}',
    ],
    ['broken UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
  ])('are refused where they are %s', async (_name, body) => {
    await expectProblem(await send(body), 400, 'bad-input');
  });

  it('keep 64-bit ids to the last digit', async () => {
    const answer = await send(
      '{"type":"message.created","timestamp":"2026-11-22T10:00:00Z","data":{"id":"big-1","channel":"chat","direction":"inbound","from":{"address":"a"},"to":[{"address":"b"}],"text":"bigid","extra":{"snowflake":9223372036854775807}}}',
    );
    expect(answer.status).toBe(200);
    const page = await runJson<MessagePage>(['search', 'bigid', '--data', place.data]);
    const shown = JSON.stringify(await runJson(['show', page.items[0]?.id ?? '', '--data', place.data]));
    expect(shown).toContain('9223372036854775807');
  });

  it('with media that lead inward or nowhere are kept, and the media become gaps', async () => {
    const urls = [
      'https://169.254.169.254/latest/meta-data',
      'https://[::1]/x',
      'https://localhost/x',
      `http://127.0.0.1:${server.port}/readyz`,
      'https://user:password@example.com/x',
      'https://example.com:22/x',
    ];
    const data = {
      ...{ id: 'inward', channel: 'chat', direction: 'inbound', text: 'inwardly' },
      ...{ from: { address: 'a' }, to: [{ address: 'b' }], media: urls.map((url) => ({ url })) },
    };
    const answer = await send(JSON.stringify({ type: 'message.created', timestamp: '2026-11-22T10:00:00Z', data }));
    expect(answer.status).toBe(200);
    const [id] = ((await answer.json()) as { messageIds: string[] }).messageIds;
    type Detail = { history: { event: { kind: string; reason?: string; part?: number } }[] };
    const lost = async (): Promise<Detail['history']> =>
      ((await (await get(`/api/v1/messages/${id}`)).json()) as Detail).history.filter(
        ({ event }) => event.kind === 'media.lost',
      );
    await until('all are given up', async () => (await lost()).length === urls.length);
    expect((await lost()).map(({ event }) => event.reason)).toEqual(urls.map(() => 'media-forbidden'));
    const search = (): Promise<Response> => get('/api/v1/messages?q=inwardly%20has:gap');
    await until('the gap is found', async () => ((await (await search()).json()) as MessagePage).total === 1);
    expect(server.log()).not.toMatch(/169\.254|password|inwardly/);
  });

  it('with keys that every object has pollute nothing and are kept as they are', async () => {
    const extra = '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"lone":"\\ud800"}';
    const answer = await send(
      `{"type":"message.created","timestamp":"2026-11-22T10:00:00Z","data":{"id":"proto","channel":"chat","direction":"inbound","from":{"address":"a"},"to":[{"address":"b"}],"text":"proto \\ud83d lone \\u0000 nul","extra":${extra}}}`,
    );
    expect(answer.status).toBe(200);
    const [id] = ((await answer.json()) as { messageIds: string[] }).messageIds;
    const detail = await (await get(`/api/v1/messages/${id}`)).text();
    expect((JSON.parse(detail) as { text: string }).text).toBe('proto \ud83d lone \u0000 nul');
    expect(detail).toContain('__proto__');
    expect((await (await get('/healthz')).json()) as Record<string, unknown>).toEqual({ status: 'ok' });
  });

  it('need a key, and a right one', async () => {
    expect((await fetch(`${server.url}/api/v1/records`, { method: 'POST', body: '{}' })).status).toBe(401);
    const { apiKey: narrow } = await runJson<{ apiKey: string }>([
      'key',
      'create',
      '--name',
      'reader',
      '--scope',
      'messages:read',
      '--data',
      place.data,
    ]);
    const answer = await fetch(`${server.url}/api/v1/records`, {
      method: 'POST',
      body: '{}',
      headers: { authorization: `Bearer ${narrow}` },
    });
    await expectProblem(answer, 403, 'forbidden');
  });
});

describe('queries', () => {
  it('of 100 kB are refused by the limit', async () => {
    // What is longer than an address may be is refused before anybody knows that it is a query.
    const long = await get(`/api/v1/messages?q=${'a'.repeat(100_000)}`);
    expect(long.status).toBe(431);
    expect(await long.json()).toMatchObject({
      type: '/problems/too-large',
      detail: expect.stringContaining('16384 bytes') as string,
    });
    const answer = await get(`/api/v1/messages?q=${'a'.repeat(10_000)}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      type: '/problems/bad-query',
      column: 4097,
      detail: expect.stringContaining('at most 4,096 characters') as string,
    });
    const { code, stdout, stderr } = await runCli(['search', 'a '.repeat(50_000), '--data', place.data, '--json']);
    expect(code).toBe(2);
    expect((stdout + stderr).length).toBeLessThan(2000);
  });

  it('that cannot be read are answered with a place', async () => {
    const answer = await get(`/api/v1/messages?q=${encodeURIComponent('a AND (b')}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ type: '/problems/bad-query', column: expect.any(Number) as number });
  });

  it('on nothing that exists answer 404', async () => {
    expect((await get(`/api/v1/messages/msg_${'0'.repeat(32)}`)).status).toBe(404);
    expect((await get('/api/v1/messages/..%2f..%2fetc')).status).toBe(400);
    expect((await get('/debug')).status).toBe(404);
    expect((await get(`/log/arc_${'0'.repeat(32)}/checkpoint`)).status).toBe(404);
  });
});
