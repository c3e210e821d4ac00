/** Capture over HTTP: what the server takes a second, and how soon it acknowledges at half of that, against a server with an empty handler. */
import type { AddressInfo } from 'node:net';

import { fastify } from 'fastify';

import { serve } from '../../test/support/cli.ts';
import { median } from '../figure.ts';
import { load, loadServer } from '../http-load.ts';
import type { LoadResult } from '../http-load.ts';
import { AUTH_TOKEN } from '../place.ts';
import type { BenchRun } from '../run.ts';

const REQUESTS_MAX = 20_000;
const CONNECTIONS = 64;

/** The product is a process of its own, as its users have it. */
export async function measureAck({ options, place, note }: BenchRun): Promise<void> {
  const plan = { requests: Math.min(REQUESTS_MAX, options.messages), connections: CONNECTIONS };
  const none = await loadEmpty(plan, options.runs);
  const server = await serve(place.data);
  const full: LoadResult[] = [];
  const half: LoadResult[] = [];
  try {
    // Compilers have their say first, as in a server that has been running for a while.
    await loadServer(server, place, plan);
    for (let run = 0; run < options.runs; run += 1) full.push(await loadServer(server, place, plan));
    const perSecond = Math.min(...full.map((result) => result.perSecond)) / 2;
    for (let run = 0; run < options.runs; run += 1) half.push(await loadServer(server, place, { ...plan, perSecond }));
  } finally {
    await server.stop();
  }
  const unit = 'messages/s';
  const empty = none.map((result) => result.perSecond);
  note({ id: 'ack.empty', what: 'HTTP server with an empty handler', unit, better: 'more', value: empty });
  note({
    id: 'ack.rate',
    what: 'capture over HTTP, one message a request',
    unit,
    better: 'more',
    value: full.map((result) => result.perSecond),
    baseline: { what: 'HTTP server with an empty handler', value: median(empty) },
  });
  for (const at of ['p50', 'p99'] as const)
    note({
      id: `ack.${at}`,
      what: `acknowledgement at half load, ${at}`,
      unit: 'ms',
      better: 'less',
      value: half.map((result) => result[at]),
    });
}

/** What Fastify alone can do here. */
async function loadEmpty(
  plan: { readonly requests: number; readonly connections: number },
  runs: number,
): Promise<LoadResult[]> {
  const empty = fastify();
  empty.removeAllContentTypeParsers();
  empty.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  empty.post('/hooks/:id', async (_request, reply) => reply.header('content-type', 'text/xml').send('<Response/>'));
  await empty.listen({ host: '127.0.0.1', port: 0 });
  const { port } = empty.server.address() as AddressInfo;
  const whole = { ...plan, url: `http://127.0.0.1:${port}/hooks/x`, signUrl: 'http://x', token: AUTH_TOKEN, seed: 100 };
  await load(whole);
  const results: LoadResult[] = [];
  for (let run = 0; run < runs; run += 1) results.push(await load(whole));
  await empty.close();
  return results;
}
