/** What is released can be installed from nothing but its tarball, and runs, whatever Node the machine has. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = path.dirname(import.meta.dirname);
const shop = mkdtempSync(path.join(os.tmpdir(), 'cartulary-pack-'));
const installed = path.join(shop, 'node_modules', 'cartulary');
let unreachable = false;

beforeAll(async () => {
  // The build is part of packing (the prepack script).
  await npm(root, 'pack', '--pack-destination', shop);
  const tarball = readdirSync(shop).find((name) => name.endsWith('.tgz')) ?? '';
  expect(tarball).toMatch(/^cartulary-\d/);
  writeFileSync(path.join(shop, 'package.json'), '{ "name": "shop", "private": true }');
  await npm(shop, 'install', `./${tarball}`, '--prefer-offline', '--ignore-scripts').catch((error: unknown) => {
    if (!/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED)\b/.test(String(error))) throw error;
    unreachable = true;
  });
}, 300_000);

afterAll(() => {
  rmSync(shop, { recursive: true, force: true });
});

describe('the released package', () => {
  test('holds what runs and what is read, and nothing else', (context) => {
    context.skip(unreachable, 'the package registry cannot be reached');
    const files = readdirSync(installed, { recursive: true }).map(String);
    const top = new Set(files.map((name) => name.split(path.sep)[0]));
    for (const name of ['LICENSE', 'package.json', 'bin', 'dist']) expect(top).toContain(name);
    const expected = new Set(['LICENSE', 'README.md', 'package.json', 'bin', 'dist', 'docs', 'packs', 'node_modules']);
    expect([...top].filter((name) => name !== undefined && !expected.has(name))).toEqual([]);
    expect(files.filter((name) => name.startsWith('dist') && /\.test\.|(?<!\.d)\.ts$/.test(name))).toEqual([]);
  });

  test('prints its version', async (context) => {
    context.skip(unreachable, 'the package registry cannot be reached');
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    expect((await cartulary('--version')).stdout.trim()).toBe(version);
  });

  test('says how it is used', async (context) => {
    context.skip(unreachable, 'the package registry cannot be reached');
    expect((await cartulary('--help')).stdout).toMatch(/^Usage: cartulary /m);
  });

  test('keeps, finds and checks messages', { timeout: 300_000 }, async (context) => {
    context.skip(unreachable, 'the package registry cannot be reached');
    const event = {
      type: 'message.created',
      timestamp: '2026-11-22T10:00:00Z',
      data: {
        id: 'p1',
        channel: 'sms',
        direction: 'inbound',
        from: '+14155550100',
        to: ['+14155550101'],
        text: 'a kettle',
      },
    };
    writeFileSync(path.join(shop, 'old.jsonl'), `${JSON.stringify(event)}\n`);
    await cartulary('init', '--name', 'Packed');
    await cartulary('import', 'jsonl', 'old.jsonl');
    expect(JSON.parse((await cartulary('search', 'kettle', '--json')).stdout)).toMatchObject({ total: 1 });
    await cartulary('export', '--out', 'bundle.zip');
    for (const what of [[], ['--bundle', 'bundle.zip']])
      expect(JSON.parse((await cartulary('verify', ...what, '--json')).stdout)).toMatchObject({ ok: true, faults: [] });
  });

  test('ends with an error for a command that does not exist', async (context) => {
    context.skip(unreachable, 'the package registry cannot be reached');
    await expect(cartulary('no-such-command')).rejects.toMatchObject({ code: expect.any(Number), stdout: '' });
  });
});

async function cartulary(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run('npx', ['--no-install', 'cartulary', ...args], { cwd: shop, env: shopEnvironment(), timeout: 90_000 });
}

async function npm(cwd: string, ...args: string[]): Promise<void> {
  const options = { cwd, env: shopEnvironment(), timeout: 280_000 };
  await run('npm', [...args, '--no-audit', '--no-fund'], options).catch((error: Error & { stdout?: string }) => {
    // The compiler complains on standard output, which the error's own text leaves out.
    throw new Error(`${error.message}\n${error.stdout ?? ''}`, { cause: error });
  });
}

/** The environment of somebody who has never seen this checkout: neither its Node and tools nor what npm told us. */
function shopEnvironment(): NodeJS.ProcessEnv {
  const paths = (process.env['PATH'] ?? '').split(path.delimiter);
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(package|lifecycle|command|execpath|node_execpath|config_local_prefix)|VITEST|NODE_ENV)/.test(name),
  );
  const foreign = paths.filter((folder) => !folder.startsWith(root));
  return { ...Object.fromEntries(kept), PATH: foreign.join(path.delimiter) };
}
