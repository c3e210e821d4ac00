/** The PostgreSQL engine as others see it. Appends that arrive while a transaction runs wait together and share the next. */
import { createGroupQueue } from '../group-queue.ts';
import type { AppendEntry, AppendResult, StoreReader, StoreWriter } from '../store.ts';
import { createAppender } from './append.ts';
import { connect, uuidOf } from './connection.ts';
import type { PostgresLocation } from './connection.ts';
import { epochOf } from './epoch.ts';
import { openPostgresReader } from './reader.ts';
import { migrate, SCHEMA } from './schema.ts';
import {
  claimJobs,
  closeKey,
  destroyKey,
  finishJob,
  pinKey,
  putSettings,
  putStates,
  retryJob,
  unpinKey,
} from './writer.ts';

/** An open archive in PostgreSQL. */
export type PostgresStore = { readonly writer: StoreWriter; readonly reader: StoreReader; close(): Promise<void> };

/** Opens an archive, or makes it. @throws CartularyError `overloaded` where the server cannot be reached; as `migrate` */
export async function openPostgresStore(
  location: PostgresLocation,
  now: () => number = Date.now,
): Promise<PostgresStore> {
  const archive = uuidOf(location.archiveId);
  const appending = await connect(location);
  await appending.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`);
  await migrate(appending);
  const client = await connect(location);
  const append = createAppender({ client: appending, archiveId: location.archiveId, epoch: epochOf(location), now });
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(act: () => Promise<Result>): Promise<Result> => {
    const mine = turn.then(act);
    turn = mine.catch(() => undefined);
    return mine;
  };
  let appendTurn: Promise<unknown> = Promise.resolve();
  const queue = createGroupQueue<AppendEntry, AppendEntry[]>({
    bytesOf: (entry) => entry.sealed.length + entry.leaf.length + 64,
    open: () => [],
    add: (group, entry) => void group.push(entry),
    send(group) {
      const mine = appendTurn.then(() => append(group));
      appendTurn = mine.catch(() => undefined);
      return mine as Promise<AppendResult[]>;
    },
  });
  const reader = openPostgresReader(location);
  const close = async (): Promise<void> => {
    await queue.drain();
    await turn;
    await reader.close();
    await appending.end();
    await client.end();
  };
  return {
    reader,
    close,
    writer: {
      append: (entries) => queue.push(entries),
      putStates: (rows) => inTurn(() => putStates(client, archive, rows)),
      putSettings: (changes) => inTurn(() => putSettings(client, archive, changes)),
      claimJobs: (kinds, limit, nowMs, leaseMs) =>
        inTurn(() => claimJobs(client, archive, { kinds, limit, nowMs, leaseMs })),
      finishJob: (id) => inTurn(() => finishJob(client, archive, id)),
      retryJob: (id, dueAtMs) => inTurn(() => retryJob(client, archive, id, dueAtMs)),
      pinKey: (messageId, hold) => inTurn(() => pinKey(client, archive, messageId, hold)),
      unpinKey: (messageId, hold) => inTurn(() => unpinKey(client, archive, messageId, hold)),
      closeKey: (messageId) => inTurn(() => closeKey(client, archive, messageId)),
      destroyKey: (messageId) => inTurn(() => destroyKey(client, archive, messageId)),
      scrub: () => Promise.resolve(true),
      checkpoint: () => Promise.resolve(),
      copyTo: () => Promise.reject(new Error('not yet')),
      close,
    },
  };
}
