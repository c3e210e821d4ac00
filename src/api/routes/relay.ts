/** `/relay/v1/…`: where an archive asks its relay. No session and no API key: both have the edge key, and each proves it to the other (relay-auth.ts). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import { EDGE_KEYRING_BYTES_MAX } from '../../capture/edge-keyring.ts';
import { ANSWER_HEADER, checkRequest, signAnswer } from '../../capture/relay-auth.ts';
import { RELAY_SPOOLS } from '../../capture/relay-desk.ts';
import type { RelayDesk } from '../../capture/relay-desk.ts';
import type { BodyRoom } from '../body-room.ts';

const fileSchema = z.strictObject({ spool: z.enum(RELAY_SPOOLS), name: z.string().max(64) });
const settledSchema = z.strictObject({
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  outcome: z.enum(['filed', 'damaged']),
});
const NOTHING = new Uint8Array(0);

type Handle = (request: FastifyRequest, body: Uint8Array) => Promise<Uint8Array>;

/** Registers what the archive asks, in a scope of its own because bodies must stay bytes. */
export function registerRelay(app: FastifyInstance, desk: RelayDesk, room: BodyRoom): void {
  void app.register(async (scope) => {
    room.register(scope);
    const route = (method: 'GET' | 'PUT' | 'POST', path: string, handle: Handle): void => {
      scope.route({
        method,
        url: `/relay/v1${path}`,
        bodyLimit: EDGE_KEYRING_BYTES_MAX + 1024,
        handler: (request, reply) => answer(desk, handle, request, reply),
      });
    };
    route('GET', '/state', async () => Buffer.from(JSON.stringify(await desk.state())));
    route('PUT', '/keyring', async (_request, body) => {
      await desk.takeKeyring(body);
      return NOTHING;
    });
    route('GET', '/files/:spool/:name', async (request) => {
      const { spool, name } = fileSchema.parse(request.params);
      return desk.read(spool, name);
    });
    route('POST', '/files/:spool/:name/settled', async (request, body) => {
      const { spool, name } = fileSchema.parse(request.params);
      const { hash, outcome } = settledSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')));
      await desk.settle(spool, name, Buffer.from(hash, 'hex'), outcome);
      return NOTHING;
    });
  });
}

async function answer(
  desk: RelayDesk,
  handle: Handle,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const body = Buffer.isBuffer(request.body) ? request.body : NOTHING;
  const asked = { method: request.method, path: request.raw.url ?? '', body };
  const nonce = checkRequest(desk.key, request.headers.authorization, asked, Date.now());
  desk.noteHeard();
  const bytes = await handle(request, body);
  return reply
    .header('cache-control', 'no-store')
    .header(ANSWER_HEADER, signAnswer(desk.key, nonce, bytes))
    .header('content-type', 'application/octet-stream')
    .send(Buffer.from(bytes));
}
