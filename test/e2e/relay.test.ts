/** A relay in front of the archive's network, as its operators have it: it takes in and is fetched from; whoever is killed meanwhile, nothing is lost and nothing doubled. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import { freePort, makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { createTexts, killWhileFiling, unreadableForm } from '../support/texts.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';

const OTHER_TOKEN = 'fedcba9876543210fedcba9876543210';
const place = await makePlace('relay');
const inside = join(place.path, 'inside');
const outside = join(place.path, 'outside');
const keyFile = join(place.path, 'edge.key');
const env = { CARTULARY_PUBLIC_URL: 'http://texts.shop.example' };
const relayEnv = { ...env, CARTULARY_ROLES: 'relay', CARTULARY_EDGE_KEY_FILE: keyFile };
const port = await freePort();
let archive: Served;
let relay: Served;
let hookUrl = '';
let source = '';
let archiveId = '';
/** Records of the archive before it was stopped. */
let filed = 0;
let authorization = '';
const texts = createTexts(
  () => hookUrl,
  () => relay.url,
);

type Listed = { relays: { id: string; state: string; failure: string | null; spool: { envelopes: number } | null }[] };
type Ready = {
  status: string;
  records: number;
  spool: { envelopes: number; bytesMax: number; oldestAt: string | null };
};
const run = <Result>(args: readonly string[]): Promise<Result> => runJson<Result>([...args, '--data', inside], env);
const readyOf = async ({ url }: Served): Promise<Ready> => (await (await fetch(`${url}/readyz`)).json()) as Ready;
const startInside = async (): Promise<void> => void (archive = await serve(inside, { env }));
const startRelay = async (): Promise<void> => void (relay = await serve(outside, { env: relayEnv, port }));
const search = async (q: string): Promise<number> => {
  const url = `${archive.url}/api/v1/messages?q=${encodeURIComponent(q)}&limit=1`;
  const answer = await fetch(url, { headers: { authorization } });
  return ((await answer.json()) as Partial<MessagePage>).total ?? -1;
};
const listed = async (): Promise<Listed['relays']> => (await run<Listed>(['relay', 'list'])).relays;

beforeAll(async () => {
  const made = await runJson<{ archiveId: string; apiKey: string }>(
    ['init', '--name', 'Inside', '--data', inside],
    env,
  );
  ({ archiveId } = made);
  authorization = `Bearer ${made.apiKey}`;
  await startInside();
  const added = await run<{ id: string; hookUrl: string }>([
    ...['source', 'add', 'twilio', '--name', 'r', '--secret', AUTH_TOKEN],
  ]);
  ({ id: source, hookUrl } = added);
  const { edgeKey } = await run<{ edgeKey: string }>(['relay', 'add', 'dmz', '--url', `http://127.0.0.1:${port}`]);
  await writeFile(keyFile, `${edgeKey}\n`, { mode: 0o600 });
  // It is ready once its archive has told it what guarding takes.
  await startRelay();
}, 180_000);
afterAll(async () => {
  await relay?.kill();
  await archive?.kill();
  await place.remove();
});

