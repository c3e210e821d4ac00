/** Where a page ended. Opaque to callers, but no secret and no authority: it holds a place and a count, nothing of the query or of a message. */
import { CartularyError } from '../model/errors.ts';
import type { Month } from './months.ts';
import { formatQuery } from './query-format.ts';
import type { Query } from './query-types.ts';
import { hashValue } from './terms.ts';

/** The last hit of a page, and what the first page counted. */
export type Cursor = {
  readonly order: 'newest' | 'oldest';
  readonly month: Month;
  readonly row: number;
  readonly total: number;
  readonly totalRelation: 'eq' | 'gte';
};

const VERSION = '1';
const SHAPE = /^1~(newest|oldest)~(\d{4}-\d{2}|undated)~(\d{1,16})~(\d{1,16})~(eq|gte)~([0-9a-z]{1,11})$/;

/** Writes a cursor for the next page of a query. */
export function formatCursor(cursor: Cursor, query: Query): string {
  const { order, month, row, total, totalRelation } = cursor;
  const text = [VERSION, order, month, row, total, totalRelation, hashValue(formatQuery(query))].join('~');
  return Buffer.from(text, 'latin1').toString('base64url');
}

/**
 * Reads a cursor, which anybody may have written.
 * @throws CartularyError `bad-input` where it is none, or of another query or order
 */
export function parseCursor(text: string, query: Query, order: 'newest' | 'oldest'): Cursor {
  const match = text.length > 200 ? null : SHAPE.exec(Buffer.from(text, 'base64url').toString('latin1'));
  const [, writtenOrder, month = '', row, total, totalRelation, queryHash] = match ?? [];
  if (writtenOrder !== order || queryHash !== hashValue(formatQuery(query))) {
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
