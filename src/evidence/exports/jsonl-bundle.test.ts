import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaFileName } from '../bundle-format.ts';
import {
  buildSampleArchive,
  exportInput,
  exportToMemory,
  SAMPLE_MEDIUM,
  sampleEvents,
  storedSample,
} from '../testing/sample-archive.ts';
import type { SampleArchive, SampleEvent } from '../testing/sample-archive.ts';
import { linesOf, unzip } from '../testing/zip-files.ts';
import { verifyBundle } from '../verify-bundle.ts';
import type { ExportInput, ExportRecord } from './exporter.ts';
import { jsonlBundleExporter } from './jsonl-bundle.ts';
import { findExporter } from './list.ts';
import { openSealedSpool } from './sealed-spool.ts';

let directory: string;
let archive: SampleArchive;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-export-'));
  archive = await buildSampleArchive();
});
afterAll(() => rm(directory, { recursive: true }));

async function* each<Value>(values: readonly Value[]): AsyncGenerator<Value> {
  yield* values;
}

/** An output that counts, and can fail or dawdle. */
function sink(options: { failAfter?: number } = {}): Writable & { bytes: number } {
  return Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        const self = this as Writable & { bytes: number };
        self.bytes += chunk.length;
        if (options.failAfter !== undefined && self.bytes > options.failAfter) done(new Error('the disk is full'));
        else setImmediate(done);
      },
    }),
    { bytes: 0 },
  );
}

const write = (input: ExportInput, output: Writable): ReturnType<typeof jsonlBundleExporter.write> =>
  jsonlBundleExporter.write(input, output, { spoolDirectory: directory });

describe('a bundle', () => {
  it('is found by its name', () => {
    expect(findExporter('jsonl')).toBe(jsonlBundleExporter);
    expect(findExporter('pst')).toBeUndefined();
  });

  it('has its files in their order, and the summary says what was written', async () => {
    const { bytes, summary } = await exportToMemory(exportInput(archive));
    const medium = mediaFileName(storedSample(SAMPLE_MEDIUM).sha256, 'image/png');
    const files = await unzip(bytes);
    expect([...files.keys()]).toEqual([
      'records.jsonl',
      'proofs.jsonl',
      'messages.jsonl',
      'gaps.jsonl',
      medium,
      'checkpoint',
      'README.txt',
      'manifest.json',
      'SHA256SUMS',
    ]);
    expect(files.get(medium)?.equals(SAMPLE_MEDIUM)).toBe(true);
    expect(files.get('checkpoint')?.toString()).toBe(archive.checkpoint);
    expect(summary).toEqual({
      messages: 3,
      records: 8,
      media: 1,
      gaps: 2,
      missingMedia: [],
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      manifestSha256: createHash('sha256')
        .update(files.get('manifest.json') ?? '')
        .digest('hex'),
    });
  });

  it('keeps exact record bytes, also of half a surrogate pair', async () => {
    const files = await unzip((await exportToMemory(exportInput(archive))).bytes);
    const wanted = archive.messages
      .flat()
      .map(({ seq, recordBytes }) => [seq, Buffer.from(recordBytes).toString('base64')]);
    const lines = linesOf(files, 'records.jsonl').map((line) => JSON.parse(line) as { seq: number; record: string });
    expect(lines.map(({ seq, record }) => [seq, record])).toEqual(wanted);
    const [message] = linesOf(files, 'messages.jsonl').map((line) => JSON.parse(line) as { body: { text: string } });
    expect(message?.body.text).toBe('Where is my order? \ud83d');
  });

  it('says what was withheld', async () => {
    const withheld = [{ reason: 'privileged', messages: 4 }];
    const { bytes } = await exportToMemory(exportInput(archive, { withheld }));
    const path = join(directory, 'withheld.zip');
    await writeFile(path, bytes);
    expect((await verifyBundle(path, { logKey: archive.logKey })).claims?.withheld).toEqual(withheld);
  });

  it('is the same bytes each time, in any zone', async () => {
    const one = await exportToMemory(exportInput(archive));
    expect((await exportToMemory(exportInput(archive))).bytes.equals(one.bytes)).toBe(true);
    const zone = process.env['TZ'];
    try {
      process.env['TZ'] = 'Pacific/Auckland';
      expect((await exportToMemory(exportInput(archive))).bytes.equals(one.bytes)).toBe(true);
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
    const later = exportInput(archive, { exportedAtMs: 1_800_000_000_000 });
    expect((await exportToMemory(later)).bytes.equals(one.bytes)).toBe(false);
  });

  it('takes no name from anybody', () => {
    const sha256 = 'a'.repeat(64);
    for (const mime of ['../../x', 'image/png/../..', 'application/x-sh', '', undefined]) {
      expect(mediaFileName(sha256, mime)).toBe(`media/${sha256}.bin`);
    }
    expect(mediaFileName(sha256, 'IMAGE/JPEG; charset=x')).toBe(`media/${sha256}.jpg`);
  });

  it('can be unpacked by other tools', async ({ skip }) => {
    try {
      execFileSync('unzip', ['-v'], { stdio: 'ignore' });
    } catch {
      return skip('unzip is not installed');
    }
    const path = join(directory, 'unzip.zip');
    await writeFile(path, (await exportToMemory(exportInput(archive))).bytes);
    const { stdout } = await promisify(execFile)('unzip', ['-t', path]);
    expect(stdout).toContain('No errors detected');
  });
});

describe('what does not verify is not written', () => {
  const first = (change: (record: ExportRecord) => ExportRecord): ExportInput => {
    const [[record, ...records] = [], ...messages] = archive.messages;
    if (record === undefined) throw new Error('no record');
    return exportInput(archive, { messages: each([[change(record), ...records], ...messages]) });
  };
  const refused = async (input: ExportInput): Promise<unknown> => {
    const output = sink();
    const error: unknown = await write(input, output).catch((cause: unknown) => cause);
    expect(output.destroyed).toBe(true);
    expect(output.writableFinished).toBe(false);
    return error;
  };

  it('a proof, a leaf, a place that do not lead to the checkpoint', async () => {
    const corrupt = { code: 'corrupt' };
    expect(await refused(first((record) => ({ ...record, proof: record.proof.slice(1) })))).toMatchObject(corrupt);
    expect(await refused(first((record) => ({ ...record, seq: record.seq + 1 })))).toMatchObject(corrupt);
    expect(
      await refused(
        first((record) => ({
          ...record,
          leaf: Uint8Array.from(record.leaf, (byte, at) => (at === 60 ? byte ^ 1 : byte)),
        })),
      ),
    ).toMatchObject(corrupt);
  });

  it('a checkpoint that the key did not sign', async () => {
    const checkpoint = archive.checkpoint.replace(`\n${archive.log.size}\n`, `\n${archive.log.size + 1}\n`);
    expect(await refused(exportInput(archive, { checkpoint }))).toMatchObject({ code: 'corrupt' });
  });

  it('a medium that is not what its record says', async () => {
    const { sha256 } = storedSample(SAMPLE_MEDIUM);
    const wrong = await buildSampleArchive(sampleEvents(), new Map([[sha256, Buffer.from('another')]]));
    expect(await refused(exportInput(wrong))).toMatchObject({ code: 'corrupt' });
  });

  it('records that do not come message by message', async () => {
    const [a = [], b = []] = archive.messages;
    expect(await refused(exportInput(archive, { messages: each([[...a, ...b]]) }))).toMatchObject({ code: 'internal' });
    expect(await refused(exportInput(archive, { messages: each([a.toReversed()]) }))).toMatchObject({
      code: 'internal',
    });
  });

  it('anything after an error of the source', async () => {
    async function* failing(): AsyncGenerator<readonly ExportRecord[]> {
      yield archive.messages[0] ?? [];
      throw new Error('the key is gone');
    }
    expect(await refused(exportInput(archive, { messages: failing() }))).toMatchObject({ message: 'the key is gone' });
  });

  it('anything after an error of the output; the source is ended', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<readonly ExportRecord[]> {
      try {
        for (;;) yield archive.messages[0] ?? [];
      } finally {
        ended = true;
      }
    }
    await expect(write(exportInput(archive, { messages: endless() }), sink({ failAfter: 20_000 }))).rejects.toThrow(
      'the disk is full',
    );
    await expect.poll(() => ended).toBe(true);
  });

  it('leaves nothing behind', async () => {
    expect((await readdir(directory)).filter((name) => name.startsWith('spool-'))).toEqual([]);
  });
});

