import { describe, expect, it } from 'vitest';

import { createThreadStarter, shareThread } from './thread-sharing.ts';
import { startOnUse, startThread } from './thread.ts';
import type { Thread } from './thread.ts';

type Calls = {
  ready: { args: undefined; result: undefined };
  /** Which thread it runs in, and what it was given. */
  who: { args: undefined; result: { thread: number; setup: unknown; isShared: boolean } };
  never: { args: undefined; result: undefined };
  /** Throws where nobody catches. */
  die: { args: undefined; result: undefined };
  close: { args: undefined; result: undefined };
};

const THREAD = new URL('./thread.ts', import.meta.url).href;

/** A module of a thread; modules of other names are others. */
function moduleOf(name: string, first = ''): URL {
  const text = `
    import { threadId } from 'node:worker_threads';
    import { servePort, takePlace } from '${THREAD}';
    const { setup, port, isShared } = takePlace();
    await undefined;
    ${first}
    servePort(port, {
      ready: async () => undefined,
      who: async () => ({ thread: threadId, setup, isShared }),
      never: () => new Promise(() => undefined),
      die: async () => { setImmediate(() => { throw new Error('a bug in ${name}'); }); },
      close: async () => undefined,
    }, (note) => port.postMessage({ event: note }));
  `;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

const unexpected = (cause: unknown): never => {
  throw cause;
};
const who = (thread: Thread<Calls>) => thread.call('who', undefined);
const refusalOf = (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    () => 'answered',
    (cause: unknown) => (cause as { code?: string }).code ?? (cause as Error).message,
  );

describe('threads that share one', () => {
  it(
    'run in it side by side, each with what it was given, and it ends with the last',
    { timeout: 60_000 },
    async () => {
      const { start } = shareThread();
      const events: unknown[] = [];
      const [one, two] = await Promise.all(
        ['one', 'two'].map((name) =>
          start<Calls>(moduleOf(name), name, { name, onFatal: unexpected, onEvent: (event) => events.push(event) }),
        ),
      );
      if (one === undefined || two === undefined) throw new Error('not started');
      const places = await Promise.all([one, two].map(who));
      expect(places.map(({ setup }) => setup)).toEqual(['one', 'two']);
      expect(places.map(({ isShared }) => isShared)).toEqual([true, true]);
      expect(new Set(places.map(({ thread }) => thread)).size).toBe(1);
      one.tell('noted');
      await who(one);
      expect(events).toEqual(['noted']);

      const left = one.call('never', undefined);
      await Promise.all([one.end(), expect(left).rejects.toMatchObject({ code: 'stopping' })]);
      expect(await refusalOf(who(one))).toBe('stopping');
      expect((await who(two)).setup).toBe('two');
      await two.end();
      // The next begins another.
      const three = await start<Calls>(moduleOf('one'), 'three', { name: 'three', onFatal: unexpected });
      expect((await who(three)).thread).not.toBe(places[0]?.thread);
      await three.end();
    },
  );

  it('are started apart where the module runs in it already', { timeout: 60_000 }, async () => {
    const { start } = shareThread();
    const options = { name: 'same', onFatal: unexpected };
    const one = await start<Calls>(moduleOf('same'), 1, options);
    const two = await start<Calls>(moduleOf('same'), 2, options);
    expect([await who(one), await who(two)]).toMatchObject([
      { setup: 1, isShared: true },
      { setup: 2, isShared: false },
    ]);
    await Promise.all([one.end(), two.end()]);
  });

  it('say why they cannot start to whoever starts them, and the others go on', { timeout: 60_000 }, async () => {
    const { start } = shareThread();
    const options = { name: 'test', onFatal: unexpected };
    const well = await start<Calls>(moduleOf('well'), undefined, options);
    const broken = (first: string): Promise<unknown> => start<Calls>(moduleOf('ill', first), undefined, options);
    await expect(
      broken(`throw Object.assign(new Error('written by a newer version'), { code: 'conflict' });`),
    ).rejects.toMatchObject({ code: 'conflict', message: 'written by a newer version' });
    // What the system says must be found in it, for the line that a person reads (`asSystemError`).
    await expect(broken(`(await import('node:fs')).readFileSync('/not/there');`)).rejects.toMatchObject({
      code: 'ENOENT',
      syscall: 'open',
      path: '/not/there',
    });
    expect((await who(well)).isShared).toBe(true);
    await well.end();
  });

  it('die together, which is told once', { timeout: 60_000 }, async () => {
    const deaths: unknown[] = [];
    const { start } = shareThread();
    const options = { name: 'test', onFatal: (cause: unknown) => deaths.push(cause) };
    const one = await start<Calls>(moduleOf('one'), undefined, options);
    const two = await start<Calls>(moduleOf('two'), undefined, options);
    const waiting = [one.call('never', undefined), two.call('never', undefined)].map(refusalOf);
    void refusalOf(one.call('die', undefined));
    expect(await Promise.all(waiting)).toEqual(['a bug in one', 'a bug in one']);
    expect(deaths).toHaveLength(1);
    expect(await Promise.all([who(one), who(two)].map(refusalOf))).toEqual(['stopping', 'stopping']);
    await Promise.all([one.end(), two.end()]);
  });
});

it('a thread that nobody came to share ends when it is told to', { timeout: 60_000 }, async () => {
  const { start, end } = shareThread();
  await end();
  // Where something is asked of it after all, it begins anew.
  const thread = await start<Calls>(moduleOf('late'), undefined, { name: 'late', onFatal: unexpected });
  expect((await who(thread)).isShared).toBe(true);
  await Promise.all([end(), expect(thread.call('never', undefined)).rejects.toMatchObject({ code: 'stopping' })]);
});

describe('a thread that starts on use', () => {
  const started: string[] = [];
  const begin = (name: string) => async (): Promise<Thread<Calls>> => {
    started.push(name);
    return startThread<Calls>(moduleOf(name), name, { name, onFatal: unexpected });
  };

  it('is started by the first that is asked of it, once', { timeout: 60_000 }, async () => {
    const thread = startOnUse<Calls>(begin('once'), unexpected);
    expect(started).toEqual([]);
    expect(await Promise.all([who(thread), who(thread)])).toMatchObject([{ setup: 'once' }, { setup: 'once' }]);
    expect(started).toEqual(['once']);
    await thread.end();
    expect(await refusalOf(who(thread))).toBe('stopping');
  });

  it('ends without having been started', async () => {
    const thread = startOnUse<Calls>(begin('unused'), unexpected);
    await thread.end();
    expect(await refusalOf(who(thread))).toBe('stopping');
    thread.tell('too late');
    expect(started).not.toContain('unused');
  });

  it('tells who asks that it cannot start, and somebody else where nobody waits for an answer', async () => {
    const failed: unknown[] = [];
    const cause = new Error('no room');
    const thread = startOnUse<Calls>(
      () => Promise.reject(cause),
      (told) => failed.push(told),
    );
    expect(await refusalOf(who(thread))).toBe('no room');
    thread.tell('noted');
    await who(thread).catch(() => undefined);
    expect(failed).toEqual([cause]);
    await thread.end();
  });

  it('is ready at once where all are to be', { timeout: 60_000 }, async () => {
    for (const [use, isReady] of [
      ['ready', true],
      ['on-use', false],
      ['shared', false],
    ] as const) {
      const starter = createThreadStarter(use);
      const thread = await starter.open(begin(use), unexpected);
      expect(started.includes(use)).toBe(isReady);
      await thread.end();
      await starter.end();
    }
  });
});
