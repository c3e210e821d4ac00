/** What capture promises (DESIGN §3), from the request to the record, in one process so that clock and jobs are at hand. */
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

import type { FastifyInstance } from 'fastify';
import { Webhook } from 'standardwebhooks';
import twilio from 'twilio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/api/server.ts';
import type { Archive } from '../../src/archive/archive.ts';
import type { RecordDraft } from '../../src/archive/recorder.ts';
import type { Source } from '../../src/archive/registry.ts';
import type { Connector } from '../../src/capture/connector.ts';
import { TWILIO_CONNECTOR } from '../../src/capture/connectors/twilio.ts';
import { createKeeping } from '../../src/capture/keeping.ts';
import { POLL_PAGES_MAX, pollSources } from '../../src/capture/poll.ts';
import { releaseRing, reprocessQuarantine } from '../../src/capture/reprocess.ts';
import { workJobs } from '../../src/capture/work.ts';
import type { Event, MessageKey } from '../../src/model/event.ts';
import type { RawSlice } from '../../src/model/record.ts';
import { parseId } from '../../src/model/ids.ts';
import { receiptInstant } from '../../src/model/time.ts';
import { LOCAL_CALLER, openTestService, PUBLIC_URL } from '../support/service.ts';
import type { TestService } from '../support/service.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';

/** Twilio's API, as far as a test needs it: answers by path. */
const api = new Map<string, unknown>();
const asked: string[] = [];
const credentials = new Map<string, string>();
const platform = createServer((request, response) => {
  const path = request.url ?? '';
  asked.push(path);
  credentials.set(path, request.headers.authorization ?? '');
  const answer = api.get(path) ?? api.get(path.split('?')[0] ?? '');
  if (answer === undefined) response.writeHead(404).end('{}');
  else if (typeof answer === 'number') response.writeHead(answer).end('{}');
  else if (Buffer.isBuffer(answer)) response.writeHead(200, { 'content-type': 'image/png' }).end(answer);
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
});

let t: TestService;
let source: Source;
let platformUrl = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => platform.listen(0, '127.0.0.1', resolve));
  const { port } = platform.address() as AddressInfo;
  platformUrl = `http://127.0.0.1:${port}`;
  t = await openTestService('capture', { allowPrivate: [{ host: '127.0.0.1', port }] });
  source = await t.addSource({ connector: 'twilio', secrets: [AUTH_TOKEN] });
});
afterAll(async () => {
  await t.close();
  platform.close();
  platform.closeAllConnections();
});

const ACCOUNT = 'ACf3b9c0de4a7714be8d0a6cbb2f95e17c';
const sid = (number: number, prefix = 'SM'): string => prefix + number.toString(16).padStart(32, '0');

async function post(to: Source, init: { headers?: unknown; body: string | Buffer }, query = ''): Promise<number> {
  const answer = await t.app.inject({
    method: 'POST',
    url: `/hooks/${to.id}${query}`,
    headers: init.headers as Record<string, string>,
    payload: init.body,
  });
  return answer.statusCode;
}

const postForm = (fields: Record<string, string>, to = source): Promise<number> =>
  post(to, signedForm(`${PUBLIC_URL}/hooks/${to.id}`, fields));

/** A batch of Event Streams as Twilio signs it. */
function postStream(events: readonly unknown[]): Promise<number> {
  const body = JSON.stringify(events);
  const query = `?bodySHA256=${twilio.getExpectedBodyHash(body)}`;
  const signature = twilio.getExpectedTwilioSignature(AUTH_TOKEN, `${PUBLIC_URL}/hooks/${source.id}${query}`, {});
  return post(
    source,
    { headers: { 'content-type': 'application/json', 'x-twilio-signature': signature }, body },
    query,
  );
}

const streamEvent = (id: string, to: string, body: string): unknown => ({
  specversion: '1.0',
  type: 'com.twilio.messaging.message.sent',
  source: '/x',
  id: `EZ${id}`,
  time: '2026-11-22T11:59:00.000Z',
  data: {
    messageSid: id,
    accountSid: ACCOUNT,
    from: '+15550100100',
    to,
    messageStatus: 'SENT',
    body,
    timestamp: '2026-11-22T11:59:00.000Z',
  },
});

