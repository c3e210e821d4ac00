/** What is wrong on one node is told by another that gives the alerts: with the name of the node, and until it is over there. The clocks are the test's. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { describeAlert } from '../../src/alerts/describe-alert.ts';
import { describeNode } from '../../src/api/operations/nodes.ts';
import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import { initHouse } from '../../src/archive/house.ts';
import { archiveLayout, dataLayout } from '../../src/archive/layout.ts';
import type { Source } from '../../src/archive/registry.ts';
import { receiveEnvelope } from '../../src/capture/receive.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import type { ArchiveId } from '../../src/model/ids.ts';
import { readSettings } from '../../src/settings.ts';
import { spoolKeysOf } from '../../src/capture/spool-file.ts';
import { makePlace, until } from '../support/cli.ts';
import { startTestServer, whyNoServer } from '../support/postgres.ts';
import type { TestServer } from '../support/postgres.ts';
import { LOCAL_CALLER } from '../support/service.ts';

const MINUTE = 60_000;
const GIB = 1024 ** 3;
const PLENTY = { diskFree: async () => 50 * GIB, memoryFree: () => GIB };
const missing = whyNoServer();
const place = await makePlace('e2e-node-alerts');
const shared = join(place.path, 'shared');
const clock = { ms: Date.parse('2026-11-22T12:00:00Z'), apartMs: 0 };
/** What the machine of the edge has left. */
const machine = { disk: 50 * GIB, memory: GIB };
let database: TestServer;
let lead: Service;
let edge: Service;
let source: Source;

function open(name: string, roles: string, own: Pick<Parameters<typeof openService>[1] & object, 'machine' | 'now'>) {
  const settings = readSettings({
    CARTULARY_DATA: join(place.path, name),
    CARTULARY_SHARED: shared,
    CARTULARY_DATABASE: database.url,
    CARTULARY_ROLES: roles,
    CARTULARY_LOG_LEVEL: 'silent',
  });
  return openService(settings, { ...own, onFatal: () => undefined });
}

beforeAll(async () => {
  if (missing !== undefined) return;
  database = await startTestServer();
  const at = { directory: join(place.path, 'lead'), shared, database: database.url };
  const { archiveId } = await initHouse({ ...at, name: 'Two', now: () => clock.ms });
  // As a failing disk left it.
  const { spool } = archiveLayout(dataLayout(join(place.path, 'edge'), shared), archiveId as ArchiveId);
  await mkdir(spool, { recursive: true });
  await writeFile(join(spool, '000000000001.spool.damaged'), 'damaged');
  lead = await open('lead', 'work,api', { now: () => clock.ms, machine: PLENTY });
  edge = await open('edge', 'edge', {
    now: () => clock.ms + clock.apartMs,
    machine: { diskFree: async () => machine.disk, memoryFree: () => machine.memory },
  });
  source = {
    id: lead.archive.newSourceId(),
    connector: 'standard-webhooks',
    name: 'shop',
    secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
    settings: {},
    maskOneTimeCodes: false,
    createdAtMs: clock.ms,
  };
  await lead.archive.putSource(LOCAL_CALLER, source);
  await until('the edge knows the source', async () => edge.archive.registry.findSource(source.id) !== undefined);
}, 120_000);
afterAll(async () => {
  await edge?.close();
  await lead?.close();
  await database?.stop();
  await place.remove();
});

/** The edge says how it is. */
async function say(stopped = false): Promise<void> {
  await edge.alerts.lookHere();
  await edge.archive.sayNode({
    ...{ roles: edge.settings.roles, version: '0.1.0', url: '', leads: false, stopped, followed: 0 },
    atMs: edge.now(),
    condition: await edge.alerts.tellCondition(),
  });
}

/** Time passes, minute by minute; the edge says how it is, unless it is dead, and the lead looks. */
async function pass(minutes: number, isAlive = true): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    clock.ms += MINUTE;
    if (isAlive) await say();
    await lead.archive.reachIndex();
    await lead.alerts.look();
  }
}

/** Codes that some test has seen open. */
const seen = new Set<string>();

/** Open alerts that are about the edge, and nothing else may be. */
function openAlerts() {
  const alerts = lead.alerts.listAlerts().filter(({ resolvedAtMs }) => resolvedAtMs === undefined);
  for (const { code, subject, facts } of alerts) {
    seen.add(code);
    expect([code, facts['node']]).toEqual([code, edge.archive.node]);
    expect(subject).toContain(edge.archive.node);
  }
  return alerts;
}
const codes = (): string[] =>
  openAlerts()
    .map(({ code }) => code)
    .toSorted();
