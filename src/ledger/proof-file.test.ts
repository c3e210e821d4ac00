import { describe, expect, test } from 'vitest';
import { cosignCheckpoint } from './checkpoint.ts';
import { SIGNATURE_COSIGNATURE, createNoteSigner, formatVkey } from './note.ts';
import { parsePolicy } from './policy.ts';
import {
  PROOF_EXTRA_BYTES_MAX,
  PROOF_FILE_BYTES_MAX,
  formatProofFile,
  parseProofFile,
  verifyProofFile,
} from './proof-file.ts';
import type { ProofFile } from './proof-file.ts';
import { codeOf } from './testing/code-of.ts';
import { buildMemoryLog, signMemoryLog, testSeed } from './testing/memory-log.ts';
import { inclusionProof } from './tiles.ts';
import { leafHash } from './tree.ts';

const log = await buildMemoryLog(300);
const witness = createNoteSigner({ name: 'witness.example', seed: testSeed(9), type: SIGNATURE_COSIGNATURE });
const checkpoint = cosignCheckpoint({ checkpoint: signMemoryLog(log), signer: witness, timeSeconds: 1000 });
const vkeys = formatVkey(log.signer);
const policy = parsePolicy(`log ${vkeys}\nwitness w ${formatVkey(witness)}\nquorum w\n`);
const entryAt = (index: number): Uint8Array => log.entries[index] ?? new Uint8Array(0);

async function proofOf(index: number, extra?: Uint8Array): Promise<ProofFile> {
  const proof = await inclusionProof({ index, size: log.size, readTile: log.readTile });
  return { ...(extra === undefined ? {} : { extra }), index, proof, checkpoint };
}

test('of every entry: comes back from its text, and verifies', async () => {
  for (let index = 0; index < 300; index += 7) {
    const file = await proofOf(index, index % 2 === 0 ? new Uint8Array(index) : undefined);
    const text = formatProofFile(file);
    expect(parseProofFile(text)).toEqual(file);
    expect(parseProofFile(new TextEncoder().encode(text))).toEqual(file);
    const proven = verifyProofFile(text, { entry: entryAt(index), policy });
    expect(proven).toMatchObject({ index, checkpoint: { origin: log.origin, size: 300 } });
    expect(proven.extra).toEqual(file.extra);
  }
});

test('looks as the standard shows', async () => {
  const text = formatProofFile(await proofOf(299, Uint8Array.of(1, 2, 3)));
  expect(text.split('\n').slice(0, 3)).toEqual(['c2sp.org/tlog-proof@v1', 'extra AQID', 'index 299']);
  expect(text.endsWith(`\n\n${checkpoint}`)).toBe(true);
  const single = await buildMemoryLog(1);
  const alone = formatProofFile({ index: 0, proof: [], checkpoint: signMemoryLog(single) });
  expect(alone.startsWith('c2sp.org/tlog-proof@v1\nindex 0\n\narchive.example/log\n1\n')).toBe(true);
  expect(codeOf(() => verifyProofFile(alone, { entry: single.entries[0] ?? new Uint8Array(0), vkeys }))).toBe('ok');
});

test('every combination of what one may know', async () => {
  const text = formatProofFile(await proofOf(17));
  const entry = entryAt(17);
  expect(codeOf(() => verifyProofFile(text, { leafHash: leafHash(entry), vkeys }))).toBe('ok');
  expect(codeOf(() => verifyProofFile(text, { entry, vkeys: [vkeys, formatVkey(witness)] }))).toBe('ok');
  const noLogs = parsePolicy(`witness w ${formatVkey(witness)}\nquorum w\n`);
  expect(codeOf(() => verifyProofFile(text, { entry, policy: noLogs, vkeys }))).toBe('ok');
  expect(codeOf(() => verifyProofFile(text, { entry, policy: noLogs }))).toBe('not-signed');
});

describe('does not verify', () => {
  test('for another entry, index, log, key or quorum', async () => {
    const file = await proofOf(17);
    const text = formatProofFile(file);
    const entry = entryAt(17);
    expect(codeOf(() => verifyProofFile(text, { entry: entryAt(18), vkeys }))).toBe('bad-proof');
    expect(codeOf(() => verifyProofFile(text.replace('index 17', 'index 18'), { entry, vkeys }))).toBe('bad-proof');
    expect(codeOf(() => verifyProofFile(text.replace('index 17', 'index 300'), { entry, vkeys }))).toBe('bad-proof');
    const stranger = createNoteSigner({ name: log.origin, seed: testSeed(77) });
    expect(codeOf(() => verifyProofFile(text, { entry, vkeys: stranger }))).toBe('not-signed');
    const bare = formatProofFile({ ...file, checkpoint: signMemoryLog(log) });
    expect(codeOf(() => verifyProofFile(bare, { entry, policy }))).toBe('quorum-missing');
  });

  test('after any flipped bit, but for those that nobody signs', async () => {
    const text = new TextEncoder().encode(formatProofFile(await proofOf(5)));
    const entry = entryAt(5);
    for (let bit = 0; bit < text.length * 8; bit += 3) {
      const changed = text.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codeOf(() => verifyProofFile(changed, { entry, policy }))).not.toBe('ok');
    }
  });
});

describe('form', () => {
  test('is strict', async () => {
    const good = formatProofFile(await proofOf(5, Uint8Array.of(1)));
    const [firstHash = ''] = good.split('\n').slice(3);
    for (const text of [
      '',
      'c2sp.org/tlog-proof@v1\n',
      good.replace('@v1', '@v2'),
      good.replace('extra AQ==', 'extra AQ'),
      good.replace('extra AQ==', 'extra  AQ=='),
      good.replace('extra AQ==', 'other AQ=='),
      good.replace('extra AQ==\n', 'extra AQ==\nextra AQ==\n'),
      good.replace('index 5', 'index 05'),
      good.replace('index 5\n', ''),
      good.replace('index 5', 'Index 5'),
      good.replace(firstHash, 'AAAA'),
      good.replace('\n\n', '\n'),
      good.slice(0, -1),
      good.replaceAll('\n', '\r\n'),
    ]) {
      expect({ text, code: codeOf(() => parseProofFile(text)) }).toEqual({ text, code: 'bad-format' });
    }
  });

  test('has limits', async () => {
    const file = await proofOf(5);
    const [hash = new Uint8Array(32)] = file.proof;
    expect(codeOf(() => formatProofFile({ ...file, index: -1 }))).toBe('bad-argument');
    expect(codeOf(() => formatProofFile({ ...file, proof: Array.from({ length: 65 }, () => hash) }))).toBe('limit');
    expect(codeOf(() => formatProofFile({ ...file, extra: new Uint8Array(PROOF_EXTRA_BYTES_MAX) }))).toBe('ok');
    expect(codeOf(() => formatProofFile({ ...file, extra: new Uint8Array(PROOF_EXTRA_BYTES_MAX + 1) }))).toBe('limit');
    expect(codeOf(() => parseProofFile('x'.repeat(PROOF_FILE_BYTES_MAX + 1)))).toBe('limit');
  });
});
