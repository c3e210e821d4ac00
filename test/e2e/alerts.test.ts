/** Alerts as their users have them: the command line, a running server, a mail server and stand-ins that check what they are sent. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  BEAT_PATH,
  ROUTING_KEY,
  SIGNING_SECRET,
  SLACK_PATH,
  startReceivers,
  TEAMS_PATH,
  WEBHOOK_PATH,
} from '../support/alert-receivers.ts';
import type { Receivers } from '../support/alert-receivers.ts';
import { freePort, makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { startMailServer } from '../support/mail-server.ts';
import type { MailServer } from '../support/mail-server.ts';

type Listed = {
  alerts: { id: string; code: string; severity: string; acknowledgedBy: string | null; resolvedAt: string | null }[];
  routes: { id: string; kind: string; failingSince: string | null; answer: string | null; lastOkAt: string | null }[];
};
type Tested = { ok: boolean; routes: { kind: string; ok: boolean; answer: string }[] };

const place = await makePlace('alerts-cli');
const SECRETS = [SLACK_PATH, TEAMS_PATH, BEAT_PATH, ROUTING_KEY, SIGNING_SECRET, 'smtpSecretPassword', 'whsec_'];
let receivers: Receivers;
let mail: MailServer;
let server: Served;
let env: Record<string, string>;
let apiKey: string;
const routes: Record<string, string> = {};
const data = ['--data', place.data];

beforeAll(async () => {
  [receivers, mail] = [await startReceivers(), await startMailServer(place.path, 'mail')];
  env = { NODE_EXTRA_CA_CERTS: mail.ca };
  ({ apiKey } = await runJson<{ apiKey: string }>([
    'init',
    ...data,
    '--name',
    'North Shop',
    '--kit',
    join(place.path, 'kit.txt'),
  ]));
  server = await serve(place.data, { env });
}, 120_000);
afterAll(async () => {
  await server.stop();
  await receivers.close();
  await mail.close();
  await place.remove();
});

const list = (): Promise<Listed> => runJson<Listed>(['alert', 'list', ...data]);
const api = (path: string, method = 'GET'): Promise<Response> =>
  fetch(server.url + path, { method, headers: { authorization: `Bearer ${apiKey}` } });

async function add(kind: string, ...given: string[]): Promise<string> {
  const { id } = await runJson<{ id: string }>([
    'alert',
    'add',
    kind,
    '--name',
    `our ${kind}`,
    '--private',
    ...given,
    ...data,
  ]);
  routes[kind] = id;
  return id;
}

/** Runs a command that ends with 1 or 0 and gives JSON either way. */
async function testRoutes(...which: string[]): Promise<{ code: number; tested: Tested }> {
  const { code, stdout } = await runCli(['alert', 'test', ...which, ...data, '--json']);
  return { code, tested: JSON.parse(stdout) as Tested };
}

