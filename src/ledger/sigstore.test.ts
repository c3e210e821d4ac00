/**
 * The inclusion verifier and the checkpoint verifier of `@sigstore/verify` judge our proofs and checkpoints. They were
 * written by others, from the same standards, and share no line with ours. Its internals have no types and no stable name:
 * the version is pinned in package.json.
 */
import { createHash, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { cosignCheckpoint } from './checkpoint.ts';
import { SIGNATURE_COSIGNATURE, SIGNATURE_ED25519, createNoteSigner, parseNote } from './note.ts';
import { formatProofFile, parseProofFile } from './proof-file.ts';
import { appendEntries, buildMemoryLog, signMemoryLog, testEntries, testSeed } from './testing/memory-log.ts';
import type { MemoryLog } from './testing/memory-log.ts';
import { inclusionProof } from './tiles.ts';

type Entry = {
  canonicalizedBody: Uint8Array;
  inclusionProof: { logIndex: string; hashes: Uint8Array[]; checkpoint: { envelope: string } };
};
type SigstoreCheckpoint = { origin: string; logSize: bigint; logHash: Uint8Array };
type TrustedLog = { logID: Buffer; publicKey: KeyObject; baseURL: string };

const require = createRequire(import.meta.url);
const {
  verifyMerkleInclusion,
}: {
  verifyMerkleInclusion: (entry: Entry, checkpoint: SigstoreCheckpoint) => void;
} = require('@sigstore/verify/dist/tlog/merkle.js');
const {
  verifyCheckpoint,
}: {
  verifyCheckpoint: (entry: Entry, logs: TrustedLog[]) => SigstoreCheckpoint;
} = require('@sigstore/verify/dist/tlog/checkpoint.js');

/** The log's key in the words of that package. */
function trust({ signer }: MemoryLog): TrustedLog {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), signer.publicKey]);
  const keyId = createHash('sha256')
    .update(`${signer.name}\n`)
    .update(Buffer.from([SIGNATURE_ED25519]))
    .update(signer.publicKey)
    .digest();
  return {
    logID: keyId,
    publicKey: createPublicKey({ key: spki, format: 'der', type: 'spki' }),
    baseURL: `https://${signer.name}`,
  };
}

/** Goes through a proof file, so that what is judged is what we hand out. */
async function entryOf(log: MemoryLog, index: number, checkpoint: string): Promise<Entry> {
  const proof = await inclusionProof({ index, size: log.size, readTile: log.readTile });
  const file = parseProofFile(formatProofFile({ index, proof, checkpoint }));
  return {
    canonicalizedBody: log.entries[index] ?? new Uint8Array(0),
    inclusionProof: {
      logIndex: String(file.index),
      hashes: file.proof.map((hash) => Buffer.from(hash)),
      checkpoint: { envelope: file.checkpoint },
    },
  };
}

describe.each([1, 2, 255, 256, 257, 1000, 70_000])('a log of %d entries', async (size) => {
  const log = await buildMemoryLog(size);
  const witness = createNoteSigner({ name: 'witness.example', seed: testSeed(5), type: SIGNATURE_COSIGNATURE });
  const checkpoint = cosignCheckpoint({ checkpoint: signMemoryLog(log), signer: witness, timeSeconds: 1 });
  const indexes = [...new Set([0, 1, 2, 254, 255, 256, 257, size >> 1, size - 2, size - 1])].filter(
    (index) => index >= 0 && index < size,
  );

  test('its checkpoint and its inclusion proofs are accepted', async () => {
    for (const index of indexes) {
      const entry = await entryOf(log, index, checkpoint);
      const judged = verifyCheckpoint(entry, [trust(log)]);
      expect(judged).toMatchObject({ origin: log.origin, logSize: BigInt(size) });
      expect(Uint8Array.from(judged.logHash)).toEqual(log.root);
      expect(() => verifyMerkleInclusion(entry, judged)).not.toThrow();
    }
  });

  test('changed ones are refused', async () => {
    const entry = await entryOf(log, indexes.at(-1) ?? 0, checkpoint);
    const judged = verifyCheckpoint(entry, [trust(log)]);
    const other = { ...entry, canonicalizedBody: testEntries(size, size + 1)[0] ?? new Uint8Array(0) };
    expect(() => verifyMerkleInclusion(other, judged)).toThrow('calculated root hash');
    const { inclusionProof } = entry;
    const longer = {
      ...entry,
      inclusionProof: { ...inclusionProof, hashes: [...inclusionProof.hashes, Buffer.alloc(32)] },
    };
    expect(() => verifyMerkleInclusion(longer, judged)).toThrow('invalid hash count');
    const { text } = parseNote(checkpoint);
    const envelope = checkpoint.replace(text, text.replace(`\n${size}\n`, `\n${size + 1}\n`));
    const resized = { ...entry, inclusionProof: { ...inclusionProof, checkpoint: { envelope } } };
    expect(() => verifyCheckpoint(resized, [trust(log)])).toThrow('invalid checkpoint signature');
  });
});

test('a checkpoint that grew from another is accepted, too', async () => {
  const log = await buildMemoryLog(100);
  await appendEntries(log, testEntries(100, 300));
  const entry = await entryOf(log, 299, signMemoryLog(log));
  expect(() => verifyMerkleInclusion(entry, verifyCheckpoint(entry, [trust(log)]))).not.toThrow();
});
