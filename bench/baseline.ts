/**
 * What is measured against: the same raw bytes (body, headers, address) with the same unique key and durability in a plaintext SQLite table and an FTS5 index, 1,000 rows a
 * transaction; sender and time are indexed as well, since by these, too, an archive is searched. No seal, no log, no guard.
 */
import { join } from 'node:path';

import Database from 'better-sqlite3-multiple-ciphers';

import { twilioHeaders } from './setup.ts';

const URL_OF_HOOK = 'http://archive.example/hooks/src_8c5c0e874dfdaaf2b12a79b68af4fcff';
const SIGNATURE = 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=';

/** An open baseline. */
export type Baseline = {
  /** Stores forms; answers the seconds it took. */
  run(forms: readonly Buffer[]): number;
  close(): void;
};

/** Makes an empty one below `directory`. */
export function openBaseline(directory: string): Baseline {
  const database = new Database(join(directory, 'baseline.db'));
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('cache_size = -32768');
  database.exec(`CREATE TABLE m (id INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE, sender TEXT, sent INTEGER, head TEXT NOT NULL, body BLOB NOT NULL);
    CREATE INDEX m_sender ON m (sender);
    CREATE INDEX m_sent ON m (sent);
    CREATE VIRTUAL TABLE f USING fts5 (t, content='', tokenize="unicode61 remove_diacritics 2");`);
  const add = database.prepare('INSERT INTO m (id, sid, sender, sent, head, body) VALUES (?, ?, ?, ?, ?, ?)');
  const index = database.prepare('INSERT INTO f (rowid, t) VALUES (?, ?)');
  let id = 0;
  const store = (form: Buffer): void => {
    id += 1;
    const fields = new URLSearchParams(form.toString('latin1'));
    const head = JSON.stringify({ url: URL_OF_HOOK, headers: twilioHeaders(form, SIGNATURE) });
    add.run(id, fields.get('MessageSid'), fields.get('From'), Date.now(), head, form);
    index.run(id, fields.get('Body'));
  };
  return {
    run(forms) {
      const startedAt = performance.now();
      for (let from = 0; from < forms.length; from += 1000) {
        database.exec('BEGIN IMMEDIATE');
        for (const form of forms.slice(from, from + 1000)) store(form);
        database.exec('COMMIT');
      }
      return (performance.now() - startedAt) / 1000;
    },
    close() {
      database.close();
    },
  };
}
