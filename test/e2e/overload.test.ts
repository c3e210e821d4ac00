/** A crowd of large bodies is told to come again; whoever comes later is served. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { afterAll, describe, expect, it } from 'vitest';

import { startServer } from '../../src/api/server.ts';
import { openService } from '../../src/api/service.ts';
import { initHouse } from '../../src/archive/house.ts';
import { readSettings } from '../../src/settings.ts';
import { makePlace, until } from '../support/cli.ts';

const place = await makePlace('overload');
afterAll(() => place.remove());

const LARGE = 10 * 1024 * 1024;

describe('hooks', () => {
  it('take no more bodies at once than memory allows', { timeout: 180_000 }, async () => {
    await initHouse({ directory: place.data, name: 'Overload' });
    const service = await openService(readSettings({ CARTULARY_LISTEN: '127.0.0.1:0' }, { data: place.data }));
    const server = await startServer(service);
    const url = `${server.url}/hooks/src_${'0'.repeat(32)}`;
    const small = (): Promise<Response> => fetch(url, { method: 'POST', body: 'x' });
    const slow: Socket[] = [];
    try {
      expect((await small()).status).toBe(404);
      // Each announces a large body and sends nothing of it.
      for (let index = 0; index < 12; index += 1) {
        const socket = connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => undefined);
        socket.write(`POST ${new URL(url).pathname} HTTP/1.1\r\nhost: x\r\ncontent-length: ${LARGE}\r\n\r\n`);
        slow.push(socket);
      }
      let refused: Response | undefined;
      await until('a further body is refused', async () => {
        refused = await fetch(url, { method: 'POST', body: Buffer.alloc(LARGE) }).catch(() => undefined);
        return refused?.status === 503;
      });
      expect(refused?.headers.get('retry-after')).toBe('2');
      for (const socket of slow) socket.destroy();
      await until('there is room again', async () => (await small()).status === 404);
    } finally {
      for (const socket of slow) socket.destroy();
      await server.close();
      await service.close();
    }
  });
});
