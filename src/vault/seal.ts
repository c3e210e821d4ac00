/**
 * The vault: keys and sealing (DESIGN §5.2–5.3).
 *
 * Owns: how bytes become ciphertext and back, the keyring of an archive, the root key that wraps it, the recovery kit.
 * Never: knows what a message says, writes SQL, decides what is kept or destroyed, or puts a key, secret or text into an error.
 *
 * This file seals. Every ciphertext has a key of its own,
 *
 *     K   = HKDF-Expand-SHA256(archive seal key vN, info ‖ secret, 32)               RFC 5869 §2.3, one HMAC
 *     info = "cartulary/seal/v1" ‖ u8 purpose ‖ archive id (16) ‖ message id (16) ‖ record id (16)
 *
 * with the random secret of the message, so destroying either the row of the secret or the archive key makes it unreadable for good.
 * Sealed bytes: `u8 algorithm (1) ‖ u16 version N ‖ AES-256-GCM(K, nonce 0, additional data = info) ‖ tag (16)`. As K encrypts exactly
 * one plaintext, the nonce may be constant (SP 800-38D §8.2 asks for unique pairs of key and nonce).
 *
 * Invariants: a record id is never used for two sealings of one purpose in one message; nothing is released before its tag was checked.
 * GCM does not commit to its key; what must not be read in two ways (records) is held by the commitment in the leaf.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hash, type KeyObject } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import { sha256, SHA256_BYTES, sha256Into, writeHmacPads } from './hash.ts';

/** What a ciphertext is for: bound into key and additional data, so that one kind can never be read as another. Codes are never reused. */
export const PURPOSES = {
  record: 1,
  state: 2,
  'media-key': 3,
  job: 4,
  quarantine: 5,
  setting: 6,
} as const satisfies Record<string, number>;

/** A purpose of the table. */
export type Purpose = keyof typeof PURPOSES;

/** Bytes of an archive id, a message id and a record id. */
export const ID_BYTES = 16;
/** Bytes of a message secret, a seal key, and of the blinding value `r`. */
export const SECRET_BYTES = 32;
/** What sealing adds to a plaintext: algorithm, version, tag. A record has the 32 bytes of `r` besides. */
export const SEAL_OVERHEAD_BYTES = 3 + 16;
/** The most that is sealed at once; larger things are media and go through chunked.ts. */
export const PLAINTEXT_BYTES_MAX = 64 * 1024 * 1024;

/** Which message and sealing a ciphertext belongs to. */
export type SealPlace = {
  /** 16 bytes. */
  readonly messageId: Uint8Array;
  /** 16 bytes, never used before for a sealing of this purpose in this message: state rows, too, draw a new one for each version. */
  readonly recordId: Uint8Array;
  /** The 32 random bytes of the message's row in the key table. */
  readonly secret: Uint8Array;
};

/** A sealed record and what its leaf needs. */
export type SealedRecord = {
  /** The ciphertext. Short ones share an `ArrayBuffer` of 32 KiB: copy before keeping for long, never transfer the buffer. */
  readonly sealed: Uint8Array;
  /** `HMAC-SHA256(r, record bytes)`: says nothing once `r` is gone with its key. */
  readonly commitment: Uint8Array;
  /** `SHA-256(sealed)`. */
  readonly ciphertextHash: Uint8Array;
};

