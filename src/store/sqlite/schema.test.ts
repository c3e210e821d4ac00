import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import Database from 'better-sqlite3-multiple-ciphers';
import { afterAll, describe, expect, it, vi } from 'vitest';

import { openEncryptedDatabase } from '../../vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../vault/page-encryption.ts';
import { makeEntry } from '../testing/conformance.ts';
import { createAppender } from './append.ts';
import { openSqliteReader } from './reader.ts';
import { migrate, SCHEMA_VERSION } from './schema.ts';
import * as writing from './writer.ts';

const key = randomBytes(32);
const place = await mkdtemp(join(tmpdir(), 'cartulary-schema-'));
afterAll(() => rm(place, { recursive: true, force: true }));

let count = 0;
function open(): { path: string; database: EncryptedDatabase } {
  const path = join(place, `${count++}.db`);
  const database = openEncryptedDatabase(path, { key });
  migrate(database);
  return { path, database };
}

function textOf(database: EncryptedDatabase): string {
  const rows = database.prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name').all();
  return `${rows.map((row) => (row as { sql: string }).sql.replaceAll(/^ +/gm, '  ')).join(';\n\n')};\n`;
}

describe('the schema', () => {
  it('is what was reviewed', async () => {
    const { database } = open();
    await expect(textOf(database)).toMatchFileSnapshot('./testing/schema.sql.txt');
    database.close();
  });

  it('comes to the same from the first one, with every row', async () => {
    const first = await readFile(join(import.meta.dirname, 'testing', 'schema-1.sql.txt'), 'utf8');
    const statements = first.split(/;\n\n(?=CREATE)/);
    const [tables, others] = [true, false].map((isTable) =>
      statements.filter((sql) => sql.startsWith('CREATE TABLE') === isTable),
    );
    const database = openEncryptedDatabase(join(place, `${count++}.db`), { key });
    for (const sql of [...(tables ?? []), ...(others ?? [])]) database.exec(sql);
    expect(textOf(database)).toBe(first);
    database.exec("INSERT INTO migration VALUES (1, 1, 0); INSERT INTO message VALUES (1, x'01', 0)");
    expect(migrate(database)).toEqual({ from: 1, to: SCHEMA_VERSION, breaking: false });
    const fresh = open().database;
    expect(textOf(database)).toBe(textOf(fresh));
    expect(database.prepare('SELECT count(*) FROM message').pluck().get()).toBe(1);
    expect(migrate(database)).toEqual({ from: SCHEMA_VERSION, to: SCHEMA_VERSION, breaking: false });
    fresh.close();
    database.close();
  });

  it('is brought up to date once, and refused where a newer program changed it in a way that breaks this one', () => {
    const { database } = open();
    const versions = (): unknown => database.prepare('SELECT version FROM migration').pluck().all();
    migrate(database);
    expect(versions()).toEqual(Array.from({ length: SCHEMA_VERSION }, (_none, index) => index + 1));
    const add = database.prepare('INSERT INTO migration (version, breaking, applied_at) VALUES (?, ?, 0)');
    add.run(SCHEMA_VERSION + 1, 0);
    migrate(database);
    add.run(SCHEMA_VERSION + 2, 1);
    expect(() => migrate(database)).toThrow(expect.objectContaining({ code: 'data-newer' }));
    database.close();
  });
});

describe('the SQL', () => {
  // Each statement with the way the database takes through it, so that a change of either, and a scan of a whole table, is seen in review.
  it('is what was reviewed, and finds its rows as was reviewed', async () => {
    const { path, database } = open();
    const seen = new Set<string>();
    const prepare = vi.spyOn(Database.prototype, 'prepare');
    try {
      const entry = makeEntry('a', { jobs: [{ kind: 'media', dueAtMs: 1, payload: new Uint8Array() }] });
      createAppender(database).append([entry]);
      writing.releaseJobs(database);
      writing.claimJobs(database, { kinds: ['media'], limit: 1, nowMs: 2, leaseMs: 1 });
      writing.retryJob(database, 1, 1);
      writing.finishJob(database, 1);
      writing.putStates(database, []);
      writing.putSettings(database, []);
      writing.pinKey(database, entry.messageId, 'hold');
      writing.unpinKey(database, entry.messageId, 'hold');
      writing.closeKey(database, entry.messageId);
      writing.destroyKey(database, entry.messageId);
      await openSqliteReader(path, key).close();
      for (const [sql] of prepare.mock.calls) seen.add(sql);
    } finally {
      prepare.mockRestore();
    }
    const plan = (sql: string): string[] =>
      /^(SELECT|UPDATE|DELETE|INSERT)/.test(sql)
        ? (database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parametersOf(sql)) as { detail: string }[]).map(
            ({ detail }) => `  -- ${detail}`,
          )
        : [];
    const statements = [...seen].filter((sql) => !sql.includes('sqlite_schema')).sort();
    const text = statements.map((sql) => [`${sql.replaceAll(/\s+/g, ' ')};`, ...plan(sql)].join('\n')).join('\n\n');
    await expect(`${text}\n`).toMatchFileSnapshot('./testing/statements.sql.txt');
    database.close();
  });
});

function parametersOf(sql: string): null[] {
  return [...sql.matchAll(/\?/g)].map(() => null);
}
