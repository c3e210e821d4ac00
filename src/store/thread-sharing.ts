/**
 * Threads of a house that works for the length of one command: each is started when something is first asked of it, and they share one thread. A thread of its own costs each of
 * them 0.1 s of processor time and its modules over again, which is most of what a command takes that finds one message.
 */
import { MessageChannel } from 'node:worker_threads';

import { CartularyError } from '../model/errors.ts';
import { openLine, reviveError, startOnUse, startThread, threadUrl } from './thread.ts';
import type { CallTable, Line, StartThread, Thread, ThreadOptions } from './thread.ts';
import type { SharedCalls } from './shared-thread.ts';

/**
 * How the threads of a house run. `ready`: each by itself, from the start on, as a server needs it, so that no request waits and one that cannot start is noticed at once;
 * `on-use`: each by itself, once something is asked of it, for a command that keeps several of them busy; `shared`: the same in one thread.
 */
export type ThreadUse = 'ready' | 'on-use' | 'shared';

/** Starts the threads of one house. */
export type ThreadStarter = {
  readonly start: StartThread;
  /** Starts one at once where all are to be ready, else when something is first asked of it. @param onFailed as `startOnUse` */
  open<Calls extends CallTable>(
    start: () => Promise<Thread<Calls>>,
    onFailed: (cause: unknown) => void,
  ): Promise<Thread<Calls>>;
  /** Ends what no thread has ended, where the house could not be opened. */
  end(): Promise<void>;
};

/** Makes a starter for one house. */
export function createThreadStarter(use: ThreadUse): ThreadStarter {
  const { start, end } = use === 'shared' ? shareThread() : startApart();
  return { start, end, open: async (begin, onFailed) => (use === 'ready' ? begin() : startOnUse(begin, onFailed)) };
}

/** Starts each by itself, and knows which have not ended. */
function startApart(): Pick<ThreadStarter, 'start' | 'end'> {
  const running = new Set<() => Promise<void>>();
  return {
    async start<Calls extends CallTable>(url: URL, setup: unknown, options: ThreadOptions): Promise<Thread<Calls>> {
      const thread = await startThread<Calls>(url, setup, options);
      const end = async (): Promise<void> => {
        running.delete(end);
        await thread.end();
      };
      running.add(end);
      return { ...thread, end };
    },
    end: async () => void (await Promise.all([...running].map((endOne) => endOne()))),
  };
}

/** A thread that several share holds what several hold. */
const HEAP_MB = 512;

/**
 * Starts threads that are parts of one. It begins at once, so that it comes up beside whatever else is being loaded, and ends with the last of them. A module runs in it once:
 * where the same is started again, it has a thread of its own.
 */
export function shareThread(): Pick<ThreadStarter, 'start' | 'end'> {
  const lines = new Map<Failable, ThreadOptions>();
  const loaded = new Set<string>();
  const startHost = (): Promise<Thread<SharedCalls>> =>
    startThread<SharedCalls>(threadUrl('./shared-thread.ts', import.meta.url), undefined, {
      name: 'shared',
      heapMb: HEAP_MB,
      onFatal(cause) {
        const [first] = lines.values();
        for (const line of lines.keys()) line.fail(cause);
        // Once, though several have died.
        first?.onFatal(cause);
      },
    });
  const box: { host?: Promise<Thread<SharedCalls>> } = { host: startHost() };
  // Told to whoever starts the first.
  box.host?.catch(() => undefined);
  const end = async (): Promise<void> => {
    const { host } = box;
    delete box.host;
    loaded.clear();
    // One that could not even start has nothing to end.
    await (await host?.catch(() => undefined))?.end();
    for (const line of lines.keys()) line.fail(new CartularyError('stopping', 'this part was closed'));
    lines.clear();
  };
  const leave = async (line: Failable): Promise<void> => {
    lines.delete(line);
    if (lines.size === 0) await end();
  };
  const start = async <Calls extends CallTable>(
    url: URL,
    setup: unknown,
    options: ThreadOptions,
  ): Promise<Thread<Calls>> => {
    if (loaded.has(url.href)) return startThread<Calls>(url, setup, options);
    loaded.add(url.href);
    const { port1, port2 } = new MessageChannel();
    const line: Line<Calls> = openLine<Calls>(port1, {
      ...options,
      async end() {
        port1.close();
        await leave(line);
      },
    });
    lines.set(line, options);
    try {
      const host = await (box.host ??= startHost());
      const transfer = [port2, ...(options.transfer ?? [])];
      const failure = await host.call('load', { url: url.href, setup, port: port2 }, { transfer });
      if (failure !== undefined) throw reviveError(Object.assign(new Error(failure.message), failure));
      await line.thread.call('ready', undefined as Calls['ready']['args']);
      return line.thread;
    } catch (cause) {
      line.fail(cause);
      port1.close();
      await leave(line);
      throw cause;
    }
  };
  return { start, end };
}

type Failable = Pick<Line<CallTable>, 'fail'>;
