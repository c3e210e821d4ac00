/**
 * Three nodes of one archive and what they stand on, as an operator of a large installation has them: a balancer before them; PostgreSQL with a synchronous standby behind an address that
 * moves; S3 behind a proxy that can fail. Node `a` may be in a network of its own, whose links can be cut, and node `b` may have a clock of its own.
 */
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { startBalancer } from '../support/balancer.ts';
import type { Balancer } from '../support/balancer.ts';
import { freePort } from '../support/cli.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { makeNamespace } from '../support/net-namespace.ts';
import type { Link, NetNamespace } from '../support/net-namespace.ts';
import { startTestServer } from '../support/postgres.ts';
import type { TestMachine, TestServer } from '../support/postgres.ts';
import { startS3 } from '../support/s3.ts';
import type { TestS3 } from '../support/s3.ts';
import { makeProduct, startProduct, startReady } from './product.ts';
import type { Product, Server, StartOptions } from './product.ts';
import { makeRig } from './rig.ts';
import type { Rig } from './rig.ts';
import type { ScenarioResult, ScenarioRun } from './scenario.ts';
import { findFaketimeLibrary } from './tools.ts';

const NAMES = ['a', 'b', 'c'] as const;
/** Milliseconds that what was spooled may take to be filed, and nodes to come to one root. */
const FILED_MS_MAX = 120_000;
/** By which commits call the standby that they wait for. */
const STANDBY = 'standby';
/** Links of node `a`: by which it is reached, to the database, to S3. */
const LINKS = 3;

/** What an installation has besides three nodes and one database. */
export type Wanted = {
  readonly standby?: boolean;
  readonly network?: boolean;
  readonly clocks?: boolean;
  readonly blobs?: boolean;
};

/** A node, how it is started, and the process that it is now. */
export type Node = { readonly product: Product; readonly options: StartOptions; server: Server };

export type Installation = {
  readonly rig: Rig;
  readonly nodes: readonly Node[];
  /** The server that is the primary now. */
  readonly database: () => TestServer;
  /** Kills the primary; its standby takes over, and gets a standby of its own. */
  readonly failOver: () => Promise<void>;
  /** Links of node `a`. */
  readonly links: { readonly database: Link; readonly blobs: Link } | undefined;
  /** What S3 answers can be spoiled with. */
  readonly s3: FaultProxy | undefined;
  /** Sets the clock of node `b`, to so many seconds beside that of the machine. */
  setClock(seconds: number): Promise<void>;
  /** Starts what does not run, and waits until nothing waits on a node, and all have the same root. */
  settle(): Promise<void>;
  /** Lets the clients finish, settles, checks everything. */
  finish(expected: readonly string[]): Promise<ScenarioResult>;
  close(): Promise<void>;
};

