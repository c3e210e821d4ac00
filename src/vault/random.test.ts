import { describe, expect, it } from 'vitest';

import { createRandomPool } from './random.ts';
import { codeOf, testBytes, toHex } from './testing/vectors.ts';

describe('createRandomPool', () => {
  it('hands out every byte of a block once and in order, and zeroes it behind itself', () => {
    const blocks: Uint8Array[] = [];
    const drawn: Uint8Array[] = [];
    const pool = createRandomPool((bytes) => {
      const block = testBytes(bytes, blocks.length + 1);
      drawn.push(new Uint8Array(block));
      blocks.push(block);
      return block;
    });
    const taken = Array.from({ length: 256 }, () => pool.take(32));
    expect(Buffer.concat(taken).equals(drawn[0] ?? Buffer.alloc(0))).toBe(true);
    expect(blocks).toHaveLength(1);
    expect(blocks[0]?.every((byte) => byte === 0)).toBe(true);
    pool.take(1);
    expect(blocks).toHaveLength(2);
  });

  it('never gives a piece that is made of two blocks, and zeroes the rest of the old one', () => {
    const blocks: Uint8Array[] = [];
    const pool = createRandomPool((bytes) => {
      const block = testBytes(bytes, blocks.length + 1);
      blocks.push(block);
      return block;
    });
    pool.take(8190);
    expect(toHex(pool.take(4))).toBe(toHex(testBytes(8192, 2).subarray(0, 4)));
    expect(blocks[0]?.every((byte) => byte === 0)).toBe(true);
  });

  it('draws large pieces directly and gives memory of their own to all', () => {
    const pool = createRandomPool();
    expect(pool.take(65_536)).toHaveLength(65_536);
    const piece = pool.take(16);
    expect(piece.buffer.byteLength).toBe(16);
  });

  it('takes a generator that hands out a part of a shared buffer', () => {
    const shared = Buffer.alloc(20_000, 7);
    const pool = createRandomPool((bytes) => shared.subarray(100, 100 + bytes));
    const piece = pool.take(8);
    expect(toHex(piece)).toBe('0707070707070707');
    expect(shared.subarray(100, 108).every((byte) => byte === 0)).toBe(true);
    expect(shared.subarray(0, 100).every((byte) => byte === 7)).toBe(true);
    expect(toHex(piece)).toBe('0707070707070707');
  });

  it('differs from pool to pool and from take to take', () => {
    const pool = createRandomPool();
    const seen = new Set(Array.from({ length: 2000 }, () => toHex(pool.take(16))));
    seen.add(toHex(createRandomPool().take(16)));
    expect(seen.size).toBe(2001);
  });

  it('can be put away: the rest is zeroed and the next take draws anew', () => {
    const blocks: Uint8Array[] = [];
    const pool = createRandomPool((bytes) => {
      const block = testBytes(bytes, blocks.length + 1);
      blocks.push(block);
      return block;
    });
    pool.take(1);
    pool.destroy();
    expect(blocks[0]?.every((byte) => byte === 0)).toBe(true);
    expect(toHex(pool.take(4))).toBe(toHex(testBytes(8192, 2).subarray(0, 4)));
  });

  it('refuses sizes out of bounds and a generator that gives too little', () => {
    for (const bytes of [0, -1, 1.5, 65_537]) expect(codeOf(() => createRandomPool().take(bytes))).toBe('internal');
    expect(codeOf(() => createRandomPool(() => new Uint8Array(3)).take(1))).toBe('internal');
  });
});
