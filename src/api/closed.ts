/**
 * A start at which the archive cannot be opened: its database is away, or its root key is locked (its file is not there, or nobody has given the passphrase). Where this machine ran before
 * it knows what guarding takes (edge-keyring.ts): it takes in what comes, which waits in the spool, answers everything else with why, and opens the archive as soon as that can be done.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import { openSpoolKey } from '../archive/house.ts';
import { archiveLayout, dataLayout } from '../archive/layout.ts';
import type { DataLayout } from '../archive/layout.ts';
import { findEdgeKeyring, ownEdgeKey, parseEdgeKey } from '../capture/edge-keyring.ts';
import type { EdgeKeyring } from '../capture/edge-keyring.ts';
import { CartularyError } from '../model/errors.ts';
import { housePlaceOf, withPassphrase } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { lockDirectory } from '../store/lock.ts';
import { isDiskFailed, reviveError } from '../store/thread.ts';
import { createThreadStarter } from '../store/thread-sharing.ts';
import { openClosedEdge } from './edge.ts';
import type { Edge } from './edge.ts';
import { errorName } from './loops.ts';
import { createLogger, exitOnFatal, openService } from './service.ts';
import type { Face, Service, ServiceOptions } from './service.ts';

/** Milliseconds between two tries to open the archive. A wrong passphrase costs half a second of processor time each. */
const TRY_AWAY_MS = 1000;
const TRY_LOCKED_MS = 5000;

/** A face whose archive is open, or is opened later. */
export type OpeningFace = Face & {
  /** Resolves when the archive is open. */
  readonly opened: Promise<Service>;
};

/**
 * Opens an archive, or its way in where it cannot be opened now.
 * @throws what kept it from being opened, where it is nothing that passes by itself or by a person's hand, or where this machine does not know what guarding takes
 */
export async function openFace(settings: Settings, options: ServiceOptions = {}): Promise<OpeningFace> {
  const layout = dataLayout(settings.data, settings.shared);
  try {
    const service = await tryOpen(settings, options);
    return { ...service, opened: Promise.resolve(service) };
  } catch (cause) {
    const why = await asClosed(layout, cause);
    if (why === undefined) throw cause;
    const keyring = await findKeyring(settings, layout, why);
    return openClosed({ settings, layout, options, keyring }, why);
  }
}

/** Is an archive to be expected here although there is none to be seen, because what its nodes share is not mounted? */
export async function wasHereBefore({ edge }: Pick<DataLayout, 'edge'>): Promise<boolean> {
  return (await stat(edge).catch(() => undefined)) !== undefined;
}

/** Opens it with threads that are ended where it cannot be opened. */
async function tryOpen(settings: Settings, options: ServiceOptions): Promise<Service> {
  const threads = options.threads ?? createThreadStarter('ready');
  return openService(settings, { ...options, threads }).catch(async (cause: unknown) => {
    await threads.end();
    throw reviveError(cause);
  });
}

/** What kept the archive from being opened, as those are told who ask meanwhile; undefined where it does not pass. */
async function asClosed(layout: DataLayout, cause: unknown): Promise<CartularyError | undefined> {
  if (!(cause instanceof CartularyError)) return undefined;
  if (cause.code === 'database-away') return cause;
  const locked = (text: string): CartularyError =>
    new CartularyError('locked', `the archive is locked: ${text}`, { cause });
  if (cause.code === 'key-missing') return locked(cause.message);
  // The directory that nodes share, with the keys, is not mounted.
  if (cause.code === 'not-found' && (await wasHereBefore(layout)))
    return locked(`nothing of it is in ${layout.common}; is that mounted?`);
  return undefined;
}

/** What this machine knew of guarding when it last ran. @throws CartularyError `key-missing`, `not-found`, `database-away` where it knows nothing */
async function findKeyring(settings: Settings, layout: DataLayout, why: CartularyError): Promise<EdgeKeyring> {
  const { code } = why;
  const cause = code === 'locked' ? why.cause : why;
  // Refused as ever where nobody has asked for more: secrets of sources are kept under no key that lies here.
  const mayTakeIn = settings.edgeKey !== undefined || code !== 'locked';
  if (!mayTakeIn || !settings.roles.includes('edge')) throw cause;
  const key =
    settings.edgeKey === undefined
      ? ownEdgeKey(await openSpoolKey(housePlaceOf(settings)))
      : parseEdgeKey(settings.edgeKey);
  const keyring = await findEdgeKeyring(layout.edge, key).catch((damage: unknown) => {
    throw new CartularyError(code, `${why.message}; what this machine knew of its sources cannot be opened either`, {
      cause: damage,
    });
  });
  if (keyring !== undefined) return keyring;
  throw new CartularyError(
    code,
    `${why.message}; nothing can be taken in meanwhile, since this machine has not run before and knows no source`,
    { cause },
  );
}

