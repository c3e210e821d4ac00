import { describe, expect, it } from 'vitest';

import { LedgerError } from '../ledger/error.ts';
import { formatRefusal, startThread } from './thread.ts';

type Calls = {
  ready: { args: undefined; result: undefined };
  never: { args: undefined; result: undefined };
  close: { args: undefined; result: undefined };
};

/** Answers `ready` and `close`, says which calls were aborted when it is closed, and nothing else. */
const MODULE = `
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ id, name, abort }) => {
    if (abort !== undefined) parentPort.postMessage({ id: abort, ok: false, code: 'stopping', message: 'stopped' });
    if (name === 'ready' || name === 'close') parentPort.postMessage({ id, ok: true });
  });
`;

const start = () =>
  startThread<Calls>(new URL(`data:text/javascript,${encodeURIComponent(MODULE)}`), undefined, {
    name: 'test',
    onFatal: (cause) => {
      throw cause;
    },
  });

describe('calls of a thread', () => {
  it('are refused as overloaded when too many wait, and can still be ended', async () => {
    const thread = await start();
    const calls = Array.from({ length: 600 }, () =>
      thread.call('never', undefined).catch((cause: unknown) => (cause as { code: string }).code),
    );
    const refused = await Promise.all(calls.slice(512));
    expect(new Set(refused)).toEqual(new Set(['overloaded']));
    await thread.end();
    // What waits when a thread ends is told so.
    expect(new Set(await Promise.all(calls.slice(0, 512)))).toEqual(new Set(['stopping']));
  });

  it('are aborted by a signal, also one that was given before', async () => {
    const thread = await start();
    const stop = new AbortController();
    const before = thread.call('never', undefined, { signal: stop.signal });
    stop.abort();
    await expect(before).rejects.toMatchObject({ code: 'stopping' });
    await expect(thread.call('never', undefined, { signal: stop.signal })).rejects.toMatchObject({ code: 'stopping' });
    await thread.end();
  });
});

describe('a refusal that crosses back', () => {
  it('says what to do about a file of the log, and nothing of an error that might quote content', () => {
    const told = (cause: unknown): object => {
      const { code, message } = formatRefusal(1, cause) as { code: string; message: string };
      return { code, message };
    };
    expect(told(new LedgerError('bad-tile', 'tile/0/000 cannot be read'))).toEqual({
      code: 'log-damaged',
      message: expect.stringMatching(/^tile\/0\/000 cannot be read\. .*rebuild/) as string,
    });
    expect(told(new LedgerError('head-forked', 'size 7'))).toMatchObject({ code: 'corrupt' });
    expect(told(new LedgerError('bad-argument', 'x'))).toEqual({
      code: 'internal',
      message: 'a part failed (bad-argument)',
    });
    expect(told(new Error('a secret'))).toEqual({ code: 'internal', message: 'a part failed (Error)' });
  });
});

describe('a thread that cannot start', () => {
  // A file of a newer version was refused with "a part of the archive died": the reason was lost on the way.
  it('says why to whoever starts it, and is no death', async () => {
    const module = `throw Object.assign(new Error('written by a newer version'), { code: 'conflict' });`;
    const deaths: unknown[] = [];
    const started = startThread<Calls>(new URL(`data:text/javascript,${encodeURIComponent(module)}`), undefined, {
      name: 'test',
      onFatal: (cause) => deaths.push(cause),
    });
    await expect(started).rejects.toMatchObject({ code: 'conflict', message: 'written by a newer version' });
    expect(deaths).toEqual([]);
  });
});
