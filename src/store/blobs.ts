/**
 * Sealed media on disk. A blob's name is the SHA-256 of its ciphertext, so that a swapped or altered file is seen by whoever reads it.
 * A blob never changes; it is written under a temporary name, made durable, and then given its own.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { orDiskFailed, syncDirectory, syncFile } from '../vault/durable-file.ts';
import { isMissing } from '../vault/missing-file.ts';

/** A store of sealed media. */
export type BlobStore = {
  /**
   * Keeps a ciphertext; durable when it answers. Returns its name and size.
   * @param onNamed told the name, and waited for, before the blob has it
   */
  put(
    ciphertext: AsyncIterable<Uint8Array>,
    onNamed?: (name: string) => Promise<void>,
  ): Promise<{ name: string; bytes: number }>;
  /** Reads a blob and checks its address as it goes; throws `corrupt` after the last byte where it does not fit. */
  get(name: string): AsyncIterable<Uint8Array>;
  has(name: string): Promise<boolean>;
  /** Removes a blob whose key was destroyed. */
  remove(name: string): Promise<void>;
  list(): AsyncIterable<string>;
  /** Removes what was half written when the last process ended. Only where no other writes. */
  sweep(): Promise<void>;
};

const NAME = /^[0-9a-f]{64}$/;
/** Where blobs lie until they have a name. */
const INCOMING = 'incoming';

/** Is this the name of a blob? */
export function isBlobName(text: string): boolean {
  return NAME.test(text);
}

/** Where a blob lies in its directory. @throws CartularyError `bad-input` where that is no name of one */
export function blobPath(name: string): string {
  if (!isBlobName(name)) throw new CartularyError('bad-input', 'this is not the name of a blob');
  return join(name.slice(0, 2), name);
}

/**
 * Opens a directory as a blob store.
 * @param node who writes there, where others do as well
 */
export function openBlobDirectory(directory: string, node = ''): BlobStore {
  const incoming = join(directory, INCOMING, node);
  const pathOf = (name: string): string => join(directory, blobPath(name));
  return {
    put: (ciphertext, onNamed) => putBlob({ incoming, pathOf }, ciphertext, onNamed),
    sweep: () => rm(incoming, { recursive: true, force: true }),
    get: (name) => readChecked(pathOf(name), name),
    async has(name) {
      return (await stat(pathOf(name)).catch(() => undefined)) !== undefined;
    },
    async remove(name) {
      const path = pathOf(name);
      if ((await stat(path).catch(() => undefined)) === undefined) return;
      await rm(path, { force: true });
      await syncDirectory(dirname(path));
    },
    async *list() {
      for (const shard of (await readdir(directory).catch(noneWhereMissing)).sort()) {
        if (!/^[0-9a-f]{2}$/.test(shard)) continue;
        for (const name of (await readdir(join(directory, shard))).sort()) if (NAME.test(name)) yield name;
      }
    },
  };
}

async function putBlob(
  { incoming, pathOf }: { readonly incoming: string; readonly pathOf: (name: string) => string },
  ciphertext: AsyncIterable<Uint8Array>,
  onNamed: ((name: string) => Promise<void>) | undefined,
): Promise<{ name: string; bytes: number }> {
  await ensureDirectory(incoming);
  const temporary = join(incoming, randomBytes(16).toString('hex'));
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      for await (const chunk of ciphertext) {
        hash.update(chunk);
        bytes += chunk.length;
        await orDiskFailed(temporary, handle.writeFile(chunk));
      }
      await syncFile(handle, temporary);
    } finally {
      await handle.close();
    }
    const name = hash.digest('hex');
    const path = pathOf(name);
    await ensureDirectory(dirname(path));
    await onNamed?.(name);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return { name, bytes };
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}

async function* readChecked(path: string, name: string): AsyncIterable<Uint8Array> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) {
      hash.update(chunk as Buffer);
      yield chunk as Buffer;
    }
  } catch (cause) {
    if (isMissing(cause)) throw new CartularyError('not-found', 'a blob is missing', { cause });
    throw cause;
  }
  if (hash.digest('hex') !== name) throw new CartularyError('corrupt', 'a blob does not have the bytes its name says');
}

/** A directory that is not there yet holds nothing; one that cannot be read is no empty one. */
function noneWhereMissing(cause: unknown): string[] {
  if (isMissing(cause)) return [];
  throw cause;
}

/** Makes a directory (mode 0700) with those above it, each durable: after a power cut a file is only as safe as the names that lead to it. */
export async function ensureDirectory(directory: string): Promise<void> {
  const made = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (made === undefined) return;
  for (let current = directory; current.length >= made.length; current = dirname(current))
    await syncDirectory(dirname(current));
}
