import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromBufferPromise } from 'yauzl';

import { cosignCheckpoint, signCheckpoint } from '../ledger/checkpoint.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import { appendEntries, testEntries, testSeed } from '../ledger/testing/memory-log.ts';
import { leafHash } from '../ledger/tree.ts';
import { BUNDLE_LIMITS, formatProofLine } from './bundle-format.ts';
import { buildSampleArchive, exportInput, exportToMemory, SAMPLE_MEDIUM } from './testing/sample-archive.ts';
import type { SampleArchive } from './testing/sample-archive.ts';
import { forgeManifest, linesOf, putLines, unzip, zipOf } from './testing/zip-files.ts';
import { verifyBundle } from './verify-bundle.ts';
import type { BundleReport } from './verify-bundle.ts';

let directory: string;
let archive: SampleArchive;
let bundle: Buffer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-verify-'));
  archive = await buildSampleArchive();
  bundle = (await exportToMemory(exportInput(archive))).bytes;
});
afterAll(() => rm(directory, { recursive: true }));

let written = 0;
async function verify(
  bytes: Buffer,
  expected: Partial<Parameters<typeof verifyBundle>[1]> = {},
): Promise<BundleReport> {
  written += 1;
  const path = join(directory, `bundle-${written}.zip`);
  await writeFile(path, bytes);
  const report = await verifyBundle(path, { logKey: archive.logKey, ...expected });
  await rm(path);
  return report;
}

/** Takes the bundle apart, lets `change` have its way, sets every hash right, and verifies. */
async function forge(
  change: (files: Map<string, Buffer>) => void,
  inManifest?: Parameters<typeof forgeManifest>[1],
): Promise<BundleReport> {
  const files = await unzip(bundle);
  change(files);
  forgeManifest(files, inManifest);
  return verify(await zipOf(files));
}

const codes = (report: BundleReport): string[] => [...new Set(report.faults.map(({ code }) => code))].sort();

type RecordLine = { seq: number; leaf: string; r: string; record: string };
const recordsOf = (files: ReadonlyMap<string, Buffer>): RecordLine[] =>
  linesOf(files, 'records.jsonl').map((line) => JSON.parse(line) as RecordLine);
function putRecords(files: Map<string, Buffer>, records: readonly RecordLine[]): void {
  putLines(
    files,
    'records.jsonl',
    records.map((record) => JSON.stringify(record)),
  );
}

describe('a good bundle', () => {
  it('is ok, and says what it holds', async () => {
    const report = await verify(bundle);
    expect(report).toMatchObject({
      ok: true,
      records: 8,
      messages: 3,
      media: 1,
      faults: [],
      faultsTotal: 0,
      notes: [],
    });
    expect(report.checkpoint).toEqual({
      origin: 'archive.example/log',
      size: archive.log.size,
      root: Buffer.from(archive.log.root).toString('base64'),
    });
    expect(report.claims).toMatchObject({ query: 'from:+4930123456', archive: { name: 'Sample shop' } });
    expect(report.manifestSha256).toBe(
      createHash('sha256')
        .update((await unzip(bundle)).get('manifest.json') ?? '')
        .digest('hex'),
    );
  });

  it('is ok after another tool packed it again, and after a forger who changed nothing', async () => {
    expect(await verify(await zipOf(await unzip(bundle)))).toMatchObject({ ok: true });
    expect(await forge(() => undefined)).toMatchObject({ ok: true });
  });

  it('counts cosignatures of witnesses that were asked about', async () => {
    const witness = createNoteSigner({ name: 'witness.example', seed: testSeed(9), type: 4 });
    const checkpoint = cosignCheckpoint({
      checkpoint: archive.checkpoint,
      signer: witness,
      timeSeconds: 1_700_000_500,
    });
    const { bytes } = await exportToMemory(exportInput(archive, { checkpoint }));
    const report = await verify(bytes, { witnessKeys: [formatVkey(witness)] });
    expect(report).toMatchObject({ ok: true, cosignatures: [{ name: 'witness.example', timeSeconds: 1_700_000_500 }] });
    expect(await verify(bytes)).toMatchObject({ ok: true, cosignatures: [] });
  });

  it('may lack media that could not be had, and says so', async () => {
    const poor = await buildSampleArchive(undefined, new Map());
    const { bytes, summary } = await exportToMemory(exportInput(poor));
    expect(summary.missingMedia).toHaveLength(1);
    expect(await verify(bytes)).toMatchObject({
      ok: true,
      media: 0,
      notes: ['1 media could not be had when the bundle was made'],
    });
  });

  it('may be empty', async () => {
    const { bytes } = await exportToMemory(exportInput(archive, { messages: (async function* () {})() }));
    expect(await verify(bytes)).toMatchObject({ ok: true, records: 0, messages: 0 });
  });
});