describe('a relay', () => {
  it(
    'takes in what its archive then files by the ordinary way, and keeps nothing of it',
    { timeout: 180_000 },
    async () => {
      await texts.sendAll(0, 20);
      await until('all are found', async () => (await search('parcel')) === 20);
      await until('nothing waits', async () => (await readyOf(relay)).spool.envelopes === 0);
      expect((await listed())[0]).toMatchObject({ state: 'answers', failure: null });
      expect(await readyOf(relay)).toMatchObject({ status: 'relay', spool: { bytesMax: 2 ** 30, oldestAt: null } });
    },
  );

  it('answers nobody but its archive, and shows nobody anything', { timeout: 180_000 }, async () => {
    for (const path of ['/relay/v1/state', '/relay/v1/files/spool/000000000001.spool']) {
      const answer = await fetch(relay.url + path, { headers: { authorization } });
      expect([answer.status, await answer.json()]).toEqual([
        401,
        expect.objectContaining({ type: '/problems/unauthenticated' }) as object,
      ]);
    }
    expect((await fetch(`${relay.url}/api/v1/messages?q=parcel`, { headers: { authorization } })).status).toBe(404);
    expect((await fetch(`${relay.url}/log/arc_0/checkpoint`)).status).toBe(404);
    // It knows what its archive knows, so that a stranger is told.
    expect((await fetch(`${relay.url}/hooks/src_${'0'.repeat(32)}`, { method: 'POST' })).status).toBe(404);
  });

  it(
    'loses nothing to a wrong secret: what it refuses waits in the ring of its archive',
    { timeout: 180_000 },
    async () => {
      const form = signedForm(hookUrl, inboundFields(`SM${'f'.repeat(32)}`, 'letter of another secret'), OTHER_TOKEN);
      expect((await fetch(relay.url + new URL(hookUrl).pathname, form)).status).toBe(403);
      const ring = join(inside, 'archives', archiveId, 'ring', source);
      await until('it is in the ring', async () => (await readdir(ring).catch(() => [])).length === 1);
      const renewed = await run<{ ring: { released: number } }>(['source', 'secret', source, '--secret', OTHER_TOKEN]);
      expect(renewed.ring.released).toBe(1);
      await until('it is found', async () => (await search('letter')) === 1);
      // The relay is told of the new secret.
      await until(
        'it takes it in',
        async () => (await fetch(relay.url + new URL(hookUrl).pathname, form)).status === 200,
      );
    },
  );

  it(
    'keeps what comes while its archive is away, though it is killed, and lets it be read by nobody',
    { timeout: 180_000 },
    async () => {
      filed = (await readyOf(archive)).records;
      await archive.stop();
      const sending = texts.sendAll(20, 720);
      await until('some are in', () => Promise.resolve(texts.acknowledged.has(60)));
      await relay.kill();
      await startRelay();
      await sending;
      expect(texts.acknowledged.size).toBe(720);
      expect((await fetch(relay.url + new URL(hookUrl).pathname, unreadableForm(hookUrl))).status).toBe(200);
      const { spool } = await readyOf(relay);
      expect(spool.envelopes).toBeGreaterThanOrEqual(701);
      expect(spool.oldestAt).not.toBeNull();
      // It has not heard of its archive since it was started: the secret may have been changed, and a platform does not come again after a 403.
      expect(await texts.send(900, 'e'.repeat(32))).toBe(503);
      const doctor = await runCli(['doctor', '--json', '--data', outside], relayEnv);
      expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: false, checks: [{ name: 'relay' }, { name: 'spool' }] });
      for (const name of await readdir(outside, { recursive: true })) {
        const path = join(outside, name);
        if (!(await stat(path)).isFile()) continue;
        expect((await readFile(path)).toString('latin1')).not.toMatch(
          new RegExp(`parcel|${AUTH_TOKEN}|${OTHER_TOKEN}`),
        );
      }
      expect(relay.log()).not.toContain('parcel number');
    },
  );

  it(
    'is fetched from though its archive is killed meanwhile, and nothing is doubled',
    { timeout: 240_000 },
    async () => {
      await startInside();
      await killWhileFiling(archive, filed + 10);
      // The kill came before all of it was filed.
      expect((await readyOf(relay)).spool.envelopes).toBeGreaterThan(0);
      await startInside();
      await until('all are found', async () => (await search('parcel')) === texts.acknowledged.size, 60);
      await until('nothing waits', async () => (await readyOf(relay)).spool.envelopes === 0);
      const again = await run<{ envelopes: number }>(['reprocess']);
      expect(again.envelopes).toBe(1);
    },
  );

  it('is known to be away when it is gone, and not removed by mistake', { timeout: 180_000 }, async () => {
    await relay.kill();
    await until('it is away', async () => archive.log().includes('nothing can be fetched from the relay'));
    const [known] = await listed();
    expect(known?.state).toBe('away');
    const refused = await runCli(['relay', 'remove', String(known?.id), '--data', inside], env);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--yes') as string]);
    expect(await run(['relay', 'remove', String(known?.id), '--yes'])).toMatchObject({ removed: true });
  });
});
