import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it, vi } from 'vitest';

import type { EventBody } from '../model/event.ts';
import type { MessageId } from '../model/ids.ts';
import { receiptInstant } from '../model/time.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import { openLocalRoot } from '../vault/root-provider.ts';
import type { Caller } from './caller.ts';
import { destructionListPath } from './destruction-list.ts';
import { initHouse, openHouse } from './house.ts';
import type { House } from './house.ts';
import { SYSTEM_ACTOR } from './recorder.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-destroy-'));
const directory = join(place, 'data');
const person: Caller = { kind: 'local', user: 'test' };
afterAll(() => rm(place, { recursive: true, force: true }));
await initHouse({ directory, name: 'Destroy' });

const created = (text: string): EventBody => ({
  kind: 'message.created',
  content: {
    channel: 'sms',
    direction: 'inbound',
    directionBasis: 'provider',
    from: { kind: 'customer', address: { scheme: 'e164', value: '+4930123456' } },
    to: [{ kind: 'shop', address: { scheme: 'short_code', value: '12345' }, role: 'to' }],
    thread: ['12345', '+4930123456'],
    threadKind: 'direct',
    body: { text, format: 'plain' },
    parts: [],
    contentState: 'present',
    origin: 'provider-api',
  },
});

async function keep(house: House, id: string, text: string): Promise<MessageId> {
  const [outcome] = await house.archive.record([
    {
      actor: SYSTEM_ACTOR,
      capturedAtMs: 1_700_000_000_000,
      event: {
        target: { platform: 'p', account: 'a', id },
        occurredAt: receiptInstant(1_700_000_000_000),
        ...created(text),
      },
    },
  ]);
  if (outcome === undefined) throw new Error('nothing was kept');
  return outcome.messageId;
}

const count = async (house: House, q: string): Promise<number> => {
  await house.archive.reachIndex();
  return (await house.archive.search(person, { q, limit: 10 })).total;
};

/** Edits of one message while its key is destroyed, at most. */
const EDITS_MAX = 20_000;

describe('a message that is destroyed', () => {
  it(
    'is gone from the archive and the index at once, on record, and does not come back',
    { timeout: 180_000 },
    async () => {
      const house = await openHouse({ directory });
      // Destroyed before the follower has seen it: both records are in one batch of the follower.
      const id = await keep(house, 'one', 'a walrus in the picture');
      await house.archive.destroyMessage(person, id, 'card-security-code');
      expect(await count(house, 'walrus')).toBe(0);
      await expect(house.archive.openMessage(person, id)).rejects.toMatchObject({ code: 'key-destroyed' });
      await expect(house.archive.destroyMessage(person, id, 'again')).rejects.toMatchObject({ code: 'key-destroyed' });
      await keep(house, 'one', 'a walrus in the picture');
      expect(await count(house, 'walrus')).toBe(0);
      expect(await readFile(destructionListPath(house.archive.layout), 'utf8')).toContain(id);
      expect(await house.archive.finishDestructions()).toBe(0);
      const report = await house.archive.verify(person, {});
      expect(report).toMatchObject({ ok: true, destroyed: 1 });
      await house.close();
    },
  );

  it('is destroyed at the next start where the process ended in between', { timeout: 180_000 }, async () => {
    const house = await openHouse({ directory });
    const id = await keep(house, 'two', 'an ocelot in the picture');
    expect(await count(house, 'ocelot')).toBe(1);
    const { follow } = house.archive.threads;
    // The power goes before the index has followed: all that comes after does not happen.
    const cut = vi.spyOn(follow, 'call').mockRejectedValue(new Error('cut off'));
    await expect(house.archive.destroyMessage(person, id, 'card-security-code')).rejects.toThrow('cut off');
    cut.mockRestore();
    await house.close();

    const again = await openHouse({ directory });
    expect(await again.archive.finishDestructions()).toBe(1);
    expect(await again.archive.finishDestructions()).toBe(0);
    expect(await count(again, 'ocelot')).toBe(0);
    await again.close();
  });

  it(
    'stays noted while somebody reads the old pages, and is finished when he is done',
    { timeout: 180_000 },
    async () => {
      const house = await openHouse({ directory });
      const id = await keep(house, 'three', 'a lynx in the picture');
      const { layout } = house.archive;
      const root = await openLocalRoot({ path: house.layout.rootKey });
      const { databaseKey } = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
      const backup = openEncryptedDatabase(layout.database, { key: databaseKey, readonly: true, mustExist: true });
      backup.exec('BEGIN');
      backup.prepare('SELECT count(*) FROM message_key').get();
      await expect(house.archive.destroyMessage(person, id, 'card-security-code')).rejects.toMatchObject({
        code: 'overloaded',
      });
      await expect(house.archive.openMessage(person, id)).rejects.toMatchObject({ code: 'key-destroyed' });
      expect((await stat(`${layout.database}-wal`)).size).toBeGreaterThan(0);
      // Capture goes on meanwhile.
      await keep(house, 'four', 'a heron in the picture');
      backup.exec('COMMIT');
      backup.close();
      expect(await house.archive.finishDestructions()).toBe(1);
      expect(await house.archive.finishDestructions()).toBe(0);
      expect(await house.archive.verify(person, {})).toMatchObject({ ok: true, faults: [] });
      await house.close();
    },
  );

  it(
    'takes in nothing more from the moment its key is closed, whatever races with it',
    { timeout: 180_000 },
    async () => {
      const house = await openHouse({ directory });
      const { archive } = house;
      const id = await keep(house, 'five', 'a badger in the picture');
      const target = { platform: 'p', account: 'a', id: 'five' };
      const statuses = new Set<string>();
      const edit = async (index: number): Promise<void> => {
        const [outcome] = await archive.record([
          {
            actor: SYSTEM_ACTOR,
            capturedAtMs: 1_700_000_000_000 + index,
            event: {
              target,
              occurredAt: receiptInstant(1_700_000_000_000 + index),
              kind: 'message.edited',
              body: { text: `a badger again ${index}`, format: 'plain' },
            },
          },
        ]);
        statuses.add(outcome?.status ?? 'none');
      };
      let edits = 0;
      // However long the destruction takes on a busy machine, somebody edits until it is felt.
      const racing = Array.from({ length: 16 }, async () => {
        while (!statuses.has('closed') && edits < EDITS_MAX) await edit(edits++);
      });
      while (!statuses.has('stored')) await new Promise((resolve) => setTimeout(resolve, 1));
      await archive.destroyMessage(person, id, 'card-security-code');
      await Promise.all(racing);
      // Both sides of the race were there.
      expect(statuses.has('stored')).toBe(true);
      expect(statuses.size).toBeGreaterThan(1);
      expect(await count(house, 'badger')).toBe(0);
      await expect(archive.openMessage(person, id)).rejects.toMatchObject({ code: 'key-destroyed' });
      expect(await archive.verify(person, {})).toMatchObject({ ok: true, faults: [] });
      await house.close();
    },
  );
});
