/** The clock that all nodes of an archive share: that of the database. Times of jobs are kept by it, since nodes whose clocks are apart must agree on when one is due, and whose it is. */
import type { Client } from 'pg';

/** Milliseconds below which clocks count as one: what a question takes, and more than machines that keep time are apart. */
const SAME_MS = 10_000;

/** By how many milliseconds the database's clock is ahead of this node's. */
export async function clockAhead(client: Client): Promise<number> {
  const { rows } = await client.query<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now',
  );
  const aheadMs = (rows[0]?.now ?? 0) - Date.now();
  return Math.abs(aheadMs) < SAME_MS ? 0 : aheadMs;
}