describe('damage', () => {
  it('any byte changed in any file is noticed', async () => {
    const files = await unzip(bundle);
    const names = [...files.keys()];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (name, place, bits) => {
          const changed = new Map(files);
          const bytes = Buffer.from(files.get(name) ?? '');
          const at = place % bytes.length;
          bytes[at] = (bytes[at] ?? 0) ^ bits;
          changed.set(name, bytes);
          expect((await verify(await zipOf(changed))).ok).toBe(false);
        },
      ),
      { numRuns: 250, seed: 21 },
    );
  });

  it('any byte changed in the ZIP is noticed, or changes none of its files', async () => {
    const whole = [...(await unzip(bundle))];
    await fc.assert(
      fc.asyncProperty(fc.nat(bundle.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const changed = Buffer.from(bundle);
        changed[at] = (changed[at] ?? 0) ^ bits;
        const report = await verify(changed);
        if (report.ok) expect([...(await unzip(changed))]).toEqual(whole);
      }),
      { numRuns: 400, seed: 22 },
    );
  });

  it('any cut is noticed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bundle.length - 1), async (end) => {
        const report = await verify(bundle.subarray(0, end));
        expect(report.ok).toBe(false);
        expect(report.faultsTotal).toBeGreaterThan(0);
      }),
      { numRuns: 100, seed: 23 },
    );
  });

  it('a byte more at the end is noticed', async () => {
    expect(codes(await verify(Buffer.concat([bundle, Buffer.of(0)])))).toEqual(['not-a-bundle']);
  });

  it('names the file and the code', async () => {
    const files = await unzip(bundle);
    files.set('README.txt', Buffer.from('trust us'));
    expect((await verify(await zipOf(files))).faults).toEqual([
      { code: 'file-changed', file: 'README.txt', text: 'the file is not the one that the manifest names' },
    ]);
  });
});

