import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import type { MediaAccess } from '../connector.ts';
import { isPublicAddress } from './address-guard.ts';
import { fetchMedia, parseRetryAfter } from './fetch-media.ts';
import type { FetchedMedia } from './fetch-media.ts';
import { guardMedium } from './guard-medium.ts';
import { pullPlatform } from './pull-platform.ts';
import { sniffMime } from './sniff.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A server on loopback; says what it was asked with. */
async function serve(
  answer: (url: string, response: ServerResponse) => void,
): Promise<{ host: string; port: number; url: string; asked: IncomingHttpHeaders[] }> {
  const asked: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers);
    answer(request.url ?? '', response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, url: `http://127.0.0.1:${port}`, asked };
}

const ACCESS: MediaAccess = {
  hosts: [],
  credentialHosts: [],
  credentials: () => ({ authorization: 'Basic c2VjcmV0' }),
  bytesMax: 1000,
  lossAfterMs: 1000,
};
const get = (
  url: string,
  allowPrivate: { host: string; port: number }[] = [],
  more: Partial<Parameters<typeof fetchMedia>[0]> = {},
): Promise<FetchedMedia> =>
  fetchMedia({
    url,
    access: ACCESS,
    secrets: {},
    signal: AbortSignal.timeout(10_000),
    nowMs: 0,
    allowPrivate,
    timeouts: { headersTimeoutMs: 1000, idleTimeoutMs: 1000 },
    ...more,
  });