describe('the sealed spool', () => {
  it('gives back what was written, and nothing readable is on the disk meanwhile', async () => {
    const spool = await openSealedSpool(directory);
    const texts = Array.from({ length: 3000 }, (_, index) => `line ${index} with a SECRET-WORD and ü😀\n`);
    for (const text of texts) await spool.write(text);
    expect((await readdir(directory)).filter((name) => name.startsWith('spool-'))).toEqual([]);
    // The file has no name any more, but on Linux it can still be reached through the process.
    if (process.platform === 'linux') {
      const onDisk = [];
      for (const fd of await readdir('/proc/self/fd')) {
        const target = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
        if (target.includes('/spool-')) onDisk.push(await readFile(`/proc/self/fd/${fd}`));
      }
      expect(onDisk.map((bytes) => bytes.length > 64 * 1024)).toEqual([true]);
      expect(onDisk.some((bytes) => bytes.includes('SECRET-WORD'))).toBe(false);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of spool.read()) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString('utf8')).toBe(texts.join(''));
    await spool.close();
  });
});

describe('a large export', () => {
  it('is written and verified with memory that does not grow with it', async () => {
    const [, [, created] = []] = sampleEvents();
    if (created?.kind !== 'message.created') throw new Error('the sample has changed');
    const events = Array.from({ length: 4000 }, (_, index): SampleEvent => {
      const body = { text: `Message ${index}: ${'text '.repeat(40)}`, format: 'plain' as const };
      return [index, { ...created, content: { ...created.content, body } }];
    });
    const large = await buildSampleArchive(events);
    // The same four thousand again and again would be a repetition to the verifier, but not to the writer.
    async function* tenfold(): AsyncGenerator<readonly ExportRecord[]> {
      for (let round = 0; round < 10; round += 1) yield* large.messages;
    }
    const output = sink();
    const before = process.memoryUsage().rss;
    const summary = await write(exportInput(large, { messages: tenfold() }), output);
    expect(summary).toMatchObject({ messages: 40_000, records: 40_000 });
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
    const path = join(directory, 'large.zip');
    await writeFile(path, (await exportToMemory(exportInput(large))).bytes);
    expect(await verifyBundle(path, { logKey: large.logKey })).toMatchObject({
      ok: true,
      records: 4000,
      messages: 4000,
    });
  });
});
