import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, describe, expect, it } from 'vitest';

import { lockDirectory } from './lock.ts';

const base = mkdtempSync(join(tmpdir(), 'cartulary-lock-'));
const HOLDER = fileURLToPath(new URL('./testing/hold-lock.ts', import.meta.url));
const children: ChildProcessWithoutNullStreams[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

let count = 0;
const newPath = (): string => join(base, `data-${count++}`, 'run', 'lock');

/** Starts a process that takes the lock; answers its first word. */
async function start(path: string): Promise<{ child: ChildProcessWithoutNullStreams; said: string }> {
  const child = spawn(process.execPath, [HOLDER, path]);
  children.push(child);
  child.stdout.setEncoding('utf8');
  const [said] = (await once(child.stdout, 'data')) as [string];
  return { child, said: said.trim() };
}

describe('the lock of a data directory', () => {
  it('is held by one process: a second is refused until the first lets go', async () => {
    const path = newPath();
    const first = await start(path);
    expect(first.said).toBe('held');
    expect((await start(path)).said).toBe('refused data-held');
    expect(() => lockDirectory(path)).toThrow(expect.objectContaining({ code: 'data-held' }));
    first.child.stdin.write('let go\n');
    expect(await once(first.child.stdout, 'data')).toEqual(['released\n']);
    expect((await start(path)).said).toBe('held');
  });

  it('goes when its holder is killed', async () => {
    const path = newPath();
    const { child, said } = await start(path);
    expect(said).toBe('held');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await start(path)).said).toBe('held');
  });

  it('refuses a second holder in the same process, too', () => {
    const path = newPath();
    const lock = lockDirectory(path);
    expect(() => lockDirectory(path)).toThrow(expect.objectContaining({ code: 'data-held' }));
    lock.release();
    lock.release();
    lockDirectory(path).release();
  });

  it('is an empty file in a directory that nobody else can enter', () => {
    const path = newPath();
    const lock = lockDirectory(path);
    expect(readFileSync(path)).toHaveLength(0);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    lock.release();
  });
});
