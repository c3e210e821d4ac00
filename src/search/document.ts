/**
 * search/ finds messages: a query language, the tokens that texts and queries share, and the index itself.
 *
 * Owns: the grammar (query*.ts), what counts as a word (tokens.ts), the index files `index-YYYY-MM.db` with everything in them
 * (months.ts, month-file.ts), writing (index-writer.ts) and reading (index-reader.ts, compile.ts).
 * Never: is the record. Every file here can be deleted and built again from records; nothing is kept that a record does not hold.
 * Never: sees a key but the one page key, opens a file in clear, or puts text of a query into SQL or MATCH unquoted.
 *
 * Invariants: texts and queries pass through the same tokens.ts; terms of fields begin with a marker that no text can produce, so
 * that no message can pretend to be of another channel or party; row numbers ascend with the time of sending; the stored watermark
 * is never ahead of what is durable in the files, and applying a change twice leaves one.
 *
 * Everything is synchronous and without global state: it runs inside worker threads, one writer and several readers.
 */

/** One message as the index sees it: what it says now and what it can be filtered by. */
export type IndexDocument = {
  /** The archive's own number of the message, ascending in order of arrival. A safe integer ≥ 0. */
  readonly messageNo: number;
  /** Unix milliseconds; decides the month file and the row number. */
  readonly sentAtMs: number;
  /** What is searched: text of all revisions, captions, file names, separated by `\n\n`. */
  readonly text: string;
  /** `sms`, `mms`, `whatsapp`, `rcs`, … */
  readonly channel: string;
  /** `inbound`, `outbound`, `internal`; anything else counts as `unknown`. */
  readonly direction: string;
  /** Id of the source. */
  readonly source: string;
  /** Id of the conversation. */
  readonly conversation: string;
  /** Search keys of the sender: E.164 as `+49…`, handles, names; several of one party. The first is the one shown in facets. */
  readonly from: readonly string[];
  /** Search keys of the recipients. */
  readonly to: readonly string[];
  /** Record types such as `optout.request`. */
  readonly types: readonly string[];
  /** Delivery state, empty if none. */
  readonly state: string;
  /** `media`, `link`, `location`, `attachment`, … */
  readonly has: readonly string[];
  /** Order names as the shop writes them, such as `#1001-A`. */
  readonly orders: readonly string[];
  /** Ids given by the provider, the message id, and `sha256:` with the hash of each medium. Compared exactly, upper and lower case apart. */
  readonly ids: readonly string[];
  /** Empty if none. */
  readonly brand: string;
};

/**
 * One change of the index. A put replaces what stands of the message at its time of sending; if that was corrected, a remove of the place before goes ahead.
 * Both may be repeated without harm.
 */
export type IndexChange =
  | { readonly put: IndexDocument }
  | { readonly remove: { readonly messageNo: number; readonly sentAtMs: number } };

/** One message found. */
export type Hit = { readonly messageNo: number; readonly sentAtMs: number };

/** A page of hits. */
export type SearchResult = {
  readonly hits: readonly Hit[];
  /** Opaque; absent on the last page. */
  readonly nextCursor?: string;
  /** All hits of the query, or the cap of counting. */
  readonly total: number;
  /** `gte` where counting stopped at the cap. */
  readonly totalRelation: 'eq' | 'gte';
};

/** What a page is asked with. */
export type SearchOptions = {
  /** 1 to 200. */
  readonly limit: number;
  readonly cursor?: string;
  /** Default 1,000. */
  readonly countMax?: number;
  /** Default `newest`. */
  readonly order?: 'newest' | 'oldest';
};

/** How often one value occurs among the hits. */
export type FacetCount = { readonly value: string; readonly count: number };

/** Histogram and facets over the newest hits of a query. */
export type FacetResult = {
  /** Buckets of UTC days (`2026-01-31`) or months (`2026-01`), oldest first; `undated` for messages without a credible date. */
  readonly histogram: readonly { readonly bucket: string; readonly count: number }[];
  readonly facets: {
    readonly channel: readonly FacetCount[];
    readonly direction: readonly FacetCount[];
    /** The other side: the sender of what came in, the first recipient of what went out. */
    readonly party: readonly FacetCount[];
    readonly type: readonly FacetCount[];
    readonly state: readonly FacetCount[];
  };
  /** How many further values each facet has that are not listed; 0 where all are. */
  readonly moreValues: Readonly<Record<keyof FacetResult['facets'], number>>;
  /** Messages looked at. */
  readonly counted: number;
  /** Are there more than `scanMax`? Then all figures are of the newest ones only. */
  readonly capped: boolean;
};
