/**
 * `POST /hooks/{sourceId}`: the way in for platforms. No key: who sends is known by the signature. Raw bytes in, the platform's own kind of answer out.
 */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { Source } from '../../archive/registry.ts';
import { LIMITS } from '../../capture/limits.ts';
import { verifyEnvelope } from '../../capture/receive.ts';
import { getConnector } from '../../capture/source-view.ts';
import { isKeptInTime, passOn } from '../../capture/tee.ts';
import type { PassedRequest } from '../../capture/tee.ts';
import { CartularyError, ERRORS } from '../../model/errors.ts';
import type { Envelope } from '../../model/envelope.ts';
import { parseId } from '../../model/ids.ts';
import type { BodyRoom } from '../body-room.ts';
import type { Edge } from '../edge.ts';
import type { Face } from '../service.ts';
import { answerAtDoor, CHALLENGE_PATH, registerChallenge } from './challenge.ts';

/** Requests of inline sources under way at once; above it their senders are asked to come again. */
const INLINE_MAX = 2000;
const INFLATE = { gzip: promisify(gunzip), deflate: promisify(inflate), br: promisify(brotliDecompress) } as const;

/** Registers the hooks, in a scope of their own because bodies must stay bytes. */
export function registerHooks(app: FastifyInstance, face: Face, room: BodyRoom): void {
  let inline = 0;
  registerChallenge(app, face);
  void app.register(async (scope) => {
    // Nothing is read for a source that there is not.
    scope.addHook('onRequest', async (request) => {
      getSource(face.edge(), (request.params as { sourceId: string }).sourceId);
    });
    room.register(scope);
    scope.post(`${CHALLENGE_PATH}:sourceId/:token`, { bodyLimit: LIMITS.hookBodyBytesMax }, async (request, reply) => {
      const service = face.edge();
      const source = getSource(service, (request.params as { sourceId: string }).sourceId);
      return answerAtDoor(service, { source, envelope: await makeEnvelope(service, request), request, reply });
    });
    scope.route({
      method: ['GET', 'POST'],
      url: '/hooks/:sourceId',
      bodyLimit: LIMITS.hookBodyBytesMax,
      async handler(request, reply) {
        const service = face.edge();
        const source = getSource(service, (request.params as { sourceId: string }).sourceId);
        if (source.teeUrl === undefined) return receive(service, source, request, reply);
        // In front of the shop's own handler its traffic goes on though we are busy, as far as that can be had.
        if (inline >= INLINE_MAX) throw new CartularyError('overloaded', 'too many requests are passed on at once');
        inline += 1;
        try {
          return await receiveInline(service, source, source.teeUrl, request, reply);
        } finally {
          inline -= 1;
        }
      },
    });
  });
}

async function receive(
  service: Edge,
  source: Source,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const connector = getConnector(source);
  const envelope = await makeEnvelope(service, request);
  const verdict = await verifyEnvelope(service.receive, source, connector, envelope);
  const { answer } = await service.admission.admit(envelope.body.length, () =>
    service.keeping.keep(source, connector, envelope, verdict),
  );
  return reply.code(answer.status).header('content-type', answer.contentType).send(answer.body);
}

/** In front of the shop's handler: both at once; the answer is the handler's, and never waits long for us. */
async function receiveInline(
  service: Edge,
  source: Source,
  teeUrl: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // What is bad of itself (a forged signature, a bomb) is refused before anything is passed on.
  const { done: keeping } = await beginKeeping(service, source, request);
  const [answer, isKept] = await Promise.all([passOn(teeUrl, makeRequest(service, request)), isKeptInTime(keeping)]);
  if (!isKept) {
    service.log.error({ source: source.id }, 'passed on without being kept in time; a gap opens');
    service.inlineGaps.watch(source, keeping);
  }
  for (const [name, value] of answer.headers) void reply.header(name, value);
  return reply.code(answer.status).send(Buffer.from(answer.body));
}

/**
 * Begins to keep what is passed on. An error of ours is what the promise says, and stops nothing.
 * @throws CartularyError of status 4xx, where the sender is at fault
 */
async function beginKeeping(
  service: Edge,
  source: Source,
  request: FastifyRequest,
): Promise<{ readonly done: Promise<unknown> }> {
  try {
    const connector = getConnector(source);
    const envelope = await makeEnvelope(service, request);
    const verdict = await verifyEnvelope(service.receive, source, connector, envelope);
    const keep = (): Promise<unknown> => service.keeping.keep(source, connector, envelope, verdict);
    return { done: service.admission.admit(envelope.body.length, keep) };
  } catch (cause) {
    if (cause instanceof CartularyError && ERRORS[cause.code].status < 500) throw cause;
    return { done: Promise.reject(cause) };
  }
}

/** @throws CartularyError `not-found`; where it may be known elsewhere and not here, why that is, since platforms do not send again after a 404 */
function getSource(service: Edge, text: string): Source {
  const id = parseIdOrUndefined(text);
  const source = id === undefined ? undefined : service.findSource(id);
  if (source === undefined || source.removedAtMs !== undefined)
    throw service.whyUnsure() ?? new CartularyError('not-found', 'there is no such source');
  return source;
}

function parseIdOrUndefined(text: string): Source['id'] | undefined {
  try {
    return parseId('source', text);
  } catch {
    return undefined;
  }
}

/** The request as it came. */
function makeRequest(service: Edge, request: FastifyRequest): PassedRequest {
  const headers: [string, string][] = [];
  const { rawHeaders } = request.raw;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    headers.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  return {
    method: request.method,
    url: service.publicUrl() + (request.raw.url ?? ''),
    headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  };
}

async function makeEnvelope(service: Edge, request: FastifyRequest): Promise<Envelope> {
  const passed = makeRequest(service, request);
  return {
    ...passed,
    transport: 'webhook',
    body: await unpack(passed.body, request.headers['content-encoding']),
    receivedAtMs: service.now(),
  };
}

/** A packed body, unpacked up to the limit: a bomb ends there. */
async function unpack(body: Uint8Array, encoding: string | undefined): Promise<Uint8Array> {
  const name = (encoding ?? 'identity').trim().toLowerCase();
  if (name === 'identity' || name === '') return body;
  // What is asked for is a stranger's word: `constructor` is in every object.
  const unpacker = Object.hasOwn(INFLATE, name) ? INFLATE[name as keyof typeof INFLATE] : undefined;
  if (unpacker === undefined)
    throw new CartularyError(
      'unsupported-media',
      'the body is packed in a way that is not understood; send it unpacked',
    );
  try {
    return await unpacker(body, { maxOutputLength: LIMITS.hookBodyBytesMax });
  } catch (cause) {
    if (
      cause instanceof RangeError ||
      (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE')
    ) {
      throw new CartularyError('too-large', `an unpacked body may have ${LIMITS.hookBodyBytesMax} bytes`, { cause });
    }
    throw new CartularyError('bad-input', 'the body cannot be unpacked', { cause });
  }
}
