/** The PostgreSQL engine on a real server: the suite of all engines, and what only it promises. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { describeStore, makeEntry } from '../testing/conformance.ts';
import { startTestServer, whyNoServer } from '../../../test/support/postgres.ts';
import type { TestServer } from '../../../test/support/postgres.ts';
import { makePlace, until } from '../../../test/support/cli.ts';
import { bringIn } from './bring-in.ts';
import { connect, uuidOf } from './connection.ts';
import type { PostgresLocation } from './connection.ts';
import { joinCopies, openStore, openStoreReader } from '../engine.ts';
import type { JobRow, StoreReader, StoreWriter } from '../store.ts';
import { beginEpochs, nextEpoch, readEpochs, writeEpochs } from './epochs.ts';
import { unwrapSecret } from './secret-wrap.ts';
import type { EpochKey } from './secret-wrap.ts';
import { openPostgresStore } from './postgres-store.ts';
import { finishEpoch, rotateEpoch } from './rotate-epoch.ts';
import { CartularyError } from '../../model/errors.ts';
import { ARCHIVE_TABLES, MIGRATIONS } from './migrations.ts';
import type { Migration } from './migrations.ts';
import { migrate, SCHEMA, SCHEMA_VERSION } from './schema.ts';
import { claimJobs, retryJob } from './writer.ts';

const key = randomBytes(32);
const missing = whyNoServer();
let server: TestServer;

beforeAll(async () => {
  if (missing === undefined) server = await startTestServer();
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await place.remove();
});

const place = await makePlace('postgres');
const fail = (cause: unknown): never => {
  throw cause;
};

/** Where an archive of these tests is. */
function locate(archive: string, url = server.url): PostgresLocation {
  return { url, archiveId: Buffer.from(archive, 'hex'), epochs: `${place.data}.${archive}.epochs.json`, key };
}

async function open(archive: string, url?: string) {
  const location = locate(archive, url);
  await beginEpochs(location, Date.now());
  return openPostgresStore(location, fail);
}
const newArchive = async (): Promise<string> => randomBytes(16).toString('hex');

/** Does something as the owner of the tables, who row-level security applies to as well. */
async function inDatabase<Result>(url: string, act: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`SET search_path = ${SCHEMA}`);
    return await act(client);
  } finally {
    await client.end();
  }
}

function ask<Row extends object>(text: string, archive?: string): Promise<Row[]> {
  return inDatabase(server.url, async (client) => {
    if (archive !== undefined) await client.query("SELECT set_config('cartulary.archive', $1, false)", [archive]);
    return (await client.query<Row>(text)).rows;
  });
}

