/** Where a page ended. Opaque to callers, but no secret and no authority: it holds a place and a count, nothing of the query or of a message. */
import { CartularyError } from '../model/errors.ts';
import type { Month } from './months.ts';
import { formatQuery } from './query-format.ts';
import type { Query } from './query-types.ts';
import { hashValue } from './terms.ts';

/** The last hit of a page, what the first page counted, and the moment its query was read. */
export type Cursor = {
  readonly order: 'newest' | 'oldest';
  readonly month: Month;
  readonly row: number;
  readonly total: number;
  readonly totalRelation: 'eq' | 'gte';
};

const VERSION = '2';
const SHAPE = /^2~(newest|oldest)~(\d{4}-\d{2}|undated)~(\d{1,16})~(\d{1,16})~(eq|gte)~(\d{1,16})~([0-9a-z]{1,11})$/;
/** Beyond, a Date holds no time; such a moment can only be forged. */
const NOW_MS_MAX = 8_640_000_000_000_000;

/** Writes a cursor for the next page of a query. */
export function formatCursor(cursor: Cursor, query: Query): string {
  const { order, month, row, total, totalRelation } = cursor;
  const text = [VERSION, order, month, row, total, totalRelation, query.nowMs, hashValue(formatQuery(query))].join('~');
  return Buffer.from(text, 'latin1').toString('base64url');
}

/**
 * The moment at which the first page read its query. Later pages read it at the same one, or "the last 30 days" would be another question on each.
 * @returns Unix milliseconds, or nothing where this is no cursor
 */
export function findCursorNowMs(text: string): number | undefined {
  const nowMs = Number(match(text)?.[6] ?? Number.NaN);
  return nowMs <= NOW_MS_MAX ? nowMs : undefined;
}

function match(text: string): RegExpExecArray | null {
  return text.length > 200 ? null : SHAPE.exec(Buffer.from(text, 'base64url').toString('latin1'));
}

/**
 * Reads a cursor, which anybody may have written.
 * @throws CartularyError `bad-input` where it is none, or of another query or order
 */
export function parseCursor(text: string, query: Query, order: 'newest' | 'oldest'): Cursor {
  const [, writtenOrder, month = '', row, total, totalRelation, , queryHash] = match(text) ?? [];
  if (
    !Number.isSafeInteger(Number(row)) ||
    !Number.isSafeInteger(Number(total)) ||
    writtenOrder !== order ||
    queryHash !== hashValue(formatQuery(query))
  ) {
    throw new CartularyError('bad-input', 'the cursor does not belong to this search; begin at the first page');
  }
  return {
    order,
    month,
    row: Number(row),
    total: Number(total),
    totalRelation: totalRelation === 'gte' ? 'gte' : 'eq',
  };
}
