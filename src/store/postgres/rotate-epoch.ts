/**
 * A new epoch: its key is made, everybody is told under the lock of the log's head, every secret is wrapped anew, and the keys of the epochs before are destroyed, at once or a day later. From then on what
 * was erased cannot be brought back by an older copy of the database: the secrets in it are wrapped under keys that are gone. Each step can be repeated, so a rotation that was cut
 * off is finished by the next.
 */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import { keepConnected, uuidOf } from './connection.ts';
import type { KeptConnection, PostgresLocation } from './connection.ts';
import { nextEpoch, openEpochs, readEpochs, writeEpochs } from './epochs.ts';
import type { Epoch, Epochs } from './epochs.ts';
import { unwrapSecret, wrapSecret } from './secret-wrap.ts';
import { inTransaction } from './transaction.ts';

/** Any number that nobody else locks on. */
const ROTATION_LOCK = 723_262_734;
/** Keys that are wrapped anew in one transaction. */
const KEYS = 2000;

/** What was done. */
export type EpochRotation = { readonly epoch: number; readonly rewrapped: number; readonly destroyed: number };

/**
 * Rotates. Appends go on meanwhile.
 * @param keepsFormer does the key of the epoch that ends stay, until `finishEpoch`? A replica that lags and takes over has secrets that only that key opens
 * @throws CartularyError `database-away` where the database went away; what was begun is finished by the next rotation
 */
export function rotateEpoch(location: PostgresLocation, nowMs: number, keepsFormer: boolean): Promise<EpochRotation> {
  return rotating(location, async (connection) => {
    const before = readEpochs(location);
    const next = nextEpoch(before, nowMs);
    // First, and durable: from the moment a row names an epoch its key must be there.
    await writeEpochs(location, [...before, next]);
    const former = before.find(({ epoch }) => epoch === next.epoch - 1);
    const kept = keepsFormer && former !== undefined ? [former] : [];
    const rewrapped = await rewrapAll(location, connection, next);
    await writeEpochs(location, [...kept, next]);
    return { epoch: next.epoch, rewrapped, destroyed: before.length - kept.length };
  });
}

/** Destroys the keys of all epochs but the newest, under which every secret is wrapped first that is not yet. @throws CartularyError as `rotateEpoch` */
export function finishEpoch(location: PostgresLocation): Promise<EpochRotation> {
  return rotating(location, async (connection) => {
    const all = readEpochs(location);
    const newest = openEpochs(location).newest();
    const rewrapped = await rewrapAll(location, connection, newest);
    await writeEpochs(location, [newest]);
    return { epoch: newest.epoch, rewrapped, destroyed: all.length - 1 };
  });
}

async function rotating<Result>(
  location: PostgresLocation,
  act: (connection: KeptConnection) => Promise<Result>,
): Promise<Result> {
  const connection = keepConnected(location);
  try {
    await connection.use((client) => lockRotation(client, uuidOf(location.archiveId)));
    return await act(connection);
  } finally {
    await connection.close();
  }
}

/** Tells everybody of an epoch, and wraps under it what is not. @returns how many there were */
async function rewrapAll(location: PostgresLocation, connection: KeptConnection, next: Epoch): Promise<number> {
  const archive = uuidOf(location.archiveId);
  const epochs = openEpochs(location);
  await connection.use((client) => announce(client, archive, next));
  let rewrapped = 0;
  for (let count = -1; count !== 0; rewrapped += count)
    count = await connection.use((client) => rewrapSome(client, archive, epochs, next));
  await connection.use((client) => assertNoneLeft(client, archive, next));
  return rewrapped;
}

/** Of several nodes one rotates; the lock goes with its connection. */
async function lockRotation(client: Client, archive: string): Promise<void> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, hashtext($2)) AS locked', [
    ROTATION_LOCK,
    archive,
  ]);
  if (rows[0]?.locked !== true) throw new CartularyError('conflict', 'another node begins a new epoch at this moment');
}

/** Whoever appends asks for the epoch under the lock of the head, so none is wrapped under an older one from here on. */
async function announce(client: Client, archive: string, { epoch }: Epoch): Promise<void> {
  await client.query('UPDATE log_head SET epoch = $2 WHERE archive = $1', [archive, epoch]);
}

type WrappedRow = { no: number; secret: Buffer; epoch: number };

async function rewrapSome(client: Client, archive: string, epochs: Epochs, next: Epoch): Promise<number> {
  return inTransaction(client, async () => {
    const { rows } = await client.query<WrappedRow>(
      'SELECT no, secret, epoch FROM message_key WHERE archive = $1 AND epoch < $2 ORDER BY no LIMIT $3 FOR UPDATE',
      [archive, next.epoch, KEYS],
    );
    if (rows.length === 0) return 0;
    const wrapped = rows.map(({ secret, epoch }) => wrapSecret(next, unwrapSecret(epochs.get(epoch), secret)));
    await client.query(
      `UPDATE message_key k SET secret = u.secret, epoch = $2 FROM unnest($3::bigint[], $4::bytea[]) AS u(no, secret) WHERE k.archive = $1 AND k.no = u.no`,
      [archive, next.epoch, rows.map(({ no }) => no), wrapped],
    );
    return rows.length;
  });
}

async function assertNoneLeft(client: Client, archive: string, { epoch }: Epoch): Promise<void> {
  const { rows } = await client.query<{ left: number }>(
    'SELECT count(*) AS left FROM message_key WHERE archive = $1 AND epoch <> $2',
    [archive, epoch],
  );
  if (rows[0]?.left !== 0)
    throw new CartularyError(
      'conflict',
      'another rotation is under way; the keys of former epochs stay until it is done',
    );
}
