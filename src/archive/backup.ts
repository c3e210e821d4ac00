/**
 * Backup and restore. A backup is a directory: `content/` may be kept as long as anybody likes; `keys/` must be short-lived, since whoever has both and the root key
 * can read what was destroyed after it was made. A restore replays the destructions that are on the list before anything is served.
 */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { z } from 'zod';

import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId } from '../model/ids.ts';
import { joinCopies } from '../store/engine.ts';
import type { StoreWriter } from '../store/store.ts';
import { syncDirectory, writeFileDurably } from '../vault/durable-file.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import { restoreLocalRootFromKit } from '../vault/recovery-kit.ts';
import { openLocalRoot } from '../vault/root-provider.ts';
import { isInitialised, readHouseFile } from './house-file.ts';
import { archiveLayout, dataLayout } from './layout.ts';
import type { ArchiveLayout, DataLayout } from './layout.ts';
import { destructionListPath } from './threads.ts';

const manifestSchema = z.strictObject({
  version: z.literal(1),
  archive: z.string(),
  madeAt: z.string(),
  records: z.number().int(),
  files: z.array(z.strictObject({ path: z.string(), bytes: z.number().int(), sha256: z.string() })),
});

/** What a backup holds. */
export type BackupReport = {
  readonly path: string;
  readonly records: number;
  readonly files: number;
  readonly bytes: number;
};

/** What a restore did. */
export type RestoreReport = {
  readonly archiveId: string;
  readonly records: number;
  readonly destroyedReplayed: number;
  readonly checkpointSize: number;
};

/**
 * Writes a backup of a running archive into a new directory under `into`. Capture goes on meanwhile.
 * @param publish brings the signed log up to date and gives its checkpoint
 */