async function countRecords(client: Client, archive: string): Promise<number> {
  await client.query("SELECT set_config('cartulary.archive', $1, false)", [archive]);
  return (await client.query('SELECT 1 FROM record')).rowCount ?? 0;
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
    await expect(open(await newArchive(), url.href)).rejects.toMatchObject({
      code: 'setting',
      message: expect.stringContaining('synchronous_commit') as string,
    });
  });

  it('says that it cannot be reached, and nothing of where it is', async () => {
    const opened = open(await newArchive(), 'postgres://u:secret@127.0.0.1:9/none');
    await expect(opened).rejects.toMatchObject({ code: 'database-away', message: 'the database cannot be reached' });
  });

  it('opens one archive from two nodes at the same time, of which one makes the tables', async () => {
    const fresh = await server.newDatabase();
    const archive = await newArchive();
    const nodes = await Promise.all(Array.from({ length: 4 }, () => open(archive, fresh)));
    const results = await Promise.all(nodes.map(({ writer }) => writer.append([makeEntry('a')])));
    expect(results.flat().filter(({ status }) => status === 'stored')).toHaveLength(1);
    for (const node of nodes) await node.close();
    expect(uuidOf(Buffer.from(archive, 'hex'))).toBe(archive);
  });

  it('goes on beside a newer version whose change is not breaking, and no longer where it is', async () => {
    const fresh = await server.newDatabase();
    const archive = await newArchive();
    const mark = (version: number, breaking: boolean): Promise<unknown> =>
      inDatabase(fresh, (client) =>
        client.query('INSERT INTO migration (version, breaking) VALUES ($1, $2)', [version, breaking]),
      );
    const running = await open(archive, fresh);
    await running.writer.append([makeEntry('a')]);
    await mark(98, false);
    const started = await open(archive, fresh);
    const results = await Promise.all(
      [running, started].map(({ writer }, at) => writer.append([makeEntry(`b ${at}`)])),
    );
    expect(results.flat().map(({ status }) => status)).toEqual(['stored', 'stored']);
    await mark(99, true);
    await expect(open(archive, fresh)).rejects.toMatchObject({
      code: 'data-newer',
      message: expect.stringContaining('schema 99') as string,
    });
    // What was connected meanwhile is told as soon as it connects again.
    await server.cutConnections(fresh);
    await until('it is refused', () =>
      running.writer.append([makeEntry('c')]).then(
        () => false,
        (cause: unknown) => cause instanceof CartularyError && cause.code === 'data-newer',
      ),
    );
    for (const node of [running, started]) await node.close();
    expect(await inDatabase(fresh, (client) => countRecords(client, archive))).toBe(3);
  });

  it('changes nothing for good while an older version works with it', async () => {
    const fresh = await server.newDatabase();
    const archive = await newArchive();
    const older = await open(archive, fresh);
    await older.writer.append([makeEntry('a')]);
    const next = SCHEMA_VERSION + 1;
    const migrations = MIGRATIONS as Migration[];
    migrations.push({ version: next, breaking: true, sql: 'ALTER TABLE job ADD COLUMN note text' });
    try {
      const newer = await connect(locate(archive, fresh));
      const change = () => migrate(newer, { upTo: next });
      await expect(change()).rejects.toMatchObject({ code: 'data-held' });
      expect((await older.writer.append([makeEntry('b')]))[0]?.status).toBe('stored');
      await older.close();
      await until('the older is gone', () =>
        change().then(
          ({ from, to, breaking }) => from === SCHEMA_VERSION && to === next && breaking,
          () => false,
        ),
      );
      await newer.end();
    } finally {
      migrations.pop();
    }
    await expect(open(archive, fresh)).rejects.toMatchObject({ code: 'data-newer' });
  });

  it('goes on after its connections were cut, and says meanwhile that it went away', async () => {
    const store = await open(await newArchive());
    await store.writer.append([makeEntry('a')]);
    await server.cutConnections(server.url);
    const entry = makeEntry('b');
    const [result] = await store.writer.append([entry]).catch(async (cause: unknown) => {
      expect(cause).toMatchObject({ code: 'database-away' });
      return store.writer.append([entry]);
    });
    expect(result).toMatchObject({ seq: 1 });
    await server.cutConnections(server.url);
    const size = await store.reader.size().catch(() => store.reader.size());
    expect(size).toBe(2);
    await store.close();
  });

  it('acknowledges nothing, not even what is known already, whose wait for a replica somebody ended', async () => {
    const store = await open(await newArchive());
    await store.writer.append([makeEntry('a')]);
    await server.asAdministrator("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await server.asAdministrator('SELECT pg_reload_conf()');
    const waitsForReplica = async (statement: string): Promise<boolean> =>
      (await server.asAdministrator(`SELECT ${statement} FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)) > 0;
    try {
      // The server takes a moment to know of its replica.
      let waiting: Promise<unknown> = Promise.resolve();
      for (let probe = 0; !(await waitsForReplica('1')); probe += 1) {
        await waiting;
        waiting = store.writer.append([makeEntry(`probe ${probe}`)]).catch((cause: unknown) => cause);
        await Promise.race([waiting, until('it waits', () => waitsForReplica('1'))]);
      }
      await until('the wait is ended', () => waitsForReplica('pg_cancel_backend(pid)'));
      expect(await waiting).toMatchObject({ code: 'database-away' });
      const again = store.writer.append([makeEntry('a')]).catch((cause: unknown) => cause);
      await until('the wait is ended', () => waitsForReplica('pg_cancel_backend(pid)'));
      expect(await again).toMatchObject({ code: 'database-away' });
    } finally {
      await server.asAdministrator('ALTER SYSTEM RESET synchronous_standby_names');
      await server.asAdministrator('SELECT pg_reload_conf()');
    }
    await until('it acknowledges again', () =>
      store.writer.append([makeEntry('a')]).then(
        ([result]) => result?.status === 'duplicate',
        () => false,
      ),
    );
    await store.close();
  });

  it('begins a new epoch under appends: every secret is wrapped anew, the former key is gone, and no copy from before opens one', async () => {
    const archive = await newArchive();
    const location = locate(archive);
    const [store, other] = [await open(archive), await open(archive)];
    const entries = Array.from({ length: 300 }, (_none, at) => makeEntry(`kept ${at}`));
    await store.writer.append(entries);
    const before = await ask<{ secret: Buffer; epoch: number }>('SELECT secret, epoch FROM message_key', archive);
    const formerFile = await readFile(location.epochs, 'utf8');
    const more = Array.from({ length: 200 }, (_none, at) => makeEntry(`meanwhile ${at}`));
    const appending = Promise.all(more.map((entry, at) => (at % 2 === 0 ? store : other).writer.append([entry])));
    const rotated = await rotateEpoch(location, Date.now(), false);
    expect((await appending).flat().every(({ status }) => status === 'stored')).toBe(true);
    expect(rotated).toMatchObject({ epoch: 2, destroyed: 1 });
    const after = await ask<{ epoch: number }>('SELECT DISTINCT epoch FROM message_key', archive);
    expect(after).toEqual([{ epoch: 2 }]);
    // Both nodes read what was wrapped under the new key, and go on appending to old messages.
    for (const { reader, writer } of [store, other]) {
      const rows = await reader.readLog(0, 500);
      expect(rows).toHaveLength(500);
      expect(Buffer.from(rows[0]?.secret ?? []).equals(entries[0]?.secret ?? Buffer.of(1))).toBe(true);
      const [known] = await writer.append([makeEntry('kept 7', { event: `read ${Math.random()}` })]);
      expect(known?.status).toBe('stored');
    }
    const epochs = readEpochs(location);
    expect(epochs.map(({ epoch }) => epoch)).toEqual([2]);
    for (const { secret } of before)
      expect(() => unwrapSecret(epochs[0] as EpochKey, secret)).toThrow('cannot be unwrapped');
    expect(formerFile).not.toBe(await readFile(location.epochs, 'utf8'));
    for (const node of [store, other]) await node.close();
  });

  it('finishes a rotation that was cut off between its steps', async () => {
    const archive = await newArchive();
    const location = locate(archive);
    const store = await open(archive);
    await store.writer.append([makeEntry('a')]);
    // As if it had been killed once the new key was there, before anybody was told.
    await writeEpochs(location, [...readEpochs(location), nextEpoch(readEpochs(location), Date.now())]);
    await store.writer.append([makeEntry('b')]);
    expect(await rotateEpoch(location, Date.now(), false)).toMatchObject({ epoch: 3, rewrapped: 2, destroyed: 2 });
    expect(await store.reader.readLog(0, 10)).toHaveLength(2);
    await store.close();
  });

  it('keeps the key of the epoch that ends until it is told, so that a replica that lags can take over', async () => {
    const archive = await newArchive();
    const location = locate(archive);
    const store = await open(archive);
    await store.writer.append([makeEntry('a'), makeEntry('b')]);
    const [lagging] = await ask<{ no: number; secret: Buffer }>('SELECT no, secret FROM message_key', archive);
    expect(await rotateEpoch(location, Date.now(), true)).toMatchObject({ epoch: 2, rewrapped: 2, destroyed: 0 });
    expect(readEpochs(location).map(({ epoch }) => epoch)).toEqual([1, 2]);
    // As the replica has it, which the rotation has not reached.
    const wrapped = `'\\x${lagging?.secret.toString('hex')}'`;
    await ask(`UPDATE message_key SET secret = ${wrapped}, epoch = 1 WHERE no = ${lagging?.no}`, archive);
    await ask('UPDATE log_head SET epoch = 1', archive);
    expect((await store.reader.readLog(0, 10)).map(({ secret }) => secret?.length)).toEqual([32, 32]);
    expect((await store.writer.append([makeEntry('c')]))[0]?.status).toBe('stored');
    expect(await finishEpoch(location)).toMatchObject({ epoch: 2, rewrapped: 2, destroyed: 1 });
    expect(readEpochs(location).map(({ epoch }) => epoch)).toEqual([2]);
    expect(await store.reader.readLog(0, 10)).toHaveLength(3);
    // The next rotation keeps one former key, not two.
    await rotateEpoch(location, Date.now(), true);
    await rotateEpoch(location, Date.now(), true);
    expect(readEpochs(location).map(({ epoch }) => epoch)).toEqual([3, 4]);
    await store.close();
  });

  it('gives out jobs by its own clock, whatever those of the nodes say', async () => {
    const DAY_MS = 86_400_000;
    const archive = await newArchive();
    const store = await open(archive);
    const nowMs = Date.now();
    const job = { kind: 'media', dueAtMs: nowMs, lossAtMs: nowMs + DAY_MS, payload: new Uint8Array() };
    await store.writer.append([makeEntry('a', { jobs: [job] })]);
    await store.close();
    const client = await connect(locate(archive));
    const claim = (): Promise<readonly JobRow[]> =>
      claimJobs(client, archive, { kinds: ['media'], limit: 5, nowMs: Date.now(), leaseMs: 60_000 });
    try {
      vi.useFakeTimers({ toFake: ['Date'], now: nowMs - 40 * DAY_MS });
      const [late] = await claim();
      // Told when it is lost by the clock of whoever asks.
      expect(Math.abs((late?.lossAtMs ?? 0) - (Date.now() + DAY_MS))).toBeLessThan(60_000);
      // A node whose clock is days ahead does not take what another has just been given.
      vi.setSystemTime(nowMs + 40 * DAY_MS);
      expect(await claim()).toEqual([]);
      // What it puts off for a second is not put off for days.
      await retryJob(client, archive, late?.id ?? 0, Date.now() - 1000);
      vi.setSystemTime(nowMs - 2 * DAY_MS);
      expect((await claim()).map(({ id }) => id)).toEqual([late?.id]);
    } finally {
      vi.useRealTimers();
      await client.end();
    }
  });

  it('lets go of a node that says nothing more, so that the others need not wait for its locks', async () => {
    const client = await connect(locate(await newArchive()));
    const { rows } = await client.query<{ name: string; setting: string }>(
      "SELECT name, setting FROM pg_settings WHERE name ~ '^(tcp_|idle_in_transaction)' ORDER BY name",
    );
    await client.end();
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, Number(setting)]))).toEqual({
      idle_in_transaction_session_timeout: 15_000,
      tcp_keepalives_count: 3,
      tcp_keepalives_idle: 5,
      tcp_keepalives_interval: 5,
      tcp_user_timeout: 20_000,
    });
  });

  it('names the file where an epoch has no key here', async () => {
    const archive = await newArchive();
    const location = locate(archive);
    const store = await open(archive);
    await store.writer.append([makeEntry('a')]);
    const elsewhere = { ...location, epochs: `${place.data}.other.epochs.json` };
    const node = await openPostgresStore(elsewhere, fail);
    await expect(node.writer.append([makeEntry('b')])).rejects.toMatchObject({
      code: 'key-missing',
      message: expect.stringContaining('other.epochs.json is missing') as string,
    });
    for (const opened of [store, node]) await opened.close();
  });

  it('gives copies that SQLite opens, and takes in what SQLite holds, row for row', async () => {
    const store = await open(await newArchive());
    await fillWithEverything(store.writer);
    const copies = { content: `${place.data}.content.db`, keys: `${place.data}.keys.db` };
    // What is about things beside this store is in no copy.
    await store.writer.putSettings([{ name: 'beside/one', value: Buffer.from('value') }]);
    expect(await store.writer.copyTo(copies.content, copies.keys)).toBe(await store.reader.size());
    await store.writer.putSettings([{ name: 'beside/one', value: undefined }]);
    joinCopies(copies.content, copies.keys, key, new Set());
    const sqlite = await openStoreReader({ engine: 'sqlite', path: copies.content, key });
    const expected = await readEverything(store.reader);
    expect(await readEverything(sqlite)).toEqual(expected);
    await sqlite.close();

    const into = locate(await newArchive(), await server.newDatabase());
    await beginEpochs(into, Date.now());
    await bringIn(into, { path: copies.content, key }, () => undefined);
    await expect(bringIn(into, { path: copies.content, key }, () => undefined)).rejects.toMatchObject({
      code: 'conflict',
    });
    const moved = await openPostgresStore(into, fail);
    expect(await readEverything(moved.reader)).toEqual(expected);
    // What was known stays known, and the log goes on where it ended.
    const [again, next] = await moved.writer.append([makeEntry('message 3'), makeEntry('new')]);
    expect(again?.status).toBe('duplicate');
    expect(next).toMatchObject({ status: 'stored', seq: await store.reader.size() });
    for (const opened of [store, moved]) await opened.close();
  });

  it('goes on bringing in where it was cut off, also after the archive went on', async () => {
    const from = `${place.data}.cut/archive.db`;
    const sqlite = await openStore({ engine: 'sqlite', path: from, key }, fail);
    await fillWithEverything(sqlite.writer);
    const into = locate(await newArchive(), await server.newDatabase());
    await beginEpochs(into, Date.now());
    await sqlite.writer.checkpoint();
    // Cut off at its last step: everything is there but the head.
    const client = await connect(into);
    await migrate(client);
    await client.query(
      "CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''cut off''; END'",
    );
    await client.query('CREATE TRIGGER cut_off BEFORE INSERT ON log_head FOR EACH ROW EXECUTE FUNCTION cut_off()');
    await expect(bringIn(into, { path: from, key }, () => undefined)).rejects.toThrow('cut off');
    await client.query('DROP TRIGGER cut_off ON log_head');
    await client.end();
    await sqlite.writer.append([
      makeEntry('report 1'),
      makeEntry('message 2', { event: 'later', settings: [{ name: 'setting/1', value: Buffer.from('changed') }] }),
    ]);
    await sqlite.writer.putStates([{ messageNo: 1, version: 2, sealed: Buffer.from('newer state') }]);
    await sqlite.writer.closeKey(makeEntry('message 8').messageId);
    await bringIn(into, { path: from, key }, () => undefined);
    const moved = await openPostgresStore(into, fail);
    expect(await readEverything(moved.reader)).toEqual(await readEverything(sqlite.reader));
    for (const opened of [sqlite, moved]) await opened.close();
  });
});

/** Messages with reports, states, jobs, settings, pins, closed and destroyed keys. */
async function fillWithEverything(writer: StoreWriter): Promise<void> {
  for (let at = 0; at < 40; at += 1)
    await writer.append([
      makeEntry(`message ${at}`, {
        settings: [{ name: `setting/${at % 3}`, value: Buffer.from(`value ${at}`) }],
        jobs: [
          { kind: 'media', dueAtMs: at, payload: Buffer.from([at]), ...(at % 2 === 0 ? { lossAtMs: at + 7 } : {}) },
        ],
      }),
      makeEntry(`message ${at}`, { event: `event ${at}` }),
      makeEntry(`report ${at}`, { event: `report ${at}` }),
    ]);
  await writer.putStates([{ messageNo: 1, version: 1, sealed: Buffer.from('state') }]);
  await writer.pinKey(makeEntry('message 5').messageId, 'hold');
  for (const at of [6, 7]) await writer.closeKey(makeEntry(`message ${at}`).messageId);
  await writer.destroyKey(makeEntry('message 7').messageId);
}

async function readEverything(reader: StoreReader): Promise<unknown> {
  const log = await reader.readLog(0, 1000);
  const numbers = Array.from(new Set(log.map(({ messageNo }) => messageNo)));
  const plain = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (_name, inner: unknown) =>
        inner instanceof Uint8Array ? Buffer.from(inner).toString('hex') : inner,
      ),
    );
  return plain({
    log,
    messages: await reader.readMessages(numbers),
    keys: await reader.listMessageNos(0, 1000),
    lasts: await reader.listLastSeqs(0, 1000),
    states: await reader.listStateNos(0, 1000),
    settings: await reader.listSettings(''),
    jobs: await reader.countJobs(),
    found: await reader.findSeqByUnique(makeEntry('x', { event: 'event 3' }).unique as Uint8Array),
  });
}
