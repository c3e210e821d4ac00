/**
 * Threads of a house that works for the length of one command: each is started when something is first asked of it, and they share one thread. A thread of its own costs each of
 * them 0.1 s of processor time and its modules over again, which is most of what a command takes that finds one message.
 */
import { MessageChannel } from 'node:worker_threads';

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
};

type Failable = Pick<Line<CallTable>, 'fail'>;

/** A thread that several share holds what several hold. */
const HEAP_MB = 512;

/** @param onFatal as `startThread`; called once, though several threads die with the one that they share */
export function createThreadStarter(use: ThreadUse, onFatal: (cause: unknown) => void): ThreadStarter {
  return {
    start: use === 'shared' ? shareThread(onFatal) : startThread,
    open: async (start, onFailed) => (use === 'ready' ? start() : startOnUse(start, onFailed)),
  };
}

/**
 * Starts threads that are parts of one. It begins with the first of them and ends with the last. A module runs in it once: where the same is started again, it has a thread of its
 * own.
 */
export function shareThread(onFatal: (cause: unknown) => void): StartThread {
  const lines = new Set<Failable>();
  const loaded = new Set<string>();
  const box: { host?: Promise<Thread<SharedCalls>> } = {};
  const startHost = (): Promise<Thread<SharedCalls>> =>
    startThread<SharedCalls>(threadUrl('./shared-thread.ts', import.meta.url), undefined, {
      name: 'shared',
      heapMb: HEAP_MB,
      onFatal(cause) {
        for (const line of lines) line.fail(cause);
        onFatal(cause);
      },
    });
  const leave = async (line: Failable): Promise<void> => {
    lines.delete(line);
    if (lines.size > 0) return;
    const { host } = box;
    delete box.host;
    loaded.clear();
    // One that could not even start has nothing to end.
    await (await host?.catch(() => undefined))?.end();
  };
  return async <Calls extends CallTable>(url: URL, setup: unknown, options: ThreadOptions): Promise<Thread<Calls>> => {
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
    lines.add(line);
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
}
