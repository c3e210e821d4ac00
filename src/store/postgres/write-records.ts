/** Records on their way into the database. */
import type { Client } from 'pg';

import { LEAF_BYTES } from '../../ledger/leaf.ts';
import { joinBytes } from './joined-bytes.ts';

/** A record without its number. */
export type NewRecord = {
  readonly no: number;
  readonly previousSeq: number | null;
  readonly leaf: Uint8Array;
  readonly sealed: Uint8Array | null;
};

/** Writes records that stand one after the other in the log, from the number `from` on, into one month. */
export async function writeRecords(
  client: Client,
  archive: string,
  records: readonly NewRecord[],
  from: number,
  month: number,
): Promise<void> {
  const { bytes, begins, ends } = joinBytes(records.map(({ sealed }) => sealed));
  await client.query({
    name: 'add-records',
    text: `INSERT INTO record (archive, month, seq, no, prev_seq, leaf, sealed)
      SELECT $1, $2, $3 + u.at - 1, u.no, u.previous, substring($4::bytea FROM ((u.at - 1) * ${LEAF_BYTES} + 1)::int FOR ${LEAF_BYTES}),
        substring($5::bytea FROM u.begins + 1 FOR u.ends - u.begins)
      FROM unnest($6::bigint[], $7::bigint[], $8::int[], $9::int[]) WITH ORDINALITY AS u(no, previous, begins, ends, at)`,
    values: [
      archive,
      month,
      from,
      Buffer.concat(records.map(({ leaf }) => leaf)),
      bytes,
      records.map(({ no }) => no),
      records.map(({ previousSeq }) => previousSeq),
      begins,
      ends,
    ],
  });
}
