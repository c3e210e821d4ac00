/** What is noted of destructions that are under way. Reasons are codes, never what was found. */
import type { StoreReader } from '../store/store.ts';

/** Settings that say so, by the message's id in hexadecimal. */
export const UNDER_WAY = 'destroying/';

/** A destruction that was begun. */
export type UnderWay = {
  readonly reason: string;
  /** Size of the log before its record. */
  readonly size?: number;
  readonly sentAtMs?: number;
  /** Other times under which the index may have had it. */
  readonly formerMs?: readonly number[];
  readonly blobs?: readonly string[];
};

/** What a setting says. It is our own. */
export function toUnderWay(value: Uint8Array): UnderWay {
  return JSON.parse(Buffer.from(value).toString('utf8')) as UnderWay;
}

/**
 * Where in the log, at the earliest, the records of destructions are that are under way: their messages may still have a key.
 * @returns infinity where there are none
 */
export async function findLeastSizeUnderWay(reader: Pick<StoreReader, 'listSettings'>): Promise<number> {
  const begun = await reader.listSettings(UNDER_WAY);
  return begun.reduce((least, { value }) => Math.min(least, toUnderWay(value).size ?? 0), Number.POSITIVE_INFINITY);
}
