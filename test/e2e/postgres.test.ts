/** An archive whose records are in PostgreSQL, as its operator has it, on a real server: captured, found, checked, backed up, moved, and the database going away. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { checkBackup } from '../../src/archive/check-backup.ts';
import type { BackupCheck } from '../../src/archive/check-backup.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { MessagePage } from '../../src/archive/views.ts';
import type * as migrations from '../../src/store/postgres/migrations.ts';
import { makePlace, runCli, runJson, serve, until } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';
import { startTestServer, whyNoServer } from '../support/postgres.ts';
import type { TestServer } from '../support/postgres.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

/** What a newer version does to the tables, in checks within this process. */
const change = vi.hoisted(() => ({ sql: '' }));
vi.mock('../../src/store/postgres/migrations.ts', async (importOriginal) => {
  const { MIGRATIONS } = await importOriginal<typeof migrations>();
  const next: migrations.Migration = {
    version: MIGRATIONS.length + 1,
    breaking: false,
    get sql() {
      return change.sql;
    },
  };
  return { MIGRATIONS: [...MIGRATIONS, next] };
});

const missing = whyNoServer();
const place = await makePlace('e2e-postgres');
let database: TestServer;
let env: Record<string, string>;
const running: Served[] = [];

beforeAll(async () => {
  if (missing !== undefined) return;
  database = await startTestServer();
  env = { CARTULARY_DATABASE: database.url };
}, 120_000);
afterAll(async () => {
  for (const server of running) await server.kill();
  await database?.stop();
  await place.remove();
});

/** Runs a statement as the owner of a database. @returns how many rows it gave */
async function inDatabase(url: string, sql: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}

/** Starts it, with a source; gives the URL of its hook. */
async function startWithSource(
  data: string,
  name: string,
  own: Record<string, string>,
): Promise<{ server: Served; hookUrl: string }> {
  const server = await serve(data, { env: own });
  running.push(server);
  const source = ['source', 'add', 'twilio', '--data', data, '--name', name, '--secret', AUTH_TOKEN];
  const { hookUrl } = await runJson<{ hookUrl: string }>(source, own);
  return { server, hookUrl };
}

async function send(hookUrl: string, from: number, to: number): Promise<number[]> {
  const statuses: number[] = [];
  await inParallel(
    Array.from({ length: to - from }, (_none, at) => from + at),
    8,
    async (number) => {
      const fields = inboundFields(`SM${String(number).padStart(32, '0')}`, `parcel number ${number}`);
      const answer = await fetch(hookUrl, signedForm(hookUrl, fields));
      await answer.arrayBuffer();
      statuses.push(answer.status);
    },
  );
  return statuses;
}

