/**
 * Several listening sockets on one address. An event loop accepts one connection of each in a turn, and in the same turn it reads from every connection that is open: with one
 * socket, a few hundred busy senders keep everybody else at the door for seconds, which nobody inside can see (2,000 senders: 99 of 100 answers within 8 s; with these 0.8 s).
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

import type { ListenAddress } from '../settings.ts';

/** Doors besides the server's own: connections more that are accepted in a turn. */
const DOORS = 63;

/** Can sockets share an address here, so that connections are spread over them? */
export const CAN_SHARE = process.platform === 'linux';

/**
 * Sockets that share an address share it with those of another process of the same user, too, and neither would notice: so it is taken alone first, and given back.
 * @throws Error of the system (`EADDRINUSE`, `EACCES` …) where it cannot be taken
 * @returns the address, with its port where any would do
 */
export async function probeAddress(address: ListenAddress): Promise<ListenAddress> {
  const server = await open(address, { isShared: false, isHalfOpen: false }, (socket) => socket.destroy());
  const port = portOf(server);
  await close(server);
  return { host: address.host, port };
}

/**
 * Opens doors beside a server that listens there already with `reusePort`.
 * @param options `backlog`: connections that may wait at each; `isTls`: a connection that its client has left without a word is not kept half open, since no TLS server would ever
 *   close it
 * @returns to be called when nobody shall come in any more; resolves when those who did have gone
 */
export async function openDoors(
  address: ListenAddress,
  { backlog, isTls }: { readonly backlog: number; readonly isTls: boolean },
  onConnection: (socket: Socket) => void,
): Promise<() => Promise<void>> {
  const doors: Server[] = [];
  const closeAll = async (): Promise<void> => void (await Promise.all(doors.map(close)));
  try {
    for (let count = 0; count < DOORS; count += 1)
      doors.push(await open(address, { isShared: true, isHalfOpen: !isTls, backlog }, onConnection));
  } catch (cause) {
    await closeAll();
    throw cause;
  }
  return closeAll;
}

function open(
  { host, port }: ListenAddress,
  {
    isShared,
    isHalfOpen,
    backlog,
  }: { readonly isShared: boolean; readonly isHalfOpen: boolean; readonly backlog?: number },
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    // As Node's HTTP and HTTPS servers make their own sockets.
    const server = createServer({ allowHalfOpen: isHalfOpen, noDelay: true }, onConnection);
    server.once('error', reject);
    server.listen({ host, port, reusePort: isShared, ...(backlog === undefined ? {} : { backlog }) }, () => {
      server.off('error', reject);
      // A connection that fails while it is accepted is its sender's to repeat.
      server.on('error', () => undefined);
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function portOf(server: Server): number {
  const bound = server.address();
  return bound !== null && typeof bound === 'object' ? bound.port : 0;
}
