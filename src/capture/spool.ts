/**
 * The spool: what was acknowledged while the archive could not be written to (its database is away, its keys are locked, or it is behind another network), on the disk of the machine that
 * took it in, until it can be filed by the ordinary way. The one acknowledgement before the log (DESIGN §6): a lost disk of that machine is the one loss there can be.
 *
 * Owns: files of frames (spool-file.ts), how much may wait. Never: holds what guard has not seen, or removes a file before all of it is filed.
 * Invariants: what `put` has answered is durable; a file is filed whole or stays, and is filed again, which changes nothing; a damaged frame keeps nothing else from being filed.
 */
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { CartularyError, isDatabaseAway } from '../model/errors.ts';
import { ensureDirectory } from '../store/blobs.ts';
import { orDiskFailed, syncDirectory, syncFile } from '../vault/durable-file.ts';
import { equalConstantTime, sha256 } from '../vault/hash.ts';
import { LIMITS } from './limits.ts';
import { encodeFrame, FRAME_HEAD_BYTES, openFrame, readFrameHead } from './spool-file.ts';
import type { SpooledEnvelope, SpoolOpening, SpoolSealing } from './spool-file.ts';

export type { SpooledEnvelope } from './spool-file.ts';

/** What waits. */
export type SpoolState = {
  readonly envelopes: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** When the oldest came, ms since 1970. */
  readonly oldestMs: number | undefined;
  /** Files with a frame that cannot be opened, which were put aside. */
  readonly damaged: number;
};

/** What became of a file: all of it is filed, or a frame of it cannot be opened and the rest is filed. */
export type SpoolOutcome = 'filed' | 'damaged';

export type Spool = {
  /** Keeps an envelope; durable when it answers. @throws CartularyError `too-large` where no more may wait; `disk-failed`, after which nobody may go on */
  put(one: SpooledEnvelope): Promise<void>;
  /**
   * Hands over what waits, oldest file first, and removes each file of which all was taken.
   * @param take rejects where one cannot be filed now
   * @returns how many were filed
   * @throws what `take` threw last, once every file was tried
   */
  drain(keys: SpoolOpening, take: (one: SpooledEnvelope) => Promise<unknown>): Promise<number>;
  /** Names of files to which nothing more is written, oldest first: for whoever fetches them. */
  list(): Promise<readonly string[]>;
  /** The bytes of such a file. @throws CartularyError `not-found` */
  read(name: string): Promise<Uint8Array>;
  /**
   * Parts with a file that somebody has fetched: removes it, or puts it aside where it cannot be opened.
   * @param hash SHA-256 of what was fetched: of another file of the same name nothing is removed
   * @throws CartularyError `not-found` where there is none such, which is so when it is told twice
   */
  settle(name: string, hash: Uint8Array, outcome: SpoolOutcome): Promise<void>;
  state(): SpoolState;
  close(): Promise<void>;
};

/** Envelopes that are handed over at once. */
const AT_ONCE = 32;
const NAME = /^\d{12}\.spool$/;

/** A file, and what is known of it. */
type Kept = { readonly name: string; bytes: number; envelopes: number; oldestMs: number };

/** Opens the spool in a directory. */
export async function openSpool(
  directory: string,
  keys: SpoolSealing,
  bytesMax: number = LIMITS.spoolBytesMax,
): Promise<Spool> {
  const shelf = createShelf(directory, await listKept(directory), await countDamaged(directory));
  const { files } = shelf;
  const box: { writing?: { handle: FileHandle; kept: Kept }; next: number } = {
    next: Number.parseInt(files.at(-1)?.name ?? '0', 10) + 1,
  };
  const begin = async (): Promise<{ handle: FileHandle; kept: Kept }> => {
    await ensureDirectory(directory);
    const kept = { name: `${String(box.next++).padStart(12, '0')}.spool`, bytes: 0, envelopes: 0, oldestMs: Infinity };
    const handle = await open(join(directory, kept.name), 'wx', 0o600);
    await syncDirectory(directory);
    files.push(kept);
    return { handle, kept };
  };
  const end = async (): Promise<void> => {
    const { writing } = box;
    delete box.writing;
    await writing?.handle.close();
  };
  const write = async (group: readonly SpooledEnvelope[]): Promise<void> => {
    const frame = encodeFrame(keys, group);
    if (shelf.bytes() + frame.length > bytesMax)
      throw new CartularyError('too-large', `the spool holds ${bytesMax} bytes, which is as much as it may`);
    const { handle, kept } = (box.writing ??= await begin());
    try {
      await orDiskFailed(kept.name, handle.writeFile(frame));
      await syncFile(handle, kept.name);
    } catch (cause) {
      // Half a frame may stand there, and nothing can be read behind it.
      await end();
      throw cause;
    }
    kept.bytes += frame.length;
    kept.envelopes += group.length;
    for (const { envelope } of group) kept.oldestMs = Math.min(kept.oldestMs, envelope.receivedAtMs);
    if (kept.bytes >= LIMITS.spoolFileBytesMax) await end();
  };
  const writer = createGroupedWriter(write);
  return {
    put: writer.push,
    async drain(opening, take) {
      await writer.alone(end);
      const failed: unknown[] = [];
      let count = 0;
      for (const { name } of [...files]) {
        try {
          const { filed, outcome } = await fileFrames(opening, await readFile(join(directory, name)), take);
          await shelf.part(name, outcome);
          count += filed;
        } catch (cause) {
          failed.push(cause);
          if (isDatabaseAway(cause)) break;
        }
      }
      if (failed.length > 0) throw failed.at(-1);
      return count;
    },
    async list() {
      await writer.alone(end);
      return files.filter((kept) => kept !== box.writing?.kept).map(({ name }) => name);
    },
    read: (name) => shelf.read(name),
    async settle(name, hash, outcome) {
      if (!equalConstantTime(sha256(await shelf.read(name)), hash)) throw noSuchFile();
      await shelf.part(name, outcome);
    },
    state: () => ({ ...shelf.state(), bytesMax }),
    close: () => writer.alone(end),
  };
}

