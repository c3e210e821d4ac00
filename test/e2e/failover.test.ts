/** An archive whose database fails over to a real streaming replica, behind an address that moves: to a synchronous one nothing is lost; what an asynchronous one lacks is found and named, and the log goes on. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { LogSuccessor } from '../../src/archive/log-successor.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { MessagePage } from '../../src/archive/views.ts';
import { startBalancer } from '../support/balancer.ts';
import type { Balancer } from '../support/balancer.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { startTestServer, whyNoStandby } from '../support/postgres.ts';
import type { TestMachine, TestServer } from '../support/postgres.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

const missing = whyNoStandby();
const place = await makePlace('e2e-failover');
const PUBLIC = 'http://texts.shop.example';
const NAMES = ['a', 'b'] as const;
type Name = (typeof NAMES)[number];
const nodes = new Map<Name, Served>();
const acknowledged = new Set<number>();
let first: TestServer;
let primary: TestServer;
let address: Balancer;
let env: Record<string, string>;
let archiveId: string;
let authorization: string;
let hookPath: string;

const machineOf = ({ machine }: TestServer): TestMachine => {
  if (machine === undefined) throw new Error('the server is not ours');
  return machine;
};
const portOf = ({ url }: TestServer): number => Number(new URL(url).port);
const dataOf = (name: Name): string => join(place.path, name);
const run = <Result>(args: readonly string[], name: Name = 'a'): Promise<Result> =>
  runJson<Result>([...args, '--data', dataOf(name)], env);
const get = (name: Name): Served => {
  const node = nodes.get(name);
  if (node === undefined) throw new Error(`${name} does not run`);
  return node;
};
const startAll = (): Promise<unknown> =>
  Promise.all(NAMES.map(async (name) => nodes.set(name, await serve(dataOf(name), { env }))));

/** Sends texts to both nodes, as a platform does. */
async function send(from: number, to: number): Promise<Set<number>> {
  const statuses = new Set<number>();
  const numbers = Array.from({ length: to - from }, (_none, at) => from + at);
  await inParallel(numbers, 8, async (number) => {
    const fields = inboundFields(`SM${String(number).padStart(32, '0')}`, `parcel number ${number}`);
    const url = `${get(NAMES[number % 2] ?? 'a').url}${hookPath}`;
    const answer = await fetch(url, signedForm(`${PUBLIC}${hookPath}`, fields));
    await answer.arrayBuffer();
    if (answer.status === 200) acknowledged.add(number);
    statuses.add(answer.status);
  });
  return statuses;
}

async function untilFound(count: number): Promise<void> {
  for (const name of NAMES)
    await until(
      `${name} finds ${count}`,
      async () => {
        const url = `${get(name).url}/api/v1/messages?q=parcel&limit=1`;
        const answer = await fetch(url, { headers: { authorization } });
        return answer.status === 200 && ((await answer.json()) as MessagePage).total === count;
      },
      120,
    );
}

async function checkpoint(): Promise<{ text: string; size: number }> {
  const answer = await fetch(`${get('a').url}/log/${archiveId}/checkpoint`);
  const text = await answer.text();
  return { text, size: answer.status === 200 ? Number(text.split('\n', 2)[1]) : 0 };
}
const untilSigned = (size: number): Promise<void> =>
  until('all is signed', async () => (await checkpoint()).size >= size, 120);

/** A message with a medium, as a file to be imported. */
async function writeMedium(): Promise<string> {
  const path = join(place.path, 'medium.jsonl');
  const media = [{ base64: Buffer.from('a picture').toString('base64'), mimeType: 'text/plain' }];
  const parties = { direction: 'inbound', from: { address: 'customer' }, to: [{ address: 'shop' }] };
  const data = { id: 'm1', channel: 'chat', ...parties, text: 'look', media };
  await writeFile(path, JSON.stringify({ type: 'message.created', timestamp: '2026-11-22T10:00:00Z', data }));
  return path;
}

/** The address goes over to another server, which takes over. */
async function failOver(to: TestServer): Promise<void> {
  await machineOf(to).promote();
  address.moveTo([portOf(to)]);
  primary = to;
}

/** Does a replica have all that the primary has? */
const hasAll = async (name: string): Promise<boolean> => {
  const seen = 'SELECT 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()';
  return (await primary.asAdministrator(`${seen} AND application_name = '${name}'`)) === 1;
};
const countRecords = async (): Promise<number> =>
  ((await (await fetch(`${get('a').url}/readyz`)).json()) as { records: number }).records;

