import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { afterAll, describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import { receiptInstant } from '../model/time.ts';
import { checkBackup } from './check-backup.ts';
import { initHouse, openHouse } from './house.ts';
import type { House } from './house.ts';
import type { IncomingMedium } from './keep-medium.ts';
import { SYSTEM_ACTOR } from './recorder.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-medium-'));
const directory = join(place, 'data');
afterAll(() => rm(place, { recursive: true, force: true }));
await initHouse({ directory, name: 'Media' });

const CALLER = { kind: 'local', user: 'test' } as const;
const TARGET = { platform: 'p', account: 'a', id: 'm1' };
/** Media that race with a destruction at most. */
const RACE_MAX = 5000;
const AT = receiptInstant(1_700_000_000_000);

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text);
}

const blobsOf = ({ archive }: House): Promise<string[]> => Array.fromAsync(archive.blobs.list());

/** A message that waits for a medium. @param id the platform's */
async function messageOf({ archive }: House, id = 'm1') {
  const target = { ...TARGET, id };
  const customer = { kind: 'customer', address: { scheme: 'e164', value: '+14155550100' } } as const;
  const [outcome] = await archive.record([
    {
      actor: SYSTEM_ACTOR,
      capturedAtMs: AT.ms,
      event: {
        kind: 'message.created',
        target,
        occurredAt: AT,
        content: {
          channel: 'mms',
          direction: 'inbound',
          directionBasis: 'provider',
          origin: 'unknown',
          thread: ['a'],
          threadKind: 'direct',
          from: customer,
          to: [],
          parts: [{ kind: 'media', index: 0, role: 'other' }],
          contentState: 'present',
        },
      },
    },
  ]);
  const owner = outcome === undefined ? undefined : await archive.findOwner(outcome.messageId);
  if (outcome === undefined || owner === undefined) throw new Error('the message was not kept');
  const medium = (text: string): IncomingMedium => ({
    owner,
    source: bytesOf(text),
    bytesMax: 100,
    describe: async (media) => ({
      actor: SYSTEM_ACTOR,
      capturedAtMs: AT.ms,
      event: { kind: 'media.stored', part: 0, target, occurredAt: AT, dedupe: `media|${text}`, media },
    }),
  });
  return { id: outcome.messageId, medium };
}

const mediumOf = async (house: House, text: string): Promise<IncomingMedium> => (await messageOf(house)).medium(text);

describe('a medium', () => {
  it('whose record never came is no finding, and is gone after the next start', { timeout: 60_000 }, async () => {
    const house = await openHouse({ directory });
    const medium = await mediumOf(house, 'half a medium');
    const cut = house.archive.keepMedium({ ...medium, describe: () => Promise.reject(new Error('the power went')) });
    await expect(cut).rejects.toThrow('the power went');
    expect(await blobsOf(house)).toHaveLength(1);
    expect(await house.archive.verify(CALLER, {})).toMatchObject({ ok: true, faults: [] });
    await house.close();
    const again = await openHouse({ directory });
    expect(await blobsOf(again)).toEqual([]);
    expect(await again.archive.keepMedium(medium)).toMatchObject({ status: 'stored' });
    await again.close();
  });

  it('that is known already leaves nothing behind, and one on record stays', { timeout: 60_000 }, async () => {
    const house = await openHouse({ directory });
    const text = 'a whole medium';
    expect(await house.archive.keepMedium(await mediumOf(house, text))).toMatchObject({ status: 'stored' });
    const blobs = await blobsOf(house);
    expect(await house.archive.keepMedium(await mediumOf(house, text))).toMatchObject({ status: 'duplicate' });
    expect(await blobsOf(house)).toEqual(blobs);
    await house.close();
    const again = await openHouse({ directory });
    expect(await blobsOf(again)).toEqual(blobs);
    expect(await again.archive.verify(CALLER, {})).toMatchObject({ ok: true, faults: [], blobs: blobs.length });
    await again.close();
  });

  it('that comes while its message is destroyed goes with it, or is never there', { timeout: 120_000 }, async () => {
    const house = await openHouse({ directory });
    const { archive } = house;
    const before = await blobsOf(house);
    const { id, medium } = await messageOf(house, 'raced');
    const outcomes: string[] = [];
    const store = async (number: number): Promise<void> => {
      outcomes.push(
        await archive.keepMedium(medium(`raced ${number}`)).then(
          ({ status }) => status,
          (cause: unknown) => (cause instanceof CartularyError ? cause.code : 'unknown'),
        ),
      );
    };
    let number = 0;
    const racing = Array.from({ length: 4 }, async () => {
      while (outcomes.at(-1) !== 'closed' && number < RACE_MAX) await store(number++);
    });
    while (!outcomes.includes('stored')) await pause(1);
    await archive.destroyMessage(CALLER, id, 'card-security-code');
    await Promise.all(racing);
    expect(new Set(outcomes)).toEqual(new Set(['stored', 'closed']));
    expect(await blobsOf(house)).toEqual(before);
    await expect(archive.openMessage(CALLER, id)).rejects.toMatchObject({ code: 'key-destroyed' });
    expect(await archive.verify(CALLER, {})).toMatchObject({ ok: true, faults: [] });
    await house.close();
    const again = await openHouse({ directory });
    expect(await blobsOf(again)).toEqual(before);
    await again.close();
  });

  it('that is stored while a backup is made fails none, and each backup is whole', { timeout: 180_000 }, async () => {
    const house = await openHouse({ directory });
    const { archive } = house;
    const { medium } = await messageOf(house, 'busy');
    let number = 0;
    const stop = new AbortController();
    const storing = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted && number < RACE_MAX) await archive.keepMedium(medium(`busy ${number++}`));
    });
    const work = await mkdtemp(join(place, 'work-'));
    for (let round = 0; round < 2; round += 1) {
      const { path } = await archive.backup(CALLER, join(place, 'backups'), house.layout, () => undefined);
      const options = { from: path, workIn: work, rootKeyPath: house.layout.rootKey, onProgress: () => undefined };
      expect(await checkBackup(options)).toMatchObject({ ok: true, faults: [] });
    }
    stop.abort();
    await Promise.all(storing);
    expect(number).toBeGreaterThan(3);
    await house.close();
  });
});
