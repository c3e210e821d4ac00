/** Old messages in, evidence out: imports repeat without duplicates, and an exported bundle goes into another archive. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, describe, expect, it } from 'vitest';
import yauzl from 'yauzl';

import type { MessageDetail, MessagePage } from '../../src/archive/views.ts';
import { makePlace, runCli, runJson } from '../support/cli.ts';

const place = await makePlace('import');
afterAll(() => place.remove());
const SAMPLE = fileURLToPath(new URL('../data/sms-backup-surrogates/sms.xml', import.meta.url));
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

type Report = {
  read: number;
  sealed: number;
  duplicates: number;
  rejected: { position: number; reason: string }[];
  media: number;
};

async function readEntry(zip: string, name: string): Promise<Buffer> {
  const file = await promisify<string, yauzl.Options, yauzl.ZipFile>(yauzl.open)(zip, { lazyEntries: true });
  return new Promise((resolve, reject) => {
    file.on('entry', (entry: yauzl.Entry) => {
      if (entry.fileName !== name) return file.readEntry();
      file.openReadStream(entry, (cause, stream) => {
        if (cause !== null || stream === undefined) return reject(cause ?? new Error('no stream'));
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
      });
    });
    file.on('end', () => reject(new Error(`no entry ${name}`)));
    file.readEntry();
  });
}

describe('SMS Backup & Restore', () => {
  it('is imported with its emoji, twice without duplicates', { timeout: 60_000 }, async () => {
    await runJson(['init', '--data', place.data, '--name', 'Import']);
    expect(await runJson<Report>(['import', 'sms-backup', SAMPLE, '--data', place.data])).toMatchObject({
      read: 4,
      sealed: 4,
      duplicates: 0,
      rejected: [],
    });
    expect(await runJson<Report>(['import', 'sms-backup', SAMPLE, '--data', place.data])).toMatchObject({
      read: 4,
      sealed: 0,
      duplicates: 4,
    });
    const page = await runJson<MessagePage>(['search', '👌', '--data', place.data]);
    expect(page.items.map((item) => [item.text, item.direction])).toEqual([['Yup 👌', 'outbound']]);
  });

  it('keeps pictures of an MMS, and lists what is bad', { timeout: 60_000 }, async () => {
    const xml = `<?xml version='1.0'?><smses count="2"><mms date="1700000000000" msg_box="1" address="+15550100123" m_type="132" sub="null"><parts><part seq="0" ct="image/png" cl="a.png" data="${PNG}"/><part seq="1" ct="text/plain" text="look at this"/></parts><addrs><addr address="+15550100123" type="137"/><addr address="+15550100100" type="151"/></addrs></mms><sms address="+15550100123" date="not a date" type="1" body="bad"/></smses>`;
    const path = join(place.path, 'mms.xml');
    await writeFile(path, xml);
    const { code, stdout } = await runCli(['import', 'sms-backup', path, '--data', place.data, '--json']);
    const report = JSON.parse(stdout) as Report;
    expect(code).toBe(1);
    expect(report).toMatchObject({ read: 2, sealed: 1, media: 1 });
    expect(report.rejected).toHaveLength(1);
    const page = await runJson<MessagePage>(['search', '"look at this"', '--data', place.data]);
    const media = page.items[0]?.parts.find((part) => part.kind === 'media');
    expect(media).toMatchObject({ state: 'stored', mime: 'image/png', bytes: Buffer.from(PNG, 'base64').length });
  });

  it('refuses entities', { timeout: 60_000 }, async () => {
    const path = join(place.path, 'bomb.xml');
    await writeFile(
      path,
      `<!DOCTYPE smses [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><smses><sms address="1" date="1" type="1" body="&b;"/></smses>`,
    );
    const { code, stdout } = await runCli(['import', 'sms-backup', path, '--data', place.data, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ sealed: 0 });
  });
});

describe('a bundle', () => {
  it('is verified offline, refused when a byte is changed, and imported elsewhere', { timeout: 120_000 }, async () => {
    const house = JSON.parse(await readFile(join(place.data, 'cartulary.json'), 'utf8')) as {
      archives: { id: string }[];
    };
    const logKey = (
      await readFile(join(place.data, 'archives', house.archives[0]?.id ?? '', 'log', 'vkey'), 'utf8')
    ).trim();
    const bundle = join(place.path, 'bundle.zip');
    expect(await runJson(['export', '--data', place.data, '--out', bundle])).toMatchObject({ messages: 5, media: 1 });
    expect(await runJson(['verify', '--bundle', bundle, '--log-key', logKey])).toMatchObject({
      ok: true,
      messages: 5,
      media: 1,
    });
    const kept = await readFile(bundle);
    const second = await runCli(['export', '--data', place.data, '--out', bundle]);
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('is there already') as string]);
    expect(await readFile(bundle)).toEqual(kept);
    // Every so often a byte, since some of a ZIP's own say nothing of what is in it.
    const bytes = await readFile(bundle);
    for (let at = 50; at < bytes.length; at += 101) bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(join(place.path, 'forged.zip'), bytes);
    expect(
      (await runCli(['verify', '--bundle', join(place.path, 'forged.zip'), '--log-key', logKey, '--json'])).code,
    ).toBe(1);

    const other = join(place.path, 'other');
    await runJson(['init', '--data', other, '--name', 'Other']);
    await writeFile(join(place.path, 'records.jsonl'), await readEntry(bundle, 'records.jsonl'));
    await runCli(['import', 'jsonl', join(place.path, 'records.jsonl'), '--data', other, '--json']);
    const page = await runJson<MessagePage>(['search', '👌', '--data', other]);
    expect(page.total).toBe(1);
    const again = await runCli(['import', 'jsonl', join(place.path, 'records.jsonl'), '--data', other, '--json']);
    expect((JSON.parse(again.stdout) as Report).sealed).toBe(0);
  });

  it('each message has its proof and its history', { timeout: 60_000 }, async () => {
    const page = await runJson<MessagePage>(['search', '👌', '--data', place.data]);
    const id = page.items[0]?.id ?? '';
    const detail = await runJson<MessageDetail>(['show', id, '--data', place.data]);
    expect(detail.history).not.toEqual([]);
    const { proofs } = await runJson<{ proofs: { leafIndex: number; file: string }[] }>([
      'proof',
      id,
      '--data',
      place.data,
    ]);
    expect(proofs.map((proof) => proof.leafIndex)).toEqual(detail.history.map((entry) => entry.leafIndex));
    expect(proofs[0]?.file).toMatch(/^c2sp\.org\/tlog-proof@v1\n/);
  });
});
