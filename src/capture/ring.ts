/**
 * The ring for bad signatures: what was refused is kept for a while outside the log, sealed to the archive's public key, so that a wrong secret loses
 * nothing. It is of limited size, the oldest goes first, and only a valid signature brings anything out of it.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Envelope } from '../model/envelope.ts';
import type { SourceId } from '../model/ids.ts';
import { openSealed, sealTo } from '../vault/hpke.ts';
import type { HpkeKeyPair } from '../vault/hpke.ts';
import { LIMITS } from './limits.ts';
import { decodeEnvelope, encodeEnvelope } from './ring-envelope.ts';

export type Ring = {
  /**
   * Keeps a refused envelope if there is room and time; never throws. One with card data in it is kept in memory only: its bytes must not
   * change, or its signature never fits again, and they must not become durable.
   * @param looksOfCards asked only where there is room and time, since strangers decide how often
   */
  put(source: SourceId, envelope: Envelope, looksOfCards: (envelope: Envelope) => boolean): Promise<'kept' | 'counted'>;
  /** How many were refused since the start, and how many wait. */
  count(source: SourceId): Promise<{ refused: number; waiting: number }>;
  /** When something was refused last, as far as is known: since the start, or of what waits. Milliseconds since 1970. */
  lastRefusedMs(source: SourceId): Promise<number | undefined>;
  /** Paths of kept envelopes that cannot be opened any more. */
  listDamaged(source: SourceId): Promise<string[]>;
  /** Hands each waiting envelope, oldest first, to `release`; what it accepts is removed. */
  release(
    source: SourceId,
    release: (envelope: Envelope) => Promise<boolean>,
  ): Promise<{ released: number; kept: number }>;
};

const INFO = Buffer.from('cartulary/ring/v1');

/** What the ring knows of one source. Files and volatile envelopes stand oldest first. */
type Shelf = {
  refused: number;
  lastRefusedMs: number | undefined;
  second: { startMs: number; count: number; bytes: number };
  /** Files as they lay there at the start, then as they come. */
  readonly files: Promise<Kept[]>;
  volatile: Envelope[];
};
type Kept = { readonly name: string; readonly bytes: number };

/** Opens the ring in a directory. @param random 8 random bytes for a name */
export function openRing(directory: string, keys: HpkeKeyPair, random: (bytes: number) => Uint8Array): Ring {
  const shelves = new Map<SourceId, Shelf>();
  const place = (source: SourceId): string => join(directory, source);
  const shelfOf = (source: SourceId): Shelf => {
    const known = shelves.get(source);
    if (known !== undefined) return known;
    const shelf: Shelf = {
      refused: 0,
      lastRefusedMs: undefined,
      second: { startMs: Number.NEGATIVE_INFINITY, count: 0, bytes: 0 },
      files: listFiles(place(source)),
      volatile: [],
    };
    shelves.set(source, shelf);
    return shelf;
  };
  return {
    async put(source, envelope, looksOfCards) {
      const shelf = shelfOf(source);
      shelf.refused += 1;
      shelf.lastRefusedMs = envelope.receivedAtMs;
      if (!isWithinRate(shelf, envelope)) return 'counted';
      if (looksOfCards(envelope)) {
        shelf.volatile.push(envelope);
        dropOldest(shelf.volatile, (one) => one.body.length, LIMITS.ringVolatileMax, LIMITS.ringVolatileBytesMax);
        return 'kept';
      }
      try {
        const files = await shelf.files;
        const sealed = sealTo(keys.publicKey, { info: INFO, aad: Buffer.from(source) }, encodeEnvelope(envelope));
        const name = `${String(envelope.receivedAtMs).padStart(15, '0')}-${Buffer.from(random(8)).toString('hex')}`;
        await mkdir(place(source), { recursive: true, mode: 0o700 });
        files.push({ name, bytes: sealed.length });
        const dropped = dropOldest(files, (one) => one.bytes, LIMITS.ringEnvelopesMax, LIMITS.ringBytesMax);
        await writeFile(join(place(source), name), sealed, { mode: 0o600 });
        for (const one of dropped) await rm(join(place(source), one.name), { force: true });
        return 'kept';
      } catch {
        return 'counted';
      }
    },
    async count(source) {
      const shelf = shelfOf(source);
      return { refused: shelf.refused, waiting: (await shelf.files).length + shelf.volatile.length };
    },
    async lastRefusedMs(source) {
      const shelf = shelfOf(source);
      const newest = (await shelf.files).at(-1)?.name;
      return shelf.lastRefusedMs ?? (newest === undefined ? undefined : Number.parseInt(newest, 10));
    },
    async listDamaged(source) {
      const damaged: string[] = [];
      for (const { name } of await shelfOf(source).files) {
        const path = join(place(source), name);
        if (openEnvelope(keys, source, await readFile(path).catch(() => Buffer.alloc(0))) === undefined)
          damaged.push(path);
      }
      return damaged;
    },
    async release(source, release) {
      const shelf = shelfOf(source);
      const files = await shelf.files;
      const result = { released: 0, kept: 0 };
      for (const file of [...files]) {
        const path = join(place(source), file.name);
        const envelope = openEnvelope(keys, source, await readFile(path).catch(() => Buffer.alloc(0)));
        if (envelope !== undefined && (await release(envelope))) {
          await rm(path, { force: true });
          const at = files.indexOf(file);
          if (at !== -1) files.splice(at, 1);
          result.released += 1;
        } else result.kept += 1;
      }
      for (const envelope of [...shelf.volatile]) {
        if (await release(envelope)) {
          shelf.volatile = shelf.volatile.filter((one) => one !== envelope);
          result.released += 1;
        } else result.kept += 1;
      }
      // What fits shows that the secret is right; what was refused before says nothing any more, unless it still waits.
      if (result.released > 0) shelf.lastRefusedMs = undefined;
      return result;
    },
  };
}

