import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

import { afterAll, describe, expect, it } from 'vitest';

import type { Envelope } from '../model/envelope.ts';
import type { SourceId } from '../model/ids.ts';
import { generateHpkeKeyPair } from '../vault/hpke.ts';
import { LIMITS } from './limits.ts';
import { openRing } from './ring.ts';
import type { Ring } from './ring.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-ring-'));
afterAll(() => rm(place, { recursive: true, force: true }));

const SOURCE = 'src_1' as SourceId;
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
    for (const [index, text] of ['a', 'b', 'c'].entries()) await ring.put(SOURCE, envelope(text, index * 1000), false);
    await ring.put(SOURCE, envelope('card', 5000), true);
    expect(await drain(ring, (text) => text === 'b' || text === 'card')).toEqual(['a', 'b', 'c', 'card']);
    expect(await ring.count(SOURCE)).toEqual({ refused: 4, waiting: 2 });
    // After a start it is as it was, but for what was never to be durable.
    expect(await drain(open('order'))).toEqual(['a', 'c']);
    expect(await readdir(join(place, 'order', SOURCE))).toEqual([]);
  });

  it('holds so many and no more, and forgets the oldest', async () => {
    const ring = open('many');
    for (let index = 0; index < LIMITS.ringEnvelopesMax + 5; index += 1)
      await ring.put(SOURCE, envelope(String(index), index * 1000), false);
    const kept = await drain(ring);
    expect(kept).toHaveLength(LIMITS.ringEnvelopesMax);
    expect(kept[0]).toBe('5');
  });

  it('holds so many bytes and no more, in files and in memory', async () => {
    const ring = open('bytes');
    const large = randomBytes(LIMITS.hookBodyBytesMax);
    for (let index = 0; index < 6; index += 1) {
      expect(await ring.put(SOURCE, envelope(large, index * 1000), false)).toBe('kept');
      expect(await ring.put(SOURCE, envelope(large, 100_000 + index * 1000), true)).toBe('kept');
    }
    const { waiting } = await ring.count(SOURCE);
    // Base64 makes a third more of what lies in files.
    expect(waiting).toBe(2 + 3);
  });

  it('only counts what a flood sends above the rate', async () => {
    const ring = open('flood');
    const outcomes = [];
    for (let index = 0; index < 50; index += 1) outcomes.push(await ring.put(SOURCE, envelope('x', 10), false));
    expect(outcomes.filter((outcome) => outcome === 'kept')).toHaveLength(LIMITS.ringPerSecondMax);
    const big = Buffer.alloc(LIMITS.ringBytesPerSecondMax - 1);
    expect(await ring.put(SOURCE, envelope(big, 5000), false)).toBe('kept');
    expect(await ring.put(SOURCE, envelope(big, 5001), false)).toBe('counted');
    expect(await ring.count(SOURCE)).toEqual({ refused: 52, waiting: LIMITS.ringPerSecondMax + 1 });
  });

  it('shows nothing of what it holds on the disk', async () => {
    const ring = open('sealed');
    await ring.put(SOURCE, envelope('a sentence nobody may read', 0), false);
    const [name = ''] = await readdir(join(place, 'sealed', SOURCE));
    expect((await readFile(join(place, 'sealed', SOURCE, name))).includes('sentence')).toBe(false);
  });
});
