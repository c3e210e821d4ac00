/** The product as a process that faults are done to: made, started, killed, asked. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { freePort, runJson } from '../support/cli.ts';
import { AUTH_TOKEN } from '../support/twilio.ts';

/** What users start; it gives its place, and its process id, to the server. */
const LAUNCHER = fileURLToPath(new URL('../../bin/cartulary.mjs', import.meta.url));
/** A start that takes longer hangs, however busy the machine is. */
const READY_MS_MAX = 300_000;
const STOP_MS_MAX = 60_000;
const POLL_MS = 20;
/** What is kept of what a server said. */
const LOG_CHARS_MAX = 20_000;

/** An archive that was made for a test. */
export type Product = {
  readonly data: string;
  readonly port: number;
  readonly url: string;
  readonly archiveId: string;
  readonly apiKey: string;
  readonly vkey: string;
  /** Where the clients send to. */
  readonly hookUrl: string;
  /** Directory of the public log. */
  readonly logDirectory: string;
  readonly env: Readonly<Record<string, string>>;
};

/** Makes an archive with a Twilio source. @param more settings besides where it is and listens */
export async function makeProduct(data: string, more: Readonly<Record<string, string>> = {}): Promise<Product> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...more, CARTULARY_PUBLIC_URL: url, CARTULARY_LISTEN: `127.0.0.1:${port}` };
  const made = await runJson<{ archiveId: string; apiKey: string; logKey: string }>(
    ['init', '--data', data, '--name', 'Durability'],
    env,
  );
  const { hookUrl } = await runJson<{ hookUrl: string }>(
    ['source', 'add', 'twilio', '--data', data, '--name', 'durability', '--secret', AUTH_TOKEN],
    env,
  );
  const logDirectory = join(data, 'archives', made.archiveId, 'log');
  const { archiveId, apiKey, logKey } = made;
  return { data, port, url, archiveId, apiKey, vkey: logKey, hookUrl, logDirectory, env };
}

/** How a process ended. */
export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A server that was started, ready or not. */
export type Server = {
  readonly process: ChildProcess;
  readonly startedAtMs: number;
  /** Resolves when the process is gone, however. */
  readonly ended: Promise<Ended>;
  /** Whether it has ended. */
  isOver(): boolean;
  /** What it wrote to both streams; the latest of it. */
  log(): string;
  /** Resolves with true as soon as it can take messages, with false where it ended before. */
  ready(): Promise<boolean>;
  kill(): Promise<Ended>;
  stop(): Promise<Ended>;
};

export type StartOptions = {
  /** A program that starts the server in turn, with its arguments, e.g. `strace -D -f …`; it must become the server or keep its process id. */
  readonly wrap?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/** Starts the server and returns at once. */
export function startProduct(product: Product, { wrap = [], env = {} }: StartOptions = {}): Server {
  const command = [...wrap, process.execPath, LAUNCHER, 'start', '--data', product.data];
  const startedAtMs = performance.now();
  const child = spawn(command[0] ?? '', command.slice(1), {
    env: { ...process.env, ...product.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-LOG_CHARS_MAX)));
  let over = false;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      over = true;
      resolve({ code, signal });
    });
  });
  // Whoever waits for it is told; where nobody does, a program that is not there is no crash of the test.
  ended.catch(() => (over = true));
  const end = async (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    return ended.finally(() => clearTimeout(timer));
  };
  return {
    process: child,
    startedAtMs,
    ended,
    isOver: () => over,
    log: () => log,
    ready: () =>
      waitReady(
        product,
        () => over,
        () => log,
      ),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** Starts the server and waits until it takes messages. @throws Error with what it said, where it does not */
export async function startReady(product: Product, options: StartOptions = {}): Promise<Server> {
  const server = startProduct(product, options);
  if (await server.ready()) return server;
  throw new Error(`the server did not start: ${JSON.stringify(await server.ended)} ${server.log()}`);
}

async function waitReady({ url }: Product, isOver: () => boolean, log: () => string): Promise<boolean> {
  const deadline = performance.now() + READY_MS_MAX;
  while (performance.now() < deadline) {
    if (isOver()) return false;
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
    if (answer?.status === 200) return true;
    await pause(POLL_MS);
  }
  throw new Error(`the server was not ready in ${READY_MS_MAX} ms: ${log()}`);
}

/** Asks the API with the archive's key. @throws Error for any answer but 200 */
export async function askApi<Result>(product: Product, path: string): Promise<Result> {
  const answer = await fetch(product.url + path, {
    headers: { authorization: `Bearer ${product.apiKey}` },
    signal: AbortSignal.timeout(30_000),
  });
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Result;
}

/** The checkpoint that the log's directory holds now; undefined before the first. */
export async function readPublished(product: Product): Promise<string | undefined> {
  return readFile(join(product.logDirectory, 'checkpoint'), 'utf8').catch(() => undefined);
}

/** The checkpoint as an outsider gets it from the running server; undefined where it cannot be had. */
export async function fetchPublished(product: Product): Promise<string | undefined> {
  const answer = await fetch(`${product.url}/log/${product.archiveId}/checkpoint`, {
    signal: AbortSignal.timeout(5000),
  }).catch(() => undefined);
  return answer?.status === 200 ? await answer.text().catch(() => undefined) : undefined;
}