/** The files that lie in a spool. */
function createShelf(directory: string, files: Kept[], damagedBefore: number) {
  let damaged = damagedBefore;
  const bytes = (): number => files.reduce((sum, kept) => sum + kept.bytes, 0);
  return {
    files,
    bytes,
    async read(name: string): Promise<Uint8Array> {
      if (!files.some((kept) => kept.name === name)) throw noSuchFile();
      return readFile(join(directory, name));
    },
    /** Removes a file, or keeps it under a name that is no longer looked at. */
    async part(name: string, outcome: SpoolOutcome): Promise<void> {
      if (outcome === 'filed') await rm(join(directory, name));
      else await rename(join(directory, name), join(directory, `${name}.damaged`));
      files.splice(0, files.length, ...files.filter((kept) => kept.name !== name));
      if (outcome === 'damaged') damaged += 1;
    },
    state: () => ({
      envelopes: files.reduce((sum, { envelopes }) => sum + envelopes, 0),
      bytes: bytes(),
      oldestMs: files.length === 0 ? undefined : Math.min(...files.map(({ oldestMs }) => oldestMs)),
      damaged,
    }),
  };
}

function noSuchFile(): CartularyError {
  return new CartularyError('not-found', 'there is no such file in the spool');
}

async function countDamaged(directory: string): Promise<number> {
  return (await readdir(directory).catch((): string[] => [])).filter((name) => name.endsWith('.damaged')).length;
}

/** What came while a write was under way shares the next. */
function createGroupedWriter(write: (group: readonly SpooledEnvelope[]) => Promise<void>) {
  type Waiting = {
    readonly one: SpooledEnvelope;
    readonly resolve: () => void;
    readonly reject: (cause: unknown) => void;
  };
  let waiting: Waiting[] = [];
  let turn: Promise<void> = Promise.resolve();
  const writeWaiting = async (): Promise<void> => {
    const group = waiting;
    waiting = [];
    if (group.length === 0) return;
    try {
      await write(group.map(({ one }) => one));
      for (const { resolve } of group) resolve();
    } catch (cause) {
      for (const { reject } of group) reject(cause);
    }
  };
  return {
    push: (one: SpooledEnvelope): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting.push({ one, resolve, reject });
        turn = turn.then(writeWaiting);
      }),
    /** Does something between two writes. */
    alone(act: () => Promise<void>): Promise<void> {
      const mine = turn.then(act);
      turn = mine.catch(() => undefined);
      return mine;
    },
  };
}

/**
 * Hands over every envelope of a spool file.
 * @param file its bytes; a frame that is cut off at its end was never acknowledged
 * @param take rejects where one cannot be filed now
 * @returns how many there were; `damaged` where a frame cannot be opened, all others having been handed over
 * @throws what `take` threw
 */
export async function fileFrames(
  keys: SpoolOpening,
  file: Uint8Array,
  take: (one: SpooledEnvelope) => Promise<unknown>,
): Promise<{ readonly filed: number; readonly outcome: SpoolOutcome }> {
  let filed = 0;
  let outcome: SpoolOutcome = 'filed';
  let at = 0;
  for (let head = readFrameHead(file, at); head !== undefined; head = readFrameHead(file, at)) {
    let group: readonly SpooledEnvelope[] = [];
    try {
      group = openFrame(keys, file, at, head);
    } catch (cause) {
      if (!(cause instanceof CartularyError && cause.code === 'corrupt')) throw cause;
      outcome = 'damaged';
    }
    for (let from = 0; from < group.length; from += AT_ONCE)
      await Promise.all(group.slice(from, from + AT_ONCE).map(take));
    filed += group.length;
    at += FRAME_HEAD_BYTES + head.bytes;
  }
  return { filed, outcome };
}

async function listKept(directory: string): Promise<Kept[]> {
  const names = (await readdir(directory).catch((): string[] => [])).filter((name) => NAME.test(name)).sort();
  const kept: Kept[] = [];
  for (const name of names) {
    const file = await readFile(join(directory, name));
    const one = { name, bytes: file.length, envelopes: 0, oldestMs: Infinity };
    let at = 0;
    for (let head = readFrameHead(file, at); head !== undefined; head = readFrameHead(file, at)) {
      one.envelopes += head.envelopes;
      one.oldestMs = Math.min(one.oldestMs, head.oldestMs);
      at += FRAME_HEAD_BYTES + head.bytes;
    }
    kept.push(one);
  }
  return kept;
}