const statusFields = (id: string, status: string): Record<string, string> => ({
  MessageSid: id,
  SmsSid: id,
  AccountSid: ACCOUNT,
  From: '+15550100100',
  To: '+15550100123',
  MessageStatus: status,
  SmsStatus: status,
  ApiVersion: '2010-04-01',
});

async function rawOf(query: string, index = 0): Promise<RawSlice> {
  const [message] = await t.open(query);
  return message?.history[index]?.raw as RawSlice;
}
const headerOf = (raw: RawSlice, name: string): string =>
  raw.headers?.find(([one]) => one.toLowerCase() === name)?.[1] ?? '';

describe("an envelope of one customer is kept so that the vendor's own library still takes it", () => {
  it('a form', async () => {
    expect(await postForm(inboundFields(sid(1), 'verify me in ten years,  ü 🎂 '))).toBe(200);
    const raw = await rawOf('"ten years"');
    const parameters = Object.fromEntries(new URLSearchParams(raw.body));
    const check = (token: string, body = parameters): boolean =>
      twilio.validateRequest(token, headerOf(raw, 'x-twilio-signature'), raw.url ?? '', body);
    expect(check(AUTH_TOKEN)).toBe(true);
    expect(check('another token')).toBe(false);
    expect(check(AUTH_TOKEN, { ...parameters, Body: 'never said' })).toBe(false);
    expect(raw.verdict).toMatchObject({ scheme: 'twilio', result: 'valid' });
    expect(raw.cut).toBeUndefined();
  });

  it('a batch of Event Streams about one message', async () => {
    expect(await postStream([streamEvent(sid(2), '+15550100123', 'streamed alone')])).toBe(200);
    const raw = await rawOf('"streamed alone"');
    expect(
      twilio.validateRequestWithBody(AUTH_TOKEN, headerOf(raw, 'x-twilio-signature'), raw.url ?? '', raw.body),
    ).toBe(true);
  });

  it('a generic event', async () => {
    const secret = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;
    const generic = await t.addSource({ connector: 'standard-webhooks', secrets: [secret] });
    const data = {
      id: 'm1',
      channel: 'chat',
      direction: 'inbound',
      from: 'ann',
      to: ['shop'],
      text: 'generic proof ü',
    };
    const body = JSON.stringify({ type: 'message.created', timestamp: '2026-11-22T12:00:00Z', data });
    // The official library takes no time but its own clock's.
    const at = new Date();
    const was = t.clock.ms;
    t.clock.ms = at.getTime();
    const headers = {
      'content-type': 'application/json',
      'webhook-id': 'msg_proof',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign('msg_proof', at, body),
    };
    expect(await post(generic, { headers, body })).toBe(200);
    t.clock.ms = was;
    const raw = await rawOf('"generic proof"');
    const kept = Object.fromEntries(raw.headers ?? []);
    expect(new Webhook(secret).verify(raw.body, kept)).toMatchObject({ data: { id: 'm1' } });
    expect(() => new Webhook(secret).verify(`${raw.body} `, kept)).toThrow();
  });

  it('no credential is kept', async () => {
    const { headers, body } = signedForm(
      `${PUBLIC_URL}/hooks/${source.id}`,
      inboundFields(sid(3), 'with a credential'),
    );
    const more = { ...(headers as Record<string, string>), authorization: 'Basic c2VjcmV0', cookie: 'session=secret' };
    expect(await post(source, { headers: more, body })).toBe(200);
    expect(JSON.stringify(await rawOf('"with a credential"'))).not.toMatch(/c2VjcmV0|session=secret/);
  });
});

describe('an envelope of several customers', () => {
  it('is cut: each record has its own slice and the verdict, and nothing derived from the whole', async () => {
    const events = [streamEvent(sid(4), '+15550100124', 'for Ann'), streamEvent(sid(5), '+15550100125', 'for Bob')];
    expect(await postStream(events)).toBe(200);
    for (const [query, mine, other] of [
      ['"for Ann"', events[0], 'Bob'],
      ['"for Bob"', events[1], 'Ann'],
    ] as const) {
      const raw = await rawOf(query);
      expect(raw.cut).toBe(true);
      expect(raw.body).toBe(JSON.stringify(mine));
      expect(raw.verdict).toMatchObject({ result: 'valid' });
      expect(JSON.stringify(raw)).not.toContain(other);
      expect(JSON.stringify(raw)).not.toMatch(/bodySHA256|x-twilio-signature|content-length/i);
    }
  });

  it('guarded, though of one customer: no header derived from the body either', async () => {
    expect(await postForm(inboundFields(sid(6), 'guarded: my card 4111 1111 1111 1111, cvv 123'))).toBe(200);
    const raw = await rawOf('guarded');
    expect(raw.guarded).toBeDefined();
    expect(JSON.stringify(raw)).not.toMatch(/x-twilio-signature|content-length|cvv\+123/i);
  });
});

