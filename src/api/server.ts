/**
 * The HTTP face: hooks for platforms, the API for programs, the public log, health. With `CARTULARY_HOOKS_LISTEN` hooks have a listener of their own, so that only they
 * face the internet.
 */
import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';

import { fastify } from 'fastify';
import type { FastifyInstance, FastifyListenOptions, FastifyReply } from 'fastify';

import { standardEventsJsonSchema, STANDARD_EVENTS_VERSION } from '../capture/connectors/standard-webhooks-schema.ts';
import { CartularyError, ERRORS } from '../model/errors.ts';
import type { SourceId } from '../model/ids.ts';
import type { ListenAddress, Settings } from '../settings.ts';
import { version } from '../version.ts';
import { TOO_BUSY } from './admission.ts';
import { createBodyRoom } from './body-room.ts';
import type { BodyRoom } from './body-room.ts';
import { CAN_SHARE, openDoors, probeAddress } from './doors.ts';
import { describeSpool } from './edge.ts';
import type { Edge } from './edge.ts';
import { describeApi } from './openapi.ts';
import { answerBrokenRequest, refuseQuickly, rememberAnswered, sendProblem } from './problem.ts';
import type { Route } from './route.ts';
import { ALERT_ROUTES } from './routes/alerts.ts';
import { registerHooks } from './routes/hooks.ts';
import { registerLog } from './routes/log.ts';
import { MESSAGE_ROUTES } from './routes/messages.ts';
import { RECORD_ROUTES } from './routes/records.ts';
import { registerRelay } from './routes/relay.ts';
import type { Face } from './service.ts';

/** Every described operation. */
export const ROUTES: readonly Route[] = [...RECORD_ROUTES, ...MESSAGE_ROUTES, ...ALERT_ROUTES];

/** Connections at once; further ones are closed, and senders come again. Bounds what those can fill who only connect. As many may wait to be accepted (Node's own 511 are
 * full after a moment's flood, and whoever comes then tries again after seconds). */
const CONNECTIONS_MAX = 4096;
const HEADERS_MS_MAX = 15_000;
/** Bytes of an address with its headers. Strangers fill them before anybody is known; the longest query that is understood fits. */
const HEADER_BYTES_MAX = 16 * 1024;

/** A running HTTP face. */
export type Server = {
  readonly url: string;
  readonly hooksUrl: string;
  close(): Promise<void>;
};

/** Starts listening. Port 0 takes a free one. */
export async function startServer(service: Face): Promise<Server> {
  const { settings } = service;
  const [answers, isRelay] = [settings.roles.includes('api'), settings.roles.includes('relay')];
  const takesIn = isRelay || settings.roles.includes('edge');
  const main = buildApp(service, {
    hooks: takesIn && settings.hooksListen === undefined,
    api: answers,
    relay: isRelay,
  });
  const hooks = settings.hooksListen === undefined ? undefined : buildApp(service, { hooks: takesIn, api: false });
  const face = await listen(main, settings.listen, settings);
  const hooksFace =
    hooks === undefined || settings.hooksListen === undefined
      ? undefined
      : await listen(hooks, settings.hooksListen, settings);
  return {
    url: face.url,
    hooksUrl: (hooksFace ?? face).url,
    async close() {
      await Promise.all([face.close(), hooksFace?.close()]);
    },
  };
}

/** What an application answers. */
export type Faces = { readonly hooks: boolean; readonly api: boolean; readonly relay?: boolean };

