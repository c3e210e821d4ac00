/** The files of a backup: media on their way into it and out of it, and the list of all that it holds. */
import { constants } from 'node:fs';
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { openBlobs } from '../store/blob-engine.ts';
import type { BlobLocation } from '../store/blob-location.ts';
import { blobPath } from '../store/blobs.ts';
import { hashFile } from '../vault/hash-file.ts';
import { isMissing } from '../vault/missing-file.ts';
import { listTree } from './list-tree.ts';

/**
 * Copies media.
 * @param options `mayGo`: from a running archive, in which one that goes meanwhile belongs to a message that is being destroyed, and no copy of it may stay
 */
export async function copyMedia(
  names: readonly string[],
  { from, to, mayGo }: Omit<MediaWay, 'signal'>,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const copy =
    from.engine === 'directory' && to.engine === 'directory'
      ? copierOfFiles(from.path, to.path)
      : await copierOf(from, to);
  await inParallel(names, copy, { mayGo, signal: undefined }, onProgress);
}

async function inParallel(
  names: readonly string[],
  copy: (name: string) => Promise<void>,
  { mayGo, signal }: { readonly mayGo: boolean; readonly signal: AbortSignal | undefined },
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const waiting = names.values();
  let done = 0;
  let failure: unknown;
  const copyNext = async (): Promise<void> => {
    for (const name of waiting) {
      if (signal?.aborted === true) failure ??= new CartularyError('stopping', 'the copying of media was stopped');
      if (failure !== undefined) return;
      try {
        await copy(name);
      } catch (cause) {
        const isGone = isMissing(cause) || (cause instanceof CartularyError && cause.code === 'not-found');
        if (!mayGo || !isGone) failure ??= cause;
      }
      done += 1;
      onProgress(done, names.length);
    }
  };
  // All have ended when this does, so that nothing is written any more where the caller cleans up.
  await Promise.all(Array.from({ length: AT_ONCE }, copyNext));
  if (failure !== undefined) throw failure;
}

/** From where to where media are copied. */
export type MediaWay = {
  readonly from: BlobLocation;
  readonly to: BlobLocation;
  readonly mayGo: boolean;
  readonly signal?: AbortSignal;
};

/**
 * Brings media to where backups share them: what is there already stays, and each is durable.
 * @throws CartularyError `stopping`
 */
export async function addMedia(
  names: readonly string[],
  { from, to, mayGo, signal }: MediaWay,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const [source, target] = [await openBlobs(from), await openBlobs(to)];
  const there = new Set(await Array.fromAsync(target.list()));
  const missing = names.filter((name) => !there.has(name));
  await inParallel(missing, async (name) => void (await target.put(source.get(name))), { mayGo, signal }, onProgress);
}

/** Media that are copied at a time: over a network most of the time goes by in waiting. */
const AT_ONCE = 8;

function copierOfFiles(from: string, to: string): (name: string) => Promise<void> {
  return async (name) => {
    const path = blobPath(name);
    await mkdir(dirname(join(to, path)), { recursive: true, mode: 0o700 });
    await copyFile(join(from, path), join(to, path), constants.COPYFILE_FICLONE);
  };
}

/** Copies through the stores, which check every byte on its way. What is there already was copied by a run that was cut off. */
async function copierOf(from: BlobLocation, to: BlobLocation): Promise<(name: string) => Promise<void>> {
  const [source, target] = [await openBlobs(from), await openBlobs(to)];
  return async (name) => {
    if (!(await target.has(name))) await target.put(source.get(name));
  };
}

/** All files below a directory with their sizes and SHA-256, by path. */
export async function listFiles(base: string): Promise<{ path: string; bytes: number; sha256: string }[]> {
  const files = [];
  for (const path of await listTree(base)) {
    const full = join(base, path);
    files.push({ path, bytes: (await stat(full)).size, sha256: await hashFile(full) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}