type OpeningParts = {
  readonly settings: Settings;
  readonly layout: DataLayout;
  readonly options: ServiceOptions;
  readonly keyring: EdgeKeyring;
};

async function openClosed(
  { settings, layout, options, keyring }: OpeningParts,
  first: CartularyError,
): Promise<OpeningFace> {
  const log = createLogger(settings.logLevel);
  const onFatal = options.onFatal ?? ((cause: unknown) => exitOnFatal(log, settings.data, cause));
  const lock = lockDirectory(layout.lock);
  const stop = new AbortController();
  const { signal } = stop;
  const box: { why: CartularyError; service?: Service; isLeaving: boolean } = { why: first, isLeaving: false };
  const open = (): Service => {
    if (box.service === undefined) throw box.why;
    return box.service;
  };
  const closed = await openClosedEdge({
    ...{ settings, log, signal, onFatal },
    now: options.now ?? Date.now,
    place: archiveLayout(layout, keyring.archive),
    keyring: () => keyring,
    whyUnsure: () => box.why,
    answerChallenge: (text) => open().answerChallenge(text),
    recordGaps: async (drafts) => open().archive.record(drafts),
  }).catch((cause: unknown) => {
    lock.release();
    throw cause;
  });
  const { promise: opened, resolve } = Promise.withResolvers<Service>();
  const openNow = async (with_: Settings): Promise<void> => {
    if (box.service !== undefined || signal.aborted) return;
    try {
      box.service = await tryOpen(with_, { ...options, isHeld: true, spool: closed.spool });
      log.warn({ waiting: closed.spool.state().envelopes }, 'the archive is open; what waited is filed');
      resolve(box.service);
    } catch (cause) {
      if (isDiskFailed(cause)) onFatal(cause);
      const why = await asClosed(layout, cause);
      if (why === undefined) log.error({ cause: errorName(cause) }, 'the archive cannot be opened; it is tried again');
      else box.why = why;
      throw cause;
    }
  };
  const turns = createTurns();
  log.error({ code: first.code }, describeClosed(first, closed));
  const trying = tryUntilOpen(() => turns(() => openNow(withPassphrase(settings))), box, signal);
  return {
    ...{ settings, log, opened, open },
    edge: (): Edge => box.service ?? closed,
    whyClosed: () => (box.service === undefined ? box.why : undefined),
    unlock: (passphrase) =>
      turns(() => openNow(passphrase === undefined ? withPassphrase(settings) : { ...settings, passphrase })),
    isLeaving: () => box.isLeaving,
    leave: () => void (box.isLeaving = true),
    async close() {
      stop.abort();
      await trying;
      await turns(async () => undefined);
      if (box.service === undefined) await closed.spool.close();
      else await box.service.close();
      lock.release();
    },
  };
}

/** One after the other. */
function createTurns(): (act: () => Promise<void>) => Promise<void> {
  let turn: Promise<void> = Promise.resolve();
  return (act) => {
    const mine = turn.then(act);
    turn = mine.catch(() => undefined);
    return mine;
  };
}

async function tryUntilOpen(
  openOnce: () => Promise<void>,
  box: { readonly why: CartularyError; readonly service?: Service },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted && box.service === undefined) {
    await pause(box.why.code === 'locked' ? TRY_LOCKED_MS : TRY_AWAY_MS, undefined, { signal }).catch(() => undefined);
    // What keeps it closed is told to whoever asks.
    if (!signal.aborted) await openOnce().catch(() => undefined);
  }
}

/** In one line for the log. */
function describeClosed({ code }: CartularyError, { spool }: Edge): string {
  const { envelopes, bytesMax } = spool?.state() ?? { envelopes: 0, bytesMax: 0 };
  const why =
    code === 'locked'
      ? 'the archive is locked; see that its root key can be read, or run "cartulary unlock"'
      : 'the database is away';
  return `${why}. What platforms send is acknowledged and waits on this disk (${envelopes} so far, of at most ${bytesMax} bytes); nothing can be read`;
}
