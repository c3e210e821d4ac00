/** What nodes settle among themselves, on a real server. */
import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestServer, whyNoServer } from '../../../test/support/postgres.ts';
import type { TestServer } from '../../../test/support/postgres.ts';
import { until } from '../../../test/support/cli.ts';
import type { NodeLink } from '../node-link.ts';
import { openPostgresLink, withoutNodes } from './node-link.ts';

const missing = whyNoServer();
let server: TestServer;
const open: NodeLink[] = [];

beforeAll(async () => {
  if (missing === undefined) server = await startTestServer();
}, 120_000);
afterAll(async () => {
  for (const link of open) await link.close();
  await server?.stop();
});

const placeOf = (archiveId: Uint8Array) => ({ url: server.url, archiveId });

async function openLinks(count: number, archiveId: Uint8Array = randomBytes(16)) {
  const links = [];
  for (let at = 0; at < count; at += 1) links.push(await openPostgresLink(placeOf(archiveId)));
  open.push(...links);
  return { archiveId, links };
}

const whoLeads = (links: readonly NodeLink[]): Promise<boolean[]> =>
  Promise.all(links.map((link) => link.leads().catch(() => false)));

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'nodes of an archive' : `skipped, nodes of an archive: ${missing}`,
  () => {
    it('have one that leads, and it keeps the lead until it goes', async () => {
      const { links } = await openLinks(3);
      const first = await whoLeads(links);
      expect(first.filter(Boolean)).toHaveLength(1);
      expect(await whoLeads(links)).toEqual(first);
      const leader = links[first.indexOf(true)];
      await leader?.close();
      const left = links.filter((link) => link !== leader);
      expect((await whoLeads(left)).filter(Boolean)).toHaveLength(1);
    });

    it('of one archive have nothing to do with those of another', async () => {
      const [one, other] = [await openLinks(1), await openLinks(1)];
      expect(await whoLeads([...one.links, ...other.links])).toEqual([true, true]);
    });

    it('have one that leads again after all connections were cut, and never two', async () => {
      const { links } = await openLinks(3);
      await whoLeads(links);
      await server.cutConnections(server.url);
      await until('one leads', async () => {
        const leading = (await whoLeads(links)).filter(Boolean).length;
        expect(leading).toBeLessThanOrEqual(1);
        return leading === 1;
      });
    });

    it('do what is done alone one after the other, and what fails in it is told as it is', async () => {
      const { links } = await openLinks(3);
      let inside = 0;
      const order: number[] = [];
      const act = (at: number) => async (): Promise<number> => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(at);
        inside -= 1;
        return at;
      };
      const turns = Array.from({ length: 4 }, (_none, round) =>
        links.map((link, at) => link.alone('sign', act(round * 3 + at))),
      ).flat();
      expect(await Promise.all(turns)).toEqual(Array.from({ length: 12 }, (_none, at) => at));
      expect(order).toHaveLength(12);
      // The disk of this machine, which is not the database's.
      const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
      await expect(links[0]?.alone('sign', () => Promise.reject(full))).rejects.toBe(full);
      expect(await links[1]?.alone('sign', act(1))).toBe(1);
    });

    it('let go of their turn where their connection is cut in the middle of it', async () => {
      const { links } = await openLinks(2);
      const [one, other] = links;
      let release: (() => void) | undefined;
      const held = one?.alone(
        'sign',
        () =>
          new Promise<string>((resolve) => {
            release = () => resolve('done');
          }),
      );
      await until('it is its turn', () => Promise.resolve(release !== undefined));
      await server.cutConnections(server.url);
      await until(
        'the other is let in',
        async () => (await other?.alone('sign', () => Promise.resolve(true)).catch(() => false)) === true,
      );
      release?.();
      await expect(held).resolves.toBe('done');
      expect(await one?.alone('sign', () => Promise.resolve(2))).toBe(2);
    });

    it('keep out who needs them all stopped, and are kept out by him', async () => {
      const { archiveId, links } = await openLinks(1);
      await expect(withoutNodes(placeOf(archiveId), () => Promise.resolve())).rejects.toMatchObject({
        code: 'data-held',
      });
      await links[0]?.close();
      await withoutNodes(placeOf(archiveId), async () => {
        await expect(openPostgresLink(placeOf(archiveId))).rejects.toMatchObject({ code: 'data-held' });
      });
      expect((await openLinks(1, archiveId)).links).toHaveLength(1);
    });
  },
);