beforeAll(async () => {
  if (missing !== undefined) return;
  first = await startTestServer();
  primary = first;
  address = await startBalancer(0, [portOf(first)]);
  const database = new URL(first.url);
  database.port = String(address.port);
  const shared = join(place.path, 'shared');
  env = { CARTULARY_DATABASE: database.href, CARTULARY_SHARED: shared, CARTULARY_PUBLIC_URL: PUBLIC };
  const made = await run<{ archiveId: string; apiKey: string }>(['init', '--name', 'Failing over']);
  ({ archiveId } = made);
  authorization = `Bearer ${made.apiKey}`;
  const source = ['source', 'add', 'twilio', '--name', 'f', '--secret', AUTH_TOKEN];
  hookPath = new URL((await run<{ hookUrl: string }>(source)).hookUrl).pathname;
  await startAll();
}, 180_000);
afterAll(async () => {
  for (const node of nodes.values()) await node.kill();
  await address?.close();
  await first?.stop();
  await place.remove();
});

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'a database that fails over' : `skipped, a database that fails over: ${missing}`,
  () => {
    const kept = join(place.path, 'kept');
    const lostHead = join(place.path, 'lost-head');

    it('to a synchronous replica loses nothing that was acknowledged', { timeout: 300_000 }, async () => {
      const standby = await machineOf(first).makeStandby('standby');
      await machineOf(first).waitFor('standby');
      const sending = send(0, 300);
      await until('some are in', () => Promise.resolve(acknowledged.size > 80));
      await machineOf(first).kill();
      const before = new Set(acknowledged);
      await failOver(standby);
      expect(await sending).toEqual(new Set([200]));
      expect(before.size).toBeLessThan(300);
      await untilFound(300);
      await untilSigned(before.size + 1);
      await writeFile(kept, (await checkpoint()).text);
    });

    it('to an asynchronous one that lacks records: signs nothing over them, says so, and captures', async () => {
      const replica = await machineOf(primary).makeStandby('replica');
      await until('the replica has all', () => hasAll('replica'));
      // What comes now does not reach it.
      await machineOf(replica).kill();
      expect(await send(300, 315)).toEqual(new Set([200]));
      await run(['import', 'jsonl', await writeMedium()]);
      await until('its medium is kept', async () => (await run<VerifyReport>(['verify'])).blobs === 1);
      await untilFound(315);
      await untilSigned(await countRecords());
      await writeFile(lostHead, (await checkpoint()).text);
      await machineOf(primary).kill();
      await machineOf(replica).start();
      await failOver(replica);
      await until('it captures again', async () => [...(await send(315, 325))].every((status) => status === 200));
      for (const name of NAMES)
        await until(
          `${name} says so`,
          () => Promise.resolve(/corrupt.*the log is not being signed/.test(get(name).log())),
          120,
        );
      const doctor = await runCli(['doctor', '--data', dataOf('a')], env);
      expect(doctor.stdout).toContain('cartulary key successor');
    }, 300_000);

    it('names what is lost, and goes on as a successor that commits to the old head', async () => {
      // Killed rather than stopped, which takes four seconds in which a balancer is told.
      await Promise.all(NAMES.map((name) => get(name).kill()));
      const lost = await run<LogSuccessor>(['key', 'successor']);
      expect(lost).toMatchObject({ origin: `cartulary/${archiveId}`, opened: false, media: 1 });
      expect(lost.kinds).toMatchObject({ 'message.created': 16, 'media.stored': 1 });
      expect(lost.size - lost.lostFrom).toBeGreaterThanOrEqual(15);
      expect(lost.lostFrom).toBeLessThan(lost.records);
      const opened = await run<LogSuccessor>(['key', 'successor', '--yes']);
      expect(opened).toEqual({ ...lost, opened: true });
      await startAll();
      // Those that are lost come again, as platforms are asked for what is missing.
      await untilFound(310);
      expect(await send(300, 315)).toEqual(new Set([200]));
      await untilFound(325);
      const heads = ['--checkpoint', kept, '--checkpoint', lostHead];
      // At the other node, whose own files of the log went aside as well.
      const report = await run<VerifyReport>(['verify', ...heads], 'b');
      expect(report).toMatchObject({ ok: true, faults: [] });
      expect(report.succeeds).toEqual([{ origin: lost.origin, size: lost.size, from: lost.lostFrom }]);
      expect((await checkpoint()).text).toMatch(new RegExp(`^cartulary/${archiveId}/2\n`));
      // What proves the loss stays.
      const log = join(dataOf('a'), 'archives', archiveId, 'log');
      expect(await readFile(`${log}.1/checkpoint`, 'utf8')).toContain(`${lost.origin}\n`);
      expect((await stat(`${log}.1/tile`)).isDirectory()).toBe(true);
    }, 300_000);
  },
);
