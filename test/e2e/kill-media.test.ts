/** A process that is killed while it fetches media: each is there in the end, once, whole, and nothing that was half written stays. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/api/server.ts';
import type { Service } from '../../src/api/service.ts';
import { initHouse } from '../../src/archive/house.ts';
import { archiveLayout, dataLayout } from '../../src/archive/layout.ts';
import type { MessageDetail } from '../../src/archive/views.ts';
import { parseId } from '../../src/model/ids.ts';
import { createRandom } from '../../bench/random.ts';
import { makePlace } from '../support/cli.ts';
import { look } from '../support/damage.ts';
import { killDuring } from '../support/kill-during.ts';
import { LOCAL_CALLER } from '../support/service.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';
import { listAllFiles, openData, operate } from '../support/whole-archive.ts';

const WORKER = fileURLToPath(new URL('../support/work-jobs.ts', import.meta.url));
const SEED = 20_261_127;
const KILLS = 3 * Number(process.env['CARTULARY_KILLS'] ?? 1);
/** So many that some are left for the last kill. */
const MEDIA = 8 * KILLS;
const CHUNKS = 16;
const CHUNK_MS = 10;
const KILL_MS_MAX = 200;
const ROUNDS_MAX = KILLS * 5;

const random = createRandom(SEED);
const place = await makePlace('kill-media');
/** What it was asked for. */
const asked: string[] = [];

/** The platform: sends each medium in pieces, each a while after the one before. */
const platform = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.writeHead(200, { 'content-type': 'image/png' });
  void sendSlowly(mediumOf(Number(request.url?.slice(1))), response);
});

async function sendSlowly(bytes: Buffer, response: ServerResponse): Promise<void> {
  const size = Math.ceil(bytes.length / CHUNKS);
  for (let at = 0; at < bytes.length && !response.destroyed; at += size) {
    response.write(bytes.subarray(at, at + size));
    await pause(CHUNK_MS);
  }
  response.end();
}

/** Every third is the same picture: files by their content must not go with the one that was cut off. */
function mediumOf(number: number): Buffer {
  const name = number % 3 === 0 ? 'the same' : String(number);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(120_000, `picture ${name} `)]);
}

afterAll(async () => {
  platform.close();
  platform.closeAllConnections();
  await place.remove();
});

async function capture(service: Service, port: number): Promise<void> {
  const { hookUrl } = await operate<{ hookUrl: string }>(service, 'source.add', {
    connector: 'twilio',
    name: 'texts',
    secret: AUTH_TOKEN,
  });
  const app = buildApp(service, { hooks: true, api: false });
  for (let number = 0; number < MEDIA; number += 1) {
    const sid = `MM${String(number).padStart(32, '0')}`;
    const medium = { NumMedia: '1', MediaUrl0: `http://127.0.0.1:${port}/${number}`, MediaContentType0: 'image/png' };
    const { body, headers } = signedForm(hookUrl, inboundFields(sid, 'a pelican', medium));
    const request = { payload: body, headers: headers as Record<string, string> };
    const { statusCode } = await app.inject({ method: 'POST', url: new URL(hookUrl).pathname, ...request });
    expect(statusCode).toBe(200);
  }
  await app.close();
}

/** Has a process work and kills it some time after it has asked for a medium. @returns was it killed, rather than done? */
function killAtWork(port: number, afterMs: number): Promise<boolean> {
  const before = asked.length;
  return killDuring([place.data, String(port)], () => asked.length > before, afterMs, WORKER);
}

/** The digest of the one medium that a message must have. */
function sumOf({ parts, history }: MessageDetail): string | undefined {
  expect(parts.filter((part) => part.kind === 'media')).toMatchObject([{ state: 'stored' }]);
  const events = history.map(({ event }) => event as { kind: string; media?: { sha256: string } });
  const stored = events.filter(({ kind }) => kind === 'media.stored');
  expect(stored).toHaveLength(1);
  return stored[0]?.media?.sha256;
}

describe('killed while it fetches media', { timeout: 240_000 }, () => {
  it('has each once in the end, whole, and nothing else', async () => {
    await new Promise<void>((resolve) => platform.listen(0, '127.0.0.1', resolve));
    const { port } = platform.address() as AddressInfo;
    const { archiveId } = await initHouse({ directory: place.data, name: 'Media' });
    const service = await openData(place.data);
    await capture(service, port);
    await service.close();
    let kills = 0;
    for (let round = 0; round < ROUNDS_MAX && kills < KILLS; round += 1)
      if (await killAtWork(port, random() * KILL_MS_MAX)) kills += 1;
    expect(kills).toBe(KILLS);
    expect(await killAtWork(port, 60_000)).toBe(false);

    const sums: (string | undefined)[] = [];
    const { verify, doctor } = await look(place.data, async ({ archive }) => {
      const { items } = await archive.search(LOCAL_CALLER, { q: 'pelican', limit: 200 });
      for (const { id } of items) sums.push(sumOf(await archive.openMessage(LOCAL_CALLER, parseId('message', id))));
    });
    expect({ verify, doctor }).toEqual({ verify: [], doctor: [] });
    expect(sums).toHaveLength(MEDIA);
    const wanted = Array.from({ length: MEDIA }, (_none, number) =>
      createHash('sha256').update(mediumOf(number)).digest('hex'),
    );
    expect(new Set(sums)).toEqual(new Set(wanted));
    const { blobs } = archiveLayout(dataLayout(place.data), archiveId);
    expect(listAllFiles(blobs)).toHaveLength(MEDIA);
  });
});
