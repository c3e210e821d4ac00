/** The changes that made the tables what they are, in their order; see schema.ts. None of them is ever edited: databases have them. */

/** A change. */
export type Migration = {
  readonly version: number;
  /** Can an older program no longer work with the tables? */
  readonly breaking: boolean;
  readonly sql: string;
};

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

export const MIGRATIONS: readonly Migration[] = [
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
