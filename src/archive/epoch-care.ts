/**
 * Epochs of an archive whose records are in PostgreSQL: begun anew every week, so that a copy of the database that is older than that gives back nothing that was erased
 * (DESIGN §6). Where the records are in a file there are none: what is deleted there stands in no copy that we do not know.
 */
import { CartularyError } from '../model/errors.ts';
import { finishEpoch, listEpochStarts, rotateEpoch } from '../store/engine.ts';
import type { EpochRotation, StoreLocation } from '../store/engine.ts';

/** A new epoch begins after so many days; the key of the one before stays for so many more. */
const EPOCH_DAYS = 7;
const FORMER_DAYS = 1;
const DAY_MS = 86_400_000;

/**
 * Begins a new epoch.
 * @param keepsFormer does the key of the epoch that ends stay for a day? An asynchronous replica that takes over before it has the new epoch is unreadable without it
 * @throws CartularyError `bad-input` where there are none; as `rotateEpoch`
 */
export function beginEpoch(location: StoreLocation, nowMs: number, keepsFormer: boolean): Promise<EpochRotation> {
  return rotateEpoch(assertEpochs(location), nowMs, keepsFormer);
}

/** Destroys the keys of the epochs that are over. @throws CartularyError as `beginEpoch` */
export function endEpochs(location: StoreLocation): Promise<EpochRotation> {
  return finishEpoch(assertEpochs(location));
}

/** Is it time for a new epoch, or for the end of those before? */
export async function findEpochStep(location: StoreLocation, nowMs: number): Promise<EpochStep | undefined> {
  return stepAfter(await listEpochStarts(location), nowMs);
}

/** What can be due. */
type EpochStep = 'begin' | 'end';

/** What is due. @param starts when the epochs began whose keys are there, oldest first */
export function stepAfter(starts: readonly number[], nowMs: number): EpochStep | undefined {
  const newest = starts.at(-1);
  if (newest === undefined) return undefined;
  // One that begins in the future was begun by a clock that was wrong, and would last until then.
  if (nowMs - newest >= EPOCH_DAYS * DAY_MS || newest - nowMs >= DAY_MS) return 'begin';
  return starts.length > 1 && nowMs - newest >= FORMER_DAYS * DAY_MS ? 'end' : undefined;
}

function assertEpochs(location: StoreLocation): Extract<StoreLocation, { engine: 'postgres' }> {
  if (location.engine === 'postgres') return location;
  throw new CartularyError('bad-input', 'the records of this archive are in a file, which has no epochs');
}
