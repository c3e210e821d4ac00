import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import type { SourceId } from '../model/ids.ts';
import { generateHpkeKeyPair } from '../vault/hpke.ts';
import { openSpool } from './spool.ts';
import type { Spool, SpooledEnvelope } from './spool.ts';
import { encodeFrame, spoolKeysOf } from './spool-file.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-spool-'));
afterAll(() => rm(place, { recursive: true, force: true }));

const pair = generateHpkeKeyPair();
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
    .drain(async ({ envelope }) => {
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
    const spool = await openSpool(directory, pair);
    await Promise.all(['a', 'b', 'c'].map((text, at) => spool.put(one(text, 3000 - at))));
    expect(spool.state()).toMatchObject({ envelopes: 3, oldestMs: 2998, damaged: 0 });
    const again = await openSpool(directory, pair);
    expect(again.state()).toEqual(spool.state());
    const seen: SpooledEnvelope[] = [];
    expect(await again.drain(async (spooled) => void seen.push(spooled))).toBe(3);
    expect(seen[0]).toEqual({ ...one('a', 3000), envelope: { ...one('a', 3000).envelope } });
    expect(again.state()).toMatchObject({ envelopes: 0, bytes: 0, oldestMs: undefined });
    expect(await readdir(directory)).toEqual([]);
    await again.put(one('d'));
    expect(await drainTexts(again)).toEqual(['d']);
  });

  it('shows nothing of a text to whoever has the disk', async () => {
    const directory = join(place, 'sealed');
    const spool = await openSpool(directory, pair);
    await spool.put(one('walrus in the parcel'));
    for (const name of await readdir(directory))
      expect((await readFile(join(directory, name))).toString('latin1')).not.toMatch(/walrus|twilio|hooks/);
  });

  it('keeps what cannot be filed now, and stops asking where the database is away', async () => {
    const directory = join(place, 'away');
    const spool = await openSpool(directory, pair);
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
    const spool = await openSpool(directory, pair);
    await spool.put(one('a'));
    await spool.put(one('b'));
    await spool.close();
    const [name] = await readdir(directory);
    const path = join(directory, String(name));
    const frame = encodeFrame(spoolKeysOf(pair), [one('c')]);
    await appendFile(path, frame);
    await truncate(path, (await readFile(path)).length - 1);
    const again = await openSpool(directory, pair);
    expect(again.state().envelopes).toBe(2);
    expect(await drainTexts(again)).toEqual(['a', 'b']);
  });

  it('takes nothing that somebody else has sealed or changed, puts it aside, and files the rest', async () => {
    const directory = join(place, 'forged');
    const spool = await openSpool(directory, pair);
    await spool.put(one('a'));
    await spool.close();
    const path = join(directory, '000000000002.spool');
    // The public key is known to many, the other half is not.
    const forger = { pair: { ...generateHpkeKeyPair(), publicKey: pair.publicKey }, mac: new Uint8Array(32) };
    await writeFile(
      path,
      Buffer.concat([encodeFrame(forger, [one('forged')]), encodeFrame(spoolKeysOf(pair), [one('b')])]),
    );
    const flipped = Buffer.from(encodeFrame(spoolKeysOf(pair), [one('c')]));
    flipped[60] = (flipped[60] ?? 0) ^ 1;
    await writeFile(join(directory, '000000000003.spool'), flipped);
    const again = await openSpool(directory, pair);
    expect(await drainTexts(again)).toEqual(['a', 'b']);
    expect(again.state()).toMatchObject({ envelopes: 0, damaged: 2 });
    expect((await readdir(directory)).sort()).toEqual(['000000000002.spool.damaged', '000000000003.spool.damaged']);
    expect((await openSpool(directory, pair)).state().damaged).toBe(2);
  });

  it('takes no more than it may hold, and takes it again when there is room', async () => {
    const spool = await openSpool(join(place, 'full'), pair, 2000);
    await spool.put(one('a'.repeat(500)));
    await expect(spool.put(one('b'.repeat(1000)))).rejects.toMatchObject({ code: 'too-large' });
    expect(await drainTexts(spool)).toHaveLength(1);
    await spool.put(one('b'.repeat(500)));
    expect(await drainTexts(spool)).toHaveLength(1);
  });
});
