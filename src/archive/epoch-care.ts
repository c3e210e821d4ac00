/**
 * Epochs of an archive whose records are in PostgreSQL: begun anew every week, so that a copy of the database that is older than that gives back nothing that was erased
 * (DESIGN §6). Where the records are in a file there are none: what is deleted there stands in no copy that we do not know.
 */
import { CartularyError } from '../model/errors.ts';
import { findEpochStart, rotateEpoch } from '../store/engine.ts';
import type { EpochRotation, StoreLocation } from '../store/engine.ts';

/** An erasure is complete when the keys of this many days are gone, and with them the copies of the keys that are made for backups. */
export const EPOCH_DAYS = 7;
const DAY_MS = 86_400_000;

/** Begins a new epoch. @throws CartularyError `bad-input` where there are none; as `rotateEpoch` */
export function beginEpoch(location: StoreLocation, nowMs: number): Promise<EpochRotation> {
  if (location.engine !== 'postgres')
    throw new CartularyError('bad-input', 'the records of this archive are in a file, which has no epochs');
  return rotateEpoch(location, nowMs);
}

/** Is it time for a new epoch? */
export async function isEpochOver(location: StoreLocation, nowMs: number): Promise<boolean> {
  const sinceMs = await findEpochStart(location);
  return sinceMs !== undefined && nowMs - sinceMs >= EPOCH_DAYS * DAY_MS;
}
