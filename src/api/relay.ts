/**
 * A relay: takes in what platforms send where the archive itself must not be reached from, and keeps it until the archive fetches it. It connects to nobody, has no part of the archive, and
 * knows what it was given: the public key that it seals to, and what guarding takes.
 */
import { archiveLayout, dataLayout } from '../archive/layout.ts';
import { parseEdgeKey } from '../capture/edge-keyring.ts';
import type { EdgeKeyring } from '../capture/edge-keyring.ts';
import { relayChallenge } from '../capture/relay-auth.ts';
import { createRefusals, openRelayDesk, openRelaySpools } from '../capture/relay-desk.ts';
import type { RelaySpool } from '../capture/relay-desk.ts';
import type { Spool } from '../capture/spool.ts';
import { CartularyError } from '../model/errors.ts';
import type { Settings } from '../settings.ts';
import { lockDirectory } from '../store/lock.ts';
import { version } from '../version.ts';
import { openClosedEdge } from './edge.ts';
import type { Edge } from './edge.ts';
import { createLogger, exitOnFatal } from './service.ts';
import type { Face } from './service.ts';

/** Milliseconds without a question of the archive after which sources may be others than are known here. */
const SURE_MS = 60_000;

/** A running relay. */
export type RelayFace = Face & {
  /** Of the archive that it belongs to; undefined where it was never asked. */
  archiveName(): string | undefined;
};

/**
 * Opens a relay.
 * @throws CartularyError `corrupt` where what it was given is of another edge key, `data-held`, `setting`
 */
export async function openRelay(settings: Settings): Promise<RelayFace> {
  const log = createLogger(settings.logLevel);
  const now = Date.now;
  const key = parseEdgeKey(settings.edgeKey ?? '');
  const layout = dataLayout(settings.data);
  const lock = lockDirectory(layout.lock);
  const stop = new AbortController();
  const life = { isLeaving: false };
  const box: { edge?: Edge; keyring?: EdgeKeyring; spools?: Readonly<Record<RelaySpool, Spool>> } = {};
  const begin = async (keyring: EdgeKeyring): Promise<void> => {
    assertSame(box.keyring, keyring);
    box.keyring = keyring;
    if (box.edge !== undefined) return;
    const place = archiveLayout(layout, keyring.archive);
    const edge = await openClosedEdge({
      ...{ settings, log, now, place, whyUnsure },
      keyring: () => box.keyring ?? keyring,
      answerChallenge: (text) => relayChallenge(key, text),
      // It has nowhere to put one on record.
      recordGaps: () => new Promise(() => undefined),
      ring: createRefusals(() => box.spools?.refused),
      signal: stop.signal,
      onFatal: (cause) => exitOnFatal(log, settings.data, cause),
    });
    box.spools = await openRelaySpools(place.directory, edge.spool, keyring.spool);
    box.edge = edge;
  };
  const desk = await openRelayDesk({
    ...{ key, path: layout.edge, version: version(), now },
    spools: () => box.spools,
    onKeyring: begin,
  }).catch((cause: unknown) => {
    lock.release();
    throw cause;
  });
  function whyUnsure(): CartularyError | undefined {
    return now() - (desk.heardMs() ?? Number.NEGATIVE_INFINITY) < SURE_MS
      ? undefined
      : new CartularyError(
          'overloaded',
          'this relay has not heard of its archive lately, and cannot tell whether this is right',
        );
  }
  return {
    ...{ settings, log, relay: desk },
    archiveName: () => box.keyring?.name,
    edge() {
      if (box.edge === undefined)
        throw new CartularyError('overloaded', 'this relay has not heard of its archive yet, and knows no source');
      return box.edge;
    },
    open() {
      throw isRelay();
    },
    whyClosed: isRelay,
    unlock: () => Promise.reject(isRelay()),
    isLeaving: () => life.isLeaving,
    leave: () => void (life.isLeaving = true),
    async close() {
      stop.abort();
      for (const spool of Object.values(box.spools ?? {})) await spool.close();
      lock.release();
    },
  };
}

function isRelay(): CartularyError {
  return new CartularyError('not-found', 'this is a relay: it holds no archive');
}

/** What waits here is sealed to one archive. */
function assertSame(known: EdgeKeyring | undefined, given: EdgeKeyring): void {
  if (known !== undefined && known.archive !== given.archive)
    throw new CartularyError('conflict', 'this relay belongs to another archive');
}
