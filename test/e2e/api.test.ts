/** The faces: conversations, media, proofs, the public log, the description; tee mode; rebuilding. */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ConversationView, MessageDetail, MessagePage } from '../../src/archive/views.ts';
import { verifyProofFile } from '../../src/ledger/proof-file.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';

const place = await makePlace('api');
let server: Served;
let made: { archiveId: string; apiKey: string; logKey: string };

beforeAll(async () => {
  made = await runJson(['init', '--data', place.data, '--name', 'Api']);
  server = await serve(place.data);
}, 120_000);
afterAll(async () => {
  await server.stop();
  await place.remove();
});

const get = (path: string, key = made.apiKey): Promise<Response> =>
  fetch(server.url + path, { headers: { authorization: `Bearer ${key}` } });
const find = async (q: string): Promise<MessagePage> =>
  (await (await get(`/api/v1/messages?q=${encodeURIComponent(q)}`)).json()) as MessagePage;

async function send(data: Record<string, unknown>, type = 'message.created'): Promise<{ messageIds: string[] }> {
  const answer = await fetch(`${server.url}/api/v1/records`, {
    method: 'POST',
    headers: { authorization: `Bearer ${made.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type, timestamp: '2026-11-22T10:00:00Z', data }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as { messageIds: string[] };
}

const text = (id: string, words: string): Record<string, unknown> => ({
  id,
  channel: 'chat',
  direction: 'inbound',
  from: { address: 'ann' },
  to: [{ address: 'shop' }],
  text: words,
});

describe('the API', () => {
  it('pages through a query whose dates count from now', { timeout: 20_000 }, async () => {
    for (const id of ['p1', 'p2', 'p3'])
      await send({
        ...text(id, 'paged'),
        from: { address: 'pam' },
        sentAt: new Date(Date.now() - 60_000).toISOString(),
      });
    await until('they are found', async () => (await find('paged')).total === 3);
    const seen = new Set<string>();
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = `q=${encodeURIComponent('paged newer_than:1h')}&limit=1${cursor && `&cursor=${cursor}`}`;
      const answer = await get(`/api/v1/messages?${query}`);
      expect(answer.status).toBe(200);
      const page = (await answer.json()) as MessagePage;
      for (const item of page.items) seen.add(item.id);
      cursor = page.nextCursor;
    }
    expect(seen.size).toBe(3);
  });

  it(
    'shows a message with history, raw bytes and leaf index, and proves it to an outsider',
    { timeout: 20_000 },
    async () => {
      const { messageIds } = await send(text('a1', 'a lamp for the hall'));
      await until('it is found', async () => (await find('lamp')).total === 1);
      const id = messageIds[0] ?? '';
      const detail = (await (await get(`/api/v1/messages/${id}`)).json()) as MessageDetail;
      expect(detail).toMatchObject({ id, text: 'a lamp for the hall', contentState: 'present', platformId: 'a1' });
      expect(detail.history[0]).toMatchObject({
        leafIndex: detail.leafIndex,
        kind: 'message.created',
        raw: { transport: 'ingest' },
      });
      const { proofs } = (await (await get(`/api/v1/messages/${id}/proof`)).json()) as {
        proofs: { leafIndex: number; file: string }[];
      };
      const entries = await get(`/log/${made.archiveId}/tile/entries/000.p/${await sizeOfLog()}`);
      expect([200, 404]).toContain(entries.status);
      expect(proofs).toHaveLength(1);
      const leaf = await leafOf(proofs[0]?.leafIndex ?? -1);
      expect(verifyProofFile(proofs[0]?.file ?? '', { entry: leaf, vkeys: made.logKey }).index).toBe(detail.leafIndex);
    },
  );

  it('opens a conversation', { timeout: 20_000 }, async () => {
    await send(text('a2', 'and a shade for it'));
    await until('both are found', async () => (await find('from:ann')).total === 2);
    const conversationId = (await find('shade')).items[0]?.conversationId ?? '';
    const conversation = (await (await get(`/api/v1/conversations/${conversationId}`)).json()) as ConversationView;
    expect(conversation.messages.map((message) => message.text)).toEqual(['a lamp for the hall', 'and a shade for it']);
    expect(conversation.parties.map((party) => party.address).sort()).toEqual(['ann', 'shop']);
  });

  it('destroys a message in which card data was found later, on record, and nothing brings it back', async () => {
    const data = {
      ...text('destroy-1', 'a picture of my card'),
      media: [{ base64: Buffer.from('a picture').toString('base64'), mimeType: 'image/png' }],
    };
    const id = (await send(data)).messageIds[0] ?? '';
    await until('its medium is there', async () => (await get(`/api/v1/messages/${id}/media/0`)).status === 200);
    const destroy = ['key', 'destroy', id, '--data', place.data, '--json'];
    expect((await runCli(destroy)).code).toBe(2);
    expect((await get(`/api/v1/messages/${id}`)).status).toBe(200);
    expect(await runJson([...destroy, '--yes'])).toEqual({ id, destroyed: true });
    for (const path of [`/api/v1/messages/${id}`, `/api/v1/messages/${id}/media/0`])
      expect([404, 410]).toContain((await get(path)).status);
    expect((await find('picture')).total).toBe(0);
    await send(data);
    await send({ id: 'destroy-1', text: 'a picture again' }, 'message.edited').catch(() => undefined);
    expect((await find('picture')).total).toBe(0);
    const verified = await runJson<{ ok: boolean; destroyed: number }>(['verify', '--data', place.data]);
    expect(verified.ok).toBe(true);
    expect(verified.destroyed).toBeGreaterThanOrEqual(1);
    expect((await runCli([...destroy, '--yes'])).code).not.toBe(0);
  }, 60_000);

  it('gives out media exactly as they came, and nothing that a browser would run', { timeout: 30_000 }, async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
    const { messageIds } = await send({
      ...text('a3', 'look'),
      media: [{ base64: Buffer.from(svg).toString('base64'), mimeType: 'image/png' }],
    });
    const path = `/api/v1/messages/${messageIds[0] ?? ''}/media/0`;
    await until('it is stored', async () => (await get(path)).status === 200);
    const answer = await get(path);
    expect(await answer.text()).toBe(svg);
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.headers.get('content-disposition')).toContain('attachment');
    expect(answer.headers.get('cartulary-media-type')).toBe('image/svg+xml');

    // A type that no header can hold, said of bytes that tell nothing.
    const bytes = Buffer.from([1, 2, 3, 4, 0]);
    const part = `<part seq="0" ct="вид&#10;X: y/z" cl="oddity" data="${bytes.toString('base64')}"/>`;
    const mms = `<mms date="1700000000000" msg_box="1" address="+4930123456" sub="oddity"><parts>${part}</parts></mms>`;
    const file = join(place.path, 'odd.xml');
    await writeFile(file, `<smses count="1">${mms}</smses>`);
    expect(await runJson(['import', 'sms-backup', file, '--data', place.data])).toMatchObject({ sealed: 1 });
    await until('it can be found', async () => (await find('oddity')).total === 1);
    const odd = await get(`/api/v1/messages/${(await find('oddity')).items[0]?.id}/media/0`);
    expect(odd.status).toBe(200);
    expect(Buffer.from(await odd.arrayBuffer())).toEqual(bytes);
    expect(odd.headers.get('cartulary-media-type')).toMatch(/^[a-z]+\/[a-z-]+$/);
  });

  it('describes itself, and serves what it describes', async () => {
    const description = (await (await fetch(`${server.url}/api/v1/openapi.json`)).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { security?: unknown[]; operationId?: string }>>;
    };
    expect(description.openapi).toBe('3.1.0');
    for (const [path, operations] of Object.entries(description.paths)) {
      for (const [method, { security }] of Object.entries(operations)) {
        const url = server.url + path.replaceAll('{archiveId}', made.archiveId).replaceAll(/\{\w+\}/g, 'x');
        const { status } = await fetch(url, { method: method.toUpperCase() });
        // Without a key: refused where one is needed; elsewhere served, or there is no such thing as "x".
        expect([path, status]).toEqual([
          path,
          security === undefined ? 401 : path.includes('{') ? expect.any(Number) : 200,
        ]);
        expect(status).toBeLessThan(500);
      }
    }
    const ids = Object.values(description.paths).flatMap((operations) => Object.values(operations));
    expect(new Set(ids.map(({ operationId }) => operationId)).size).toBe(ids.length);
    // Every reference leads somewhere within the description.
    const references = [...JSON.stringify(description).matchAll(/"\$ref":"([^"]*)"/g)].map(([, to]) => to ?? '');
    expect(references.length).toBeGreaterThan(10);
    for (const reference of new Set(references)) {
      const found = reference
        .replace(/^#\//, '')
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], description);
      expect([reference, typeof found]).toEqual([reference, 'object']);
    }
    expect(
      ((await (await fetch(`${server.url}/api/v1/events.schema.json`)).json()) as { version: number }).version,
    ).toBe(1);
  });

  it('says what a problem means at the address that is its type', async () => {
    const answer = await fetch(`${server.url}/api/v1/messages`);
    const problem = (await answer.json()) as { type: string; title: string };
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(problem.type).toBe('/problems/unauthenticated');
    expect(await (await fetch(server.url + problem.type)).json()).toMatchObject({ status: 401, title: problem.title });
    expect((await fetch(`${server.url}/problems/constructor`)).status).toBe(404);
  });

  it('publishes checkpoint and tiles to anybody, entries only with a right', async () => {
    const checkpoint = await fetch(`${server.url}/log/${made.archiveId}/checkpoint`);
    expect(checkpoint.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const size = Number((await checkpoint.text()).split('\n')[1]);
    const last = `${String(Math.floor((size - 1) / 256)).padStart(3, '0')}${size % 256 === 0 ? '' : `.p/${size % 256}`}`;
    expect((await fetch(`${server.url}/log/${made.archiveId}/tile/0/${last}`)).status).toBe(200);
    expect((await fetch(`${server.url}/log/${made.archiveId}/tile/entries/${last}`)).status).toBe(401);
    expect((await get(`/log/${made.archiveId}/tile/entries/${last}`)).status).toBe(200);
    expect((await fetch(`${server.url}/log/${made.archiveId}/tile/0/../../archive.db`)).status).toBe(404);
  });

  it('writes an audit record for each opening, before it answers', async () => {
    const before = await sizeOfLog();
    await find('lamp');
    expect(await sizeOfLog()).toBe(before + 1);
  });

  it('lets a further key read, and no more where nobody said so', { timeout: 30_000 }, async () => {
    const create = ['key', 'create', '--name', 'reader', '--data', place.data];
    const { apiKey } = await runJson<{ apiKey: string }>(create);
    expect((await get('/api/v1/messages?q=lamp', apiKey)).status).toBe(200);
    const answer = await fetch(`${server.url}/api/v1/records`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'message.created', timestamp: '2026-11-22T10:00:00Z', data: text('no', 'no') }),
    });
    expect(answer.status).toBe(403);
  });

  it('rebuilds the index, and compares it with the records as sets', { timeout: 30_000 }, async () => {
    const rebuilt = await runJson<{
      index: { expected: number; indexed: number; missingCount: number; extraCount: number };
    }>(['rebuild', '--data', place.data]);
    expect(rebuilt.index).toMatchObject({ missingCount: 0, extraCount: 0 });
    expect(rebuilt.index.indexed).toBe(rebuilt.index.expected);
    expect((await find('lamp')).total).toBe(1);
  });
});

describe('in front of the shop’s own handler', () => {
  it('passes on byte for byte, answers as the handler does, and keeps what passed', { timeout: 30_000 }, async () => {
    const seen: { body: string; headers: IncomingHttpHeaders }[] = [];
    const handler = createServer((request, response) => {
      let body = '';
      request
        .on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
        .on('end', () => {
          seen.push({ body, headers: request.headers });
          response
            .writeHead(201, { 'content-type': 'text/xml', 'x-shop': 'yes' })
            .end('<Response><Message>hi</Message></Response>');
        });
    });
    await new Promise<void>((resolve) => handler.listen(0, '127.0.0.1', resolve));
    const { port } = handler.address() as AddressInfo;
    try {
      const source = await runJson<{ hookUrl: string }>([
        'source',
        'add',
        'twilio',
        '--data',
        place.data,
        '--name',
        'tee',
        '--secret',
        AUTH_TOKEN,
        '--tee',
        `http://127.0.0.1:${port}/sms`,
      ]);
      const request = signedForm(
        source.hookUrl,
        inboundFields('SM0000000000000000000000000000tee1'.replace('tee', 'aaa'), 'through the tee'),
      );
      const answer = await fetch(source.hookUrl, request);
      expect(answer.status).toBe(201);
      expect(answer.headers.get('x-shop')).toBe('yes');
      expect(await answer.text()).toContain('<Message>hi</Message>');
      expect(seen[0]?.body).toBe(request.body);
      expect(seen[0]?.headers['x-twilio-signature']).toBe(
        (request.headers as Record<string, string>)['x-twilio-signature'],
      );
      await until('it is kept', async () => (await find('"through the tee"')).total === 1);
      // A forged one is not passed on.
      expect((await fetch(source.hookUrl, { ...request, body: `${request.body}&x=y` })).status).toBe(403);
      expect(seen).toHaveLength(1);
      handler.close();
      handler.closeAllConnections();
      const later = signedForm(
        source.hookUrl,
        inboundFields('SM0000000000000000000000000000aaa2', 'while the handler is away'),
      );
      expect((await fetch(source.hookUrl, later)).status).toBe(502);
      await until('it is kept all the same', async () => (await find('"handler is away"')).total === 1);
    } finally {
      handler.close();
    }
  });
});

async function sizeOfLog(): Promise<number> {
  return Number((await (await fetch(`${server.url}/log/${made.archiveId}/checkpoint`)).text()).split('\n')[1]);
}

async function leafOf(index: number): Promise<Uint8Array> {
  const size = await sizeOfLog();
  const bytes = Buffer.from(await (await get(`/log/${made.archiveId}/tile/entries/000.p/${size}`)).arrayBuffer());
  let at = 0;
  for (let entry = 0; entry < index; entry += 1) at += 2 + bytes.readUInt16BE(at);
  return bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at));
}
