/** The command line as scripts use it: exit codes, paths, files and addresses that cannot be used, a server beside it. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CapacityReport } from '../../src/api/operations/capacity.ts';
import { makePlace, runCli, runJson, serve } from '../support/cli.ts';
import type { Served } from '../support/cli.ts';

const place = await makePlace('cli');
const elsewhere = await mkdtemp(join(tmpdir(), 'cartulary-cwd-'));
let server: Served;
let made: { archiveId: string; apiKey: string; logKey: string; recoveryKit: string };

const LINE = JSON.stringify({
  type: 'message.created',
  timestamp: '2026-11-22T10:00:00Z',
  data: {
    id: 'c1',
    channel: 'sms',
    direction: 'inbound',
    from: '+14155550100',
    to: ['+14155550101'],
    text: 'a kettle',
  },
});

beforeAll(async () => {
  made = await runJson(['init', '--data', place.data, '--name', 'Cli']);
  server = await serve(place.data);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await place.remove();
  await rm(elsewhere, { recursive: true, force: true });
});

describe('beside a running server', { timeout: 60_000 }, () => {
  it('paths are those of who types them, not of the server', async () => {
    await writeFile(join(elsewhere, 'old.jsonl'), `${LINE}\n`);
    const imported = await runCli(
      ['import', 'jsonl', 'old.jsonl', '--data', place.data, '--json'],
      {},
      { cwd: elsewhere },
    );
    expect(JSON.parse(imported.stdout)).toMatchObject({ read: 1, sealed: 1, duplicates: 0, rejected: [] });
    const exported = await runCli(
      ['export', '--out', 'bundle.zip', '--data', place.data, '--json'],
      {},
      { cwd: elsewhere },
    );
    expect(exported.code).toBe(0);
    expect((await stat(join(elsewhere, 'bundle.zip'))).isFile()).toBe(true);
  });

  it('a message is dated by its event where nothing else is said', async () => {
    const { stdout } = await runCli(['search', 'kettle', '--data', place.data, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ items: [{ sentAt: '2026-11-22T10:00:00.000Z' }] });
  });

  it.each([
    ['a number that is none', ['search', '--limit', 'abc', 'x'], 2, /--limit is a whole number/],
    ['a number out of bounds', ['search', '--limit', '0', 'x'], 2, /limit: .*>=1/],
    ['a query that cannot be read', ['search', '('], 2, /column/],
    ['a file that is not there', ['import', 'jsonl', 'no-such-file'], 1, /no-such-file: there is no such file/],
    ['a directory for a file', ['import', 'jsonl', '/'], 1, /it is no file/],
    ['a folder that is not there', ['export', '--out', '/no-such-folder/b.zip'], 1, /no-such-folder: there is no such/],
    ['an option that is not there', ['search', '--no-such'], 2, /unknown option/],
  ])('%s is answered with what to do', async (_, args, code, text) => {
    const result = await runCli([...args, '--data', place.data]);
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(result.stderr).toMatch(text);
  });

  it('how far the archive will carry is told to people and to programs', async () => {
    const args = ['capacity', '--texts-a-month', '3000000', '--years', '7', '--data', place.data];
    const report = await runJson<CapacityReport>(args);
    expect(report).toMatchObject({ years: 7, growthFrom: 'option' });
    expect(report.recordsPerMonth).toBe(3_000_000 * report.measured.recordsPerText);
    expect(report.lines.find(({ unit }) => unit === 'bytes')?.ahead).toBeGreaterThan(1e11);
    for (const { now, ahead, what } of report.lines) expect(ahead, what).toBeGreaterThanOrEqual(now);
    const small = await runJson<CapacityReport>([...args, '--texts-a-month', '3000']);
    expect(small.bounds.every(({ inMonths }) => inMonths === 'never' || inMonths === 'unknown')).toBe(true);
    const { stdout } = await runCli(args);
    expect(stdout).toContain('7 years ahead');
    expect(stdout).toMatch(/One machine is (no longer )?enough/);
    expect((await runCli([...args, '--years', 'many'])).code).toBe(2);
  });

  it('a second server on the same address ends and says why', async () => {
    const data = join(place.path, 'second');
    const result = await runCli(['start', '--data', data], { CARTULARY_LISTEN: `127.0.0.1:${server.port}` });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/127\.0\.0\.1:\d+: another process listens there/);
  });
});

describe('init', { timeout: 60_000 }, () => {
  it('a demo does not play in an archive that it did not make', async () => {
    for (const command of [['start', '--demo'], ['demo']]) {
      const { code, stderr } = await runCli([...command, '--data', place.data]);
      expect(code).toBe(1);
      expect(stderr).toContain('name another directory with --data');
    }
  });

  it('makes nothing where the file for the kit cannot be made', async () => {
    const kit = join(place.path, 'kit.txt');
    await writeFile(kit, 'somebody else’s');
    const data = join(place.path, 'third');
    expect(await runCli(['init', '--name', 'X', '--data', data, '--kit', kit])).toMatchObject({ code: 1, stdout: '' });
    expect((await runCli(['init', '--name', 'X', '--data', data, '--kit', join(place.path, 'kit2.txt')])).code).toBe(0);
  });

  it('prints what programs need', () => {
    expect(Object.keys(made).sort()).toEqual(['apiKey', 'archiveId', 'logKey', 'recoveryKit']);
  });
});
