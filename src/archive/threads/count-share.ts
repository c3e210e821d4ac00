/** Who counts which months of a search. */
import type { CountShare } from '../../search/index-reader.ts';

/** The thread that also reads the page. */
export const READER_SHARE: CountShare = { part: 0, parts: 2 };
/** The thread that only counts. */
export const COUNTER_SHARE: CountShare = { part: 1, parts: 2 };