/** Seals and opens for one archive. */
export type Sealer = {
  /**
   * Seals a record as `r ‖ record bytes` under the current seal key.
   * @param input `r`: 32 fresh random bytes; `plaintext`: the record bytes (DESIGN §5.1), at most 64 MiB, which the commitment is over;
   *   `packed`: what is sealed in their place, where the caller compresses
   * @throws CartularyError `too-large`, `locked` after `destroy`, `internal` on an id of the wrong length
   */
  sealRecord(
    input: SealPlace & { readonly r: Uint8Array; readonly plaintext: Uint8Array; readonly packed?: Uint8Array },
  ): SealedRecord;
  /**
   * Opens what `sealRecord` made. The commitment of the leaf is checked by the caller with {@link commitRecord}.
   * @throws CartularyError `corrupt` where it was altered, cut or belongs elsewhere; `key-missing` where the version is unknown
   */
  openRecord(input: SealPlace & { readonly sealed: Uint8Array }): {
    readonly r: Uint8Array;
    readonly plaintext: Uint8Array;
  };
  /** Seals anything but a record, without a commitment. Errors as `sealRecord`. */
  seal(input: SealPlace & { readonly purpose: Exclude<Purpose, 'record'>; readonly plaintext: Uint8Array }): Uint8Array;
  /** Opens what `seal` made for the same purpose. Errors as `openRecord`. */
  open(input: SealPlace & { readonly purpose: Exclude<Purpose, 'record'>; readonly sealed: Uint8Array }): Uint8Array;
  /** Zeroes the keys; every call after it fails with `locked`. */
  destroy(): void;
};

const ALGORITHM_AES256GCM_HKDF = 1;
const HEADER_BYTES = 3;
const TAG_BYTES = 16;
const NONCE = new Uint8Array(12);
const LABEL = Buffer.from('cartulary/seal/v1', 'latin1');
const BLOCK_BYTES = 64;
/** Work space that is kept; longer plaintexts get their own. */
const WORK_BYTES = 64 * 1024;

// Offsets in the block that derives a key: padded key, then info, secret and the counter of HKDF.
const AT_INFO = BLOCK_BYTES;
const AT_PURPOSE = AT_INFO + LABEL.length;
const AT_ARCHIVE = AT_PURPOSE + 1;
const AT_MESSAGE = AT_ARCHIVE + ID_BYTES;
const AT_RECORD = AT_MESSAGE + ID_BYTES;
const AT_SECRET = AT_RECORD + ID_BYTES;
const AT_COUNTER = AT_SECRET + SECRET_BYTES;

/** Everything of one key version that can be prepared: the buffers are filled in place for each message. */
type Derivation = {
  readonly version: number;
  readonly inner: Buffer;
  readonly outer: Buffer;
  readonly outerPad: Uint8Array;
  /** The additional data: a view of `inner`, valid until the next derivation. */
  readonly info: Uint8Array;
};

const keyScratch = Buffer.alloc(SHA256_BYTES);
const keptWork = Buffer.alloc(BLOCK_BYTES + WORK_BYTES);
const SLAB_BYTES = 32 * 1024;
const SLAB_PIECE_BYTES_MAX = 4096;
let slab = new ArrayBuffer(0);
let slabUsed = SLAB_BYTES;
const commitOuter = Buffer.alloc(BLOCK_BYTES + SHA256_BYTES);

/**
 * Makes the sealer of one archive. The keys are copied into prepared blocks, so the keyring may be destroyed afterwards.
 * @param options `archiveId`: 16 bytes; `sealKeys`: 32 bytes a version (1 to 65,535); `currentVersion`: the one that seals
 * @throws CartularyError `key-missing` where the current version is not among the keys, or a key is not one
 */
