/**
 * How often a row was seen in a file, for formats without message ids: two identical rows in one file are two messages, the same row in
 * two overlapping files is one. The ordinal among identical rows tells them apart, so every row's hash has to be remembered; a table of
 * numbers holds a million of them in 24 MB outside the heap, a `Map` of strings in some 200 MB.
 */
import { CartularyError } from '../../model/errors.ts';

/** Different rows of one file. */
export const ROWS_MAX = 8_000_000;

/** Open addressing over 64 bits of a hash: three numbers a slot, `high, low, count`; a count of 0 is a free slot. */
export type RowCounter = { slots: Uint32Array; rows: number; readonly rowsMax: number };

const SLOT_NUMBERS = 3;

/** @param rowsMax different rows that are remembered at most */
export function createRowCounter(rowsMax = ROWS_MAX): RowCounter {
  return { slots: new Uint32Array(1024 * SLOT_NUMBERS), rows: 0, rowsMax };
}

/**
 * Counts a row by its hash.
 * @param hash hex SHA-256, of which 8 bytes are used: two different rows that share them only share a count, which changes no content
 * @returns how often it was counted before: 0 the first time
 * @throws CartularyError `too-large` where the file has more different rows than are remembered
 */
export function countRow(counter: RowCounter, hash: string): number {
  if (counter.rows * SLOT_NUMBERS * 2 >= counter.slots.length) growTable(counter);
  const high = Number.parseInt(hash.slice(0, 8), 16);
  const low = Number.parseInt(hash.slice(8, 16), 16);
  const slot = findSlot(counter.slots, high, low);
  const before = counter.slots[slot + 2] ?? 0;
  if (before === 0) {
    if (counter.rows >= counter.rowsMax) {
      throw new CartularyError('too-large', `a file has at most ${counter.rowsMax} different rows; split it`);
    }
    counter.slots[slot] = high;
    counter.slots[slot + 1] = low;
    counter.rows += 1;
  }
  counter.slots[slot + 2] = before + 1;
  return before;
}

function findSlot(slots: Uint32Array, high: number, low: number): number {
  const size = slots.length / SLOT_NUMBERS;
  for (let index = high % size; ; index = (index + 1) % size) {
    const slot = index * SLOT_NUMBERS;
    if (slots[slot + 2] === 0 || (slots[slot] === high && slots[slot + 1] === low)) return slot;
  }
}

function growTable(counter: RowCounter): void {
  const grown = new Uint32Array(counter.slots.length * 2);
  for (let slot = 0; slot < counter.slots.length; slot += SLOT_NUMBERS) {
    if (counter.slots[slot + 2] === 0) continue;
    const target = findSlot(grown, counter.slots[slot] ?? 0, counter.slots[slot + 1] ?? 0);
    grown.set(counter.slots.subarray(slot, slot + SLOT_NUMBERS), target);
  }
  counter.slots = grown;
}
