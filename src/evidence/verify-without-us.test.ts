/**
 * `docs/verify-without-us.md` promises strangers that they need nothing of ours. Its scripts are cut out of the page and run: on a good bundle
 * they must say so, on forged ones they must refuse.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkProofsWithGo } from '../../test/judges/go-tlog.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import { testSeed } from '../ledger/testing/memory-log.ts';
import { buildSampleArchive, exportInput, exportToMemory } from './testing/sample-archive.ts';
import type { SampleArchive } from './testing/sample-archive.ts';
import { forgeManifest, linesOf, putLines, unzip, zipOf } from './testing/zip-files.ts';

const run = promisify(execFile);
const has = (program: string, ...flags: string[]): boolean => {
  try {
    execFileSync(program, flags, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const HAS_OPENSSL = has('openssl', 'version');
const HAS_PYTHON = HAS_OPENSSL && has('python3', '--version');
const HAS_SHELL = HAS_OPENSSL && has('unzip', '-v') && has('sha256sum', '--version') && has('sh', '-c', 'true');

let directory: string;
let archive: SampleArchive;
let page: string;
let good: Buffer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-without-us-'));
  page = await readFile(new URL('../../docs/verify-without-us.md', import.meta.url), 'utf8');
  archive = await buildSampleArchive();
  good = (await exportToMemory(exportInput(archive))).bytes;
});
afterAll(() => rm(directory, { recursive: true }));

/** The first block of a language on the page. */
function blockOf(language: string): string {
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.[1];
  if (block === undefined) throw new Error(`the page has no block of ${language}`);
  return block;
}

async function forged(change: (files: Map<string, Buffer>) => void): Promise<Buffer> {
  const files = await unzip(good);
  change(files);
  forgeManifest(files);
  return zipOf(files);
}

const otherKey = (): string => formatVkey(createNoteSigner({ name: archive.log.origin, seed: testSeed(77) }));

const changeRecord = (files: Map<string, Buffer>): void =>
  putLines(
    files,
    'records.jsonl',
    linesOf(files, 'records.jsonl').map((line) => {
      const record = JSON.parse(line) as { record: string };
      const text = Buffer.from(record.record, 'base64').toString('utf8').replace('Hello', 'Hullo');
      return JSON.stringify({ ...record, record: Buffer.from(text).toString('base64') });
    }),
  );
const changeSeq = (files: Map<string, Buffer>): void =>
  putLines(
    files,
    'records.jsonl',
    linesOf(files, 'records.jsonl').map((line) =>
      line.replace(/"seq":(\d+)/, (_all, seq) => `"seq":${Number(seq) + 1}`),
    ),
  );
const dropRecord = (files: Map<string, Buffer>): void => {
  for (const name of ['records.jsonl', 'proofs.jsonl']) putLines(files, name, linesOf(files, name).slice(1));
};
const changeMedium = (files: Map<string, Buffer>): void => {
  for (const [name, bytes] of files) if (name.startsWith('media/')) files.set(name, Buffer.from(bytes.toReversed()));
};
const changeHead = (files: Map<string, Buffer>): void =>
  void files.set(
    'checkpoint',
    Buffer.from(archive.checkpoint.replace(`\n${archive.log.size}\n`, `\n${archive.log.size + 1}\n`)),
  );

describe.skipIf(!HAS_PYTHON)('the Python script (skipped without python3 and openssl)', () => {
  const check = async (bundle: Buffer, key = archive.logKey): Promise<string> => {
    await writeFile(join(directory, 'check.py'), blockOf('python'));
    await writeFile(join(directory, 'python.zip'), bundle);
    const { stdout } = await run('python3', [join(directory, 'check.py'), join(directory, 'python.zip'), key], {
      timeout: 30_000,
    });
    return stdout;
  };

  it('has some forty lines and finds a good bundle good', async () => {
    expect(blockOf('python').split('\n').length).toBeLessThan(55);
    expect(await check(good)).toBe(`GOOD: 3 messages in log archive.example/log, signed at size ${archive.log.size}\n`);
  });

  it.each([
    ['a changed record', changeRecord, /not what its leaf stands for/],
    ['a changed place', changeSeq, /not in the log/],
    ['a record left out', dropRecord, /is missing/],
    ['a changed medium', changeMedium, /not a medium of a record/],
    ['a changed head', changeHead, /not signed by this key/],
  ])('refuses %s', async (_name, change, reason) => {
    await expect(check(await forged(change))).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(reason) });
  });

  it('refuses another key', async () => {
    await expect(check(good, otherKey())).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not signed by this key/),
    });
  });
});