async function read(fetched: FetchedMedia): Promise<string> {
  if (fetched.status !== 'ok') throw new Error(fetched.status);
  const chunks: Uint8Array[] = [];
  for await (const chunk of fetched.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

describe('a medium', () => {
  it('is fetched with credentials, and says what was declared', async () => {
    const server = await serve((_url, response) =>
      response.writeHead(200, { 'content-type': 'image/png; x=y' }).end('bytes'),
    );
    const fetched = await get(`${server.url}/a`, [server]);
    expect(fetched).toMatchObject({ status: 'ok', mimeDeclared: 'image/png' });
    expect(await read(fetched)).toBe('bytes');
    expect(server.asked[0]?.authorization).toBe('Basic c2VjcmV0');
  });

  it('on a private address is refused, by name, by number, by redirect, and by one address of many', async () => {
    const server = await serve((_url, response) => response.end('secret'));
    for (const url of [
      server.url,
      'https://127.0.0.1/',
      'https://[::1]/',
      'https://169.254.169.254/latest',
      'https://10.0.0.1/',
      'http://example.com/',
      'https://user:pw@example.com/',
      'https://example.com:8443/',
    ]) {
      expect(await get(url)).toEqual({ status: 'lost', reason: 'media-forbidden' });
    }
    const inward = await serve((_url, response) => response.writeHead(302, { location: `${server.url}/meta` }).end());
    expect(await get(inward.url, [inward])).toEqual({ status: 'lost', reason: 'media-forbidden' });
    expect(server.asked).toEqual([]);
    const mixed = async () => [
      { address: '93.184.215.14', family: 4 },
      { address: '192.168.1.1', family: 4 },
    ];
    expect(await get('https://media.example/', [], { resolveAll: mixed })).toEqual({
      status: 'lost',
      reason: 'media-forbidden',
    });
  });

  it('on a host that is not the platform is refused', async () => {
    expect(
      await get('https://elsewhere.example/', [], {
        access: { ...ACCESS, hosts: ['api.twilio.com', '.twiliocdn.com'] },
      }),
    ).toEqual({ status: 'lost', reason: 'media-forbidden' });
  });

  it('behind a redirect is asked without credentials', async () => {
    const other = await serve((_url, response) => response.end('there'));
    const first = await serve((_url, response) => response.writeHead(307, { location: `${other.url}/b` }).end());
    expect(await read(await get(first.url, [first, other]))).toBe('there');
    expect(other.asked[0]?.authorization).toBeUndefined();
    const itself = await serve((url, response) =>
      url === '/a' ? response.writeHead(302, { location: '/b' }).end() : response.end('moved'),
    );
    expect(await read(await get(`${itself.url}/a`, [itself]))).toBe('moved');
    expect(itself.asked.map(({ authorization }) => authorization)).toEqual(['Basic c2VjcmV0', undefined]);
  });

  it('that is shorter or longer than it says, or is packed although nobody asked, is told by its bytes', async () => {
    const liar = await serve((url, response) => {
      response.writeHead(200, { 'content-type': 'image/png', 'content-length': url === '/short' ? '900' : '5' });
      response.write('x'.repeat(url === '/short' ? 10 : 5));
      if (url === '/short') response.destroy();
      else response.end();
    });
    await expect(get(`${liar.url}/short`, [liar]).then(read)).rejects.toThrow();
    expect(await read(await get(`${liar.url}/right`, [liar]))).toBe('xxxxx');
    const bomb = gzipSync(Buffer.alloc(1_000_000));
    const packed = await serve((_url, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'image/png' }).end(bomb.subarray(0, 900)),
    );
    const fetched = await get(packed.url, [packed]);
    expect(Buffer.byteLength(await read(fetched))).toBeLessThanOrEqual(1000);
  });

  it('that is not there yet, or busy, is tried again; that is gone or too large is lost', async () => {
    const server = await serve((url, response) => {
      const code = Number(url.slice(1));
      response
        .writeHead(code, code === 429 ? { 'retry-after': '7' } : code === 200 ? { 'content-length': '2000' } : {})
        .end(code === 200 ? 'x'.repeat(2000) : '');
    });
    expect(await get(`${server.url}/404`, [server])).toMatchObject({ status: 'retry' });
    expect(await get(`${server.url}/429`, [server])).toMatchObject({ status: 'retry', afterMs: 7000 });
    expect(await get(`${server.url}/503`, [server])).toMatchObject({ status: 'retry' });
    expect(await get(`${server.url}/403`, [server])).toMatchObject({ status: 'retry', reason: 'forbidden' });
    expect(await get(`${server.url}/403`, [server], { attempt: 5 })).toEqual({
      status: 'lost',
      reason: 'media-forbidden',
    });
    expect(await get(`${server.url}/410`, [server])).toEqual({ status: 'lost', reason: 'media-expired' });
    expect(await get(`${server.url}/200`, [server])).toEqual({ status: 'lost', reason: 'media-too-large' });
  });

  it('that never ends is cut off, that stalls is timed out, that redirects for ever is given up', async () => {
    const endless = await serve((_url, response) => {
      const timer = setInterval(() => response.write('x'.repeat(300)), 5);
      response.on('close', () => clearInterval(timer));
    });
    await expect(get(endless.url, [endless]).then(read)).rejects.toMatchObject({ code: 'too-large' });
    const silent = await serve(() => undefined);
    expect(await get(silent.url, [silent])).toEqual({ status: 'retry', reason: 'unreachable' });
    const round = await serve((_url, response) => response.writeHead(302, { location: '/again' }).end());
    expect(await get(round.url, [round])).toEqual({ status: 'lost', reason: 'media-forbidden' });
    expect(round.asked.length).toBeLessThanOrEqual(6);
  });

  it('that comes byte by byte for ever is given up when its whole time is over', async () => {
    const drip = await serve((_url, response) => {
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    });
    const timeouts = { headersTimeoutMs: 1000, idleTimeoutMs: 1000, wholeMs: 300 };
    const startedAt = performance.now();
    await expect(read(await get(drip.url, [drip], { timeouts }))).rejects.toThrow(/abort|timeout/i);
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  it('in a data: URL needs no network', async () => {
    expect(await read(await get('data:text/plain;base64,aGVsbG8='))).toBe('hello');
    expect(await read(await get('data:text/plain,a%20b'))).toBe('a b');
    expect(await get(`data:,${'x'.repeat(1500)}`)).toEqual({ status: 'lost', reason: 'media-too-large' });
    expect(await get('data:nonsense')).toEqual({ status: 'lost', reason: 'media-unavailable' });
    expect(await get('data:,%zz')).toEqual({ status: 'lost', reason: 'media-unavailable' });
  });
});

describe('a medium of text', () => {
  const pass = async (chunks: readonly (string | Uint8Array)[]): Promise<readonly [Buffer, unknown]> => {
    async function* body(): AsyncIterable<Uint8Array> {
      for (const chunk of chunks) yield Buffer.from(chunk);
    }
    const guarded = guardMedium(body(), { oneTimeCodes: false });
    const out: Uint8Array[] = [];
    for await (const chunk of guarded.body) out.push(chunk);
    return [Buffer.concat(out), guarded.findings()];
  };

  it('loses card data before it is kept, also where it comes in pieces', async () => {
    expect(await pass(['BEGIN:VCARD\nNOTE:my c', 'vv is 7', '37\nEND:VCARD'])).toEqual([
      Buffer.from('BEGIN:VCARD\nNOTE:my cvv is ***\nEND:VCARD'),
      { 'card-security-code': 1 },
    ]);
  });

  it.each([
    ['words', ['just ', 'words']],
    ['nothing', []],
    ['bytes with card data in them', ['\u0000PNG', 'cvv 737', 'cvv 737']],
    ['no UTF-8', [Buffer.from([0xff, 0xfe]), 'cvv 737']],
    ['more than is looked at', ['cvv 737', 'x'.repeat(300_000), ' cvv 737']],
  ])('of %s passes byte for byte', async (_name, chunks) => {
    const whole = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk)));
    expect(await pass(chunks)).toEqual([whole, undefined]);
  });
});

