import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import type { SourceId } from '../model/ids.ts';
import { sha256 } from '../vault/hash.ts';
import { generateHpkeKeyPair } from '../vault/hpke.ts';
import { fileFrames, openSpool } from './spool.ts';
import type { Spool, SpooledEnvelope } from './spool.ts';
import { encodeFrame, spoolKeysOf } from './spool-file.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-spool-'));
afterAll(() => rm(place, { recursive: true, force: true }));

const pair = generateHpkeKeyPair();
const keys = spoolKeysOf(pair);
const one = (text: string, receivedAtMs = 1000): SpooledEnvelope => ({
  source: 'src_1' as SourceId,
  envelope: {
    transport: 'webhook',
    method: 'POST',
    url: 'https://archive.example/hooks/src_1',
    headers: [['x-twilio-signature', 'good']],
    body: Buffer.from(text),
    receivedAtMs,
  },
  verdict: { scheme: 'twilio', result: 'valid', key: 0 },
  findings: { 'card-number': 1 },
});

async function drainTexts(spool: Spool, refuse: (text: string) => unknown = () => undefined): Promise<string[]> {
  const texts: string[] = [];
  await spool
    .drain(keys, async ({ envelope }) => {
      const text = Buffer.from(envelope.body).toString();
      const cause = refuse(text);
      if (cause !== undefined) throw cause;
      texts.push(text);
    })
    .catch(() => undefined);
  return texts.sort();
}

