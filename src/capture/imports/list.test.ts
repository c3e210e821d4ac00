import { describe, expect, it } from 'vitest';

import { findImporter, IMPORTERS } from './list.ts';
import { readItems } from './testing/read-items.ts';

describe('importers', () => {
  it('are found by name', () => {
    expect(IMPORTERS.map(({ name }) => name)).toEqual(['sms-backup', 'jsonl']);
    expect(findImporter('jsonl')?.name).toBe('jsonl');
    expect(findImporter('msgstore')).toBeUndefined();
  });

  it('jsonl reads events of the published schema, with account and region as given', async () => {
    const importer = findImporter('jsonl');
    if (importer === undefined) throw new Error('no importer');
    const event = {
      type: 'message.created',
      timestamp: '2026-11-22T12:00:00Z',
      data: { id: 'm1', channel: 'sms', direction: 'inbound', from: '030 123456', to: ['12345'], text: 'Hello' },
    };
    const lines = [
      JSON.stringify(event),
      JSON.stringify({ ...event, timestamp: 'soon' }),
      JSON.stringify({ events: [event, event] }),
    ];
    const items = await readItems(importer, lines.join('\n'), { account: 'shop-1', region: 'DE' });
    expect(items.map(({ kind }) => kind)).toEqual(['event', 'rejected', 'event']);
    expect(items[0]).toMatchObject({
      part: {
        events: [
          {
            kind: 'message.created',
            target: { platform: 'standard-webhooks', account: 'shop-1', id: 'm1' },
            content: { from: { address: { scheme: 'e164', value: '+4930123456' } } },
          },
        ],
      },
    });
    expect(items[1]).toMatchObject({ position: 2, reason: expect.stringContaining('timestamp') });
    expect(JSON.stringify(items[1])).not.toContain('soon');
    expect(items[2]).toMatchObject({ part: { events: [{ target: { id: 'm1' } }, { target: { id: 'm1' } }] } });
  });
});
