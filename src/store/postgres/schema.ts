/**
 * The schema of all archives of one PostgreSQL database, as numbered migrations, forward only, under an advisory lock: of several nodes that start at once one migrates. A node
 * refuses a database whose newest migration is marked breaking and unknown to it.
 *
 * Archive id leads every key, so that tables can be distributed by it; row-level security shows a connection one archive, whatever a statement forgot. Records are partitioned by
 * the month in which they were added; what finds duplicates is not, since a duplicate may come in any month. Nothing here but ciphertext, keyed ids, times and numbers.
 */
import type { Client } from 'pg';

import { CartularyError } from '../../model/errors.ts';
import { inTransaction } from './transaction.ts';

type Migration = { readonly version: number; readonly breaking: boolean; readonly sql: string };

/** The schema that all tables live in. */
export const SCHEMA = 'cartulary';

/** Tables with rows of archives, in an order in which rows may be put in. */
export const ARCHIVE_TABLES = [
  'log_head',
  'log_month',
  'message',
  'message_key',
  'pin',
  'record',
  'seen',
  'state',
  'job',
  'setting',
] as const;

/** Row-level security: a connection sees one archive. */
const PROTECT = ARCHIVE_TABLES.map(
  (table) => `
    ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE ${table} FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_archive ON ${table} USING (archive = current_setting('cartulary.archive', true)::uuid);`,
).join('');

const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    breaking: true,
    sql: `
      CREATE TABLE log_head (
        archive uuid PRIMARY KEY, size bigint NOT NULL DEFAULT 0, next_no bigint NOT NULL DEFAULT 1, month integer NOT NULL DEFAULT 0,
        epoch integer NOT NULL
      ) WITH (fillfactor = 10);
      CREATE TABLE log_month (archive uuid, month integer, from_seq bigint NOT NULL, PRIMARY KEY (archive, month));
      CREATE TABLE message (
        archive uuid, no bigint, id uuid NOT NULL, last_seq bigint NOT NULL, last_record uuid NOT NULL, PRIMARY KEY (archive, no)
      ) WITH (fillfactor = 90);
      CREATE TABLE message_key (
        archive uuid, no bigint, secret bytea NOT NULL, epoch integer NOT NULL, closed boolean NOT NULL DEFAULT false, PRIMARY KEY (archive, no)
      );
      CREATE TABLE pin (
        archive uuid, no bigint, hold text, PRIMARY KEY (archive, no, hold),
        FOREIGN KEY (archive, no) REFERENCES message_key (archive, no) ON DELETE RESTRICT
      );
      CREATE TABLE record (
        archive uuid, month integer, seq bigint, no bigint NOT NULL, prev_seq bigint, leaf bytea NOT NULL, sealed bytea,
        PRIMARY KEY (archive, month, seq)
      ) PARTITION BY RANGE (month);
      ALTER TABLE record ALTER COLUMN leaf SET STORAGE PLAIN, ALTER COLUMN sealed SET STORAGE EXTERNAL;
      CREATE TABLE seen (archive uuid, key uuid, no bigint NOT NULL, seq bigint, PRIMARY KEY (archive, key)) WITH (fillfactor = 90);
      CREATE TABLE state (archive uuid, no bigint, version bigint NOT NULL, sealed bytea NOT NULL, PRIMARY KEY (archive, no));
      ALTER TABLE state ALTER COLUMN sealed SET STORAGE EXTERNAL;
      CREATE TABLE job (
        archive uuid, id bigint GENERATED ALWAYS AS IDENTITY, kind text NOT NULL, no bigint NOT NULL, seq bigint NOT NULL, due_at bigint NOT NULL,
        loss_at bigint, lease_until bigint NOT NULL DEFAULT 0, attempts integer NOT NULL DEFAULT 0, payload bytea NOT NULL,
        PRIMARY KEY (archive, id)
      );
      CREATE INDEX job_due ON job (archive, kind, due_at) WHERE loss_at IS NULL;
      CREATE INDEX job_loss ON job (archive, kind, loss_at, due_at) WHERE loss_at IS NOT NULL;
      CREATE INDEX job_message ON job (archive, no);
      CREATE TABLE setting (archive uuid, name text COLLATE "C", value bytea NOT NULL, PRIMARY KEY (archive, name));

      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'CT001'; END $$;
      CREATE TRIGGER record_is_kept BEFORE DELETE ON record FOR EACH ROW EXECUTE FUNCTION refuse('record-is-kept');
      CREATE FUNCTION refuse_record_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (NEW.archive, NEW.month, NEW.seq, NEW.no, NEW.leaf) IS DISTINCT FROM (OLD.archive, OLD.month, OLD.seq, OLD.no, OLD.leaf)
          OR NEW.prev_seq IS DISTINCT FROM OLD.prev_seq OR NEW.sealed IS NOT NULL
          OR EXISTS (SELECT 1 FROM message_key k WHERE k.archive = OLD.archive AND k.no = OLD.no)
        THEN RAISE EXCEPTION USING MESSAGE = 'record-never-changes', ERRCODE = 'CT001'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER record_never_changes BEFORE UPDATE ON record FOR EACH ROW EXECUTE FUNCTION refuse_record_change();
      CREATE FUNCTION refuse_key_deletion() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM pin p WHERE p.archive = OLD.archive AND p.no = OLD.no)
        THEN RAISE EXCEPTION USING MESSAGE = 'key-pinned', ERRCODE = 'CT001'; END IF;
        IF NOT OLD.closed THEN RAISE EXCEPTION USING MESSAGE = 'key-open', ERRCODE = 'CT001'; END IF;
        RETURN OLD;
      END $$;
      CREATE TRIGGER key_stays BEFORE DELETE ON message_key FOR EACH ROW EXECUTE FUNCTION refuse_key_deletion();
      CREATE FUNCTION refuse_key_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (NEW.archive, NEW.no) IS DISTINCT FROM (OLD.archive, OLD.no) OR (NEW.secret IS DISTINCT FROM OLD.secret AND NEW.epoch = OLD.epoch)
        THEN RAISE EXCEPTION USING MESSAGE = 'key-never-changes', ERRCODE = 'CT001'; END IF;
        IF NEW.closed AND NOT OLD.closed AND EXISTS (SELECT 1 FROM pin p WHERE p.archive = OLD.archive AND p.no = OLD.no)
        THEN RAISE EXCEPTION USING MESSAGE = 'key-pinned', ERRCODE = 'CT001'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER key_never_changes BEFORE UPDATE ON message_key FOR EACH ROW EXECUTE FUNCTION refuse_key_change();
      ${PROTECT}
    `,
  },
  {
    // The archive of the connection is looked up once a statement, not once a row.
    version: 2,
    breaking: false,
    sql: ARCHIVE_TABLES.map(
      (table) =>
        `ALTER POLICY one_archive ON ${table} USING (archive = (SELECT current_setting('cartulary.archive', true)::uuid));`,
    ).join('\n'),
  },
];