describe('routes', () => {
  it('are added, and a test reaches each of them', { timeout: 120_000 }, async () => {
    await add('slack', '--secret', receivers.url + SLACK_PATH, '--owner', 'Night desk');
    await add('teams', '--secret', receivers.url + TEAMS_PATH);
    await add('pagerduty', '--secret', ROUTING_KEY, '--set', `apiBaseUrl=${receivers.url}`, '--severity', 'error');
    await add('webhook', '--secret', SIGNING_SECRET, '--set', `url=${receivers.url}${WEBHOOK_PATH}`);
    await add('heartbeat', '--secret', receivers.url + BEAT_PATH, '--set', 'every=10');
    const smtp = [
      'host=localhost',
      `port=${mail.port}`,
      'tls=starttls',
      'user=night',
      'from=archive@shop.example',
      'to=ann@shop.example,bob@shop.example',
    ];
    await add('mail', '--secret', 'smtpSecretPassword', ...smtp.flatMap((one) => ['--set', one]));
    const { code, tested } = await testRoutes();
    expect(tested.routes.map(({ kind, ok }) => `${kind} ${ok}`).sort()).toEqual(
      ['heartbeat', 'mail', 'pagerduty', 'slack', 'teams', 'webhook'].map((kind) => `${kind} true`),
    );
    expect(code).toBe(0);
    expect(tested.routes.find(({ kind }) => kind === 'slack')?.answer).toBe('200 ok');
    expect(tested.routes.find(({ kind }) => kind === 'pagerduty')?.answer).toContain('Event processed');
    expect([...receivers.incidents.values()]).toEqual(['resolved']);
    expect(mail.mails).toMatchObject([
      { from: 'archive@shop.example', to: ['ann@shop.example', 'bob@shop.example'], isEncrypted: true },
    ]);
    expect(mail.mails[0]?.text).toMatch(/^Subject: TEST from North Shop\r$/m);
    expect(mail.mails[0]?.text).toMatch(/^Auto-Submitted: auto-generated\r$/m);
  });

  it('are told what each of them refuses', { timeout: 120_000 }, async () => {
    receivers.answer(SLACK_PATH, { status: 410, body: 'channel_is_archived' });
    receivers.answer(TEAMS_PATH, {
      status: 200,
      body: 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0',
    });
    receivers.answer('/v2/enqueue', { status: 429 });
    receivers.answer(WEBHOOK_PATH, { status: 302, headers: { location: `${receivers.url}/elsewhere` } });
    mail.refuse.push(554);
    const { code, tested } = await testRoutes();
    expect(code).toBe(1);
    const answers = Object.fromEntries(tested.routes.map(({ kind, ok, answer }) => [kind, `${ok}: ${answer}`]));
    expect(answers).toMatchObject({
      slack: 'false: 410 channel_is_archived',
      pagerduty: 'false: 429',
      webhook: 'false: 302',
      mail: 'false: 554 not now',
    });
    expect(answers['teams']).toMatch(/^false: 200 Webhook message delivery failed .* HTTP error 429/);
    expect(receivers.to('/elsewhere')).toEqual([]);
    const doctor = await runCli(['doctor', ...data]);
    expect(doctor.stdout).toMatch(/failed\s+alert routes: .*channel_is_archived/);
    expect((await testRoutes()).code).toBe(0);
  });

  it.each([
    ['knows no STARTTLS', true, /ETLS/],
    ['has a certificate of its own making', false, /self-signed certificate/],
  ])('by mail are not spoken to where the server %s', { timeout: 60_000 }, async (_what, isPlain, said) => {
    const other = await startMailServer(place.path, `other-${isPlain}`, isPlain);
    const given = ['host=127.0.0.1', `port=${other.port}`, 'tls=starttls', 'from=a@shop.example', 'to=b@shop.example'];
    const id = await add('mail', ...given.flatMap((one) => ['--set', one]));
    const { code, tested } = await testRoutes(id);
    expect([code, other.mails.length]).toEqual([1, 0]);
    expect(tested.routes[0]?.answer).toMatch(said);
    await runJson(['alert', 'remove', id, ...data]);
    await other.close();
  });
});