describe('forgery with every hash set right', () => {
  it('a changed record', async () => {
    const report = await forge((files) => {
      const records = recordsOf(files);
      const [first] = records;
      if (first === undefined) throw new Error('no record');
      first.record = Buffer.from(
        Buffer.from(first.record, 'base64').toString('utf8').replace('Where', 'There'),
      ).toString('base64');
      putRecords(files, records);
    });
    expect(codes(report)).toContain('commitment-mismatch');
    expect(report.faults[0]).toMatchObject({ code: 'commitment-mismatch', file: 'records.jsonl', seq: 3 });
  });

  it('a changed record with a leaf to fit', async () => {
    const other = await buildSampleArchive([[0, { kind: 'message.status', state: 'read', rawState: 'forged' }]]);
    const report = await forge((files) => {
      const records = recordsOf(files);
      const forged = other.messages[0]?.[0];
      const [first] = records;
      if (first === undefined || forged === undefined) throw new Error('no record');
      first.leaf = Buffer.from(forged.leaf).toString('base64');
      first.r = Buffer.from(forged.r).toString('base64');
      first.record = Buffer.from(forged.recordBytes).toString('base64');
      putRecords(files, records);
      const proofs = linesOf(files, 'proofs.jsonl');
      proofs[0] = formatProofLine({
        index: 3,
        leafHash: leafHash(forged.leaf),
        proof: archive.messages[0]?.[0]?.proof ?? [],
      });
      putLines(files, 'proofs.jsonl', proofs);
    });
    expect(report.faults[0]).toMatchObject({ code: 'proof-invalid', file: 'proofs.jsonl', seq: 3 });
  });

  it('a record added', async () => {
    const other = await buildSampleArchive([[7, { kind: 'message.status', state: 'read', rawState: 'forged' }]]);
    const { bytes } = await exportToMemory(exportInput(other));
    const theirs = await unzip(bytes);
    const report = await forge((files) => {
      for (const name of ['records.jsonl', 'proofs.jsonl', 'messages.jsonl']) {
        putLines(files, name, [...linesOf(files, name), ...linesOf(theirs, name)]);
      }
    });
    // Its place of the log is taken, and no proof leads from it to this checkpoint.
    expect(codes(report)).toEqual(['proof-invalid', 'record-repeated']);
  });

  it.each([
    [0, 'the first'],
    [1, 'one between'],
  ])('record %i of a message removed (%s)', async (index) => {
    const report = await forge((files) => {
      for (const name of ['records.jsonl', 'proofs.jsonl'])
        putLines(files, name, linesOf(files, name).toSpliced(index, 1));
    });
    expect(codes(report)).toContain('record-missing');
  });

  it('two records swapped within a message', async () => {
    const report = await forge((files) => {
      for (const name of ['records.jsonl', 'proofs.jsonl']) {
        const [a = '', b = '', ...rest] = linesOf(files, name);
        putLines(files, name, [b, a, ...rest]);
      }
    });
    // Out of order, and no longer one behind the other.
    expect(codes(report)).toEqual(['record-missing', 'record-repeated']);
  });

  it('two records that change places in the log', async () => {
    const report = await forge((files) => {
      const records = recordsOf(files);
      const [a, b] = records;
      if (a === undefined || b === undefined) throw new Error('no records');
      [a.seq, b.seq] = [b.seq, a.seq];
      putRecords(files, records);
    });
    expect(codes(report)).toContain('proof-invalid');
  });

  it('a record told twice', async () => {
    const report = await forge((files) => {
      for (const name of ['records.jsonl', 'proofs.jsonl']) {
        const lines = linesOf(files, name);
        putLines(files, name, [...lines, lines.at(-1) ?? '']);
      }
    });
    expect(codes(report)).toContain('record-repeated');
  });

  it('the records of one message torn apart', async () => {
    const report = await forge((files) => {
      for (const name of ['records.jsonl', 'proofs.jsonl']) {
        const [first = '', ...rest] = linesOf(files, name);
        putLines(files, name, [...rest, first]);
      }
    });
    expect(codes(report)).toContain('record-repeated');
  });

  it('a message retold', async () => {
    const report = await forge((files) => {
      putLines(
        files,
        'messages.jsonl',
        linesOf(files, 'messages.jsonl').map((line) => line.replace('Hello again', 'Goodbye')),
      );
    });
    expect(report.faults).toEqual([
      {
        code: 'message-mismatch',
        file: 'messages.jsonl',
        seq: 4,
        text: 'the message is not what its records add up to',
      },
    ]);
  });

  it.each(['messages.jsonl', 'proofs.jsonl', 'gaps.jsonl'])('a line less and a line more in %s', async (name) => {
    const code =
      { 'messages.jsonl': 'message-mismatch', 'proofs.jsonl': 'proof-invalid', 'gaps.jsonl': 'gap-mismatch' }[name] ??
      '';
    expect(codes(await forge((files) => putLines(files, name, linesOf(files, name).slice(1))))).toContain(code);
    expect(codes(await forge((files) => putLines(files, name, [...linesOf(files, name), '{}'])))).toContain(code);
  });

  it('gaps kept quiet', async () => {
    expect(codes(await forge((files) => void files.delete('gaps.jsonl')))).toEqual(['count-mismatch', 'gap-mismatch']);
  });

  it('another medium under the name of the first', async () => {
    const report = await forge((files) => {
      for (const name of files.keys())
        if (name.startsWith('media/')) files.set(name, Buffer.from(SAMPLE_MEDIUM.toReversed()));
    });
    expect(codes(report)).toEqual(['media-changed']);
  });

  it('a medium removed, and one added', async () => {
    const without = (files: Map<string, Buffer>): void => {
      for (const name of files.keys()) if (name.startsWith('media/')) files.delete(name);
    };
    expect(codes(await forge(without))).toEqual(['media-missing']);
    const sha256 = createHash('sha256').update('x').digest('hex');
    expect(codes(await forge((files) => void files.set(`media/${sha256}.png`, Buffer.from('x'))))).toEqual([
      'file-unexpected',
    ]);
  });

  it('another checkpoint of the same log', async () => {
    const grown = await buildSampleArchive();
    await appendEntries(grown.log, testEntries(50, 60));
    const { origin, size, root, signer } = grown.log;
    const report = await forge(
      (files) => void files.set('checkpoint', Buffer.from(signCheckpoint({ origin, size, root }, signer))),
      (manifest) => Object.assign(manifest.log, { size, root: Buffer.from(root).toString('base64') }),
    );
    expect(codes(report)).toEqual(['proof-invalid']);
    expect(report.faultsTotal).toBe(8);
  });

  it('the whole log forged, under a key of its own', async () => {
    const signer = createNoteSigner({ name: archive.log.origin, seed: testSeed(66) });
    const { origin, size, root } = archive.log;
    const checkpoint = signCheckpoint({ origin, size, root }, signer);
    const { bytes } = await exportToMemory(exportInput(archive, { logKey: formatVkey(signer), checkpoint }));
    const report = await verify(bytes);
    expect(codes(report)).toEqual(['checkpoint-invalid', 'manifest-invalid']);
    expect(report.checkpoint).toBeUndefined();
  });

  it('a checkpoint without a signature, and one with a changed one', async () => {
    const text = archive.checkpoint.slice(0, archive.checkpoint.indexOf('\n\n') + 1);
    expect(codes(await forge((files) => void files.set('checkpoint', Buffer.from(text))))).toContain(
      'checkpoint-invalid',
    );
    const changed = archive.checkpoint.replace(
      /(.)(=*\n)$/,
      (_all, last: string, end: string) => (last === 'A' ? 'E' : 'A') + end,
    );
    expect(codes(await forge((files) => void files.set('checkpoint', Buffer.from(changed))))).toEqual([
      'checkpoint-invalid',
    ]);
  });

  it('a manifest that tells two stories, or another archive', async () => {
    const files = await unzip(bundle);
    const text = files.get('manifest.json')?.toString('utf8') ?? '';
    files.set('manifest.json', Buffer.from(text.replace('"query"', '"query": "other",\n  "query"')));
    expect(codes(await verify(await zipOf(files)))).toContain('manifest-invalid');
    expect(
      codes(
        await forge(
          () => undefined,
          (manifest) => (manifest.archive.id = `arc_${'0'.repeat(32)}`),
        ),
      ),
    ).toEqual(['leaf-mismatch']);
    expect(
      codes(
        await forge(
          () => undefined,
          (manifest) => (manifest.counts.records += 1),
        ),
      ),
    ).toEqual(['count-mismatch']);
  });

  it('lines in another form, or none', async () => {
    for (const name of ['records.jsonl', 'proofs.jsonl', 'messages.jsonl']) {
      expect(
        (
          await forge((files) =>
            putLines(
              files,
              name,
              linesOf(files, name).map((line) => line.replace(':', ': ')),
            ),
          )
        ).ok,
      ).toBe(false);
      expect((await forge((files) => void files.set(name, Buffer.from('{'.repeat(100_000))))).ok).toBe(false);
      expect((await forge((files) => void files.set(name, Buffer.from(`${'['.repeat(100_000)}\n`)))).ok).toBe(false);
      expect((await forge((files) => void files.set(name, Buffer.of(0xff, 0x0a)))).ok).toBe(false);
    }
  });

  it('messages by other rules are noted, not compared', async () => {
    const report = await forge(
      (files) => putLines(files, 'messages.jsonl', ['{"by":"other rules"}', '{}', '{}']),
      (manifest) => (manifest.foldVersion = 2),
    );
    expect(report).toMatchObject({ ok: true, messages: 3, notes: [expect.stringContaining('not compared')] });
  });

  it('cannot know of a message left out whole, nor of the last records of one: no bundle can', async () => {
    const report = await forge((files) => {
      for (const name of ['records.jsonl', 'proofs.jsonl']) putLines(files, name, linesOf(files, name).slice(0, 6));
      putLines(files, 'messages.jsonl', linesOf(files, 'messages.jsonl').slice(0, 2));
      files.delete('gaps.jsonl');
    });
    expect(report).toMatchObject({ ok: true, messages: 2 });
  });
});

