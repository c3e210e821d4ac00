/** What stands in front of several nodes: hands each connection to the next of them that takes it. Knows of no node whether it is well, as little as the plainest of its kind. */
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** Milliseconds after which it looks again for a node, where none takes a connection, and how often. */
const AGAIN_MS = 50;
const TRIES_MAX = 600;

/** Listens on a port of this machine. @param ports of the nodes */
export async function startBalancer(port: number, ports: readonly number[]): Promise<{ close(): Promise<void> }> {
  const open = new Set<Socket>();
  let next = 0;
  const hold = (socket: Socket): void => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    hold(client);
    const handOn = (tries: number): void => {
      if (client.destroyed) return;
      if (tries === TRIES_MAX) return void client.destroy();
      next += 1;
      const node = connect({ host: '127.0.0.1', port: ports[next % ports.length] ?? 0, allowHalfOpen: true });
      hold(node);
      let isConnected = false;
      node.once('connect', () => {
        isConnected = true;
        client.pipe(node).pipe(client);
        client.once('close', () => node.destroy());
      });
      node.once('close', () => {
        if (isConnected) client.destroy();
        else if (tries % ports.length === ports.length - 1) setTimeout(handOn, AGAIN_MS, tries + 1);
        else handOn(tries + 1);
      });
    };
    handOn(0);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
