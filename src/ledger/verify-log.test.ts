import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Head } from './checkpoint.ts';
import { signCheckpoint } from './checkpoint.ts';
import { sha256 } from './hash.ts';
import { LOG_FAULTS } from './log-faults.ts';
import { createNoteSigner } from './note.ts';
import { codeOfAsync } from './testing/code-of.ts';
import {
  appendEntries,
  buildMemoryLog,
  createMemoryLog,
  signMemoryLog,
  testEntries,
  testSeed,
} from './testing/memory-log.ts';
import type { MemoryLog } from './testing/memory-log.ts';
import { encodeEntryBundle, entriesPath, splitEntryBundle, tilePath, tileWidth } from './tiles.ts';
import { emptyRoot } from './tree.ts';
import { EARLIER_CHECKPOINTS_MAX, FAULTS_MAX, verifyLog } from './verify-log.ts';
import type { LogFault, LogReport, LogVerification } from './verify-log.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function verify(log: MemoryLog, change: Partial<LogVerification> = {}): Promise<LogReport> {
  const { readTile, readEntries, signer } = log;
  return verifyLog({ checkpointText: signMemoryLog(log), vkeys: signer, readTile, readEntries, ...change });
}

/** A copy whose files can be changed without touching those of the original. */
function copyLog(log: MemoryLog): MemoryLog {
  const copy = createMemoryLog(log.origin);
  for (const [path, bytes] of log.files) copy.files.set(path, bytes.slice());
  copy.entries.push(...log.entries);
  return Object.assign(copy, { size: log.size, root: log.root, edge: log.edge, signer: log.signer });
}

function fileOf(log: MemoryLog, path: string): Uint8Array {
  const bytes = log.files.get(path);
  if (bytes === undefined) throw new Error(`no file ${path}`);
  return bytes;
}

/** Changes the entries of one bundle. */
function editBundle(log: MemoryLog, n: number, edit: (entries: Uint8Array[]) => Uint8Array[]): void {
  const path = entriesPath(n, tileWidth(log.size, 0, n));
  log.files.set(path, encodeLong(edit(splitEntryBundle(fileOf(log, path), 1000).entries)));
}

/** As `encodeEntryBundle`, but of any number. */
function encodeLong(entries: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from([...encodeEntryBundle(entries.slice(0, 256)), ...encodeEntryBundle(entries.slice(256))]);
}

/** Writes all bundles anew, as someone who hides a removed or added entry would. The tiles stay as they are. */
function repack(log: MemoryLog, entries: readonly Uint8Array[]): void {
  for (let n = 0; n * 256 < log.size; n += 1) {
    const width = tileWidth(log.size, 0, n);
    const isLast = (n + 1) * 256 >= log.size;
    const bundle = entries.slice(n * 256, isLast ? entries.length : n * 256 + width);
    log.files.set(entriesPath(n, width), encodeLong(bundle));
  }
}

/** Takes over files of another log of the same size, as far as `select` says. */
function takeFiles(log: MemoryLog, other: MemoryLog, select: (path: string) => boolean): void {
  for (const [path, bytes] of other.files) if (select(path)) log.files.set(path, bytes);
}

/** A log in which one entry is another, with all files as they then are. */
async function rewriteLog(log: MemoryLog, position: number): Promise<MemoryLog> {
  const other = createMemoryLog(log.origin);
  await appendEntries(other, log.entries.with(position, utf8('rewritten')));
  return other;
}

const short = ({ faults }: LogReport): Partial<LogFault>[] => faults.map((fault) => omitText(fault));

function omitText({ text, ...fault }: LogFault): Partial<LogFault> {
  expect(text).not.toBe('');
  return fault;
}

const codes = ({ faults }: LogReport): string[] => faults.map(({ code }) => code);
const headOf = ({ origin, size, root }: MemoryLog): Head => ({ origin, size, root });

// 1,000 entries: 4 bundles, the last of 232; level 1 has 3 hashes.
const log = await buildMemoryLog(1000);

