/**
 * Epochs: the keys under which the secrets of messages are wrapped in their rows. They lie in a file beside the keyring, never in the database, so that a copy of the database
 * (write-ahead archive, point-in-time recovery) loses its power over what was erased when the key of its epoch is destroyed (DESIGN §6). Whoever loses the file loses the
 * secrets, so it belongs into every backup of keys, and to every node.
 */
import { createSecretKey, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

import { z } from 'zod';

import { checkShape } from '../../model/check-shape.ts';
import { CartularyError } from '../../model/errors.ts';
import { writeFileDurably } from '../../vault/durable-file.ts';
import { isMissing } from '../../vault/missing-file.ts';
import type { PostgresLocation } from './connection.ts';
import { unwrapSecret, wrapSecret } from './secret-wrap.ts';
import type { EpochKey } from './secret-wrap.ts';

/** Where the file is, and the key of the keyring that wraps the epochs' keys in it. */
export type EpochPlace = Pick<PostgresLocation, 'epochs' | 'key'>;

/** An epoch with the time from which it is. */
export type Epoch = EpochKey & { readonly sinceMs: number };

/** The epochs of one archive as a node knows them. */
export type Epochs = {
  /** The key of an epoch; the file is read again for one that is not known yet. @throws CartularyError `key-missing` where it was destroyed, or is not here */
  get(epoch: number): EpochKey;
  /** The newest. @throws CartularyError `key-missing` where there is no file */
  newest(): Epoch;
};

const fileSchema = z.strictObject({
  version: z.literal(1),
  epochs: z
    .array(z.strictObject({ epoch: z.number().int().positive(), since: z.number().int(), key: z.base64() }))
    .min(1),
});

/** Opens the epochs of an archive. The file is read when something is asked that is not known. */
export function openEpochs(place: EpochPlace): Epochs {
  let known = new Map<number, Epoch>();
  const load = (): void => {
    known = new Map(readEpochs(place).map((epoch) => [epoch.epoch, epoch]));
  };
  return {
    get(epoch) {
      if (!known.has(epoch)) load();
      const found = known.get(epoch);
      if (found === undefined)
        throw new CartularyError('key-missing', `the key of epoch ${epoch} is not in ${place.epochs}`);
      return found;
    },
    newest() {
      if (known.size === 0) load();
      return newestOf([...known.values()]);
    },
  };
}

/** Reads the file. @throws CartularyError `key-missing`, `corrupt` */
export function readEpochs({ epochs: path, key }: EpochPlace): Epoch[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new CartularyError(
      'key-missing',
      `${path} is missing; copy it from another node or from a backup of the keys`,
    );
  }
  try {
    return parseEpochs(text, key);
  } catch (cause) {
    throw new CartularyError('corrupt', `${path} cannot be read; copy it from another node or a backup of the keys`, {
      cause,
    });
  }
}

/** Reads the text of the file. @throws CartularyError `corrupt` */
export function parseEpochs(text: string, key: Uint8Array): Epoch[] {
  const parsed = checkShape(fileSchema, parseJson(text));
  if (!parsed.success) throw new CartularyError('corrupt', 'this is no file of epochs');
  const wrapping = wrappingKey(key);
  return parsed.data.epochs.map(({ epoch, since, key: wrapped }) => ({
    epoch,
    sinceMs: since,
    key: createSecretKey(unwrapSecret(wrapping, Buffer.from(wrapped, 'base64'))),
  }));
}

/** The text of the file. */
export function formatEpochs(epochs: readonly Epoch[], key: Uint8Array): string {
  const wrapping = wrappingKey(key);
  const file: z.infer<typeof fileSchema> = {
    version: 1,
    epochs: epochs.map((epoch) => ({
      epoch: epoch.epoch,
      since: epoch.sinceMs,
      key: wrapSecret(wrapping, epoch.key.export()).toString('base64'),
    })),
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}

function wrappingKey(key: Uint8Array): EpochKey {
  return { epoch: 0, key: createSecretKey(key) };
}

/** Writes the file with these epochs; what is not among them is destroyed. */
export async function writeEpochs(place: EpochPlace, epochs: readonly Epoch[]): Promise<void> {
  await writeFileDurably(place.epochs, Buffer.from(formatEpochs(epochs, place.key)), 0o600);
}

/** Makes the first epoch, where there is none. */
export async function beginEpochs(place: EpochPlace, nowMs: number): Promise<void> {
  if (!existsSync(place.epochs)) await writeEpochs(place, [nextEpoch([], nowMs)]);
}

/** A new epoch after these. */
export function nextEpoch(epochs: readonly Epoch[], nowMs: number): Epoch {
  const last = epochs.length === 0 ? 0 : newestOf(epochs).epoch;
  return { epoch: last + 1, sinceMs: nowMs, key: createSecretKey(randomBytes(32)) };
}

function newestOf(epochs: readonly Epoch[]): Epoch {
  const [first, ...others] = epochs;
  if (first === undefined) throw new CartularyError('key-missing', 'there is no epoch');
  return others.reduce((one, other) => (other.epoch > one.epoch ? other : one), first);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
