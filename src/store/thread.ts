/**
 * Threads as typed remote calls: what the store, the followers and the readers run on. A thread that dies fails all its calls and is reported as fatal,
 * because nobody may go on as if it still worked.
 */
import { parentPort, Worker } from 'node:worker_threads';
import type { MessagePort, Transferable } from 'node:worker_threads';

import { LedgerError } from '../ledger/error.ts';
import type { LedgerErrorCode } from '../ledger/error.ts';
import { CartularyError, isErrorCode } from '../model/errors.ts';
import type { ErrorCode } from '../model/errors.ts';
import { isDatabaseDamage } from '../vault/database-damage.ts';

/** Calls by name: their argument and their answer. */
export type CallTable = Record<string, { args: unknown; result: unknown }>;

/** A running thread. */
export type Thread<Calls extends CallTable> = {
  call<Name extends keyof Calls & string>(
    name: Name,
    args: Calls[Name]['args'],
    options?: {
      readonly transfer?: Transferable[];
      readonly onProgress?: (progress: unknown) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<Calls[Name]['result']>;
  /** Sends a note that needs no answer. */
  tell(note: unknown): void;
  /** Calls `close` in the thread and ends it. */
  end(): Promise<void>;
};

/** What crosses to a thread. */
export type ThreadRequest =
  | { readonly id: number; readonly name: string; readonly args: unknown }
  | { readonly abort: number }
  | { readonly note: unknown };

/** What comes back. */
export type ThreadReply =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly detail?: Record<string, string | number | boolean>;
    }
  | { readonly id: number; readonly progress: unknown }
  | { readonly event: unknown };

type Waiter = {
  resolve(value: unknown): void;
  reject(cause: unknown): void;
  onProgress: ((progress: unknown) => void) | undefined;
};

/** Calls of one thread that wait for an answer at most; beyond, callers are told to come again rather than let what they ask for pile up. */
const CALLS_MAX = 512;

/**
 * What a thread's heap may take. Without a limit each of the eight lets garbage grow to 200 MB before it looks; what a thread holds at once is bounded by batches far below.
 */
const HEAP = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 24 } as const;

/** The URL of a thread's module beside the caller's, in a checkout (`.ts`) as in a release (`.js`). */
export function threadUrl(relative: string, base: string): URL {
  return new URL(base.endsWith('.ts') ? relative : relative.replace(/\.ts$/, '.js'), base);
}

/**
 * Starts a thread and waits until it says `ready`.
 * @param options `onFatal`: called once when the thread has died unasked; `onEvent`: told what the thread reports by itself
 */
export async function startThread<Calls extends CallTable>(
  url: URL,
  setup: unknown,
  options: {
    readonly name: string;
    readonly onFatal: (cause: unknown) => void;
    readonly onEvent?: (event: unknown) => void;
    readonly transfer?: Transferable[];
  },
): Promise<Thread<Calls>> {
  const worker = new Worker(url, {
    workerData: setup,
    name: options.name,
    transferList: options.transfer ?? [],
    resourceLimits: HEAP,
  });
  const waiting = new Map<number, Waiter>();
  let nextId = 1;
  let started = false;
  let ended = false;
  let closing = false;
  const fail = (cause: unknown): void => {
    if (ended) return;
    ended = true;
    const known = reviveError(cause);
    for (const waiter of waiting.values()) waiter.reject(known);
    waiting.clear();
    // What fails at its start is told to whoever starts it.
    if (started && !closing) options.onFatal(cause);
  };
  worker.on('message', (reply: ThreadReply) => {
    if ('event' in reply) options.onEvent?.(reply.event);
    else settle(waiting, reply);
  });
  worker.on('error', fail);
  worker.on('exit', (code) =>
    fail(
      closing
        ? new CartularyError('stopping', 'this part was closed')
        : new CartularyError('internal', `the thread ${options.name} ended (${code})`),
    ),
  );
  const thread: Thread<Calls> = {
    call(name, args, { transfer = [], onProgress, signal } = {}) {
      if (ended || (closing && name !== 'close'))
        return Promise.reject(new CartularyError('stopping', 'this part is closed'));
      if (waiting.size >= CALLS_MAX && name !== 'close')
        return Promise.reject(new CartularyError('overloaded', 'too much is asked at once'));
      const id = nextId++;
      const abort = (): void => worker.postMessage({ abort: id } satisfies ThreadRequest);
      return new Promise<unknown>((resolve, reject) => {
        // First, since what cannot be sent gets no answer.
        worker.postMessage({ id, name, args } satisfies ThreadRequest, transfer);
        waiting.set(id, { resolve, reject, onProgress });
        if (signal?.aborted === true) abort();
        else signal?.addEventListener('abort', abort, { once: true });
      }).finally(() => signal?.removeEventListener('abort', abort));
    },
    tell(note) {
      if (!ended) worker.postMessage({ note } satisfies ThreadRequest);
    },
    async end() {
      if (ended || closing) return;
      // The thread may be gone before its answer is read; that is what was asked of it.
      closing = true;
      await thread.call('close', undefined as Calls['close']['args']).catch(() => undefined);
      // Whoever still waits is told by the exit.
      await worker.terminate();
    },
  };
  await thread.call('ready', undefined as Calls['ready']['args']).catch(async (cause: unknown) => {
    ended = true;
    await worker.terminate();
    throw cause;
  });
  started = true;
  return thread;
}

/** What a call is answered when there is no room: it waits for room, and the process goes on. */
const DISK_FULL = 'the disk is full';

/** Whether there was no room for what was asked, whoever found out. */
export function isDiskFull(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const code = 'code' in cause ? String(cause.code) : '';
  return code === 'ENOSPC' || code === 'SQLITE_FULL' || (code === 'overloaded' && cause.message === DISK_FULL);
}

