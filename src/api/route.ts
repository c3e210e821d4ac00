/**
 * One HTTP operation: its schemas, its right and its handler stand together in one file under routes/. The same schemas validate and describe.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

import type { Scope } from '../access/api-keys.ts';
import { authenticateApiKey } from '../access/api-keys.ts';
import type { Caller } from '../archive/caller.ts';
import type { Face, Service } from './service.ts';

type Schemas = { readonly params?: z.ZodType; readonly query?: z.ZodType; readonly body?: z.ZodType };
type Parsed<S extends Schemas> = {
  readonly params: S['params'] extends z.ZodType ? z.output<S['params']> : undefined;
  readonly query: S['query'] extends z.ZodType ? z.output<S['query']> : undefined;
  readonly body: S['body'] extends z.ZodType ? z.output<S['body']> : undefined;
};

/** What a handler is given. */
export type RouteInput<S extends Schemas> = Parsed<S> & {
  readonly service: Service;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
};

/** A described operation. */
export type Route = {
  readonly method: 'GET' | 'POST';
  /** With OpenAPI's braces: `/api/v1/messages/{id}`. */
  readonly path: string;
  readonly summary: string;
  readonly scope: Scope;
  readonly schemas: Schemas;
  readonly response: { readonly description: string; readonly schema?: z.ZodType; readonly contentType?: string };
  /** A request that works, as `curl` is given it: method where it is not GET, path, query. */
  readonly example: string;
  readonly tag: 'records' | 'messages' | 'alerts';
  readonly bodyBytesMax?: number;
  readonly register: (app: FastifyInstance, face: Face) => void;
};

/** Defines an operation; what `handle` returns is sent as JSON unless it has answered itself. */
export function defineRoute<S extends Schemas>(
  definition: Omit<Route, 'register' | 'schemas'> & {
    readonly schemas: S;
    readonly handle: (input: RouteInput<S>) => Promise<unknown>;
  },
): Route {
  const { handle, ...route } = definition;
  const callers = new WeakMap<FastifyRequest, Caller>();
  return {
    ...route,
    register(app, face) {
      app.route({
        method: route.method,
        url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
        ...(route.bodyBytesMax === undefined ? {} : { bodyLimit: route.bodyBytesMax }),
        // Before the body is read: who has no key cannot make us take one in.
        onRequest: async (request) => {
          callers.set(request, authenticate(request, face.open()));
        },
        async handler(request, reply) {
          const service = face.open();
          const caller = callers.get(request) ?? authenticate(request, service);
          void reply.header('cache-control', 'no-store');
          const input = {
            params: route.schemas.params?.parse(request.params),
            query: route.schemas.query?.parse(request.query),
            body: route.schemas.body?.parse(request.body),
            service,
            caller,
            request,
            reply,
          } as RouteInput<S>;
          const result = await handle(input);
          return reply.sent || result === undefined ? reply : result;
        },
      });
    },
  };
}

/** @throws CartularyError `unauthenticated` */
function authenticate(request: FastifyRequest, service: Service): Caller {
  const header = request.headers.authorization ?? '';
  const text = header.startsWith('Bearer ') ? header.slice('Bearer '.length) : '';
  return { kind: 'key', key: authenticateApiKey(text, (id) => service.archive.findKey(id)) };
}
