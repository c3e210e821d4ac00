/**
 * Sealing and committing: filed records go in, results of the durable commit come out.
 *
 * Only the writer knows whether a message exists already, and under which secret; where a record was sealed under another, the writer says so and it is sealed again (rare:
 * reports about messages that were not seen lately).
 */
import { encodeLeaf, LEAF_KINDS } from '../ledger/leaf.ts';
import { commitToHead } from '../ledger/signer.ts';
import { CartularyError } from '../model/errors.ts';
import { ID_BYTES } from '../model/ids.ts';
import { openAppendBatch, placeAt, replaceResults, statusAt } from '../store/batch-codec.ts';
import type { PackedResults } from '../store/batch-codec.ts';
import type { AppendEntry, AppendResult, NewJob } from '../store/store.ts';
import type { RandomPool } from '../vault/random.ts';
import type { Sealer } from '../vault/seal.ts';
import type { DraftJob, FiledRecord, SealItem } from './filed-record.ts';
import type { FreshDocument } from './fresh-documents.ts';
import { packRecord, succeededHead } from './record-codec.ts';
import { readSealBatch } from './seal-batch.ts';

/** Seals and commits; answers in the order asked. No result is `rekey`. */
export type Sealing = { keep(records: readonly FiledRecord[]): Promise<AppendResult[]> };

export type SealingParts = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  readonly sealer: Sealer;
  readonly random: RandomPool;
  /** Commits a batch (`openAppendBatch`). */
  readonly append: (batch: ArrayBuffer) => Promise<PackedResults>;
  /** Told of records that began a message, once they are durable. */
  readonly onFresh?: (documents: readonly FreshDocument[]) => void;
};

/** Messages whose secret is kept at hand for the reports that follow within minutes. */
const SECRETS_MAX = 50_000;
/** Times a record is sealed again because its message turned out to have another secret; more can only be a fault. */
const RESEAL_MAX = 3;

/**
 * Makes the sealing of one archive, in the thread that calls it: batches of filed records in (`openSealBatch`), results of the durable commit out. While a batch is being
 * committed nothing of it is held but its buffer.
 */
export function createSealing(parts: SealingParts): { keep(batch: ArrayBuffer): Promise<PackedResults> } {
  const secrets = createSecretCache();
  /** Seals those of the batch that `secretFor` has a secret for. */
  const seal = (
    batch: ArrayBuffer,
    secretFor: (item: SealItem, index: number) => Uint8Array | undefined,
  ): ArrayBuffer => {
    const sealed = openAppendBatch(batch.byteLength);
    let index = 0;
    for (const item of readSealBatch(batch)) {
      const secret = secretFor(item, index);
      if (secret !== undefined) sealed.add(sealItem(parts, item, secret));
      index += 1;
    }
    return sealed.finish();
  };
  const firstSecret = (item: SealItem): Uint8Array => {
    // A new message gets reports when it was sent by the shop, seldom otherwise; then the writer tells its secret.
    if (item.fresh) return parts.random.take(32);
    const key = keyOf(item);
    const known = secrets.get(key);
    if (known !== undefined) return known;
    const drawn = parts.random.take(32);
    secrets.set(key, drawn);
    return drawn;
  };
  const sealAgain = async (batch: ArrayBuffer, results: PackedResults): Promise<PackedResults> => {
    let settled = results;
    for (let round = 0; ; round += 1) {
      const told = new Map<number, Uint8Array>();
      for (const { index, secret } of settled.rare) if (secret !== undefined) told.set(index, secret);
      if (told.size === 0) return settled;
      if (round === RESEAL_MAX) throw new CartularyError('internal', 'a message changes its secret again and again');
      const again = seal(batch, (item, index) => {
        const secret = told.get(index);
        if (secret !== undefined) secrets.set(keyOf(item), secret);
        return secret;
      });
      const indexes = [...told.keys()].sort((one, other) => one - other);
      settled = replaceResults(settled, indexes, await parts.append(again));
    }
  };
  return {
    async keep(batch) {
      const first = await parts.append(seal(batch, firstSecret));
      parts.onFresh?.(freshDocuments(batch, first));
      const results = await sealAgain(batch, first);
      forgetUnused(batch, results, secrets);
      return results;
    },
  };
}

function keyOf({ messageId }: SealItem): string {
  return Buffer.from(messageId.buffer, messageId.byteOffset, messageId.byteLength).toString('latin1');
}

/** The secret drawn for a message that turned out to be gone is not its secret. */
function forgetUnused(batch: ArrayBuffer, results: PackedResults, secrets: SecretCache): void {
  let index = 0;
  for (const item of readSealBatch(batch)) {
    const status = statusAt(results, index);
    if (!item.fresh && status !== 'stored' && status !== 'duplicate') secrets.forget(keyOf(item));
    index += 1;
  }
}

/**
 * Records that began their message. One that was sealed under a secret drawn for it alone and was stored at the first try is the first of its message: had the message
 * existed, the writer would have answered `rekey`.
 */
function freshDocuments(batch: ArrayBuffer, results: PackedResults): FreshDocument[] {
  const documents: FreshDocument[] = [];
  let index = 0;
  for (const { fresh, document } of readSealBatch(batch)) {
    if (fresh && document !== undefined && statusAt(results, index) === 'stored')
      documents.push({ ...placeAt(results, index), document });
    index += 1;
  }
  return documents;
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
    commitment:
      item.kind === LEAF_KINDS['log.succeeded'] ? commitToHead(succeededHead(item.recordBytes)) : sealed.commitment,
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

type SecretCache = ReturnType<typeof createSecretCache>;

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
