import { readFileSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatBase64 } from '../../src/ledger/bytes.ts';
import { cosignCheckpoint } from '../../src/ledger/checkpoint.ts';
import { sha256 } from '../../src/ledger/hash.ts';
import { SIGNATURE_COSIGNATURE, createNoteSigner, formatVkey } from '../../src/ledger/note.ts';
import {
  appendEntries,
  buildMemoryLog,
  createMemoryLog,
  signMemoryLog,
  testEntries,
  testSeed,
} from '../../src/ledger/testing/memory-log.ts';
import type { MemoryLog } from '../../src/ledger/testing/memory-log.ts';
import { consistencyProof, inclusionProof, rootAt } from '../../src/ledger/tiles.ts';
import { leafHash } from '../../src/ledger/tree.ts';
import { buildGoTlog, checkProofsWithGo, fsckWithGo, removeGoTlog, writeLogDirectory } from './go-tlog.ts';
import type { GoClaim } from './go-tlog.ts';

const witness = createNoteSigner({ name: 'witness.example/w1', seed: testSeed(7), type: SIGNATURE_COSIGNATURE });
const directories: string[] = [];

// Built before the tests, since a first build may take longer than one of them may.
beforeAll(async () => {
  await buildGoTlog();
}, 300_000);

afterAll(async () => {
  await removeGoTlog();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

async function writeLog(log: MemoryLog, checkpoint: string): Promise<string> {
  const directory = await writeLogDirectory(log.files, checkpoint);
  directories.push(directory);
  return directory;
}

/** Skips a test, with the reason, where there is no judge. */
async function ensureJudge(context: { skip: (reason: string) => void }): Promise<void> {
  const judge = await buildGoTlog();
  if ('skipped' in judge) context.skip(judge.skipped);
}

describe('a whole log', () => {
  test.for([0, 1, 255, 256, 257, 1000, 70_000])('of %d entries is right', async (size, context) => {
    await ensureJudge(context);
    const log = createMemoryLog();
    const oldSize = Math.floor(size / 3);
    await appendEntries(log, testEntries(0, oldSize));
    const oldCheckpoint = signMemoryLog(log);
    await appendEntries(log, testEntries(oldSize, size));
    const checkpoint = cosignCheckpoint({
      checkpoint: signMemoryLog(log),
      signer: witness,
      timeSeconds: 1_700_000_000,
    });
    const directory = await writeLog(log, checkpoint);
    const oldCheckpointFile = join(directory, 'old-checkpoint');
    await writeFile(oldCheckpointFile, oldCheckpoint);
    const every = size > 1000 ? 101 : 1;
    const verdict = await fsckWithGo({
      directory,
      vkey: formatVkey(log.signer),
      witness: formatVkey(witness),
      every,
      oldCheckpointFile,
    });
    expect(verdict).toMatchObject({
      ok: true,
      report: {
        size,
        entries: size,
        root: formatBase64(log.root),
        inclusions: Math.ceil(size / every),
        cosignatures: 1,
        oldSize,
      },
    });
  });

  test('is wrong after one flipped bit in any file, and with a forked or unsigned checkpoint', async (context) => {
    await ensureJudge(context);
    const log = await buildMemoryLog(600);
    const checkpoint = signMemoryLog(log);
    const directory = await writeLog(log, checkpoint);
    const vkey = formatVkey(log.signer);
    expect(await fsckWithGo({ directory, vkey })).toMatchObject({ ok: true });
    for (const [path, bytes] of [...log.files, ['checkpoint', new TextEncoder().encode(checkpoint)] as const]) {
      const offset = bytes.length >> 1;
      await writeFile(join(directory, path), bytes.with(offset, (bytes[offset] ?? 0) ^ 1));
      expect({ path, ...(await fsckWithGo({ directory, vkey, every: 50 })) }).toMatchObject({ path, ok: false });
      await writeFile(join(directory, path), bytes);
    }
    const fork = await buildMemoryLog(599);
    await appendEntries(fork, [sha256()]);
    const forkFile = join(directory, 'fork');
    await writeFile(forkFile, signMemoryLog(fork));
    expect(await fsckWithGo({ directory, vkey, oldCheckpointFile: forkFile })).toMatchObject({ ok: false });
    expect(await fsckWithGo({ directory, vkey: formatVkey(witness) })).toMatchObject({ ok: false });
    expect(await fsckWithGo({ directory, vkey, witness: formatVkey(witness) })).toMatchObject({ ok: false });
  });
});

describe('proofs', () => {
  test('of ours are accepted, and refused after a change', async (context) => {
    await ensureJudge(context);
    const log = await buildMemoryLog(300);
    const readTile: typeof log.readTile = (level, n) => log.readTile(level, n, level === 1 ? 1 : n === 0 ? 256 : 44);
    const claims: GoClaim[] = [];
    const place = fc.tuple(fc.integer({ min: 1, max: 300 }), fc.nat());
    for (const [size, pick] of fc.sample(place, { seed: 1, numRuns: 300 })) {
      const index = pick % size;
      const root = formatBase64(await rootAt(size, readTile));
      const inclusion = await inclusionProof({ index, size, readTile });
      const leaf = formatBase64(leafHash(log.entries[index] ?? sha256()));
      claims.push({ index, size, leafHash: leaf, root, proof: inclusion.map(formatBase64) });
      const oldSize = index + 1;
      const consistency = await consistencyProof({ oldSize, newSize: size, readTile });
      const oldRoot = formatBase64(await rootAt(oldSize, readTile));
      claims.push({ oldSize, size, oldRoot, root, proof: consistency.map(formatBase64) });
    }
    expect(await checkProofsWithGo(claims)).toEqual(claims.map(() => 'ok'));
    const changed = claims.map((claim) => ({ ...claim, root: formatBase64(sha256()) }));
    const answers = await checkProofsWithGo(changed);
    if ('skipped' in answers) throw new Error(answers.skipped);
    expect(answers.filter((answer) => !answer.startsWith('refused'))).toEqual([]);
  });

  test('of transparency-dev: the judge and the vectors agree', async (context) => {
    await ensureJudge(context);
    const root = join(import.meta.dirname, '../vectors/transparency-dev-merkle/testdata');
    const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
    const claims: GoClaim[] = [];
    const wanted: boolean[] = [];
    for (const path of paths) {
      const probe = JSON.parse(readFileSync(join(root, path), 'utf8'));
      const proof: string[] = probe.proof ?? [];
      // Its numbers are int64, those of two probes are not; and one has roots that are no hashes.
      if (probe.leafIdx > Number.MAX_SAFE_INTEGER || path.endsWith('sizes-are-equal-one-and-proof-is-empty.json'))
        continue;
      claims.push(
        path.startsWith('inclusion')
          ? { index: probe.leafIdx, size: probe.treeSize, leafHash: probe.leafHash, root: probe.root, proof }
          : { oldSize: probe.size1, size: probe.size2, oldRoot: probe.root1, root: probe.root2, proof },
      );
      wanted.push(probe.wantErr === false);
    }
    const answers = await checkProofsWithGo(claims);
    if ('skipped' in answers) throw new Error(answers.skipped);
    expect(claims).toHaveLength(193);
    expect(answers.map((answer) => answer === 'ok')).toEqual(wanted);
  });
});
