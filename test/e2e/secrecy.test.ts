/**
 * A known sentence, captured, searched, exported and imported: no byte of it in any file under the data or temporary directory, in any encoding; nor a card security code, quarantine included.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';
import { isMissing } from '../../src/vault/missing-file.ts';

const CANARY = 'Zaphira’s parcel waits behind the Quillborough fountain';
const IMPORTED = 'Mirabelle left her umbrella at Thornwick station';
const place = await makePlace('secrecy');
const temporary = join(place.path, 'tmp');
afterAll(() => place.remove());

/** Every file, of those named and of those below the directories named, that holds one of the forms of a text. */
function findTraces(places: readonly string[], text: string): string[] {
  const words = text.split(' ').filter((word) => word.length >= 9);
  const needles = [text, ...words].flatMap((part) => [
    Buffer.from(part, 'utf8'),
    Buffer.from(part, 'utf16le'),
    Buffer.from(part, 'utf16le').swap16(),
    ...[0, 1, 2].map((shift) => Buffer.from(base64Core(part, shift), 'latin1')),
    Buffer.from(encodeURIComponent(part).replaceAll('%20', '+'), 'latin1'),
    Buffer.from(part.toLowerCase(), 'utf8'),
  ]);
  const found: string[] = [];
  for (const path of places.flatMap(filesAt)) {
    const bytes = ifThere(() => readFileSync(path));
    if (bytes !== undefined && needles.some((needle) => bytes.includes(needle))) found.push(path);
  }
  return found;
}

/** A file, or every file below a directory. */
function filesAt(path: string): string[] {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (entry?.isDirectory() !== true) return entry?.isFile() === true ? [path] : [];
  return (ifThere(() => readdirSync(path)) ?? []).flatMap((name) => filesAt(join(path, name)));
}

/** Undefined where a server at work has closed or removed what is read since it was listed. */
function ifThere<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw cause;
  }
}

/** Files that a process holds open, those without a name too (Linux). */
function openFiles(pid: number | undefined): string[] {
  const directory = `/proc/${pid}/fd`;
  if (!existsSync(directory)) return [];
  const paths = readdirSync(directory).map((name) => join(directory, name));
  return paths.filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

/** What of a text's Base64 does not depend on what stands before and after it. */
function base64Core(text: string, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(text, 'utf8')]).toString('base64');
  return encoded.slice(shift === 0 ? 0 : 4, -4).replace(/=+$/, '');
}

