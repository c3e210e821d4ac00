/**
 * The thread that packs, seals and hands over to the writer, so that neither the thread that receives nor the one that writes waits for cryptography.
 */
import type { MessagePort } from 'node:worker_threads';

import { makeSealer } from '../make-sealer.ts';
import { idBytes } from '../../model/ids.ts';
import type { PackedResults } from '../../store/batch-codec.ts';
import { releaseBuffer } from '../../store/growing-buffer.ts';
import { appendThrough } from '../../store/engine.ts';
import { servePort, takePlace } from '../../store/thread.ts';
import { createRandomPool } from '../../vault/random.ts';
import { sendFreshDocuments } from '../fresh-documents.ts';
import type { FreshLink } from '../fresh-documents.ts';
import { createSealing } from '../sealing.ts';
import type { ThreadSetup } from './workspace.ts';

/** What this thread is given: besides the keys, a port to the writer and one to the follower. */
export type SealSetup = ThreadSetup & { readonly port: MessagePort; readonly fresh: FreshLink | undefined };

/** Calls of this thread. */
export type SealCalls = {
  ready: { args: undefined; result: undefined };
  /** Seals and commits a batch (`openSealBatch`); answers after the durable commit. */
  keep: { args: ArrayBuffer; result: PackedResults };
  close: { args: undefined; result: undefined };
};

const { setup, port } = takePlace<SealSetup>();
const sealer = makeSealer(setup.archiveId, setup);
const sealing = createSealing({
  archiveId: idBytes(setup.archiveId),
  sealer,
  random: createRandomPool(),
  append: appendThrough(setup.port),
  onFresh: (documents) => {
    if (setup.fresh !== undefined) sendFreshDocuments(setup.fresh, documents);
  },
});

servePort<SealCalls>(port, {
  async ready() {
    return undefined;
  },
  async keep(batch) {
    try {
      return await sealing.keep(batch);
    } finally {
      releaseBuffer(batch);
    }
  },
  async close() {
    setup.port.close();
    setup.fresh?.port.close();
    sealer.destroy();
    return undefined;
  },
});
