/** A thread that dies ends the process: exit code 70, one line that says so, nothing acknowledged is lost, and the next start is as any. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { freePort, makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';

const place = await makePlace('threads-die');
const order = join(place.path, 'die');
const preload = fileURLToPath(new URL('../support/die-in-thread.mjs', import.meta.url));
const acknowledged: string[] = [];
let port: number;
let hookUrl: string;

beforeAll(async () => {
  port = await freePort();
  await runJson(['init', '--data', place.data, '--name', 'Threads']);
  const add = ['source', 'add', 'twilio', '--data', place.data, '--name', 't', '--secret', AUTH_TOKEN];
  ({ hookUrl } = await runJson<{ hookUrl: string }>(add, { CARTULARY_PUBLIC_URL: `http://127.0.0.1:${port}` }));
}, 120_000);
afterAll(() => place.remove());

/** Sends texts, each after the one before, until nobody answers. @returns how many were acknowledged */
async function sendUntilGone(round: string): Promise<number> {
  let count = 0;
  for (let index = 0; index < 20_000; index += 1) {
    const sid = `SM${Buffer.from(`${round} ${index}`).toString('hex').padStart(32, '0').slice(-32)}`;
    try {
      const answer = await fetch(hookUrl, signedForm(hookUrl, inboundFields(sid, `walrus ${round} ${index}`)));
      await answer.arrayBuffer();
      if (answer.status !== 200) continue;
      acknowledged.push(sid);
      // Fewer in all than a search counts.
      await new Promise((resolve) => setTimeout(resolve, 2));
      count += 1;
    } catch {
      return count;
    }
  }
  throw new Error('the process did not end');
}

describe('a thread that dies', () => {
  const deaths = [
    ['seal', 'memory'],
    ['store-writer', 'throw'],
    ['store-maintenance', 'exit'],
    ['follow', 'exit'],
    ['log', 'throw'],
    ['read', 'throw'],
    ['count', 'exit'],
  ] as const;

  it.each(deaths)('ends the process: %s of %s', { timeout: 180_000 }, async (name, way) => {
    const env = {
      CARTULARY_PUBLIC_URL: `http://127.0.0.1:${port}`,
      NODE_OPTIONS: `--import=${preload}`,
      DIE_IN_THREAD: order,
    };
    const server = await serve(place.data, { port, env });
    const ended = new Promise<number | null>((resolve) => server.process.once('exit', resolve));
    try {
      const before = acknowledged.length;
      const sending = sendUntilGone(`${name} ${way}`);
      await until('texts are acknowledged', async () => acknowledged.length >= before + 20, 60);
      await writeFile(order, `${name} ${way}`);
      expect(await sending).toBeGreaterThan(0);
      expect(await ended).toBe(70);
    } finally {
      await rm(order, { force: true });
      await server.kill();
    }
    const lines = server
      .log()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    const fatal = lines
      .map((line) => JSON.parse(line) as { level: number; msg: string })
      .filter(({ level }) => level === 60);
    expect(fatal).toHaveLength(1);
    expect(fatal[0]?.msg).toContain('Start again; if it stays, run "cartulary doctor"');
    expect(server.log()).not.toMatch(/\n\s+at /);
  });

  it('has lost nothing that was acknowledged', { timeout: 180_000 }, async () => {
    expect(acknowledged.length).toBeGreaterThan(deaths.length);
    const bundle = join(place.path, 'walrus.zip');
    const { messages: total } = await runJson<{ messages: number }>([
      'export',
      'walrus',
      '--data',
      place.data,
      '--out',
      bundle,
    ]);
    // One text a death may have been kept without an answer.
    expect(total).toBeGreaterThanOrEqual(acknowledged.length);
    expect(total).toBeLessThanOrEqual(acknowledged.length + deaths.length);
    for (const sid of acknowledged.filter((_sid, index) => index % Math.ceil(acknowledged.length / 10) === 0))
      expect((await runJson<MessagePage>(['search', `id:${sid}`, '--data', place.data])).total).toBe(1);
    expect(await runJson<VerifyReport>(['verify', '--data', place.data])).toMatchObject({ ok: true, faults: [] });
  });
});

describe('a second server on one data directory', () => {
  it('refuses with one line, and the first goes on', { timeout: 120_000 }, async () => {
    const server = await serve(place.data, { port });
    try {
      const second = await runCli(['start', '--data', place.data], {
        CARTULARY_LISTEN: `127.0.0.1:${await freePort()}`,
      });
      expect(second.code).toBe(1);
      expect(second.stdout).toBe('');
      expect(second.stderr.trim().split('\n')).toEqual([
        expect.stringContaining('another process holds the data directory'),
        expect.stringContaining('Stop it'),
      ]);
      const answer = await fetch(hookUrl, signedForm(hookUrl, inboundFields(`SM${'b'.repeat(32)}`, 'still here')));
      expect(answer.status).toBe(200);
    } finally {
      await server.stop();
    }
  });
});
