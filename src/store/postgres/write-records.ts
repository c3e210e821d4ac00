/** Records on their way into the database. */
import type { Client } from 'pg';

import { LEAF_BYTES } from '../../ledger/leaf.ts';
import { arrayText, joinBytes } from './columns.ts';

/** A record without its number. */
export type NewRecord = {
  readonly no: number;
  readonly previousSeq: number | null;
  readonly leaf: Uint8Array;
  readonly sealed: Uint8Array | null;
};

/** The statement that adds records of archive `$1`, of which the columns are the values from `$first` on. */
export function selectRecords(first: number): string {
  const [month, from, leaves, sealed, no, previous, begins, ends] = Array.from(
    { length: 8 },
    (_, at) => `$${first + at}`,
  );
  return `INSERT INTO record (archive, month, seq, no, prev_seq, leaf, sealed)
    SELECT $1, ${month}::int, ${from}::bigint + u.at - 1, u.no, u.previous, substring(${leaves}::bytea FROM ((u.at - 1) * ${LEAF_BYTES} + 1)::int FOR ${LEAF_BYTES}),
      substring(${sealed}::bytea FROM u.begins + 1 FOR u.ends - u.begins)
    FROM unnest(${no}::bigint[], ${previous}::bigint[], ${begins}::int[], ${ends}::int[]) WITH ORDINALITY AS u(no, previous, begins, ends, at)`;
}

/** The columns of `selectRecords`: of records that stand one after the other in the log, from the number `from` on, in one month. */
export function recordColumns(records: readonly NewRecord[], from: number, month: number): readonly unknown[] {
  const { bytes, begins, ends } = joinBytes(records.map(({ sealed }) => sealed));
  return [
    month,
    from,
    Buffer.concat(records.map(({ leaf }) => leaf)),
    bytes,
    arrayText(records.map(({ no }) => no)),
    arrayText(records.map(({ previousSeq }) => previousSeq)),
    arrayText(begins),
    arrayText(ends),
  ];
}

/** Writes records by themselves. */
export async function writeRecords(
  client: Client,
  archive: string,
  records: readonly NewRecord[],
  from: number,
  month: number,
): Promise<void> {
  await client.query({
    name: 'add-records',
    text: selectRecords(2),
    values: [archive, ...recordColumns(records, from, month)],
  });
}
