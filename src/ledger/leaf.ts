/**
 * # The leaf
 *
 * What the log holds of a record: not a word of it, but enough to prove later that it was there, unchanged, at that place.
 * Fixed binary, so that it costs no parsing and has one form only; all numbers big-endian.
 *
 *     offset  bytes  field
 *          0      1  version, 1
 *          1      2  kind (`LEAF_KINDS`)
 *          3     16  archive
 *         19     16  record
 *         35     16  previous version of the record; zeros = none
 *         51     32  commitment: HMAC-SHA256(r, record bytes), r being random and sealed with the record
 *         83     32  SHA-256 of the stored ciphertext
 *        115      8  time, milliseconds since 1970-01-01T00:00Z
 *        123     16  actor
 *        139
 *
 * The ids are random and name no person. The commitment hides even a text of one word, because `r` has 256 bits; when the
 * key of a message is destroyed, `r` goes with it, and the leaf tells nothing any more, while every proof over it stays
 * valid. The hash of the ciphertext lets a copy be checked by someone who cannot open it.
 */
import { plainBytes } from './bytes.ts';
import { LedgerError } from './error.ts';

/** The version written here, and the only one read. */
export const LEAF_VERSION = 1;
/** Bytes of a leaf. */
export const LEAF_BYTES = 139;
/** Bytes of the ids in a leaf. */
export const LEAF_ID_BYTES = 16;
/** Bytes of the commitment and of the ciphertext's hash. */
export const LEAF_HASH_BYTES = 32;

const KIND_AT = 1;
const ARCHIVE_AT = 3;
const RECORD_AT = 19;
const PREVIOUS_AT = 35;
const COMMITMENT_AT = 51;
const CIPHERTEXT_AT = 83;
const TIME_AT = 115;
const ACTOR_AT = 123;
/** Where the writer, who alone knows which record came before, finds and fills in the fields that chain a message's records. */
export const LEAF_RECORD_ID_OFFSET = RECORD_AT;
export const LEAF_PREVIOUS_OFFSET = PREVIOUS_AT;

/** Names and numbers of the kinds. A number is never used again, and never given another meaning. */
export const LEAF_KINDS = {
  'message.created': 1,
  'message.edited': 2,
  'message.deleted': 3,
  'message.status': 4,
  'reaction.added': 5,
  'reaction.removed': 6,
  'media.stored': 7,
  'media.lost': 8,
  'consent.changed': 9,
  'participant.joined': 10,
  'participant.left': 11,
  'conversation.updated': 12,
  'order.updated': 13,
  'gap.opened': 14,
  'gap.closed': 15,
  quarantine: 16,
  unknown: 17,
  'message.redacted': 18,
  audit: 64,
  'key.destroyed': 65,
  'settings.changed': 66,
  'log.succeeded': 67,
  'hold.placed': 68,
  'hold.released': 69,
} as const satisfies Record<string, number>;

/** The name of a kind. */
export type LeafKind = keyof typeof LEAF_KINDS;

const KIND_NAMES: ReadonlyMap<number, LeafKind> = new Map(
  Object.entries(LEAF_KINDS).map(([name, kind]) => [kind, name as LeafKind]),
);

/** The name of a kind's number, or `undefined` for one that a later release may have written. */
export function findLeafKind(kind: number): LeafKind | undefined {
  return KIND_NAMES.get(kind);
}

/** The fields of a leaf. */
export type Leaf = {
  readonly version: typeof LEAF_VERSION;
  /** A number of `LEAF_KINDS`; 1 to 65,535, so that later kinds can be read too. */
  readonly kind: number;
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** 16 bytes. */
  readonly recordId: Uint8Array;
  /** 16 bytes: the record of which this is the next version; zeros = none. */
  readonly previous: Uint8Array;
  /** 32 bytes. */
  readonly commitment: Uint8Array;
  /** 32 bytes. */
  readonly ciphertextHash: Uint8Array;
  /** Milliseconds since the epoch, 0 to 2^53 - 1. */
  readonly timeMs: number;
  /** 16 bytes. */
  readonly actor: Uint8Array;
};

/** The bytes of a leaf. Throws `bad-leaf` for a field of the wrong length or outside its bounds. */
export function encodeLeaf(leaf: Leaf): Uint8Array {
  const bytes = new Uint8Array(LEAF_BYTES);
  encodeLeafInto(bytes, 0, leaf);
  return bytes;
}

/**
 * Writes a leaf into `target` from `offset`, without allocating. Throws `bad-leaf` as `encodeLeaf` does, `bad-argument`
 * when `target` is too short; then nothing is written.
 */
export function encodeLeafInto(target: Uint8Array, offset: number, leaf: Leaf): void {
  if (offset < 0 || offset + LEAF_BYTES > target.length) {
    throw new LedgerError('bad-argument', `a leaf needs ${LEAF_BYTES} bytes`);
  }
  assertLeaf(leaf);
  target[offset] = LEAF_VERSION;
  target[offset + KIND_AT] = leaf.kind >>> 8;
  target[offset + KIND_AT + 1] = leaf.kind & 0xff;
  target.set(leaf.archiveId, offset + ARCHIVE_AT);
  target.set(leaf.recordId, offset + RECORD_AT);
  target.set(leaf.previous, offset + PREVIOUS_AT);
  target.set(leaf.commitment, offset + COMMITMENT_AT);
  target.set(leaf.ciphertextHash, offset + CIPHERTEXT_AT);
  writeUint32(target, offset + TIME_AT, Math.floor(leaf.timeMs / 2 ** 32));
  writeUint32(target, offset + TIME_AT + 4, leaf.timeMs % 2 ** 32);
  target.set(leaf.actor, offset + ACTOR_AT);
}

