/** `doctor` on its way in from outside: through a proxy that does its work, through ones that do not, with a certificate that holds and one that does not. Nothing of what it sends is kept. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { Server as HttpServer } from 'node:http';
import { join } from 'node:path';

import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CHALLENGE_PATH } from '../../src/api/routes/challenge.ts';
import type { Check } from '../../src/api/operations/doctor.ts';
import { startServer } from '../../src/api/server.ts';
import type { Server } from '../../src/api/server.ts';
import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import { initHouse } from '../../src/archive/house.ts';
import { readSettings } from '../../src/settings.ts';
import { freePort, makePlace } from '../support/cli.ts';
import { operate } from '../support/whole-archive.ts';

const place = await makePlace('doctor');
let service: Service;
let server: Server;
let proxy: HttpServer;
/** What the proxy does with a body, and with the clock. */
const proxied = { change: (body: Buffer): Buffer => body, skewMs: 0, isOther: false };

beforeAll(async () => {
  await initHouse({ directory: place.data, name: 'Doctor' });
  const [port, outside] = [await freePort(), await freePort()];
  const settings = readSettings({
    CARTULARY_DATA: place.data,
    CARTULARY_LOG_LEVEL: 'silent',
    CARTULARY_HOOKS_LISTEN: `127.0.0.1:${port}`,
    CARTULARY_LISTEN: '127.0.0.1:0',
    CARTULARY_PUBLIC_URL: `http://127.0.0.1:${outside}`,
  });
  service = await openService(settings);
  server = await startServer(service);
  proxy = createServer((from, to) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of from) chunks.push(chunk as Buffer);
      // As docs/way-in.md has it: nothing but the hooks is let through.
      if (from.url?.startsWith('/hooks/') !== true) return void to.writeHead(404).end();
      if (proxied.isOther) return void to.writeHead(200).end('{"answer":"00000000000000000000000000000000"}');
      const { host: _host, connection: _connection, 'content-length': _length, ...headers } = from.headers;
      const answer = await request(server.hooksUrl + from.url, {
        method: from.method === 'POST' ? 'POST' : 'GET',
        headers,
        ...(from.method === 'POST' ? { body: proxied.change(Buffer.concat(chunks)) } : {}),
      });
      to.sendDate = false;
      to.writeHead(answer.statusCode, { date: new Date(Date.now() + proxied.skewMs).toUTCString() });
      to.end(await answer.body.text());
    })();
  });
  await new Promise<void>((resolve) => proxy.listen(outside, '127.0.0.1', resolve));
  for (const [connector, name, secret] of [
    ['twilio', 'main number', '0123456789abcdef0123456789abcdef'],
    ['standard-webhooks', 'help desk', `whsec_${Buffer.alloc(24, 7).toString('base64')}`],
  ] as const)
    await operate(service, 'source.add', { connector, name, secret });
}, 60_000);
afterAll(async () => {
  await new Promise((resolve) => {
    proxy.close(resolve);
    proxy.closeAllConnections();
  });
  await server.close();
  await service.close();
  await place.remove();
});

async function look(): Promise<Map<string, Check>> {
  const { checks } = await operate<{ checks: Check[] }>(service, 'doctor');
  return new Map(checks.map((check) => [check.name, check]));
}

