/**
 * Sealing and committing: filed records go in, results of the durable commit come out.
 *
 * Only the writer knows whether a message exists already, and under which secret; where a record was sealed under another, the writer says so and it is sealed again (rare:
 * reports about messages that were not seen lately).
 */
import { encodeLeaf } from '../ledger/leaf.ts';
import { CartularyError } from '../model/errors.ts';
import { ID_BYTES } from '../model/ids.ts';
import type { AppendEntry, AppendResult, NewJob, SettingChange } from '../store/store.ts';
import type { RandomPool } from '../vault/random.ts';
import type { Sealer } from '../vault/seal.ts';
import type { FreshHead } from './fresh-heads.ts';
import { packRecord } from './record-codec.ts';

/** What is to be done after the record is durable; the payload is sealed with the message. */
export type DraftJob = {
  readonly kind: string;
  readonly dueAtMs: number;
  readonly lossAtMs?: number;
  readonly onlyWithoutContent?: boolean;
  readonly payload: Readonly<Record<string, unknown>>;
};

type Filing = {
  /** 16 bytes each. */
  readonly messageId: Uint8Array;
  readonly recordId: Uint8Array;
  readonly actor: Uint8Array;
  /** No secret is looked for: the message is new as a rule. */
  readonly fresh: boolean;
  readonly unique: AppendEntry['unique'];
  /** Number of the leaf's kind. */
  readonly kind: number;
  readonly timeMs: number;
  readonly jobs: readonly DraftJob[];
  readonly settings: readonly SettingChange[];
};

/** A record as it is filed: the JSON of all but the raw slice, and the JSON of that. */
export type FiledRecord = Filing & { readonly head: string; readonly raw?: string };

/** A filed record, ready to be sealed; the first `headBytes` of the record are what comes before the raw slice. */
export type SealItem = Filing & { readonly recordBytes: Uint8Array; readonly headBytes: number };

/** Seals and commits; answers in the order asked. No result is `rekey`. */
export type Sealing = { keep(records: readonly FiledRecord[]): Promise<AppendResult[]> };

export type SealingParts = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  readonly sealer: Sealer;
  readonly random: RandomPool;
  readonly append: (entries: readonly AppendEntry[]) => Promise<AppendResult[]>;
  /** Told of records that began a message, once they are durable. */
  readonly onFresh?: (heads: readonly FreshHead[]) => void;
};

/** Messages whose secret is kept at hand for the reports that follow within minutes. */
const SECRETS_MAX = 50_000;
/** Times a record is sealed again because its message turned out to have another secret; more can only be a fault. */
const RESEAL_MAX = 3;

type Prepared = { readonly item: SealItem; readonly messageKey: string };

/** Makes the sealing of one archive, in the thread that calls it. */
export function createSealing(parts: SealingParts): { keep(items: readonly SealItem[]): Promise<AppendResult[]> } {
  const secrets = createSecretCache();
  const settle = async (
    prepared: readonly Prepared[],
    entries: readonly AppendEntry[],
    round: number,
  ): Promise<AppendResult[]> => {
    const results = await parts.append(entries);
    if (round === 0) parts.onFresh?.(freshHeads(prepared, results));
    const again: { readonly at: number; readonly one: Prepared; readonly entry: AppendEntry }[] = [];
    for (const [at, result] of results.entries()) {
      const one = prepared[at];
      if (result.status !== 'rekey' || one === undefined) continue;
      secrets.set(one.messageKey, result.secret);
      again.push({ at, one, entry: sealItem(parts, one.item, result.secret) });
    }
    if (again.length === 0) return results;
    if (round >= RESEAL_MAX) throw new CartularyError('internal', 'a message changes its secret again and again');
    const second = await settle(
      again.map(({ one }) => one),
      again.map(({ entry }) => entry),
      round + 1,
    );
    for (const [index, { at }] of again.entries()) {
      const result = second[index];
      if (result !== undefined) results[at] = result;
    }
    return results;
  };
  return {
    async keep(items) {
      const prepared = items.map((item) => ({ item, messageKey: Buffer.from(item.messageId).toString('latin1') }));
      const entries = prepared.map(({ item, messageKey }) => {
        const known = item.fresh ? undefined : secrets.get(messageKey);
        const secret = known ?? parts.random.take(32);
        if (known === undefined) secrets.set(messageKey, secret);
        return sealItem(parts, item, secret);
      });
      const results = await settle(prepared, entries, 0);
      for (const [index, result] of results.entries()) {
        const one = prepared[index];
        if (one === undefined) continue;
        // The secret drawn for a message that turned out to be known, or gone, is not its secret.
        if (result.status !== 'stored' && (one.item.fresh || result.status !== 'duplicate'))
          secrets.forget(one.messageKey);
      }
      return results;
    },
  };
}

