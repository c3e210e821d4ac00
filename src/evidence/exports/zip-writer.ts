/**
 * A ZIP written one entry after the other, each hashed as it passes. Times of entries are given, attributes fixed, so that the same entries
 * give the same bytes; ZIP64 is used where sizes or counts need it.
 */
import { createHash } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { ZipFile } from 'yazl';

import type { BundleFile } from '../bundle-format.ts';

export type ZipWriter = {
  /** Writes an entry; resolves when all of it has been read. Entries are written in the order of the calls, one at a time. */
  readonly add: (
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    options?: { compress?: boolean },
  ) => Promise<BundleFile>;
  /** Writes the directory, waits until `output` has everything, and gives size and hash of the file. */
  readonly end: () => Promise<{ bytes: number; sha256: string }>;
  /** Gives up: `output` is destroyed. */
  readonly abort: (cause: unknown) => Promise<void>;
};

/** @param atMs time of all entries, milliseconds since 1970; written as UTC, to two seconds */
export function createZipWriter(output: Writable, atMs: number): ZipWriter {
  const zip = new ZipFile();
  const giveUp = new AbortController();
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const written = pipeline(zip.outputStream, meter, output, { signal: giveUp.signal });
  // Only the entry that is being written hears of the end: a race for each would leave something behind for every medium.
  let over: { readonly cause: unknown } | undefined;
  let tell: (cause: unknown) => void = () => undefined;
  const stop = (cause: unknown): void => {
    over = { cause };
    tell(cause);
  };
  written.then(() => stop(new Error('the output ended before the file did')), stop);
  const options = { mtime: dosTime(atMs), mode: 0o100644, forceDosTimestamp: true };
  return {
    async add(name, chunks, { compress = true } = {}) {
      if (over !== undefined) throw over.cause;
      const entry = createHash('sha256');
      let entryBytes = 0;
      const counted = async function* (): AsyncGenerator<Uint8Array> {
        for await (const chunk of chunks) {
          entry.update(chunk);
          entryBytes += chunk.length;
          yield chunk;
        }
      };
      const source = Readable.from(counted(), { objectMode: false });
      try {
        await new Promise<void>((resolve, reject) => {
          tell = reject;
          source.once('end', resolve);
          source.once('error', reject);
          zip.addReadStreamLazy(name, { ...options, compress }, giveOnce(source));
        });
      } catch (error) {
        source.destroy();
        throw error;
      }
      return { name, bytes: entryBytes, sha256: entry.digest('hex') };
    },
    async end() {
      zip.end();
      await written;
      return { bytes, sha256: hash.digest('hex') };
    },
    async abort(cause) {
      giveUp.abort(cause);
      await Promise.allSettled([written]);
    },
  };
}

/** Hands a stream over and forgets it: the ZIP's list of entries keeps this function to the end. */
function giveOnce(source: Readable): (give: (error: unknown, stream: Readable) => void) => void {
  let held: Readable | undefined = source;
  return (give) => {
    const given = held;
    held = undefined;
    if (given !== undefined) give(null, given);
  };
}

/** ZIP writers read a time in the zone of the machine; this one reads there as `atMs` does in UTC. */
function dosTime(atMs: number): Date {
  const at = new Date(atMs);
  return new Date(
    at.getUTCFullYear(),
    at.getUTCMonth(),
    at.getUTCDate(),
    at.getUTCHours(),
    at.getUTCMinutes(),
    at.getUTCSeconds(),
  );
}
