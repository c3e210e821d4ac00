/** Runs the product in this process: service, HTTP, local socket, jobs, and the make-believe shop where it is asked for. */
import { setTimeout as pause } from 'node:timers/promises';

import { serveLocalSocket } from '../api/local-socket.ts';
import { OPERATIONS } from '../api/operations/list.ts';
import { openFace } from '../api/closed.ts';
import { startServer } from '../api/server.ts';
import type { Server } from '../api/server.ts';
import { describeMissing, findMissing } from '../api/readiness.ts';
import type { Face, Service } from '../api/service.ts';
import { dataLayout } from '../archive/layout.ts';
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
    const face = await openFace(
      settings,
      standIn === undefined ? {} : { allowPrivate: [{ host: standIn.host, port: standIn.port }], isDemo: true },
    ).catch((cause: unknown) => {
      throw asStartError(settings, cause);
    });
    closers.unshift(() => face.close());
    const server = await listen(face, closers);
    const isClosed = face.whyClosed() !== undefined;
    if (isClosed) announceClosed(face, server);
    const stop = new AbortController();
    const begin = async (service: Service): Promise<void> => {
      service.startWork(server.url);
      announce(service, server);
      // One line; what is to be done "cartulary doctor" says.
      const missing = await findMissing(service);
      if (missing.length > 0) say(`  ${paint('yellow', describeMissing(missing))} See "cartulary doctor".`);
      if (isClosed) await releaseRings(service);
    };
    const begun = face.opened.then(begin);
    const demo =
      shop === undefined || standIn === undefined
        ? Promise.resolve()
        : face.opened.then((service) =>
            shop.runDemo({ standIn, service, hooksUrl: server.hooksUrl, signal: stop.signal, say }),
          );
    closers.unshift(() => demo.catch(() => undefined));
    // Whatever fails of it ends the process; that it is over does not.
    await Promise.race([untilSignal(), Promise.all([begun, demo]).then(untilSignal)]);
    say('Stopping: what was acknowledged is on disk; the log is signed once more.');
    stop.abort();
    await leave(face);
  } finally {
    await closeAll(closers);
  }
}

/** Serves a relay until it is told to stop. */
export async function serveRelay(settings: Settings): Promise<void> {
  const closers: (() => Promise<void>)[] = [];
  try {
    const { openRelay } = await import('../api/relay.ts');
    const face = await openRelay(settings);
    closers.unshift(() => face.close());
    const server = await listen(face, closers);
    const of = face.archiveName();
    say(`${paint('bold', 'Cartulary')} takes in messages for ${of ?? 'an archive that has not asked yet'}.`);
    say(`  for the archive  ${server.url}   (cartulary relay add NAME --url …, where the archive is)`);
    say(`  hooks            ${server.hooksUrl}/hooks/{source}`);
    await untilSignal();
    say('Stopping: what was acknowledged is on disk.');
    await leave(face);
  } finally {
    await closeAll(closers);
  }
}

async function listen(face: Face, closers: (() => Promise<void>)[]): Promise<Server> {
  const server = await startServer(face);
  closers.unshift(() => server.close());
  const { socket: path } = dataLayout(face.settings.data, face.settings.shared);
  const socket = await serveLocalSocket(path, face, OPERATIONS);
  closers.unshift(() => socket.close());
  return server;
}

/** Whoever spreads requests over several sees by /readyz that this one goes, and sends it no more. */
async function leave(face: Face): Promise<void> {
  face.leave();
  if (face.settings.shared !== undefined) await pause(LEAVE_MS);
}

async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  const deadline = setTimeout(() => process.exit(1), SHUTDOWN_MS_MAX);
  for (const close of closers) await close();
  clearTimeout(deadline);
}

/** What was refused while the archive was closed, by secrets that may have been others since, is taken in where it fits those of now. */
async function releaseRings(service: Service): Promise<void> {
  const { releaseRing } = await import('../capture/reprocess.ts');
  for (const source of service.archive.registry.listSources())
    if (source.removedAtMs === undefined) await releaseRing(service.receive, source, service.publicUrl());
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

function announceClosed(face: Face, server: Server): void {
  say(
    `${paint('bold', 'Cartulary')} takes in what platforms send, and nothing else: ${face.whyClosed()?.message ?? ''}.`,
  );
  say(`  hooks         ${server.hooksUrl}/hooks/{source}`);
}

function announce(service: Service, server: Server): void {
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
