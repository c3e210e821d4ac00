/** What capture promises (DESIGN §3), from the request to the record, in one process so that clock and jobs are at hand. */
import twilio from 'twilio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Source } from '../../src/archive/registry.ts';
import { workOnce } from '../../src/capture/work.ts';
import type { MessageKey } from '../../src/model/event.ts';
import type { RawSlice } from '../../src/model/record.ts';
import { openTestService, PUBLIC_URL } from '../support/service.ts';
import type { TestService } from '../support/service.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';

let t: TestService;
let source: Source;
beforeAll(async () => {
  t = await openTestService('capture');
  source = await t.addSource({ connector: 'twilio', secrets: [AUTH_TOKEN] });
});
afterAll(() => t.close());

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
    const { Webhook } = await import('standardwebhooks');
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
    while ((await workOnce(t.service.work)) > 0);
    const isOpen = (target: MessageKey): Promise<boolean> =>
      t.service.archive.isKnownEvent(target, `gap|content-not-given|${target.id}`);
    expect(await isOpen({ platform: 'twilio', account: ACCOUNT, id: sid(8) })).toBe(true);
    expect(await isOpen({ platform: 'twilio', account: ACCOUNT, conversation: sid(1, 'CH'), id: sid(9, 'IM') })).toBe(
      true,
    );
    expect(await isOpen({ platform: 'standard-webhooks', account: 'default', id: 'm-gap' })).toBe(true);
  });
});
