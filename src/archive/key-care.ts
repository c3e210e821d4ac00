/**
 * Care of the long-lived keys: new root, new archive key, the recovery kit again. Done while no process holds the data directory, since threads have the keys in
 * memory.
 */
import { readFile } from 'node:fs/promises';

import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId } from '../model/ids.ts';
import { lockDirectory } from '../store/lock.ts';
import { openTileFiles } from '../store/tile-files.ts';
import { removeTemporaries, writeFileDurably } from '../vault/durable-file.ts';
import { getWrappedFileKey, rewrapKeyring, rotateArchiveKey, unwrapKeyring, wrapKeyring } from '../vault/keyring.ts';
import { createRandomPool } from '../vault/random.ts';
import { formatKitShares, restoreLocalRootFromKit } from '../vault/kit-shares.ts';
import { formatRecoveryKit } from '../vault/recovery-kit.ts';
import { openLocalRoot, rotateLocalRoot } from '../vault/root-provider.ts';
import type { LocalRoot } from '../vault/root-provider.ts';
import { leafKindOf, LEAF_KINDS } from '../ledger/leaf.ts';
import { idBytes } from '../model/ids.ts';
import { openStoreReader, withoutNodes } from '../store/engine.ts';
import type { Keyring } from '../vault/keyring.ts';
import { makeSealer } from './make-sealer.ts';
import { addDestruction, destructionListPath, findDestructionList, writeDestructionList } from './destruction-list.ts';
import type { Destruction } from './destruction-list.ts';
import { readHouseFile } from './house-file.ts';
import type { HouseEntry } from './house-file.ts';
import { storeLocation } from './house-place.ts';
import type { HousePlace } from './house-place.ts';
import { openRecord } from './opening.ts';
import { verifyOwn } from './restore-heads.ts';
import { readSignerMemory, writeSignerMemory } from './signer-memory.ts';
import { archiveLayout, dataLayout } from './layout.ts';
import type { ArchiveLayout, DataLayout } from './layout.ts';

/** Records that are looked through at a time. */
const ROWS = 1000;

/** A new root key in the place of the old; the kit must be printed anew. */
export function rotateRoot(place: HousePlace): Promise<{ recoveryKit: string }> {
  return withStoppedArchive(place, async ({ layout, rootOptions, name, id, origin }) => {
    const root = await rotateLocalRoot({
      ...rootOptions,
      async rewrapAll(both) {
        const rewrapped = await rewrapKeyring(await readFile(layout.keyring, 'utf8'), both);
        await writeFileDurably(layout.keyring, Buffer.from(rewrapped), 0o600);
        return [getWrappedFileKey(rewrapped)];
      },
    });
    return { recoveryKit: await kitOf(root, layout, { name, id, origin }) };
  });
}

/** A new seal key for what is sealed from now on; the former stays for opening. */
export function rotateSealKey(place: HousePlace): Promise<{ version: number }> {
  return withStoppedArchive(place, async ({ layout, rootOptions }) => {
    const root = await openLocalRoot(rootOptions);
    const keyring = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
    const rotated = rotateArchiveKey(keyring, { random: createRandomPool(), now: Date.now });
    await writeFileDurably(layout.keyring, Buffer.from(await wrapKeyring(rotated, root)), 0o600);
    return { version: rotated.currentSealVersion };
  });
}

/** The recovery kit, to be printed again. */
export function printKit(place: HousePlace): Promise<{ recoveryKit: string }> {
  return withStoppedArchive(place, async ({ layout, rootOptions, name, id, origin }) => ({
    recoveryKit: await kitOf(await openLocalRoot(rootOptions), layout, { name, id, origin }),
  }));
}

/** A kit that was split: what is put on record of it. */
export type SplitKit = {
  readonly rootId: string;
  readonly shares: number;
  readonly threshold: number;
  readonly holders: readonly string[];
};

/** The recovery kit in shares, to be printed. @throws CartularyError `bad-input` for numbers that make no sense */
export function shareKit(
  place: HousePlace,
  { shares, threshold, holders }: Omit<SplitKit, 'rootId'>,
): Promise<{ readonly texts: readonly string[]; readonly split: SplitKit }> {
  return withStoppedArchive(place, async ({ layout, rootOptions, name, id, origin }) => {
    const root = await openLocalRoot(rootOptions);
    const texts = await withKitParts(root, layout, { name, id, origin }, (parts) =>
      formatKitShares({ ...parts, shares, threshold, holders }),
    );
    return { texts, split: { rootId: root.rootId, shares, threshold, holders } };
  });
}

/**
 * Gives the signer a memory again that was lost: the newest head of this log among the published one and checkpoints that others hold. It is a person who answers for
 * there being no newer one.
 * @throws CartularyError `not-found` where there is none, `bad-input` where a checkpoint is not of this archive
 */