describe('states', () => {
  it('before their message, out of order and repeated, give one message and its true state', async () => {
    for (const status of ['read', 'sent', 'delivered', 'sent', 'delivered']) {
      expect(await postForm(statusFields(sid(7), status))).toBe(200);
    }
    const [before] = await t.open(`id:${sid(7)}`);
    expect(before).toMatchObject({
      contentState: 'not-captured',
      delivery: { state: 'read', conflict: false },
      text: null,
    });
    expect(before?.reports).toHaveLength(3);
    expect(await postStream([streamEvent(sid(7), '+15550100123', 'late content')])).toBe(200);
    const [after] = await t.open('"late content"');
    expect(after).toMatchObject({ id: before?.id, contentState: 'present', delivery: { state: 'read' }, gaps: [] });
  });

  it('without content become a gap, whoever sent them and however little they name', async () => {
    const generic = await t.addSource({
      connector: 'standard-webhooks',
      secrets: [`whsec_${Buffer.alloc(24, 7).toString('base64')}`],
    });
    const body = JSON.stringify({
      type: 'message.status',
      timestamp: '2026-11-22T12:00:00Z',
      data: { id: 'm-gap', state: 'delivered' },
    });
    const at = new Date(t.clock.ms);
    const signature = new Webhook(generic.secrets[0] ?? '').sign('msg_1', at, body);
    expect(
      await post(generic, {
        headers: {
          'content-type': 'application/json',
          'webhook-id': 'msg_1',
          'webhook-timestamp': String(at.getTime() / 1000),
          'webhook-signature': signature,
        },
        body,
      }),
    ).toBe(200);
    expect(await postForm(statusFields(sid(8), 'delivered'))).toBe(200);
    expect(
      await postForm({
        EventType: 'onDeliveryUpdated',
        AccountSid: ACCOUNT,
        ConversationSid: sid(1, 'CH'),
        MessageSid: sid(9, 'IM'),
        Status: 'delivered',
        DateUpdated: '2026-11-22T11:00:02.000Z',
      }),
    ).toBe(200);
    t.clock.ms += 120_000;
    await workJobs(t.service.work);
    const isOpen = (target: MessageKey): Promise<boolean> =>
      t.service.archive.isKnownEvent(target, `gap|content-not-given|${target.id}`);
    expect(await isOpen({ platform: 'twilio', account: ACCOUNT, id: sid(8) })).toBe(true);
    expect(await isOpen({ platform: 'twilio', account: ACCOUNT, conversation: sid(1, 'CH'), id: sid(9, 'IM') })).toBe(
      true,
    );
    expect(await isOpen({ platform: 'standard-webhooks', account: 'default', id: 'm-gap' })).toBe(true);
  });
});