/** Starts it, with the clients still waiting. */
export async function makeInstallation(run: ScenarioRun, wanted: Wanted): Promise<Installation> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const act of closing.toReversed()) await act().catch(() => undefined);
  };
  try {
    return await build(run, wanted, closing, close);
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function build(
  run: ScenarioRun,
  wanted: Wanted,
  closing: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<Installation> {
  await mkdir(run.data, { recursive: true });
  const net = wanted.network === true ? await makeNamespace(LINKS) : undefined;
  if (net !== undefined) closing.push(() => net.remove());
  const cluster = await startCluster(run, wanted, net, closing);
  const blobs = wanted.blobs === true ? await startBlobs(net, closing) : undefined;
  const shared = join(run.data, 'shared');
  const clock = join(run.data, 'clock');
  await writeFile(clock, '+0\n');
  const env = { CARTULARY_DATABASE: cluster.urls.plain, CARTULARY_SHARED: shared, ...blobs?.env };
  const rig = await makeRig(run, join(run.data, 'a'), {
    // What waits in the spool of one node may be sent again to another, which captures it later than it was acknowledged.
    clocksAgree: false,
    make: (data) => makeProduct(data, env),
  });
  closing.push(() => rig.close());
  const ports = await Promise.all(NAMES.map(() => freePort()));
  const nodes: Node[] = NAMES.map((name, at) => {
    const product = nodeOf(rig.product, join(run.data, name), ports[at] ?? 0, name === 'a' ? net : undefined);
    const own =
      name === 'a' && net !== undefined
        ? { wrap: net.wrap, env: { CARTULARY_DATABASE: cluster.urls.linked, ...blobs?.linkedEnv } }
        : name === 'b' && wanted.clocks === true
          ? { env: clockOf(clock) }
          : {};
    return { product, options: own, server: startProduct(product, own) };
  });
  closing.push(() => Promise.all(nodes.map(({ server }) => server.kill())));
  await net?.relay(ports[0] ?? 0);
  const balancer = await startBalancer(
    rig.product.port,
    nodes.map(({ product }) => ({ host: new URL(product.url).hostname, port: product.port })),
  );
  closing.push(() => balancer.close());
  for (const node of nodes) if (!(await node.server.ready())) throw new Error(`no start: ${node.server.log()}`);
  const settle = async (): Promise<void> => {
    for (const node of nodes) await revive(rig, node);
    for (const { product } of nodes) await untilFiled(product);
    await untilSameRoot(rig, nodes);
  };
  return {
    rig,
    nodes,
    database: cluster.database,
    failOver: cluster.failOver,
    links:
      cluster.link === undefined || net?.links[2] === undefined
        ? undefined
        : { database: cluster.link, blobs: net.links[2] },
    s3: blobs?.proxy,
    setClock: (seconds) => writeFile(clock, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}\n`),
    settle,
    async finish(expected) {
      await rig.tell('drain');
      await settle();
      const [first, ...others] = nodes;
      // Its files are looked at, so it goes last.
      for (const { server } of others) await server.stop();
      await first?.server.stop();
      const { env: own, ...options } = first?.options ?? {};
      return rig.finish(expected, { ...options, env: { ...first?.product.env, ...own } });
    },
    close,
  };
}

function nodeOf(product: Product, data: string, port: number, net: NetNamespace | undefined): Product {
  const env = { ...product.env, CARTULARY_LISTEN: `127.0.0.1:${port}` };
  return { ...product, data, port, url: `http://${net?.links[0]?.there ?? '127.0.0.1'}:${port}`, env };
}

/** What a process is given so that its clock is what a file says; the monotonic one, by which timers run, is left alone. */
function clockOf(file: string): Record<string, string> {
  return {
    LD_PRELOAD: findFaketimeLibrary() ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}

type Cluster = Pick<Installation, 'database' | 'failOver'> & {
  readonly link: Link | undefined;
  /** Addresses of the database for a node beside it and for one behind a link. */
  readonly urls: { readonly plain: string; readonly linked: string };
};

async function startCluster(
  run: ScenarioRun,
  wanted: Wanted,
  net: NetNamespace | undefined,
  closing: (() => Promise<unknown>)[],
): Promise<Cluster> {
  const link = net?.links[1];
  const tls = link === undefined ? undefined : await makeTls(run.data, link.here);
  const isDirect = wanted.standby !== true;
  let primary = await startTestServer({
    ...(link === undefined || !isDirect ? {} : { listen: [link.here] }),
    settings: ['wal_retrieve_retry_interval=200ms', ...(tls?.settings ?? [])],
    access: link === undefined ? [] : [`host all all ${link.here}/30 trust`],
  });
  const first = primary;
  closing.push(() => first.stop());
  const portOf = ({ url }: TestServer): number => Number(new URL(url).port);
  const addresses: Balancer[] = [];
  const behind = async (host: string): Promise<number> => {
    if (isDirect) return portOf(first);
    const address = await startBalancer(0, [portOf(first)], host);
    closing.push(() => address.close());
    addresses.push(address);
    return address.port;
  };
  const urlAt = (host: string, port: number, more = ''): string => {
    const url = new URL(first.url);
    url.hostname = host;
    url.port = String(port);
    return url.href + more;
  };
  const addStandby = async (): Promise<TestServer> => {
    const made = await machineOf(primary).makeStandby(STANDBY);
    await machineOf(primary).waitFor(STANDBY);
    return made;
  };
  const urls = {
    plain: urlAt('127.0.0.1', await behind('127.0.0.1')),
    linked:
      link === undefined
        ? ''
        : urlAt(link.here, await behind(link.here), `?sslmode=verify-full&sslrootcert=${tls?.certificate ?? ''}`),
  };
  let standby = wanted.standby === true ? await addStandby() : undefined;
  return {
    link,
    urls,
    database: () => primary,
    async failOver() {
      if (standby === undefined) throw new Error('there is no standby');
      const former = machineOf(primary);
      await former.kill();
      // It has the settings of the server that it was copied from.
      await machineOf(standby).waitFor(undefined);
      await machineOf(standby).promote();
      for (const address of addresses) address.moveTo([portOf(standby)]);
      primary = standby;
      await former.discard();
      standby = await addStandby();
    },
  };
}

function machineOf({ machine }: TestServer): TestMachine {
  if (machine === undefined) throw new Error('the server is not ours');
  return machine;
}

/** A key and a certificate for an address, as PostgreSQL wants them. */
async function makeTls(
  directory: string,
  address: string,
): Promise<{ readonly certificate: string; readonly settings: readonly string[] }> {
  const [key, certificate] = [join(directory, 'database-key.pem'), join(directory, 'database-cert.pem')];
  const subject = ['-subj', '/CN=database', '-addext', `subjectAltName=IP:${address}`];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '2', ...subject],
    { stdio: 'ignore' },
  );
  // As whom the server runs where this is root.
  if (process.getuid?.() === 0) await chown(key, 65_534, 65_534);
  await chmod(key, 0o600);
  await chmod(directory, 0o711);
  return { certificate, settings: ['ssl=on', `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`] };
}

type Blobs = {
  readonly proxy: FaultProxy;
  readonly env: Record<string, string>;
  readonly linkedEnv: Record<string, string>;
};

async function startBlobs(net: NetNamespace | undefined, closing: (() => Promise<unknown>)[]): Promise<Blobs> {
  const s3: TestS3 = await startS3();
  closing.push(() => s3.stop());
  const { spool: _spool, ...place } = await s3.newPlace('lock');
  const proxy = await startFaultProxy(place.endpoint ?? '');
  closing.push(() => proxy.stop());
  const link = net?.links[2];
  const linked = link === undefined ? undefined : await startBalancer(0, [Number(new URL(proxy.url).port)], link.here);
  if (linked !== undefined) closing.push(() => linked.close());
  const { accessKeyId, secretAccessKey } = s3.credentials;
  return {
    proxy,
    env: {
      CARTULARY_BLOBS: s3.urlOf({ ...place, endpoint: proxy.url }),
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    linkedEnv:
      link === undefined
        ? {}
        : { CARTULARY_BLOBS: s3.urlOf({ ...place, endpoint: `http://${link.here}:${linked?.port}` }) },
  };
}

/** Waits until a node is ready; one that could not open because the database was away is started again. */
export async function revive(rig: Rig, node: Node): Promise<void> {
  for (let tries = 0; tries < 5; tries += 1) {
    if (!node.server.isOver() && (await node.server.ready())) return;
    if (!/database/.test(node.server.log())) break;
    node.server = startProduct(node.product, node.options);
  }
  rig.complain(`a node ended by itself: ${node.server.log().slice(-500)}`);
  node.server = await startReady(node.product, node.options);
}

/** How many envelopes wait on a node, and what it says of itself. */
export async function readReadiness({ url }: Product): Promise<{ status: string; waiting: number }> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(20_000) });
  const { status, spool } = (await answer.json()) as { status: string; spool?: { envelopes: number } };
  return { status, waiting: spool?.envelopes ?? 0 };
}

