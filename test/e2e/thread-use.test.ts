/** Which threads a command starts and what it loads: a command that looks something up shall not pay for a server. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makePlace, runCli, runJson, serve } from '../support/cli.ts';
import { AUTH_TOKEN } from '../support/twilio.ts';

const place = await makePlace('thread-use');
const preload = (name: string): string =>
  `--import=${fileURLToPath(new URL(`../support/${name}.mjs`, import.meta.url))}`;

beforeAll(async () => {
  await runJson(['init', '--data', place.data, '--name', 'Threads']);
}, 120_000);
afterAll(() => place.remove());

type Noted = {
  /** Parts of the archive by the thread that loaded them. */
  readonly parts: Readonly<Record<string, readonly string[]>>;
  /** Packages that the main thread loaded. */
  readonly packages: ReadonlySet<string>;
};

async function readNotes(path: string): Promise<Noted> {
  const parts: Record<string, string[]> = {};
  const packages = new Set<string>();
  for (const line of (await readFile(path, 'utf8')).split('\n').filter(Boolean)) {
    const [thread = '', url = ''] = line.split(' ');
    const [, part] =
      /\/src\/(?:archive\/threads|store\/sqlite)\/(worker|\w+(?=-thread))(?:-thread)?\.ts$/.exec(url) ?? [];
    if (part !== undefined) (parts[thread] ??= []).push(part);
    const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
    if (thread === 'main' && name !== undefined) packages.add(name);
  }
  for (const list of Object.values(parts)) list.sort();
  return { parts, packages };
}

let count = 0;
const notesOf = (): { path: string; env: Record<string, string> } => {
  const path = join(place.path, `notes-${(count += 1)}`);
  return { path, env: { NODE_OPTIONS: preload('note-threads'), NOTE_THREADS: path } };
};

async function note(...args: string[]): Promise<Noted> {
  const { path, env } = notesOf();
  const { code, stderr } = await runCli(args, env);
  expect([args[0], code, code === 0 ? '' : stderr]).toEqual([args[0], 0, '']);
  return readNotes(path);
}

const onData = (...args: string[]): Promise<Noted> => note(...args, '--data', place.data);

describe('a command', () => {
  it('that opens no archive loads nothing of it', { timeout: 60_000 }, async () => {
    expect(await note('--help')).toEqual({ parts: {}, packages: new Set(['commander']) });
    expect(await note('search', '--help')).toMatchObject({ parts: {} });
  });

  it.each([
    [['source', 'list'], ['worker']],
    [
      ['source', 'add', 'twilio', '--name', 't', '--secret', AUTH_TOKEN],
      ['log', 'seal', 'worker'],
    ],
    [
      ['search', 'lamp'],
      ['count', 'follow', 'log', 'read', 'seal', 'worker'],
    ],
    [['verify'], ['log', 'seal', 'verify', 'worker']],
  ])('starts what it needs, in one thread: %s', { timeout: 120_000 }, async (args, expected) => {
    expect((await onData(...args)).parts).toEqual({ shared: expected });
  });

  it('that looks something up loads neither what serves nor what reads platforms', { timeout: 60_000 }, async () => {
    const { packages } = await onData('search', 'lamp');
    for (const name of ['fastify', 'undici', 'nodemailer', 'yaml', 'libphonenumber-js', 'file-type', '@aws-sdk', 'pg'])
      expect([name, packages.has(name)]).toEqual([name, false]);
  });

  it('that keeps several threads busy starts each by itself', { timeout: 120_000 }, async () => {
    const file = join(place.path, 'events.jsonl');
    const event = {
      type: 'message',
      id: 'm1',
      channel: 'sms',
      direction: 'inbound',
      from: '+15551234567',
      text: 'lamp',
    };
    await writeFile(file, `${JSON.stringify(event)}\n`);
    const { path, env } = notesOf();
    await runCli(['import', 'jsonl', file, '--data', place.data], env);
    const { parts } = await readNotes(path);
    expect(parts).toMatchObject({ 'store-writer': ['worker'], seal: ['seal'], log: ['log'] });
    expect(parts['shared']).toBeUndefined();
  });

  it('ends where its thread dies', { timeout: 120_000 }, async () => {
    const order = join(place.path, 'die');
    await writeFile(order, 'shared throw');
    const env = { NODE_OPTIONS: preload('die-in-thread'), DIE_IN_THREAD: order };
    const { code, stdout, stderr } = await runCli(['search', 'lamp', '--data', place.data], env, { msMax: 60_000 });
    // While it starts, which is a failure of the command, or after, which is a death.
    expect([1, 70]).toContain(code);
    expect(stdout).toBe('');
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

describe('a server', () => {
  it('has every thread by the time it is ready', { timeout: 120_000 }, async () => {
    const { path, env } = notesOf();
    const server = await serve(place.data, { env });
    try {
      expect((await readNotes(path)).parts).toEqual({
        'store-writer': ['worker'],
        'store-maintenance': ['worker'],
        ...Object.fromEntries(['count', 'follow', 'log', 'read', 'seal'].map((name) => [name, [name]])),
      });
    } finally {
      await server.stop();
    }
  });
});
