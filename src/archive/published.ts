/** What of an archive's log is published. */
import { readFile } from 'node:fs/promises';

import { verifyCheckpoint } from '../ledger/checkpoint.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import type { StoreReader } from '../store/store.ts';
import { openTileFiles } from '../store/tile-files.ts';
import type { ThreadSetup } from './threads/workspace.ts';

/** Is all that is durable published, with the key that it is checked with? Where that cannot be told, it is not: whoever publishes finds out why. */
export async function isPublished(
  setup: Pick<ThreadSetup, 'layout' | 'origin'> & { readonly logKey: Uint8Array },
  reader: Pick<StoreReader, 'size'>,
): Promise<boolean> {
  const signer = createNoteSigner({ name: setup.origin, seed: setup.logKey });
  try {
    if ((await readFile(setup.layout.vkey, 'utf8')) !== `${formatVkey(signer)}\n`) return false;
    const checkpoint = await openTileFiles(setup.layout.log).readCheckpoint();
    return checkpoint !== undefined && verifyCheckpoint(checkpoint, [signer]).size === (await reader.size());
  } catch {
    return false;
  }
}
