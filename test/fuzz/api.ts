/** Fuzz targets of the faces: HTTP in front of a real service, the local socket, and what lies in the ring. */
import { createHmac } from 'node:crypto';
import { join } from 'node:path';

import type { FastifyInstance, InjectOptions } from 'fastify';
import * as fc from 'fast-check';

import { ALL_SCOPES, createApiKey } from '../../src/access/api-keys.ts';
import { callLocalSocket, readAnswer, serveLocalSocket } from '../../src/api/local-socket.ts';
import { OPERATIONS } from '../../src/api/operations/list.ts';
import { buildApp } from '../../src/api/server.ts';
import { decodeEnvelope, encodeEnvelope } from '../../src/capture/ring-envelope.ts';
import {
  encodeFrame,
  FRAME_HEAD_BYTES,
  openFrame,
  parseGroup,
  readFrameHead,
  spoolKeysOf,
} from '../../src/capture/spool-file.ts';
import type { SpooledEnvelope } from '../../src/capture/spool-file.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { CartularyError } from '../../src/model/errors.ts';
import type { ErrorCode } from '../../src/model/errors.ts';
import type { SourceId } from '../../src/model/ids.ts';
import { deriveHpkeKeyPair } from '../../src/vault/hpke.ts';
import { LOCAL_CALLER, openTestService } from '../support/service.ts';
import type { TestService } from '../support/service.ts';
import { hostileBytes, hostileForm, hostileJson, hostileText } from './arbitraries.ts';
import { STANDARD_EVENTS, TWILIO_FORMS } from './capture.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

type Face = {
  readonly tested: TestService;
  readonly app: FastifyInstance;
  readonly authorization: string;
  readonly messageId: string;
};

const SECRET = Buffer.alloc(24, 7);
const sampleBody = Buffer.from(JSON.stringify(STANDARD_EVENTS[0]));

/** A target that has a service with a message of its own, for as long as it runs. */
function withFace(
  name: string,
  covers: readonly string[],
  cost: number,
  define: (face: Face) => Promise<Target>,
): Target {
  return {
    name,
    covers,
    cost,
    async run(parameters) {
      const tested = await openTestService('fuzz');
      try {
        return await (await define(await openFace(tested))).run(parameters);
      } finally {
        await tested.close();
      }
    },
  };
}

