/** Every condition of the table, found in a real archive, told to stand-ins, on record, and over when it is over. The clock is the test's. */
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseRecord } from '../../src/model/record.ts';
import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import { CONDITIONS } from '../../src/alerts/conditions.ts';
import type { RouteKind } from '../../src/alerts/routes.ts';
import { initHouse } from '../../src/archive/house.ts';
import type { Source } from '../../src/archive/registry.ts';
import { receiveEnvelope } from '../../src/capture/receive.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import type { RelayId } from '../../src/model/ids.ts';
import { workJobs } from '../../src/capture/work.ts';
import { readSettings } from '../../src/settings.ts';
import {
  BEAT_PATH,
  ROUTING_KEY,
  SIGNING_SECRET,
  SLACK_PATH,
  startReceivers,
  WEBHOOK_PATH,
} from '../support/alert-receivers.ts';
import type { Receivers } from '../support/alert-receivers.ts';
import { makePlace, until } from '../support/cli.ts';
import { LOCAL_CALLER } from '../support/service.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SOURCE_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let place: Awaited<ReturnType<typeof makePlace>>;
let receivers: Receivers;
let service: Service;
const clock = { ms: 0 };
const disk = { free: 50 * 1024 ** 3, memory: 1024 ** 3 };

beforeEach(async () => {
  place = await makePlace('alerts');
  receivers = await startReceivers(() => clock.ms);
  clock.ms = Date.parse('2026-11-22T12:00:00Z');
  Object.assign(disk, { free: 50 * 1024 ** 3, memory: 1024 ** 3 });
  await initHouse({ directory: place.data, name: 'North Shop', now: () => clock.ms });
  await open();
});
afterEach(async () => {
  await service.close();
  await receivers.close();
  await place.remove();
});

async function open(more: Record<string, string> = {}): Promise<void> {
  const settings = readSettings({ CARTULARY_DATA: place.data, CARTULARY_LOG_LEVEL: 'silent', ...more });
  service = await openService(settings, {
    now: () => clock.ms,
    machine: { diskFree: async () => disk.free, memoryFree: () => disk.memory },
    onFatal: () => undefined,
  });
}

async function reopen(more: Record<string, string> = {}): Promise<void> {
  await service.close();
  await open(more);
}

function addRoute(
  kind: RouteKind,
  more: { after?: number; severity?: 'warning' | 'error' | 'critical'; name?: string; every?: string } = {},
) {
  const given = {
    slack: [receivers.url + SLACK_PATH, {}],
    pagerduty: [ROUTING_KEY, { apiBaseUrl: receivers.url }],
    webhook: [SIGNING_SECRET, { url: receivers.url + WEBHOOK_PATH }],
    heartbeat: [receivers.url + BEAT_PATH, { every: more.every ?? '60' }],
  } as Record<string, [string, Record<string, string>]>;
  const [secret, settings] = given[kind] ?? ['', {}];
  return service.alerts.addRoute(LOCAL_CALLER, {
    ...{ kind, secret, settings, isPrivate: true, severity: more.severity ?? 'warning', afterMinutes: more.after ?? 0 },
    ...{ name: more.name ?? kind, owner: 'Night desk' },
  });
}

/** Looks, and tells all that is due. */
async function look(minutes = 0): Promise<void> {
  clock.ms += minutes * MINUTE;
  // Two looks are seconds apart where they are not a test's.
  await service.archive.reachIndex();
  await service.alerts.look();
  for (let turn = 0; turn < 5; turn += 1) {
    service.alerts.startTelling();
    await service.alerts.settled();
  }
}

/** Codes that some test has seen open. */
const seen = new Set<string>();

/** Codes of the alerts that are open. */
function codes(): string[] {
  const open = service.alerts
    .listAlerts()
    .flatMap(({ code, resolvedAtMs }) => (resolvedAtMs === undefined ? [code] : []));
  for (const code of open) seen.add(code);
  return open;
}

/** What stands in the log about alerts, oldest first. */
async function onRecord(): Promise<string[]> {
  const size = await service.archive.size();
  const numbers = Array.from({ length: size }, (_, index) => index + 1);
  const { messages } = await service.archive.threads.read.call('bundle', numbers);
  const records = messages.flatMap((message) => message.records).sort((one, other) => one.seq - other.seq);
  return records.flatMap(({ bytes }) => {
    const { event, actor } = parseRecord(bytes);
    if (event.kind !== 'audit' || !event.act.action.startsWith('alert-')) return [];
    return [`${actor ?? ''} ${event.act.action} ${String(event.act.detail['code'])}`];
  });
}

