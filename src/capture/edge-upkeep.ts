/** Keeps the edge keyring of a node up to date, for a start at which the archive cannot be opened. */
import { rm } from 'node:fs/promises';

import type { Archive } from '../archive/archive.ts';
import { isSameKeyring, makeEdgeKeyring, ownEdgeKey, parseEdgeKey, writeEdgeKeyring } from './edge-keyring.ts';
import type { EdgeKeyring } from './edge-keyring.ts';

/**
 * Makes what writes the keyring where something was changed. Where none is to be taken in at such a start, nothing is left of it.
 * @param edgeKey text of the edge key; undefined where none was given
 * @throws CartularyError `setting` where the key is none
 */
export function createEdgeUpkeep(
  archive: Archive,
  { path, edgeKey, now }: { readonly path: string; readonly edgeKey: string | undefined; readonly now: () => number },
): () => Promise<void> {
  if (!archive.isRemote && edgeKey === undefined) {
    let removing: Promise<void> | undefined;
    return () => (removing ??= rm(path, { force: true }));
  }
  const key = edgeKey === undefined ? ownEdgeKey(archive.spool) : parseEdgeKey(edgeKey);
  let written: EdgeKeyring | undefined;
  return async () => {
    const made = makeEdgeKeyring(archive, undefined, now());
    if (isSameKeyring(written, made)) return;
    await writeEdgeKeyring(path, made, key);
    written = made;
  };
}