describe('a platform', () => {
  it('is asked at its own origin only, and a busy one is asked again later', async () => {
    const server = await serve((url, response) =>
      response
        .writeHead(url === '/busy' ? 429 : 200, { 'content-type': 'application/json', 'set-cookie': 'a=b' })
        .end('{}'),
    );
    const ask = (url: string) =>
      pullPlatform({
        request: { method: 'GET', url, accept: 'application/json' },
        baseUrl: server.url,
        credentials: () => ({ authorization: 'x' }),
        secrets: {},
        signal: AbortSignal.timeout(5000),
        allowPrivate: [server],
      });
    expect(await ask(`${server.url}/a`)).toMatchObject({
      status: 200,
      headers: expect.arrayContaining([['content-type', 'application/json']]) as unknown,
    });
    expect(JSON.stringify((await ask(`${server.url}/a`)).headers)).not.toContain('cookie');
    await expect(ask(`${server.url}/busy`)).rejects.toMatchObject({ code: 'overloaded' });
    await expect(ask('http://127.0.0.1:1/a')).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('addresses and types', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '192.168.0.1',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '4000::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fd00::1',
    'fe80::1',
    '0.0.0.0',
    '224.0.0.1',
    'nonsense',
  ])('%s is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
  it.each(['93.184.215.14', '2606:4700::1111'])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
  it('are told by their bytes, whatever was said', async () => {
    expect(
      await sniffMime(
        Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]),
      ),
    ).toBe('image/png');
    expect(await sniffMime(Buffer.from('<svg xmlns="x"><script/></svg>'))).toBe('image/svg+xml');
    expect(await sniffMime(Buffer.from('<!DOCTYPE html><p>'))).toBe('text/html');
    expect(await sniffMime(Buffer.from('just words'))).toBe('text/plain');
    expect(await sniffMime(Buffer.from([0, 1, 2, 3]))).toBeUndefined();
    expect(await sniffMime(new Uint8Array())).toBeUndefined();
  });
  it('waits are read within reason', () => {
    expect([
      parseRetryAfter('3', 0),
      parseRetryAfter('99999999', 0),
      parseRetryAfter('soon', 0),
      parseRetryAfter(undefined, 0),
    ]).toEqual([3000, 3_600_000, undefined, undefined]);
  });
});
