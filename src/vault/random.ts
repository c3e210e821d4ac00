/**
 * Random bytes drawn in blocks: `randomBytes` costs 3–9 µs a call whatever its size, and one message needs some 100 bytes in four
 * pieces. What is handed out is a copy; its place in the block is zeroed at once, so that no byte is handed out twice and a look into
 * the memory of the process does not show what keys were made of.
 */
import { randomBytes as cryptoRandomBytes } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';

const BLOCK_BYTES = 8192;
/** The most bytes that are drawn at once. */
const RANDOM_TAKE_BYTES_MAX = 65_536;

/** A source of random bytes. */
export type RandomPool = {
  /** `bytes` fresh random bytes (1 to 65,536) in memory of their own. */
  take(bytes: number): Uint8Array;
  /** Zeroes what is left of the block. The pool can still be used; it draws a new block. */
  destroy(): void;
};

/**
 * Makes a pool.
 * @param randomBytes where the blocks come from: the operating system's generator unless a test hands in a deterministic one. What it
 *   returns belongs to the pool from then on and is zeroed.
 */
export function createRandomPool(randomBytes: (bytes: number) => Uint8Array = cryptoRandomBytes): RandomPool {
  let block: Uint8Array = new Uint8Array(0);
  let used = 0;
  const draw = (bytes: number): Uint8Array => {
    const drawn = randomBytes(bytes);
    if (drawn.length !== bytes) throw new CartularyError('internal', 'the random generator gave too few bytes');
    // A plain view: `slice` of a Buffer would share its memory instead of copying it.
    return new Uint8Array(drawn.buffer, drawn.byteOffset, bytes);
  };
  return {
    take(bytes) {
      if (!Number.isInteger(bytes) || bytes < 1 || bytes > RANDOM_TAKE_BYTES_MAX) {
        throw new CartularyError('internal', `1 to ${RANDOM_TAKE_BYTES_MAX} random bytes can be drawn at once`);
      }
      if (bytes > BLOCK_BYTES) return draw(bytes);
      if (block.length - used < bytes) {
        block.fill(0);
        block = draw(BLOCK_BYTES);
        used = 0;
      }
      const taken = block.slice(used, used + bytes);
      block.fill(0, used, used + bytes);
      used += bytes;
      return taken;
    },
    destroy() {
      block.fill(0);
      block = new Uint8Array(0);
      used = 0;
    },
  };
}
