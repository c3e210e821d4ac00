/** What a change of the schema comes to, whatever the engine. */

/** From which schema to which a database came. */
export type SchemaStep = {
  readonly from: number;
  readonly to: number;
  /** Was a change made that keeps an older program from opening it? */
  readonly breaking: boolean;
};

/** Rows that no change of the schema may take away or add. */
export type RowCounts = Readonly<Record<'records' | 'messages' | 'keys' | 'holds', number>>;

/** What it took to bring the copy of an older program to the schema of this one. */
export type SchemaUpdate = SchemaStep & {
  readonly ms: number;
  /** What it grew by, and the most that it took meanwhile beside what it had. */
  readonly grownBytes: number;
  readonly roomBytes: number;
  readonly before: RowCounts;
  readonly after: RowCounts;
};
