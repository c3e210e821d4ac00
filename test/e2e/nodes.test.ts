/** Several nodes of one archive, as their operator has them: each takes in, one log, one search result, whoever of them dies. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { NodeView } from '../../src/api/operations/nodes.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { MessagePage } from '../../src/archive/views.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { startTestServer, whyNoServer } from '../support/postgres.ts';
import type { TestServer } from '../support/postgres.ts';
import { killWhileFiling } from '../support/texts.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

const missing = whyNoServer();
const place = await makePlace('e2e-nodes');
const shared = join(place.path, 'shared');
const PUBLIC = 'http://texts.shop.example';
const NAMES = ['a', 'b', 'edge'] as const;
type Name = (typeof NAMES)[number];
const nodes = new Map<Name, Served>();
const acknowledged = new Set<number>();
let database: TestServer;
let hookPath: string;
let log: string;
let authorization: string;

const dataOf = (name: Name): string => join(place.path, name);
const envOf = (name: Name): Record<string, string> => ({
  CARTULARY_DATABASE: database.url,
  CARTULARY_SHARED: shared,
  CARTULARY_PUBLIC_URL: PUBLIC,
  ...(name === 'edge' ? { CARTULARY_ROLES: 'edge' } : {}),
});
const run = <Result>(name: Name, args: readonly string[]): Promise<Result> =>
  runJson<Result>([...args, '--data', dataOf(name)], envOf(name));

async function start(name: Name): Promise<void> {
  nodes.set(name, await serve(dataOf(name), { env: envOf(name) }));
}

async function restart(name: Name): Promise<void> {
  await get(name).kill();
  await start(name);
}

const get = (name: Name): Served => {
  const node = nodes.get(name);
  if (node === undefined) throw new Error(`${name} does not run`);
  return node;
};

/** Sends a text as a platform behind a balancer does: to any node, and to the next where one is not there. */
async function send(number: number, word = 'parcel'): Promise<number> {
  const url = `${PUBLIC}${hookPath}`;
  const form = signedForm(url, inboundFields(`SM${String(number).padStart(32, '0')}`, `${word} number ${number}`));
  for (let tries = 0; tries < 200; tries += 1) {
    const name = NAMES[(number + tries) % NAMES.length] ?? 'a';
    const answer = await fetch(`${get(name).url}${hookPath}`, form).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer !== undefined) {
      if (answer.status === 200) acknowledged.add(number);
      return answer.status;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('no node answers');
}

async function sendAll(from: number, to: number): Promise<Set<number>> {
  const statuses = new Set<number>();
  const numbers = Array.from({ length: to - from }, (_none, at) => from + at);
  await inParallel(numbers, 8, async (number) => void statuses.add(await send(number)));
  return statuses;
}

async function total(name: Name, word = 'parcel'): Promise<number> {
  const answer = await fetch(`${get(name).url}/api/v1/messages?q=${word}&limit=1`, { headers: { authorization } });
  return ((await answer.json()) as MessagePage).total;
}

async function checkpointOf(name: Name): Promise<{ text: string; size: number }> {
  const text = await (await fetch(`${get(name).url}${log}/checkpoint`)).text();
  return { text, size: Number(text.split('\n', 2)[1]) };
}

const listNodes = async (): Promise<readonly NodeView[]> => (await run<{ nodes: NodeView[] }>('a', ['nodes'])).nodes;

beforeAll(async () => {
  if (missing !== undefined) return;
  database = await startTestServer();
  // Begun as one node, then shared as docs/operate/nodes.md says.
  const first = join(place.path, 'first');
  const alone = { CARTULARY_DATABASE: database.url };
  const made = await runJson<{ archiveId: string; apiKey: string }>(['init', '--name', 'Many', '--data', first], alone);
  await mkdir(shared, { mode: 0o700 });
  for (const name of ['cartulary.json', 'keys']) await rename(join(first, name), join(shared, name));
  await rename(`${first}.signer`, join(shared, 'signer'));
  // What a failing disk left at one of them, which the others cannot see.
  const spool = join(dataOf('edge'), 'archives', made.archiveId, 'spool');
  await mkdir(spool, { recursive: true });
  await writeFile(join(spool, '000000000001.spool.damaged'), 'damaged');
  authorization = `Bearer ${made.apiKey}`;
  log = `/log/${made.archiveId}`;
  await Promise.all(NAMES.map(start));
}, 180_000);
afterAll(async () => {
  for (const node of nodes.values()) await node.kill();
  await database?.stop();
  await place.remove();
});

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'several nodes of one archive' : `skipped, several nodes of one archive: ${missing}`,
  () => {
    it('need nothing but the shared directory and the database', () => {
      expect([...nodes.keys()].sort()).toEqual([...NAMES].sort());
    });

    it('know within seconds a source that was added at another', { timeout: 60_000 }, async () => {
      const source = ['source', 'add', 'twilio', '--name', 'many', '--secret', AUTH_TOKEN];
      const { hookUrl } = await run<{ hookUrl: string }>('a', source);
      hookPath = new URL(hookUrl).pathname;
      await until('every node takes it in', async () => [...(await sendAll(0, 9))].every((status) => status === 200));
    });

    it('take in at the same time, and give the same answers', { timeout: 120_000 }, async () => {
      expect(await sendAll(9, 200)).toEqual(new Set([200]));
      // Sent again, and by another node, each is there once.
      expect(await sendAll(0, 31)).toEqual(new Set([200]));
      for (const name of ['a', 'b'] as const) await until(`${name} finds all`, async () => (await total(name)) === 200);
    });

    it('do what their roles say', async () => {
      const answer = await fetch(`${get('edge').url}/api/v1/messages?q=parcel`, { headers: { authorization } });
      expect(answer.status).toBe(404);
      expect((await fetch(`${get('edge').url}${log}/checkpoint`)).status).toBe(404);
    });

    it('publish one log: a later checkpoint is never smaller, whoever is asked, and each serves the tiles of the other', async () => {
      let last = 0;
      for (let round = 0; round < 6; round += 1) {
        await sendAll(200 + round * 5, 205 + round * 5);
        const [name, other] = round % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const);
        const { size } = await checkpointOf(name);
        expect(size).toBeGreaterThanOrEqual(last);
        last = size;
        const width = size % 256;
        const tile = `/tile/0/${String(Math.floor(size / 256)).padStart(3, '0')}.p/${width}`;
        const [own, others] = await Promise.all(
          [name, other].map(async (one) => fetch(`${get(one).url}${log}${tile}`)),
        );
        expect([own?.status, others?.status]).toEqual([200, 200]);
        expect(await others?.bytes()).toEqual(await own?.bytes());
      }
    });

    it('say how they are, and one of them tells what is wrong at another', { timeout: 60_000 }, async () => {
      type Listed = { alerts: { code: string; subject: string; title: string; resolvedAt: string | null }[] };
      await until(
        'the alert is open',
        async () => (await run<Listed>('a', ['alert', 'list'])).alerts.some(({ code }) => code === 'spool-damaged'),
        45,
      );
      const alert = (await run<Listed>('a', ['alert', 'list'])).alerts.find(({ code }) => code === 'spool-damaged');
      const seen = await listNodes();
      const edge = seen.find(({ roles }) => roles.join() === 'edge');
      expect(alert).toMatchObject({ subject: edge?.name, resolvedAt: null });
      expect(edge).toMatchObject({ state: 'running', problems: ['spool-damaged'], spool: { damaged: 1 } });
      for (const { version, diskFreeBytes, memoryFreeBytes, spool, behind } of seen) {
        expect(version).toMatch(/^\d+\.\d+/);
        expect(Math.min(diskFreeBytes, memoryFreeBytes)).toBeGreaterThan(0);
        expect([typeof spool?.envelopes, typeof behind]).toEqual(['number', 'number']);
      }
      const { stdout } = await runCli(['nodes', '--data', dataOf('a')], envOf('a'));
      expect(stdout).toContain('GiB free');
      expect(stdout).toMatch(/: running; edge; .*spool-damaged/);
    });

    it('agree on who does what only one may do; where it dies, another takes over', { timeout: 120_000 }, async () => {
      await until('both lead or follow', async () => (await listNodes()).filter(({ leads }) => leads).length === 1);
      const seen = await listNodes();
      expect(seen.map(({ state }) => state)).toEqual(['running', 'running', 'running']);
      const leader = seen.find(({ leads }) => leads);
      const name: Name = leader?.isThis === true ? 'a' : 'b';
      const other: Name = name === 'a' ? 'b' : 'a';
      await get(name).kill();
      await until(
        'the other leads',
        async () => {
          const { nodes: left } = await run<{ nodes: NodeView[] }>(other, ['nodes']);
          return left.find(({ isThis }) => isThis)?.leads === true;
        },
        60,
      );
      await start(name);
    });

    it(
      'lose nothing that was acknowledged when one is killed under load, and its log goes on',
      { timeout: 180_000 },
      async () => {
        for (const [at, name] of (['b', 'edge', 'a'] as const).entries()) {
          const from = 300 + at * 150;
          const sending = sendAll(from, from + 150);
          await until('some are in', () => Promise.resolve(acknowledged.has(from + 20)));
          await get(name).kill();
          await start(name);
          // What was cut off in the middle was tried again.
          expect(await sending).toEqual(new Set([200]));
        }
        for (const name of ['a', 'b'] as const)
          await until(`${name} finds all`, async () => (await total(name)) === acknowledged.size, 60);
      },
    );

    it(
      'take in what comes while the database is away, and file it when it is back, whatever became of them',
      { timeout: 180_000 },
      async () => {
        const name = new URL(database.url).pathname.slice(1);
        await database.asAdministrator(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
        await database.cutConnections(database.url);
        try {
          expect(await sendAll(760, 790)).toEqual(new Set([200]));
          const ready = await (await fetch(`${get('edge').url}/readyz`)).json();
          expect(ready).toMatchObject({ status: 'spooling', spool: { envelopes: expect.any(Number) as number } });
          await get('edge').kill();
          // One that starts meanwhile knows its sources from when it last ran.
          await Promise.all([start('edge'), restart('b')]);
          expect(await sendAll(790, 850)).toEqual(new Set([200]));
          const refused = await fetch(`${get('b').url}/api/v1/messages?q=parcel`, { headers: { authorization } });
          expect([refused.status, await refused.json()]).toEqual([
            503,
            expect.objectContaining({ type: '/problems/database-away' }) as object,
          ]);
          const unknown = await fetch(`${get('edge').url}/hooks/src_${'0'.repeat(32)}`, { method: 'POST' });
          expect(unknown.status).toBe(503);
          const doctor = await runCli(['doctor', '--json', '--data', dataOf('edge')], envOf('edge'));
          expect(JSON.parse(doctor.stdout)).toMatchObject({
            ok: false,
            checks: [{ name: 'archive' }, { name: 'spool' }],
          });
          // One that never ran knows none, and says so.
          const fresh = await runCli(['start', '--data', join(place.path, 'fresh')], envOf('edge'));
          expect([fresh.code, fresh.stderr]).toEqual([1, expect.stringContaining('has not run before') as string]);
        } finally {
          await database.asAdministrator(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
        }
        await killWhileFiling(get('edge'), 0);
        await start('edge');
        for (const one of ['a', 'b'] as const)
          await until(`${one} finds all`, async () => (await total(one)) === acknowledged.size, 60);
        await until('nothing waits any more', async () => {
          const { spool } = (await (await fetch(`${get('edge').url}/readyz`)).json()) as {
            spool: { envelopes: number };
          };
          return spool.envelopes === 0;
        });
        expect(get('edge').log()).not.toContain('parcel number');
      },
    );

    it('are restarted one after the other without a request being lost', { timeout: 180_000 }, async () => {
      const life = { isOver: false };
      const restartAll = async (): Promise<void> => {
        for (const name of NAMES) {
          expect(await get(name).stop()).toBe(0);
          await start(name);
        }
        life.isOver = true;
      };
      const restarting = restartAll();
      const statuses = new Set<number>();
      let number = 900;
      for (; !life.isOver; number += 1) {
        statuses.add(await send(number, 'letter'));
        // A search counts a thousand.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await restarting;
      expect(statuses).toEqual(new Set([200]));
      for (const name of ['a', 'b'] as const)
        await until(
          `${name} finds all`,
          async () => (await total(name, 'letter')) === Math.min(number - 900, 1000),
          60,
        );
    });

    it('are sound, each by its own files and the checkpoints of the other', { timeout: 120_000 }, async () => {
      const heads = await Promise.all((['a', 'b'] as const).map(checkpointOf));
      const path = join(place.path, 'head.txt');
      for (const [at, name] of (['b', 'a'] as const).entries()) {
        await writeFile(path, heads[at]?.text ?? '');
        const report = await run<VerifyReport>(name, ['verify', '--checkpoint', path]);
        expect(report).toMatchObject({ ok: true, faults: [] });
      }
    });

    it('no longer find what was destroyed at another', { timeout: 60_000 }, async () => {
      const search = async (name: Name): Promise<MessagePage> => {
        const url = `${get(name).url}/api/v1/messages?q=${encodeURIComponent('"parcel number 25"')}`;
        return (await (await fetch(url, { headers: { authorization } })).json()) as MessagePage;
      };
      const [found] = (await search('b')).items;
      await run('b', ['key', 'destroy', String(found?.id), '--yes']);
      acknowledged.delete(25);
      await until('a does not find it', async () => (await search('a')).total === 0);
    });

    it('see within seconds that a key was revoked at another', { timeout: 60_000 }, async () => {
      const made = await run<{ id: string; apiKey: string }>('a', ['key', 'create', '--name', 'short']);
      const headers = { authorization: `Bearer ${made.apiKey}` };
      const ask = async (): Promise<number> =>
        (await fetch(`${get('b').url}/api/v1/messages?q=parcel&limit=1`, { headers })).status;
      await until('b knows it', async () => (await ask()) === 200);
      await run('a', ['key', 'revoke', made.id]);
      await until('b refuses it', async () => (await ask()) === 401);
    });

    it('must all be stopped for what an archive must stand still for', { timeout: 120_000 }, async () => {
      const idle = join(place.path, 'idle');
      const refused = await runCli(['key', 'rotate-archive', '--data', idle], envOf('a'));
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain('stop all of them first');
      for (const name of NAMES) await get(name).stop();
      const rotated = await runCli(['key', 'rotate-archive', '--data', idle], envOf('a'));
      expect(rotated.stderr).toContain('seals from now on');
      expect(rotated.code).toBe(0);
    });
  },
);