async function addSource(secret = SOURCE_SECRET): Promise<Source> {
  const source: Source = {
    id: service.archive.newSourceId(),
    connector: 'standard-webhooks',
    name: '+1 415 555 0100',
    secrets: [secret],
    settings: {},
    maskOneTimeCodes: false,
    createdAtMs: clock.ms,
  };
  await service.archive.putSource(LOCAL_CALLER, source);
  return source;
}

function envelope(body: string, secret = SOURCE_SECRET): Envelope {
  const at = new Date(clock.ms);
  const id = `msg_${Math.random()}`;
  return {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/x',
    headers: [
      ['content-type', 'application/json'],
      ['webhook-id', id],
      ['webhook-timestamp', String(Math.floor(clock.ms / 1000))],
      ['webhook-signature', new Webhook(secret).sign(id, at, body)],
    ],
    body: Buffer.from(body),
    receivedAtMs: clock.ms,
  };
}

/** Bodies that somebody received. */
function bodiesTo(path: string): string[] {
  return receivers.to(path).map(({ body }) => body);
}

const message = (id: string, media: object[] = []): string =>
  JSON.stringify({
    type: 'message.created',
    timestamp: new Date(clock.ms).toISOString(),
    data: {
      id,
      channel: 'sms',
      direction: 'inbound',
      from: '+14155550100',
      to: ['+14155550101'],
      text: 'Where is my refund?',
      media,
    },
  });

