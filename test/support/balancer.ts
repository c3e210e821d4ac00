/** What stands in front of several nodes: hands each connection to the next of them that takes it. Knows of no node whether it is well, as little as the plainest of its kind. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** Milliseconds after which it looks again for a node, where none takes a connection, and how often. */
const AGAIN_MS = 50;
const TRIES_MAX = 600;

/** A port of this machine, or of another. */
export type Target = number | { readonly host: string; readonly port: number };

export type Balancer = {
  readonly port: number;
  /** Cuts every connection; those that come are for others from now on, as where an address goes over to another machine. */
  moveTo(targets: readonly Target[]): void;
  close(): Promise<void>;
};

/** Listens on a port of this machine; 0 takes a free one. @param first what is behind it @param host where it listens */
export async function startBalancer(port: number, first: readonly Target[], host = '127.0.0.1'): Promise<Balancer> {
  let targets = first;
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
      const target = targets[next % targets.length] ?? 0;
      const to = typeof target === 'number' ? { host: '127.0.0.1', port: target } : target;
      const node = connect({ ...to, allowHalfOpen: true });
      hold(node);
      let isConnected = false;
      node.once('connect', () => {
        isConnected = true;
        client.pipe(node).pipe(client);
        client.once('close', () => node.destroy());
      });
      node.once('close', () => {
        if (isConnected) client.destroy();
        else if (tries % targets.length === targets.length - 1) setTimeout(handOn, AGAIN_MS, tries + 1);
        else handOn(tries + 1);
      });
    };
    handOn(0);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const cutAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    moveTo(others) {
      targets = others;
      cutAll();
    },
    async close() {
      cutAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