describe('what was only announced', () => {
  const folder = `/2010-04-01/Accounts/${ACCOUNT}/Messages`;
  const resource = (id: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    sid: id,
    account_sid: ACCOUNT,
    from: '+15550100100',
    to: '+15550100123',
    body: `text of ${id}`,
    status: 'delivered',
    direction: 'outbound-api',
    date_created: 'Sun, 22 Nov 2026 10:00:00 +0000',
    date_sent: 'Sun, 22 Nov 2026 10:00:01 +0000',
    date_updated: 'Sun, 22 Nov 2026 10:00:02 +0000',
    num_media: '0',
    num_segments: '1',
    price: null,
    ...more,
  });
  const addAsking = (): Promise<Source> =>
    t.addSource({
      connector: 'twilio',
      secrets: [AUTH_TOKEN],
      settings: { accountSid: ACCOUNT, authToken: AUTH_TOKEN, apiBaseUrl: platformUrl },
    });
  const work = async (): Promise<void> => {
    await workJobs(t.service.work);
  };

  it('an outbound MMS is fetched by its id, and its media by the list that names them', async () => {
    const asking = await addAsking();
    const id = sid(30, 'MM');
    api.set(`${folder}/${id}.json`, resource(id, { body: 'your label', num_media: '1' }));
    api.set(`${folder}/${id}/Media.json`, { media_list: [{ uri: `${folder}/${id}/Media/${sid(31, 'ME')}.json` }] });
    api.set(`${folder}/${id}/Media/${sid(31, 'ME')}`, Buffer.from('label'));
    expect(await postForm(statusFields(id, 'sent'), asking)).toBe(200);
    t.clock.ms += 120_000;
    await work();
    const [message] = await t.open('"your label"');
    expect(message).toMatchObject({
      channel: 'mms',
      contentState: 'present',
      gaps: [],
      parts: [{ state: 'stored', bytes: 5 }],
    });
    expect(JSON.stringify(message?.parts)).not.toContain('http');
  });

  it('is asked for with nothing but the secret of the source, as the account that the message names', async () => {
    const bare = await t.addSource({
      connector: 'twilio',
      secrets: [AUTH_TOKEN],
      settings: { authToken: AUTH_TOKEN, apiBaseUrl: platformUrl },
    });
    api.set(`${folder}/${sid(34)}.json`, resource(sid(34)));
    expect(await postForm(statusFields(sid(34), 'sent'), bare)).toBe(200);
    t.clock.ms += 120_000;
    await work();
    expect((await t.open(`id:${sid(34)}`))[0]).toMatchObject({ contentState: 'present', text: `text of ${sid(34)}` });
    expect(credentials.get(`${folder}/${sid(34)}.json`)).toBe(
      `Basic ${Buffer.from(`${ACCOUNT}:${AUTH_TOKEN}`).toString('base64')}`,
    );
  });

  it('a text that the platform has no more is a gap at once, and one it does not know yet is asked for again', async () => {
    const asking = await addAsking();
    const [gone, late] = [sid(32), sid(33)];
    api.set(`${folder}/${gone}.json`, resource(gone, { body: '' }));
    for (const id of [gone, late]) expect(await postForm(statusFields(id, 'sent'), asking)).toBe(200);
    t.clock.ms += 120_000;
    await work();
    expect((await t.open(`id:${gone}`))[0]).toMatchObject({
      contentState: 'missing-provider',
      gaps: ['content-not-given'],
    });
    expect((await t.open(`id:${late}`))[0]).toMatchObject({ contentState: 'not-captured', gaps: [] });
    api.set(`${folder}/${late}.json`, resource(late));
    t.clock.ms += 3_600_000;
    await work();
    expect((await t.open(`id:${late}`))[0]).toMatchObject({ contentState: 'present', text: `text of ${late}` });
  });

  it('a long list goes on where it stopped, a late price is kept, and a source that fails keeps no other waiting', async () => {
    const failing = await t.addSource({
      connector: 'twilio',
      secrets: [AUTH_TOKEN],
      settings: { apiKeySid: 'SK1', apiKeySecret: 's' },
    });
    const refused = await addAsking();
    await t.service.archive.putSource(LOCAL_CALLER, {
      ...refused,
      settings: { ...refused.settings, accountSid: `AC${'0'.repeat(32)}` },
    });
    api.set(`/2010-04-01/Accounts/AC${'0'.repeat(32)}/Messages.json`, 401);
    const pages = POLL_PAGES_MAX + 2;
    for (let page = 0; page < pages; page += 1) {
      const next = page + 1 < pages ? `${folder}.json?Page=${page + 1}` : null;
      api.set(page === 0 ? `${folder}.json` : `${folder}.json?Page=${page}`, {
        messages: [resource(sid(1000 + page))],
        next_page_uri: next,
      });
    }
    // Sources of the other tests list the same account.
    await expect(pollSources(t.service.work)).rejects.toThrow('account SID');
    const last = `id:${sid(1000 + pages - 1)}`;
    expect(await t.open(last)).toEqual([]);
    await expect(pollSources(t.service.work)).rejects.toThrow('account SID');
    expect((await t.open(last))[0]).toMatchObject({ contentState: 'present', delivery: { state: 'delivered' } });
    const before = asked.length;
    await expect(pollSources(t.service.work)).rejects.toThrow();
    // Only the source that is refused tries again before its time.
    expect(asked.slice(before).filter((path) => path.includes(ACCOUNT))).toEqual([]);
    api.set(`${folder}.json`, {
      messages: [resource(sid(1000), { price: '-0.0079', price_unit: 'USD' })],
      next_page_uri: null,
    });
    t.clock.ms += 3_600_000;
    await expect(pollSources(t.service.work)).rejects.toThrow();
    const [priced] = await t.open(`id:${sid(1000)}`);
    expect(JSON.stringify(priced?.history.at(-1)?.event)).toContain('-0.0079');
    await t.service.archive.putSource(LOCAL_CALLER, { ...failing, removedAtMs: t.clock.ms });
  });
});

