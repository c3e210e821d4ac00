import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

import { afterAll, describe, expect, it } from 'vitest';

import type { Envelope } from '../model/envelope.ts';
import type { SourceId } from '../model/ids.ts';
import { generateHpkeKeyPair, sealTo } from '../vault/hpke.ts';
import { LIMITS } from './limits.ts';
import { openRing } from './ring.ts';
import type { Ring } from './ring.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-ring-'));
afterAll(() => rm(place, { recursive: true, force: true }));

const SOURCE = 'src_1' as SourceId;
const OTHER = 'src_2' as SourceId;
const never = (): boolean => false;
const always = (): boolean => true;
const keys = generateHpkeKeyPair();
const open = (name: string): Ring => openRing(join(place, name), keys, (bytes) => randomBytes(bytes));
const envelope = (text: string | Buffer, receivedAtMs: number): Envelope => ({
  transport: 'webhook',
  method: 'POST',
  url: 'https://archive.example/hooks/src_1',
  headers: [['x-twilio-signature', 'forged']],
  body: Buffer.from(text),
  receivedAtMs,
});

async function drain(ring: Ring, accept: (text: string) => boolean = () => true): Promise<string[]> {
  const seen: string[] = [];
  await ring.release(SOURCE, async ({ body }) => {
    seen.push(Buffer.from(body).toString().slice(0, 20));
    return accept(Buffer.from(body).toString());
  });
  return seen;
}

describe('the ring', () => {
  it('gives back what it kept, oldest first, and only what is accepted goes', async () => {
    const ring = open('order');
    for (const [index, text] of ['a', 'b', 'c'].entries()) await ring.put(SOURCE, envelope(text, index * 1000), never);
    await ring.put(SOURCE, envelope('card', 5000), always);
    expect(await drain(ring, (text) => text === 'b' || text === 'card')).toEqual(['a', 'b', 'c', 'card']);
    expect(await ring.count(SOURCE)).toEqual({ refused: 4, waiting: 2 });
    // After a start it is as it was, but for what was never to be durable.
    expect(await drain(open('order'))).toEqual(['a', 'c']);
    expect(await readdir(join(place, 'order', SOURCE))).toEqual([]);
  });

  it('holds so many and no more, and forgets the oldest', async () => {
    const ring = open('many');
    for (let index = 0; index < LIMITS.ringEnvelopesMax + 5; index += 1)
      await ring.put(SOURCE, envelope(String(index), index * 1000), never);
    const kept = await drain(ring);
    expect(kept).toHaveLength(LIMITS.ringEnvelopesMax);
    expect(kept[0]).toBe('5');
  });

  it('holds so many bytes and no more, in files and in memory', async () => {
    const ring = open('bytes');
    const large = randomBytes(LIMITS.hookBodyBytesMax);
    for (let index = 0; index < 6; index += 1) {
      expect(await ring.put(SOURCE, envelope(large, index * 1000), never)).toBe('kept');
      expect(await ring.put(SOURCE, envelope(large, 100_000 + index * 1000), always)).toBe('kept');
    }
    const { waiting } = await ring.count(SOURCE);
    // Base64 makes a third more of what lies in files.
    expect(waiting).toBe(2 + 1);
    expect(await open('bytes').count(SOURCE)).toEqual({ refused: 0, waiting: 2 });
  });

  it('only counts what a flood sends above the rate', async () => {
    const ring = open('flood');
    const outcomes = [];
    for (let index = 0; index < 50; index += 1) outcomes.push(await ring.put(SOURCE, envelope('x', 10), never));
    expect(outcomes.filter((outcome) => outcome === 'kept')).toHaveLength(LIMITS.ringPerSecondMax);
    const big = Buffer.alloc(LIMITS.ringBytesPerSecondMax - 1);
    expect(await ring.put(SOURCE, envelope(big, 5000), never)).toBe('kept');
    expect(await ring.put(SOURCE, envelope(big, 5001), never)).toBe('counted');
    expect(await ring.count(SOURCE)).toEqual({ refused: 52, waiting: LIMITS.ringPerSecondMax + 1 });
  });

  it('shows nothing of what it holds on the disk', async () => {
    const ring = open('sealed');
    await ring.put(SOURCE, envelope('a sentence nobody may read', 0), never);
    const [name = ''] = await readdir(join(place, 'sealed', SOURCE));
    expect((await readFile(join(place, 'sealed', SOURCE, name))).includes('sentence')).toBe(false);
  });

  it.each([
    ['nothing', 'null'],
    ['no header at all', '{"transport":"webhook","method":"POST","url":"x","body":"","receivedAtMs":0}'],
    [
      'headers of another shape',
      '{"transport":"webhook","method":"POST","url":"x","headers":[[1]],"body":"","receivedAtMs":0}',
    ],
    ['no body', '{"transport":"webhook","method":"POST","url":"x","headers":[],"body":5,"receivedAtMs":0}'],
    [
      'a transport that there is not',
      '{"transport":"x","method":"POST","url":"x","headers":[],"body":"","receivedAtMs":0}',
    ],
  ])('hands out no envelope with %s, though it was sealed well', async (name, text) => {
    // Whoever can write there can seal: the key is public.
    const context = { info: Buffer.from('cartulary/ring/v1'), aad: Buffer.from(SOURCE) };
    await mkdir(join(place, name, SOURCE), { recursive: true });
    await writeFile(join(place, name, SOURCE, '000'), sealTo(keys.publicKey, context, Buffer.from(text)));
    const ring = open(name);
    expect(await ring.count(SOURCE)).toMatchObject({ waiting: 1 });
    expect(await drain(ring)).toEqual([]);
    expect(await ring.count(SOURCE)).toMatchObject({ waiting: 1 });
  });

  it('looks for card data only at what it has room and time for', async () => {
    const ring = open('looks');
    let looks = 0;
    const look = (): boolean => {
      looks += 1;
      return false;
    };
    for (let at = 0; at < 100; at += 1) await ring.put(SOURCE, envelope('x', 5000 + at), look);
    expect(looks).toBe(LIMITS.ringPerSecondMax);
  });

  it('keeps card data in memory only, bounded for each source', async () => {
    const ring = open('cards');
    await ring.put(OTHER, envelope('of another source', 1), always);
    for (let at = 1; at <= LIMITS.ringVolatileMax + 9; at += 1)
      await ring.put(SOURCE, envelope('cvv', at * 10_000), always);
    expect((await ring.count(SOURCE)).waiting).toBe(LIMITS.ringVolatileMax);
    expect(await readdir(join(place, 'cards')).catch(() => [])).toEqual([]);
    expect(await ring.release(OTHER, async () => true)).toEqual({ released: 1, kept: 0 });
    expect(await ring.release(OTHER, async () => true)).toEqual({ released: 0, kept: 0 });
  });
});
