/**
 * The schema of an archive's SQLite file, as numbered migrations, forward only. A process refuses a file whose newest migration is
 * marked breaking and unknown to it.
 *
 * Costs decide the shape (measured; docs/ARCHITECTURE.md): every index in random order adds 6–11 µs a message and doubles the bytes written, so
 * there is exactly one (`seen`); everything else stands in order of arrival. A message's records are a chain (`prev_seq`) rather than an index.
 */
import { CartularyError } from '../../model/errors.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import type { SchemaStep } from '../schema-update.ts';
import { KEY_TRIGGERS } from './key-triggers.ts';

type Migration = { readonly version: number; readonly breaking: boolean; readonly sql: string };

const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    breaking: true,
    sql: `
      CREATE TABLE message (no INTEGER PRIMARY KEY, id BLOB NOT NULL, last_seq INTEGER NOT NULL);
      CREATE TABLE message_key (no INTEGER PRIMARY KEY, secret BLOB NOT NULL, closed INTEGER NOT NULL DEFAULT 0);
      CREATE TABLE pin (no INTEGER NOT NULL REFERENCES message_key(no) ON DELETE RESTRICT, hold TEXT NOT NULL, PRIMARY KEY (no, hold)) WITHOUT ROWID;
      CREATE TABLE record (seq INTEGER PRIMARY KEY, no INTEGER NOT NULL, prev_seq INTEGER, leaf BLOB NOT NULL, sealed BLOB);
      CREATE TABLE seen (k INTEGER PRIMARY KEY, rest BLOB NOT NULL, no INTEGER NOT NULL, seq INTEGER);
      CREATE TABLE state (no INTEGER PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL);
      CREATE TABLE job (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, no INTEGER NOT NULL, seq INTEGER NOT NULL, due_at INTEGER NOT NULL,
        loss_at INTEGER, lease_until INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL
      );
      CREATE INDEX job_due ON job (kind, due_at);
      CREATE INDEX job_message ON job (no);
      CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

      CREATE TRIGGER record_is_kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'record-is-kept'); END;
      CREATE TRIGGER record_never_changes BEFORE UPDATE ON record
        WHEN NEW.seq IS NOT OLD.seq OR NEW.no IS NOT OLD.no OR NEW.prev_seq IS NOT OLD.prev_seq OR NEW.leaf IS NOT OLD.leaf
          OR NEW.sealed IS NOT NULL OR EXISTS (SELECT 1 FROM message_key WHERE no = OLD.no)
        BEGIN SELECT RAISE(ABORT, 'record-never-changes'); END;
      ${KEY_TRIGGERS}
    `,
  },
  {
    // With 100,000 jobs due, claiming eight of them by sorting all took the writer 100 ms, time and again.
    version: 2,
    breaking: false,
    sql: `
      DROP INDEX job_due;
      CREATE INDEX job_due ON job (kind, due_at) WHERE loss_at IS NULL;
      CREATE INDEX job_loss ON job (kind, loss_at, due_at) WHERE loss_at IS NOT NULL;
    `,
  },
];

/** The newest schema this program knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings a database to the newest schema, each migration in a transaction of its own.
 * @throws CartularyError `data-newer` where the file was written by a newer program whose change is breaking
 */
export function migrate(database: EncryptedDatabase): SchemaStep {
  database.exec(
    'CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, breaking INTEGER NOT NULL, applied_at INTEGER NOT NULL)',
  );
  const known = new Set<number>();
  for (const row of database.prepare('SELECT version, breaking FROM migration').all()) {
    const { version, breaking } = row as { version: number; breaking: number };
    if (version > SCHEMA_VERSION && breaking === 1) {
      throw new CartularyError(
        'data-newer',
        `the data were written by a newer version (schema ${version}, this program knows ${SCHEMA_VERSION})`,
      );
    }
    known.add(version);
  }
  const missing = MIGRATIONS.filter(({ version }) => !known.has(version));
  for (const migration of missing) {
    database.transaction(() => {
      database.exec(migration.sql);
      database
        .prepare('INSERT INTO migration (version, breaking, applied_at) VALUES (?, ?, ?)')
        .run(migration.version, migration.breaking ? 1 : 0, Date.now());
    })();
  }
  const from = Math.max(0, ...known);
  return { from, to: Math.max(from, SCHEMA_VERSION), breaking: missing.some(({ breaking }) => breaking) };
}
