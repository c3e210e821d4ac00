/** The PostgreSQL engine on a real server: the suite of all engines, and what only it promises. */
import { randomBytes } from 'node:crypto';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { describeStore, makeEntry } from '../testing/conformance.ts';
import { startTestServer, whyNoServer } from '../../../test/support/postgres.ts';
import type { TestServer } from '../../../test/support/postgres.ts';
import { uuidOf } from './connection.ts';
import { openPostgresStore } from './postgres-store.ts';
import { ARCHIVE_TABLES, SCHEMA } from './schema.ts';

const key = randomBytes(32);
const missing = whyNoServer();
let server: TestServer;

beforeAll(async () => {
  if (missing === undefined) server = await startTestServer();
}, 120_000);
afterAll(() => server?.stop());

const open = (archive: string) => openPostgresStore({ url: server.url, archiveId: Buffer.from(archive, 'hex'), key });
const newArchive = async (): Promise<string> => randomBytes(16).toString('hex');

/** Asks as the owner of the tables, who row-level security applies to as well. */
async function ask<Row extends object>(text: string, archive?: string): Promise<Row[]> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    await client.query(`SET search_path = ${SCHEMA}`);
    if (archive !== undefined) await client.query("SELECT set_config('cartulary.archive', $1, false)", [archive]);
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

describe.skipIf(missing !== undefined)(missing === undefined ? 'PostgreSQL' : `skipped, PostgreSQL: ${missing}`, () => {
  describeStore({ name: 'PostgreSQL', open, newPlace: newArchive });

  it('can spread each table over machines: the archive leads every key', async () => {
    const store = await open(await newArchive());
    const keys = await ask<{ table: string; column: string }>(`
      SELECT c.conrelid::regclass::text AS table, a.attname AS column FROM pg_constraint c
      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
      WHERE c.connamespace = '${SCHEMA}'::regnamespace AND c.contype IN ('p', 'u', 'f')
      UNION SELECT i.indrelid::regclass::text, a.attname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE t.relnamespace = '${SCHEMA}'::regnamespace`);
    const ofArchives = keys.filter(({ table }) => table !== 'migration');
    expect(new Set(ofArchives.map(({ column }) => column))).toEqual(new Set(['archive']));
    expect(ofArchives.map(({ table }) => table)).toEqual(expect.arrayContaining([...ARCHIVE_TABLES]));
    await store.close();
  });

  it('shows a connection one archive, whatever a statement forgot', async () => {
    const [mine, other] = [await newArchive(), await newArchive()];
    const stores = [await open(mine), await open(other)];
    for (const store of stores) await store.writer.append([makeEntry('a'), makeEntry('b')]);
    expect(await ask('SELECT * FROM record', mine)).toHaveLength(2);
    expect(await ask('SELECT DISTINCT archive::text FROM message', other)).toHaveLength(1);
    for (const table of ARCHIVE_TABLES) expect(await ask(`SELECT * FROM ${table}`), table).toEqual([]);
    await expect(ask(`INSERT INTO setting VALUES ('${other}', 'x', '')`, mine)).rejects.toThrow('row-level security');
    for (const store of stores) await store.close();
  });

  it('holds no secret as it is, and no record of its own in a partition that anybody reads past it', async () => {
    const archive = await newArchive();
    const store = await open(archive);
    const entry = makeEntry('a');
    await store.writer.append([entry]);
    const [row] = await ask<{ secret: Buffer }>('SELECT secret FROM message_key', archive);
    expect(row?.secret).toHaveLength(40);
    expect(row?.secret.includes(Buffer.from(entry.secret).subarray(0, 8))).toBe(false);
    const partitions = await ask<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'record'::regclass`,
    );
    expect(partitions.length).toBeGreaterThan(0);
    for (const { name } of partitions) expect(await ask(`SELECT * FROM ${name}`, archive)).toEqual([]);
    await store.close();
  });

  it('numbers what several nodes append at once without hole or double', { timeout: 60_000 }, async () => {
    const archive = await newArchive();
    const nodes = await Promise.all([open(archive), open(archive), open(archive)]);
    const results = await Promise.all(
      nodes.flatMap(({ writer }, node) =>
        Array.from({ length: 40 }, async (_none, at) => [
          ...(await writer.append([makeEntry(`same ${at}`), makeEntry(`own ${node} ${at}`)])),
          ...(await writer.append([makeEntry(`same ${at}`, { event: `read ${at} ${node}` })])),
        ]),
      ),
    );
    const stored = results.flat().flatMap((result) => (result.status === 'stored' ? [result.seq] : []));
    expect(stored.toSorted((one, other) => one - other)).toEqual(
      Array.from({ length: 40 + 3 * 40 + 3 * 40 }, (_none, seq) => seq),
    );
    const rows = await nodes[0]?.reader.readLog(0, 1000);
    expect(rows?.map(({ seq }) => seq)).toEqual(stored.map((_seq, at) => at));
    // Each chain leads to the record before it, whichever node wrote that.
    const last = new Map<number, number>();
    for (const { seq, messageNo, previousSeq } of rows ?? []) {
      expect(previousSeq).toBe(last.get(messageNo));
      last.set(messageNo, seq);
    }
    for (const node of nodes) await node.close();
  });

  it('refuses a server that does not wait for its disk', async () => {
    const url = new URL(server.url);
    url.searchParams.set('options', '-c synchronous_commit=off');
    await expect(openPostgresStore({ url: url.href, archiveId: randomBytes(16), key })).rejects.toMatchObject({
      code: 'setting',
      message: expect.stringContaining('synchronous_commit') as string,
    });
  });

  it('says that it cannot be reached, and nothing of where it is', async () => {
    const opened = openPostgresStore({ url: 'postgres://u:secret@127.0.0.1:9/none', archiveId: randomBytes(16), key });
    await expect(opened).rejects.toMatchObject({ code: 'overloaded', message: 'the database cannot be reached' });
  });

  it('opens one archive from two nodes at the same time, of which one makes the tables', async () => {
    const fresh = await server.newDatabase();
    const archive = await newArchive();
    const nodes = await Promise.all(
      Array.from({ length: 4 }, () => openPostgresStore({ url: fresh, archiveId: Buffer.from(archive, 'hex'), key })),
    );
    const results = await Promise.all(nodes.map(({ writer }) => writer.append([makeEntry('a')])));
    expect(results.flat().filter(({ status }) => status === 'stored')).toHaveLength(1);
    for (const node of nodes) await node.close();
    expect(uuidOf(Buffer.from(archive, 'hex'))).toBe(archive);
  });
});
