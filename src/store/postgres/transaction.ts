/** Transactions. */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';

/**
 * Commits, and is sure of it. Where somebody cancels the wait for a synchronous replica, PostgreSQL answers that it has committed and says in a warning that the replica may not have it
 * (PostgreSQL, "Synchronous Replication": the transaction is then durable here only).
 * @throws CartularyError `database-away`: it may be committed, or not, and nothing may be acknowledged
 */
export async function commitDurably(client: Client): Promise<void> {
  const heard = { warning: false };
  const onNotice = (): void => {
    heard.warning = true;
  };
  client.on('notice', onNotice);
  try {
    const { command } = await client.query('COMMIT');
    if (command !== 'COMMIT' || heard.warning)
      throw new CartularyError('database-away', 'the database did not commit, or not at its replica');
  } finally {
    client.off('notice', onNotice);
  }
}

/** Runs `act` in a transaction. */
export async function inTransaction<Result>(client: Client, act: () => Promise<Result>): Promise<Result> {
  await client.query('BEGIN');
  try {
    const result = await act();
    await commitDurably(client);
    return result;
  } catch (cause) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw cause;
  }
}
