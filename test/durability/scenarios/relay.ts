/** A relay in front of an archive, all load on the relay; the one and the other are killed at random moments, in service and while they start. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { freePort, runJson } from '../../support/cli.ts';
import { makeProduct, startProduct, startReady } from '../product.ts';
import type { Product, Server } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';

/** Share of the kills that fall into the start, and share of those that hit the relay. */
const START_SHARE = 0.3;
const RELAY_SHARE = 0.5;
const LOAD_MS_MAX = 600;
const START_MS_MAX = 1500;
const CHECK_EVERY = 20;
/** Milliseconds that what waits may take to be fetched. */
const FETCHED_MS_MAX = 120_000;

/** One of the two, and the process that it is now. */
type Side = { readonly name: 'relay' | 'archive'; readonly product: Product; server: Server };

export const RELAY: Scenario = {
  name: 'relay',
  proves:
    'A relay and its archive, killed at any moment, take nothing that the relay acknowledged, and double nothing.',
  needs: [],
  rounds: { short: 10, long: 300 },
  async run(run) {
    const made: { relay?: Product } = {};
    const rig = await makeRig(run, join(run.data, 'archive'), {
      // A file that could not be fetched is overtaken by the next, in which the same message may have been sent again.
      clocksAgree: false,
      async make(data) {
        const both = await makeBoth(data, join(run.data, 'relay'));
        made.relay = both.relay;
        return both.archive;
      },
    });
    const sides: Side[] = [{ name: 'archive', product: rig.product, server: await startReady(rig.product) }];
    try {
      const { relay = rig.product } = made;
      sides.push({ name: 'relay', product: relay, server: await startReady(relay) });
      await rig.tell('go');
      for (let round = 1; round <= run.rounds; round += 1) {
        const isRelay = rig.random() < RELAY_SHARE;
        const side = sides.find(({ name }) => name === (isRelay ? 'relay' : 'archive'));
        if (side !== undefined) await killOnce(rig, side);
        if (round % CHECK_EVERY !== 0 && round !== run.rounds) continue;
        for (const one of sides) await revive(rig, one);
        await rig.tell('pause');
        await untilFetched(relay);
        for (const line of await rig.checker.checkNew()) rig.complain(line);
        const { sent, acked } = await rig.tell('counts');
        run.report(`${round} of ${run.rounds} rounds, ${sent} sent, ${acked} acknowledged`);
        await rig.tell('go');
      }
      await rig.tell('drain');
      await untilFetched(relay);
      // Its files are looked at, so it is started again at the end.
      await sides[0]?.server.stop();
      return await rig.finish(['archive killed in service', 'relay killed in service']);
    } finally {
      await rig.close();
      for (const { server } of sides) await server.kill();
    }
  },
};

/** An archive and its relay: platforms send to the relay alone. */
async function makeBoth(data: string, relayData: string): Promise<{ archive: Product; relay: Product }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const inside = await makeProduct(data);
  const env = { ...inside.env, CARTULARY_PUBLIC_URL: url };
  const add = ['relay', 'add', 'dmz', '--url', url, '--data', data];
  const { edgeKey } = await runJson<{ edgeKey: string }>(add, env);
  const keyFile = `${relayData}.key`;
  await writeFile(keyFile, edgeKey, { mode: 0o600 });
  const archive = { ...inside, env, hookUrl: url + new URL(inside.hookUrl).pathname };
  const relayEnv = {
    CARTULARY_ROLES: 'relay',
    CARTULARY_EDGE_KEY_FILE: keyFile,
    CARTULARY_PUBLIC_URL: url,
    CARTULARY_LISTEN: `127.0.0.1:${port}`,
  };
  return { archive, relay: { ...archive, data: relayData, port, url, env: relayEnv } };
}

/** Kills one of the two, in service or while it starts, and starts it again. */
async function killOnce(rig: Rig, side: Side): Promise<void> {
  const isEarly = rig.random() < START_SHARE;
  if (isEarly) {
    await side.server.kill();
    side.server = startProduct(side.product);
    await pause(rig.random() * START_MS_MAX);
  } else {
    await revive(rig, side);
    await rig.watch(side.server, rig.random() * LOAD_MS_MAX);
  }
  await side.server.kill();
  rig.count(`${side.name} killed ${isEarly ? 'while starting' : 'in service'}`);
  side.server = startProduct(side.product);
}

async function revive(rig: Rig, side: Side): Promise<void> {
  if (!side.server.isOver() && (await side.server.ready())) return;
  rig.complain(`${side.name} ended by itself: ${side.server.log().slice(-500)}`);
  side.server = await startReady(side.product);
}

/** Waits until nothing waits on the relay any more. */
async function untilFetched({ url }: Product): Promise<void> {
  const deadline = performance.now() + FETCHED_MS_MAX;
  while (performance.now() < deadline) {
    const { spool } = (await (await fetch(`${url}/readyz`)).json()) as { spool: { envelopes: number } };
    if (spool.envelopes === 0) return;
    await pause(100);
  }
  throw new Error('what waits on the relay is not fetched');
}
