/**
 * A thread of the SQLite engine. As writer it takes everything that waits in its port at once, so that many small appends share one commit.
 * After an I/O error it does not go on: what the kernel holds of the file is unknown then, so the thread ends and the process with it.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { assertNever, CartularyError } from '../../model/errors.ts';
import { openEncryptedDatabase } from '../../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import { decodeBatch, encodeResults } from '../batch-codec.ts';
import { createAppender } from './append.ts';
import type { Appender } from './append.ts';
import { copyDatabase } from './copy.ts';
import type { Calls, CallName, Reply, Request, WorkerSetup } from './protocol.ts';
import { migrate } from './schema.ts';
import { claimJobs, closeKey, destroyKey, finishJob, pinKey, putSettings, putStates, retryJob, unpinKey } from './writer.ts';

/** Entries of one transaction at most. */
const GROUP_ENTRIES_MAX = 4000;

type AppendRequest = Extract<Request, { name: 'append' }>;

function serve(port: MessagePort, setup: WorkerSetup): void {
  const database = openEncryptedDatabase(setup.path, { key: setup.key, pageBytes: 8192, cacheKib: 32_768 });
  if (setup.role === 'writer') migrate(database);
  // Moving the log into the file inside a commit costs 30–150 ms; the maintenance thread does it beside.
  database.pragma('wal_autocheckpoint = 0');
  const appender = setup.role === 'writer' ? createAppender(database) : undefined;
  port.on('message', (first: Request) => {
    const requests = [first];
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      requests.push(next.message as Request);
    }
    handleAll(port, database, appender, requests);
  });
}

function handleAll(port: MessagePort, database: EncryptedDatabase, appender: Appender | undefined, requests: readonly Request[]): void {
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
      groupEntries += Buffer.from(request.args[0]).readUInt32LE(0);
      if (groupEntries >= GROUP_ENTRIES_MAX) flush();
    } else {
      flush();
      answer(port, request.id, () => handle(port, database, request));
    }
  }
  flush();
}

function appendGroup(port: MessagePort, appender: Appender, group: readonly AppendRequest[]): void {
  const batches = group.map((request) => decodeBatch(request.args[0]));
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
    for (const request of group) reply(port, refusal(request.id, cause));
    stopAfterIoError(cause);
  }
}

function handle(port: MessagePort, database: EncryptedDatabase, request: Exclude<Request, AppendRequest>): Calls[CallName]['result'] {
  switch (request.name) {
    case 'putStates':
      return void putStates(database, request.args[0]);
    case 'putSettings':
      return void putSettings(database, request.args[0]);
    case 'claimJobs':
      return claimJobs(database, ...request.args);
    case 'finishJob':
      return void finishJob(database, request.args[0]);
    case 'retryJob':
      return void retryJob(database, ...request.args);
    case 'pinKey':
      return void pinKey(database, ...request.args);
    case 'unpinKey':
      return void unpinKey(database, ...request.args);
    case 'closeKey':
      return void closeKey(database, request.args[0]);
    case 'destroyKey':
      return void destroyKey(database, request.args[0]);
    case 'truncate':
      return void database.pragma('wal_checkpoint(TRUNCATE)');
    case 'checkpoint':
      return checkpoint(database);
    case 'copyTo':
      return copyDatabase(database, (workerData as WorkerSetup).key, ...request.args);
    case 'close':
      database.close();
      setImmediate(() => port.close());
      return undefined;
    default:
      return assertNever(request);
  }
}

/** Moves what readers allow; answers how many pages still wait. */
function checkpoint(database: EncryptedDatabase): number {
  const [row] = database.pragma('wal_checkpoint(PASSIVE)') as { log: number; checkpointed: number }[];
  return row === undefined ? 0 : Math.max(0, row.log - row.checkpointed);
}

function answer(port: MessagePort, id: number, act: () => Calls[CallName]['result']): void {
  try {
    reply(port, { id, ok: true, result: act() });
  } catch (cause) {
    reply(port, refusal(id, cause));
    stopAfterIoError(cause);
  }
}

function reply(port: MessagePort, message: Reply): void {
  port.postMessage(message);
}

function refusal(id: number, cause: unknown): Reply {
  if (cause instanceof CartularyError) return { id, ok: false, code: cause.code, message: cause.message };
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  if (code === 'SQLITE_FULL') return { id, ok: false, code: 'overloaded', message: 'the disk is full' };
  return { id, ok: false, code: 'internal', message: `the store failed (${code})` };
}

function stopAfterIoError(cause: unknown): void {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_CORRUPT') throw cause;
}

if (parentPort !== null) serve(parentPort, workerData as WorkerSetup);
