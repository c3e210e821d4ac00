/**
 * Stand-ins for whoever is told: they check what is sent as the real ones do, and answer with their words. Facts: PagerDuty Events API v2 (OpenAPI of api-schema), Slack incoming webhooks
 * ("Improving error conditions"), Teams workflows (`adaptivecarditemschema`: `contentUrl` is required and null), Standard Webhooks 1.0.0, the ping API of healthchecks.
 */
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Webhook } from 'standardwebhooks';

/** What was received, whoever it was for. */
export type Received = {
  readonly at: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly status: number;
};

/** An answer in the place of the usual one. */
export type Instead = {
  /** 0: never. */
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
};

export const SLACK_PATH = '/services/T00000000/B00000000/slackSecretTokenXXXXXXXX';
export const TEAMS_PATH =
  '/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sig=teamsSecretSignature';
export const BEAT_PATH = '/ping/5f0c2d4e-9a55-4a60-8c3b-heartbeat-secret';
export const WEBHOOK_PATH = '/hook/inbox';
export const ROUTING_KEY = 'e93facc04764012d7bfb002500d5d1a6';
export const SIGNING_SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;

export type Receivers = {
  readonly url: string;
  readonly received: Received[];
  /** Requests to one of them, by the beginning of the path. */
  to(path: string): Received[];
  /** The next answers of one of them, in the place of the usual ones; the last stays where `always`. */
  answer(path: string, ...instead: Instead[]): void;
  always(path: string, instead: Instead | undefined): void;
  /** State of PagerDuty's incidents by their key. */
  readonly incidents: Map<string, 'triggered' | 'acknowledged' | 'resolved'>;
  close(): Promise<void>;
};

/** Starts all of them on one port of loopback. @param now the clock by which signatures are judged */
export async function startReceivers(now: () => number = Date.now): Promise<Receivers> {
  const received: Received[] = [];
  const incidents: Receivers['incidents'] = new Map();
  const next = new Map<string, Instead[]>();
  const constant = new Map<string, Instead>();
  const usual = (path: string, headers: Record<string, string>, body: string): Instead => {
    if (path === SLACK_PATH) return slack(body);
    if (path === TEAMS_PATH) return teams(body);
    if (path === '/v2/enqueue') return pagerDuty(body, incidents);
    if (path === WEBHOOK_PATH) return webhook(headers, body, now());
    if (path === BEAT_PATH) return { status: 200, body: 'OK' };
    return path.startsWith('/services/') ? { status: 404, body: 'no_service' } : { status: 404, body: 'not found' };
  };
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const path = request.url ?? '';
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const key = [...next.keys(), ...constant.keys()].find((one) => path.startsWith(one)) ?? '';
      const answer = next.get(key)?.shift() ?? constant.get(key) ?? usual(path, headers, body);
      received.push({ at: path, method: request.method ?? '', headers, body, status: answer.status });
      if (answer.status > 0) response.writeHead(answer.status, answer.headers).end(answer.body ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    incidents,
    to: (path) => received.filter(({ at }) => at.startsWith(path)),
    answer: (path, ...instead) => void next.set(path, [...(next.get(path) ?? []), ...instead]),
    always: (path, instead) => void (instead === undefined ? constant.delete(path) : constant.set(path, instead)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function slack(body: string): Instead {
  const message = parse(body) as { text?: unknown; blocks?: { type: string; text: { text: string } }[] } | undefined;
  if (message === undefined) return { status: 400, body: 'invalid_payload' };
  if (typeof message.text !== 'string' || message.text === '')
    return { status: 400, body: 'missing_text_or_fallback_or_attachments' };
  const tooLong = message.blocks?.some(({ type, text }) => text.text.length > (type === 'header' ? 150 : 3000));
  return tooLong === true ? { status: 400, body: 'invalid_blocks' } : { status: 200, body: 'ok' };
}

function teams(body: string): Instead {
  const message = parse(body) as { type?: unknown; attachments?: Record<string, unknown>[] } | undefined;
  const [card] = message?.attachments ?? [];
  const isGood =
    message?.type === 'message' &&
    card?.['contentType'] === 'application/vnd.microsoft.card.adaptive' &&
    card['contentUrl'] === null &&
    (card['content'] as { type?: unknown } | undefined)?.type === 'AdaptiveCard';
  if (Buffer.byteLength(body) > 28 * 1024) return { status: 413 };
  return isGood
    ? { status: 202 }
    : {
        status: 400,
        body: '{"error":{"code":"TriggerInputSchemaMismatch","message":"Required properties are missing from object: contentUrl."}}',
      };
}

function pagerDuty(body: string, incidents: Receivers['incidents']): Instead {
  const event = parse(body) as Record<string, unknown> | undefined;
  const errors: string[] = [];
  if (event?.['routing_key'] !== ROUTING_KEY)
    errors.push("Length of 'routing_key' is incorrect (should be 32 characters)");
  const payload = event?.['payload'] as Record<string, unknown> | undefined;
  const action = event?.['event_action'];
  const key = event?.['dedup_key'];
  if (action === 'trigger') {
    for (const name of ['summary', 'source', 'severity'])
      if (typeof payload?.[name] !== 'string') errors.push(`'payload.${name}' is missing or blank`);
    if (!['critical', 'error', 'warning', 'info'].includes(String(payload?.['severity'])))
      errors.push("'payload.severity' is invalid");
  }
  if (typeof key !== 'string' || key.length > 255) errors.push("'dedup_key' is invalid");
  if (errors.length > 0 || typeof key !== 'string')
    return {
      status: 400,
      body: JSON.stringify({ status: 'invalid event', message: 'Event object is invalid', errors }),
    };
  if (action === 'trigger' && incidents.get(key) !== 'acknowledged') incidents.set(key, 'triggered');
  if (action === 'acknowledge' && incidents.get(key) === 'triggered') incidents.set(key, 'acknowledged');
  if (action === 'resolve' && incidents.has(key)) incidents.set(key, 'resolved');
  return { status: 202, body: JSON.stringify({ status: 'success', message: 'Event processed', dedup_key: key }) };
}

function webhook(headers: Record<string, string>, body: string, nowMs: number): Instead {
  const { now } = Date;
  // The library asks the clock of this process.
  Date.now = () => nowMs;
  try {
    new Webhook(SIGNING_SECRET).verify(body, headers);
    return { status: 204 };
  } catch (cause) {
    return { status: 401, body: cause instanceof Error ? cause.message : 'refused' };
  } finally {
    Date.now = now;
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
