/** Every bound of search in one place. Reaching one is an error that names it, never a silent cut. */

/** A query longer than this is a paste accident, not a question. UTF-16 code units. */
export const QUERY_CHARS_MAX = 4096;
/** Words, phrases and field values of one query. */
export const QUERY_TERMS_MAX = 64;
/** Nesting of parentheses and NOT. */
export const QUERY_DEPTH_MAX = 20;
/** Widest reach of `w/n`, `pre/n`, `NEAR(n)` and `"…"~n`, in words. */
export const PROXIMITY_WORDS_MAX = 100;

/** Hits of one page. */
export const PAGE_HITS_MAX = 200;
/** Hits are counted up to here unless the caller asks for less; beyond, the total is "at least". */
export const COUNT_MAX = 1_000;
/** Ceiling of what a caller may ask to have counted. */
export const COUNT_CEILING = 1_000_000;
/** Hits that facets look at unless told otherwise, newest first. */
export const FACET_SCAN_MAX = 100_000;
/** Values returned of one facet, most frequent first. */
export const FACET_VALUES_MAX = 50;
/** Message numbers in one call of `listMessageNos`, as width of the range asked for. */
export const LIST_RANGE_MAX = 1_000_000;

/** Words that one wildcard or fuzzy term may stand for within one month. */
export const EXPANSION_TERMS_MAX = 1_000;
/** Words of one month's vocabulary that are looked at for one such term. */
export const EXPANSION_SCAN_MAX = 250_000;
/** Pairs of alternatives that a proximity search may unfold into. */
export const PROXIMITY_PAIRS_MAX = 2_000;
/** Messages of one month whose word order is looked at for `pre/n`. */
export const ORDERED_CANDIDATES_MAX = 200_000;

/** Changes of one call of `apply`; a longer list is the caller's to cut. */
export const BATCH_CHANGES_MAX = 100_000;
/** Joined spellings ("1001-A" as "1001a") kept of one message. */
export const ALIASES_MAX = 256;
/** Open month files of a writer; the least recently used is closed. */
export const WRITER_FILES_MAX = 32;
/** Open month files of one reader. */
export const READER_FILES_MAX = 64;
/** Files are vacuumed, which makes a copy in memory, only where at most this would be left of them. */
export const VACUUM_BYTES_MAX = 128 * 1024 * 1024;