describe('in front of the shop’s handler', () => {
  const passed: { headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const handler = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      passed.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(200, { 'content-type': 'text/xml' }).end('<Response><Message>hi</Message></Response>');
    });
  });
  let tee: Source;
  beforeAll(async () => {
    await new Promise<void>((resolve) => handler.listen(0, '127.0.0.1', resolve));
    const { port } = handler.address() as AddressInfo;
    tee = await t.addSource({ connector: 'twilio', secrets: [AUTH_TOKEN], teeUrl: `http://127.0.0.1:${port}/sms` });
  });
  afterAll(() => {
    handler.close();
    handler.closeAllConnections();
  });
  /** The same hooks before an archive that keeps in another way. */
  const hooksBefore = (record: Archive['record']): FastifyInstance => {
    const archive = { ...t.service.archive, record };
    const never = (): void => undefined;
    const keeping = createKeeping({ archive, spool: undefined, onSpooling: never, onFatal: never });
    const service = { ...t.service, archive, keeping, edge: () => service, open: () => service };
    return buildApp(service, { hooks: true, api: false });
  };
  const send = async (
    app: FastifyInstance,
    text: string,
    number: number,
  ): Promise<{ status: number; body: string }> => {
    const init = signedForm(`${PUBLIC_URL}/hooks/${tee.id}`, inboundFields(sid(number), text));
    const answer = await app.inject({
      method: 'POST',
      url: `/hooks/${tee.id}`,
      headers: init.headers as Record<string, string>,
      payload: init.body,
    });
    return { status: answer.statusCode, body: answer.body };
  };
  it('what came packed goes on packed, byte for byte', async () => {
    const { headers, body } = signedForm(`${PUBLIC_URL}/hooks/${tee.id}`, inboundFields(sid(50), 'packed inline'));
    const packed = gzipSync(body);
    expect(await post(tee, { headers: { ...(headers as object), 'content-encoding': 'gzip' }, body: packed })).toBe(
      200,
    );
    expect(passed.at(-1)?.headers['content-encoding']).toBe('gzip');
    expect(passed.at(-1)?.body.equals(packed)).toBe(true);
    expect(await t.open('"packed inline"')).toHaveLength(1);
  });

  it('goes on within 300 ms where keeping takes longer, and is kept all the same', async () => {
    const kept = Promise.withResolvers<void>();
    const app = hooksBefore(async (drafts) => {
      await kept.promise;
      return t.service.archive.record(drafts);
    });
    const startedMs = performance.now();
    const answer = await send(app, 'slow archive', 51);
    expect(answer).toEqual({ status: 200, body: '<Response><Message>hi</Message></Response>' });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(await t.open('"slow archive"')).toEqual([]);
    kept.resolve();
    await expect.poll(async () => (await t.open('"slow archive"')).length).toBe(1);
  });

  it('goes on where keeping fails, at once or later, and a gap opens', async () => {
    const before = await t.service.archive.size();
    const later = hooksBefore(() => Promise.reject(new Error('the disk is full')));
    expect((await send(later, 'never kept', 52)).status).toBe(200);
    const atOnce = hooksBefore(() => {
      throw new Error('a fault of ours');
    });
    expect((await send(atOnce, 'never kept either', 53)).status).toBe(200);
    await expect.poll(() => t.service.archive.size()).toBe(before + 2);
  });
});