describe.skipIf(!HAS_SHELL)('the shell commands (skipped without unzip, sha256sum and openssl)', () => {
  const check = async (bundle: Buffer, key = archive.logKey): Promise<string> => {
    const place = await mkdtemp(join(directory, 'shell-'));
    await writeFile(join(place, 'evidence.zip'), bundle);
    const script = blockOf('sh').replace(/^KEY=.*$/m, `KEY='${key}'`);
    const { stdout } = await run('sh', ['-e', '-c', script], { cwd: place, timeout: 30_000 });
    return stdout;
  };

  it('find a good bundle good', async () => {
    expect(await check(good)).toMatch(/Signature Verified Successfully/);
  });

  it('refuse another key, a changed head, a changed file', async () => {
    const unsigned = { code: 1, stdout: expect.stringMatching(/Signature Verification Failure/) };
    await expect(check(good, otherKey())).rejects.toMatchObject(unsigned);
    await expect(check(await forged(changeHead))).rejects.toMatchObject(unsigned);
    const files = await unzip(good);
    files.set('messages.jsonl', Buffer.from('{}\n'));
    await expect(check(await zipOf(files))).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/messages.jsonl: FAILED/),
    });
  });
});

describe('the Node script over @sigstore/verify', () => {
  const root = dirname(dirname(import.meta.dirname));
  const check = async (bundle: Buffer, key = archive.logKey): Promise<string> => {
    const place = await mkdtemp(join(directory, 'node-'));
    for (const [name, bytes] of await unzip(bundle)) {
      await mkdir(dirname(join(place, name)), { recursive: true });
      await writeFile(join(place, name), bytes);
    }
    await writeFile(join(place, 'check.cjs'), blockOf('js'));
    const env = { ...process.env, NODE_PATH: join(root, 'node_modules') };
    const { stdout } = await run(process.execPath, [join(place, 'check.cjs'), place, key], { env, timeout: 30_000 });
    return stdout;
  };

  it('finds a good bundle good', async () => {
    expect(await check(good)).toBe('GOOD: 8 inclusion proofs\n');
  });

  it('refuses changed places, a changed head, another key', async () => {
    const refused = (reason: RegExp): object => ({ code: 1, stderr: expect.stringMatching(reason) });
    await expect(check(await forged(changeSeq))).rejects.toMatchObject(
      refused(/root hash does not match|invalid hash count/),
    );
    await expect(check(await forged(changeHead))).rejects.toMatchObject(refused(/invalid checkpoint signature/));
    await expect(check(good, otherKey())).rejects.toMatchObject(refused(/invalid checkpoint signature/));
  });
});

describe('the Go verifier', () => {
  it('takes the proofs of a bundle as the page says', async ({ skip }) => {
    const files = await unzip(good);
    const [, size, root = ''] = (files.get('checkpoint')?.toString('utf8') ?? '').split('\n');
    const claims = linesOf(files, 'proofs.jsonl').map(
      (line) => JSON.parse(line.replace(/}$/, `,"size":${size},"root":"${root}"}`)) as never,
    );
    const verdicts = await checkProofsWithGo(claims);
    if ('skipped' in verdicts) return skip(verdicts.skipped);
    expect(verdicts).toEqual(Array.from({ length: 8 }, () => 'ok'));
    const [first] = claims as { index: number }[];
    expect(
      await checkProofsWithGo([{ ...(first as never as object), index: (first?.index ?? 0) + 1 } as never]),
    ).not.toEqual(['ok']);
  }, 240_000);
});
