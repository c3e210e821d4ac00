/** Every condition of the table, found in a real archive, told to stand-ins, on record, and over when it is over. The clock is the test's. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ERRORS } from '../../src/model/errors.ts';
import type { AuditAct } from '../../src/model/event.ts';
import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import { CONDITIONS } from '../../src/alerts/conditions.ts';
import type { RouteKind } from '../../src/alerts/routes.ts';
import { initHouse } from '../../src/archive/house.ts';
import type { Source } from '../../src/archive/registry.ts';
import { receiveEnvelope } from '../../src/capture/receive.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { Webhook } from 'standardwebhooks';
import { readSettings } from '../../src/settings.ts';
import { BEAT_PATH, ROUTING_KEY, SIGNING_SECRET, SLACK_PATH, startReceivers, WEBHOOK_PATH } from '../support/alert-receivers.ts';
import type { Receivers } from '../support/alert-receivers.ts';
import { makePlace } from '../support/cli.ts';
import { LOCAL_CALLER } from '../support/service.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SOURCE_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let place: Awaited<ReturnType<typeof makePlace>>;
let receivers: Receivers;
let service: Service;
const clock = { ms: 0 };
const disk = { free: 50 * 1024 ** 3 };

beforeEach(async () => {
  place = await makePlace('alerts');
  receivers = await startReceivers();
  clock.ms = Date.parse('2026-11-22T12:00:00Z');
  disk.free = 50 * 1024 ** 3;
  await initHouse({ directory: place.data, name: 'North Shop', now: () => clock.ms });
  await open();
});
afterEach(async () => {
  await service.close();
  await receivers.close();
  await place.remove();
});

async function open(): Promise<void> {
  const settings = readSettings({ CARTULARY_DATA: place.data, CARTULARY_LOG_LEVEL: 'silent' });
  service = await openService(settings, { now: () => clock.ms, freeBytes: async () => disk.free, onFatal: () => undefined });
}

async function reopen(): Promise<void> {
  await service.close();
  await open();
}

function addRoute(kind: RouteKind, more: { after?: number; severity?: 'warning' | 'error' | 'critical'; name?: string; every?: string } = {}) {
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
  await service.alerts.look();
  for (let turn = 0; turn < 5; turn += 1) {
    service.alerts.startTelling();
    await service.alerts.settled();
  }
}

/** Codes of the alerts that are open. */
function codes(): string[] {
  return service.alerts.listAlerts().flatMap(({ code, resolvedAtMs }) => (resolvedAtMs === undefined ? [code] : []));
}

/** What stands in the log about alerts. */
async function onRecord(): Promise<string[]> {
  const acts: string[] = [];
  const { reader } = { reader: service.archive };
  const size = await reader.size();
  for (let seq = 0; seq < size; seq += 1) {
    const act = await actAt(seq);
    if (act?.action.startsWith('alert-') === true) acts.push(`${act.action} ${String(act.detail['code'])}`);
  }
  return acts;
}

async function actAt(seq: number): Promise<AuditAct | undefined> {
  const detail = await service.archive.threads.read.call('act', { seq });
  return detail;
}

function addSource(secret = SOURCE_SECRET): Promise<Source> {
  const source: Source = {
    id: service.archive.newSourceId(),
    connector: 'standard-webhooks',
    name: '+1 415 555 0100',
    secrets: [secret],
    settings: {},
    maskOneTimeCodes: false,
    createdAtMs: clock.ms,
  };
  return service.archive.putSource(LOCAL_CALLER, source).then(() => source);
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
