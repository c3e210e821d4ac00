import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inflateSync } from 'node:zlib';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  CHUNK_BYTES,
  chunkedCiphertextBytes,
  type ChunkedVariant,
  COBBLESTONE_128,
  COBBLESTONE_256,
  decryptChunked,
  decryptChunkedBuffer,
  encryptChunked,
  encryptChunkedBuffer,
} from './chunked.ts';
import { codeOf, codeOfAsync, fromHex, readWycheproof, testBytes, toHex } from './testing/vectors.ts';

const key = testBytes(32, 1);
const context = Buffer.from('archive/media/0001');
const salt = testBytes(24, 2);

/** Hands out bytes in pieces of the given sizes, over and over. */
async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

/** What a stream gave out before it ended or failed, and the code of its failure. */
async function drain(source: AsyncIterable<Uint8Array>): Promise<{ released: Uint8Array; code: string }> {
  const pieces: Uint8Array[] = [];
  const code = await codeOfAsync(
    (async () => {
      for await (const piece of source) pieces.push(piece);
    })(),
  ).catch((error: unknown) => {
    if (error instanceof Error && error.message === 'nothing was thrown') return 'none';
    throw error;
  });
  return { released: new Uint8Array(Buffer.concat(pieces)), code };
}

const variants: readonly [string, string, ChunkedVariant][] = [
  ['Cobblestone-256', 'c2sp_chunked_encryption_aes_256_gcm_test.json', COBBLESTONE_256],
  ['Cobblestone-128', 'c2sp_chunked_encryption_aes_128_gcm_test.json', COBBLESTONE_128],
];

describe.each(variants)('%s against Wycheproof', (_name, fileName, variant) => {
  type Test = { key: string; ctx: string; ct: string; msgLength?: number; msgSha512?: string };
  const tests = readWycheproof<{ sha: string }, Test>(fileName).testGroups.flatMap((group) => group.tests);

  it.each(tests.map((test) => [test.tcId, test.comment, test] as const))('%i %s', async (_id, _comment, test) => {
    const ciphertext = new Uint8Array(inflateSync(fromHex(test.ct)));
    const open = (): Uint8Array => decryptChunkedBuffer(fromHex(test.key), fromHex(test.ctx), ciphertext, variant);
    const streamed = await drain(
      decryptChunked(fromHex(test.key), fromHex(test.ctx), inPieces(ciphertext, [1000, 1, 40_000]), variant),
    );
    const sha512 = (bytes: Uint8Array): string => createHash('sha512').update(bytes).digest('hex');
    if (test.result === 'valid') {
      expect(sha512(open())).toBe(test.msgSha512);
      expect(streamed.code).toBe('none');
      expect(sha512(streamed.released)).toBe(test.msgSha512);
      const remade = encryptChunkedBuffer(
        fromHex(test.key),
        fromHex(test.ctx),
        open(),
        ciphertext.subarray(0, 24),
        variant,
      );
      expect(Buffer.compare(remade, ciphertext)).toBe(0);
    } else {
      const expected = test.flags.includes('InvalidKeySize') ? 'key-missing' : 'corrupt';
      expect(codeOf(open)).toBe(expected);
      expect(streamed.code).toBe(expected);
      // Only the longest valid prefix may have been handed on before the error.
      if (test.msgSha512 === undefined) expect(streamed.released).toHaveLength(0);
      else expect(sha512(streamed.released)).toBe(test.msgSha512);
    }
  });

  it('are all there', () => expect(tests).toHaveLength(35));
});

