/** Three nodes of one archive behind a balancer; one after the other is killed under load, and the database is cut off and killed as well. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { freePort } from '../../support/cli.ts';
import { startTestServer } from '../../support/postgres.ts';
import type { TestServer } from '../../support/postgres.ts';
import { startBalancer } from '../balancer.ts';
import { makeProduct, startProduct, startReady } from '../product.ts';
import type { Product, Server } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';

const NAMES = ['a', 'b', 'c'] as const;
/** Share of the kills that fall into the start. */
const START_SHARE = 0.3;
/** Shares of the rounds in which it is the database that something is done to. */
const CUT_SHARE = 0.1;
const DATABASE_KILL_SHARE = 0.05;
const LOAD_MS_MAX = 600;
const START_MS_MAX = 2500;
const CHECK_EVERY = 20;
/** Milliseconds that what was spooled may take to be filed. */
const FILED_MS_MAX = 120_000;

/** A node, and the process that it is now. */
type Node = { readonly product: Product; server: Server };

export const NODES: Scenario = {
  name: 'nodes',
  proves:
    'A node killed at any moment beside two others, and a database that is cut off or killed, take nothing that was acknowledged.',
  needs: ['postgres'],
  rounds: { short: 10, long: 300 },
  async run(run) {
    const database = await startTestServer();
    const shared = join(run.data, 'shared');
    await mkdir(run.data, { recursive: true });
    let balancer: { close(): Promise<void> } | undefined;
    const nodes: Node[] = [];
    const rig = await makeRig(run, join(run.data, 'a'), {
      // What waits in the spool of one node may be sent again to another, which captures it later than it was acknowledged.
      clocksAgree: false,
      make: (data) => makeProduct(data, { CARTULARY_DATABASE: database.url, CARTULARY_SHARED: shared }),
    });
    try {
      const ports = await Promise.all(NAMES.map(() => freePort()));
      balancer = await startBalancer(rig.product.port, ports);
      const products = NAMES.map((name, at) => nodeOf(rig.product, join(run.data, name), ports[at] ?? 0));
      for (const product of products) nodes.push({ product, server: await startReady(product) });
      await rig.tell('go');
      for (let round = 1; round <= run.rounds; round += 1) {
        await harm(rig, nodes, database);
        if (round % CHECK_EVERY !== 0 && round !== run.rounds) continue;
        for (const node of nodes) await revive(rig, node);
        for (const line of await rig.checker.checkNew()) rig.complain(line);
        const { sent, acked } = await rig.tell('counts');
        run.report(`${round} of ${run.rounds} rounds, ${sent} sent, ${acked} acknowledged`);
      }
      await rig.tell('drain');
      for (const node of nodes) {
        await revive(rig, node);
        await untilFiled(node.product);
      }
      const [first, ...others] = nodes;
      // Its files are looked at, so it goes last.
      for (const { server } of others) await server.stop();
      await first?.server.stop();
      const last = products[0] ?? rig.product;
      return await rig.finish(['kill in service'], { env: last.env });
    } finally {
      await rig.close();
      for (const { server } of nodes) await server.kill();
      await balancer?.close();
      await database.stop();
    }
  },
};

function nodeOf(product: Product, data: string, port: number): Product {
  const env = { ...product.env, CARTULARY_LISTEN: `127.0.0.1:${port}` };
  return { ...product, data, port, url: `http://127.0.0.1:${port}`, env };
}

async function harm(rig: Rig, nodes: readonly Node[], database: TestServer): Promise<void> {
  const what = rig.random();
  if (what < CUT_SHARE) {
    await database.cutConnections(database.url);
    rig.count('database cut off');
    return pause(rig.random() * LOAD_MS_MAX);
  }
  if (what < CUT_SHARE + DATABASE_KILL_SHARE && database.restart !== undefined) {
    await database.restart();
    rig.count('database killed');
    return pause(rig.random() * LOAD_MS_MAX);
  }
  const node = nodes[Math.floor(rig.random() * nodes.length)];
  if (node !== undefined) await killOnce(rig, node);
}

/** Kills a node, in service or while it starts, and starts it again. */
async function killOnce(rig: Rig, node: Node): Promise<void> {
  const isEarly = rig.random() < START_SHARE;
  if (isEarly) {
    await node.server.kill();
    node.server = startProduct(node.product);
    await pause(rig.random() * START_MS_MAX);
  } else {
    await revive(rig, node);
    await rig.watch(node.server, rig.random() * LOAD_MS_MAX);
  }
  await node.server.kill();
  rig.count(isEarly ? 'kill while starting' : 'kill in service');
  node.server = startProduct(node.product);
}

/** Waits until a node is ready; one that could not open because the database was away is started again. */
async function revive(rig: Rig, node: Node): Promise<void> {
  for (let tries = 0; tries < 5; tries += 1) {
    if (!node.server.isOver() && (await node.server.ready())) return;
    if (!/database/.test(node.server.log())) break;
    node.server = startProduct(node.product);
  }
  rig.complain(`a node ended by itself: ${node.server.log().slice(-500)}`);
  node.server = await startReady(node.product);
}

async function untilFiled({ url }: Product): Promise<void> {
  const deadline = performance.now() + FILED_MS_MAX;
  while (performance.now() < deadline) {
    const { spool } = (await (await fetch(`${url}/readyz`)).json()) as { spool?: { envelopes: number } };
    if (spool?.envelopes === 0) return;
    await pause(100);
  }
  throw new Error('what was spooled is not filed');
}
