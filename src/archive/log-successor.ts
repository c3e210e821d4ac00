/**
 * A successor for the log of records that are there (DESIGN §5.6). A database failed over to a replica that lacked what had been acknowledged, or an old copy was put in its place: other
 * records have come to the places of those that are lost, and the signer, which remembers more, refuses. What is lost is named from the files of the log, which each node keeps beside
 * the database; then, where a person says so, the log goes on under another name (`succession.ts`).
 */
import { readFile } from 'node:fs/promises';

import { isSameHead, verifyCheckpoint } from '../ledger/checkpoint.ts';
import { findLeafKind, leafKindOf, leafTimeOf } from '../ledger/leaf.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import type { Head } from '../ledger/signer.ts';
import { parseEntryBundle, TILE_WIDTH } from '../ledger/tiles.ts';
import { emptyRoot } from '../ledger/tree.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId } from '../model/ids.ts';
import { openBlobs } from '../store/blob-engine.ts';
import type { BlobStore } from '../store/blobs.ts';
import { openStoreReader } from '../store/engine.ts';
import type { StoreReader } from '../store/store.ts';
import { openTileFiles } from '../store/tile-files.ts';
import type { TileFiles } from '../store/tile-files.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import type { Keyring } from '../vault/keyring.ts';
import { openLocalRoot } from '../vault/root-provider.ts';
import { makeSealer } from './make-sealer.ts';
import { findLateMedia } from './find-late-media.ts';
import { growLog } from './grow-log.ts';
import { writeHouseFile } from './house-file.ts';
import { blobLocation, storeLocation } from './house-place.ts';
import type { HousePlace } from './house-place.ts';
import { withStoppedArchive } from './key-care.ts';
import type { StoppedArchive } from './key-care.ts';
import { firstOriginOf } from './layout.ts';
import { readSignerMemory, writeSignerMemory } from './signer-memory.ts';
import { generationOf, originOf } from './succession.ts';

/** What the records lack of what was signed. */
export type LostRange = {
  /** The log that cannot go on, and how many leaves its newest head covers. */
  readonly origin: string;
  readonly size: number;
  /** The first leaf that the records lack, or have another for. */
  readonly lostFrom: number;
  /** Records that are there now. */
  readonly records: number;
  /** Lost leaves by their kind, as far as the files of this node reach; a message is `message.created`. */
  readonly kinds: Readonly<Record<string, number>>;
  /** When the first and the last of them were captured; null where none of them is known. */
  readonly firstAt: string | null;
  readonly lastAt: string | null;
  /** Media of lost records. Nobody can open them, since the keys are lost as well; they go when the successor is opened. */
  readonly media: number;
};

/** The same, and whether the log goes on. */
export type LogSuccessor = LostRange & {
  readonly opened: boolean;
  /** The public key of the successor, which must be published anew. */
  readonly logKey: string;
};

/**
 * Says what the records lack of what was signed, and opens the successor where it is meant. Run at the node that has published most, while none runs.
 * @throws CartularyError `conflict` where nothing that was signed is missing, `corrupt` where nothing of it is there, `not-found` where this node has no files of the log, or the signer no memory
 */
export function succeedLog(place: HousePlace, isMeant: boolean): Promise<LogSuccessor> {
  return withStoppedArchive(place, async (stopped) => {
    const { layout, rootOptions, id } = stopped;
    const root = await openLocalRoot(rootOptions);
    const keyring = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
    const reader = await openStoreReader(storeLocation(layout, id, keyring, place.database));
    try {
      const head = await readSignerMemory(layout.signerMemory);
      if (head === undefined)
        throw new CartularyError('not-found', 'the signer has no memory; run "cartulary key remember" first');
      await finishSuccession(stopped, head);
      const range = await findLost(stopped, { keyring, reader, head });
      const blobs = await openBlobs(blobLocation(layout, id, place.blobs));
      const media = await findOrphans(blobs, { reader, id, keyring });
      const lost = { ...range, media: media.length };
      const first = firstOriginOf(id);
      const origin = originOf(first, generationOf(head.origin, first) + 1);
      // Before the rest, so that it is done again where it is cut off.
      if (isMeant) for (const name of media) await blobs.remove(name);
      if (isMeant) await openSuccessor(stopped, { origin, head, lostFrom: lost.lostFrom });
      const logKey = formatVkey(createNoteSigner({ name: origin, seed: keyring.logKey }));
      return { ...lost, opened: isMeant, logKey };
    } finally {
      await reader.close();
      keyring.destroy();
      root.destroy();
    }
  });
}