describe('a log that is right', () => {
  test.each([0, 1, 255, 256, 257, 512, 1000])('of %d entries', async (size) => {
    const log = await buildMemoryLog(size);
    const report = await verify(log);
    expect(report).toMatchObject({ ok: true, size, root: log.root, checkedLeaves: size, faults: [], faultsTotal: 0 });
    expect(report.checkpoint).toMatchObject(headOf(log));
  });

  test('of another program, with earlier heads', async () => {
    const root = join(import.meta.dirname, '../../test/vectors/proto-log257');
    const read = (path: string): Promise<Uint8Array> =>
      new Promise((resolve) => {
        resolve(readFileSync(join(root, path)));
      });
    const report = await verifyLog({
      checkpointText: readFileSync(join(root, 'checkpoint'), 'utf8'),
      vkeys: ['log.vkey', 'witness.vkey'].map((name) => readFileSync(join(root, name), 'utf8').trim()),
      readTile: (level, n, width) => read(tilePath(level, n, width)),
      readEntries: (n, width) => read(entriesPath(n, width)),
    });
    expect(report).toMatchObject({ ok: true, size: 257, checkedLeaves: 257 });
    expect(report.checkpoint?.cosignatures).toHaveLength(1);
  });

  test('gives every entry to the caller, who may stop it', async () => {
    const seen: string[] = [];
    const onEntry = (index: number, entry: Uint8Array): Promise<void> | undefined => {
      seen.push(`${index} ${new TextDecoder().decode(entry)}`);
      return index % 2 === 0 ? Promise.resolve() : undefined;
    };
    expect((await verify(log, { onEntry })).ok).toBe(true);
    expect(seen).toEqual(log.entries.map((_, index) => `${index} entry ${index}`));
    const stop = new Error('enough');
    const thrower = (index: number): void => {
      if (index === 300) throw stop;
    };
    await expect(verify(log, { onEntry: thrower })).rejects.toBe(stop);
    await expect(verify(log, { signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
  });

  test('continues all heads it ever had', async () => {
    const grown = createMemoryLog();
    const earlier: (string | Head)[] = [];
    for (const size of [0, 1, 200, 256, 257, 511, 512, 513, 768, 1000]) {
      await appendEntries(grown, testEntries(grown.size, size));
      earlier.push(size % 2 === 0 ? headOf(grown) : signMemoryLog(grown));
    }
    const report = await verify(grown, { earlierCheckpoints: earlier.toReversed() });
    expect(report).toMatchObject({ ok: true, checkedEarlier: earlier.length });
    const full = await buildMemoryLog(512);
    expect(await verify(full, { earlierCheckpoints: [headOf(full)] })).toMatchObject({ ok: true, checkedEarlier: 1 });
  });

  test('may be read through wider tiles and bundles than are asked for', async () => {
    const small = await buildMemoryLog(900);
    const read = (path: (n: number, width: number) => string) => (n: number) =>
      Promise.resolve(fileOf(log, path(n, tileWidth(1000, 0, n))));
    const report = await verify(small, {
      readTile: (level, n) => Promise.resolve(fileOf(log, tilePath(level, n, tileWidth(1000, level, n)))),
      readEntries: read(entriesPath),
    });
    expect(short(report)).toEqual([]);
    expect(report).toMatchObject({ ok: true, size: 900, checkedLeaves: 900 });
  });
});

describe('changed entries', () => {
  test.each([0, 255, 256, 700, 999])('entry %d was edited', async (position) => {
    for (const text of ['ENTRY!!!', 'a longer text than before', '']) {
      const copy = copyLog(log);
      editBundle(copy, position >> 8, (entries) => entries.with(position & 255, utf8(text)));
      expect(short(await verify(copy))).toEqual([{ code: 'entry-altered', position }]);
    }
  });

  test('several, next to each other and far away', async () => {
    const copy = copyLog(log);
    editBundle(copy, 0, (entries) => entries.with(7, utf8('x')).with(8, utf8('y')));
    editBundle(copy, 3, (entries) => entries.with(1, utf8('z')));
    const report = await verify(copy);
    expect(short(report)).toEqual([
      { code: 'entry-altered', position: 7, count: 2 },
      { code: 'entry-altered', position: 769 },
    ]);
    expect(report).toMatchObject({ ok: false, faultsTotal: 3, checkedLeaves: 1000 });
  });

  test('two swapped in a bundle, two across bundles, and one copied over another', async () => {
    const [a, b, c, d] = [log.entries[3], log.entries[90], log.entries[4], log.entries[900]];
    const at = (entry: Uint8Array | undefined): Uint8Array => entry ?? new Uint8Array(0);
    const copy = copyLog(log);
    editBundle(copy, 0, (entries) => entries.with(3, at(b)).with(90, at(a)).with(4, at(d)));
    editBundle(copy, 3, (entries) => entries.with(900 - 768, at(c)));
    editBundle(copy, 1, (entries) => entries.with(0, at(log.entries[1])));
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-moved', position: 3, from: 90 },
      { code: 'entry-moved', position: 4, from: 900 },
      { code: 'entry-moved', position: 90, from: 3 },
      { code: 'entry-altered', position: 256 },
      { code: 'entry-moved', position: 900, from: 4 },
    ]);
  });

  test.each([
    ['at the start', 0, 1],
    ['in the middle', 100, 1],
    ['five', 100, 5],
    ['at the end of a bundle', 255, 1],
    ['three before the end of a bundle', 253, 3],
    ['in the last bundle', 990, 2],
    ['the last', 999, 1],
    ['next to the last', 998, 1],
  ])('removed %s', async (_, position, count) => {
    const wanted = [{ code: 'entry-removed', position, count }];
    const copy = copyLog(log);
    editBundle(copy, position >> 8, (entries) => entries.toSpliced(position & 255, count));
    expect(short(await verify(copy))).toEqual(wanted);
    repack(copy, log.entries.toSpliced(position, count));
    expect(short(await verify(copy))).toEqual(wanted);
  });

  test.each([
    ['at the start', 0, 1],
    ['in the middle', 100, 1],
    ['five', 100, 5],
    ['in the second bundle', 300, 1],
    ['three across a bundle', 254, 3],
    ['before the last of a bundle', 255, 1],
  ])('added %s', async (_, position, count) => {
    const wanted = [{ code: 'entry-added', position, count }];
    const more = Array.from({ length: count }, (_, index) => utf8(`more ${index}`));
    const copy = copyLog(log);
    editBundle(copy, position >> 8, (entries) => entries.toSpliced(position & 255, 0, ...more));
    expect(short(await verify(copy))).toEqual(wanted);
    repack(copy, log.entries.toSpliced(position, 0, ...more));
    expect(short(await verify(copy))).toEqual(wanted);
  });

  test('added at the end of a full bundle', async () => {
    const copy = copyLog(log);
    editBundle(copy, 0, (entries) => [...entries, utf8('more')]);
    expect(short(await verify(copy))).toEqual([{ code: 'entry-added', position: 256, count: 1 }]);
    editBundle(copy, 0, (entries) => entries.with(9, utf8('x')));
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-altered', position: 9 },
      { code: 'entry-added', position: 256, count: 1 },
    ]);
  });

  test('half a bundle replaced by fewer entries', async () => {
    const copy = copyLog(log);
    editBundle(copy, 1, (entries) => [...entries.slice(0, 100), utf8('x'), utf8('y')]);
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-altered', position: 356, count: 2 },
      { code: 'entry-removed', position: 358, count: 154 },
    ]);
  });

  test('an edited entry before a removed one stays a finding of its own', async () => {
    const copy = copyLog(log);
    repack(copy, log.entries.with(255, utf8('x')).toSpliced(256, 1));
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-altered', position: 255 },
      { code: 'entry-removed', position: 256, count: 1 },
    ]);
    repack(copy, log.entries.with(255, utf8('x')).toSpliced(256, 0, utf8('y')));
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-altered', position: 255 },
      { code: 'entry-added', position: 256, count: 1 },
    ]);
  });

  test('two removals in different places are two findings', async () => {
    const copy = copyLog(log);
    editBundle(copy, 0, (entries) => entries.toSpliced(10, 1));
    editBundle(copy, 2, (entries) => entries.toSpliced(0, 1));
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-removed', position: 10, count: 1 },
      { code: 'entry-removed', position: 512, count: 1 },
    ]);
  });
});