export function createSealer(options: {
  readonly archiveId: Uint8Array;
  readonly sealKeys: ReadonlyMap<number, Uint8Array>;
  readonly currentVersion: number;
}): Sealer {
  assertBytes(options.archiveId, ID_BYTES, 'archive id');
  const derivations = new Map<number, Derivation>();
  for (const [version, key] of options.sealKeys) derivations.set(version, prepare(version, key, options.archiveId));
  const current = derivations.get(options.currentVersion);
  if (current === undefined) throw new CartularyError('key-missing', 'the current seal key is not in the keyring');
  let live: Derivation | undefined = current;
  const sealing = (): Derivation => {
    if (live === undefined) throw new CartularyError('locked', 'the sealer was destroyed');
    return live;
  };
  const opening = (sealed: Uint8Array, bytesMin: number): Derivation => {
    sealing();
    if (sealed.length < bytesMin) throw new CartularyError('corrupt', 'a ciphertext is too short');
    if (sealed[0] !== ALGORITHM_AES256GCM_HKDF)
      throw new CartularyError('corrupt', 'a ciphertext names an unknown algorithm');
    const version = ((sealed[1] ?? 0) << 8) | (sealed[2] ?? 0);
    const derivation = derivations.get(version);
    if (derivation === undefined) {
      throw new CartularyError('key-missing', `seal key version ${version} is not in the keyring`, {
        detail: { version },
      });
    }
    return derivation;
  };
  return {
    sealRecord: (input) => sealRecord(sealing(), input),
    openRecord(input) {
      const opened = decrypt(
        opening(input.sealed, SEAL_OVERHEAD_BYTES + SECRET_BYTES),
        PURPOSES.record,
        input,
        input.sealed,
      );
      return { r: new Uint8Array(opened.subarray(0, SECRET_BYTES)), plaintext: opened.subarray(SECRET_BYTES) };
    },
    seal(input) {
      assertPlaintext(input.plaintext);
      const derivation = sealing();
      const key = deriveKey(derivation, PURPOSES[input.purpose], input);
      return encrypt(key, derivation, input.plaintext);
    },
    open: (input) => decrypt(opening(input.sealed, SEAL_OVERHEAD_BYTES), PURPOSES[input.purpose], input, input.sealed),
    destroy() {
      live = undefined;
      for (const derivation of derivations.values()) {
        derivation.inner.fill(0);
        derivation.outerPad.fill(0);
      }
      derivations.clear();
    },
  };
}

/**
 * The commitment of a leaf: `HMAC-SHA256(r, record bytes)`.
 * @param r 32 bytes
 */
export function commitRecord(r: Uint8Array, record: Uint8Array): Uint8Array {
  const work = workFor(record.length);
  const commitment = commitInto(work, r, record);
  work.fill(0, 0, BLOCK_BYTES + record.length);
  return commitment;
}

function sealRecord(
  derivation: Derivation,
  input: SealPlace & { readonly r: Uint8Array; readonly plaintext: Uint8Array; readonly packed?: Uint8Array },
): SealedRecord {
  assertPlaintext(input.plaintext);
  const packed = input.packed ?? input.plaintext;
  const work = workFor(Math.max(input.plaintext.length, packed.length));
  const used = BLOCK_BYTES + Math.max(input.plaintext.length, packed.length);
  const end = BLOCK_BYTES + packed.length;
  const commitment = commitInto(work, input.r, input.plaintext);
  if (input.packed !== undefined) work.set(input.packed, BLOCK_BYTES);
  // The record bytes already stand behind the padded block of the commitment: with `r` before them they are the plaintext.
  work.set(input.r, BLOCK_BYTES - SECRET_BYTES);
  const key = deriveKey(derivation, PURPOSES.record, input);
  const sealed = encrypt(key, derivation, work.subarray(BLOCK_BYTES - SECRET_BYTES, end));
  work.fill(0, 0, used);
  return { sealed, commitment, ciphertextHash: sha256(sealed) };
}

/** Leaves the record bytes in `work` from offset 64 on. */
function commitInto(work: Buffer, r: Uint8Array, record: Uint8Array): Uint8Array {
  assertBytes(r, SECRET_BYTES, 'r');
  writeHmacPads(r, work.subarray(0, BLOCK_BYTES), commitOuter.subarray(0, BLOCK_BYTES));
  work.set(record, BLOCK_BYTES);
  sha256Into(work.subarray(0, BLOCK_BYTES + record.length), commitOuter, BLOCK_BYTES);
  const commitment = sha256(commitOuter);
  commitOuter.fill(0);
  return commitment;
}

function workFor(bytes: number): Buffer {
  return bytes <= WORK_BYTES ? keptWork : Buffer.alloc(BLOCK_BYTES + bytes);
}