export async function writeBackup(
  data: DataLayout,
  place: ArchiveLayout,
  writer: StoreWriter,
  options: {
    readonly into: string;
    readonly nowMs: number;
    readonly publish: () => Promise<string>;
    readonly onProgress: (done: number, total: number) => void;
  },
): Promise<BackupReport> {
  const { id } = await readHouseFile(data);
  const madeAt = new Date(options.nowMs).toISOString();
  const path = join(options.into, `cartulary-${id}-${madeAt.replaceAll(/[:.]/g, '-')}`);
  const partial = `${path}.part`;
  await mkdir(join(partial, 'content'), { recursive: true, mode: 0o700 });
  await mkdir(join(partial, 'keys'), { recursive: true, mode: 0o700 });
  const checkpoint = await options.publish();
  const records = await writer.copyTo(join(partial, 'content', 'archive.db'), join(partial, 'keys', 'keys.db'));
  await copyFile(data.house, join(partial, 'content', 'cartulary.json'));
  await writeFileDurably(join(partial, 'content', 'checkpoint'), Buffer.from(checkpoint), 0o600);
  await copyFile(place.keyring, join(partial, 'keys', 'keyring.json'));
  await copyIfThere(destructionListPath({ layout: place }), join(partial, 'content', 'destroyed.jsonl'));
  await copyTree(place.blobs, join(partial, 'content', 'blobs'), options.onProgress);
  const files = await listFiles(partial);
  await writeFileDurably(
    join(partial, 'manifest.json'),
    Buffer.from(
      `${JSON.stringify({ version: 1, archive: id, madeAt, records, files } satisfies z.infer<typeof manifestSchema>, null, 1)}\n`,
    ),
    0o600,
  );
  await rename(partial, path);
  await syncDirectory(options.into);
  return { path, records, files: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

/**
 * Makes a data directory from a backup.
 * @param options `kit`: text of the recovery kit; without it the root key must be where the settings say; `destroyed`: path of a newer destruction list
 * @throws CartularyError `conflict` where the directory holds an archive, `corrupt` where a file of the backup is not what its manifest says
 */
export async function restoreBackup(options: {
  readonly from: string;
  readonly directory: string;
  readonly rootKeyPath?: string;
  readonly passphrase?: string;
  readonly kit?: string;
  readonly destroyed?: string;
  readonly onProgress: (done: number, total: number) => void;
}): Promise<RestoreReport> {
  const { from, directory } = options;
  if (await isInitialised(directory))
    throw new CartularyError('conflict', `${directory} holds an archive already; restore into an empty directory`);
  const manifest = await checkBackup(from, options.onProgress);
  const data = dataLayout(directory);
  await mkdir(data.keys, { recursive: true, mode: 0o700 });
  const rootPath = options.rootKeyPath ?? data.rootKey;
  const rootOptions = { path: rootPath, passphrase: options.passphrase };
  const root =
    options.kit === undefined
      ? await openLocalRoot(rootOptions)
      : await restoreLocalRootFromKit(options.kit, rootOptions);
  const place = archiveLayout(data, manifest.archive as ArchiveId);
  const keyringText = await readFile(join(from, 'keys', 'keyring.json'), 'utf8');
  const keyring = await unwrapKeyring(keyringText, root);
  await mkdir(place.directory, { recursive: true, mode: 0o700 });
  await copyFile(join(from, 'content', 'archive.db'), place.database);
  await copyFile(join(from, 'keys', 'keys.db'), `${place.database}.keys`);
  const destroyed = await readDestroyed([
    join(from, 'content', 'destroyed.jsonl'),
    destructionListPath({ layout: place }),
    options.destroyed,
  ]);
  joinCopies(
    { path: place.database, key: keyring.databaseKey },
    `${place.database}.keys`,
    new Set(destroyed.map((entry) => entry.messageNo)),
  );
  await removeKeyCopy(`${place.database}.keys`);
  await copyTree(join(from, 'content', 'blobs'), place.blobs, options.onProgress);
  await writeFileDurably(place.keyring, Buffer.from(keyringText), 0o600);
  const size = await rememberHead(place, await readFile(join(from, 'content', 'checkpoint'), 'utf8'));
  await mkdir(dirname(destructionListPath({ layout: place })), { recursive: true, mode: 0o700 });
  await writeFileDurably(
    destructionListPath({ layout: place }),
    Buffer.from(destroyed.map((entry) => `${JSON.stringify(entry)}\n`).join('')),
    0o600,
  );
  // Last, because a directory counts as an archive from then on.
  await writeFileDurably(data.house, await readFile(join(from, 'content', 'cartulary.json')), 0o600);
  keyring.destroy();
  root.destroy();
  return {
    archiveId: manifest.archive,
    records: manifest.records,
    destroyedReplayed: destroyed.length,
    checkpointSize: size,
  };
}

/** Reads a backup's manifest and checks every file against it. @throws CartularyError `corrupt` */
export async function checkBackup(
  from: string,
  onProgress: (done: number, total: number) => void,
): Promise<z.infer<typeof manifestSchema>> {
  const text = await readFile(join(from, 'manifest.json'), 'utf8').catch(() => undefined);
  if (text === undefined) throw new CartularyError('not-found', `${from} is not a backup: it has no manifest.json`);
  const parsed = manifestSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new CartularyError('corrupt', 'the manifest of the backup cannot be read');
  for (const [index, file] of parsed.data.files.entries()) {
    const found = file.path.includes('..') ? undefined : await hashFile(join(from, file.path)).catch(() => undefined);
    if (found !== file.sha256)
      throw new CartularyError('corrupt', `the backup's file ${file.path} is not what the manifest says`);
    onProgress(index + 1, parsed.data.files.length);
  }
  return parsed.data;
}

/** The signer on this machine must know the last head that was signed before, unless it remembers a later one. */
async function rememberHead(place: ArchiveLayout, checkpoint: string): Promise<number> {
  const { origin, size, root } = parseSignedCheckpoint(checkpoint);
  const known = await readFile(place.signerMemory, 'utf8').catch(() => undefined);
  if (known === undefined || (JSON.parse(known) as { size: number }).size < size) {
    await mkdir(dirname(place.signerMemory), { recursive: true, mode: 0o700 });
    await writeFileDurably(
      place.signerMemory,
      Buffer.from(JSON.stringify({ origin, size, root: Buffer.from(root).toString('base64') })),
      0o600,
    );
  }
  return size;
}

type Destroyed = { readonly messageNo: number; readonly message: string; readonly seq: number };

async function readDestroyed(paths: readonly (string | undefined)[]): Promise<Destroyed[]> {
  const entries = new Map<number, Destroyed>();
  for (const path of paths) {
    const text = path === undefined ? undefined : await readFile(path, 'utf8').catch(() => undefined);
    for (const line of (text ?? '').split('\n')) {
      if (line === '') continue;
      const entry = JSON.parse(line) as Destroyed;
      entries.set(entry.messageNo, entry);
    }
  }
  return [...entries.values()];
}

async function removeKeyCopy(path: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(path + suffix, { force: true });
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if ((await stat(from).catch(() => undefined)) !== undefined) await copyFile(from, to);
}

async function copyTree(from: string, to: string, onProgress: (done: number, total: number) => void): Promise<void> {
  const files = (await listFiles(from)).filter((file) => !file.path.startsWith('incoming/'));
  for (const [index, file] of files.entries()) {
    await mkdir(dirname(join(to, file.path)), { recursive: true, mode: 0o700 });
    await copyFile(join(from, file.path), join(to, file.path), constants.COPYFILE_FICLONE);
    onProgress(index + 1, files.length);
  }
}

async function listFiles(base: string): Promise<{ path: string; bytes: number; sha256: string }[]> {
  const entries = await readdir(base, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    files.push({ path: relative(base, full), bytes: (await stat(full)).size, sha256: await hashFile(full) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