describe('the spool', () => {
  it('gives back all that it kept, as it came, after a restart as well, and is empty then', async () => {
    const directory = join(place, 'kept');
    const spool = await openSpool(directory, keys);
    await Promise.all(['a', 'b', 'c'].map((text, at) => spool.put(one(text, 3000 - at))));
    expect(spool.state()).toMatchObject({ envelopes: 3, oldestMs: 2998, damaged: 0 });
    const again = await openSpool(directory, keys);
    expect(again.state()).toEqual(spool.state());
    const seen: SpooledEnvelope[] = [];
    expect(await again.drain(keys, async (spooled) => void seen.push(spooled))).toBe(3);
    expect(seen[0]).toEqual({ ...one('a', 3000), envelope: { ...one('a', 3000).envelope } });
    expect(again.state()).toMatchObject({ envelopes: 0, bytes: 0, oldestMs: undefined });
    expect(await readdir(directory)).toEqual([]);
    await again.put(one('d'));
    expect(await drainTexts(again)).toEqual(['d']);
  });

  it('shows nothing of a text to whoever has the disk', async () => {
    const directory = join(place, 'sealed');
    const spool = await openSpool(directory, keys);
    await spool.put(one('walrus in the parcel'));
    for (const name of await readdir(directory))
      expect((await readFile(join(directory, name))).toString('latin1')).not.toMatch(/walrus|twilio|hooks/);
  });

  it('keeps what cannot be filed now, and stops asking where the database is away', async () => {
    const directory = join(place, 'away');
    const spool = await openSpool(directory, keys);
    for (const text of ['a', 'b', 'c']) {
      await spool.put(one(text));
      await drainTexts(spool, () => new CartularyError('database-away', 'x'));
    }
    expect(await readdir(directory)).toHaveLength(3);
    let asked = 0;
    await drainTexts(spool, () => {
      asked += 1;
      return new CartularyError('database-away', 'x');
    });
    expect(asked).toBe(1);
    // One that fails by itself keeps no other waiting.
    expect(await drainTexts(spool, (text) => (text === 'b' ? new Error('no') : undefined))).toEqual(['a', 'c']);
    expect(spool.state().envelopes).toBe(1);
    expect(await drainTexts(spool)).toEqual(['b']);
  });

  it('loses nothing that was durable to what a crash left half written', async () => {
    const directory = join(place, 'torn');
    const spool = await openSpool(directory, keys);
    await spool.put(one('a'));
    await spool.put(one('b'));
    await spool.close();
    const [name] = await readdir(directory);
    const path = join(directory, String(name));
    const frame = encodeFrame(keys, [one('c')]);
    await appendFile(path, frame);
    await truncate(path, (await readFile(path)).length - 1);
    const again = await openSpool(directory, keys);
    expect(again.state().envelopes).toBe(2);
    expect(await drainTexts(again)).toEqual(['a', 'b']);
  });

  it('takes nothing that somebody else has sealed or changed, puts it aside, and files the rest', async () => {
    const directory = join(place, 'forged');
    const spool = await openSpool(directory, keys);
    await spool.put(one('a'));
    await spool.close();
    const path = join(directory, '000000000002.spool');
    // The public key is known to many, the other half is not.
    const forger = { publicKey: pair.publicKey, mac: new Uint8Array(32) };
    await writeFile(path, Buffer.concat([encodeFrame(forger, [one('forged')]), encodeFrame(keys, [one('b')])]));
    const flipped = Buffer.from(encodeFrame(keys, [one('c')]));
    flipped[60] = (flipped[60] ?? 0) ^ 1;
    await writeFile(join(directory, '000000000003.spool'), flipped);
    const again = await openSpool(directory, keys);
    expect(await drainTexts(again)).toEqual(['a', 'b']);
    expect(again.state()).toMatchObject({ envelopes: 0, damaged: 2 });
    expect((await readdir(directory)).sort()).toEqual(['000000000002.spool.damaged', '000000000003.spool.damaged']);
    expect((await openSpool(directory, keys)).state().damaged).toBe(2);
  });

  it('is of one relay alone: what another wrote, or a node of the archive, is not taken for its own', async () => {
    const directory = join(place, 'relays');
    const spool = await openSpool(directory, spoolKeysOf(pair, 'rly_1'));
    await spool.put(one('a'));
    await spool.close();
    for (const other of [keys, spoolKeysOf(pair, 'rly_2')]) {
      const [name = ''] = await readdir(directory);
      const read = await fileFrames(other, await readFile(join(directory, name)), () =>
        Promise.reject(new Error('no')),
      );
      expect(read).toEqual({ filed: 0, outcome: 'damaged' });
    }
  });

  it('hands files out to whoever fetches them, and parts with one only when told what was fetched', async () => {
    const directory = join(place, 'fetched');
    const spool = await openSpool(directory, keys);
    await spool.put(one('a'));
    const [name = ''] = await spool.list();
    // What comes meanwhile goes into another file.
    await spool.put(one('b'));
    const file = await spool.read(name);
    const texts: string[] = [];
    const take = async ({ envelope }: SpooledEnvelope) => void texts.push(Buffer.from(envelope.body).toString());
    expect(await fileFrames(keys, file, take)).toEqual({ filed: 1, outcome: 'filed' });
    await expect(spool.settle(name, sha256(Buffer.from('other')), 'filed')).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(spool.state().envelopes).toBe(2);
    await spool.settle(name, sha256(file), 'filed');
    await expect(spool.settle(name, sha256(file), 'filed')).rejects.toMatchObject({ code: 'not-found' });
    await expect(spool.read('../spool.test.ts')).rejects.toMatchObject({ code: 'not-found' });
    const [next = ''] = await spool.list();
    await spool.settle(next, sha256(await spool.read(next)), 'damaged');
    expect(spool.state()).toMatchObject({ envelopes: 0, damaged: 1 });
    expect(await readdir(directory)).toEqual([`${next}.damaged`]);
    expect(texts).toEqual(['a']);
    await spool.close();
  });

  it('takes no more than it may hold, and takes it again when there is room', async () => {
    const spool = await openSpool(join(place, 'full'), keys, 2000);
    await spool.put(one('a'.repeat(500)));
    await expect(spool.put(one('b'.repeat(1000)))).rejects.toMatchObject({ code: 'too-large' });
    expect(await drainTexts(spool)).toHaveLength(1);
    await spool.put(one('b'.repeat(500)));
    expect(await drainTexts(spool)).toHaveLength(1);
  });
});
