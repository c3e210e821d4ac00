/** Transactions. */
import type { Client } from 'pg';

/** Runs `act` in a transaction. */
export async function inTransaction<Result>(client: Client, act: () => Promise<Result>): Promise<Result> {
  await client.query('BEGIN');
  try {
    const result = await act();
    await client.query('COMMIT');
    return result;
  } catch (cause) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw cause;
  }
}