/** Says of each refused envelope whether it is within what a flood may cost, for who keeps them elsewhere. */
export function createRates(): (source: SourceId, envelope: Envelope) => boolean {
  const seconds = new Map<SourceId, Pick<Shelf, 'second'>>();
  return (source, envelope) => {
    const known = seconds.get(source) ?? { second: { startMs: Number.NEGATIVE_INFINITY, count: 0, bytes: 0 } };
    seconds.set(source, known);
    return isWithinRate(known, envelope);
  };
}

/** What a flood may cost: envelopes and bytes a second and source; above it they are only counted. */
function isWithinRate(shelf: Pick<Shelf, 'second'>, { receivedAtMs, body }: Envelope): boolean {
  // Either way: a clock that was set back must not count everything into one second.
  if (Math.abs(receivedAtMs - shelf.second.startMs) >= 1000)
    shelf.second = { startMs: receivedAtMs, count: 0, bytes: 0 };
  const { second } = shelf;
  // The first of a second may be as large as a body may be.
  const fits =
    second.count < LIMITS.ringPerSecondMax &&
    (second.count === 0 || second.bytes + body.length <= LIMITS.ringBytesPerSecondMax);
  if (!fits) return false;
  second.count += 1;
  second.bytes += body.length;
  return true;
}

async function listFiles(directory: string): Promise<Kept[]> {
  const names = (await readdir(directory).catch((): string[] => [])).sort();
  const files: Kept[] = [];
  for (const name of names) {
    const found = await stat(join(directory, name)).catch(() => undefined);
    if (found !== undefined) files.push({ name, bytes: found.size });
  }
  return files;
}

/** Takes away from the front until both limits hold; what was taken away. */
function dropOldest<Item>(
  items: Item[],
  bytesOf: (item: Item) => number,
  countMax: number,
  bytesMax: number,
): readonly Item[] {
  let bytes = items.reduce((sum, item) => sum + bytesOf(item), 0);
  const dropped: Item[] = [];
  while (items.length > countMax || bytes > bytesMax) {
    const oldest = items.shift();
    if (oldest === undefined) break;
    bytes -= bytesOf(oldest);
    dropped.push(oldest);
  }
  return dropped;
}

function openEnvelope(keys: HpkeKeyPair, source: SourceId, sealed: Uint8Array): Envelope | undefined {
  try {
    return decodeEnvelope(openSealed(keys.privateKey, { info: INFO, aad: Buffer.from(source) }, sealed));
  } catch {
    return undefined;
  }
}
