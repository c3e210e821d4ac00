/**
 * Writing small files so that a power cut leaves either the old content or the new, never a part: a temporary file in the same
 * directory → fsync → rename → fsync of the directory. After an error of fsync the file counts as lost: a retry can report a success that
 * never reached the disk, so the temporary file is removed, and the error goes up as one that ends the process (`disk-failed`).
 */
import { randomBytes } from 'node:crypto';
import { link, open, readdir, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, basename } from 'node:path';

import { CartularyError } from '../model/errors.ts';

/**
 * Writes a file as a whole.
 * @param path its directory must exist
 * @param mode permission bits, set whatever the umask is
 * @param options `ifAbsent`: fail where the file is already there instead of replacing it
 * @throws CartularyError `conflict` where `ifAbsent` is set and the file exists; otherwise the error of the file system
 */
export async function writeFileDurably(
  path: string,
  bytes: Uint8Array,
  mode: number,
  options: { readonly ifAbsent?: boolean } = {},
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.chmod(mode);
      await orDiskFailed(path, file.writeFile(bytes));
      await syncFile(file, path);
    } finally {
      await file.close();
    }
    if (options.ifAbsent === true) await linkIfAbsent(temporary, path);
    else await rename(temporary, path);
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw cause;
  }
  await syncDirectory(directory);
}

/** Removes what a process that was killed while it wrote a file has left beside it. Only where no other writes the file. */
export async function removeTemporaries(path: string): Promise<void> {
  const prefix = `.${basename(path)}.`;
  for (const name of await readdir(dirname(path)).catch((): string[] => []))
    if (name.startsWith(prefix) && name.endsWith('.tmp')) await unlink(join(dirname(path), name));
}

/** Makes names in a directory durable: without it a rename can be undone by a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; its file systems order metadata themselves.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await syncFile(handle, directory);
  } finally {
    await handle.close();
  }
}

/**
 * Makes an open file durable.
 * @param path what it is called in the error
 * @throws CartularyError `disk-failed`: whoever gets it must not go on, since the kernel reports a lost page once only
 */
export function syncFile(file: FileHandle, path: string): Promise<void> {
  return orDiskFailed(path, file.sync());
}

/**
 * Tells an error of the disk from one that a person can remove while the process runs (no space, no right).
 * @throws CartularyError `disk-failed` for EIO
 */
export async function orDiskFailed<Result>(path: string, act: Promise<Result>): Promise<Result> {
  try {
    return await act;
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (code !== 'EIO') throw cause;
    throw new CartularyError('disk-failed', `${syscall} of ${path}: ${code}`, { cause });
  }
}

/** `rename` replaces silently; a hard link fails where the name is taken. */
async function linkIfAbsent(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
      throw new CartularyError('conflict', `${path} is already there and is not replaced`, { cause });
    }
    throw cause;
  }
  await unlink(temporary);
}