function prepare(version: number, key: Uint8Array, archiveId: Uint8Array): Derivation {
  if (!Number.isInteger(version) || version < 1 || version > 0xffff) {
    throw new CartularyError('key-missing', 'a seal key has a version from 1 to 65,535');
  }
  // A keyring that was destroyed holds zeros: sealing under them would look right and protect nothing.
  if (key.length !== SECRET_BYTES || key.every((byte) => byte === 0)) {
    throw new CartularyError('key-missing', `seal key version ${version} is not 32 random bytes`, {
      detail: { version },
    });
  }
  const inner = Buffer.alloc(AT_COUNTER + 1);
  const outerPad = new Uint8Array(BLOCK_BYTES);
  writeHmacPads(key, inner.subarray(0, BLOCK_BYTES), outerPad);
  inner.set(LABEL, AT_INFO);
  inner.set(archiveId, AT_ARCHIVE);
  inner[AT_COUNTER] = 1;
  const info = inner.subarray(AT_INFO, AT_SECRET);
  return { version, inner, outer: Buffer.alloc(BLOCK_BYTES + SHA256_BYTES), outerPad, info };
}

/** HKDF-Expand for 32 bytes is one HMAC, and both its hashes run over blocks that are prepared but for ids and secret. */
function deriveKey(derivation: Derivation, purpose: number, place: SealPlace): KeyObject {
  assertBytes(place.messageId, ID_BYTES, 'message id');
  assertBytes(place.recordId, ID_BYTES, 'record id');
  assertBytes(place.secret, SECRET_BYTES, 'message secret');
  const { inner, outer } = derivation;
  inner[AT_PURPOSE] = purpose;
  inner.set(place.messageId, AT_MESSAGE);
  inner.set(place.recordId, AT_RECORD);
  inner.set(place.secret, AT_SECRET);
  outer.set(derivation.outerPad, 0);
  outer.write(hash('sha256', inner, 'binary'), BLOCK_BYTES, SHA256_BYTES, 'latin1');
  keyScratch.write(hash('sha256', outer, 'binary'), 0, SHA256_BYTES, 'latin1');
  // AES with a raw key costs 20 µs more than with a key object.
  const key = createSecretKey(keyScratch);
  keyScratch.fill(0);
  outer.fill(0);
  inner.fill(0, AT_SECRET, AT_COUNTER);
  return key;
}

function encrypt(key: KeyObject, derivation: Derivation, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, NONCE);
  cipher.setAAD(derivation.info);
  const body = cipher.update(plaintext);
  cipher.final();
  const sealed = allocate(HEADER_BYTES + body.length + TAG_BYTES);
  sealed[0] = ALGORITHM_AES256GCM_HKDF;
  sealed[1] = derivation.version >> 8;
  sealed[2] = derivation.version & 0xff;
  sealed.set(body, HEADER_BYTES);
  sealed.set(cipher.getAuthTag(), HEADER_BYTES + body.length);
  return sealed;
}

/**
 * Memory for a ciphertext. An array of its own costs some 3 µs for 1 kB, a piece of a slab 0.5. The slab holds nothing but ciphertexts
 * (a piece of Node's own pool could lie beside plaintext), and a piece that is kept holds 32 KiB at most.
 */
function allocate(bytes: number): Uint8Array {
  if (bytes > SLAB_PIECE_BYTES_MAX) return new Uint8Array(bytes);
  if (slabUsed + bytes > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsed = 0;
  }
  const piece = new Uint8Array(slab, slabUsed, bytes);
  slabUsed += bytes;
  return piece;
}

function decrypt(derivation: Derivation, purpose: number, place: SealPlace, sealed: Uint8Array): Uint8Array {
  const key = deriveKey(derivation, purpose, place);
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE, { authTagLength: TAG_BYTES });
  decipher.setAAD(derivation.info);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new CartularyError(
      'corrupt',
      'a ciphertext does not open: it was altered, or belongs to another place or key',
      { cause },
    );
  }
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length);
}

function assertPlaintext(plaintext: Uint8Array): void {
  if (plaintext.length > PLAINTEXT_BYTES_MAX) {
    throw new CartularyError('too-large', `at most ${PLAINTEXT_BYTES_MAX} bytes are sealed at once`);
  }
}

function assertBytes(bytes: Uint8Array, length: number, name: string): void {
  if (bytes.length !== length)
    throw new CartularyError('internal', `${name} must have ${length} bytes, not ${bytes.length}`);
}
