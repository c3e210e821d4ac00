/** The launcher passes everything through, whichever Node it was started with, and installs only when it has to. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = path.dirname(import.meta.dirname);
const launcher = path.join('bin', 'cartulary.mjs');
const pinnedFolder = path.join('node_modules', `node-${process.platform}-${process.arch}`);
let checkout = '';

/** Prints what it was given as JSON; `exit <n>`, `wait` and `die` are for the tests below. */
const MAIN = `
const [, main, ...args]: string[] = process.argv;
if (args[0] === 'exit') process.exitCode = Number(args[1]);
if (args[0] === 'die') process.kill(process.pid, 'SIGTERM');
if (args.includes('wait')) {
  const timer = setTimeout(() => {}, 60_000);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      clearTimeout(timer);
      process.stdout.write(signal);
      process.exitCode = 7;
    });
  }
}
process.stdout.write(JSON.stringify({ main, args, node: process.execPath }) + '\\n');
`;

beforeEach(() => {
  checkout = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'cartulary-launcher-')));
  cpSync(path.join(root, 'bin'), path.join(checkout, 'bin'), { recursive: true });
  write('package.json', '{ "type": "module" }');
  write('src/cli/main.ts', MAIN);
});

afterEach(() => {
  rmSync(checkout, { recursive: true, force: true });
});

// `npx cartulary` in a checkout runs the file itself.
test('the launcher may be run as it is', () => {
  expect(statSync(path.join(root, launcher)).mode & 0o111).toBe(0o111);
});

describe.each([
  ['in one process, the pinned Node running', process.versions.node],
  ['by way of a second process, another Node running', '24.999.0'],
])('%s', (_, version) => {
  beforeEach(() => {
    write(path.join(pinnedFolder, 'package.json'), JSON.stringify({ version }));
    mkdirSync(path.join(checkout, pinnedFolder, 'bin'));
    symlinkSync(process.execPath, path.join(checkout, pinnedFolder, 'bin', 'node'));
  });

  test('arguments arrive as they were given', () => {
    const { status, stdout, stderr } = launch('start', '--demo', 'a b', '');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      main: path.join(checkout, 'src/cli/main.ts'),
      args: ['start', '--demo', 'a b', ''],
    });
    expect(status).toBe(0);
  });

  test('the exit code comes back', () => {
    expect(launch('exit', '3').status).toBe(3);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s reaches the command, and its way to end is kept', async (signal) => {
    const child = spawn(process.execPath, [launcher, 'wait'], { cwd: checkout, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const ended = once(child, 'exit');
    const rest = once(child.stdout, 'data');
    child.kill(signal);
    expect(String((await rest)[0])).toBe(signal);
    expect(await ended).toEqual([7, null]);
  });

  test('a command that a signal ended ends the launcher in the same way', () => {
    const { status, signal } = launch('die');
    expect({ status, signal }).toEqual({ status: null, signal: 'SIGTERM' });
  });
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s to "npm start" reaches the command, too', async (signal) => {
  // npm hands signals to the shell that it starts scripts in. If that shell stays, it dies of them and leaves us behind.
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  write('package.json', JSON.stringify({ type: 'module', scripts }));
  const args = ['start', '--silent', '--', 'wait'];
  const child = spawn('npm', args, { cwd: checkout, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const ended = once(child, 'exit');
  const rest = once(child.stdout, 'data');
  child.kill(signal);
  expect(String((await rest)[0])).toBe(signal);
  expect((await ended)[0]).toBe(7);
});

test('without the pinned Node, or with one that does not start here, a running Node that is new enough does', () => {
  expect(launch('exit', '4').status).toBe(4);
  write(path.join(pinnedFolder, 'package.json'), '{ "version": "24.999.0" }');
  write(path.join(pinnedFolder, 'bin/node'), 'not a program');
  expect(launch('exit', '5').status).toBe(5);
});

test('an installed package runs what was built', () => {
  rmSync(path.join(checkout, 'src'), { recursive: true });
  const nothing = launch('start');
  expect(nothing.stderr).toMatch(/^cartulary: .*dist\/cli\/main\.js is missing: .*\n$/);
  expect(nothing.status).toBe(1);
  write('dist/cli/main.js', 'process.exitCode = process.argv.length + 4;\n');
  expect(launch('one', 'two').status).toBe(8);
});

describe('dependencies of a checkout', () => {
  const lockOf = (version: string): string => {
    const packages = {
      '': { dependencies: { leaf: 'file:leaf' } },
      leaf: { version },
      'node_modules/leaf': { resolved: 'leaf', link: true },
    };
    return JSON.stringify({ lockfileVersion: 3, requires: true, packages });
  };

  beforeEach(() => {
    write('package.json', '{ "type": "module", "dependencies": { "leaf": "file:leaf" } }');
    write('leaf/package.json', '{ "name": "leaf", "version": "1.0.0" }');
    write('package-lock.json', lockOf('1.0.0'));
  });

  test('are installed once, with one line on standard error', () => {
    const first = launch('list', '--json');
    expect(first.stderr).toMatch(/^cartulary: installing the dependencies with "npm ci".*\n/);
    expect(JSON.parse(first.stdout)).toMatchObject({ args: ['list', '--json'] });
    expect(readFileSync(path.join(checkout, 'node_modules/leaf/package.json'), 'utf8')).toContain('leaf');
    expect(launch('list').stderr).toBe('');
  });

  test('are installed again when the lock file has changed', () => {
    expect(launch('list').status).toBe(0);
    write('leaf/package.json', '{ "name": "leaf", "version": "2.0.0" }');
    write('package-lock.json', lockOf('2.0.0'));
    expect(launch('list').stderr).toContain('npm ci');
    expect(launch('list').stderr).toBe('');
  });

  test('are left alone where somebody installed them by hand', () => {
    const env = { ...process.env, npm_config_update_notifier: 'false' };
    const byHand = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: checkout, encoding: 'utf8', env });
    expect(byHand.status).toBe(0);
    utimesSync(path.join(checkout, 'package-lock.json'), new Date(), new Date());
    const { status, stderr } = launch('list');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('that cannot be installed stop the command with one clear line', () => {
    write('package.json', '{ "type": "module", "dependencies": { "leaf": "file:elsewhere" } }');
    const { status, stdout, stderr } = launch('list');
    expect(stderr).toMatch(/\ncartulary: "npm ci" failed, see above: .*\n$/);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });
});

function write(file: string, text: string): void {
  const target = path.join(checkout, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, text);
}

function launch(...args: string[]): { status: number | null; signal: string | null; stdout: string; stderr: string } {
  const options = { cwd: checkout, encoding: 'utf8', timeout: 60_000 } as const;
  return spawnSync(process.execPath, [launcher, ...args], options);
}