describe('changed tiles', () => {
  test('damaged: the entries are believed, since they lead to the root', async () => {
    for (const [path, position, count] of [
      ['tile/0/001', 256, 256],
      ['tile/0/003.p/232', 768, 232],
      ['tile/1/000.p/3', 0, 768],
    ] as const) {
      const copy = copyLog(log);
      copy.files.set(path, fileOf(copy, path).with(5, 0xee));
      const report = await verify(copy);
      // At the right edge nothing else confirms a tile, so that one sees only that the two differ.
      const code = path === 'tile/0/003.p/232' ? 'entries-tile-differ' : 'tile-damaged';
      expect(short(report)).toEqual([{ code, position, count, path }]);
    }
  });

  test('missing or of the wrong length', async () => {
    for (const [path, position, count] of [
      ['tile/0/001', 256, 256],
      ['tile/0/003.p/232', 768, 232],
      ['tile/1/000.p/3', 0, 768],
    ] as const) {
      const copy = copyLog(log);
      copy.files.delete(path);
      expect(short(await verify(copy))).toEqual([{ code: 'tile-missing', position, count, path }]);
      copy.files.set(path, new Uint8Array(31));
      expect(short(await verify(copy))).toEqual([{ code: 'tile-damaged', position, count, path }]);
    }
  });

  test('changed together with the entries: the level above still shows it', async () => {
    const other = await rewriteLog(log, 300);
    const copy = copyLog(log);
    takeFiles(copy, other, (path) => path === 'tile/entries/001' || path === 'tile/0/001');
    expect(short(await verify(copy))).toEqual([{ code: 'subtree-altered', position: 256, count: 256 }]);
  });

  test('all changed together: only the root shows it, and earlier heads narrow it', async () => {
    const other = await rewriteLog(log, 700);
    const copy = copyLog(log);
    takeFiles(copy, other, () => true);
    expect(short(await verify(copy))).toEqual([{ code: 'root-mismatch', position: 0, count: 1000 }]);
    const [h600, h800] = [await buildMemoryLog(600), await buildMemoryLog(800)];
    const report = await verify(copy, { earlierCheckpoints: [headOf(h800), headOf(h600)] });
    expect(short(report)).toEqual([
      { code: 'history-rewritten', position: 600, count: 200 },
      { code: 'root-mismatch', position: 600, count: 400 },
    ]);
  });
});

