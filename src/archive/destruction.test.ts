import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { receiptInstant } from '../model/time.ts';
import { initHouse, openHouse } from './house.ts';
import { SYSTEM_ACTOR } from './recorder.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-destruction-'));
afterAll(() => rm(place, { recursive: true, force: true }));
const CALLER = { kind: 'local', user: 'test' } as const;

// It stands in the index under the time of its event, months before it was captured.
it('a destroyed message without a time of sending leaves the index, too', { timeout: 60_000 }, async () => {
  const directory = join(place, 'data');
  await initHouse({ directory, name: 'Destroy' });
  const house = await openHouse({ directory });
  const { archive } = house;
  try {
    const customer = { kind: 'customer', address: { scheme: 'e164', value: '+14155550100' } } as const;
    const shop = { kind: 'shop', role: 'to', address: { scheme: 'e164', value: '+14155550101' } } as const;
    const [outcome] = await archive.record([
      {
        actor: SYSTEM_ACTOR,
        capturedAtMs: 1_700_000_000_000,
        event: {
          kind: 'message.created',
          target: { platform: 'p', account: 'a', id: 'm1' },
          occurredAt: { ...receiptInstant(1_600_000_000_000), origin: 'provider' },
          dedupe: 'created|m1',
          content: {
            channel: 'sms',
            direction: 'inbound',
            directionBasis: 'provider',
            from: customer,
            to: [shop],
            thread: ['t'],
            threadKind: 'direct',
            body: { text: 'a secret kettle', format: 'plain' },
            parts: [],
            contentState: 'present',
            origin: 'unknown',
          },
        },
      },
    ]);
    if (outcome?.status !== 'stored') throw new Error('it was not stored');
    await archive.reachIndex();
    expect((await archive.search(CALLER, { q: 'kettle', limit: 10 })).total).toBe(1);
    await archive.destroyMessage(outcome.messageId, 'test');
    await archive.reachIndex();
    expect((await archive.search(CALLER, { q: 'kettle', limit: 10 })).total).toBe(0);
    expect(await archive.threads.read.call('compare', { followed: 0 })).toMatchObject({ extraCount: 0 });
  } finally {
    await house.close();
  }
});