export function rememberHead(
  place: HousePlace,
  checkpoints: readonly string[],
): Promise<{ readonly origin: string; readonly size: number }> {
  return withStoppedArchive(place, async ({ layout, rootOptions, id, origin }) => {
    const root = await openLocalRoot(rootOptions);
    const keyring = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
    const published = await openTileFiles(layout.log).readCheckpoint();
    const heads = [...checkpoints, ...(published === undefined ? [] : [published])]
      .map((text) => verifyOwn(text, id, keyring.logKey))
      .filter((head) => head.origin === origin);
    const known = await readSignerMemory(layout.signerMemory);
    const newest = [...heads, ...(known === undefined ? [] : [known])].sort((one, other) => other.size - one.size)[0];
    if (newest === undefined) throw new CartularyError('not-found', 'no head of this log is known');
    await writeSignerMemory(layout.signerMemory, newest);
    await rewriteList(layout, id, keyring, place.database);
    return { origin: newest.origin, size: newest.size };
  });
}

/** Puts every destruction that stands in the log on the list beside the data, with what is on it already. */
async function rewriteList(
  layout: ArchiveLayout,
  id: ArchiveId,
  keyring: Keyring,
  database: string | undefined,
): Promise<void> {
  const path = destructionListPath(layout);
  const known = (await findDestructionList(path, { skipDamaged: true })) ?? new Map<string, Destruction>();
  const reader = await openStoreReader(storeLocation(layout, id, keyring, database));
  const sealer = makeSealer(id, keyring);
  try {
    for (let next = 0; ;) {
      const rows = await reader.readLog(next, ROWS);
      for (const row of rows) {
        if (leafKindOf(row.leaf) !== LEAF_KINDS['key.destroyed']) continue;
        const { event } = openRecord(sealer, row).record;
        if (event.kind === 'key.destroyed') addDestruction(known, { message: event.subject, seq: row.seq });
      }
      const last = rows.at(-1);
      if (last === undefined) break;
      next = last.seq + 1;
    }
  } finally {
    await reader.close();
    sealer.destroy();
    keyring.destroy();
  }
  await writeDestructionList(path, known.values());
}

/** Writes the root key's file from the text of a kit, as on a new machine. */
export async function restoreRoot(place: HousePlace, kit: string): Promise<{ rootId: string; location: string }> {
  const data = dataLayout(place.directory, place.shared);
  const root = await restoreLocalRootFromKit(kit, {
    path: place.rootKeyPath ?? data.rootKey,
    passphrase: place.passphrase,
  });
  return { rootId: root.rootId, location: root.describe().location };
}

/** An archive that no process has open, while it is worked on. */
export type StoppedArchive = {
  readonly data: DataLayout;
  readonly entry: HouseEntry;
  readonly layout: ArchiveLayout;
  readonly rootOptions: { path: string; passphrase: string | undefined };
  readonly name: string;
  readonly id: ArchiveId;
  readonly origin: string;
};

/** Works on a stopped archive. @throws CartularyError `data-held` where a process has it open */
export async function withStoppedArchive<Result>(
  place: HousePlace,
  act: (stopped: StoppedArchive) => Promise<Result>,
): Promise<Result> {
  const data = dataLayout(place.directory, place.shared);
  const entry = await readHouseFile(data);
  const { id, name, origin } = entry;
  const lock = lockDirectory(data.lock);
  const alone = <Value>(work: () => Promise<Value>): Promise<Value> =>
    place.database === undefined
      ? work()
      : withoutNodes({ url: place.database, archiveId: idBytes(id as ArchiveId) }, work);
  try {
    const rootOptions = { path: place.rootKeyPath ?? data.rootKey, passphrase: place.passphrase };
    const layout = archiveLayout(data, id as ArchiveId);
    return await alone(async () => {
      for (const path of [rootOptions.path, layout.keyring]) await removeTemporaries(path);
      return act({ data, entry, layout, rootOptions, name, id: id as ArchiveId, origin });
    });
  } finally {
    lock.release();
  }
}

async function kitOf(
  root: LocalRoot,
  layout: ArchiveLayout,
  named: Pick<StoppedArchive, 'name' | 'id' | 'origin'>,
): Promise<string> {
  return withKitParts(root, layout, named, async (parts) => formatRecoveryKit(parts));
}

/** What a kit is printed of; the root key is zeroed afterwards. */
async function withKitParts<Result>(
  root: LocalRoot,
  layout: ArchiveLayout,
  { name, id, origin }: Pick<StoppedArchive, 'name' | 'id' | 'origin'>,
  act: (parts: Parameters<typeof formatRecoveryKit>[0]) => Promise<Result>,
): Promise<Result> {
  const keyring = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
  const logKey = formatVkey(createNoteSigner({ name: origin, seed: keyring.logKey }));
  keyring.destroy();
  const rootKey = root.exportRootKey();
  try {
    return await act({ rootKey, archives: [{ name, id, logKey }], madeAt: Date.now() });
  } finally {
    rootKey.fill(0);
  }
}