async function openFace(tested: TestService): Promise<Face> {
  const { service } = tested;
  const { key, text } = createApiKey('fuzz', ALL_SCOPES, tested.clock.ms, (bytes) => Buffer.alloc(bytes, 5));
  await service.archive.putKey(LOCAL_CALLER, key);
  const app = buildApp(service, { hooks: true, api: true });
  const authorization = `Bearer ${text}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const kept = await ask(app, { method: 'POST', url: '/api/v1/records', headers, payload: sampleBody });
  const { messageIds } = JSON.parse(kept) as { messageIds: string[] };
  return { tested, app, authorization, messageId: messageIds[0] ?? '' };
}

/** Asks; never may it be the server's fault. @throws CartularyError as the problem says */
async function ask(app: FastifyInstance, options: InjectOptions): Promise<string> {
  const { statusCode, body, headers } = await app.inject(options);
  must(statusCode < 500, `${statusCode}: ${body}`);
  if (statusCode < 400) return body;
  must(String(headers['content-type']).startsWith('application/problem+json'), 'an error that is no problem');
  const { type, status } = JSON.parse(body) as { type: string; status: number };
  mustEqual(status, statusCode, 'another status');
  throw new CartularyError(type.replace('/problems/', '') as ErrorCode, 'refused');
}

/** What a client may send as an address: printable, and not that of another server. */
const asPath = (text: string): string =>
  `/${text.toWellFormed().replaceAll(/[^!-~]+/g, encodeURIComponent)}`.replace(/^\/[/\\]+/, '/');

const QUERIES = [
  'refund',
  'from:(a OR b) "where is it"~5 -sale',
  'date:2026-01..2026-02 has:media refun*',
  'x'.repeat(9),
];

const queries = withFace('HTTP addresses', [], 20, async ({ app, authorization, messageId, tested }) => {
  const log = `log/${tested.service.archive.id}`;
  const whole = hostileText([
    ...QUERIES.map((q) => `api/v1/messages?${new URLSearchParams({ q, limit: '5' }).toString()}`),
    `api/v1/messages/facets?q=refund`,
    `api/v1/messages/${messageId}?at=2026-11-22T12:00:00Z`,
    ...[`api/v1/messages/${messageId}/proof`, `api/v1/messages/${messageId}/media/0`],
    ...[`api/v1/conversations/cnv_${'0'.repeat(32)}?limit=1&cursor=a`, 'api/v1/openapi.json', 'problems/internal'],
    ...[`${log}/checkpoint`, `${log}/tile/0/000`, `${log}/tile/entries/000.p/1`, 'hooks/src_1?a=b', 'readyz'],
  ]).map(asPath);
  const parameters = fc
    .tuple(hostileText(QUERIES), hostileText(['5', '200']), hostileText(['2026-11-22T12:00:00Z', messageId]))
    .map(([q, limit, cursor]) => `/api/v1/messages?${new URLSearchParams({ q, limit, cursor }).toString()}`);
  return defineTarget(
    'HTTP addresses',
    [],
    fc.oneof({ weight: 2, arbitrary: whole }, { weight: 1, arbitrary: parameters }),
    (url) => ask(app, { method: 'GET', url, headers: { authorization } }),
    { isAsync: true },
  );
});

const types = fc.constantFrom('application/json', 'application/x-www-form-urlencoded', 'text/plain', 'x');
const encodings = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom('gzip', 'br', 'constructor') },
);
const bodies = fc.oneof(
  { weight: 2, arbitrary: hostileJson(STANDARD_EVENTS).map((text): Uint8Array => Buffer.from(text)) },
  { weight: 1, arbitrary: hostileBytes(STANDARD_EVENTS.map((event) => JSON.stringify(event))) },
  { weight: 1, arbitrary: hostileForm(TWILIO_FORMS) },
);

function signStandard(body: Uint8Array, atMs: number): Record<string, string> {
  const [id, seconds] = ['msg_1', String(Math.floor(atMs / 1000))];
  const mac = createHmac('sha256', SECRET).update(`${id}.${seconds}.`).update(body).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${mac}` };
}

const posts = withFace('HTTP bodies', [], 20, async ({ app, authorization, tested }) => {
  const signed = await tested.addSource({
    connector: 'standard-webhooks',
    secrets: [`whsec_${SECRET.toString('base64')}`],
  });
  const unsigned = await tested.addSource({ connector: 'twilio', secrets: ['x'.repeat(32)] });
  const to = fc.constantFrom('/api/v1/records', `/hooks/${signed.id}`, `/hooks/${signed.id}`, `/hooks/${unsigned.id}`);
  return defineTarget(
    'HTTP bodies',
    [],
    fc.tuple(bodies, to, types, encodings),
    ([body, url, type, encoding]) =>
      ask(app, {
        ...{ method: 'POST', url, payload: Buffer.from(body) },
        headers: {
          ...{ authorization, 'content-type': type, ...signStandard(body, tested.clock.ms) },
          ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
        },
      }),
    { isAsync: true },
  );
});

/** Operations that write nothing outside of the archive and take milliseconds, with arguments. */
const QUESTIONS: Readonly<Record<string, object>> = {
  search: { q: 'refund OR hello', limit: 5 },
  facets: { q: 'hello' },
  show: { id: `msg_${'0'.repeat(32)}`, atMs: 5 },
  proof: { id: `msg_${'0'.repeat(32)}` },
  'key.create': { name: 'k', scopes: ['export'] },
  'key.list': {},
  'key.revoke': { id: `key_${'0'.repeat(32)}` },
  'source.list': {},
  'source.remove': { id: `src_${'0'.repeat(32)}` },
};
const questions = fc.oneof(
  ...Object.entries(QUESTIONS).map(([name, args]) => fc.tuple(fc.constant(name), hostileJson([args]))),
  fc.tuple(fc.constantFrom('', 'nothing', '../search', 'constructor'), fc.constant('{}')),
);

