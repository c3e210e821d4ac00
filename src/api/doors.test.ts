/** Doors: as many are let in as come, at one address that nobody else has. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { freePort } from '../../test/support/cli.ts';
import { CAN_SHARE, openDoors, probeAddress } from './doors.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server with doors beside it, as the product has them. */
async function openHouse(port: number): Promise<void> {
  const server = createServer((_request, response) => response.end('in'));
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port, reusePort: true }, resolve));
  ends.push(() => new Promise((resolve) => server.close(resolve)));
  ends.push(
    await openDoors({ host: '127.0.0.1', port }, { backlog: 64, isTls: false }, (socket) =>
      server.emit('connection', socket),
    ),
  );
}

/** Asks over a connection of its own. */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (data) => (text += String(data)));
    socket.on('close', () => resolve(text)).on('error', reject);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  });
}

describe('an address that is wanted', () => {
  it('is told with its port where any will do', async () => {
    const { port } = await probeAddress({ host: '127.0.0.1', port: 0 });
    expect(port).toBeGreaterThan(0);
  });

  it('is refused where anybody listens there, alone or with doors', async () => {
    const alone = createServer();
    await new Promise<void>((resolve) => alone.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => alone.close(resolve)));
    const { port } = alone.address() as AddressInfo;
    await expect(probeAddress({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.skipIf(!CAN_SHARE)('is refused where a house with doors stands', async () => {
    const port = await freePort();
    await openHouse(port);
    await expect(probeAddress({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe.skipIf(!CAN_SHARE)('doors', () => {
  it('let everybody in, and nobody when they are closed', async () => {
    const port = await freePort();
    await openHouse(port);
    const answers = await Promise.all(Array.from({ length: 300 }, () => ask(port)));
    expect(answers.filter((text) => text.endsWith('in'))).toHaveLength(300);
    for (const end of ends.splice(0).reverse()) await end();
    await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('open all or none', async () => {
    const alone = createServer();
    await new Promise<void>((resolve) => alone.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => alone.close(resolve)));
    const { port } = alone.address() as AddressInfo;
    await expect(
      openDoors({ host: '127.0.0.1', port }, { backlog: 64, isTls: false }, (socket) => socket.destroy()),
    ).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});
