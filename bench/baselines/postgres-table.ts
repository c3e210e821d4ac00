/** The same raw bytes with the same unique key and durability in a plain PostgreSQL table, 1,000 rows a transaction: what an archive in PostgreSQL is measured against. No index over words, since it has none either. */
import { Client } from 'pg';

import type { Arrival } from './sqlite.ts';

const ROWS_A_COMMIT = 1000;
const SCHEMA =
  'CREATE TABLE plain (id bigserial PRIMARY KEY, sid text NOT NULL UNIQUE, head text NOT NULL, body bytea NOT NULL)';
const STORE =
  'INSERT INTO plain (sid, head, body) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) ON CONFLICT (sid) DO NOTHING';

export type PlainTable = {
  /** Stores what arrived; answers the seconds it took. */
  store(arrivals: readonly Arrival[]): Promise<number>;
  close(): Promise<void>;
};

/** Makes the table in a database. */
export async function openPlainTable(url: string): Promise<PlainTable> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(SCHEMA);
  return {
    async store(arrivals) {
      const startedAt = performance.now();
      for (let from = 0; from < arrivals.length; from += ROWS_A_COMMIT) {
        const rows = arrivals.slice(from, from + ROWS_A_COMMIT);
        await client.query({
          name: 'store',
          text: STORE,
          values: [
            // A text is told of several times; each time it is another envelope.
            rows.map(({ told }, at) => (told.isNew ? told.key : `${told.key} ${from + at}`)),
            rows.map(({ envelope }) => JSON.stringify({ url: envelope.url, headers: envelope.headers })),
            rows.map(({ told }) => told.body),
          ],
        });
      }
      return (performance.now() - startedAt) / 1000;
    },
    close: () => client.end(),
  };
}
