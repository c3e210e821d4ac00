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

export type Ring = {
  /**
   * Keeps a refused envelope if there is room and time; never throws. One in which guard found card data is kept in memory only: its bytes must not
   * change, or its signature never fits again, and they must not become durable.
   */
  put(source: SourceId, envelope: Envelope, hasCardData: boolean): Promise<'kept' | 'counted'>;
  /** How many were refused since the start, and how many wait. */
  count(source: SourceId): Promise<{ refused: number; waiting: number }>;
  /** Hands each waiting envelope, oldest first, to `release`; what it accepts is removed. */
  release(
    source: SourceId,
    release: (envelope: Envelope) => Promise<boolean>,
  ): Promise<{ released: number; kept: number }>;
};

const INFO = Buffer.from('cartulary/ring/v1');

/** An envelope that waits: in a file of this name, or in memory. */
type Waiting = { readonly bytes: number } & (
  | { readonly name: string }
  | { readonly source: SourceId; readonly envelope: Envelope }
);
type InFile = Extract<Waiting, { name: string }>;
type InMemory = Extract<Waiting, { envelope: Envelope }>;

/** Opens the ring in a directory. @param random 8 random bytes for a name */
export function openRing(directory: string, keys: HpkeKeyPair, random: (bytes: number) => Uint8Array): Ring {
  const refused = new Map<SourceId, number>();
  const files = new Map<SourceId, Promise<InFile[]>>();
  const isWithinRate = createRate();
  const volatile: InMemory[] = [];
  const place = (source: SourceId): string => join(directory, source);
  const list = (source: SourceId): Promise<InFile[]> => {
    const known = files.get(source) ?? listFiles(place(source));
    files.set(source, known);
    return known;
  };
  return {
    async put(source, envelope, hasCardData) {
      refused.set(source, (refused.get(source) ?? 0) + 1);
      if (!isWithinRate(source, envelope)) return 'counted';
      if (hasCardData) {
        volatile.push({ source, envelope, bytes: envelope.body.length });
        takeSurplus(volatile, LIMITS.ringVolatileMax);
        return 'kept';
      }
      try {
        const known = await list(source);
        await mkdir(place(source), { recursive: true, mode: 0o700 });
        const sealed = sealTo(keys.publicKey, { info: INFO, aad: Buffer.from(source) }, encodeEnvelope(envelope));
        const name = `${String(envelope.receivedAtMs).padStart(15, '0')}-${Buffer.from(random(8)).toString('hex')}`;
        await writeFile(join(place(source), name), sealed, { mode: 0o600 });
        known.push({ name, bytes: sealed.length });
        for (const surplus of takeSurplus(known, LIMITS.ringEnvelopesMax))
          await rm(join(place(source), surplus.name), { force: true });
        return 'kept';
      } catch {
        return 'counted';
      }
    },
    async count(source) {
      const inMemory = volatile.filter((item) => item.source === source).length;
      return { refused: refused.get(source) ?? 0, waiting: (await list(source)).length + inMemory };
    },
    async release(source, release) {
      const known = await list(source);
      let released = 0;
      for (const item of [...known].sort((a, b) => (a.name < b.name ? -1 : 1))) {
        const path = join(place(source), item.name);
        const envelope = openEnvelope(keys, source, await readFile(path).catch(() => new Uint8Array()));
        if (envelope === undefined || !(await release(envelope))) continue;
        await rm(path, { force: true });
        drop(known, item);
        released += 1;
      }
      for (const item of volatile.filter((one) => one.source === source)) {
        if (!(await release(item.envelope))) continue;
        drop(volatile, item);
        released += 1;
      }
      return { released, kept: known.length + volatile.filter((item) => item.source === source).length };
    },
  };
}

/** What a flood may cost: envelopes and bytes a second and source; above it they are only counted. */
function createRate(): (source: SourceId, envelope: Envelope) => boolean {
  const windows = new Map<SourceId, { startMs: number; count: number; bytes: number }>();
  return (source, { receivedAtMs, body }) => {
    const known = windows.get(source);
    // Either way: a clock that was set back must not count everything into one second.
    const window =
      known === undefined || Math.abs(receivedAtMs - known.startMs) >= 1000
        ? { startMs: receivedAtMs, count: 0, bytes: 0 }
        : known;
    windows.set(source, window);
    // The first of a second may be as large as a body may be.
    const fits =
      window.count < LIMITS.ringPerSecondMax &&
      (window.count === 0 || window.bytes + body.length <= LIMITS.ringBytesPerSecondMax);
    if (!fits) return false;
    window.count += 1;
    window.bytes += body.length;
    return true;
  };
}

async function listFiles(directory: string): Promise<InFile[]> {
  const names = await readdir(directory).catch((): string[] => []);
  return Promise.all(names.sort().map(async (name) => ({ name, bytes: (await stat(join(directory, name))).size })));
}

/** Takes the oldest off until the rest are few and small enough. */
function takeSurplus<Item extends Waiting>(items: Item[], countMax: number): Item[] {
  let bytes = items.reduce((sum, item) => sum + item.bytes, 0);
  let surplus = 0;
  while (items.length - surplus > countMax || bytes > LIMITS.ringBytesMax) bytes -= items[surplus++]?.bytes ?? 0;
  return items.splice(0, surplus);
}

function drop<Item>(items: Item[], item: Item): void {
  const at = items.indexOf(item);
  if (at >= 0) items.splice(at, 1);
}

function openEnvelope(keys: HpkeKeyPair, source: SourceId, sealed: Uint8Array): Envelope | undefined {
  try {
    return decodeEnvelope(openSealed(keys.privateKey, { info: INFO, aad: Buffer.from(source) }, sealed));
  } catch {
    return undefined;
  }
}

function encodeEnvelope(envelope: Envelope): Uint8Array {
  return Buffer.from(JSON.stringify({ ...envelope, body: Buffer.from(envelope.body).toString('base64') }), 'utf8');
}

function decodeEnvelope(bytes: Uint8Array): Envelope {
  const value = JSON.parse(Buffer.from(bytes).toString('utf8')) as Envelope & { body: string };
  return { ...value, body: Buffer.from(value.body, 'base64') };
}