describe('doctor', () => {
  it(
    'goes from the internet to the search result, in this order, and leaves nothing',
    { timeout: 60_000 },
    async () => {
      await operate(service, 'doctor');
      const before = await service.archive.size();
      const checks = await look();
      expect([...checks.keys()]).toEqual([
        ...['way in: name', 'way in: certificate', 'way in', 'clock', 'door of main number', 'door of help desk'],
        ...['signatures', 'disk', 'durable writes', 'records'],
        ...['root key', 'data directory', 'page encryption', 'media', 'jobs', 'log', 'search index', 'search'],
        ...[
          'backups',
          'restore drill',
          'in good hands',
          'tokens',
          'nodes',
          'spool',
          'relays',
          'alert routes',
          'alerts',
        ],
      ]);
      for (const name of [
        'way in: name',
        'clock',
        'door of main number',
        'door of help desk',
        'signatures',
        'records',
        'log',
      ])
        expect([name, checks.get(name)]).toEqual([name, expect.objectContaining({ state: 'ok' })]);
      expect(checks.get('way in')).toMatchObject({
        state: 'warning',
        text: expect.stringContaining('this machine only') as string,
      });
      for (const { state, hint } of checks.values()) expect(state === 'ok' || hint !== undefined).toBe(true);
      // Its own search is on record, and nothing else.
      expect(await service.archive.size()).toBe(before + 1);
    },
  );

  it('sees a proxy that alters what it passes on', { timeout: 60_000 }, async () => {
    proxied.change = (body) => Buffer.from(body.toString('utf8').replaceAll('+', '%20'));
    const checks = await look();
    expect(checks.get('door of main number')).toMatchObject({
      state: 'failed',
      text: 'the body of a request arrives altered',
    });
    proxied.change = (body) => body;
    expect(checks.get('signatures')).toMatchObject({ state: 'ok' });
  });

  it('sees a wrong clock, and another server in its place', { timeout: 60_000 }, async () => {
    proxied.skewMs = 300_000;
    expect((await look()).get('clock')).toMatchObject({
      state: 'failed',
      text: expect.stringMatching(/^(?:299|300) s behind the public address/) as string,
    });
    proxied.skewMs = -30_000;
    expect((await look()).get('clock')).toMatchObject({
      state: 'warning',
      text: expect.stringMatching(/^3[01] s ahead of the public address/) as string,
    });
    proxied.skewMs = 0;
    proxied.isOther = true;
    expect((await look()).get('way in')).toMatchObject({
      state: 'failed',
      text: expect.stringContaining('another server') as string,
    });
    proxied.isOther = false;
  });

  it('a stranger learns nothing where it asks', { timeout: 60_000 }, async () => {
    const [source] = service.archive.registry.listSources();
    const ask = async (path: string, method: 'GET' | 'POST'): Promise<number> => {
      const { statusCode, body } = await request(server.hooksUrl + path, {
        method,
        ...(method === 'POST' ? { body: 'x' } : {}),
      });
      await body.dump();
      return statusCode;
    };
    expect(await ask(`${CHALLENGE_PATH}nothing`, 'GET')).toBe(404);
    expect(await ask(`${CHALLENGE_PATH}${source?.id ?? ''}/${'0'.repeat(64)}`, 'POST')).toBe(404);
    expect(await ask(`${CHALLENGE_PATH}${source?.id ?? ''}/short`, 'POST')).toBe(404);
  });

  it('holds the certificate against what platforms accept', { timeout: 120_000 }, async () => {
    const [key, cert] = [join(place.path, 'key.pem'), join(place.path, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '10'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject],
      {
        stdio: 'ignore',
      },
    );
    const data = join(place.path, 'tls');
    const port = await freePort();
    const settings = {
      CARTULARY_HOOKS_LISTEN: `127.0.0.1:${port}`,
      CARTULARY_PUBLIC_URL: `https://localhost:${port}`,
      CARTULARY_TLS_CERT: cert,
      CARTULARY_TLS_KEY: key,
    };
    await initHouse({ directory: data, name: 'TLS' });
    const own = await openService(
      readSettings({
        CARTULARY_DATA: data,
        CARTULARY_LOG_LEVEL: 'silent',
        CARTULARY_LISTEN: '127.0.0.1:0',
        ...settings,
      }),
    );
    const face = await startServer(own);
    try {
      const { checks } = await operate<{ checks: Check[] }>(own, 'doctor');
      expect(checks.find(({ name }) => name === 'way in: certificate')).toMatchObject({
        state: 'failed',
        text: expect.stringContaining('does not hold') as string,
      });
      expect(checks.find(({ name }) => name === 'way in')).toMatchObject({
        text: expect.stringContaining('not tried') as string,
      });
    } finally {
      await face.close();
      await own.close();
    }
  });
});