describe('streams and buffers', () => {
  const lengths = [0, 1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 5 * CHUNK_BYTES + 77];

  it.each(lengths)('give back %i bytes, however they are cut, and agree with each other', async (length) => {
    const plaintext = testBytes(length);
    const whole = encryptChunkedBuffer(key, context, plaintext, salt);
    expect(whole).toHaveLength(chunkedCiphertextBytes(length));
    for (const sizes of [[1_000_000], [CHUNK_BYTES], [1, 5000, 17]]) {
      const streamed = await collect(encryptChunked(key, context, inPieces(plaintext, sizes), salt));
      expect(Buffer.compare(streamed, whole)).toBe(0);
      expect(Buffer.compare(await collect(decryptChunked(key, context, inPieces(whole, sizes))), plaintext)).toBe(0);
    }
    expect(Buffer.compare(decryptChunkedBuffer(key, context, whole), plaintext)).toBe(0);
  });

  it('fit into Node streams', async () => {
    const plaintext = testBytes(100_000);
    const pieces: Uint8Array[] = [];
    await pipeline(
      Readable.from(inPieces(plaintext, [3000])),
      (source: AsyncIterable<Uint8Array>) => encryptChunked(key, context, source),
      (source: AsyncIterable<Uint8Array>) => decryptChunked(key, context, source),
      async (source: AsyncIterable<Uint8Array>) => {
        for await (const piece of source) pieces.push(piece);
      },
    );
    expect(Buffer.compare(Buffer.concat(pieces), plaintext)).toBe(0);
  });

  it('draw a new salt each time', () => {
    const one = encryptChunkedBuffer(key, context, testBytes(10));
    const two = encryptChunkedBuffer(key, context, testBytes(10));
    expect(toHex(one.subarray(0, 24))).not.toBe(toHex(two.subarray(0, 24)));
    expect(toHex(decryptChunkedBuffer(key, context, one))).toBe(toHex(decryptChunkedBuffer(key, context, two)));
  });

  it('close the source when the reader stops early', async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield testBytes(CHUNK_BYTES);
      } finally {
        closed = true;
      }
    }
    let pieces = 0;
    for await (const _piece of encryptChunked(key, context, source())) {
      pieces += 1;
      if (pieces === 3) break;
    }
    expect(closed).toBe(true);
  });

  it('pass on an error of the source', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield testBytes(40);
      throw new RangeError('the disk went away');
    }
    await expect(collect(encryptChunked(key, context, failing()))).rejects.toThrow(RangeError);
    await expect(collect(decryptChunked(key, context, failing()))).rejects.toThrow(RangeError);
  });
});

describe('alterations', () => {
  const plaintext = testBytes(2 * CHUNK_BYTES + 300);
  const ciphertext = encryptChunkedBuffer(key, context, plaintext, salt);

  it('any flipped bit fails, and nothing of its chunk or after it is released', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(ciphertext.length * 8 - 1), async (bit) => {
        const altered = new Uint8Array(ciphertext);
        const at = bit >> 3;
        altered[at] = (altered[at] ?? 0) ^ (1 << (bit & 7));
        expect(codeOf(() => decryptChunkedBuffer(key, context, altered))).toBe('corrupt');
        const { released, code } = await drain(decryptChunked(key, context, inPieces(altered, [7000])));
        expect(code).toBe('corrupt');
        const intact = at < 56 ? 0 : Math.floor((at - 56) / (CHUNK_BYTES + 16)) * CHUNK_BYTES;
        expect(Buffer.compare(released, plaintext.subarray(0, intact))).toBe(0);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('any cut fails', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(ciphertext.length - 1), async (length) => {
        expect(codeOf(() => decryptChunkedBuffer(key, context, ciphertext.subarray(0, length)))).toBe('corrupt');
        expect((await drain(decryptChunked(key, context, inPieces(ciphertext.subarray(0, length), [7000])))).code).toBe(
          'corrupt',
        );
      }),
      { seed: 2, numRuns: 60, examples: [[0], [56], [56 + CHUNK_BYTES + 16], [56 + 2 * (CHUNK_BYTES + 16)]] },
    );
  });

  it('another key or context fails before anything is decrypted', async () => {
    expect(codeOf(() => decryptChunkedBuffer(testBytes(32, 9), context, ciphertext))).toBe('corrupt');
    expect(codeOf(() => decryptChunkedBuffer(key, Buffer.from('archive/media/0002'), ciphertext))).toBe('corrupt');
    expect((await drain(decryptChunked(key, new Uint8Array(0), inPieces(ciphertext, [7000])))).released).toHaveLength(
      0,
    );
  });

  it('keys and salts of the wrong size are refused', async () => {
    for (const length of [0, 16, 31, 33]) {
      expect(codeOf(() => encryptChunkedBuffer(testBytes(length), context, plaintext))).toBe('key-missing');
      expect(codeOf(() => decryptChunkedBuffer(testBytes(length), context, ciphertext))).toBe('key-missing');
      expect((await drain(encryptChunked(testBytes(length), context, inPieces(plaintext, [100])))).code).toBe(
        'key-missing',
      );
      expect((await drain(decryptChunked(testBytes(length), context, inPieces(new Uint8Array(0), [1])))).code).toBe(
        'key-missing',
      );
    }
    expect(codeOf(() => encryptChunkedBuffer(key, context, plaintext, testBytes(23)))).toBe('internal');
  });
});
