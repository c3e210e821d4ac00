/** What is done to an installation of several nodes. Each fault proves that it happened before it is counted. */
import { setTimeout as pause } from 'node:timers/promises';

import type { Fault } from '../support/fault-proxy.ts';
import { revive, readReadiness, untilFiled } from './installation.ts';
import type { Installation, Node } from './installation.ts';
import { startProduct } from './product.ts';

/** A fault; answers once it is over, though nodes may still be starting. */
export type NodeFault = (installation: Installation) => Promise<void>;

/** Share of the kills that fall into the start. */
const START_SHARE = 0.3;
const LOAD_MS_MAX = 600;
const START_MS_MAX = 2500;
/** A cut that lasts longer than a node takes for its database to be away, and one after which the server has given up the node. */
const SHORT_CUT_MS = 6000;
const LONG_CUT_MS = 35_000;
/** Messages that must come through the other nodes while one is cut off. */
const OTHERS_MIN = 20;
/** Seconds by which a clock may come to be wrong: minutes, hours, days, into the next month. */
const OFFSETS = [400, -400, 10_800, -7200, 2 * 86_400, -3 * 86_400, 40 * 86_400];

const pick = <Item>({ rig }: Installation, items: readonly Item[]): Item | undefined =>
  items[Math.floor(rig.random() * items.length)];

/** Kills a node, in service or while it starts, and starts it again. */
export const killNode: NodeFault = async (installation) => {
  const { rig, nodes } = installation;
  const node = pick(installation, nodes);
  if (node === undefined) return;
  const isEarly = rig.random() < START_SHARE;
  if (isEarly) {
    await node.server.kill();
    node.server = startProduct(node.product, node.options);
    await pause(rig.random() * START_MS_MAX);
  } else {
    await revive(rig, node);
    await rig.watch(node.server, rig.random() * LOAD_MS_MAX);
  }
  await node.server.kill();
  rig.count(isEarly ? 'kill while starting' : 'kill in service');
  node.server = startProduct(node.product, node.options);
};

/** Ends all connections to the database, as an administrator does. */
export const cutConnections: NodeFault = async ({ rig, database }) => {
  await database().cutConnections(database().url);
  rig.count('database cut off');
  await pause(rig.random() * LOAD_MS_MAX);
};

/** Kills the database and starts it again. */
export const restartDatabase: NodeFault = async ({ rig, database }) => {
  await database().restart?.();
  rig.count('database killed');
  await pause(rig.random() * LOAD_MS_MAX);
};

/** Kills the primary under load; the synchronous standby takes over. */
export const failOver: NodeFault = async (installation) => {
  const { rig } = installation;
  if (!(await rig.moves('acked', OTHERS_MIN))) rig.complain('nothing came in before the failover');
  await installation.failOver();
  if (!(await rig.moves('acked', OTHERS_MIN))) rig.complain('nothing came in after the failover');
  rig.count('failed over to the standby');
};

/** Packets between node `a` and the database vanish, for seconds; the others go on, it acknowledges through its spool, and files when they come again. */
export const cutDatabase: NodeFault = async (installation) => {
  const { rig, nodes, links } = installation;
  const [cut, ...others] = nodes;
  if (links === undefined || cut === undefined) return;
  for (const node of nodes) await revive(rig, node);
  const isLong = rig.random() < 0.25;
  const before = await rig.tell('counts');
  await links.database.cut();
  try {
    await pause(isLong ? LONG_CUT_MS : SHORT_CUT_MS);
    const { status } = await readReadiness(cut.product);
    if (status !== 'spooling') rig.complain(`a node without its database says ${status}`);
    if (isLong) await seeOthersAlone(installation, others);
    if (!(await rig.moves('acked', OTHERS_MIN))) rig.complain('nothing came in while a node was cut off');
  } finally {
    await links.database.mend();
  }
  await untilFiled(cut.product);
  const { unknown } = await rig.tell('counts');
  if (unknown > before.unknown)
    rig.complain(`${unknown - before.unknown} requests were not answered while a node was cut off`);
  rig.count(isLong ? 'network to the database cut for long' : 'network to the database cut');
};

/** After the server has given up the node that is cut off, the others need no spool. */
async function seeOthersAlone({ rig }: Installation, others: readonly Node[]): Promise<void> {
  for (const { product } of others) {
    const { status } = await readReadiness(product);
    if (status !== 'ready') rig.complain(`another node than the one that is cut off says ${status}`);
  }
}

/** Packets between node `a` and S3 vanish. What media do meanwhile is the feeder's business. */
export const cutBlobs: NodeFault = async ({ rig, links }) => {
  if (links === undefined) return;
  await links.blobs.cut();
  await pause(SHORT_CUT_MS);
  await links.blobs.mend();
  rig.count('network to S3 cut');
};

/** What S3 may do to a request. */
const SPOILT: readonly Fault[] = [
  { kind: 'answer', status: 500 },
  { kind: 'answer', status: 503 },
  { kind: 'slow', ms: 2000 },
  { kind: 'cut-request' },
  { kind: 'cut-answer' },
  { kind: 'wrong-answer' },
  { kind: 'wrong-request' },
  { kind: 'never' },
];
/** Requests that meet a fault, and how long is waited for them. */
const SPOILT_TIMES = 4;
const SPOILT_MS_MAX = 20_000;

/** S3 answers 500, 503, late, never, with other bytes, or not to the end. */
export const spoilBlobs: NodeFault = async (installation) => {
  const { rig, s3 } = installation;
  const fault = pick(installation, SPOILT);
  if (s3 === undefined || fault === undefined) return;
  s3.clear();
  s3.plan(fault, { times: fault.kind === 'never' ? 1 : SPOILT_TIMES });
  const deadline = performance.now() + SPOILT_MS_MAX;
  while (s3.seen.length < SPOILT_TIMES && performance.now() < deadline) await pause(100);
  if (s3.seen.length > 0) rig.count('S3 failing');
};

/** The clock of node `b` jumps. */
export const jumpClock: NodeFault = async (installation) => {
  const { rig, nodes } = installation;
  const node = nodes[1];
  const seconds = pick(installation, OFFSETS) ?? 0;
  if (node === undefined) return;
  await revive(rig, node);
  await installation.setClock(seconds);
  // The library looks at the file once a second.
  await pause(1200);
  const answer = await fetch(`${node.product.url}/healthz`);
  const beside = (Date.parse(answer.headers.get('date') ?? '') - Date.now()) / 1000;
  if (!(await rig.moves('acked', OTHERS_MIN)))
    rig.complain(`nothing came in with a clock ${seconds} s beside the others`);
  if (Math.abs(beside - seconds) < 5) rig.count('clocks apart');
};
