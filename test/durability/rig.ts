/** What every scenario stands on: an archive, two clients, a checker, and the end of it all. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { createRandom } from '../../bench/random.ts';
import { createChecker } from './checker.ts';
import type { Checker } from './checker.ts';
import { startClient } from './client.ts';
import type { ClientCounts, ClientOrder } from './client.ts';
import { assertOtherFileSystem } from './journal.ts';
import { fetchPublished, makeProduct, startReady } from './product.ts';
import type { Product, Server, StartOptions } from './product.ts';
import type { ScenarioResult, ScenarioRun } from './scenario.ts';

const CLIENTS = ['a', 'b'];
/** Connections of all clients together. */
const CONNECTIONS = 16;
const WATCH_EVERY_MS = 40;
/** Milliseconds that the clients may take to get on. */
const MOVES_MS_MAX = 60_000;

export type Rig = {
  readonly product: Product;
  readonly checker: Checker;
  readonly random: () => number;
  /** Gives an order to all clients; their counts together. */
  tell(order: ClientOrder): Promise<ClientCounts>;
  /** Waits, and keeps the checkpoints that the server publishes meanwhile. Ends early where the server does. */
  watch(server: Server, ms: number): Promise<void>;
  /** Waits until so many more are acknowledged or refused; false where that does not come to pass, or `isOver` says so. */
  moves(what: 'acked' | 'refused', byAtLeast: number, isOver?: () => boolean): Promise<boolean>;
  /** A fault has happened; it is written beside the journals with its time. */
  count(fault: string): void;
  /** Something is not as it must be. */
  complain(line: string): void;
  /** Starts the server, lets the clients finish what waits, checks everything, stops. */
  finish(expected: readonly string[], options?: StartOptions): Promise<ScenarioResult>;
  /** Ends the clients. */
  close(): Promise<void>;
};

/**
 * Makes an archive in `data` with clients that wait for orders.
 * @param options `clocksAgree`: as for the checker; `make`: makes the archive
 */
export async function makeRig(
  run: ScenarioRun,
  data: string,
  options: { readonly clocksAgree?: boolean; readonly make?: (data: string) => Promise<Product> } = {},
): Promise<Rig> {
  assertOtherFileSystem(run.journal, data);
  const product = await (options.make ?? makeProduct)(data);
  const checker = await createChecker(product, run.journal, options);
  const clients = await Promise.all(
    CLIENTS.map((client, index) =>
      startClient({
        client,
        hookUrl: product.hookUrl,
        journal: run.journal,
        seed: run.seed + index,
        connections: CONNECTIONS / CLIENTS.length,
        ...(run.perSecond === undefined ? {} : { perSecond: run.perSecond }),
      }),
    ),
  );
  const faults: Record<string, number> = {};
  const complaints: string[] = [];
  const tell = async (order: ClientOrder): Promise<ClientCounts> =>
    (await Promise.all(clients.map((client) => client.tell(order)))).reduce(add);
  return {
    product,
    checker,
    random: createRandom(run.seed),
    tell,
    async watch(server, ms) {
      const deadline = performance.now() + ms;
      while (!server.isOver() && performance.now() < deadline) {
        const text = await fetchPublished(product);
        if (text !== undefined) await checker.keepCheckpoint(text);
        await pause(Math.max(0, Math.min(WATCH_EVERY_MS, deadline - performance.now())));
      }
    },
    async moves(what, byAtLeast, isOver = () => false) {
      const { [what]: before } = await tell('counts');
      const deadline = performance.now() + MOVES_MS_MAX;
      while (!isOver() && performance.now() < deadline) {
        if ((await tell('counts'))[what] >= before + byAtLeast) return true;
        await pause(WATCH_EVERY_MS);
      }
      return false;
    },
    count(fault) {
      faults[fault] = (faults[fault] ?? 0) + 1;
      appendFileSync(join(run.journal, 'faults.txt'), `${new Date().toISOString()} ${fault}\n`);
    },
    complain: (line) => complaints.push(line),
    async finish(expected, startOptions) {
      const server = await startReady(product, startOptions);
      try {
        await tell('drain');
        complaints.push(...(await checker.checkNew()));
        const result = await checker.checkAll(() => server.stop());
        const violations = [...complaints, ...result.violations];
        if (result.acknowledged === 0) violations.push('nothing was acknowledged: nothing was checked');
        for (const fault of expected) if (faults[fault] === undefined) violations.push(`it never happened: ${fault}`);
        return { ...result, violations, faults };
      } finally {
        await server.kill();
      }
    },
    async close() {
      await Promise.all(clients.map((client) => client.tell('stop').catch(() => undefined)));
    },
  };
}

function add(one: ClientCounts, other: ClientCounts): ClientCounts {
  const keys = Object.keys(one) as (keyof ClientCounts)[];
  return Object.fromEntries(keys.map((key) => [key, one[key] + other[key]])) as ClientCounts;
}