/** Whether the disk itself failed, so that nobody may go on: what the kernel holds of the file is unknown then. */
export function isDiskFailed(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('code' in cause)) return false;
  return cause.code === 'disk-failed' || cause.code === 'EIO' || String(cause.code).startsWith('SQLITE_IOERR');
}

/** What is told of pages that are not what was written. */
const DAMAGED = 'the database of the archive is damaged';

/** What an error means to whoever reads it: one that ended a thread is a copy without its class, and says what to do again; those of SQLite say it for the first time. */
export function reviveError(cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (cause instanceof Error && isErrorCode(code)) return new CartularyError(code, cause.message, { cause });
  if (isDiskFull(cause)) return new CartularyError('overloaded', DISK_FULL, { cause });
  if (isDatabaseDamage(cause)) return new CartularyError('corrupt', DAMAGED, { cause });
  return cause;
}

function settle(waiting: Map<number, Waiter>, reply: Exclude<ThreadReply, { event: unknown }>): void {
  const waiter = waiting.get(reply.id);
  if (waiter === undefined) return;
  if ('progress' in reply) {
    waiter.onProgress?.(reply.progress);
    return;
  }
  waiting.delete(reply.id);
  if (reply.ok) waiter.resolve(reply.result);
  else
    waiter.reject(
      new CartularyError(isErrorCode(reply.code) ? reply.code : 'internal', reply.message, {
        detail: reply.detail ?? {},
      }),
    );
}

/** Calls over a port that another thread serves; simpler than a thread's own calls, since whoever serves it reports its death elsewhere. */
export function callOverPort<Calls extends CallTable>(port: MessagePort): Pick<Thread<Calls>, 'call'> {
  const waiting = new Map<number, Waiter>();
  let nextId = 1;
  port.on('message', (reply: Exclude<ThreadReply, { event: unknown }>) => settle(waiting, reply));
  return {
    call(name, args, { transfer = [] } = {}) {
      const id = nextId++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, onProgress: undefined });
        port.postMessage({ id, name, args } satisfies ThreadRequest, transfer);
      });
    },
  };
}

/** What a handler may do besides answering. */
export type CallContext = { readonly signal: AbortSignal; readonly progress: (progress: unknown) => void };

/** Handlers of a thread's calls. */
export type Handlers<Calls extends CallTable> = {
  [Name in keyof Calls]: (args: Calls[Name]['args'], context: CallContext) => Promise<Calls[Name]['result']>;
};

/**
 * Serves calls in a thread. Calls run as they come, so a long one must yield.
 * @param onNote what to do with notes
 */
export function serveThread<Calls extends CallTable>(
  handlers: Handlers<Calls>,
  onNote: (note: unknown) => void = () => undefined,
): void {
  if (parentPort === null) throw new CartularyError('internal', 'this module runs in a thread');
  servePort(parentPort, handlers, onNote);
}

/** Serves calls over a port that another thread holds the other end of (`callOverPort`). */
export function servePort<Calls extends CallTable>(
  port: MessagePort,
  handlers: Handlers<Calls>,
  onNote: (note: unknown) => void = () => undefined,
): void {
  const aborts = new Map<number, AbortController>();
  port.on('message', (request: ThreadRequest) => {
    if ('note' in request) onNote(request.note);
    else if ('abort' in request) aborts.get(request.abort)?.abort();
    else void answer(port, aborts, handlers, request);
  });
}

async function answer<Calls extends CallTable>(
  port: MessagePort,
  aborts: Map<number, AbortController>,
  handlers: Handlers<Calls>,
  request: { readonly id: number; readonly name: string; readonly args: unknown },
): Promise<void> {
  const controller = new AbortController();
  aborts.set(request.id, controller);
  const context: CallContext = {
    signal: controller.signal,
    progress: (progress) => port.postMessage({ id: request.id, progress } satisfies ThreadReply),
  };
  try {
    const result = await handlers[request.name as keyof Calls](request.args, context);
    port.postMessage({ id: request.id, ok: true, result } satisfies ThreadReply);
  } catch (cause) {
    port.postMessage(formatRefusal(request.id, cause));
  } finally {
    aborts.delete(request.id);
  }
}

/** How a failure crosses back: typed errors as they are, all others without their text, which might quote content. */
export function formatRefusal(id: number, cause: unknown): ThreadReply {
  if (cause instanceof CartularyError)
    return { id, ok: false, code: cause.code, message: cause.message, detail: { ...cause.detail } };
  const code =
    cause instanceof Error && 'code' in cause ? String(cause.code) : cause instanceof Error ? cause.name : 'unknown';
  if (isDiskFailed(cause)) return { id, ok: false, code: 'disk-failed', message: `the disk failed (${code})` };
  if (isDiskFull(cause)) return { id, ok: false, code: 'overloaded', message: DISK_FULL };
  if (isDatabaseDamage(cause)) return { id, ok: false, code: 'corrupt', message: DAMAGED };
  if (cause instanceof LedgerError) {
    const known = OF_LEDGER[cause.code];
    if (known !== undefined) return { id, ok: false, code: known, message: `${cause.message}. ${cause.hint}` };
  }
  return { id, ok: false, code: 'internal', message: `a part failed (${code})` };
}

/** What the ledger refuses because of what is on the disk; anything else that it refuses in a thread is a fault of ours. Its texts quote nothing. */
const OF_LEDGER: Partial<Record<LedgerErrorCode, ErrorCode>> = {
  'bad-tile': 'log-damaged',
  'head-smaller': 'corrupt',
  'head-forked': 'corrupt',
  'head-inconsistent': 'corrupt',
  'memory-missing': 'corrupt',
};