/** By hand, because a DataView for each leaf would be an allocation on the hot path. */
function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value / 2 ** 24;
  target[offset + 1] = value / 2 ** 16;
  target[offset + 2] = value / 2 ** 8;
  target[offset + 3] = value;
}

function assertLeaf(leaf: Leaf): void {
  if (leaf.version !== LEAF_VERSION) throw new LedgerError('bad-leaf', 'only version 1 is written');
  assertKind(leaf.kind);
  assertLength(leaf.archiveId, LEAF_ID_BYTES, 'the archive');
  assertLength(leaf.recordId, LEAF_ID_BYTES, 'the record');
  assertLength(leaf.previous, LEAF_ID_BYTES, 'the previous version');
  assertLength(leaf.commitment, LEAF_HASH_BYTES, 'the commitment');
  assertLength(leaf.ciphertextHash, LEAF_HASH_BYTES, 'the hash of the ciphertext');
  assertLength(leaf.actor, LEAF_ID_BYTES, 'the actor');
  if (!Number.isSafeInteger(leaf.timeMs) || leaf.timeMs < 0) {
    throw new LedgerError('bad-leaf', 'the time is whole milliseconds from 0 to 2^53 - 1');
  }
}

function assertKind(kind: number): void {
  if (!Number.isInteger(kind) || kind < 1 || kind > 0xffff) {
    throw new LedgerError('bad-leaf', 'a kind is a number from 1 to 65,535');
  }
}

function assertLength(bytes: Uint8Array, length: number, name: string): void {
  if (bytes.length !== length) throw new LedgerError('bad-leaf', `${name} must have ${length} bytes`);
}

/**
 * Reads a leaf; the fields are copies. A kind without a name here is kept as its number, so that an older verifier still
 * checks a newer log. Throws `bad-leaf` for any other length or version.
 */
export function decodeLeaf(bytes: Uint8Array): Leaf {
  if (bytes.length !== LEAF_BYTES) throw new LedgerError('bad-leaf', `a leaf has ${LEAF_BYTES} bytes`);
  if (bytes[0] !== LEAF_VERSION) throw new LedgerError('bad-leaf', `only version ${LEAF_VERSION} of a leaf is known`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = view.getUint16(KIND_AT);
  assertKind(kind);
  const timeMs = Number(view.getBigUint64(TIME_AT));
  if (!Number.isSafeInteger(timeMs)) throw new LedgerError('bad-leaf', 'the time lies past 2^53 - 1 milliseconds');
  const plain = plainBytes(bytes);
  return {
    version: LEAF_VERSION,
    kind,
    archiveId: plain.slice(ARCHIVE_AT, RECORD_AT),
    recordId: plain.slice(RECORD_AT, PREVIOUS_AT),
    previous: plain.slice(PREVIOUS_AT, COMMITMENT_AT),
    commitment: plain.slice(COMMITMENT_AT, CIPHERTEXT_AT),
    ciphertextHash: plain.slice(CIPHERTEXT_AT, TIME_AT),
    timeMs,
    actor: plain.slice(ACTOR_AT, LEAF_BYTES),
  };
}

/** The kind of a leaf, without decoding the rest; for those who look through many. */
export function leafKindOf(bytes: Uint8Array): number {
  return ((bytes[KIND_AT] ?? 0) << 8) | (bytes[KIND_AT + 1] ?? 0);
}

/** A view of the record's id in a leaf. */
export function leafRecordIdOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(RECORD_AT, RECORD_AT + LEAF_ID_BYTES);
}

/** A view of the commitment in a leaf. */
export function leafCommitmentOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(COMMITMENT_AT, COMMITMENT_AT + LEAF_HASH_BYTES);
}

/** Is this the first record of its message, with none before it? */
export function isFirstLeaf(bytes: Uint8Array): boolean {
  for (let at = PREVIOUS_AT; at < PREVIOUS_AT + LEAF_ID_BYTES; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

/** A view of the hash of the ciphertext in a leaf. */
export function leafCiphertextHashOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(CIPHERTEXT_AT, CIPHERTEXT_AT + LEAF_HASH_BYTES);
}

/** The time in a leaf, milliseconds since 1970. */
export function leafTimeOf(bytes: Uint8Array): number {
  const high = ((bytes[TIME_AT + 2] ?? 0) << 8) | (bytes[TIME_AT + 3] ?? 0);
  const low =
    (bytes[TIME_AT + 4] ?? 0) * 2 ** 24 +
    (((bytes[TIME_AT + 5] ?? 0) << 16) | ((bytes[TIME_AT + 6] ?? 0) << 8) | (bytes[TIME_AT + 7] ?? 0));
  return high * 2 ** 32 + low;
}