describe('what was acknowledged before the log', () => {
  it('is told of where it waits too long, or cannot be opened any more, and is over when it is filed', async () => {
    const edgeKeyFile = join(place.path, 'edge.key');
    await writeFile(edgeKeyFile, Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
    await reopen({ CARTULARY_EDGE_KEY_FILE: edgeKeyFile });
    const { id } = await addSource();
    const verdict = { scheme: 'standard-webhooks', result: 'valid' } as const;
    await service.spool?.put({ id: 'one', source: id, envelope: envelope(message('m1')), verdict });
    await look(4);
    expect(codes()).toEqual([]);
    await look(2);
    await look(2);
    expect(codes()).toEqual(['spool-waiting']);
    await service.keeping.fileWaiting();
    await look();
    expect(codes()).toEqual([]);
    await writeFile(join(service.archive.layout.spool, '000000000001.spool.damaged'), 'x');
    await reopen({ CARTULARY_EDGE_KEY_FILE: edgeKeyFile });
    await look();
    expect(codes()).toEqual(['spool-damaged']);
  });

  it('is told of where it waits on a relay that does not answer', async () => {
    const id = 'rly_00000000000000000000000000000001' as RelayId;
    const key = Buffer.alloc(32, 7).toString('base64');
    // Nobody listens there.
    const relay = { id, name: 'dmz', url: 'http://127.0.0.1:9', key, createdAtMs: clock.ms };
    await service.archive.putRelay(LOCAL_CALLER, id, relay);
    await service.relays.visit();
    await service.relays.settled();
    await look();
    await look(3);
    expect(codes()).toEqual(['relay-away']);
    await service.archive.putRelay(LOCAL_CALLER, id, undefined);
    await look();
    await look(2);
    expect(codes()).toEqual([]);
  });
});

describe('a condition', () => {
  it('is found, told over every route, acknowledged, and over when it is over; all of it on record', async () => {
    for (const kind of ['slack', 'pagerduty', 'webhook'] as const) await addRoute(kind);
    const source = await addSource();
    const wrong = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
    await expect(receiveEnvelope(service.receive, source, envelope(message('m1'), wrong))).rejects.toMatchObject({
      code: 'bad-signature',
    });
    await look();
    expect(codes()).toEqual(['bad-signatures']);
    expect(bodiesTo(SLACK_PATH)).toHaveLength(1);
    expect(bodiesTo(SLACK_PATH)[0]).toContain(source.id);
    expect(bodiesTo(WEBHOOK_PATH).map((body) => (JSON.parse(body) as { type: string }).type)).toEqual(['alert.opened']);
    expect([...receivers.incidents.values()]).toEqual(['triggered']);
    await look(10);
    expect(receivers.received).toHaveLength(3);

    const [alert] = service.alerts.listAlerts();
    if (alert === undefined) throw new Error('no alert is open');
    await service.alerts.acknowledge(LOCAL_CALLER, alert.id, 'Ann');
    await look();
    expect([...receivers.incidents.values()]).toEqual(['acknowledged']);
    await look(300);
    expect(receivers.received).toHaveLength(6);

    // The right secret takes in what waited.
    await service.archive.putSource(LOCAL_CALLER, { ...source, secrets: [wrong] });
    await service.ring.release(source.id, async () => true);
    await look(1);
    await look(2);
    expect(codes()).toEqual([]);
    expect([...receivers.incidents.values()]).toEqual(['resolved']);
    expect(receivers.received.filter(({ status }) => status >= 300)).toEqual([]);
    expect(await onRecord()).toEqual([
      'system alert-opened bad-signatures',
      'local:test alert-acknowledged bad-signatures',
      'system alert-resolved bad-signatures',
    ]);
    await expect(service.alerts.acknowledge(LOCAL_CALLER, alert.id, 'Ann')).rejects.toMatchObject({ code: 'conflict' });
    // Nothing of a message, of whom it is from or of a secret went out.
    const sent = receivers.received.map(({ body }) => body).join('\n');
    for (const secret of ['refund', '415', wrong, SOURCE_SECRET, 'slackSecret', SIGNING_SECRET])
      expect(sent).not.toContain(secret);
  });

  it('that nobody acknowledges goes to others, and stays with whoever was told over a restart', async () => {
    await addRoute('slack');
    await addRoute('pagerduty', { after: 30 });
    disk.free = 0;
    await look();
    expect(codes()).toEqual(['disk-full']);
    await reopen();
    await look(29);
    expect([receivers.to(SLACK_PATH).length, receivers.incidents.size]).toEqual([1, 0]);
    await look(1);
    expect([receivers.to(SLACK_PATH).length, receivers.incidents.size]).toEqual([2, 1]);
    expect(await onRecord()).toEqual(['system alert-opened disk-full', 'system alert-escalated disk-full']);
    expect(JSON.stringify(bodiesTo('/v2/enqueue'))).toContain('Nobody has acknowledged it yet');
    disk.free = 50 * 1024 ** 3;
    await look();
    await look(5);
    expect([codes(), [...receivers.incidents.values()]]).toEqual([[], ['resolved']]);
    Object.assign(disk, { free: 1024 ** 3, memory: 64 * 1024 ** 2 });
    await look();
    await look(2);
    expect(codes()).toEqual(['disk-low']);
    await look(10);
    expect(codes().sort()).toEqual(['disk-low', 'memory-low']);
  });

  it('is told although nothing can be written, and put on record as soon as it can', async () => {
    await addRoute('slack');
    const { archive } = service;
    const healthy = { ...archive };
    const full = async (): Promise<never> => {
      throw Object.assign(new Error('disk is full'), { code: 'SQLITE_FULL' });
    };
    Object.assign(archive, { proveWriting: full, recordWatch: full, writeWatchSettings: full });
    await look();
    expect(codes()).toEqual(['not-keeping']);
    expect(bodiesTo(SLACK_PATH)[0]).toContain('A trial write to the archive failed (the disk is full)');
    const [alert] = service.alerts.listAlerts();
    if (alert === undefined) throw new Error('no alert is open');
    // An acknowledgement that is not on record is none.
    await expect(service.alerts.acknowledge(LOCAL_CALLER, alert.id, 'Ann')).rejects.toThrow();
    expect(service.alerts.listAlerts()[0]?.acknowledged).toBeUndefined();
    Object.assign(archive, healthy);
    await look(1);
    await look(1);
    expect(codes()).toEqual([]);
    expect(await onRecord()).toEqual(['system alert-opened not-keeping', 'system alert-resolved not-keeping']);
  });

  it('is seen where the log is not being signed, and no heartbeat is given meanwhile', async () => {
    await addRoute('heartbeat');
    await look();
    await service.alerts.beat();
    expect(receivers.to(BEAT_PATH).map(({ method }) => method)).toEqual(['GET']);
    await service.alerts.beat();
    expect(receivers.to(BEAT_PATH)).toHaveLength(1);
    const { log } = service.archive.layout;
    await rename(log, `${log}.away`);
    await writeFile(log, '');
    await addSource();
    await look(1);
    await look(1);
    expect(codes()).toEqual(['signing-stalled']);
    await service.alerts.beat();
    expect(receivers.to(BEAT_PATH)).toHaveLength(1);
    await rm(log);
    await rename(`${log}.away`, log);
    await look(1);
    await service.alerts.beat();
    expect(receivers.to(BEAT_PATH)).toHaveLength(2);
    await look(1);
    expect(codes()).toEqual([]);
    // Nor when nobody looks any more.
    clock.ms += 5 * MINUTE;
    await service.alerts.beat();
    expect(receivers.to(BEAT_PATH)).toHaveLength(2);
  });

  it('is seen where envelopes cannot be read and gaps open; it is news for a day', async () => {
    const source = await addSource();
    for (const body of ['{"type":"no.such"}', '{"type":"nor.this"}'])
      await receiveEnvelope(service.receive, source, envelope(body));
    service.inlineGaps.watch(source, Promise.reject(new Error('too late')));
    await service.archive.reachIndex();
    await look();
    await look(0);
    expect(codes().sort()).toEqual(['gaps-opened', 'quarantined']);
    expect(service.alerts.listAlerts().find(({ code }) => code === 'quarantined')).toMatchObject({
      subject: source.id,
      facts: { count: 2 },
    });
    await reopen();
    await look(60);
    expect(codes()).toHaveLength(2);
    await look(24 * 60);
    expect(codes().filter((code) => code !== 'backup-missing')).toEqual([]);
  });

  it('is seen where media fail and work is not done', { timeout: 60_000 }, async () => {
    const source = await addSource();
    await receiveEnvelope(
      service.receive,
      source,
      envelope(message('m1', [{ url: 'https://media.invalid/picture.png' }])),
    );
    for (let turn = 0; turn < 9; turn += 1) {
      await workJobs(service.work);
      clock.ms += HOUR + MINUTE;
    }
    await workJobs(service.work);
    await look();
    expect(codes()).toEqual(['media-at-risk']);
    expect(service.alerts.listAlerts()[0]).toMatchObject({ subject: source.id });
    await look(90);
    await look(5);
    expect(codes()).toContain('jobs-overdue');
    expect(codes()).not.toContain('media-at-risk');
  });

  it('is seen where there is no backup, or an old one', async () => {
    await look(DAY / MINUTE);
    expect(codes()).toEqual([]);
    await look(DAY / MINUTE);
    expect(codes()).toEqual(['backup-missing']);
    await service.archive.backup(LOCAL_CALLER, join(place.path, 'backups'), service.house.layout, () => undefined);
    await look(1);
    expect(codes()).toEqual([]);
    await look((2 * DAY) / MINUTE);
    expect(codes()).toEqual(['backup-old']);
  });

  it('is seen where backups fail twice, or one cannot be restored, until one can', async () => {
    await service.archive.noteBackupFailure('file');
    await look(1);
    expect(codes()).toEqual([]);
    await service.archive.noteBackupFailure('file');
    await look(1);
    expect(codes()).toEqual(['backup-failed']);
    const sound = { time: 'now', atMs: clock.ms, records: 1, bytes: 1, ms: 1, checkMs: 1, ok: true, faults: [] };
    await service.archive.noteKnownBackup(sound);
    await look(1);
    expect(codes()).toEqual([]);
    await service.archive.noteBackupFailure('unsound');
    await look(1);
    expect(codes()).toEqual(['backup-failed']);
  });

  it('is seen where a verification failed, until one succeeds', async () => {
    await service.archive.publish();
    const tiles = join(service.archive.layout.log, 'tile', '0');
    for (const name of await readdir(tiles)) await rm(join(tiles, name), { recursive: true });
    expect((await service.archive.verify(LOCAL_CALLER, {})).ok).toBe(false);
    await reopen();
    await look();
    expect(codes()).toContain('verification-failed');
    await service.archive.rebuild(LOCAL_CALLER);
    expect((await service.archive.verify(LOCAL_CALLER, {})).ok).toBe(true);
    await look(2);
    expect(codes()).not.toContain('verification-failed');
  });

  it('is seen where kept envelopes are damaged, and where the index stands still', async () => {
    const source = await addSource();
    const wrong = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
    await receiveEnvelope(service.receive, source, envelope(message('m1'), wrong)).catch(() => undefined);
    const shelf = join(service.archive.layout.ring, source.id);
    for (const name of await readdir(shelf)) await writeFile(join(shelf, name), 'damaged');
    const size = await service.archive.size();
    Object.assign(service.archive, { indexPosition: async () => size - 1 });
    for (let minute = 0; minute < 12; minute += 1) await look(1);
    expect(codes().sort()).toEqual(['bad-signatures', 'index-behind', 'ring-damaged']);
  });

  it('is seen where a route fails, and told over the others', async () => {
    const slack = await addRoute('slack');
    await addRoute('pagerduty', { severity: 'error' });
    receivers.always(SLACK_PATH, { status: 404, body: 'no_service' });
    await look((2 * DAY) / MINUTE);
    expect(receivers.to(SLACK_PATH)).toHaveLength(1);
    expect([...receivers.incidents.values()]).toEqual([]);
    await look(1);
    expect(codes()).toEqual(['route-failing', 'backup-missing']);
    expect([...receivers.incidents.values()]).toEqual(['triggered']);
    expect(service.alerts.listRoutes().find(({ route }) => route.id === slack.id)?.health).toMatchObject({
      answer: '404 no_service',
      givenUp: 1,
    });
    expect(await onRecord()).toContain('system alert-not-delivered backup-missing');
    receivers.always(SLACK_PATH, undefined);
    await service.alerts.test(LOCAL_CALLER, slack.id);
    await look(1);
    expect([...receivers.incidents.values()]).toEqual(['resolved']);
  });
});

describe('telling', () => {
  it('comes again as the other side asks, with the same id and a new signature, over a restart', async () => {
    await addRoute('webhook');
    receivers.answer(WEBHOOK_PATH, { status: 429, headers: { 'retry-after': '120' } }, { status: 503 });
    disk.free = 0;
    await look();
    await look(1);
    expect(receivers.to(WEBHOOK_PATH).map(({ status }) => status)).toEqual([429]);
    await reopen();
    await look(2);
    await look(1);
    expect(receivers.to(WEBHOOK_PATH).map(({ status }) => status)).toEqual([429, 503, 204]);
    const headers = receivers.to(WEBHOOK_PATH).map((one) => one.headers);
    expect(new Set(headers.map((one) => one['webhook-id'])).size).toBe(1);
    expect(new Set(headers.map((one) => one['webhook-signature'])).size).toBe(3);
  });

  it('over a route that never answers keeps neither the others nor a stopping server waiting, and is done again', async () => {
    await addRoute('slack');
    await addRoute('pagerduty');
    receivers.always(SLACK_PATH, { status: 0 });
    disk.free = 0;
    await service.alerts.look();
    service.alerts.startTelling();
    await until(
      'the others are told',
      async () => receivers.incidents.size === 1 && receivers.to(SLACK_PATH).length === 1,
    );
    const startedMs = performance.now();
    await reopen();
    expect(performance.now() - startedMs).toBeLessThan(12_000);
    receivers.always(SLACK_PATH, undefined);
    await look();
    expect(receivers.to(SLACK_PATH).map(({ status }) => status)).toEqual([0, 200]);
  });

  it('does not keep an archive from being opened where what it knew is damaged', async () => {
    const slack = await addRoute('slack');
    disk.free = 0;
    await look();
    await service.archive.writeWatchSettings([
      { name: 'alerts', value: { v: 1, open: 'damaged' } },
      { name: `alert-route/${slack.id}`, value: { kind: 'fax' } },
    ]);
    await reopen();
    expect([service.alerts.listRoutes(), service.alerts.listAlerts()]).toEqual([[], []]);
    await addRoute('pagerduty');
    await look();
    expect([...receivers.incidents.values()]).toEqual(['triggered']);
  });

  it('lets only who may see, test, acknowledge or change do so', async () => {
    const reader = {
      kind: 'key',
      key: {
        id: 'key_00000000000000000000000000000000',
        name: 'r',
        scopes: ['messages:read'],
        hash: '',
        createdAtMs: 0,
      },
    };
    const caller = reader as unknown as typeof LOCAL_CALLER;
    const { alerts } = service;
    const id = (await addRoute('slack')).id;
    const refused = { code: 'forbidden' };
    await expect(alerts.removeRoute(caller, id)).rejects.toMatchObject(refused);
    await expect(alerts.test(caller, id)).rejects.toMatchObject(refused);
    await expect(alerts.acknowledge(caller, 'alt_0' as never, 'me')).rejects.toMatchObject(refused);
    expect(receivers.received).toEqual([]);
    await alerts.removeRoute(LOCAL_CALLER, id);
    await reopen();
    expect(service.alerts.listRoutes()).toEqual([]);
  });
});

/** Those of archives with several nodes are in node-alerts.test.ts. */
const OF_NODES = ['node-silent', 'clock-apart'];

afterAll(() => {
  const here = Object.keys(CONDITIONS).filter((code) => !OF_NODES.includes(code));
  expect(here.filter((code) => !seen.has(code))).toEqual([]);
});
