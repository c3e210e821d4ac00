/**
 * A stand-in for Twilio's API on loopback: it has the messages that the demo "sent", asks for Basic credentials, is busy now and then, and serves media through a redirect, as
 * Twilio does.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const ACCOUNT_SID = 'AC5ef8732a3c49700934481addd5ce1659';
export const AUTH_TOKEN = 'b7f1d2c3a4958677685746352413c0de';

/** A message as Twilio's REST API gives it. */
export type RestMessage = {
  readonly sid: string;
  readonly account_sid: string;
  readonly from: string;
  readonly to: string;
  readonly body: string;
  status: string;
  readonly direction: 'inbound' | 'outbound-api';
  readonly date_created: string;
  readonly date_sent: string;
  readonly date_updated: string;
  readonly num_media: string;
  readonly num_segments: string;
  readonly price: string | null;
  readonly price_unit: string;
  readonly error_code: number | null;
  readonly error_message: string | null;
  readonly messaging_service_sid: string | null;
};

export type TwilioStandIn = {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly url: string;
  addMessage(message: RestMessage): void;
  addMedia(message: string, sid: string, medium: { readonly bytes: Buffer; readonly mime: string }): void;
  close(): Promise<void>;
};

type Medium = { readonly message: string; readonly bytes: Buffer; readonly mime: string; asked: number };

/** Starts it on a free port. */
export async function startTwilioStandIn(): Promise<TwilioStandIn> {
  const messages = new Map<string, RestMessage>();
  const media = new Map<string, Medium>();
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    answer({ messages, media, isBusy: requests % 97 === 0 }, request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    url: `http://127.0.0.1:${port}`,
    addMessage: (message) => void messages.set(message.sid, message),
    addMedia: (message, sid, medium) => void media.set(sid, { ...medium, message, asked: 0 }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type State = {
  readonly messages: ReadonlyMap<string, RestMessage>;
  readonly media: ReadonlyMap<string, Medium>;
  readonly isBusy: boolean;
};

function answer(state: State, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://stand-in');
  const cdn = /^\/cdn\/(ME\w+)$/.exec(url.pathname);
  if (cdn !== null) return sendMedium(state, cdn[1] ?? '', response);
  if (!isAuthorised(request.headers.authorization)) return sendError(response, 401, 20003, 'Authenticate');
  if (state.isBusy) {
    response.setHeader('retry-after', '1');
    return sendError(response, 429, 20429, 'Too Many Requests');
  }
  const base = `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages`;
  if (url.pathname === `${base}.json`) return sendList(state, url, response);
  const one = new RegExp(`^${base}/(\\w+)\\.json$`).exec(url.pathname);
  const message = one === null ? undefined : state.messages.get(one[1] ?? '');
  if (message !== undefined) return sendJson(response, 200, message);
  const list = new RegExp(`^${base}/(\\w+)/Media\\.json$`).exec(url.pathname);
  if (list !== null) return sendMediaList(state, base, list[1] ?? '', response);
  const medium = new RegExp(`^${base}/\\w+/Media/(ME\\w+)$`).exec(url.pathname);
  if (medium !== null) return redirectMedium(state, medium[1] ?? '', response);
  sendError(response, 404, 20404, `The requested resource ${url.pathname} was not found`);
}

function sendMediaList(state: State, base: string, message: string, response: ServerResponse): void {
  const named = [...state.media].filter(([, medium]) => medium.message === message);
  sendJson(response, 200, {
    media_list: named.map(([sid, { mime }]) => ({
      sid,
      content_type: mime,
      parent_sid: message,
      uri: `${base}/${message}/Media/${sid}.json`,
    })),
    next_page_uri: null,
  });
}

/** Media are not there at the very first moment, and then lie elsewhere. */
function redirectMedium(state: State, sid: string, response: ServerResponse): void {
  const medium = state.media.get(sid);
  if (medium === undefined) return sendError(response, 404, 20404, 'not found');
  medium.asked += 1;
  if (medium.asked === 1 && sid.endsWith('0')) return sendError(response, 404, 20404, 'not there yet');
  response.writeHead(307, { location: `/cdn/${sid}` }).end();
}

function sendMedium(state: State, sid: string, response: ServerResponse): void {
  const medium = state.media.get(sid);
  if (medium === undefined) return sendError(response, 404, 20404, 'not found');
  response.writeHead(200, { 'content-type': medium.mime, 'content-length': medium.bytes.length }).end(medium.bytes);
}

function sendList(state: State, url: URL, response: ServerResponse): void {
  const size = Math.min(Number(url.searchParams.get('PageSize') ?? '50'), 1000);
  const page = Number(url.searchParams.get('Page') ?? '0');
  const since = Date.parse(url.searchParams.get('DateSent>') ?? url.searchParams.get('DateSent') ?? '1970-01-01');
  const found = [...state.messages.values()].filter((message) => Date.parse(message.date_sent) >= since);
  const more = found.length > (page + 1) * size;
  url.searchParams.set('Page', String(page + 1));
  sendJson(response, 200, {
    messages: found.slice(page * size, (page + 1) * size),
    page,
    page_size: size,
    next_page_uri: more ? `${url.pathname}${url.search}` : null,
  });
}

function isAuthorised(header: string | undefined): boolean {
  const given = Buffer.from(header ?? '');
  const wanted = Buffer.from(`Basic ${Buffer.from(`${ACCOUNT_SID}:${AUTH_TOKEN}`).toString('base64')}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function sendError(response: ServerResponse, status: number, code: number, message: string): void {
  sendJson(response, status, { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
