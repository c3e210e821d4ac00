/** The same messages in a PostgreSQL table with a GIN index over their words: the same bytes, unique key, indexes and durability as the SQLite table, 1,000 rows a transaction. */
import { Client } from 'pg';

import { readFields } from './sqlite.ts';
import type { Arrival } from './sqlite.ts';
import { startPostgres, untilReady } from './postgres-server.ts';

export type PostgresBaseline = {
  readonly version: string;
  /** Stores what arrived, 1,000 rows a transaction. */
  store(arrivals: readonly Arrival[]): Promise<void>;
  /** Newest 50 of a query as web search engines take it, with a count to 10,000; answers how many were found. */
  search(query: string): Promise<number>;
  close(): Promise<void>;
};

const ROWS_A_COMMIT = 1000;
/** Index entries are written at once rather than put off until a vacuum: what cannot be found yet is not searchable. */
const SCHEMA = `DROP TABLE IF EXISTS cartulary_bench;
  CREATE TABLE cartulary_bench (id bigserial PRIMARY KEY, sid text NOT NULL UNIQUE, sender text, sent bigint, head text NOT NULL, body bytea NOT NULL, words tsvector);
  CREATE INDEX ON cartulary_bench (sender);
  CREATE INDEX ON cartulary_bench (sent);
  CREATE INDEX ON cartulary_bench USING gin (words);`;
const STORE = `INSERT INTO cartulary_bench (sid, sender, sent, head, body, words)
  SELECT sid, sender, sent, head, body, to_tsvector('simple', t)
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::text[]) AS r (sid, sender, sent, head, body, t)`;

/** Starts a server below `directory` and makes the table; undefined where PostgreSQL is not installed. */
export async function openPostgres(directory: string): Promise<PostgresBaseline | undefined> {
  const server = await startPostgres(directory);
  if (server === undefined) return undefined;
  const client = await untilReady(async () => {
    const fresh = new Client({ connectionString: server.url });
    await fresh.connect();
    return fresh;
  });
  await client.query(SCHEMA);
  const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
  return {
    version: rows[0]?.server_version ?? '',
    async store(arrivals) {
      for (let from = 0; from < arrivals.length; from += ROWS_A_COMMIT)
        await client.query(STORE, columnsOf(arrivals.slice(from, from + ROWS_A_COMMIT)));
    },
    async search(query) {
      const counted = await client.query<{ n: string }>(
        "SELECT count(*) AS n FROM (SELECT 1 FROM cartulary_bench WHERE words @@ websearch_to_tsquery('simple', $1) LIMIT 10000) c",
        [query],
      );
      await client.query(
        "SELECT * FROM cartulary_bench WHERE words @@ websearch_to_tsquery('simple', $1) ORDER BY id DESC LIMIT 50",
        [query],
      );
      return Number(counted.rows[0]?.n ?? 0);
    },
    async close() {
      await client.query('DROP TABLE cartulary_bench');
      await client.end();
      await server.stop();
    },
  };
}

function columnsOf(arrivals: readonly Arrival[]): unknown[][] {
  const rows = arrivals.map(({ told, envelope }) => {
    const { sender, text } = readFields(told);
    const head = JSON.stringify({ url: envelope.url, headers: envelope.headers });
    // PostgreSQL's text holds no zero byte.
    return [told.key, sender, told.atMs, head, told.body, text?.replaceAll('\0', '') ?? null];
  });
  return [0, 1, 2, 3, 4, 5].map((column) => rows.map((row) => row[column]));
}
