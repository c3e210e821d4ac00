/**
 * Keeping what a platform sent, whether the database is there or not: while it is away, envelopes go into the spool and are acknowledged; once it is back they are filed by the ordinary
 * way, and what was filed before is known there.
 */
import { CartularyError, isDatabaseAway } from '../model/errors.ts';
import type { Archive } from '../archive/archive.ts';
import type { Source } from '../archive/registry.ts';
import type { Envelope } from '../model/envelope.ts';
import type { SignatureVerdict } from '../model/record.ts';
import { within } from '../jobs/within.ts';
import { isDiskFailed, isDiskFull } from '../store/thread.ts';
import type { Connector } from './connector.ts';
import type { GuardedEnvelope } from './guard/guard.ts';
import type { Received } from './receive.ts';
import type { Spool, SpooledEnvelope } from './spool.ts';

export type KeepingParts = {
  readonly archive: Archive;
  /** Undefined where the records are on this machine: there is nothing that could be away. */
  readonly spool: Spool | undefined;
  /** Told when it begins to spool, and when all of it is filed. */
  readonly onSpooling: (isSpooling: boolean, waiting: number) => void;
  /** The disk failed, and nobody may go on. */
  readonly onFatal: (cause: unknown) => void;
  /** Milliseconds after which a commit counts as one that does not come. */
  readonly patienceMs?: number;
};

export type Keeping = {
  /** Keeps an envelope whose origin is certain. Rejects as `takeEnvelope`, and where nothing more may wait with `database-away`. */
  keep(source: Source, connector: Connector, envelope: Envelope, verdict: SignatureVerdict): Promise<Received>;
  /** Files what waits, where the database is there again. */
  fileWaiting(): Promise<void>;
  isSpooling(): boolean;
};

/** Platforms wait ten seconds or more; what is spooled without need is filed a second later. */
const PATIENCE_MS = 3000;

/** What reads platforms, loaded for the first envelope: a command that looks something up gets none. */
async function loadReceiving() {
  const [{ takeEnvelope }, { getConnector }, { guardEnvelope }] = await Promise.all([
    import('./receive.ts'),
    import('./source-view.ts'),
    import('./guard/guard.ts'),
  ]);
  return { takeEnvelope, getConnector, guardEnvelope };
}
type Receiving = Awaited<ReturnType<typeof loadReceiving>>;

export function createKeeping(parts: KeepingParts): Keeping {
  const { archive, spool, onSpooling, onFatal } = parts;
  const patienceMs = parts.patienceMs ?? PATIENCE_MS;
  let isAway = false;
  let loading: Promise<Receiving> | undefined;
  const receiving = (): Promise<Receiving> => (loading ??= loadReceiving());
  let asking: Promise<number> | undefined;
  const file = async ({ source: id, envelope, verdict, findings }: SpooledEnvelope): Promise<unknown> => {
    const { takeEnvelope, getConnector } = await receiving();
    const source = archive.registry.findSource(id);
    if (source === undefined) throw new CartularyError('not-found', 'the source of what waits is not known');
    return orAway(patienceMs, takeEnvelope({ archive }, source, getConnector(source), envelope, verdict, findings));
  };
  /** Asks once at a time, however long it takes to be answered. */
  const isThere = async (): Promise<boolean> => {
    asking ??= archive.size().finally(() => (asking = undefined));
    return orAway(patienceMs, asking).then(
      () => true,
      () => false,
    );
  };
  return {
    isSpooling: () => isAway,
    async keep(source, connector, envelope, verdict) {
      const { takeEnvelope, guardEnvelope } = await receiving();
      if (spool === undefined) return takeEnvelope({ archive }, source, connector, envelope, verdict);
      if (!isAway) {
        try {
          return await orAway(patienceMs, takeEnvelope({ archive }, source, connector, envelope, verdict));
        } catch (cause) {
          if (!isDatabaseAway(cause)) throw cause;
          if (!isAway) onSpooling(true, spool.state().envelopes);
          isAway = true;
        }
      }
      const guarded = guardEnvelope(envelope, { oneTimeCodes: source.maskOneTimeCodes });
      await putGuarded(spool, source, guarded, verdict).catch((cause: unknown) => {
        if (isDiskFailed(cause)) onFatal(cause);
        throw cause;
      });
      return { answer: connector.acknowledgement, stored: 0, duplicates: 0, quarantined: false };
    },
    async fileWaiting() {
      if (spool === undefined || (!isAway && spool.state().envelopes === 0)) return;
      if (!(await isThere())) return;
      // From here on what comes is filed at once, so that this ends.
      const wasAway = isAway;
      isAway = false;
      try {
        await spool.drain(file);
      } catch (cause) {
        isAway = isDatabaseAway(cause);
        throw cause;
      }
      if (wasAway) onSpooling(false, spool.state().envelopes);
    },
  };
}

async function putGuarded(
  spool: Spool,
  source: Source,
  guarded: GuardedEnvelope,
  verdict: SignatureVerdict,
): Promise<void> {
  try {
    await spool.put({
      source: source.id,
      envelope: guarded.envelope,
      verdict,
      ...(guarded.findings === undefined ? {} : { findings: guarded.findings }),
    });
  } catch (cause) {
    const isFull = isDiskFull(cause) || (cause instanceof CartularyError && cause.code === 'too-large');
    if (!isFull) throw cause;
    throw new CartularyError('database-away', 'the database is away, and no more may wait for it here', { cause });
  }
}

const LATE = Symbol('late');

/** @throws CartularyError `database-away` where it takes too long; it may still be done, and is known then */
async function orAway<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  const result = await within<Result | typeof LATE>(ms, work, LATE);
  if (result === LATE) throw new CartularyError('database-away', 'the database does not answer');
  return result;
}
