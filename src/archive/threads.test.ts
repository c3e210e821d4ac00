import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { EventBody } from '../model/event.ts';
import { receiptInstant } from '../model/time.ts';
import { initHouse, openHouse } from './house.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import type { RecordDraft } from './recorder.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-threads-'));
afterAll(() => rm(place, { recursive: true, force: true }));

function draft(id: string, body: EventBody, dedupe: string): RecordDraft {
  return {
    actor: SYSTEM_ACTOR,
    capturedAtMs: 1_700_000_000_000,
    event: {
      target: { platform: 'p', account: 'a', id },
      occurredAt: receiptInstant(1_700_000_000_000),
      dedupe,
      ...body,
    },
  };
}

describe('the follower', () => {
  // Found by an end-to-end test that hung: state rows were reported before anybody could answer for them.
  it('catches up after a start with states still to be written, every time', { timeout: 60_000 }, async () => {
    const directory = join(place, 'data');
    await initHouse({ directory, name: 'Follow' });
    for (let round = 0; round < 5; round += 1) {
      const house = await openHouse({ directory });
      const id = `m${round}`;
      await house.archive.record([
        draft(id, { kind: 'message.status', state: 'sent', rawState: 'sent' }, `sent|${id}`),
        draft(id, { kind: 'message.status', state: 'delivered', rawState: 'delivered' }, `delivered|${id}`),
      ]);
      // Closed at once, so that the follower has the rest to do at the next start.
      await house.close();
      const again = await openHouse({ directory });
      expect(await again.archive.reachIndex()).toBe(await again.archive.size());
      await again.close();
    }
  });
});
