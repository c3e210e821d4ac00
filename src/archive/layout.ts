/**
 * Where things lie in a data directory. What the signer remembers lies beside it, not in it: whoever puts back an old copy of the data does
 * not put back the memory (DESIGN §5.6).
 */
import { resolve } from 'node:path';

import type { ArchiveId } from '../model/ids.ts';

export type DataLayout = {
  readonly directory: string;
  /** Directory of what all nodes of an archive share; the data directory itself where there is one node. */
  readonly common: string;
  /** File with the name of this node, where an archive has several. */
  readonly node: string | undefined;
  /** Names of the archives; nothing secret. */
  readonly house: string;
  readonly keys: string;
  readonly rootKey: string;
  readonly run: string;
  readonly socket: string;
  readonly lock: string;
  /** What this machine knows of the archive while it cannot open it (`edge-keyring.ts`). */
  readonly edge: string;
  readonly signer: string;
};

export type ArchiveLayout = {
  readonly directory: string;
  readonly database: string;
  readonly index: string;
  readonly log: string;
  readonly blobs: string;
  /** What was acknowledged while the archive could not be written to. */
  readonly spool: string;
  /** Media on their way to S3. */
  readonly incoming: string;
  readonly ring: string;
  readonly keyring: string;
  /** Keys of PostgreSQL's epochs, where the records are there. */
  readonly epochs: string;
  readonly signerMemory: string;
  /** Public key and origin of the log, for whoever checks it. */
  readonly vkey: string;
};

/** The origin, and so the key's name, of an archive's first log. */
export function firstOriginOf(id: ArchiveId): string {
  return `cartulary/${id}`;
}

/**
 * Paths of a data directory.
 * @param shared the directory that several nodes of an archive share: keys, the signer's memory, the list of destructions, and media where they are not in S3. What is derived (index,
 *   tiles) and what is under way stay in each node's own
 */
export function dataLayout(directory: string, shared?: string): DataLayout {
  const base = resolve(directory);
  const common = shared === undefined ? base : resolve(shared);
  return {
    directory: base,
    common,
    node: shared === undefined ? undefined : `${base}/run/node`,
    house: `${common}/cartulary.json`,
    keys: `${common}/keys`,
    rootKey: `${common}/keys/root.key`,
    run: `${base}/run`,
    socket: `${base}/run/cartulary.sock`,
    lock: `${base}/run/lock`,
    edge: `${base}/edge.keyring`,
    signer: shared === undefined ? `${base}.signer` : `${common}/signer`,
  };
}

/** Paths of one archive. */
export function archiveLayout(data: DataLayout, id: ArchiveId): ArchiveLayout {
  const directory = `${data.directory}/archives/${id}`;
  return {
    directory,
    database: `${directory}/archive.db`,
    index: `${directory}/index`,
    log: `${directory}/log`,
    blobs: `${data.common}/archives/${id}/blobs`,
    incoming: `${directory}/incoming`,
    spool: `${directory}/spool`,
    ring: `${directory}/ring`,
    keyring: `${data.keys}/${id}.keyring.json`,
    epochs: `${data.keys}/${id}.epochs.json`,
    signerMemory: `${data.signer}/${id}.head.json`,
    vkey: `${directory}/log/vkey`,
  };
}