/** Builds an application without listening. */
export function buildApp(service: Face, faces: Faces): FastifyInstance {
  const { settings } = service;
  const app = fastify({
    genReqId: () => randomUUID(),
    bodyLimit: 1024 * 1024,
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
    connectionTimeout: 0,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply, service),
    ...(settings.tlsCert === undefined || settings.tlsKey === undefined
      ? { http: { maxHeaderSize: HEADER_BYTES_MAX } }
      : {
          https: {
            maxHeaderSize: HEADER_BYTES_MAX,
            cert: readFileSync(settings.tlsCert),
            key: readFileSync(settings.tlsKey),
          },
        }),
  }) as unknown as FastifyInstance;
  // Headers are short; who takes longer for them holds a connection and sends nothing.
  app.server.headersTimeout = HEADERS_MS_MAX;
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, service));
  app.setNotFoundHandler((request, reply) => {
    sendProblem(new CartularyError('not-found', 'there is nothing at this address'), request, reply, service);
  });
  app.addHook('onSend', async (request, reply) => {
    rememberAnswered(request.raw);
    if (service.isLeaving()) void reply.header('connection', 'close');
    void reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', (_request, reply) => answerReady(service, reply));
  const room = createBodyRoom();
  if (faces.hooks) registerHooks(app, service, room);
  if (faces.api) registerApi(app, service, room);
  if (faces.relay === true && service.relay !== undefined) registerRelay(app, service.relay, room);
  refuseEarly(app, service);
  return app;
}

/** Says whether requests should be sent here, which is so as long as what platforms send is taken in, and what this process is at. */
async function answerReady(service: Face, reply: FastifyReply): Promise<unknown> {
  if (service.isLeaving()) return reply.status(503).send({ status: 'leaving' });
  const { roles } = service.settings;
  const { admission, keeping, spool } = service.edge();
  const overloaded = admission.isFull();
  const waiting = spool === undefined ? {} : { spool: describeSpool(spool.state()) };
  if (service.relay !== undefined) return { status: 'relay', overloaded, ...waiting };
  const why = service.whyClosed();
  const takesIn = spool !== undefined && roles.includes('edge');
  if (why !== undefined) {
    const status = why.code === 'locked' ? 'locked' : 'spooling';
    return reply.status(takesIn ? 200 : 503).send({ status, overloaded, ...waiting });
  }
  const { archive } = service.open();
  // Whoever has a spool takes in what comes while the database is away.
  const size = keeping.isSpooling() ? Promise.resolve(undefined) : archive.size();
  const records = await size.catch((cause: unknown) => {
    if (!takesIn || !archive.isRemote) throw cause;
  });
  return { status: records === undefined ? 'spooling' : 'ready', records, overloaded, ...waiting };
}

/** Whoever comes when as many are here as may be is sent away; the limit of the server's own socket would not know of those who came by another. */
function limitConnections(app: FastifyInstance): void {
  let open = 0;
  app.server.prependListener('connection', (socket: Socket) => {
    if (open >= CONNECTIONS_MAX) return void socket.destroy();
    open += 1;
    socket.once('close', () => (open -= 1));
  });
}

/** Stands in front of everything else: whoever cannot be let in costs as little as can be. */
function refuseEarly(app: FastifyInstance, service: Face): void {
  const handlers = app.server.listeners('request') as RequestListener[];
  app.server.removeAllListeners('request').on('request', (request, response) => {
    const edge = findEdge(service);
    if (edge?.admission.isFull() === true && bringsRecords(edge, request.url ?? '')) {
      edge.admission.noteRefusal(TOO_BUSY);
      refuseQuickly(request, response);
    } else for (const handle of handlers) handle(request, response);
  });
}

/** The way in, once this process knows of one. */
function findEdge(service: Face): Edge | undefined {
  try {
    return service.edge();
  } catch {
    return undefined;
  }
}

/**
 * Does a request bring what must be kept, and may it be refused? Inline sources may not: their shop's traffic goes on without us.
 * @param url as it came, from a stranger
 */
function bringsRecords({ findSource }: Edge, url: string): boolean {
  const end = url.indexOf('?');
  const path = end === -1 ? url : url.slice(0, end);
  if (path === '/api/v1/records') return true;
  if (!path.startsWith('/hooks/')) return false;
  return findSource(path.slice('/hooks/'.length) as SourceId)?.teeUrl === undefined;
}

function registerApi(app: FastifyInstance, service: Face, room: BodyRoom): void {
  // Made when it is first asked for: it takes 0.1 s.
  const made: { description?: Record<string, unknown> } = {};
  app.get('/api/v1/openapi.json', async () => (made.description ??= describeApi(ROUTES, version())));
  app.get('/api/v1/events.schema.json', async () => ({
    version: STANDARD_EVENTS_VERSION,
    ...standardEventsJsonSchema(),
  }));
  app.get('/problems/:code', (request) => {
    const { code } = request.params as { code: string };
    const entry = Object.entries(ERRORS).find(([known]) => known === code)?.[1];
    if (entry === undefined) throw new CartularyError('not-found', 'there is no such problem');
    return { type: `/problems/${code}`, ...entry };
  });
  registerLog(app, service);
  void app.register(async (scope) => {
    // Records are kept as the bytes they came in, so no parser may touch them first.
    room.register(scope);
    for (const route of ROUTES) route.register(scope, service);
  });
}

type Listener = { readonly url: string; close(): Promise<void> };

async function listen(app: FastifyInstance, wanted: ListenAddress, settings: Settings): Promise<Listener> {
  limitConnections(app);
  const address = CAN_SHARE ? await probeAddress(wanted) : wanted;
  // `reusePort` is Node's; Fastify passes it on and has no type for it.
  const options: FastifyListenOptions & ListenOptions = {
    ...address,
    backlog: CONNECTIONS_MAX,
    reusePort: CAN_SHARE,
  };
  await app.listen(options);
  const bound = app.server.address() as AddressInfo;
  const closeDoors = CAN_SHARE
    ? await openDoors(
        { host: address.host, port: bound.port },
        { backlog: CONNECTIONS_MAX, isTls: settings.tlsCert !== undefined },
        (socket) => app.server.emit('connection', socket),
      )
    : undefined;
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `${settings.tlsCert === undefined ? 'http' : 'https'}://${host}:${bound.port}`,
    async close() {
      // A door is closed when all who came through it have gone, which they do when the server closes.
      const doorsClosed = closeDoors?.();
      await app.close();
      await doorsClosed;
    },
  };
}
