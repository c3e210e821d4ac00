/** The thread that several share: it loads their modules, each of which then serves a port of its own. */
import type { MessagePort } from 'node:worker_threads';

import { givePlace, servePort, takePlace } from './thread.ts';

/** Calls of this thread. */
export type SharedCalls = {
  ready: { args: undefined; result: undefined };
  /** Loads the module of a thread; answers what kept it from starting. */
  load: { args: { url: string; setup: unknown; port: MessagePort }; result: StartFailure | undefined };
  close: { args: undefined; result: undefined };
};

/** An error as it crosses: its text, and what it says of itself in plain values (its code, and the call of the system that failed). */
export type StartFailure = Readonly<Record<string, string | number | boolean>> & { readonly message: string };

let turn: Promise<unknown> = Promise.resolve();

/** One after the other: a module takes its place before the next is given one. */
function load({ url, setup, port }: SharedCalls['load']['args']): Promise<StartFailure | undefined> {
  const loading = turn.then(async () => {
    givePlace({ setup, port, isShared: true });
    try {
      await import(url);
      return undefined;
    } catch (cause) {
      return describeFailure(cause);
    }
  });
  turn = loading;
  return loading;
}

function describeFailure(cause: unknown): StartFailure {
  if (!(cause instanceof Error)) return { message: 'a part could not start' };
  const plain = Object.entries(cause).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  return { ...Object.fromEntries(plain), name: cause.name, message: cause.message };
}

servePort<SharedCalls>(takePlace().port, {
  async ready() {
    return undefined;
  },
  load,
  async close() {
    return undefined;
  },
});