/** What was damaged at the start stays so. */
const only = (...more: string[]): string[] => ['spool-damaged', ...more].toSorted();

function envelope(secret: string): Envelope {
  const body = '{}';
  return {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/x',
    headers: [
      ['webhook-id', 'msg_1'],
      ['webhook-timestamp', String(Math.floor(clock.ms / 1000))],
      ['webhook-signature', new Webhook(secret).sign('msg_1', new Date(clock.ms), body)],
    ],
    body: Buffer.from(body),
    receivedAtMs: clock.ms,
  };
}

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'the alerts of one node' : `skipped, the alerts of one node: ${missing}`,
  () => {
    it('name another node whose disk and memory run out, until they do not', async () => {
      Object.assign(machine, { disk: GIB, memory: 64 * 1024 ** 2 });
      await pass(3);
      expect(codes()).toEqual(only('disk-low'));
      const shown = openAlerts()
        .map(describeAlert)
        .find(({ code }) => code === 'disk-low');
      expect(shown).toMatchObject({
        title: `The disk is nearly full (${edge.archive.node})`,
        subject: edge.archive.node,
        text: '1024 MiB are free.',
      });
      await pass(10);
      expect(codes()).toEqual(only('disk-low', 'memory-low'));
      Object.assign(machine, { disk: 50 * GIB, memory: GIB });
      await pass(7);
      expect(codes()).toEqual(only());
    });

    it('tell what another node refuses, fails to fetch, and keeps waiting', async () => {
      const wrong = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
      await expect(receiveEnvelope(edge.receive, source, envelope(wrong))).rejects.toMatchObject({
        code: 'bad-signature',
      });
      edge.alerts.noteMediaFailing({
        source: source.id,
        attempts: 9,
        nextTryMs: clock.ms + 5 * MINUTE,
        lossAtMs: undefined,
      });
      const verdict = { result: 'valid', scheme: 'standard-webhooks' } as const;
      await edge.spool?.put({ id: 'one', source: source.id, envelope: envelope(wrong), verdict });
      await pass(12);
      expect(codes()).toEqual(only('bad-signatures', 'media-at-risk', 'spool-waiting'));
      expect(openAlerts().find(({ code }) => code === 'bad-signatures')?.subject).toBe(
        `${source.id} at ${edge.archive.node}`,
      );
      await edge.spool?.drain(spoolKeysOf(edge.archive.spool), async () => undefined);
      await edge.ring.release(source.id, async () => true);
      await pass(12);
      expect(codes()).toEqual(only());
    });

    it('tell that another node is silent, and that its clock is wrong', async () => {
      await pass(3, false);
      expect(codes()).toEqual(only('node-silent'));
      await pass(1);
      expect(codes()).toEqual(only());
      clock.apartMs = -10 * MINUTE;
      await pass(7);
      expect(codes()).toEqual(only('clock-apart'));
      expect(openAlerts().find(({ code }) => code === 'clock-apart')?.facts['seconds']).toBe(-600);
      clock.apartMs = 0;
      await pass(3);
      expect(codes()).toEqual(only());
    });

    it('are over for a node that stops', async () => {
      await say(true);
      await lead.alerts.look();
      expect(codes()).toEqual([]);
      await say();
      await lead.alerts.look();
      expect(codes()).toEqual(only());
    });

    it('rest on what a node says of itself, of which the database sees nothing', async () => {
      const known = (await lead.archive.listNodes()).find(({ name }) => name === edge.archive.node);
      if (known === undefined) throw new Error('the edge is not known');
      expect(describeNode(known, { nowMs: clock.ms, size: 5 })).toMatchObject({
        ...{ state: 'running', behind: 0, diskFreeBytes: 50 * GIB, memoryFreeBytes: GIB },
        spool: { envelopes: 0, damaged: 1, oldestAt: null },
        problems: ['spool-damaged'],
      });
      const rows = await database.dump();
      expect(rows.filter((row) => row.includes(edge.archive.node ?? '?'))).toHaveLength(1);
      for (const text of ['spool-damaged', 'diskFreeBytes', '0.1.0'])
        expect(rows.join('\n')).not.toContain(Buffer.from(text).toString('hex'));
    });

    it('were seen for every condition that only several nodes have', () => {
      const ofNodes = ['spool-waiting', 'spool-damaged', 'node-silent', 'clock-apart'];
      expect(ofNodes.filter((code) => !seen.has(code))).toEqual([]);
    });
  },
);
