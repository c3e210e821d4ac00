/**
 * The thread that counts half of the months of a search while the reading thread reads the page and counts the other half: of what a search costs, counting is the most.
 */
import type { MessagePort } from 'node:worker_threads';

import { openIndexReader } from '../../search/index-reader.ts';
import type { Counted } from '../../search/index-reader.ts';
import { parseQuery } from '../../search/query.ts';
import { servePort, takePlace } from '../../store/thread.ts';
import { COUNTER_SHARE } from './count-share.ts';
import type { ThreadSetup } from './workspace.ts';

/** What this thread is given: besides the key of the index, a port to the reading thread. */
export type CountSetup = Pick<ThreadSetup, 'layout' | 'indexKey'> & { readonly port: MessagePort };

/** Calls of the reading thread. */
export type CountCalls = {
  /** `nowMs`: what `today` means in the query. */
  count: { args: { q: string; nowMs: number; countMax: number }; result: Counted };
};

/** Calls of the owner. */
export type CountOwnerCalls = {
  ready: { args: undefined; result: undefined };
  close: { args: undefined; result: undefined };
};

const { setup, port } = takePlace<CountSetup>();
const index = openIndexReader({ directory: setup.layout.index, key: setup.indexKey });

servePort<CountCalls>(setup.port, {
  async count({ q, nowMs, countMax }) {
    return index.count(parseQuery(q, { nowMs }), countMax, COUNTER_SHARE);
  },
});

servePort<CountOwnerCalls>(port, {
  async ready() {
    return undefined;
  },
  async close() {
    setup.port.close();
    index.close();
    return undefined;
  },
});
