/**
 * Runs the product as its user would: the command line and the server as processes of their own, on loopback, in a directory of their own.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** What users start; it ends up as the very same process. */
const LAUNCHER = fileURLToPath(new URL('../../bin/cartulary.mjs', import.meta.url));

/** A server that takes longer hangs, however busy the machine is. */
const READY_MS_MAX = 90_000;

/** A command that takes longer hangs; an export of half a million messages on a busy machine does not. */
const COMMAND_MS_MAX = 600_000;

export type CliResult = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs a command to its end. */
export async function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
  { cwd = process.cwd(), msMax = COMMAND_MS_MAX }: { readonly cwd?: string; readonly msMax?: number } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, msMax);
  const code = await new Promise<number>((resolve) => child.on('close', (value) => resolve(value ?? -1)));
  clearTimeout(timer);
  if (isLate) throw new Error(`cartulary ${args.join(' ')} did not end in ${msMax} ms: ${stderr}${stdout}`);
  return { code, stdout, stderr };
}

/** Runs a command with `--json` and reads its result; fails with what it said where it failed. */
export async function runJson<Result>(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const { code, stdout, stderr } = await runCli([...args, '--json'], env);
  if (code !== 0) throw new Error(`cartulary ${args[0]} ended with ${code}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as Result;
}

/** A directory that goes when the test is over. */
export async function makePlace(
  name: string,
): Promise<{ readonly path: string; readonly data: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `cartulary-${name}-`));
  return { path, data: join(path, 'data'), remove: () => rm(path, { recursive: true, force: true }) };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export type Served = {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  readonly log: () => string;
  /** Asks it to stop and waits until it has. */
  stop(): Promise<number>;
  /** Kills it at once. */
  kill(): Promise<void>;
};

/** Starts the server and waits until it is ready. */
export async function serve(
  data: string,
  options: { readonly port?: number; readonly env?: Record<string, string>; readonly args?: readonly string[] } = {},
): Promise<Served> {
  const port = options.port ?? (await freePort());
  const child = spawn(process.execPath, [LAUNCHER, 'start', '--data', data, ...(options.args ?? [])], {
    env: { ...process.env, CARTULARY_LISTEN: `127.0.0.1:${port}`, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = new Promise<number>((resolve) =>
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? -1 : 128))),
  );
  const url = `http://127.0.0.1:${port}`;
  await waitReady(url, ended, () => log);
  return {
    url,
    port,
    process: child,
    log: () => log,
    async stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function waitReady(url: string, ended: Promise<number>, log: () => string): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  let over: number | undefined;
  void ended.then((code) => (over = code));
  while (performance.now() < deadline) {
    if (over !== undefined) throw new Error(`the server ended with ${over}: ${log()}`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the server was not ready in ${READY_MS_MAX} ms: ${log()}`);
}

/** Waits until a condition holds. */
export async function until(what: string, holds: () => Promise<boolean>, seconds = 20): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}