describe('three levels', async () => {
  const log = await buildMemoryLog(66_000);

  test('right, and changed at each level', async () => {
    expect(await verify(log)).toMatchObject({ ok: true, checkedLeaves: 66_000 });
    const copy = copyLog(log);
    editBundle(copy, 200, (entries) => entries.with(9, utf8('x')));
    editBundle(copy, 257, (entries) => entries.with(0, utf8('y')));
    expect(short(await verify(copy))).toEqual([
      { code: 'entry-altered', position: 51_209 },
      { code: 'entry-altered', position: 65_792 },
    ]);
  });

  test('tiles of level 1 and 2 damaged or missing', async () => {
    for (const [path, count] of [
      ['tile/1/000', 65_536],
      ['tile/2/000.p/1', 65_536],
    ] as const) {
      const copy = copyLog(log);
      copy.files.set(path, fileOf(copy, path).with(5, 0xee));
      expect(short(await verify(copy))).toEqual([{ code: 'tile-damaged', position: 0, count, path }]);
      copy.files.delete(path);
      expect(short(await verify(copy))).toEqual([{ code: 'tile-missing', position: 0, count, path }]);
    }
  });

  test('levels changed together, up to each', async () => {
    const other = await rewriteLog(log, 1000);
    const copy = copyLog(log);
    takeFiles(copy, other, (path) => path === 'tile/entries/003' || path === 'tile/0/003');
    expect(short(await verify(copy))).toEqual([{ code: 'subtree-altered', position: 768, count: 256 }]);
    takeFiles(copy, other, (path) => path === 'tile/1/000');
    expect(short(await verify(copy))).toEqual([{ code: 'subtree-altered', position: 0, count: 65_536 }]);
    takeFiles(copy, other, (path) => path === 'tile/2/000.p/1');
    expect(codes(await verify(copy))).toEqual(['root-mismatch']);
  });

  test('a bundle and its tile missing: the rest is still checked against the root', async () => {
    const copy = copyLog(log);
    copy.files.delete('tile/entries/010');
    copy.files.delete('tile/0/010');
    editBundle(copy, 100, (entries) => entries.with(3, utf8('x')));
    const report = await verify(copy);
    expect(short(report)).toEqual([
      { code: 'entries-missing', position: 2560, count: 256, path: 'tile/entries/010' },
      { code: 'tile-missing', position: 2560, count: 256, path: 'tile/0/010' },
      { code: 'entry-altered', position: 25_603 },
    ]);
    // With the tile above damaged as well, the one above that tells.
    copy.files.set('tile/1/000', fileOf(copy, 'tile/1/000').with(5, 0xee));
    expect(codes(await verify(copy))).toEqual([
      'tile-damaged',
      'entries-missing',
      'tile-missing',
      'entries-tile-differ',
    ]);
    // And when none above tells, the tile is not blamed for what is missing below.
    copy.files.delete('tile/2/000.p/1');
    expect(codes(await verify(copy)).toSorted()).toEqual([
      'entries-missing',
      'entries-tile-differ',
      'root-mismatch',
      'tile-missing',
      'tile-missing',
    ]);
  });
});