describe('what is kept', () => {
  it('can be read nowhere on the disk', { timeout: 120_000 }, async () => {
    await mkdir(temporary, { recursive: true });
    const env = { TMPDIR: temporary };
    const made = await runJson<{ apiKey: string }>(['init', '--data', place.data, '--name', 'Secret'], env);
    const server = await serve(place.data, { env });
    const source = await runJson<{ hookUrl: string }>(
      ['source', 'add', 'twilio', '--data', place.data, '--name', 's', '--secret', AUTH_TOKEN],
      env,
    );
    const fields = inboundFields('SM00000000000000000000000000000abc', CANARY);
    expect((await fetch(source.hookUrl, signedForm(source.hookUrl, fields))).status).toBe(200);
    const xml = `<?xml version='1.0'?><smses count="1"><sms protocol="0" address="+15550100124" date="1700000000000" type="1" subject="null" body="${IMPORTED}" read="1" status="-1" /></smses>`;
    await writeFile(join(place.path, 'backup.xml'), xml);
    expect(
      await runJson(['import', 'sms-backup', join(place.path, 'backup.xml'), '--data', place.data], env),
    ).toMatchObject({ sealed: 1 });
    const answer = await fetch(`${server.url}/api/v1/messages?q=Quillborough`, {
      headers: { authorization: `Bearer ${made.apiKey}` },
    });
    expect(((await answer.json()) as MessagePage).total).toBe(1);
    expect((await runJson<MessagePage>(['search', 'thornwick', '--data', place.data], env)).total).toBe(1);

    // While it runs, with its write-ahead logs open, and after it has stopped.
    expect(findTraces([place.data, `${place.data}.signer`, temporary], CANARY)).toEqual([]);
    await runJson(['export', '--data', place.data, '--out', join(place.path, 'bundle.zip')], env);
    await runJson(['backup', join(place.path, 'backups'), '--data', place.data], env);
    expect(await server.stop()).toBe(0);
    for (const text of [CANARY, IMPORTED]) {
      expect(findTraces([place.data, `${place.data}.signer`, temporary, join(place.path, 'backups')], text)).toEqual(
        [],
      );
    }
    expect(server.log()).not.toMatch(/Zaphira|Quillborough|Thornwick|15550100123/);
    // The search for traces can find: the export holds them, packed and plain.
    expect(findTraces([place.path], IMPORTED)).toContain(join(place.path, 'backup.xml'));
  });

  it('can be read nowhere when the server is killed in the middle of it all', { timeout: 180_000 }, async () => {
    const own = await makePlace('secrecy-kill');
    const ownTemporary = join(own.path, 'tmp');
    await mkdir(ownTemporary);
    const env = { TMPDIR: ownTemporary };
    const searched = [own.data, `${own.data}.signer`, ownTemporary];
    const { apiKey } = await runJson<{ apiKey: string }>(['init', '--data', own.data, '--name', 'Kill'], env);
    let server = await serve(own.data, { env });
    const add = (name: string, secret: string): Promise<{ id: string; hookUrl: string }> =>
      runJson(['source', 'add', 'twilio', '--data', own.data, '--name', name, '--secret', secret], env);
    const good = await add('good', AUTH_TOKEN);
    const wrong = await add('wrong', 'a wrong secret, so that the ring fills');
    let acknowledged = 0;
    const send = async (index: number): Promise<void> => {
      const fields = inboundFields(`SM${String(index).padStart(32, '0')}`, `${CANARY} ${index}`);
      const answer = await fetch(good.hookUrl, signedForm(good.hookUrl, fields)).catch(() => undefined);
      if (answer?.status === 200) acknowledged += 1;
      await fetch(wrong.hookUrl, signedForm(wrong.hookUrl, fields)).catch(() => undefined);
    };
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const medium = {
      base64: Buffer.from(CANARY).toString('base64'),
      mimeType: 'text/plain',
      fileName: `${CANARY}.txt`,
    };
    const data = {
      ...{ id: 'm1', channel: 'chat', direction: 'inbound', text: CANARY, media: [medium] },
      ...{ from: { address: 'ann' }, to: [{ address: 'shop' }] },
    };
    const event = JSON.stringify({ type: 'message.created', timestamp: '2026-11-22T10:00:00Z', data });
    expect((await fetch(`${server.url}/api/v1/records`, { method: 'POST', headers, body: event })).status).toBe(200);
    const numbers = Array.from({ length: 240 }, (_, index) => index);
    await inParallel(numbers.slice(0, 60), 16, send);
    const search = (): Promise<Response> => fetch(`${server.url}/api/v1/messages?q=Quillborough`, { headers });
    expect((await search()).status).toBe(200);

    const exporting = runCli(['export', '--data', own.data, '--out', join(own.path, 'killed.zip')], env);
    const sending = inParallel(numbers.slice(60), 16, send);
    const searching = inParallel(numbers.slice(0, 50), 2, async () => void (await search().catch(() => undefined)));
    await until('half of it is under way', async () => acknowledged > 90);
    expect(findTraces([...searched, ...openFiles(server.process.pid)], CANARY)).toEqual([]);
    await server.kill();
    await Promise.all([exporting, sending, searching]);
    expect(findTraces(searched, CANARY)).toEqual([]);

    server = await serve(own.data, { env, port: server.port });
    const found = async (): Promise<number> => ((await (await search()).json()) as MessagePage).total;
    await until('all that was acknowledged is found', async () => (await found()) >= acknowledged);
    expect(findTraces(searched, CANARY)).toEqual([]);
    const ring = readdirSync(own.data, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/ring/'));
    expect(ring.length).toBeGreaterThan(1);
    expect(await server.stop()).toBe(0);
    expect(findTraces(searched, CANARY)).toEqual([]);
    expect(server.log()).not.toMatch(/Zaphira|Quillborough|15550100123/);
    await own.remove();
  });

  it('holds no card security code, not even in quarantine', { timeout: 120_000 }, async () => {
    const server = await serve(place.data);
    const source = await runJson<{ id: string; hookUrl: string }>([
      'source',
      'add',
      'twilio',
      '--data',
      place.data,
      '--name',
      'c',
      '--secret',
      AUTH_TOKEN,
    ]);
    const said = 'my card is 4111 1111 1111 1111, cvv 737, thanks';
    const fields = inboundFields('SM00000000000000000000000000000abd', said);
    expect((await fetch(source.hookUrl, signedForm(source.hookUrl, fields))).status).toBe(200);
    // Badly signed: it waits in memory, and nothing of it is written.
    const forged = signedForm(source.hookUrl, fields, 'a wrong secret');
    expect((await fetch(source.hookUrl, forged)).status).toBe(403);
    const header = { ...signedForm(source.hookUrl, { a: 'b' }, 'x'), headers: { 'x-note': 'my cvv is 737' } };
    expect((await fetch(source.hookUrl, header)).status).toBe(403);
    const listed = await runJson<{ id: string; badSignatures: { waiting: number } }[]>([
      ...['source', 'list', '--data', place.data],
    ]);
    expect(listed.find((one) => one.id === source.id)?.badSignatures.waiting).toBe(2);
    const written = readdirSync(place.data, { recursive: true, encoding: 'utf8' });
    expect(written.filter((name) => name.includes(`ring/${source.id}`))).toEqual([]);
    // Signed, but saying nothing a connector can read: quarantine.
    const odd = { Nonsense: 'cvv 737', Note: said };
    expect((await fetch(source.hookUrl, signedForm(source.hookUrl, odd))).status).toBe(200);
    await until(
      'the message can be found',
      async () => (await runJson<MessagePage>(['search', 'thanks', '--data', place.data])).total === 1,
    );
    const page = await runJson<MessagePage>(['search', 'thanks', '--data', place.data]);
    const text = page.items[0]?.text ?? '';
    expect(text).not.toMatch(/737/);
    expect(text).not.toMatch(/4111 1111 1111 1111/);
    expect(text).toMatch(/1111/);
    const detail = await runJson<{
      history: { raw: { body: string; guarded?: Record<string, number>; headers: [string, string][] } }[];
    }>(['show', page.items[0]?.id ?? '', '--data', place.data]);
    const raw = detail.history[0]?.raw;
    expect(raw?.guarded).toMatchObject({ 'card-security-code': 1, 'card-number': 1 });
    expect(raw?.body).not.toMatch(/737/);
    expect(raw?.headers.map(([name]) => name.toLowerCase())).not.toContain('x-twilio-signature');
    expect(await server.stop()).toBe(0);
  });
});
