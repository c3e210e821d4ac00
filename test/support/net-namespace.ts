/**
 * A network of its own for a process, with links to this machine that can be cut: what is sent over a cut link vanishes, and nobody is told, as where a cable is pulled or a firewall
 * drops. Needs root and `ip`.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const RELAY = fileURLToPath(new URL('relay-process.ts', import.meta.url));
const run = promisify(execFile);
const ip = (...args: readonly string[]): Promise<unknown> => run('ip', args);
/** An address of the hardware that nobody has: frames to it are taken by nobody. */
const NOBODY = '02:00:00:00:00:99';

export type Link = {
  /** Addresses of this machine and of the process. */
  readonly here: string;
  readonly there: string;
  cut(): Promise<void>;
  mend(): Promise<void>;
};

export type NetNamespace = {
  /** What a process is started with that shall be in it; it keeps its process id. */
  readonly wrap: readonly string[];
  readonly links: readonly Link[];
  /** Hands on what comes to `port` at the process's end of the first link to that port of its own loopback. */
  relay(port: number): Promise<void>;
  remove(): Promise<void>;
};

/** Why there can be none; undefined where there can. */
export function whyNoNamespace(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'networks of their own need root on Linux';
  const name = `cartulary-${randomBytes(4).toString('hex')}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' });
    execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'no network namespace can be made with "ip netns" (package iproute2)';
  }
}

/** Makes one. @param count of links */
export async function makeNamespace(count: number): Promise<NetNamespace> {
  const mark = randomBytes(4).toString('hex');
  const name = `cartulary-${mark}`;
  const net = `10.${200 + ((randomBytes(1)[0] ?? 0) % 50)}.${randomBytes(1)[0] ?? 0}`;
  await ip('netns', 'add', name);
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  const links: Link[] = [];
  for (let at = 0; at < count; at += 1) links.push(await makeLink(name, `c${mark}${at}`, net, at * 4));
  const wrap = ['ip', 'netns', 'exec', name];
  const relays: { kill(): void }[] = [];
  return {
    wrap,
    links,
    async relay(port) {
      const args = [...wrap.slice(1), process.execPath, RELAY, links[0]?.there ?? '', String(port)];
      const child = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] });
      relays.push(child);
      await once(child.stdout, 'data');
    },
    async remove() {
      for (const relay of relays) relay.kill();
      // The links go with it.
      await ip('netns', 'del', name);
    },
  };
}

async function makeLink(name: string, device: string, net: string, first: number): Promise<Link> {
  const [here, there] = [`${net}.${first + 1}`, `${net}.${first + 2}`];
  const [own, other] = [`${device}a`, `${device}b`];
  await ip('link', 'add', own, 'type', 'veth', 'peer', 'name', other, 'netns', name);
  await ip('addr', 'add', `${here}/30`, 'dev', own);
  await ip('-n', name, 'addr', 'add', `${there}/30`, 'dev', other);
  await ip('link', 'set', own, 'up');
  await ip('-n', name, 'link', 'set', other, 'up');
  const both = async (...how: readonly string[]): Promise<void> => {
    const [verb = '', ...more] = how;
    await ip('neigh', verb, there, ...more, 'dev', own);
    await ip('-n', name, 'neigh', verb, here, ...more, 'dev', other);
  };
  return {
    here,
    there,
    cut: () => both('replace', 'lladdr', NOBODY, 'nud', 'permanent'),
    mend: () => both('del'),
  };
}
