/** A small seeded generator of pseudo-random numbers (mulberry32): the same seed plays the same shop. */
export type Prng = {
  /** 0 ≤ x < 1. */
  next(): number;
  /** 0 ≤ n < limit. */
  below(limit: number): number;
  pick<Item>(items: readonly Item[]): Item;
};

/** Makes a generator. */
export function createPrng(seed: number): Prng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick(items) {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError('nothing to pick from');
      return item;
    },
  };
}
