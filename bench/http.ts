/** Capture over HTTP: real requests with genuine signatures from another process, one message each. */
import { fork } from 'node:child_process';

import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { fastify } from 'fastify';

import { startServer } from '../src/api/server.ts';
import { AUTH_TOKEN } from './setup.ts';
import type { Bench } from './setup.ts';

export type HttpResult = {
  readonly emptyPerSecond: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly envelopeBytes: number;
};

type LoadResult = {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly bytes: number;
  readonly failed: number;
};
type Load = {
  readonly url: string;
  readonly signUrl: string;
  readonly token: string;
  readonly requests: number;
  readonly connections: number;
  readonly perSecond?: number;
  readonly seed: number;
};

const REQUESTS = 20_000;

/** Measures the server with an empty handler, full load, and half of it. */
export async function runHttp({ service, source }: Bench): Promise<HttpResult> {
  const empty = fastify();
  empty.removeAllContentTypeParsers();
  empty.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  empty.post('/hooks/:id', async (_request, reply) => reply.header('content-type', 'text/xml').send('<Response/>'));
  await empty.listen({ host: '127.0.0.1', port: 0 });
  const { port } = empty.server.address() as AddressInfo;
  const none = await load({
    url: `http://127.0.0.1:${port}/hooks/x`,
    signUrl: 'http://x',
    token: AUTH_TOKEN,
    requests: REQUESTS,
    connections: 64,
    seed: 100,
  });
  await empty.close();

  const server = await startServer(service);
  const url = `${server.hooksUrl}/hooks/${source.id}`;
  const signUrl = `${service.publicUrl()}/hooks/${source.id}`;
  const full = await load({ url, signUrl, token: AUTH_TOKEN, requests: REQUESTS, connections: 64, seed: 200 });
  await service.archive.reachIndex();
  const half = await load({
    url,
    signUrl,
    token: AUTH_TOKEN,
    requests: REQUESTS,
    connections: 64,
    perSecond: full.perSecond / 2,
    seed: 300,
  });
  await server.close();
  if (full.failed + half.failed > 0) throw new Error(`${full.failed + half.failed} requests were not acknowledged`);
  return {
    emptyPerSecond: none.perSecond,
    perSecond: full.perSecond,
    p50: half.p50,
    p99: half.p99,
    envelopeBytes: full.bytes + half.bytes,
  };
}

async function load(plan: Load): Promise<LoadResult> {
  const child = fork(fileURLToPath(new URL('./load.ts', import.meta.url)), { serialization: 'advanced' });
  try {
    return await new Promise<LoadResult>((resolve, reject) => {
      child.once('message', (result) => resolve(result as LoadResult));
      child.once('exit', (code) => reject(new Error(`the load generator ended (${code})`)));
      child.send(plan);
    });
  } finally {
    child.kill();
  }
}

export type { Load, LoadResult };