describe('missing entries', () => {
  test('a bundle missing, cut off, or short: its tile stands in', async () => {
    const copy = copyLog(log);
    copy.files.delete('tile/entries/001');
    const place = { position: 256, count: 256, path: 'tile/entries/001' };
    expect(short(await verify(copy))).toEqual([{ code: 'entries-missing', ...place }]);
    copy.files.set('tile/entries/001', fileOf(log, 'tile/entries/001').slice(0, -1));
    expect(short(await verify(copy))).toEqual([{ code: 'entries-damaged', ...place }]);
    editBundle(copy, 2, (entries) => entries.slice(0, 9));
    copy.files.delete('tile/0/002');
    expect(codes(await verify(copy))).toEqual(['entries-damaged', 'tile-missing', 'entries-damaged']);
  });

  test('a cut-off tail is one finding of each kind', async () => {
    const copy = copyLog(log);
    for (const path of copy.files.keys()) if (/^tile\/(0|entries)\/00[123]/.test(path)) copy.files.delete(path);
    expect(short(await verify(copy))).toEqual([
      { code: 'root-mismatch', position: 0, count: 1000 },
      ...[1, 2, 3].flatMap((n) => {
        const [position, count] = [n * 256, tileWidth(1000, 0, n)];
        return [
          { code: 'entries-missing', position, count, path: entriesPath(n, count) },
          { code: 'tile-missing', position, count, path: tilePath(0, n, count) },
        ];
      }),
    ]);
    // With the tiles in place only the entries are gone, and that in one piece.
    takeFiles(copy, log, (path) => path.startsWith('tile/0/'));
    expect(short(await verify(copy))).toEqual([
      { code: 'entries-missing', position: 256, count: 744, path: 'tile/entries/001' },
    ]);
  });

  test('entries that differ where no level can tell', async () => {
    const copy = copyLog(log);
    editBundle(copy, 1, (entries) => entries.slice(1));
    copy.files.set('tile/1/000.p/3', fileOf(copy, 'tile/1/000.p/3').with(0, 0xee));
    const report = await verify(copy);
    expect(report.ok).toBe(false);
    expect(codes(report)).toContain('entries-tile-differ');
  });
});

