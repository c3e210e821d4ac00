/** An archive whose root key cannot be opened at its start, as after a reboot at night: what platforms send is acknowledged and waits; nothing is lost and nothing doubled. */
import { randomBytes } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { CliResult, Served } from '../support/cli.ts';
import { createTexts, killWhileFiling, unreadableForm } from '../support/texts.ts';
import { AUTH_TOKEN } from '../support/twilio.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const PASSPHRASE = 'seven quiet herons at dusk';
const place = await makePlace('locked');
const passphraseFile = join(place.path, 'passphrase');
const edgeKeyFile = join(place.path, 'edge.key');
const keyring = join(place.data, 'edge.keyring');
const withoutEdge = { CARTULARY_PASSPHRASE_FILE: passphraseFile, CARTULARY_PUBLIC_URL: 'http://texts.shop.example' };
const env = { ...withoutEdge, CARTULARY_EDGE_KEY_FILE: edgeKeyFile };
let server: Served;
let hookUrl = '';
let authorization = '';
const texts = createTexts(
  () => hookUrl,
  () => server.url,
);

type Ready = { status: string; records?: number; spool: { envelopes: number; bytes: number; bytesMax: number } };
const ready = async (): Promise<Ready> => (await (await fetch(`${server.url}/readyz`)).json()) as Ready;
const start = async (): Promise<void> => void (server = await serve(place.data, { env }));
const total = async (): Promise<number> => {
  const answer = await fetch(`${server.url}/api/v1/messages?q=parcel&limit=1`, { headers: { authorization } });
  return ((await answer.json()) as Partial<MessagePage>).total ?? -1;
};

/** Runs `unlock` with a passphrase on its standard input. */
async function unlock(passphrase: string): Promise<CliResult> {
  const child = spawn(process.execPath, [MAIN, 'unlock', '--passphrase', '-', '--data', place.data], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += String(text)));
  child.stderr.on('data', (text) => (stderr += String(text)));
  child.stdin.end(`${passphrase}\n`);
  const code = await new Promise<number>((resolve) => child.on('close', (value) => resolve(value ?? -1)));
  return { code, stdout, stderr };
}

beforeAll(async () => {
  await writeFile(passphraseFile, PASSPHRASE, { mode: 0o600 });
  await writeFile(edgeKeyFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const made = await runJson<{ apiKey: string }>(['init', '--name', 'Locked', '--data', place.data], env);
  authorization = `Bearer ${made.apiKey}`;
  await start();
  const source = ['source', 'add', 'twilio', '--name', 'l', '--secret', AUTH_TOKEN, '--data', place.data];
  ({ hookUrl } = await runJson<{ hookUrl: string }>(source, env));
  await texts.sendAll(0, 5);
  await until(
    'what guarding takes is written down',
    async () => (await stat(keyring).catch(() => undefined)) !== undefined,
  );
  await until('the source is in it', async () => (await ready()).status === 'ready');
}, 180_000);
afterAll(async () => {
  await server?.kill();
  await place.remove();
});

describe('an archive that starts without its root key', () => {
  it(
    'takes in what is signed, says plainly that it is locked, and lets nothing be read',
    { timeout: 180_000 },
    async () => {
      await server.stop();
      await rm(passphraseFile);
      await start();
      await texts.sendAll(5, 25);
      expect((await fetch(server.url + new URL(hookUrl).pathname, unreadableForm(hookUrl))).status).toBe(200);
      expect(await ready()).toMatchObject({ status: 'locked', spool: { envelopes: 21, bytesMax: 2 ** 30 } });
      for (const path of ['/api/v1/messages?q=parcel', '/log/arc_0/checkpoint']) {
        const answer = await fetch(server.url + path, { headers: { authorization } });
        expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true]);
        expect(await answer.json()).toMatchObject({ type: '/problems/locked', status: 503 });
      }
      // Its secret may have been changed elsewhere, and its source made there: a platform does not come again after a 4xx.
      expect(await texts.send(900, 'f'.repeat(32))).toBe(503);
      expect((await fetch(`${server.url}/hooks/src_${'0'.repeat(32)}`, { method: 'POST' })).status).toBe(503);
      const doctor = await runCli(['doctor', '--json', '--data', place.data], env);
      expect(doctor.code).toBe(1);
      expect(JSON.parse(doctor.stdout)).toMatchObject({
        checks: [
          { name: 'archive', state: 'failed', text: expect.stringContaining('locked') as string },
          { name: 'spool', state: 'failed', text: expect.stringContaining('21 envelope(s) wait') as string },
        ],
      });
      // What the machine holds meanwhile shows no secret and no text.
      expect(server.log()).not.toContain('parcel number');
      expect((await readFile(keyring)).toString('latin1')).not.toContain(AUTH_TOKEN);
    },
  );

  it('loses nothing when it is killed while it is locked and under load', { timeout: 180_000 }, async () => {
    const sending = texts.sendAll(25, 725);
    await until('some are in', () => Promise.resolve(texts.acknowledged.has(60)));
    await server.kill();
    await start();
    await sending;
    expect(texts.acknowledged.size).toBe(725);
    expect((await ready()).spool.envelopes).toBeGreaterThanOrEqual(720);
  });

  it(
    'opens by a passphrase that is given later, files what waited though it is killed meanwhile, and doubles nothing',
    { timeout: 240_000 },
    async () => {
      const wrong = await unlock('seven quiet herons at dawn');
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('does not open the key file') as string]);
      expect((await ready()).status).toBe('locked');
      expect(await unlock(PASSPHRASE)).toMatchObject({ code: 0, stderr: expect.stringContaining('is open') as string });
      await killWhileFiling(server, 20);
      // The next time the file is there again, a little late.
      await start();
      // The kill came before all of it was filed.
      const cut = await ready();
      expect([cut.status, cut.spool.envelopes > 0]).toEqual(['locked', true]);
      await texts.sendAll(725, 730);
      await writeFile(passphraseFile, PASSPHRASE, { mode: 0o600 });
      await until('all are found', async () => (await total()) === texts.acknowledged.size, 60);
      await until('nothing waits any more', async () => (await ready()).spool.envelopes === 0);
      expect(await ready()).toMatchObject({ status: 'ready', spool: { envelopes: 0, damaged: 0 } });
      // What no platform names is kept once as well.
      const again = await runJson<{ envelopes: number }>(['reprocess', '--data', place.data], env);
      expect(again.envelopes).toBe(1);
    },
  );

  it(
    'keeps nothing of its sources at hand where nobody has asked for it, and ends as ever',
    { timeout: 180_000 },
    async () => {
      await server.stop();
      server = await serve(place.data, { env: withoutEdge });
      await until('it is gone', async () => (await stat(keyring).catch(() => undefined)) === undefined);
      await server.stop();
      await rm(passphraseFile);
      const ended = await runCli(['start', '--data', place.data], { ...withoutEdge, CARTULARY_LISTEN: '127.0.0.1:0' });
      expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining('needs its passphrase') as string]);
      // One that never knew its sources says so.
      const never = await runCli(['start', '--data', place.data], { ...env, CARTULARY_LISTEN: '127.0.0.1:0' });
      expect([never.code, never.stderr]).toEqual([1, expect.stringContaining('has not run before') as string]);
    },
  );
});
