/** The PostgreSQL engine as others see it: a client of its thread. */
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import type { StoreReader, StoreWriter } from '../store.ts';
import { createWriterClient } from '../store-calls.ts';
import type { StoreCalls } from '../store-calls.ts';
import { startThread, threadUrl } from '../thread.ts';
import type { ThreadStarter } from '../thread-sharing.ts';
import type { PostgresLocation } from './connection.ts';
import { openPostgresReader } from './reader.ts';

/** An open archive in PostgreSQL. */
export type PostgresStore = {
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  /** A port over which another thread may append (`appendThrough`). */
  connect(): Promise<MessagePort>;
  close(): Promise<void>;
};

/**
 * Opens an archive, or makes it.
 * @param onFatal called when its thread has died; the process must end
 * @throws CartularyError `database-away` where the server cannot be reached, `setting` where it does not wait for its disk; as `migrate`
 */
export async function openPostgresStore(
  location: PostgresLocation,
  onFatal: (cause: unknown) => void,
  threads: Pick<ThreadStarter, 'start'> = { start: startThread },
): Promise<PostgresStore> {
  const thread = await threads.start<StoreCalls>(threadUrl('./worker.ts', import.meta.url), location, {
    name: 'store-writer',
    onFatal,
  });
  const reader = openPostgresReader(location);
  const client = createWriterClient(thread);
  const close = async (): Promise<void> => {
    await client.drain();
    await reader.close();
    await thread.end();
  };
  return {
    reader,
    close,
    async connect() {
      const { port1, port2 } = new MessageChannel();
      await thread.call('connect', port1, { transfer: [port1] });
      return port2;
    },
    writer: {
      ...client.writer,
      // PostgreSQL does it by itself.
      checkpoint: () => Promise.resolve(),
      copyTo: (contentPath, keysPath) => thread.call('copyTo', { contentPath, keysPath }),
      close,
    },
  };
}
