/** The server killed at random moments under load, some of them while it starts and recovers. */
import { startProduct, startReady } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';

/** Share of the kills that fall into the start. */
const START_SHARE = 0.3;
const LOAD_MS_MAX = 400;
const CHECK_EVERY = 20;

export const KILL: Scenario = {
  name: 'kill',
  proves: 'SIGKILL at any moment, in service or while starting, takes nothing that was acknowledged.',
  needs: [],
  rounds: { short: 20, long: 1000 },
  async run(run) {
    const rig = await makeRig(run, `${run.data}/data`);
    try {
      await rig.tell('go');
      let readyMs = 1000;
      for (let round = 1; round <= run.rounds; round += 1) {
        readyMs = await killOnce(rig, readyMs);
        if (round % CHECK_EVERY === 0) {
          await checkRound(rig);
          const { sent, acked } = await rig.tell('counts');
          run.report(`${round} of ${run.rounds} kills, ${sent} sent, ${acked} acknowledged`);
        }
      }
      return await rig.finish(['kill while starting', 'kill in service']);
    } finally {
      await rig.close();
    }
  },
};

/** One start and one kill. @returns how long the start takes, ms, as far as is known */
export async function killOnce(rig: Rig, readyMs: number): Promise<number> {
  const server = startProduct(rig.product);
  const isEarly = rig.random() < START_SHARE;
  const afterMs = rig.random() * (isEarly ? readyMs : LOAD_MS_MAX);
  let seenMs = readyMs;
  let isReady = false;
  try {
    if (isEarly) {
      void server.ready().then(
        (is) => (isReady = is),
        () => undefined,
      );
    } else {
      isReady = await server.ready();
      if (!isReady) rig.complain(`the server did not start after a kill: ${server.log().slice(-500)}`);
      seenMs = performance.now() - server.startedAtMs;
    }
    await rig.watch(server, afterMs);
    if (server.isOver()) rig.complain(`the server ended by itself: ${server.log().slice(-500)}`);
    rig.count(isReady ? 'kill in service' : 'kill while starting');
  } finally {
    await server.kill();
  }
  await rig.checker.keepCheckpoint();
  return seenMs;
}

async function checkRound(rig: Rig): Promise<void> {
  const server = await startReady(rig.product);
  try {
    for (const line of await rig.checker.checkNew()) rig.complain(line);
  } finally {
    await server.kill();
  }
}