describe('keys', () => {
  it.each(['', 'x', 'archive.example/log+00000000+AAAA', '\u0000'.repeat(10)])('"%s" is no key', async (logKey) => {
    const report = await verify(bundle, { logKey });
    expect(codes(report)).toContain('bad-key');
    expect(report.checkpoint).toBeUndefined();
  });

  it('the key of another log does not fit', async () => {
    const logKey = formatVkey(createNoteSigner({ name: 'other.example/log', seed: testSeed(1) }));
    expect(codes(await verify(bundle, { logKey }))).toEqual(['checkpoint-invalid', 'manifest-invalid']);
  });
});

describe('hostile files', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no ZIP', Buffer.from('hello')],
    ['an empty ZIP', Buffer.from('504b0506000000000000000000000000000000000000', 'hex')],
    [
      'a directory of 65,535 entries that are not there',
      Buffer.from('504b05060000000ffffffffff0000000000000000000', 'hex'),
    ],
  ])('%s', async (_name, bytes) => {
    expect((await verify(bytes)).ok).toBe(false);
  });

  it('no file at all, a directory', async () => {
    expect(codes(await verifyBundle(join(directory, 'absent.zip'), { logKey: archive.logKey }))).toEqual([
      'not-a-bundle',
    ]);
    expect(codes(await verifyBundle(directory, { logKey: archive.logKey }))).toEqual(['not-a-bundle']);
  });

  it('random bytes never throw', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect((await verify(Buffer.from(bytes))).ok).toBe(false);
      }),
      { numRuns: 60, seed: 24 },
    );
  });

  it.each([
    '../../etc/passwd',
    '/etc/passwd',
    'media/../x.png',
    'media\\x',
    'notes.txt',
    'media/abc.png',
    'MANIFEST.JSON',
  ])('a file named %s', async (name) => {
    const renamed = await zipOf([
      ...(await unzip(bundle)),
      ['records.jsonk'.padEnd(name.length, 'x').slice(0, name.length), Buffer.from('x')],
    ]);
    // The writer refuses such names itself, so they are put in afterwards.
    const bytes = Buffer.from(
      renamed.toString('latin1').replaceAll('records.jsonk'.padEnd(name.length, 'x').slice(0, name.length), name),
      'latin1',
    );
    const report = await verify(bytes);
    expect(report.ok).toBe(false);
    expect(codes(report).every((code) => code === 'file-unexpected' || code === 'not-a-bundle')).toBe(true);
    expect(JSON.stringify(report)).not.toContain(name);
  });

  it('two files of one name', async () => {
    const files = [...(await unzip(bundle))];
    const manifest = files.find(([name]) => name === 'manifest.json');
    if (manifest === undefined) throw new Error('no manifest');
    expect(codes(await verify(await zipOf([...files, manifest])))).toEqual(['hostile-zip']);
  });

  it('a bomb', async () => {
    const files = await unzip(bundle);
    files.set('README.txt', Buffer.alloc(64 * 1024 * 1024));
    const bytes = await zipOf(files);
    expect(bytes.length).toBeLessThan(1024 * 1024);
    expect(codes(await verify(bytes))).toEqual(['hostile-zip']);
  });

  it('a bomb that lies about its size', async () => {
    const files = await unzip(bundle);
    files.set('README.txt', Buffer.alloc(64 * 1024 * 1024));
    const bytes = await zipOf(files);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(64 * 1024 * 1024);
    for (let at = bytes.indexOf(size); at >= 0; at = bytes.indexOf(size, at)) bytes.writeUInt32LE(1000, at);
    const before = process.memoryUsage().rss;
    const report = await verify(bytes);
    expect(report.ok).toBe(false);
    expect(codes(report)).toContain('file-changed');
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
  });

  it('files that overlap', async () => {
    const bytes = Buffer.from(bundle);
    const zip = await fromBufferPromise(bytes);
    const offsets: number[] = [];
    for await (const entry of zip.eachEntry()) offsets.push(entry.relativeOffsetOfLocalHeader);
    // The second entry of the directory is made to point at the first one's data.
    const directoryAt = bytes.indexOf(Buffer.from('504b0102', 'hex'));
    const second = bytes.indexOf(Buffer.from('504b0102', 'hex'), directoryAt + 4);
    bytes.writeUInt32LE(offsets[0] ?? 0, second + 42);
    expect(codes(await verify(bytes))).toEqual(['hostile-zip']);
  });

  it('a line without an end', async () => {
    const files = await unzip(bundle);
    files.set('records.jsonl', Buffer.alloc(BUNDLE_LIMITS.lineBytesMax + 1024 * 1024, 'x'));
    forgeManifest(files);
    const report = await verify(await zipOf(files, { compress: false }));
    expect(report.faults[0]).toMatchObject({ code: 'hostile-zip', file: 'records.jsonl' });
  });
});
