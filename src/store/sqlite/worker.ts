/**
 * A thread of the SQLite engine. As writer it takes everything that waits in its port at once, so that many small appends share one commit.
 * After an I/O error it does not go on: what the kernel holds of the file is unknown then, so the thread ends and the process with it.
 */
import { receiveMessageOnPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { assertNever, CartularyError } from '../../model/errors.ts';
import { BUSY_WAIT_MS, openEncryptedDatabase } from '../../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import { decodeBatch, encodeResults } from '../batch-codec.ts';
import { releaseBuffer } from '../growing-buffer.ts';
import { createAppender } from './append.ts';
import type { Appender } from './append.ts';
import { copyDatabase } from './copy.ts';
import { formatRefusal, takePlace } from '../thread.ts';
import type { ThreadReply } from '../thread.ts';
import type { SqliteRequest, WalPages, WorkerSetup } from './protocol.ts';
import { migrate } from './schema.ts';
import {
  claimJobs,
  closeKey,
  destroyKey,
  finishJob,
  pinKey,
  putSettings,
  putStates,
  releaseJobs,
  retryJob,
  scrub,
  unpinKey,
} from './writer.ts';

/** The writer's cache holds the pages that random keys come upon; maintenance only passes pages on. */
const CACHE_KIB = { writer: 32_768, maintenance: 1024 } as const;

/** Milliseconds that the writer waits for readers before it lets the log grow on. */
const RESTART_WAIT_MS = 50;
/** To this the log's file shrinks when it begins anew, after a backup let it grow. */
const WAL_FILE_BYTES_MAX = 128 * 1024 * 1024;

/** Entries of one transaction at most. */
const GROUP_ENTRIES_MAX = 4000;

const place = takePlace<WorkerSetup>();

type AppendRequest = Extract<SqliteRequest, { name: 'append' }>;

function serve(port: MessagePort, setup: WorkerSetup): void {
  const database = openEncryptedDatabase(setup.path, {
    key: setup.key,
    pageBytes: 8192,
    cacheKib: CACHE_KIB[setup.role],
  });
  if (setup.role === 'writer') {
    makeDurable(database);
    migrate(database);
    releaseJobs(database);
  }
  // Moving the log into the file inside a commit costs 30–150 ms; the maintenance thread does it beside.
  database.pragma('wal_autocheckpoint = 0');
  database.pragma(`journal_size_limit = ${WAL_FILE_BYTES_MAX}`);
  const appender = setup.role === 'writer' ? createAppender(database) : undefined;
  listen(port, database, appender);
}

/**
 * Makes durable what an earlier process has written and perhaps never synced. Killed between write and sync, it leaves transactions that everybody reads, since the kernel
 * still has them, and that a power cut takes: what is sent again then is a duplicate, and would be acknowledged without a sync of anything. Copied into the file, and that
 * synced, they stand even where the kernel has given up writing the log (after an error of fsync it takes pages as written that are not).
 * @throws CartularyError `data-held` where a process that began to read before is still at it
 */
function makeDurable(database: EncryptedDatabase): void {
  try {
    const [row] = database.pragma('wal_checkpoint(FULL)') as { busy: number; log: number; checkpointed: number }[];
    if (row !== undefined && row.busy === 0 && row.log === row.checkpointed) return;
  } catch (cause) {
    // On a full disk there may be no room to copy it; the log itself is synced before that.
    if (cause instanceof Error && 'code' in cause && cause.code === 'SQLITE_FULL') return;
    throw cause;
  }
  throw new CartularyError('data-held', 'another process still reads what the last server left; stop it first');
}

function listen(port: MessagePort, database: EncryptedDatabase, appender: Appender | undefined): void {
  port.on('message', (first: SqliteRequest) => {
    const requests = [first];
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      requests.push(next.message as SqliteRequest);
    }
    handleAll(port, database, appender, requests);
  });
}

