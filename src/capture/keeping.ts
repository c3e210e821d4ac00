/**
 * Keeping what a platform sent, whether the archive can be written to or not: while its database is away or its keys are locked, envelopes go into the spool and are acknowledged; later they
 * are filed by the ordinary way, and what was filed before is known there.
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
import { spoolKeysOf } from './spool-file.ts';

export type KeepingParts = {
  /** Undefined while it cannot be opened. */
  readonly archive: Archive | undefined;
  /** Undefined where nothing can be away. */
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
  const [{ takeEnvelope }, { fileSpooled }, { guardEnvelope }] = await Promise.all([
    import('./receive.ts'),
    import('./spooled.ts'),
    import('./guard/guard.ts'),
  ]);
  return { takeEnvelope, fileSpooled, guardEnvelope };
}
type Receiving = Awaited<ReturnType<typeof loadReceiving>>;

export function createKeeping(parts: KeepingParts): Keeping {
  const { archive, spool, onSpooling, onFatal } = parts;
  const patienceMs = parts.patienceMs ?? PATIENCE_MS;
  let isAway = archive === undefined;
  let loading: Promise<Receiving> | undefined;
  const receiving = (): Promise<Receiving> => (loading ??= loadReceiving());
  let asking: Promise<number> | undefined;
  /** Asks once at a time, however long it takes to be answered. */
  const isThere = async ({ size }: Archive): Promise<boolean> => {
    asking ??= size().finally(() => (asking = undefined));
    return orAway(patienceMs, asking).then(
      () => true,
      () => false,
    );
  };
  return {
    isSpooling: () => isAway,
    async keep(source, connector, envelope, verdict) {
      const { takeEnvelope, guardEnvelope } = await receiving();
      if (archive !== undefined && (spool === undefined || !archive.isRemote))
        return takeEnvelope({ archive }, source, connector, envelope, verdict);
      if (spool === undefined) throw new CartularyError('internal', 'there is nothing to keep it in');
      const name = crypto.randomUUID();
      if (archive !== undefined && !isAway) {
        try {
          // Under its name, since it may be committed although nobody heard of it.
          return await orAway(patienceMs, takeEnvelope({ archive }, source, connector, envelope, verdict, { name }));
        } catch (cause) {
          if (!isDatabaseAway(cause)) throw cause;
          if (!isAway) onSpooling(true, spool.state().envelopes);
          isAway = true;
        }
      }
      const guarded = guardEnvelope(envelope, { oneTimeCodes: source.maskOneTimeCodes });
      await putGuarded(spool, guarded, { id: name, source: source.id, verdict }).catch((cause: unknown) => {
        if (isDiskFailed(cause)) onFatal(cause);
        throw cause;
      });
      return { answer: connector.acknowledgement, stored: 0, duplicates: 0, quarantined: false };
    },
    async fileWaiting() {
      if (archive === undefined || spool === undefined || (!isAway && spool.state().envelopes === 0)) return;
      if (!(await isThere(archive))) return;
      const { fileSpooled } = await receiving();
      // From here on what comes is filed at once, so that this ends.
      const wasAway = isAway;
      isAway = false;
      try {
        await spool.drain(spoolKeysOf(archive.spool), (one) => orAway(patienceMs, fileSpooled(archive, one)));
      } catch (cause) {
        isAway = archive.isRemote && isDatabaseAway(cause);
        throw cause;
      }
      if (wasAway) onSpooling(false, spool.state().envelopes);
    },
  };
}

async function putGuarded(
  spool: Spool,
  { envelope, findings }: GuardedEnvelope,
  one: Omit<SpooledEnvelope, 'envelope' | 'findings'>,
): Promise<void> {
  try {
    await spool.put({ ...one, envelope, ...(findings === undefined ? {} : { findings }) });
  } catch (cause) {
    const isFull = isDiskFull(cause) || (cause instanceof CartularyError && cause.code === 'too-large');
    if (!isFull) throw cause;
    throw new CartularyError('database-away', 'what comes cannot be filed, and no more may wait for it here', {
      cause,
    });
  }
}

const LATE = Symbol('late');

/** @throws CartularyError `database-away` where it takes too long; it may still be done, and is known then */
async function orAway<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  const result = await within<Result | typeof LATE>(ms, work, LATE);
  if (result === LATE) throw new CartularyError('database-away', 'the database does not answer');
  return result;
}
