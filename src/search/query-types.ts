/** The tree of a query: a closed union, so that everything that walks it is checked to know every kind. */

/** Where words are looked for: in the text, or in names and handles of parties. */
export type TextField = 'body' | 'from' | 'to' | 'with';
/** Whose number. `with` is either side. */
export type PartyField = 'from' | 'to' | 'with';
/** Fields with exact values. */
export type ValueField =
  | 'channel'
  | 'direction'
  | 'type'
  | 'has'
  | 'brand'
  | 'source'
  | 'conversation'
  | 'id'
  | 'order';

/** What can stand on a side of `w/5`. */
export type ProximityOperand =
  | { readonly kind: 'word'; readonly field: 'body'; readonly text: string }
  | { readonly kind: 'phrase'; readonly field: 'body'; readonly text: string; readonly prefix: boolean }
  | { readonly kind: 'prefix'; readonly field: 'body'; readonly text: string }
  | { readonly kind: 'wildcard'; readonly field: 'body'; readonly pattern: string }
  | { readonly kind: 'fuzzy'; readonly field: 'body'; readonly text: string; readonly distance: 1 | 2 }
  | { readonly kind: 'or'; readonly parts: readonly ProximityOperand[] };

/** One node of a query. */
export type QueryNode =
  /** Everything; only as the whole query. */
  | { readonly kind: 'all' }
  | { readonly kind: 'and'; readonly parts: readonly QueryNode[] }
  | { readonly kind: 'or'; readonly parts: readonly QueryNode[] }
  | { readonly kind: 'not'; readonly part: QueryNode }
  /** A word as typed; its tokens form a phrase, and a number is also found in its joined spelling. */
  | { readonly kind: 'word'; readonly field: TextField; readonly text: string }
  /** `"…"`, with `prefix` as `"…"*`. */
  | { readonly kind: 'phrase'; readonly field: TextField; readonly text: string; readonly prefix: boolean }
  /** `"a b c"~5`: all words, in any order, at most `between` other words from the first to the last. */
  | { readonly kind: 'loose'; readonly text: string; readonly between: number }
  /** `refund*` */
  | { readonly kind: 'prefix'; readonly field: TextField; readonly text: string }
  /** `r?f*d`: `?` one character, `*` any number, within one word that begins with a letter or digit. */
  | { readonly kind: 'wildcard'; readonly field: TextField; readonly pattern: string }
  /** `refund~1`: words at most `distance` edits away (a swap of neighbours is one) that begin with the same character. */
  | { readonly kind: 'fuzzy'; readonly field: TextField; readonly text: string; readonly distance: 1 | 2 }
  /** `a w/5 b`: at most `distance` words on from the other; 1 is next to it. `ordered`: left before right. */
  | {
      readonly kind: 'near';
      readonly left: ProximityOperand;
      readonly right: ProximityOperand;
      readonly distance: number;
      readonly ordered: boolean;
    }
  /** A number: the whole one if `international` or short, otherwise every number that ends with these digits. */
  | { readonly kind: 'number'; readonly field: PartyField; readonly digits: string; readonly international: boolean }
  /** A field with its value, or with `prefix` the beginning of it. */
  | { readonly kind: 'value'; readonly field: ValueField; readonly value: string; readonly prefix: boolean }
  | { readonly kind: 'state'; readonly value: string }
  /** Sent at or after `fromMs` and before `toMs`, Unix milliseconds; at least one is there. */
  | { readonly kind: 'date'; readonly fromMs?: number; readonly toMs?: number };

/** Something the person may have meant otherwise; the query is carried out as written all the same. */
export type QueryHint = {
  readonly code: 'lowercase-operator' | 'mixed-and-or' | 'question-mark' | 'phone-number';
  /** 1-based, in UTF-16 code units. */
  readonly column: number;
  readonly length: number;
  readonly text: string;
};

/** A query that was read, and the moment (Unix milliseconds) that its relative dates count from. */
export type Query = { readonly root: QueryNode; readonly hints: readonly QueryHint[]; readonly nowMs: number };

/** Settings of reading a query. */
export type QuerySettings = {
  /** Unix milliseconds that `older_than`, `newer_than`, `today` count from. */
  readonly nowMs: number;
  /** IANA name in which days begin; default `UTC`. */
  readonly timeZone?: string;
};

/** All field names that can be written, for error texts and completion. */
export const FIELD_NAMES = [
  'from',
  'to',
  'with',
  'participant',
  'body',
  'order',
  'channel',
  'direction',
  'status',
  'has',
  'type',
  'brand',
  'source',
  'conversation',
  'id',
  'sha256',
  'before',
  'after',
  'on',
  'date',
  'older_than',
  'newer_than',
] as const;

/** A field name as written. */
export type FieldName = (typeof FIELD_NAMES)[number];