function handleAll(
  port: MessagePort,
  database: EncryptedDatabase,
  appender: Appender | undefined,
  requests: readonly SqliteRequest[],
): void {
  let group: AppendRequest[] = [];
  let groupEntries = 0;
  const flush = (): void => {
    if (group.length > 0 && appender !== undefined) appendGroup(port, appender, group);
    group = [];
    groupEntries = 0;
  };
  for (const request of requests) {
    if (request.name === 'append') {
      group.push(request);
      groupEntries += Buffer.from(request.args).readUInt32LE(0);
      if (groupEntries >= GROUP_ENTRIES_MAX) flush();
    } else {
      flush();
      answer(port, request, () => handle(port, database, appender, request));
    }
  }
  flush();
}

function appendGroup(port: MessagePort, appender: Appender, group: readonly AppendRequest[]): void {
  const batches = group.map((request) => decodeBatch(request.args));
  try {
    const results = appender.append(batches.flat());
    let at = 0;
    group.forEach((request, index) => {
      const count = batches[index]?.length ?? 0;
      const packed = encodeResults(results.slice(at, at + count));
      at += count;
      reply(port, { id: request.id, ok: true, result: packed });
    });
  } catch (cause) {
    for (const request of group) reply(port, formatRefusal(request.id, cause));
    stopAfterIoError(cause);
  } finally {
    for (const { args } of group) releaseBuffer(args);
  }
}

function handle(
  port: MessagePort,
  database: EncryptedDatabase,
  appender: Appender | undefined,
  request: Exclude<SqliteRequest, AppendRequest>,
): unknown {
  switch (request.name) {
    case 'ready':
      return undefined;
    case 'connect':
      return listen(request.args, database, appender);
    case 'putStates':
      return putStates(database, request.args);
    case 'putSettings':
      return putSettings(database, request.args);
    case 'claimJobs':
      return claimJobs(database, request.args);
    case 'finishJob':
      return finishJob(database, request.args);
    case 'retryJob':
      return retryJob(database, request.args.id, request.args.dueAtMs);
    case 'pinKey':
      return pinKey(database, request.args.messageId, request.args.hold);
    case 'unpinKey':
      return unpinKey(database, request.args.messageId, request.args.hold);
    case 'closeKey':
      return closeKey(database, request.args);
    case 'destroyKey':
      return destroyKey(database, request.args);
    case 'scrub':
      return scrub(database);
    case 'checkpoint':
      return checkpoint(database);
    case 'restart':
      return restartLog(database);
    case 'copyTo':
      return copyDatabase(database, place.setup.key, request.args.contentPath, request.args.keysPath);
    case 'close':
      database.close();
      setImmediate(() => port.close());
      return undefined;
    default:
      return assertNever(request);
  }
}

/** Moves what readers allow. */
function checkpoint(database: EncryptedDatabase): WalPages {
  const [row] = database.pragma('wal_checkpoint(PASSIVE)') as { log: number; checkpointed: number }[];
  if (row === undefined || row.log < 0) return { written: 0, waiting: 0 };
  return { written: row.log, waiting: Math.max(0, row.log - row.checkpointed) };
}

/**
 * Moves what is left and has the next append begin the log anew. Only the writer can: while it writes, something always waits. Readers are waited for but briefly; a
 * copy for a backup reads for minutes, and the log grows until it is done.
 */
function restartLog(database: EncryptedDatabase): undefined {
  database.pragma(`busy_timeout = ${RESTART_WAIT_MS}`);
  try {
    database.pragma('wal_checkpoint(RESTART)');
  } finally {
    database.pragma(`busy_timeout = ${BUSY_WAIT_MS}`);
  }
}

function answer(port: MessagePort, request: SqliteRequest, act: () => unknown): void {
  try {
    reply(port, { id: request.id, ok: true, result: act() });
  } catch (cause) {
    reply(port, formatRefusal(request.id, cause));
    // A copy goes to a disk that is not ours: its failure says nothing of the archive's.
    if (request.name !== 'copyTo') stopAfterIoError(cause);
  }
}

function reply(port: MessagePort, message: ThreadReply): void {
  port.postMessage(message);
}

function stopAfterIoError(cause: unknown): void {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_CORRUPT') throw cause;
}

serve(place.port, place.setup);
