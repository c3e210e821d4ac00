/** Runs the product in this process: service, HTTP, local socket, jobs, and the make-believe shop where it is asked for. */
import { setTimeout as pause } from 'node:timers/promises';

import { serveLocalSocket } from '../api/local-socket.ts';
import { OPERATIONS } from '../api/operations/list.ts';
import { startServer } from '../api/server.ts';
import { describeMissing, findMissing } from '../api/readiness.ts';
import { openService } from '../api/service.ts';
import type { Service } from '../api/service.ts';
import { CartularyError } from '../model/errors.ts';
import type { Settings } from '../settings.ts';
import { isDiskFailed, isDiskFull } from '../store/thread.ts';
import { paint, say } from './output.ts';

/** Milliseconds that a node says that it goes before it does. */
const LEAVE_MS = 4000;
/** Milliseconds that a shutdown may take before the process ends anyway. */
const SHUTDOWN_MS_MAX = 30_000;

/** Serves until it is told to stop. What was opened is closed whatever happens: a thread left behind would keep the process alive. */
export async function serve(settings: Settings, isDemo: boolean): Promise<void> {
  const closers: (() => Promise<void>)[] = [];
  try {
    const shop = isDemo ? await import('../demo/run.ts') : undefined;
    const standIn = await shop?.startTwilioStandIn();
    if (standIn !== undefined) closers.unshift(() => standIn.close());
    const service = await openService(
      settings,
      standIn === undefined ? {} : { allowPrivate: [{ host: standIn.host, port: standIn.port }], isDemo: true },
    ).catch((cause: unknown) => {
      throw asStartError(settings, cause);
    });
    closers.unshift(() => service.close());
    const server = await startServer(service);
    closers.unshift(() => server.close());
    const socket = await serveLocalSocket(service.house.layout.socket, service, OPERATIONS);
    closers.unshift(() => socket.close());
    service.startWork(server.url);
    announce(service, server);
    // One line; what is to be done "cartulary doctor" says.
    const missing = await findMissing(service);
    if (missing.length > 0) say(`  ${paint('yellow', describeMissing(missing))} See "cartulary doctor".`);
    const stop = new AbortController();
    const demo =
      shop === undefined || standIn === undefined
        ? Promise.resolve()
        : shop.runDemo({ standIn, service, hooksUrl: server.hooksUrl, signal: stop.signal, say });
    closers.unshift(() => demo.catch(() => undefined));
    await Promise.race([untilSignal(), demo.then(untilSignal)]);
    say('Stopping: what was acknowledged is on disk; the log is signed once more.');
    stop.abort();
    service.leave();
    // Whoever spreads requests over several nodes sees by /readyz that this one goes, and sends it no more.
    if (settings.shared !== undefined) await pause(LEAVE_MS);
  } finally {
    const deadline = setTimeout(() => process.exit(1), SHUTDOWN_MS_MAX);
    for (const close of closers) await close();
    clearTimeout(deadline);
  }
}

/** What kept an archive from being opened, which writes to it, in one line with what a person must do. */
function asStartError(settings: Settings, cause: unknown): unknown {
  if (isDiskFailed(cause)) {
    const code = cause instanceof CartularyError ? cause.message : String((cause as { code?: unknown }).code);
    return new CartularyError('disk-failed', `the disk of ${settings.data} failed: ${code}`, { cause });
  }
  if (!isDiskFull(cause)) return cause;
  const text = `the disk of ${settings.data} is full, and nothing can be captured: make room there (df "${settings.data}"), then start again`;
  return new CartularyError('file', text, { cause });
}

function announce(service: Service, server: { readonly url: string; readonly hooksUrl: string }): void {
  const { root, archive } = { root: service.house.root, archive: service.archive };
  say(`${paint('bold', 'Cartulary')} keeps the messages of ${archive.name}.`);
  say(`  API and log   ${server.url}   (description: ${server.url}/api/v1/openapi.json)`);
  say(`  hooks         ${server.hooksUrl}/hooks/{source}`);
  say(`  log key       ${archive.vkey}`);
  say(`  root key      ${root.kind} at ${root.location}. ${root.whoCanRead}`);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
