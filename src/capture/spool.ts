/**
 * The spool: what was acknowledged while the database was away, on the disk of the node that took it in, until it can be filed by the ordinary way. The one acknowledgement before the log
 * (DESIGN §6): a lost disk of that node is the one loss there can be.
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
import type { HpkeKeyPair } from '../vault/hpke.ts';
import { LIMITS } from './limits.ts';
import { encodeFrame, FRAME_HEAD_BYTES, openFrame, readFrameHead, spoolKeysOf } from './spool-file.ts';
import type { SpooledEnvelope, SpoolKeys } from './spool-file.ts';

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

export type Spool = {
  /** Keeps an envelope; durable when it answers. @throws CartularyError `too-large` where no more may wait; `disk-failed`, after which nobody may go on */
  put(one: SpooledEnvelope): Promise<void>;
  /**
   * Hands over what waits, oldest file first, and removes each file of which all was taken.
   * @param take rejects where one cannot be filed now
   * @returns how many were filed
   * @throws what `take` threw last, once every file was tried
   */
  drain(take: (one: SpooledEnvelope) => Promise<unknown>): Promise<number>;
  state(): SpoolState;
  close(): Promise<void>;
};

/** Envelopes that are handed over at once. */
const AT_ONCE = 32;
const NAME = /^\d{12}\.spool$/;

/** A file, and what is known of it. */
type Kept = { readonly name: string; bytes: number; envelopes: number; oldestMs: number };

/** Opens the spool in a directory. */
export async function openSpool(directory: string, pair: HpkeKeyPair, bytesMax = LIMITS.spoolBytesMax): Promise<Spool> {
  const keys = spoolKeysOf(pair);
  const files = await listKept(directory);
  const box: { damaged: number; writing?: { handle: FileHandle; kept: Kept }; next: number } = {
    damaged: (await readdir(directory).catch((): string[] => [])).filter((name) => name.endsWith('.damaged')).length,
    next: Number.parseInt(files.at(-1)?.name ?? '0', 10) + 1,
  };
  const waitingBytes = (): number => files.reduce((sum, { bytes }) => sum + bytes, 0);
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
    if (waitingBytes() + frame.length > bytesMax)
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
    async drain(take) {
      await writer.alone(end);
      const failed: unknown[] = [];
      let count = 0;
      for (const kept of [...files]) {
        try {
          count += await fileAll(keys, join(directory, kept.name), take);
          await rm(join(directory, kept.name));
          files.splice(files.indexOf(kept), 1);
        } catch (cause) {
          if (cause instanceof CartularyError && cause.code === 'corrupt') {
            await rename(join(directory, kept.name), join(directory, `${kept.name}.damaged`));
            files.splice(files.indexOf(kept), 1);
            box.damaged += 1;
          } else failed.push(cause);
          if (isDatabaseAway(cause)) break;
        }
      }
      if (failed.length > 0) throw failed.at(-1);
      return count;
    },
    state: () => ({
      envelopes: files.reduce((sum, { envelopes }) => sum + envelopes, 0),
      bytes: waitingBytes(),
      bytesMax,
      oldestMs: files.length === 0 ? undefined : Math.min(...files.map(({ oldestMs }) => oldestMs)),
      damaged: box.damaged,
    }),
    close: () => writer.alone(end),
  };
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
 * Hands over every envelope of a file.
 * @throws CartularyError `corrupt` after all others were handed over, where a frame cannot be opened
 */
async function fileAll(
  keys: SpoolKeys,
  path: string,
  take: (one: SpooledEnvelope) => Promise<unknown>,
): Promise<number> {
  const file = await readFile(path);
  let count = 0;
  let damage: unknown;
  let at = 0;
  for (let head = readFrameHead(file, at); head !== undefined; head = readFrameHead(file, at)) {
    try {
      const group = openFrame(keys, file, at, head);
      for (let from = 0; from < group.length; from += AT_ONCE)
        await Promise.all(group.slice(from, from + AT_ONCE).map(take));
      count += group.length;
    } catch (cause) {
      if (!(cause instanceof CartularyError) || cause.code !== 'corrupt') throw cause;
      damage = cause;
    }
    at += FRAME_HEAD_BYTES + head.bytes;
  }
  if (damage !== undefined) throw damage;
  return count;
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
