/**
 * What a relay has for its archive: what it took in, until the archive says that it is filed. The archive asks; a relay connects to nobody.
 *
 * Two spools lie there: what was acknowledged, and what was refused for its signature, which the archive keeps in its ring. What is refused is limited by itself, so that strangers take no
 * room from what is acknowledged.
 */
import { join } from 'node:path';

import { z } from 'zod';

import { checkShape } from '../model/check-shape.ts';
import type { Envelope } from '../model/envelope.ts';
import { CartularyError } from '../model/errors.ts';
import type { SourceId } from '../model/ids.ts';
import type { EdgeKeyring } from './edge-keyring.ts';
import { EDGE_KEYRING_BYTES_MAX, findEdgeKeyring, openEdgeKeyring, writeEdgeKeyring } from './edge-keyring.ts';
import { LIMITS } from './limits.ts';
import type { VerifyParts } from './receive.ts';
import { createRates } from './ring.ts';
import { openSpool } from './spool.ts';
import type { Spool, SpoolOutcome, SpoolState } from './spool.ts';
import type { SpoolSealing } from './spool-file.ts';

/** The spools of a relay. */
export const RELAY_SPOOLS = ['spool', 'refused'] as const;
export type RelaySpool = (typeof RELAY_SPOOLS)[number];

const NOTHING_WAITS: SpoolState = {
  ...{ envelopes: 0, bytes: 0, bytesMax: LIMITS.spoolBytesMax, damaged: 0 },
  oldestMs: undefined,
};
/** Files of each spool that are named at once. */
export const RELAY_FILES_MAX = 64;

const countsSchema = z.strictObject({
  envelopes: z.number(),
  bytes: z.number(),
  bytesMax: z.number(),
  oldestMs: z.number().nullable(),
  damaged: z.number(),
});
const stateSchema = z.strictObject({
  version: z.string().max(64),
  /** When the keyring that it has was made; null where it has none. */
  madeAtMs: z.number().nullable(),
  spool: countsSchema,
  files: z.array(z.strictObject({ spool: z.enum(RELAY_SPOOLS), name: z.string().max(64) })).max(2 * RELAY_FILES_MAX),
});

/** What a relay says of itself. */
export type RelayState = z.infer<typeof stateSchema>;

/** Reads what a relay says of itself. @throws CartularyError `corrupt` */
export function parseRelayState(bytes: Uint8Array): RelayState {
  const parsed = checkShape(stateSchema, parseJson(bytes));
  if (!parsed.success) throw new CartularyError('corrupt', 'what the relay says of itself cannot be read');
  return parsed.data;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** What the archive asks of a relay. */
export type RelayDesk = {
  readonly key: Uint8Array;
  /** Notes that the archive asked: what is known here is what it knows. */
  noteHeard(): void;
  state(): Promise<RelayState>;
  /** Takes a keyring. @throws CartularyError `corrupt` where it is of another key, `conflict` where it is older than the one that is here, `too-large` */
  takeKeyring(sealed: Uint8Array): Promise<void>;
  read(spool: RelaySpool, name: string): Promise<Uint8Array>;
  settle(spool: RelaySpool, name: string, hash: Uint8Array, outcome: SpoolOutcome): Promise<void>;
};

/** A relay's own view of its desk. */
export type OwnDesk = RelayDesk & {
  keyring(): EdgeKeyring | undefined;
  /** Milliseconds since 1970; undefined where the archive has not asked since the start. */
  heardMs(): number | undefined;
};

/** What a desk is made of. */
export type DeskParts = {
  readonly key: Uint8Array;
  /** The file of the keyring. */
  readonly path: string;
  readonly version: string;
  readonly now: () => number;
  /** The spools, which there are once there is a keyring. */
  readonly spools: () => Readonly<Record<RelaySpool, Spool>> | undefined;
  /** Told of a keyring. */
  readonly onKeyring: (keyring: EdgeKeyring) => Promise<void>;
};

/** Opens the desk of a relay. @throws CartularyError `corrupt` where the keyring that lies there is of another edge key */
export async function openRelayDesk(parts: DeskParts): Promise<OwnDesk> {
  const { key, path, version, now } = parts;
  const box: { keyring: EdgeKeyring | undefined; heardMs?: number } = { keyring: await findEdgeKeyring(path, key) };
  if (box.keyring !== undefined) await parts.onKeyring(box.keyring);
  const spoolOf = (name: RelaySpool): Spool => {
    const spool = parts.spools()?.[name];
    if (spool === undefined) throw new CartularyError('not-found', 'this relay has taken in nothing yet');
    return spool;
  };
  return {
    key,
    keyring: () => box.keyring,
    heardMs: () => box.heardMs,
    noteHeard: () => void (box.heardMs = now()),
    async state() {
      const spools = parts.spools();
      const files: RelayState['files'] = [];
      for (const spool of RELAY_SPOOLS)
        for (const name of ((await spools?.[spool].list()) ?? []).slice(0, RELAY_FILES_MAX))
          files.push({ spool, name });
      const { oldestMs, ...counts } = spools?.spool.state() ?? NOTHING_WAITS;
      const spool = { ...counts, oldestMs: oldestMs ?? null };
      return { version, madeAtMs: box.keyring?.madeAtMs ?? null, spool, files };
    },
    async takeKeyring(sealed) {
      if (sealed.length > EDGE_KEYRING_BYTES_MAX)
        throw new CartularyError('too-large', `a keyring has at most ${EDGE_KEYRING_BYTES_MAX} bytes`);
      const given = openEdgeKeyring(sealed, key);
      if (given.madeAtMs < (box.keyring?.madeAtMs ?? 0))
        throw new CartularyError('conflict', 'this keyring is older than the one that is here');
      await parts.onKeyring(given);
      await writeEdgeKeyring(path, given, key);
      box.keyring = given;
    },
    read: async (spool, name) => spoolOf(spool).read(name),
    settle: async (spool, name, hash, outcome) => spoolOf(spool).settle(name, hash, outcome),
  };
}

/** Opens the spools of a relay in the directory of its archive. */
export async function openRelaySpools(
  directory: string,
  spool: Spool,
  sealing: SpoolSealing,
): Promise<Readonly<Record<RelaySpool, Spool>>> {
  return { spool, refused: await openSpool(join(directory, 'refused'), sealing, LIMITS.ringBytesMax) };
}

/**
 * What a relay does with an envelope of bad signature: it waits for the archive's ring. One with card data in it must not become durable as it is, and changed it never fits: it is counted only.
 */
export function createRefusals(refused: () => Spool | undefined): VerifyParts['ring'] {
  const isWithin = createRates();
  return {
    async put(source: SourceId, envelope: Envelope, looksOfCards) {
      if (!isWithin(source, envelope) || looksOfCards(envelope)) return 'counted';
      try {
        const verdict = { scheme: 'refused', result: 'absent' } as const;
        await refused()?.put({ id: crypto.randomUUID(), source, envelope, verdict });
        return 'kept';
      } catch {
        return 'counted';
      }
    },
  };
}
