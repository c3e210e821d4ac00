/**
 * C2SP chunked-encryption (https://c2sp.org/chunked-encryption) for media: a stream of any length is encrypted in chunks of 16 KiB, and
 * every chunk can be checked before it is handed on.
 *
 *     key ‖ base nonce ‖ commitment = HKDF-Expand-SHA512(input key, "c2sp.org/chunked-encryption@v1+" ‖ AEAD name ‖ 0 ‖ salt ‖ context)
 *     ciphertext = salt (24) ‖ commitment (32) ‖ chunk 0 ‖ chunk 1 ‖ …       chunk = AES-GCM(key, base nonce XOR number, no additional data)
 *
 * The last chunk is always shorter than 16 KiB (it may be empty): that is how truncation is seen. The commitment binds the ciphertext to
 * one key and context and is compared before anything is decrypted. SHA-512 and AES-256 is the variant named Cobblestone-256.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import { equalConstantTime } from './hash.ts';

/** An instance of the scheme: which AEAD, and hence which key size. */
export type ChunkedVariant = {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm';
  readonly aead: string;
  readonly keyBytes: 16 | 32;
};

/** What the archive writes: SHA-512 with AES-256-GCM. */
export const COBBLESTONE_256: ChunkedVariant = { cipher: 'aes-256-gcm', aead: 'AEAD_AES_256_GCM', keyBytes: 32 };
/** SHA-512 with AES-128-GCM: only to show by its vectors that the construction is the published one. */
export const COBBLESTONE_128: ChunkedVariant = { cipher: 'aes-128-gcm', aead: 'AEAD_AES_128_GCM', keyBytes: 16 };

/** Bytes of plaintext in every chunk but the last. */
export const CHUNK_BYTES = 16 * 1024;
/** Bytes of the salt. */
const CHUNKED_SALT_BYTES = 24;

const COMMITMENT_BYTES = 32;
const HEADER_BYTES = CHUNKED_SALT_BYTES + COMMITMENT_BYTES;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
/** The specification allows 2³⁸ and asks for no limit below 2³². */
const CHUNKS_MAX = 2 ** 32;

/**
 * Bytes of the ciphertext of a plaintext.
 * @param plaintextBytes 0 or more
 */
export function chunkedCiphertextBytes(plaintextBytes: number): number {
  return HEADER_BYTES + plaintextBytes + TAG_BYTES * (Math.floor(plaintextBytes / CHUNK_BYTES) + 1);
}

/**
 * Encrypts a stream. Reads no further ahead than one chunk.
 * @param key 32 uniformly random bytes (16 for the 128-bit variant)
 * @param context bound into the key: the same bytes are needed to decrypt; may be empty
 * @param source pieces of any size
 * @param salt 24 bytes that never repeat under this key; random unless a test hands them in
 * @throws CartularyError `key-missing` on a key of the wrong size
 */
export async function* encryptChunked(
  key: Uint8Array,
  context: Uint8Array,
  source: AsyncIterable<Uint8Array>,
  salt: Uint8Array = randomBytes(CHUNKED_SALT_BYTES),
  variant: ChunkedVariant = COBBLESTONE_256,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = startStream(key, context, salt, variant);
  yield concat([salt, stream.commitment]);
  let number = 0;
  for await (const chunk of inBlocks(source, CHUNK_BYTES)) {
    yield sealChunk(stream, number, chunk);
    number += 1;
  }
}

/**
 * Decrypts a stream. What it yields was authenticated, chunk by chunk; that nothing is missing at the end is known only when the loop
 * ends without an error, so a consumer keeps its output provisional until then.
 * @param key, context as in {@link encryptChunked}
 * @throws CartularyError `corrupt` where the ciphertext was altered, cut, extended, or made with another key or context;
 *   `key-missing` on a key of the wrong size
 */