describe('a wrong secret', () => {
  let source: string;
  const sign = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;

  it('is told to everybody within seconds, without anything of the message', { timeout: 90_000 }, async () => {
    source = (
      await runJson<{ id: string }>([
        'source',
        'add',
        'standard-webhooks',
        '--name',
        '+1 415 555 0100',
        '--secret',
        sign,
        ...data,
      ])
    ).id;
    const [before, mailsBefore] = [receivers.received.length, mail.mails.length];
    const answer = await fetch(`${server.url}/hooks/${source}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': 'msg_1',
        'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
        'webhook-signature': 'v1,AAAA',
      },
      body: '{"type":"message.created","data":{"text":"the secret kettle","from":"+14155550199"}}',
    });
    expect(answer.status).toBe(403);
    const told = [SLACK_PATH, TEAMS_PATH, '/v2/enqueue', WEBHOOK_PATH];
    const sent = (): string[] =>
      receivers.received
        .slice(before)
        .filter(({ at }) => at !== BEAT_PATH)
        .map(({ body }) => body);
    await until('everybody is told', async () => sent().length === 4 && mail.mails.length === mailsBefore + 1, 60);
    const all = [...sent(), mail.mails.at(-1)?.text ?? ''];
    for (const text of all) expect(text.replaceAll('=\r\n', '').replaceAll('=3D', '=')).toContain(source);
    for (const text of all) expect(text).not.toMatch(/kettle|415|AAAA/);
    expect(
      receivers.received
        .slice(before)
        .filter(({ at }) => told.some((path) => at.startsWith(path)))
        .map(({ status }) => String(status))
        .sort(),
    ).toEqual(['200', '202', '202', '204']);
  });

  it('is seen to by somebody, by name, over HTTP or the command line', { timeout: 60_000 }, async () => {
    const { alerts } = (await (await api('/api/v1/alerts')).json()) as Listed;
    expect(alerts).toMatchObject([{ code: 'bad-signatures', severity: 'error', acknowledgedBy: null }]);
    const id = alerts[0]?.id ?? '';
    expect((await api(`/api/v1/alerts/${id}/acknowledge?by=Bob`, 'POST')).status).toBe(200);
    const taken = await runJson<{ acknowledgedBy: string }>(['alert', 'ack', id, '--by', 'Ann', ...data]);
    expect(taken.acknowledgedBy).toBe('Ann');
    await until('the incident is acknowledged', async () => [...receivers.incidents.values()].includes('acknowledged'));
    const shown = await runCli(['alert', 'list', ...data]);
    expect(shown.stdout).toMatch(/A source is refused: bad signatures \(Ann sees to it\)/);
    expect((await runCli(['doctor', ...data])).stdout).toMatch(
      /warning\s+alerts: 1 open, 0 of them acknowledged by nobody: bad-signatures/,
    );
    expect((await api('/api/v1/alerts/alt_00000000000000000000000000000000/acknowledge?by=Bob', 'POST')).status).toBe(
      404,
    );
    const reader = await runJson<{ apiKey: string }>(['key', 'create', '--name', 'reader', ...data]);
    const headers = { authorization: `Bearer ${reader.apiKey}` };
    expect((await fetch(`${server.url}/api/v1/alerts`, { headers })).status).toBe(403);
    const path = `${server.url}/api/v1/alerts/${id}/acknowledge?by=Eve`;
    expect((await fetch(path, { method: 'POST', headers })).status).toBe(403);
  });

  it('stays one alert when the server is killed and started again', { timeout: 120_000 }, async () => {
    const before = await list();
    await server.kill();
    const beats = receivers.to(BEAT_PATH).length;
    server = await serve(place.data, { port: await freePort(), env });
    await until('heartbeats go on', async () => receivers.to(BEAT_PATH).length > beats, 60);
    expect((await list()).alerts.map(({ id, acknowledgedBy }) => [id, acknowledgedBy])).toEqual(
      before.alerts.map(({ id, acknowledgedBy }) => [id, acknowledgedBy]),
    );
  });
});

describe('secrets of routes', () => {
  it('stand in no file, no log and no list', { timeout: 60_000 }, async () => {
    const listed = JSON.stringify(await list());
    const text = `${server.log()}${listed}${(await runCli(['alert', 'list', ...data])).stdout}`;
    for (const secret of SECRETS) expect(text).not.toContain(secret);
    const { directory } = { directory: place.data };
    const database = await readFile(join(directory, 'archives', await archiveId(), 'archive.db'), 'latin1');
    for (const secret of SECRETS) expect(database).not.toContain(secret);
  });

  it('and names that could rewrite a screen are refused', { timeout: 30_000 }, async () => {
    const answer = await api('/api/v1/alerts/alt_00000000000000000000000000000000/acknowledge?by=%1B%5B2J', 'POST');
    expect(answer.status).toBe(400);
  });

  it('are not taken where they would go over the network in the clear', { timeout: 30_000 }, async () => {
    const { code, stderr } = await runCli([
      'alert',
      'add',
      'slack',
      '--name',
      'x',
      '--secret',
      'http://hooks.example/services/T/B/x',
      ...data,
    ]);
    expect([code, stderr.includes('services')]).toEqual([2, false]);
    expect(stderr).toContain('https://');
  });
});

async function archiveId(): Promise<string> {
  const house = JSON.parse(await readFile(join(place.data, 'cartulary.json'), 'utf8')) as {
    archives: { id: string }[];
  };
  return house.archives[0]?.id ?? '';
}