const total = async (data: string, more: Record<string, string> = env): Promise<number> =>
  (await runJson<MessagePage>(['search', 'parcel', '--data', data, '--limit', '1'], more)).total;

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'an archive in PostgreSQL' : `skipped, an archive in PostgreSQL: ${missing}`,
  () => {
    const kit = join(place.path, 'kit.txt');
    const backups = join(place.path, 'backups');
    let hookUrl: string;

    it(
      'is made, captures, finds and verifies, and shows nothing of a text to the database',
      { timeout: 120_000 },
      async () => {
        await runJson(['init', '--data', place.data, '--name', 'Large', '--kit', kit], env);
        ({ hookUrl } = await startWithSource(place.data, 'large', env));
        expect(new Set(await send(hookUrl, 0, 150))).toEqual(new Set([200]));
        // Sent again, it is there once.
        expect(new Set(await send(hookUrl, 0, 20))).toEqual(new Set([200]));
        await until('all are found', async () => (await total(place.data)) === 150);
        const report = await runJson<VerifyReport>(['verify', '--data', place.data], env);
        expect(report).toMatchObject({ ok: true, faults: [] });
        expect(
          await readdir(join(place.data, 'archives')).then(([id]) => readdir(join(place.data, 'archives', id ?? ''))),
        ).not.toContain('archive.db');
        const rows = await database.dump();
        expect(rows.length).toBeGreaterThan(150);
        for (const text of rows) expect(text).not.toMatch(/parcel|70617263656c|15550100123/);
      },
    );

    it(
      'refuses to open without its database, and names no database with its password',
      { timeout: 60_000 },
      async () => {
        const [server] = running;
        await server?.stop();
        const without = await runCli(['search', 'parcel', '--data', place.data]);
        expect(without.code).not.toBe(0);
        expect(without.stderr).toContain('CARTULARY_DATABASE');
        const url = new URL(database.url);
        url.port = '9';
        const away = await runCli(['search', 'parcel', '--data', place.data], { CARTULARY_DATABASE: url.href });
        expect(away.stderr).toContain('cannot be reached');
        expect(away.stderr + away.stdout).not.toContain(url.password);
      },
    );

    it(
      'goes on by itself after the database was away: nothing acknowledged is lost, what was refused comes again',
      { timeout: 120_000 },
      async () => {
        const server = await serve(place.data, { env });
        running.push(server);
        // The hook's address has the port of the server that is running.
        const hook = `${server.url}${new URL(hookUrl).pathname}`;
        const statuses: number[] = [];
        const sending = send(hook, 150, 350).then((all) => statuses.push(...all));
        await database.cutConnections(database.url);
        await sending;
        expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
        await until('everything is acknowledged', async () =>
          (await send(hook, 150, 350)).every((status) => status === 200),
        );
        await until('all are found', async () => (await total(place.data)) === 350, 30);
        expect(await runJson<VerifyReport>(['verify', '--data', place.data], env)).toMatchObject({
          ok: true,
          faults: [],
        });
        await database.restart?.();
        await until(
          'it captures again',
          async () => (await send(hook, 350, 360)).every((status) => status === 200),
          30,
        );
        await until('all are found', async () => (await total(place.data)) === 360, 30);
      },
    );

    it(
      'signs nothing over records that a failover lost, and says so; capture goes on',
      { timeout: 120_000 },
      async () => {
        const data = join(place.path, 'failed-over', 'data');
        const url = await database.newDatabase();
        const own = { CARTULARY_DATABASE: url };
        const { server, hookUrl: hook } = await startWithSource(data, 'f', own);
        expect(new Set(await send(hook, 0, 40))).toEqual(new Set([200]));
        const failOver = await database.makeReplica(url);
        await until('it captures again', async () => (await send(hook, 40, 60)).every((status) => status === 200));
        const before = await runJson<VerifyReport>(['verify', '--data', data], own);
        expect(before).toMatchObject({ ok: true });
        await failOver();
        await until('it captures again', async () => (await send(hook, 60, 120)).every((status) => status === 200));
        await until('it says so', async () => server.log().includes('the log is not being signed'));
        const report = await runJson<VerifyReport>(['verify', '--data', data], own).catch((cause: unknown) =>
          String(cause),
        );
        expect(JSON.stringify(report)).toMatch(/signing-refused/);
        expect(JSON.stringify(report)).toMatch(/leaf-differs/);
        await server.stop();
      },
    );

    it('begins a new epoch while it runs, on record', { timeout: 60_000 }, async () => {
      const rotated = await runJson<{ epoch: number; rewrapped: number }>(
        ['key', 'rotate-epoch', '--data', place.data],
        env,
      );
      expect(rotated.epoch).toBe(2);
      expect(rotated.rewrapped).toBeGreaterThan(360);
      expect(await total(place.data)).toBe(360);
    });

    it(
      'is backed up, checked, and restored into a file and into another database with the same root',
      { timeout: 180_000 },
      async () => {
        const backup = await runJson<{ path: string; records: number }>(['backup', backups, '--data', place.data], env);
        const live = await runJson<VerifyReport>(['verify', '--data', place.data], env);
        expect(
          await runJson<{ ok: boolean }>(['backup', 'check', backup.path, '--data', place.data], env),
        ).toMatchObject({ ok: true });
        const checkpoint = join(backup.path, 'content', 'checkpoint');
        for (const [name, into] of [
          ['file', {}],
          ['database', { CARTULARY_DATABASE: await database.newDatabase() }],
        ] as const) {
          const other = join(place.path, name, 'data');
          const restored = await runJson<{ records: number }>(
            ['restore', backup.path, '--data', other, '--kit', kit],
            into,
          );
          expect(restored.records).toBe(backup.records);
          expect(await total(other, into)).toBe(360);
          const report = await runJson<VerifyReport>(['verify', '--data', other, '--checkpoint', checkpoint], into);
          expect(report).toMatchObject({ ok: true, faults: [] });
          expect(report.size).toBeGreaterThanOrEqual(backup.records);
        }
        expect(live.ok).toBe(true);
      },
    );

    it(
      'is tried with the tables of a new version before it gets them, elsewhere, and nothing of that stays',
      { timeout: 120_000 },
      async () => {
        const elsewhere = await database.newDatabase();
        // What a check that was killed has left is in nobody's way.
        await inDatabase(
          elsewhere,
          'CREATE SCHEMA cartulary_check; CREATE TABLE cartulary_check.migration (left_by text)',
        );
        const upgrade = ['upgrade', '--check', '--backup', backups, '--data', place.data];
        type Checked = BackupCheck & { wayBack: string; notTried?: string };
        const checked = await runJson<Checked>([...upgrade, '--database', elsewhere], env);
        expect(checked).toMatchObject({ ok: true, faults: [], wayBack: 'same data', schema: { from: 2, to: 2 } });
        expect(checked.schema?.after).toEqual(checked.schema?.before);
        expect(checked.schema?.after).toMatchObject({ records: checked.records });
        expect(checked.checked).toBe(checked.records);
        expect(checked.notTried).toBeUndefined();
        expect(await inDatabase(elsewhere, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'cartulary%'")).toBe(0);
        const refused = await runCli([...upgrade, '--database', elsewhere]);
        expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('give CARTULARY_DATABASE')]);
      },
    );

    it.each([
      ['adds to them', 'ALTER TABLE job ADD COLUMN note text', undefined, /^$/],
      [
        'spoils a leaf',
        "DROP TRIGGER record_never_changes ON record; UPDATE record SET leaf = decode(repeat('00', length(leaf)), 'hex') WHERE seq = 9",
        'root-differs',
        /not those of the checkpoint/,
      ],
      [
        'takes a record',
        'DROP TRIGGER record_is_kept ON record; DELETE FROM record WHERE seq = 9',
        'conflict',
        /\d+ rec/,
      ],
      ['cannot be made', 'ALTER TABLE nowhere ADD COLUMN note text', 'conflict', /SQLSTATE 42P01/],
    ] as const)(
      'a check sees through a change of the tables that %s',
      { timeout: 60_000 },
      async (_, sql, code, text) => {
        const elsewhere = await database.newDatabase();
        change.sql = sql;
        const checked = await checkBackup({
          ...{ from: backups, kit: await readFile(kit, 'utf8'), workIn: place.path, onProgress: () => undefined },
          tables: { url: elsewhere, inService: database.url },
        });
        expect(checked.faults.map((fault) => fault.code)).toEqual(code === undefined ? [] : [code]);
        expect(checked.faults[0]?.text ?? '').toMatch(text);
        if (code === undefined)
          expect(checked).toMatchObject({ ok: true, schema: { from: 2, to: 3, breaking: false } });
        expect(await inDatabase(elsewhere, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'cartulary%'")).toBe(0);
      },
    );
  },
);

describe.skipIf(missing !== undefined)(
  missing === undefined ? 'an archive that moves into PostgreSQL' : `skipped, moving into PostgreSQL: ${missing}`,
  () => {
    it('has the same root and the same answers, and its file stays', { timeout: 120_000 }, async () => {
      const data = join(place.path, 'moving', 'data');
      const to = { CARTULARY_DATABASE: await database.newDatabase() };
      const { server, hookUrl } = await startWithSource(data, 'moving', {});
      expect(new Set(await send(hookUrl, 0, 80))).toEqual(new Set([200]));
      await until('all are found', async () => (await total(data, {})) === 80);
      const held = await runCli(['migrate', '--data', data], to);
      expect(held.stderr).toContain('another process');
      await server.stop();
      const refused = await runCli(['search', 'parcel', '--data', data], to);
      expect(refused.stderr).toContain('cartulary migrate');
      const moved = await runJson<{ records: number; root: string; former: string }>(['migrate', '--data', data], to);
      expect(moved.records).toBeGreaterThan(80);
      expect((await readFile(moved.former)).length).toBeGreaterThan(0);
      expect(await total(data, to)).toBe(80);
      expect(await runJson<VerifyReport>(['verify', '--data', data], to)).toMatchObject({ ok: true, faults: [] });
      const again = await runCli(['migrate', '--data', data], to);
      expect(again.stderr).toContain('in a database already');
    });
  },
);
