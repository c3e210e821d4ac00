/** The demo as a newcomer sees it: a living archive, with media and fetched texts. */
import { afterAll, describe, expect, it } from 'vitest';

import { startServer } from '../../src/api/server.ts';
import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import { workJobs } from '../../src/capture/work.ts';
import { initHouse } from '../../src/archive/house.ts';
import { runDemo, startTwilioStandIn } from '../../src/demo/run.ts';
import { readSettings } from '../../src/settings.ts';
import { freePort, makePlace, until } from '../support/cli.ts';

const place = await makePlace('demo');
afterAll(() => place.remove());
const CALLER = { kind: 'local', user: 'test' } as const;

/** Page by page, since the total is "at least" where counting takes longer than a search may. */
async function countByPages({ archive }: Service): Promise<number> {
  let count = 0;
  let cursor: string | undefined;
  do {
    const page = await archive.search(CALLER, { q: '', limit: 50, ...(cursor === undefined ? {} : { cursor }) });
    count += page.items.length;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return count;
}

describe('the demo', () => {
  it(
    'plays a shop: signed messages, media through a redirect, texts fetched, card data guarded, forgeries refused',
    { timeout: 90_000 },
    async () => {
      const settings = readSettings(
        {},
        { data: place.data, listen: `127.0.0.1:${await freePort()}`, logLevel: 'silent' },
      );
      await initHouse({ directory: place.data, name: 'Demo' });
      const standIn = await startTwilioStandIn();
      const service = await openService(settings, { allowPrivate: [standIn] });
      const server = await startServer(service);
      const stop = new AbortController();
      const said: string[] = [];
      const demo = runDemo({
        standIn,
        service,
        hooksUrl: server.hooksUrl,
        signal: stop.signal,
        say: (text) => said.push(text),
        backlog: 300,
        seed: 7,
      });
      const search = (q: string) => service.archive.search(CALLER, { q, limit: 50 });
      try {
        await until('the backlog is played', async () => said.some((text) => text.startsWith('Now try')), 60);
        await workJobs(service.work);
        await service.archive.reachIndex();
        expect(await countByPages(service)).toBeGreaterThanOrEqual(300);
        const outbound = await search('direction:outbound');
        expect(outbound.total).toBeGreaterThan(50);
        expect(outbound.items.filter((item) => item.contentState === 'not-captured').length).toBeLessThanOrEqual(1);
        expect((await search('type:optout.request')).total).toBeGreaterThan(0);
        await until('pictures are stored', async () => {
          await workJobs(service.work);
          await service.archive.reachIndex();
          return (await search('has:media')).items.some((item) => item.parts.some((part) => part.state === 'stored'));
        });
        const [card] = (await search('cvv')).items;
        if (card !== undefined) expect(card.text).not.toMatch(/737|4111 1111 1111/);
        expect(await service.archive.verify(CALLER, {})).toMatchObject({ ok: true, faults: [] });
      } finally {
        stop.abort();
        await demo.catch(() => undefined);
        await server.close();
        await service.close();
        await standIn.close();
      }
    },
  );
});