describe('what could not be read', () => {
  it('is kept whole, acknowledged, and read again as often as one likes', async () => {
    // A form that is no message of Twilio's.
    const fields = { AccountSid: ACCOUNT, Body: 'quarantined text', Odd: '1' };
    expect(await postForm(fields)).toBe(200);
    const first = await reprocessQuarantine(t.service.receive, () => undefined);
    expect(first).toMatchObject({ stored: 0 });
    expect(first.stillUnreadable).toBeGreaterThan(0);
    // Mended: an event without a key of its own, so that nothing but the record tells it from another.
    const mended: Connector = {
      ...TWILIO_CONNECTOR,
      read: (envelope) => [
        {
          events: [
            {
              kind: 'unknown',
              name: Buffer.from(envelope.body).toString().slice(0, 100),
              target: { platform: 'twilio', account: ACCOUNT, id: 'odd' },
              occurredAt: receiptInstant(envelope.receivedAtMs),
            },
          ],
        },
      ],
    };
    const again = await reprocessQuarantine(
      t.service.receive,
      () => undefined,
      () => mended,
    );
    expect(again.stored).toBe(first.envelopes);
    expect(
      await reprocessQuarantine(
        t.service.receive,
        () => undefined,
        () => mended,
      ),
    ).toMatchObject({
      stored: 0,
      duplicates: first.envelopes,
    });
  });

  it('of a batch stays a slice with what guard had taken out of it', async () => {
    const bad = { specversion: '1.0', note: 'card 4111 1111 1111 1111 cvv 123', data: {} };
    expect(await postStream([streamEvent(sid(60), '+15550100126', 'beside it'), bad])).toBe(200);
    const slices: RawSlice[] = [];
    const spy: Connector = { ...TWILIO_CONNECTOR, read: () => [{ events: [noteOf('slice')] }] };
    const { archive } = t.service;
    const watched = {
      ...t.service.receive,
      archive: {
        ...archive,
        record: (drafts: readonly RecordDraft[]) => {
          for (const { raw } of drafts) if (raw?.body.includes('specversion') === true) slices.push(raw);
          return archive.record(drafts);
        },
      },
    };
    await reprocessQuarantine(
      watched,
      () => undefined,
      () => spy,
    );
    expect(slices).toHaveLength(1);
    expect(slices[0]).toMatchObject({ cut: true, verdict: { result: 'valid' } });
    expect(slices[0]?.guarded).toBeDefined();
    expect(JSON.stringify(slices[0])).not.toMatch(/beside it|cvv 123|signature/);
  });

  const noteOf = (name: string): Event => ({
    kind: 'unknown',
    name,
    target: { platform: 'twilio', account: ACCOUNT, id: name },
    occurredAt: receiptInstant(0),
  });
});

describe('what was destroyed', () => {
  it('does not come back by a retry, a state or a list, and is acknowledged', async () => {
    const fields = inboundFields(sid(80), 'destroyed and sent again');
    expect(await postForm(fields)).toBe(200);
    const [message] = await t.open('"destroyed and sent again"');
    await t.service.archive.destroyMessage(LOCAL_CALLER, parseId('message', message?.id ?? ''), 'a test');
    expect(await t.open('"destroyed and sent again"')).toEqual([]);
    const size = await t.service.archive.size();
    expect(await postForm(fields)).toBe(200);
    expect(await postForm(statusFields(sid(80), 'delivered'))).toBe(200);
    const { archive } = t.service;
    expect(await archive.findOwner(parseId('message', message?.id ?? ''))).toBeUndefined();
    // The search is put on record; nothing else was.
    expect(await t.open('"destroyed and sent again"')).toEqual([]);
    expect(await archive.size()).toBe(size + 1);
  });
});

describe('what was refused', () => {
  it('under a wrong public URL comes in when URL and secret fit', async () => {
    const wrong = await t.addSource({ connector: 'twilio', secrets: [AUTH_TOKEN] });
    const told = 'https://shop.example/archive';
    const init = signedForm(`${told}/hooks/${wrong.id}`, inboundFields(sid(70), 'under another name'));
    expect(await post(wrong, init)).toBe(403);
    const other = { ...wrong, secrets: ['another secret'] };
    expect(await releaseRing(t.service.receive, other, told)).toEqual({ released: 0, kept: 1 });
    expect(await releaseRing(t.service.receive, wrong, PUBLIC_URL)).toEqual({ released: 0, kept: 1 });
    expect(await releaseRing(t.service.receive, wrong, told)).toEqual({ released: 1, kept: 0 });
    const raw = await rawOf('"under another name"');
    expect(raw.url).toBe(`${told}/hooks/${wrong.id}`);
  });
});
