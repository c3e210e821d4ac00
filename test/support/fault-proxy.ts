/** An HTTP proxy on loopback before a real server, which does to some requests what networks and servers do. */
import { createServer, request as send } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to a request. */
export type Fault =
  /** The server answers with an error of its own, or with something that is no answer at all. */
  | { readonly kind: 'answer'; readonly status: number; readonly body?: string }
  /** The request is taken and never answered. */
  | { readonly kind: 'never' }
  /** The head of the answer comes after so long. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The connection is cut before the request reaches the server. */
  | { readonly kind: 'cut-request' }
  /** The server does what it is asked; the connection is cut before it says so. */
  | { readonly kind: 'cut-answer' }
  /** The connection is cut after so many bytes of the answer's body. */
  | { readonly kind: 'cut-body'; readonly after: number }
  /** Nothing comes any more after so many bytes of the answer's body. */
  | { readonly kind: 'stall-body'; readonly after: number }
  /** One bit of the request's or the answer's body is another one. */
  | { readonly kind: 'wrong-request' }
  | { readonly kind: 'wrong-answer' };

export type Seen = { readonly method: string; readonly path: string };

export type FaultProxy = {
  readonly url: string;
  /** Requests as they came, since the last `clear`. */
  readonly seen: Seen[];
  /** The next so many requests that match meet this fault; those planned first are met first. */
  plan(fault: Fault, options?: { readonly times?: number; readonly match?: (request: Seen) => boolean }): void;
  /** Forgets what was planned and what was seen. */
  clear(): void;
  stop(): Promise<void>;
};

/** Starts it before a server. @param target `http://HOST:PORT` */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const planned: { fault: Fault; left: number; match: (request: Seen) => boolean }[] = [];
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const here = { method: request.method ?? '', path: request.url ?? '' };
    seen.push(here);
    const found = planned.find(({ left, match }) => left > 0 && match(here));
    if (found !== undefined) found.left -= 1;
    void handle(target, found?.fault, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    plan: (fault, { times = 1, match = () => true } = {}) => planned.push({ fault, left: times, match }),
    clear() {
      planned.length = 0;
      seen.length = 0;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function handle(
  target: string,
  fault: Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (fault?.kind === 'cut-request') return void response.destroy();
  const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
  if (fault?.kind === 'never') return;
  if (fault?.kind === 'answer')
    return void response.writeHead(fault.status, { 'content-type': 'application/xml' }).end(fault.body ?? '');
  if (fault?.kind === 'wrong-request') alter(body);
  const answer = await forward(target, request, body);
  if (fault?.kind === 'cut-answer') return void answer.resume().on('end', () => response.destroy());
  if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms));
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  let sent = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    if (fault?.kind === 'wrong-answer' && sent === 0) alter(piece);
    const isEnd = (fault?.kind === 'cut-body' || fault?.kind === 'stall-body') && sent + piece.length > fault.after;
    const part = isEnd ? piece.subarray(0, fault.after - sent) : piece;
    sent += part.length;
    await new Promise((resolve) => response.write(part, resolve));
    if (!isEnd) continue;
    answer.destroy();
    if (fault.kind === 'cut-body') response.destroy();
    return;
  }
  response.end();
}

/** Sends a request on as it came: its head is signed. */
function forward(target: string, { method, url, rawHeaders }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
  const { hostname, port } = new URL(target);
  return new Promise((resolve, reject) => {
    const out = send({ hostname, port, method, path: url, headers: rawHeaders, agent: false }, resolve);
    out.on('error', reject);
    out.end(body);
  });
}

function alter(bytes: Buffer): void {
  const at = bytes.length >> 1;
  if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ 1;
}