/**
 * Records that began their message. One that was sealed under a secret drawn for it alone and was stored at the first try is the first of its message: had the message
 * existed, the writer would have answered `rekey`.
 */
function freshHeads(prepared: readonly Prepared[], results: readonly AppendResult[]): FreshHead[] {
  const heads: FreshHead[] = [];
  for (const [index, { item }] of prepared.entries()) {
    const result = results[index];
    if (!item.fresh || result?.status !== 'stored') continue;
    const { seq, messageNo } = result;
    heads.push({
      seq,
      messageNo,
      head: item.recordBytes.subarray(0, item.headBytes),
      isOpen: item.headBytes < item.recordBytes.length,
    });
  }
  return heads;
}

function sealItem(parts: SealingParts, item: SealItem, secret: Uint8Array): AppendEntry {
  const { messageId, recordId } = item;
  const sealed = parts.sealer.sealRecord({
    messageId,
    recordId,
    secret,
    r: parts.random.take(32),
    plaintext: item.recordBytes,
    packed: packRecord(item.recordBytes),
  });
  const leaf = encodeLeaf({
    version: 1,
    kind: item.kind,
    archiveId: parts.archiveId,
    recordId,
    previous: NO_RECORD,
    commitment: sealed.commitment,
    ciphertextHash: sealed.ciphertextHash,
    timeMs: item.timeMs,
    actor: item.actor,
  });
  return {
    messageId,
    secret,
    unique: item.unique,
    leaf,
    sealed: sealed.sealed,
    ...(item.jobs.length === 0 ? {} : { jobs: item.jobs.map((job) => sealJob(parts, item, secret, job)) }),
    ...(item.settings.length === 0 ? {} : { settings: item.settings }),
  };
}

const NO_RECORD = new Uint8Array(ID_BYTES);

/** A job's payload: a fresh 16-byte id for the sealing, then the ciphertext. */
function sealJob(parts: SealingParts, item: SealItem, secret: Uint8Array, job: DraftJob): NewJob {
  const recordId = parts.random.take(ID_BYTES);
  const plaintext = Buffer.from(JSON.stringify(job.payload), 'utf8');
  const sealed = parts.sealer.seal({ purpose: 'job', messageId: item.messageId, recordId, secret, plaintext });
  return {
    kind: job.kind,
    dueAtMs: job.dueAtMs,
    ...(job.lossAtMs === undefined ? {} : { lossAtMs: job.lossAtMs }),
    ...(job.onlyWithoutContent === undefined ? {} : { onlyWithoutContent: job.onlyWithoutContent }),
    payload: Buffer.concat([recordId, sealed]),
  };
}

/** Secrets of recent messages; the older half goes when it is full. */
function createSecretCache() {
  let young = new Map<string, Uint8Array>();
  let old = new Map<string, Uint8Array>();
  return {
    get: (key: string): Uint8Array | undefined => young.get(key) ?? old.get(key),
    set(key: string, secret: Uint8Array): void {
      if (young.size >= SECRETS_MAX / 2) {
        old = young;
        young = new Map();
      }
      young.set(key, secret);
    },
    forget(key: string): void {
      young.delete(key);
      old.delete(key);
    },
  };
}
