/** An error of the disk, put in by strace between the server and the kernel: the process stops, says what failed, and has lost nothing. */
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { startProduct, startReady } from '../product.ts';
import type { Product, Server } from '../product.ts';
import { makeRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';
import { findTool } from '../tools.ts';

/** A call that fails: which, of what, and the highest number of the one that does, counted in each thread. */
type Target = {
  readonly what: string;
  readonly call: 'fsync' | 'pwrite64';
  readonly nthMax: number;
  /** The file or directory; any where absent. */
  readonly path?: (product: Product) => string;
};

const TARGETS: readonly [Target, ...Target[]] = [
  {
    what: 'EIO of fsync, database',
    call: 'fsync',
    nthMax: 20,
    path: ({ logDirectory }) => join(dirname(logDirectory), 'archive.db-wal'),
  },
  // A new name is made durable by an fsync of its directory, whose path, unlike that of a temporary file, is known beforehand.
  { what: 'EIO of fsync, log', call: 'fsync', nthMax: 2, path: ({ logDirectory }) => logDirectory },
  { what: 'EIO of fsync, signer', call: 'fsync', nthMax: 2, path: ({ data }) => `${data}.signer` },
  { what: 'EIO of write', call: 'pwrite64', nthMax: 400 },
];
const INJECTED_MS_MAX = 45_000;
const STOP_MS_MAX = 15_000;
const EXIT_FATAL = 70;

export const IO_ERROR: Scenario = {
  name: 'io-error',
  proves:
    'After EIO of a write or an fsync the process stops with one line that says what to do; nothing acknowledged is lost.',
  needs: ['linux', 'strace'],
  rounds: { short: 4, long: 60 },
  async run(run) {
    const rig = await makeRig(run, `${run.data}/data`);
    try {
      await rig.tell('go');
      for (let round = 1; round <= run.rounds; round += 1) {
        await failOnce(rig, run.journal, round - 1);
        run.report(`${round} of ${run.rounds} errors of the disk`);
      }
      return await rig.finish(TARGETS.slice(0, run.rounds).map(({ what }) => what));
    } finally {
      await rig.close();
    }
  },
};

/** One start whose n-th call of a kind fails, and one without. @param which picks the kind */
export async function failOnce(rig: Rig, directory: string, which: number): Promise<void> {
  const { what, call, nthMax, path } = TARGETS[which % TARGETS.length] ?? TARGETS[0];
  const nth = 1 + Math.floor(rig.random() * nthMax);
  const trace = join(directory, 'strace.out');
  await rm(trace, { force: true });
  const wrap = [findTool('strace') ?? 'strace', '-D', '-f', '--seccomp-bpf', '-qq', '-y', '-o', trace];
  const server = startProduct(rig.product, {
    wrap: [
      ...wrap,
      ...(path === undefined ? [] : ['-P', path(rig.product)]),
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:error=EIO:when=${nth}`,
    ],
  });
  try {
    const hit = await untilInjected(rig, server, trace);
    if (hit === undefined) return;
    rig.count(what);
    await judgeEnd(rig, server, hit);
  } finally {
    await server.kill();
  }
  const again = await startReady(rig.product);
  try {
    await rig.moves('acked', 5, () => again.isOver());
  } finally {
    await again.kill();
  }
  await rig.checker.keepCheckpoint();
}

/** Which call failed, as strace wrote it down; undefined where none did in time. */
async function untilInjected(rig: Rig, server: Server, trace: string): Promise<string | undefined> {
  const deadline = performance.now() + INJECTED_MS_MAX;
  for (;;) {
    const isLast = server.isOver() || performance.now() > deadline;
    const text = await readFile(trace, 'utf8').catch(() => '');
    const hit = text.split('\n').find((line) => line.includes('(INJECTED)'));
    if (hit !== undefined || isLast) return hit;
    await rig.watch(server, 100);
  }
}

async function judgeEnd(rig: Rig, server: Server, hit: string): Promise<void> {
  const path = /<([^>]*)>/.exec(hit)?.[1] ?? hit;
  const late = Symbol('late');
  const ended = await Promise.race([server.ended, pause(STOP_MS_MAX, late)]);
  if (ended === late || typeof ended === 'symbol') {
    rig.complain(`the server went on after EIO of ${path}: ${server.log().slice(-500)}`);
    return;
  }
  const wasReady = server.log().includes('keeps the messages of');
  if (ended.code !== EXIT_FATAL && (wasReady || ended.code !== 1))
    rig.complain(`after EIO of ${path} the server ended with ${ended.code}: ${server.log().slice(-500)}`);
  if (!/the disk (of \S+ )?failed.*/.test(server.log()) || !server.log().includes('cartulary verify'))
    rig.complain(`after EIO of ${path} the server does not say what to do: ${server.log().slice(-500)}`);
}