const asked = withFace('questions on the local socket', [], 20, async ({ tested }) => {
  const { service } = tested;
  const path = join(service.house.layout.socket, '..', 'fuzz.sock');
  const operations = OPERATIONS.filter(({ name }) => Object.hasOwn(QUESTIONS, name));
  mustEqual(operations.length, Object.keys(QUESTIONS).length, 'an operation has another name');
  const target = defineTarget(
    'questions on the local socket',
    [],
    questions,
    async ([name, text]) => {
      const answer = await callLocalSocket(path, name, JSON.parse(text), () => undefined);
      must(answer !== undefined, 'nobody answered');
    },
    { isAsync: true },
  );
  return {
    ...target,
    async run(parameters) {
      const socket = await serveLocalSocket(path, service, operations);
      try {
        return await target.run(parameters);
      } finally {
        await socket.close();
      }
    },
  };
});

async function* each(lines: readonly string[]): AsyncGenerator<string, void> {
  yield* lines;
}

const LINES: readonly unknown[] = [
  { progress: { done: 1, total: 2, what: 'sealing' } },
  { result: { items: [] } },
  { error: { code: 'not-found', message: 'there is no such thing', detail: { field: 'id' } } },
];

const answered = defineTarget(
  'answers on the local socket',
  ['readAnswer'],
  fc.array(fc.oneof(hostileJson(LINES), hostileText(LINES.map((line) => JSON.stringify(line)))), { maxLength: 4 }),
  async (lines) => {
    const reading = readAnswer(each(lines), ({ done, total }) => {
      must(typeof done === 'number' && typeof total === 'number', 'progress without a number');
    });
    await reading.catch((cause: unknown) => {
      // A code that is not in the catalogue is told as `internal`.
      const isUnknown = cause instanceof CartularyError && cause.code === 'internal';
      throw isUnknown ? new CartularyError('stopping', 'a code that there is not', { cause }) : cause;
    });
    must(lines.join('').includes('result'), 'a result out of nothing');
  },
  { cost: 2, isAsync: true },
);

const envelope: Envelope = {
  ...{ transport: 'webhook', method: 'POST', url: 'https://archive.example/hooks/src_1' },
  ...{ headers: [['x-twilio-signature', 'forged']], body: Buffer.from('Body=x'), receivedAtMs: 1_795_305_600_000 },
};
const envelopeBytes = encodeEnvelope(envelope);

const inRing = defineTarget(
  'envelope of the ring',
  ['decodeEnvelope'],
  fc.oneof(
    hostileBytes([envelopeBytes]),
    hostileJson([JSON.parse(Buffer.from(envelopeBytes).toString())]).map((text): Uint8Array => Buffer.from(text)),
  ),
  (bytes) => {
    const decoded = decodeEnvelope(bytes);
    mustEqual(decodeEnvelope(encodeEnvelope(decoded)), decoded, 'an envelope is written as another');
  },
);

const spooled: SpooledEnvelope = {
  ...{
    source: 'src_1' as SourceId,
    envelope,
    verdict: { scheme: 'twilio', result: 'valid' },
    findings: { 'card-number': 1 },
  },
};
const spoolKeys = spoolKeysOf(deriveHpkeKeyPair(new Uint8Array(32).fill(7)));
const spoolFile = Buffer.concat([encodeFrame(spoolKeys, [spooled]), encodeFrame(spoolKeys, [spooled, spooled])]);
const groupText = JSON.stringify([{ ...spooled, envelope: Buffer.from(envelopeBytes).toString() }]);

const inSpool = defineTarget(
  'group of the spool',
  ['parseGroup'],
  fc.oneof(
    hostileBytes([Buffer.from(groupText)]),
    hostileJson([JSON.parse(groupText)]).map((text): Uint8Array => Buffer.from(text)),
  ),
  (bytes) => {
    for (const { envelope: read } of parseGroup(bytes)) mustEqual(read.transport, 'webhook', 'no envelope of a hook');
  },
);

const spoolFiles = defineTarget('spool file', ['readFrameHead', 'openFrame'], hostileBytes([spoolFile]), (bytes) => {
  let at = 0;
  for (let head = readFrameHead(bytes, at); head !== undefined; head = readFrameHead(bytes, at)) {
    mustEqual(openFrame(spoolKeys, bytes, at, head).length, head.envelopes, 'a frame says another count');
    at += FRAME_HEAD_BYTES + head.bytes;
    must(at <= bytes.length, 'a frame ends behind the file');
  }
});

export const API_TARGETS: readonly Target[] = [queries, posts, asked, answered, inRing, inSpool, spoolFiles];
