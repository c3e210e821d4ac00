/** Capture over HTTP: real requests with genuine signatures from another process, one message each. */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { fastify } from 'fastify';

import { runJson, serve } from '../test/support/cli.ts';
import type { Served } from '../test/support/cli.ts';
import { AUTH_TOKEN } from './setup.ts';
import type { Bench } from './setup.ts';

export type HttpResult = {
  readonly emptyPerSecond: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly envelopeBytes: number;
  /** Peak of the server's resident memory, MB, after each of these. */
  readonly memory: { readonly capturing: number; readonly searching: number; readonly exporting: number };
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
const CONNECTIONS = 64;
/** Connections of the load under which memory is looked at. */
const CONNECTIONS_HIGH = 256;
const SEARCHES = 200;

/** Measures a server with an empty handler, the product under full load, and under half of it; the product is a process of its own, as its users have it. */
export async function runHttp({ data, source, apiKey }: Bench): Promise<HttpResult> {
  const none = await loadEmpty();
  const server = await serve(data);
  try {
    const url = `${server.url}/hooks/${source.id}`;
    const plan = { url, signUrl: url, token: AUTH_TOKEN, requests: REQUESTS, connections: CONNECTIONS };
    // Compilers have their say first, as in a server that has been running for a while.
    const warm = await load({ ...plan, seed: 100 });
    const full = await load({ ...plan, seed: 200 });
    const half = await load({ ...plan, perSecond: full.perSecond / 2, seed: 300 });
    const high = await load({ ...plan, connections: CONNECTIONS_HIGH, seed: 400 });
    const loads = [warm, full, half, high];
    const failed = loads.reduce((sum, result) => sum + result.failed, 0);
    if (failed > 0) throw new Error(`${failed} requests were not acknowledged`);
    const capturing = peakMemory(server);
    await searchOften(server, apiKey);
    const searching = peakMemory(server);
    await runJson(['export', 'order', '--data', data, '--out', join(data, '..', 'bench.zip')]);
    return {
      emptyPerSecond: none.perSecond,
      perSecond: full.perSecond,
      p50: half.p50,
      p99: half.p99,
      envelopeBytes: loads.reduce((sum, { bytes }) => sum + bytes, 0),
      memory: { capturing, searching, exporting: peakMemory(server) },
    };
  } finally {
    await server.stop();
  }
}

/** What Fastify alone can do here. */
async function loadEmpty(): Promise<LoadResult> {
  const empty = fastify();
  empty.removeAllContentTypeParsers();
  empty.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  empty.post('/hooks/:id', async (_request, reply) => reply.header('content-type', 'text/xml').send('<Response/>'));
  await empty.listen({ host: '127.0.0.1', port: 0 });
  const { port } = empty.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/hooks/x`;
  const plan = { url, signUrl: 'http://x', token: AUTH_TOKEN, requests: REQUESTS, connections: CONNECTIONS, seed: 100 };
  await load(plan);
  const result = await load(plan);
  await empty.close();
  return result;
}

async function searchOften(server: Served, apiKey: string): Promise<void> {
  const queries = ['the', 'the order', '"your order"', 'ship* the channel:sms', '(refund OR return) -package'];
  for (let round = 0; round < SEARCHES; round += 1) {
    const q = encodeURIComponent(queries[round % queries.length] ?? '');
    const answer = await fetch(`${server.url}/api/v1/messages?limit=50&q=${q}`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    if (answer.status !== 200) throw new Error(`a search was answered with ${answer.status}`);
    await answer.arrayBuffer();
  }
}

/** Most resident memory that a process had since it began, in MB. @source proc_pid_status(5), VmHWM */
function peakMemory({ process: { pid } }: Served): number {
  const [, kib = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return (Number(kib) * 1024) / 1e6;
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