/** The newest schema this program knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Any number that nobody else locks on. */
const MIGRATION_LOCK = 7_232_627_331;

/**
 * Brings the database to the newest schema, in one transaction.
 * @throws CartularyError `data-newer` where it was written by a newer program whose change is breaking
 */
export function migrate(client: Client): Promise<void> {
  return inTransaction(client, async () => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`);
    await client.query(
      'CREATE TABLE IF NOT EXISTS migration (version integer PRIMARY KEY, breaking boolean NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    const { rows } = await client.query<{ version: number; breaking: boolean }>(
      'SELECT version, breaking FROM migration',
    );
    const newer = rows.find(({ version, breaking }) => version > SCHEMA_VERSION && breaking);
    if (newer !== undefined)
      throw new CartularyError(
        'data-newer',
        `the data were written by a newer version (schema ${newer.version}, this program knows ${SCHEMA_VERSION})`,
      );
    const known = new Set(rows.map(({ version }) => version));
    for (const { version, breaking, sql } of MIGRATIONS) {
      if (known.has(version)) continue;
      await client.query(sql);
      await client.query('INSERT INTO migration (version, breaking) VALUES ($1, $2)', [version, breaking]);
    }
  });
}

/** The month of a time, as partitions are named by it: 202611. */
export function monthNumber(ms: number): number {
  const date = new Date(ms);
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
}

/** Makes the partition of a month where it is not there. In a transaction of its own, so that no append waits for one that is refused. */
export function ensureMonth(client: Client, month: number): Promise<void> {
  const next = month % 100 === 12 ? month + 89 : month + 1;
  return inTransaction(client, async () => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(
      `CREATE TABLE IF NOT EXISTS record_${month} PARTITION OF record FOR VALUES FROM (${month}) TO (${next});
       ALTER TABLE record_${month} ENABLE ROW LEVEL SECURITY; ALTER TABLE record_${month} FORCE ROW LEVEL SECURITY;`,
    );
  });
}
