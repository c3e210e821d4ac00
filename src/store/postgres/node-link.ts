/**
 * What the nodes of an archive settle among themselves through the database: that they are there, which of them does what only one may do, and whose turn it is. All of it are locks of
 * a session (PostgreSQL, "Advisory Locks"): they go with their connection, however a node dies or is cut off, and no clock is asked.
 */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import type { NodeLink } from '../node-link.ts';
import { keepConnected, uuidOf } from './connection.ts';
import type { PostgresPlace } from './connection.ts';

/** Any numbers that nobody else locks on. */
const PRESENT = 723_262_731;
const LEAD = 723_262_732;
const TURN = 723_262_733;

/** What of a node's connection is known. */
type Standing = { readonly client: Client; leads: boolean };

/**
 * Opens the link of a node.
 * @throws CartularyError `data-held` where somebody works on the archive as a stopped one, `database-away`
 */
export async function openPostgresLink(place: PostgresPlace): Promise<NodeLink> {
  const archive = uuidOf(place.archiveId);
  const standing = keepConnected(place);
  const turns = keepConnected(place);
  const box: { standing?: Standing } = {};
  /** Another connection than before has none of the locks. */
  const stand = async (client: Client): Promise<Standing> => {
    if (box.standing?.client === client) return box.standing;
    if (!(await tryLock(client, 'pg_try_advisory_lock_shared', PRESENT, archive)))
      throw new CartularyError('data-held', 'somebody works on this archive, which must stand still for it');
    box.standing = { client, leads: false };
    return box.standing;
  };
  const link: NodeLink = {
    leads: () =>
      standing.use(async (client) => {
        const own = await stand(client);
        if (own.leads) await client.query('SELECT 1');
        else own.leads = await tryLock(client, 'pg_try_advisory_lock', LEAD, archive);
        return own.leads;
      }),
    async alone(name, act) {
      const lock = [TURN, `${archive}/${name}`];
      const outcome = await turns.use(async (client) => {
        await client.query('SELECT pg_advisory_lock($1, hashtext($2))', lock);
        // What fails in there is not the connection's.
        const done = await act().then(
          (result) => ({ result }),
          (cause: unknown) => ({ cause }),
        );
        // A connection that may still hold it is of no use to anybody.
        await client.query('SELECT pg_advisory_unlock($1, hashtext($2))', lock).catch(() => client.end());
        return done;
      });
      if ('cause' in outcome) throw outcome.cause;
      return outcome.result;
    },
    async close() {
      await Promise.all([standing.close(), turns.close()]);
    },
  };
  try {
    await standing.use(stand);
    return link;
  } catch (cause) {
    await link.close();
    throw cause;
  }
}

/**
 * Does something while no node is there, and none comes.
 * @throws CartularyError `data-held` where one is
 */
export async function withoutNodes<Result>(place: PostgresPlace, act: () => Promise<Result>): Promise<Result> {
  const connection = keepConnected(place);
  try {
    await connection.use(async (client) => {
      if (!(await tryLock(client, 'pg_try_advisory_lock', PRESENT, uuidOf(place.archiveId))))
        throw new CartularyError('data-held', 'a node of this archive is running; stop all of them first');
    });
    return await act();
  } finally {
    await connection.close();
  }
}

type TryLock = 'pg_try_advisory_lock' | 'pg_try_advisory_lock_shared';

async function tryLock(client: Client, how: TryLock, kind: number, name: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(`SELECT ${how}($1, hashtext($2)) AS locked`, [kind, name]);
  return rows[0]?.locked === true;
}