export async function* decryptChunked(
  key: Uint8Array,
  context: Uint8Array,
  source: AsyncIterable<Uint8Array>,
  variant: ChunkedVariant = COBBLESTONE_256,
): AsyncGenerator<Uint8Array, void, undefined> {
  assertKey(key, variant);
  let stream: Stream | undefined;
  let number = 0;
  let ended = false;
  for await (const block of inBlocks(source, SEALED_CHUNK_BYTES, HEADER_BYTES)) {
    if (stream === undefined) {
      stream = openHeader(key, context, block, variant);
      continue;
    }
    // Only the last block can be short, so whatever follows the last chunk is read as a part of it and breaks its tag.
    const chunk = openChunk(stream, number, block);
    ended = chunk.length < CHUNK_BYTES;
    number += 1;
    if (chunk.length > 0) yield chunk;
  }
  if (!ended) throw new CartularyError('corrupt', 'an encrypted file was cut short');
}

/**
 * Encrypts a whole buffer.
 * @param key, context, salt as in {@link encryptChunked}
 */
export function encryptChunkedBuffer(
  key: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
  salt: Uint8Array = randomBytes(CHUNKED_SALT_BYTES),
  variant: ChunkedVariant = COBBLESTONE_256,
): Uint8Array {
  const stream = startStream(key, context, salt, variant);
  const pieces = [salt, stream.commitment];
  const chunks = Math.floor(plaintext.length / CHUNK_BYTES) + 1;
  for (let number = 0; number < chunks; number += 1) {
    pieces.push(sealChunk(stream, number, plaintext.subarray(number * CHUNK_BYTES, (number + 1) * CHUNK_BYTES)));
  }
  return concat(pieces);
}

/**
 * Decrypts a whole buffer; nothing is returned unless all of it is authentic and complete.
 * @param key, context as in {@link encryptChunked}
 * @throws CartularyError as {@link decryptChunked}
 */
export function decryptChunkedBuffer(
  key: Uint8Array,
  context: Uint8Array,
  ciphertext: Uint8Array,
  variant: ChunkedVariant = COBBLESTONE_256,
): Uint8Array {
  assertKey(key, variant);
  const stream = openHeader(key, context, ciphertext.subarray(0, HEADER_BYTES), variant);
  const body = ciphertext.subarray(HEADER_BYTES);
  // The last chunk is shorter than a full one, so a body that divides evenly has lost it.
  if (body.length % SEALED_CHUNK_BYTES === 0) throw new CartularyError('corrupt', 'an encrypted file was cut short');
  const chunks = Math.ceil(body.length / SEALED_CHUNK_BYTES);
  const pieces: Uint8Array[] = [];
  for (let number = 0; number < chunks; number += 1) {
    pieces.push(
      openChunk(stream, number, body.subarray(number * SEALED_CHUNK_BYTES, (number + 1) * SEALED_CHUNK_BYTES)),
    );
  }
  return concat(pieces);
}

type Stream = {
  readonly variant: ChunkedVariant;
  readonly key: KeyObject;
  readonly baseNonce: Uint8Array;
  readonly commitment: Uint8Array;
};

function startStream(key: Uint8Array, context: Uint8Array, salt: Uint8Array, variant: ChunkedVariant): Stream {
  assertKey(key, variant);
  if (salt.length !== CHUNKED_SALT_BYTES)
    throw new CartularyError('internal', `a salt has ${CHUNKED_SALT_BYTES} bytes`);
  const info = Buffer.concat([
    Buffer.from(`c2sp.org/chunked-encryption@v1+${variant.aead}\0`, 'latin1'),
    salt,
    context,
  ]);
  const derived = expandSha512(key, info, variant.keyBytes + NONCE_BYTES + COMMITMENT_BYTES);
  const stream = {
    variant,
    key: createSecretKey(derived.subarray(0, variant.keyBytes)),
    baseNonce: new Uint8Array(derived.subarray(variant.keyBytes, variant.keyBytes + NONCE_BYTES)),
    commitment: new Uint8Array(derived.subarray(variant.keyBytes + NONCE_BYTES)),
  };
  derived.fill(0);
  return stream;
}

