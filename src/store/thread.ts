/**
 * Threads as typed remote calls: what the store, the followers and the readers run on. A thread that dies fails all its calls and is reported as fatal,
 * because nobody may go on as if it still worked.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
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

/** How a thread is started: what it is called, who is told what of it, what crosses with its setup. */
export type ThreadOptions = {
  readonly name: string;
  /** Called once when the thread has died unasked. */
  readonly onFatal: (cause: unknown) => void;
  /** Told what the thread reports by itself. */
  readonly onEvent?: (event: unknown) => void;
  readonly transfer?: Transferable[];
  /** Megabytes of heap, where it is more than any other's. */
  readonly heapMb?: number;
};

/** Starts a thread: one of its own (`startThread`), or a part of one that several share (`shareThread`). */
export type StartThread = <Calls extends CallTable>(
  url: URL,
  setup: unknown,
  options: ThreadOptions,
) => Promise<Thread<Calls>>;

/** Starts a thread and waits until it says `ready`. */
export async function startThread<Calls extends CallTable>(
  url: URL,
  setup: unknown,
  options: ThreadOptions,
): Promise<Thread<Calls>> {
  const { name, transfer = [], heapMb = HEAP.maxOldGenerationSizeMb } = options;
  const worker = new Worker(url, {
    workerData: setup,
    name,
    transferList: transfer,
    resourceLimits: { ...HEAP, maxOldGenerationSizeMb: heapMb },
  });
  const line = openLine<Calls>(worker, { ...options, end: () => worker.terminate() });
  let started = false;
  const fail = (cause: unknown): void => {
    // What fails at its start is told to whoever starts it.
    if (line.fail(cause) && started) options.onFatal(cause);
  };
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new CartularyError('internal', `the thread ${name} ended (${code})`)));
  await line.thread.call('ready', undefined as Calls['ready']['args']).catch(async (cause: unknown) => {
    line.fail(cause);
    await worker.terminate();
    throw cause;
  });
  started = true;
  return line.thread;
}

/**
 * A thread that is started when something is first asked of it. What keeps it from starting is told to whoever asks.
 * @param onFailed told of it where what was asked needs no answer
 */
export function startOnUse<Calls extends CallTable>(
  start: () => Promise<Thread<Calls>>,
  onFailed: (cause: unknown) => void,
): Thread<Calls> {
  const box: { started?: Promise<Thread<Calls>>; isEnded?: true } = {};
  const begin = (): Promise<Thread<Calls>> => {
    if (box.isEnded) return Promise.reject(new CartularyError('stopping', 'this part is closed'));
    return (box.started ??= start());
  };
  return {
    call: async (name, args, options) => (await begin()).call(name, args, options),
    tell: (note) => void (box.isEnded ? undefined : begin().then((thread) => thread.tell(note), onFailed)),
    async end() {
      box.isEnded = true;
      await (await box.started?.catch(() => undefined))?.end();
    },
  };
}

/** What is asked of one thread, over the worker itself or over a port of one that several share. */
export type Line<Calls extends CallTable> = {
  readonly thread: Thread<Calls>;
  /** Fails what waits, and whatever is asked from now on. @returns was it alive, and had nobody asked for its end? */
  fail(cause: unknown): boolean;
};

/** What a line is made of. */
type LinePort = {
  postMessage(value: ThreadRequest, transfer?: readonly Transferable[]): void;
  on(event: 'message', listener: (reply: ThreadReply) => void): unknown;
};

/** Opens a line. @param options `end`: called when the other side has closed what it had open */
export function openLine<Calls extends CallTable>(
  port: LinePort,
  options: Pick<ThreadOptions, 'onEvent'> & { readonly end: () => Promise<unknown> },
): Line<Calls> {
  const waiting = new Map<number, Waiter>();
  let nextId = 1;
  let ended = false;
  let closing = false;
  const fail = (cause: unknown): boolean => {
    if (ended) return false;
    ended = true;
    const known = closing ? new CartularyError('stopping', 'this part was closed') : reviveError(cause);
    for (const waiter of waiting.values()) waiter.reject(known);
    waiting.clear();
    return !closing;
  };
  port.on('message', (reply) => {
    if ('event' in reply) options.onEvent?.(reply.event);
    else settle(waiting, reply);
  });
  const thread: Thread<Calls> = {
    call(name, args, { transfer = [], onProgress, signal } = {}) {
      if (ended || (closing && name !== 'close'))
        return Promise.reject(new CartularyError('stopping', 'this part is closed'));
      if (waiting.size >= CALLS_MAX && name !== 'close')
        return Promise.reject(new CartularyError('overloaded', 'too much is asked at once'));
      const id = nextId++;
      const abort = (): void => port.postMessage({ abort: id });
      return new Promise<unknown>((resolve, reject) => {
        // First, since what cannot be sent gets no answer.
        port.postMessage({ id, name, args }, transfer);
        waiting.set(id, { resolve, reject, onProgress });
        if (signal?.aborted === true) abort();
        else signal?.addEventListener('abort', abort, { once: true });
      }).finally(() => signal?.removeEventListener('abort', abort));
    },
    tell(note) {
      if (!ended) port.postMessage({ note });
    },
    async end() {
      if (ended || closing) return;
      // The thread may be gone before its answer is read; that is what was asked of it.
      closing = true;
      await thread.call('close', undefined as Calls['close']['args']).catch(() => undefined);
      await options.end();
      fail(undefined);
    },
  };
  return { thread, fail };
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

/** What the module of a thread is given. */
export type ThreadPlace<Setup> = {
  readonly setup: Setup;
  /** What it is called over (`servePort`). */
  readonly port: MessagePort;
  /** Does it run beside others in one thread? */
  readonly isShared: boolean;
};

const next: { place?: ThreadPlace<unknown> } = {};

/** Says where the module runs that is loaded next. */
export function givePlace(place: ThreadPlace<unknown>): void {
  next.place = place;
}

/** Where this module runs: the first thing that the module of a thread asks. @throws CartularyError `internal` where it is in no thread */
export function takePlace<Setup>(): ThreadPlace<Setup> {
  const own = parentPort === null ? undefined : { setup: workerData as unknown, port: parentPort, isShared: false };
  const place = next.place ?? own;
  delete next.place;
  if (place === undefined) throw new CartularyError('internal', 'this module runs in a thread');
  return place as ThreadPlace<Setup>;
}

/**
 * Serves calls over the port of a thread's place, or one that another thread holds the other end of (`callOverPort`). Calls run as they come, so a long one must yield.
 * @param onNote what to do with notes
 */
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