/** The house file first: what it says is enough to finish where the second was not written. */
async function openSuccessor(
  { data, entry, layout }: StoppedArchive,
  { origin, head, lostFrom }: { readonly origin: string; readonly head: Head; readonly lostFrom: number },
): Promise<void> {
  const { size } = head;
  const succeeds = { origin: head.origin, size, root: Buffer.from(head.root).toString('base64'), lostFrom };
  // The list of destructions lies beside the signer's memory, so it is as new.
  await writeHouseFile(data, { ...entry, origin, succeeds: { ...succeeds, destructionsAsOf: size } });
  await writeSignerMemory(layout.signerMemory, { origin, size: 0, root: emptyRoot() });
}

/** @throws CartularyError `conflict` once it is done: the archive can be started */
async function finishSuccession({ entry, layout, origin }: StoppedArchive, head: Head): Promise<void> {
  if (head.origin === origin) return;
  if (entry.succeeds?.origin !== head.origin)
    throw new CartularyError('corrupt', `the signer remembers a head of ${head.origin}, which is another log`);
  await writeSignerMemory(layout.signerMemory, { origin, size: 0, root: emptyRoot() });
  throw new CartularyError('conflict', `the successor ${origin} was opened before, and is finished now: start again`);
}

type Looking = { readonly keyring: Keyring; readonly reader: StoreReader; readonly head: Head };

/** Media that no record names. */
async function findOrphans(
  blobs: BlobStore,
  { reader, id, keyring }: { readonly reader: StoreReader; readonly id: ArchiveId; readonly keyring: Keyring },
): Promise<string[]> {
  const names = await Array.fromAsync(blobs.list());
  if (names.length === 0) return [];
  const sealer = makeSealer(id, keyring);
  try {
    const named = await findLateMedia({ reader, sealer }, 0);
    return names.filter((name) => !named.has(name));
  } finally {
    sealer.destroy();
  }
}

async function findLost(
  { layout, origin }: StoppedArchive,
  { keyring, reader, head }: Looking,
): Promise<Omit<LostRange, 'media'>> {
  const files = openTileFiles(layout.log);
  const published = await readOwnSize(files, origin, keyring);
  const records = await reader.size();
  const agreed = await findDifference(files, reader, published);
  if (agreed === 0)
    throw new CartularyError(
      'corrupt',
      'none of the records is one that was signed: this is another database. Name the right one, or run "cartulary restore BACKUP --data NEW-DIRECTORY" with the newest backup',
    );
  if (agreed === published && records >= head.size) {
    const { root } = await growLog({ reader, files, from: published, size: head.size });
    if (isSameHead(head, { origin, size: head.size, root }))
      throw new CartularyError('conflict', `nothing is lost: all ${head.size} records that were signed are there`);
  }
  const kinds: Record<string, number> = {};
  let [firstMs, lastMs] = [Infinity, -Infinity];
  await eachEntry(files, agreed, published, (leaf) => {
    const kind = findLeafKind(leafKindOf(leaf)) ?? 'unknown';
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    firstMs = Math.min(firstMs, leafTimeOf(leaf));
    lastMs = Math.max(lastMs, leafTimeOf(leaf));
  });
  const timeOf = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);
  return {
    ...{ origin, size: head.size, lostFrom: agreed, records, kinds },
    ...{ firstAt: timeOf(firstMs), lastAt: timeOf(lastMs) },
  };
}

/** How many leaves the files of this node hold. */
async function readOwnSize(files: TileFiles, origin: string, { logKey }: Keyring): Promise<number> {
  try {
    return verifyCheckpoint((await files.readCheckpoint()) ?? '', [createNoteSigner({ name: origin, seed: logKey })])
      .size;
  } catch (cause) {
    const text =
      'this node has no files of the log to hold the records against; run it at one with the role api or work';
    throw new CartularyError('not-found', text, { cause });
  }
}

/** The place of the first leaf that was published and is not the store's; `published` where all are. */
async function findDifference(files: TileFiles, reader: StoreReader, published: number): Promise<number> {
  for (let from = 0; from < published; from += TILE_WIDTH) {
    const width = Math.min(TILE_WIDTH, published - from);
    const entries = parseEntryBundle(await files.readEntries(from / TILE_WIDTH, width));
    const leaves = await reader.readLeaves(from, width);
    for (let at = 0; at < width; at += 1) {
      const [entry, leaf] = [entries[at], leaves[at]];
      if (entry === undefined || leaf === undefined || Buffer.compare(entry, leaf) !== 0) return from + at;
    }
  }
  return published;
}

/** Hands over the published leaves `from` to `to - 1`. */
async function eachEntry(files: TileFiles, from: number, to: number, take: (leaf: Uint8Array) => void): Promise<void> {
  for (let n = Math.floor(from / TILE_WIDTH); n * TILE_WIDTH < to; n += 1) {
    const begin = n * TILE_WIDTH;
    const entries = parseEntryBundle(await files.readEntries(n, Math.min(TILE_WIDTH, to - begin)));
    for (const leaf of entries.slice(Math.max(0, from - begin), to - begin)) take(leaf);
  }
}