export async function untilFiled(product: Product): Promise<void> {
  const deadline = performance.now() + FILED_MS_MAX;
  while (performance.now() < deadline) {
    const { status, waiting } = await readReadiness(product);
    if (status === 'ready' && waiting === 0) return;
    await pause(100);
  }
  throw new Error('what was spooled is not filed');
}

/** Nobody sends any more: the newest checkpoints of all nodes come to be of one size, and must then have one root. */
async function untilSameRoot(rig: Rig, nodes: readonly Node[]): Promise<void> {
  const deadline = performance.now() + FILED_MS_MAX;
  const heads = new Map<string, Set<string>>();
  let last: string[] = [];
  while (performance.now() < deadline) {
    const texts = await Promise.all(
      nodes.map(async ({ product }) => (await fetch(`${product.url}/log/${product.archiveId}/checkpoint`)).text()),
    );
    const seen = texts.map((text) => text.split('\n', 3));
    last = seen.map(([, size = '']) => size);
    // What was ever published of one size has one root, whoever published it.
    for (const [, size = '', root = ''] of seen) heads.set(size, (heads.get(size) ?? new Set()).add(root));
    if ([...heads.values()].some((roots) => roots.size > 1)) return rig.complain('two nodes published two roots');
    if (new Set(seen.map(([, size]) => size)).size === 1) return rig.count('root equal on all nodes');
    await pause(200);
  }
  const states = nodes.map(
    ({ product, server }, at) => `${product.url}: ${last[at] ?? ''}: ${server.log().slice(-700)}`,
  );
  rig.complain(`the nodes did not come to one root: ${states.join('; ')}`);
}