describe('heads', () => {
  test('a checkpoint that is not signed, not readable, or of another log', async () => {
    for (const checkpointText of ['', 'x', signMemoryLog(await buildMemoryLog(3, 'other.example', 4))]) {
      const report = await verify(log, { checkpointText });
      expect(report).toMatchObject({ ok: false, size: 0, root: emptyRoot(), checkedLeaves: 0 });
      expect(codes(report)).toEqual(['checkpoint-invalid']);
      expect(report.checkpoint).toBeUndefined();
      expect(report.faults[0]?.text.startsWith(LOG_FAULTS['checkpoint-invalid'])).toBe(true);
    }
  });

  test('an old backup in place of the log, or its tail cut off and signed', async () => {
    const report = await verify(await buildMemoryLog(900), { earlierCheckpoints: [signMemoryLog(log)] });
    expect(short(report)).toEqual([{ code: 'rolled-back', position: 900, count: 100 }]);
  });

  test('a log that was rewritten as a whole, and signed with the stolen key', async () => {
    const other = await rewriteLog(log, 700);
    expect((await verify(other)).ok).toBe(true);
    const report = await verify(other, { earlierCheckpoints: [headOf(await buildMemoryLog(512)), signMemoryLog(log)] });
    expect(short(report)).toEqual([{ code: 'history-rewritten', position: 512, count: 488 }]);
    expect(report.checkedEarlier).toBe(1);
  });

  test('earlier checkpoints that are none', async () => {
    const stranger = createNoteSigner({ name: log.origin, seed: testSeed(66) });
    const earlierCheckpoints = [
      'x',
      signCheckpoint(headOf(log), stranger),
      { ...headOf(log), origin: 'other.example' },
    ];
    expect(codes(await verify(log, { earlierCheckpoints }))).toEqual(
      earlierCheckpoints.map(() => 'earlier-checkpoint-invalid'),
    );
    const many = Array.from({ length: EARLIER_CHECKPOINTS_MAX + 1 }, () => headOf(log));
    expect(await codeOfAsync(() => verify(log, { earlierCheckpoints: many }))).toBe('limit');
  });

  test("keys that are none, and errors that are not the ledger's, go to the caller", async () => {
    expect(await codeOfAsync(() => verify(log, { vkeys: 'x' }))).toBe('bad-key');
    const broken = {
      ...log.signer,
      get publicKey(): Uint8Array {
        throw new TypeError('broken');
      },
    };
    await expect(verify(log, { vkeys: broken })).rejects.toThrow(TypeError);
  });
});

describe('whatever happens to the files', () => {
  // The files of the last size only: older partial tiles are nobody's business.
  const paths = [...log.files.keys()];
  const path = fc.constantFrom(...paths);

  test('one flipped bit is always found', async () => {
    await fc.assert(
      fc.asyncProperty(path, fc.nat(), fc.nat({ max: 7 }), async (path, pick, bit) => {
        const copy = copyLog(log);
        const bytes = fileOf(copy, path);
        const offset = pick % bytes.length;
        bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
        const report = await verify(copy);
        expect(report.ok).toBe(false);
        expect(report.faultsTotal).toBeGreaterThan(0);
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  test('files cut, emptied, exchanged or filled with noise: a report, never an exception', async () => {
    const change = fc.tuple(path, path, fc.constantFrom('cut', 'empty', 'exchange', 'noise', 'delete'), fc.nat());
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const copy = copyLog(log);
        for (const [path, other, kind, pick] of changes) {
          const bytes = log.files.get(path) ?? new Uint8Array(0);
          if (kind === 'cut') copy.files.set(path, bytes.slice(0, pick % bytes.length));
          if (kind === 'empty') copy.files.set(path, new Uint8Array(0));
          if (kind === 'exchange') copy.files.set(path, log.files.get(other) ?? bytes);
          if (kind === 'noise') copy.files.set(path, sha256(bytes));
          if (kind === 'delete') copy.files.delete(path);
        }
        const isChanged = paths.some((path) => {
          const bytes = copy.files.get(path);
          return bytes === undefined || !Buffer.from(bytes).equals(fileOf(log, path));
        });
        expect((await verify(copy)).ok).toBe(!isChanged);
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  test('findings are listed up to a limit, and all counted', async () => {
    const big = await buildMemoryLog(12_000);
    const copy = copyLog(big);
    for (let n = 0; n * 256 < big.size; n += 1) {
      // Every second entry, so that findings do not join.
      editBundle(copy, n, (entries) =>
        entries.map((entry, index) => (index % 2 === 0 ? utf8(`x${n} ${index}`) : entry)),
      );
    }
    const report = await verify(copy);
    expect(report.faults).toHaveLength(FAULTS_MAX);
    expect(report.faultsTotal).toBe(6000);
    const all = copyLog(big);
    for (let n = 0; n * 256 < big.size; n += 1) {
      editBundle(all, n, (entries) => entries.map((_, index) => utf8(`x${n} ${index}`)));
    }
    const altered = await verify(all);
    expect(altered.faultsTotal).toBe(12_000);
    expect(altered.faults.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(12_000);
  });
});
