/**
 * Errors as RFC 9457 problem details: a stable `type`, what happened, what to do. The sender's fault is 4xx; ours is 5xx or a wait, because
 * platforms do not send again after a 4xx. A 5xx carries the request's id, never the cause.
 */
import { randomInt, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import { CartularyError, ERRORS } from '../model/errors.ts';
import type { ErrorCode } from '../model/errors.ts';
import { TOO_BUSY } from './admission.ts';
import type { Face } from './service.ts';

/** The body of an error answer. */
export const problemSchema = z
  .looseObject({
    type: z.string().describe('Stable: `/problems/` and a code of the catalogue. Branch on this.'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    hint: z.string().describe('What to do.'),
    requestId: z.string(),
  })
  .meta({ id: 'Problem' });

/** Seconds a sender is asked to wait when we cannot keep up: at least, and how many more by chance, so that those refused together do not come back together. */
const RETRY_AFTER_SECONDS = 2;
const RETRY_SPREAD_SECONDS = 4;

/** What Fastify itself refuses, in our words. */
const FASTIFY_CODES: Readonly<Record<string, { code: ErrorCode; message: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too-large', message: 'the body is larger than this route takes' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported-media', message: 'this content type is not understood here' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'bad-input',
    message: 'the body does not have the length that was announced',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'bad-input', message: 'the body is empty' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'bad-input', message: 'the body is not JSON' },
};

/** What Node's own reader of HTTP refuses, before there is a request. */
const BROKEN: Readonly<Record<string, { status: string; code: ErrorCode; detail: string }>> = {
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    code: 'too-large',
    detail: 'address and headers may have 16384 bytes',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: '413 Payload Too Large',
    code: 'too-large',
    detail: 'chunk extensions may have 16384 bytes',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    code: 'bad-input',
    detail: 'the request did not come to its end in time',
  },
};

/** Connections whose request was answered before all of it had come: where the rest never comes, it has its answer already. */
const answered = new WeakSet<Socket>();

/** Remembers whether a request was answered before its end. */
export function rememberAnswered({ complete, socket }: { readonly complete: boolean; readonly socket: Socket }): void {
  if (complete) answered.delete(socket);
  else answered.add(socket);
}

/** Answers what is no request at all; quotes nothing of it. */
export function answerBrokenRequest(error: { readonly code?: string }, socket: Socket): void {
  // A sender that has gone needs no answer, and one that has an answer no second.
  if (error.code === 'ECONNRESET' || socket.destroyed) return void socket.destroy();
  if (answered.has(socket)) {
    socket.destroySoon();
    return;
  }
  if (socket.writable) {
    const { status, code, detail } = BROKEN[error.code ?? ''] ?? {
      status: '400 Bad Request',
      code: 'bad-input',
      detail: 'this is not valid HTTP',
    };
    const { title, hint } = ERRORS[code];
    const body = JSON.stringify({
      ...{ type: `/problems/${code}`, title, status: Number(status.slice(0, 3)), detail, hint },
      requestId: randomUUID(),
    });
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}

/** Answers an error. */
export function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { log, edge }: Pick<Face, 'log' | 'edge'>,
): void {
  const { code, message, detail } = classify(error);
  const { status, title, hint } = ERRORS[code];
  if (code === 'overloaded') noteRefusal(edge, message);
  else if (status >= 500) log.error({ code, requestId: request.id, cause: describeCause(error) }, 'request failed');
  if (status === 503 || status === 429) void reply.header('retry-after', retryAfter());
  // Fastify would close the connection while the sender still writes, and the sender would see a broken pipe instead of this answer. What comes is thrown away
  // instead, until `requestTimeout`.
  if (code === 'too-large') void reply.removeHeader('connection');
  if (code === 'unauthenticated') void reply.header('www-authenticate', 'Bearer');
  void reply
    .code(status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(
      JSON.stringify({
        ...detail,
        type: `/problems/${code}`,
        title,
        status,
        detail: status === 500 ? title : message,
        hint,
        requestId: request.id,
      }),
    );
}

/** A relay that knows of no source yet has nobody to tell. */
function noteRefusal(edge: Face['edge'], message: string): void {
  try {
    edge().admission.noteRefusal(message);
  } catch (cause) {
    if (!(cause instanceof CartularyError)) throw cause;
  }
}

/** Bytes of a body that are waited for before a request is refused: an answer that comes while its sender still writes is not always read. */
const AWAITED_BYTES_MAX = 16 * 1024;

/**
 * Answers `overloaded` without all that a request is otherwise given: under a flood this is most of what there is to do. The connection stays: to accept the next one costs more than
 * to refuse again.
 */
export function refuseQuickly(request: IncomingMessage, response: ServerResponse): void {
  const bytes = Number(request.headers['content-length'] ?? (request.method === 'GET' ? 0 : Number.NaN));
  if (bytes <= AWAITED_BYTES_MAX) request.once('end', () => answerOverloaded(request, response)).resume();
  // What comes of a large one is thrown away as it comes.
  else answerOverloaded(request, response);
}

function answerOverloaded(request: IncomingMessage, response: ServerResponse): void {
  const { status, title, hint } = ERRORS.overloaded;
  const body = JSON.stringify({
    ...{ type: '/problems/overloaded', title, status, detail: TOO_BUSY, hint },
    requestId: randomUUID(),
  });
  rememberAnswered(request);
  response.writeHead(status, [
    ...['content-type', 'application/problem+json; charset=utf-8', 'content-length', String(body.length)],
    ...['retry-after', retryAfter(), 'cache-control', 'no-store'],
    ...['x-content-type-options', 'nosniff', 'referrer-policy', 'no-referrer'],
  ]);
  response.end(body);
}

function retryAfter(): string {
  return String(RETRY_AFTER_SECONDS + randomInt(RETRY_SPREAD_SECONDS));
}

function classify(error: unknown): { code: ErrorCode; message: string; detail: Readonly<Record<string, unknown>> } {
  if (error instanceof CartularyError) return { code: error.code, message: error.message, detail: error.detail };
  if (error instanceof z.ZodError) {
    const { field, message } = describeIssue(error);
    return { code: 'bad-input', message, detail: { field } };
  }
  const known = FASTIFY_CODES[(error as FastifyError).code ?? ''];
  if (known !== undefined) return { ...known, detail: {} };
  const status = (error as FastifyError).statusCode;
  if (status !== undefined && status >= 400 && status < 500)
    return { code: 'bad-input', message: 'the request is not valid HTTP for this route', detail: {} };
  return { code: 'internal', message: ERRORS.internal.title, detail: {} };
}

/** The first thing that a schema refused: which field, and why. Quotes names of fields, never values. */
export function describeIssue(error: z.ZodError): { readonly field: string; readonly message: string } {
  const [issue] = error.issues;
  const field = issue?.path.join('.') ?? '';
  return { field, message: `${field === '' ? 'the input' : field}: ${issue?.message ?? 'is not valid'}` };
}

/** The kind of a failure for the log, without its text, which might quote content. */
function describeCause(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const inner = error.cause instanceof Error ? ` < ${error.cause.name}` : '';
  return `${error.name}${'code' in error ? ` ${String(error.code)}` : ''}${inner}`;
}
