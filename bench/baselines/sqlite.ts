/**
 * What is measured against: the same raw bytes (body, headers, address) with the same unique key and durability in a plaintext SQLite table and an FTS5 index, 1,000 rows a
 * transaction; sender and time are indexed as well, since by these, too, an archive is searched. No seal, no log, no guard.
 */
import Database from 'better-sqlite3-multiple-ciphers';

import type { Envelope } from '../../src/model/envelope.ts';
import type { Told } from '../texts/shop.ts';

/** Something told, as the envelope that it comes in. */
export type Arrival = { readonly told: Told; readonly envelope: Envelope };

/** An open baseline. */
export type SqliteBaseline = {
  /** Stores what arrived; answers the seconds it took. */
  store(arrivals: readonly Arrival[]): number;
  /** Newest 50 of a query in FTS5's language, with a count to 1,000; answers how many were found. */
  search(query: string): number;
  /** Newest 50 of a sender. */
  searchSender(sender: string): number;
  /** Merges the pieces of the index. */
  optimise(): void;
  /** Indexes all texts again; answers how many. */
  rebuild(): number;
  /** Rows, each as one line of JSON. */
  dump(): IterableIterator<string>;
  close(): void;
};

const ROWS_A_COMMIT = 1000;
const SCHEMA = `CREATE TABLE m (id INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE, sender TEXT, sent INTEGER, head TEXT NOT NULL, body BLOB NOT NULL);
  CREATE INDEX m_sender ON m (sender);
  CREATE INDEX m_sent ON m (sent);
  CREATE VIRTUAL TABLE f USING fts5 (t, content='', tokenize="unicode61 remove_diacritics 2");`;

/** What a row holds of an envelope besides its bytes. */
export function readFields({ transport, body }: Pick<Told, 'transport' | 'body'>): {
  readonly sender: string | null;
  readonly text: string | null;
} {
  if (transport === 'webhook') {
    const fields = new URLSearchParams(body.toString('latin1'));
    return { sender: fields.get('From'), text: fields.get('Body') };
  }
  const resource = JSON.parse(body.toString('utf8')) as { from: string; body: string };
  return { sender: resource.from, text: resource.body };
}

/** Opens the baseline at `path`; makes it where there is none. @param options `isDurable`: false while it is filled, before anything is measured */
export function openBaseline(path: string, { isDurable = true } = {}): SqliteBaseline {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.pragma(`synchronous = ${isDurable ? 'FULL' : 'OFF'}`);
  database.pragma('cache_size = -32768');
  if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'm'").get() === undefined) database.exec(SCHEMA);
  const add = database.prepare('INSERT INTO m (id, sid, sender, sent, head, body) VALUES (?, ?, ?, ?, ?, ?)');
  const index = database.prepare('INSERT INTO f (rowid, t) VALUES (?, ?)');
  const newest = database.prepare(
    'SELECT m.* FROM f JOIN m ON m.id = f.rowid WHERE f MATCH ? ORDER BY f.rowid DESC LIMIT 50',
  );
  const counted = database.prepare(
    'SELECT count(*) AS n FROM (SELECT 1 FROM f WHERE f MATCH ? ORDER BY rowid DESC LIMIT 1000)',
  );
  const bySender = database.prepare('SELECT * FROM m WHERE sender = ? ORDER BY id DESC LIMIT 50');
  let id = (database.prepare('SELECT max(id) AS id FROM m').get() as { id: number | null }).id ?? 0;
  const put = ({ told, envelope }: Arrival): void => {
    id += 1;
    const { sender, text } = readFields(told);
    const { url, headers } = envelope;
    add.run(id, told.key, sender, told.atMs, JSON.stringify({ url, headers }), told.body);
    if (text !== null) index.run(id, text);
  };
  return {
    store(arrivals) {
      const startedAt = performance.now();
      for (let from = 0; from < arrivals.length; from += ROWS_A_COMMIT) {
        database.exec('BEGIN IMMEDIATE');
        for (const arrival of arrivals.slice(from, from + ROWS_A_COMMIT)) put(arrival);
        database.exec('COMMIT');
      }
      return (performance.now() - startedAt) / 1000;
    },
    search(query) {
      const { n } = counted.get(query) as { n: number };
      return Math.max(n, newest.all(query).length);
    },
    optimise: () => void database.exec("INSERT INTO f (f) VALUES ('optimize')"),
    searchSender: (sender) => bySender.all(sender).length,
    rebuild: () => rebuildIndex(database),
    *dump() {
      for (const row of database.prepare('SELECT id, sid, sender, sent, head, body FROM m').iterate())
        yield `${JSON.stringify({ ...(row as object), body: (row as { body: Buffer }).body.toString('latin1') })}\n`;
    },
    close() {
      database.close();
    },
  };
}

/** Fills a second index beside the first, and drops it. */
function rebuildIndex(database: Database.Database): number {
  database.exec(`CREATE VIRTUAL TABLE g USING fts5 (t, content='', tokenize="unicode61 remove_diacritics 2")`);
  const rows = database.prepare('SELECT id, body FROM m WHERE id > ? ORDER BY id LIMIT 1000');
  const index = database.prepare('INSERT INTO g (rowid, t) VALUES (?, ?)');
  let done = 0;
  let last = 0;
  for (;;) {
    const page = rows.all(last) as { id: number; body: Buffer }[];
    if (page.length === 0) break;
    database.exec('BEGIN IMMEDIATE');
    for (const { id, body } of page) {
      const transport = body[0] === 0x7b ? 'fetch' : 'webhook';
      const { text } = readFields({ transport, body });
      if (text !== null) index.run(id, text);
      last = id;
    }
    database.exec('COMMIT');
    done += page.length;
  }
  database.exec('DROP TABLE g');
  return done;
}
