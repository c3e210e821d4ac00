/** The house keeps its own rules: the floors checker names what it finds, and sees what it is meant to see. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = path.dirname(import.meta.dirname);
let house = '';

beforeEach(() => {
  house = mkdtempSync(path.join(os.tmpdir(), 'cartulary-house-'));
  write('package.json', '{ "type": "module" }');
});

afterEach(() => {
  rmSync(house, { recursive: true, force: true });
});

describe('floors checker', () => {
  test('lets imports from floors below pass', () => {
    write('src/ledger/tree.ts', "import { createHash } from 'node:crypto';\nexport const hash = createHash;\n");
    write('src/model/time.ts', 'export type Instant = number;\n');
    write('src/vault/seal.ts', "import type { Instant } from '../model/time.ts';\nexport const at: Instant = 0;\n");
    write('src/store/store.ts', "export { hash } from '../ledger/tree.ts';\nexport { at } from '../vault/seal.ts';\n");
    write('src/archive/capture.ts', "export { hash } from '../store/store.ts';\n");
    expect(cruise()).toEqual({ status: 0, lines: ['floors: 5 of 5 files, 0 rules broken'] });
  });

  test('names the rule when ledger imports archive, in whatever way it does', () => {
    write('src/archive/door.ts', 'export type Door = AsyncDisposable;\nexport declare const open: () => Door;\n');
    const ways = {
      value: "import { open } from '../archive/door.ts';\nexport const opened = open;\n",
      type: "import type { Door } from '../archive/door.ts';\nexport type Opened = Door;\n",
      'type-in-place': "export type Opened = import('../archive/door.ts').Door;\n",
      're-export': "export * from '../archive/door.ts';\n",
      dynamic: "export const opened = async () => import('../archive/door.ts');\n",
      // Older parsers give up at syntax that they do not know, and with it on the whole file.
      'new-syntax':
        "import { open } from '../archive/door.ts';\nexport async function run() {\n  await using d = open();\n  return d;\n}\n",
    };
    for (const [way, text] of Object.entries(ways)) write(`src/ledger/${way}.ts`, text);
    const { status, lines } = cruise();
    for (const way of Object.keys(ways)) {
      const broken = `error floor-ledger: src/ledger/${way}.ts -> src/archive/door.ts`;
      expect(lines.filter((line) => line.startsWith(broken))).toHaveLength(1);
    }
    expect(lines.at(-1)).toBe('floors: 7 of 7 files, 6 rules broken');
    expect(status).toBe(1);
  });

  test('names neighbours on one floor, circles, I/O in the model, drivers and tests out of place', () => {
    write('src/search/index.ts', "export { policy } from '../policy/policy.ts';\n");
    write('src/policy/policy.ts', "import { pack } from './pack.ts';\nexport const policy = () => pack;\n");
    write('src/policy/pack.ts', "import { policy } from './policy.ts';\nexport const pack = () => policy;\n");
    write('src/model/time.ts', "export { readFileSync } from 'node:fs';\n");
    write('node_modules/kysely/package.json', '{ "name": "kysely", "version": "1.0.0", "main": "index.js" }');
    write('node_modules/kysely/index.js', 'module.exports = {};\n');
    write('src/jobs/queue.ts', "export * from 'kysely';\n");
    write('src/api/server.ts', "export * from './server.test.ts';\n");
    write('src/api/server.test.ts', 'export const port = 0;\n');
    const { status, lines } = cruise();
    const rules = lines.slice(0, -1).map((line) => /^error ([\w-]+):/.exec(line)?.[1]);
    const expected = ['floor-search', 'model-is-pure', 'no-circles', 'no-test-in-product', 'sql-stays-in-store'];
    expect(new Set(rules)).toEqual(new Set(expected));
    expect(status).toBe(1);
  });

  test('does not take a house in which it saw nothing for a good one', () => {
    mkdirSync(path.join(house, 'src'));
    expect(cruise().status).toBe(1);
  });
});

test('the lock file binds nobody to a registry', () => {
  const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
  expect(lock).not.toContain('"resolved"');
});

function write(file: string, text: string): void {
  const target = path.join(house, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, text);
}

function cruise(): { status: number | null; lines: string[] } {
  const args = [path.join(root, 'scripts', 'floors.mjs'), house];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
  expect(stderr).toBe('');
  return { status, lines: stdout.trimEnd().split('\n') };
}
