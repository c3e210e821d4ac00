/**
 * The ring for bad signatures: what was refused is kept for a while outside the log, sealed to the archive's public key, so that a wrong secret loses
 * nothing. It is of limited size, the oldest goes first, and only a valid signature brings anything out of it.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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

/** Opens the ring in a directory. @param random 8 random bytes for a name */
export function openRing(directory: string, keys: HpkeKeyPair, random: (bytes: number) => Uint8Array): Ring {
  const refused = new Map<SourceId, number>();
  const second = new Map<SourceId, { startMs: number; count: number }>();
  let volatile: { readonly source: SourceId; readonly envelope: Envelope }[] = [];
  const place = (source: SourceId): string => join(directory, source);
  const list = async (source: SourceId): Promise<string[]> =>
    (await readdir(place(source)).catch((): string[] => [])).sort();
  const isWithinRate = (source: SourceId, nowMs: number): boolean => {
    const window = second.get(source);
    if (window === undefined || nowMs - window.startMs >= 1000) {
      second.set(source, { startMs: nowMs, count: 1 });
      return true;
    }
    window.count += 1;
    return window.count <= LIMITS.ringPerSecondMax;
  };
  return {
    async put(source, envelope, hasCardData) {
      refused.set(source, (refused.get(source) ?? 0) + 1);
      if (envelope.body.length > LIMITS.ringBytesMax / 8 || !isWithinRate(source, envelope.receivedAtMs))
        return 'counted';
      if (hasCardData) {
        volatile.push({ source, envelope });
        if (volatile.length > LIMITS.ringVolatileMax) volatile.shift();
        return 'kept';
      }
      try {
        await mkdir(place(source), { recursive: true, mode: 0o700 });
        const sealed = sealTo(keys.publicKey, { info: INFO, aad: Buffer.from(source) }, encodeEnvelope(envelope));
        const name = `${String(envelope.receivedAtMs).padStart(15, '0')}-${Buffer.from(random(8)).toString('hex')}`;
        await writeFile(join(place(source), name), sealed, { mode: 0o600 });
        await trim(place(source), await list(source));
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
      const result = { released: 0, kept: 0 };
      for (const name of await list(source)) {
        const path = join(place(source), name);
        const envelope = openEnvelope(keys, source, await readFile(path));
        if (envelope !== undefined && (await release(envelope))) {
          await rm(path, { force: true });
          result.released += 1;
        } else result.kept += 1;
      }
      const remaining: typeof volatile = [];
      for (const item of volatile) {
        if (item.source === source && (await release(item.envelope))) result.released += 1;
        else remaining.push(item);
      }
      result.kept += remaining.filter((item) => item.source === source).length;
      volatile = remaining;
      return result;
    },
  };
}

async function trim(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names.slice(0, Math.max(0, names.length - LIMITS.ringEnvelopesMax)))
    await rm(join(directory, name), { force: true });
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
