/**
 * Sets of rows of one month, walked newest or oldest first.
 *
 * A `RowSet` answers "the next row at or after this one". Most are one SQL statement over FTS5 or the row table and can be read and
 * counted inside SQLite; the rest is and, or, not over such sets, which step from candidate to candidate and read ahead in blocks.
 */

/** Which way rows are walked. */
export type Direction = 'newest' | 'oldest';

/** Rows from `low` to `high`, both included. */
export type RowBounds = { readonly low: number; readonly high: number };

/** A set of rows. Questions are asked in the order of walking. */
export type RowSet = {
  /** The first row of the set at or behind `row`, in the direction of walking. */
  seek(row: number): number | undefined;
  /** Where one SQL statement holds the whole set: reading and counting within bounds. */
  readonly whole?: {
    read(start: number, limit: number): readonly number[];
    count(limit: number): number;
  };
};

const BLOCK_ROWS_MIN = 16;
const BLOCK_ROWS_MAX = 4096;

/** A set without rows. */
export const NO_ROWS: RowSet = { seek: () => undefined, whole: { read: () => [], count: () => 0 } };

/** The row after one, in the direction of walking. */
export function stepFrom(row: number, direction: Direction): number {
  return direction === 'newest' ? row - 1 : row + 1;
}

/**
 * A set that one SQL statement reads.
 * @param read rows at or behind `start` in the direction of walking, in that order
 */
export function readRows(
  direction: Direction,
  read: (start: number, limit: number) => readonly number[],
  count: (limit: number) => number,
): RowSet {
  let block: readonly number[] = [];
  let blockStart: number | undefined;
  let rowsMax = BLOCK_ROWS_MIN;
  const isBefore = comparer(direction);
  const isCovered = (row: number) => {
    if (blockStart === undefined || isBefore(row, blockStart)) return false;
    const last = block.at(-1);
    return block.length < rowsMax || (last !== undefined && !isBefore(last, row));
  };
  let served = 0;
  const seek = (row: number): number | undefined => {
    if (!isCovered(row)) {
      // A block that answered several questions was worth its rows, and a larger one will be; leaping over whole blocks is not.
      rowsMax = served >= 2 ? Math.min(BLOCK_ROWS_MAX, rowsMax * 4) : Math.max(BLOCK_ROWS_MIN, rowsMax >> 1);
      block = read(row, rowsMax);
      blockStart = row;
      served = 0;
    }
    served++;
    return block[findIndex(block, row, isBefore)];
  };
  return { seek, whole: { read, count } };
}

type IsBefore = (a: number, b: number) => boolean;

function comparer(direction: Direction): IsBefore {
  return direction === 'newest' ? (a, b) => a > b : (a, b) => a < b;
}

/** Index of the first row that does not come before `row`. */
function findIndex(rows: readonly number[], row: number, isBefore: IsBefore): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(rows[middle] ?? row, row)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A set held in memory. @param rows ascending */
export function listRows(rows: readonly number[], direction: Direction, bounds: RowBounds): RowSet {
  const inside = rows.filter((row) => row >= bounds.low && row <= bounds.high);
  if (direction === 'newest') inside.reverse();
  const isBefore = comparer(direction);
  return {
    seek: (row) => inside[findIndex(inside, row, isBefore)],
    whole: {
      read: (start, limit) => {
        const index = findIndex(inside, start, isBefore);
        return inside.slice(index, index + limit);
      },
      count: (limit) => Math.min(limit, inside.length),
    },
  };
}

/** Rows of all of `included` and of none of `excluded`. @param included at least one */
export function intersectRows(direction: Direction, included: readonly RowSet[], excluded: readonly RowSet[]): RowSet {
  const isBefore = comparer(direction);
  return {
    seek(row) {
      let candidate = row;
      for (;;) {
        let agreed = true;
        for (const set of included) {
          const next = set.seek(candidate);
          if (next === undefined) return undefined;
          if (isBefore(candidate, next)) {
            candidate = next;
            agreed = false;
          }
        }
        if (!agreed) continue;
        if (excluded.every((set) => set.seek(candidate) !== candidate)) return candidate;
        candidate = stepFrom(candidate, direction);
      }
    },
  };
}

/** Rows of any of the sets. */
export function uniteRows(direction: Direction, sets: readonly RowSet[]): RowSet {
  const isBefore = comparer(direction);
  return {
    seek(row) {
      let best: number | undefined;
      for (const set of sets) {
        const next = set.seek(row);
        if (next !== undefined && (best === undefined || isBefore(next, best))) best = next;
      }
      return best;
    },
  };
}
