/** Connections to PostgreSQL: each sees one archive, waits for the disk at every commit, and reads 64-bit numbers as numbers. */
import { Client, DatabaseError, types } from 'pg';
import type { ClientBase } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import { APPLICATION_NAME, assertNotNewer, SCHEMA } from './schema.ts';

/** Where an archive is. */
export type PostgresPlace = {
  /** `postgres://user@host:port/database`; never in a log or an error, since it may hold a password. */
  readonly url: string;
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** The schema of the tables, where it is not the usual one (`scratch.ts`). */
  readonly schema?: string;
};

/** The same with what opens it. Plain values, since it crosses to threads. */
export type PostgresLocation = PostgresPlace & {
  /** The file of the epochs' keys (`epochs.ts`). */
  readonly epochs: string;
  /** 32 bytes: wraps the epochs' keys, and seals copies for backups. */
  readonly key: Uint8Array;
};

const CONNECT_MS_MAX = 10_000;
/** A query that takes longer hangs. Measured here: a limit of the server's would end the wait for a replica, and answer that it has committed. */
const QUERY_MS_MAX = 120_000;
const INT8 = 20;

/** Sequence numbers stay far below 2^53; one that does not is damage. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new CartularyError('corrupt', 'a number in the database is too large');
  return value;
}

function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: never) => unknown {
  return oid === INT8 ? parseInt8 : types.getTypeParser(oid, format as 'text');
}

/** The text form of an id of 16 bytes. */
export function uuidOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
}

/** The 16 bytes of an id. */
export function bytesOfUuid(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

/**
 * Connects, and asserts what durability rests on.
 * @throws CartularyError `database-away` where the server cannot be reached, `setting` where it does not wait for its disk, `data-newer`
 */
export async function connect(location: PostgresPlace): Promise<Client> {
  const client = new Client({
    connectionString: location.url,
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    query_timeout: QUERY_MS_MAX,
    // What is asked together is sent together.
    pipeline: true,
    keepAlive: true,
    types: { getTypeParser },
  });
  // A connection that breaks is told to whoever asks next; without this it ends the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(`SET search_path = ${location.schema ?? SCHEMA}`);
    await client.query("SELECT set_config('cartulary.archive', $1, false)", [uuidOf(location.archiveId)]);
    await client.query(LET_GO);
    await assertDurable(client);
    await assertNotNewer(client);
    return client;
  } catch (cause) {
    await client.end().catch(() => undefined);
    if (cause instanceof CartularyError) throw cause;
    throw new CartularyError('database-away', 'the database cannot be reached', { cause });
  }
}

/**
 * A node that vanishes without a word (its power, its network) leaves a session that the server would keep for two hours, with the lock on the log's head, the lead and the turn to
 * sign; every other node would wait for it. So the server looks after the node when it hears nothing for 5 s and gives it up 15 s later, or 20 s after it sent what nobody confirms,
 * and a transaction in which nothing happens for 15 s at once (PostgreSQL, "Connections and Authentication: TCP Settings").
 */
const LET_GO = `SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 20000;
  SET idle_in_transaction_session_timeout = 15000`;

const DURABLE: Readonly<Record<string, readonly string[]>> = {
  synchronous_commit: ['on', 'remote_apply'],
  fsync: ['on'],
  full_page_writes: ['on'],
};

async function assertDurable(client: ClientBase): Promise<void> {
  for (const [name, wanted] of Object.entries(DURABLE)) {
    const { rows } = await client.query<{ value: string }>('SELECT current_setting($1) AS value', [name]);
    const value = rows[0]?.value ?? '';
    if (!wanted.includes(value))
      throw new CartularyError('setting', `PostgreSQL runs with ${name} = ${value}; set it to ${wanted[0]}`);
  }
}

/** One connection that is made when it is needed, and made anew after it broke. */
export type KeptConnection = {
  /**
   * Does something with the connection, alone: a transaction is not mixed with what others ask meanwhile.
   * @throws CartularyError `database-away` where the database went away
   */
  use<Result>(act: (client: Client) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
};

/** Opens one. */
export function keepConnected(location: PostgresPlace): KeptConnection {
  let client: Promise<Client> | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  const get = (): Promise<Client> => {
    client ??= connect(location).then(
      (connected) => {
        connected.once('end', () => (client = undefined));
        return connected;
      },
      (cause: unknown) => {
        client = undefined;
        throw cause;
      },
    );
    return client;
  };
  const useAlone = async <Result>(act: (client: Client) => Promise<Result>): Promise<Result> => {
    const connected = await get();
    try {
      return await act(connected);
    } catch (cause) {
      if (!isAway(cause)) throw cause;
      // Whatever state it is in, nobody uses it again.
      client = undefined;
      void connected.end().catch(() => undefined);
      throw new CartularyError('database-away', 'the database went away', { cause });
    }
  };
  return {
    use(act) {
      const mine = turn.then(() => useAlone(act));
      turn = mine.catch(() => undefined);
      return mine;
    },
    async close() {
      await turn;
      const open = await client?.catch(() => undefined);
      await open?.end();
    },
  };
}

/** SQLSTATE classes and codes of a server that is going, has gone, or takes no more (PostgreSQL, appendix A). */
const AWAY = /^(?:08|57|53|58|25006|25P03|40)/;

/** What the client says of its connection, without a code. */
const OF_CONNECTION =
  /^(?:Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout exp)/;

/** Has the database gone, or given up on this transaction, so that the same may be asked again? */
function isAway(cause: unknown): boolean {
  if (!(cause instanceof Error) || cause instanceof CartularyError) return false;
  if (cause instanceof DatabaseError) return AWAY.test(cause.code ?? '');
  return ('code' in cause && /^E[A-Z]+$/.test(String(cause.code))) || OF_CONNECTION.test(cause.message);
}
