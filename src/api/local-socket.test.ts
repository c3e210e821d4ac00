import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type os from 'node:os';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';

import { callLocalSocket, serveLocalSocket } from './local-socket.ts';
import { localContext } from './operation.ts';
import type { Face, Service } from './service.ts';

const users = vi.hoisted(() => ({ hasName: true }));
vi.mock('node:os', async (importOriginal) => {
  const real = await importOriginal<typeof os>();
  return {
    ...real,
    userInfo: () => {
      if (users.hasName) return real.userInfo();
      throw Object.assign(new Error('A system error occurred: uv_os_get_passwd returned ENOENT'), { code: 'ENOENT' });
    },
  };
});

const place = await mkdtemp(join(tmpdir(), 'cartulary-socket-'));
afterAll(() => rm(place, { recursive: true, force: true }));
let server: Server | undefined;
afterEach(() => void server?.close());

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** A process that answers every request with these bytes and is gone. */
async function listen(name: string, bytes: string): Promise<string> {
  const path = join(place, name);
  const made = createServer((socket) => {
    socket.once('data', () => socket.end(bytes));
    socket.on('error', () => undefined);
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(path, resolve));
  return path;
}

const call = (path: string): Promise<unknown> => callLocalSocket(path, 'search', {}, () => undefined);

describe('a command that asks the process which holds the data directory', () => {
  it('has its result', async () => {
    const lines = chunk('{"progress":{"done":1,"total":2}}\n{"result":') + chunk('[1]}\n');
    expect(await call(await listen('whole', `${HEAD}${lines}0\r\n\r\n`))).toEqual({ result: [1] });
  });

  it('hears nothing where nobody answers', async () => {
    expect(await call(join(place, 'nobody'))).toBeUndefined();
  });

  it.each([
    ['within a line', HEAD + chunk('{"result":{"it')],
    ['within a line, orderly', `${HEAD}${chunk('{"result":{"it')}0\r\n\r\n`],
    ['between two lines', HEAD + chunk('{"progress":{"done":1,"total":2}}\n')],
    ['before the first', HEAD],
    ['within a chunk', `${HEAD}ff\r\n{"result"`],
    ['with what is no answer', `${HEAD}${chunk('null\n5\n')}0\r\n\r\n`],
    ['with an error of another shape', `${HEAD}${chunk('{"error":null}\n')}0\r\n\r\n`],
  ])('is told that it ended where it ends %s', async (name, bytes) => {
    await expect(call(await listen(name.replaceAll(' ', '-'), bytes))).rejects.toMatchObject({ code: 'stopping' });
  });
});

describe('the process that holds the data directory', () => {
  it.each(['', '{"q":', 'undefined'])('refuses arguments that are no JSON: %j', async (body) => {
    const path = join(place, 'holder');
    const operation = { name: 'echo', run: async (args: unknown) => args };
    const socket = await serveLocalSocket(path, { open: () => ({}), whyClosed: () => undefined } as Face, [operation]);
    try {
      expect(await callLocalSocket(path, 'echo', [1], () => undefined)).toEqual({ result: [1] });
      const answer = await new Promise<string>((resolve, reject) => {
        const asking = request({ socketPath: path, path: '/echo', method: 'POST' }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => resolve(text));
        });
        asking.on('error', reject).end(body);
      });
      expect(JSON.parse(answer)).toMatchObject({ error: { code: 'bad-input' } });
    } finally {
      await socket.close();
    }
  });
});

describe('who runs a command', () => {
  it('is a user by name, or by number where the machine knows no name, as in a container', () => {
    const callerOf = () => localContext({} as Service, new AbortController().signal, () => undefined).caller;
    expect(callerOf()).toEqual({ kind: 'local', user: userInfo().username });
    users.hasName = false;
    expect(callerOf()).toEqual({ kind: 'local', user: `uid ${process.getuid?.()}` });
    users.hasName = true;
  });
});