function openHeader(key: Uint8Array, context: Uint8Array, header: Uint8Array, variant: ChunkedVariant): Stream {
  if (header.length < HEADER_BYTES) throw new CartularyError('corrupt', 'an encrypted file is shorter than its header');
  const stream = startStream(key, context, header.subarray(0, CHUNKED_SALT_BYTES), variant);
  if (!equalConstantTime(stream.commitment, header.subarray(CHUNKED_SALT_BYTES, HEADER_BYTES))) {
    throw new CartularyError('corrupt', 'an encrypted file was made with another key or for another place');
  }
  return stream;
}

function sealChunk(stream: Stream, number: number, chunk: Uint8Array): Uint8Array {
  const cipher = createCipheriv(stream.variant.cipher, stream.key, chunkNonce(stream, number), {
    authTagLength: TAG_BYTES,
  });
  const body = cipher.update(chunk);
  cipher.final();
  return concat([body, cipher.getAuthTag()]);
}

function openChunk(stream: Stream, number: number, sealed: Uint8Array): Uint8Array {
  if (sealed.length < TAG_BYTES) throw new CartularyError('corrupt', 'an encrypted file was cut within a chunk');
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(stream.variant.cipher, stream.key, chunkNonce(stream, number), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(sealed.subarray(end));
  const chunk = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch (cause) {
    chunk.fill(0);
    throw new CartularyError('corrupt', 'a chunk of an encrypted file was altered or moved', {
      cause,
      detail: { chunk: number },
    });
  }
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
}

/** Base nonce XOR the chunk number as a big-endian integer; within the limit only its last four bytes change. */
function chunkNonce(stream: Stream, number: number): Uint8Array {
  if (number >= CHUNKS_MAX)
    throw new CartularyError('too-large', `at most ${CHUNKS_MAX} chunks are encrypted under one key`);
  const nonce = new Uint8Array(stream.baseNonce);
  const view = new DataView(nonce.buffer, NONCE_BYTES - 4);
  view.setUint32(0, (view.getUint32(0) ^ number) >>> 0);
  return nonce;
}

/** HKDF-Expand with SHA-512 (RFC 5869 §2.3). */
function expandSha512(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const key = createSecretKey(prk);
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1, end = 0; end < length; counter += 1) {
    block = createHmac('sha512', key).update(block).update(info).update(Uint8Array.of(counter)).digest();
    output.set(block.subarray(0, length - end), end);
    end += block.length;
  }
  block.fill(0);
  return output;
}

/**
 * Cuts a stream into blocks of one size, after a first block of its own size. The last block is shorter, and empty where the stream ends on
 * a boundary (but a stream that ends within or right after the first block yields that alone).
 */
async function* inBlocks(
  source: AsyncIterable<Uint8Array>,
  blockBytes: number,
  firstBytes?: number,
): AsyncGenerator<Uint8Array> {
  let size = firstBytes ?? blockBytes;
  let first = firstBytes !== undefined;
  let block = new Uint8Array(size);
  let filled = 0;
  for await (const piece of source) {
    let taken = 0;
    while (taken < piece.length) {
      const part = piece.subarray(taken, taken + size - filled);
      block.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled === size) {
        yield block;
        first = false;
        size = blockBytes;
        block = new Uint8Array(size);
        filled = 0;
      }
    }
  }
  if (firstBytes === undefined || first || filled > 0) yield block.subarray(0, filled);
}

function assertKey(key: Uint8Array, variant: ChunkedVariant): void {
  if (key.length !== variant.keyBytes) {
    throw new CartularyError(
      'key-missing',
      `a key of ${variant.aead} has ${variant.keyBytes} bytes, not ${key.length}`,
    );
  }
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
