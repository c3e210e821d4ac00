/** Fuzz targets of the ledger: everything in it may come from a stranger's web server. */
import * as fc from 'fast-check';

import { formatBase64, parseBase64, parseDecimal, parseUtf8, utf8 } from '../../src/ledger/bytes.ts';
import {
  cosignCheckpoint,
  formatCheckpoint,
  parseCheckpoint,
  parseHashLines,
  parseSignedCheckpoint,
  parseVkeys,
  readCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
} from '../../src/ledger/checkpoint.ts';
import { decodeLeaf, encodeLeaf, LEAF_KINDS } from '../../src/ledger/leaf.ts';
import {
  createNoteSigner,
  formatNote,
  formatSignatureLine,
  formatVkey,
  parseNote,
  parseSignatureLine,
  parseVkey,
  SIGNATURE_COSIGNATURE,
  verifyNote,
} from '../../src/ledger/note.ts';
import { parsePolicy } from '../../src/ledger/policy.ts';
import { formatProofFile, parseProofFile, verifyProofFile } from '../../src/ledger/proof-file.ts';
import { testSeed } from '../../src/ledger/testing/memory-log.ts';
import { entriesPath, parseTilePath, readTileHashes, tilePath } from '../../src/ledger/tile-geometry.ts';
import { encodeEntryBundle, parseEntryBundle, readEdge, splitEntryBundle } from '../../src/ledger/tiles.ts';
import { decodeRange, encodeRange, verifyConsistency, verifyInclusion } from '../../src/ledger/tree.ts';
import { formatAddCheckpoint, parseAddCheckpoint, parseAddCheckpointResponse } from '../../src/ledger/witness.ts';
import { hostileBytes, hostileText } from './arbitraries.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const ORIGIN = 'archive.example/log';
const signer = createNoteSigner({ name: ORIGIN, seed: testSeed(1) });
const witness = createNoteSigner({ name: 'witness.example', seed: testSeed(2), type: SIGNATURE_COSIGNATURE });
const head = { origin: ORIGIN, size: 1_000_001, root: new Uint8Array(32).fill(7) };
const checkpoint = signCheckpoint(head, signer);
const cosigned = cosignCheckpoint({ checkpoint, signer: witness, timeSeconds: 1_700_000_000 });
const vkeys = [formatVkey(signer), formatVkey(witness)];
const hashes = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const proofFile = formatProofFile({ index: 5, proof: hashes, checkpoint: cosigned, extra: new Uint8Array([1, 2]) });
const addCheckpoint = formatAddCheckpoint({ oldSize: 7, proof: hashes, checkpoint });
const policy = `# ours\nlog ${formatVkey(signer)} https://log.example\nwitness w1 ${formatVkey(witness)}\ngroup g any w1\nquorum g\n`;
const range = encodeRange({ size: 5, nodes: [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)] });
const leaf = encodeLeaf({
  version: 1,
  kind: LEAF_KINDS['message.created'],
  archiveId: new Uint8Array(16).fill(1),
  recordId: new Uint8Array(16).fill(2),
  previous: new Uint8Array(16),
  commitment: new Uint8Array(32).fill(3),
  ciphertextHash: new Uint8Array(32).fill(4),
  timeMs: 1_700_000_000_000,
  actor: new Uint8Array(16),
});
const bundle = encodeEntryBundle([leaf, new Uint8Array(0), leaf]);

const bytesOrText = (sample: string): fc.Arbitrary<string | Uint8Array> =>
  fc.oneof(hostileText([sample]), hostileBytes([sample]));
const textOf = (input: string | Uint8Array): string => (typeof input === 'string' ? input : parseUtf8(input));

export const LEDGER_TARGETS: readonly Target[] = [
  defineTarget('UTF-8', ['parseUtf8'], hostileBytes(['größe 👍']), (bytes) => {
    mustEqual(utf8(parseUtf8(bytes)), bytes, 'UTF-8 that parses is not what it encodes to');
  }),
  defineTarget('Base 64', ['parseBase64'], hostileText(['AAEC', 'AA==', 'AAE=', '']), (text) => {
    must(formatBase64(parseBase64(text)) === text, 'Base 64 has two forms');
  }),
  defineTarget('decimal', ['parseDecimal'], hostileText(['0', '12', '9007199254740991']), (text) => {
    must(String(parseDecimal(text, 'it')) === text, 'a decimal has two forms');
  }),
  defineTarget('checkpoint', ['parseCheckpoint'], hostileText([formatCheckpoint(head)]), (text) => {
    const parsed = parseCheckpoint(text);
    if (parsed.extensions.length === 0) must(formatCheckpoint(parsed) === text, 'a checkpoint has two forms');
  }),
  defineTarget(
    'signed checkpoint',
    ['parseSignedCheckpoint', 'verifyCheckpoint', 'readCheckpoint', 'verifyNote'],
    bytesOrText(cosigned),
    (note) => {
      parseSignedCheckpoint(textOf(note));
      const verified = verifyCheckpoint(note, vkeys);
      must(verified.size === head.size && verified.origin === ORIGIN, 'another head was taken for a signed one');
      readCheckpoint(verifyNote(note, parseVkeys(vkeys)));
    },
    { cost: 10 },
  ),
  defineTarget('note', ['parseNote'], bytesOrText(cosigned), (note) => {
    must(formatNote(parseNote(note)) === textOf(note), 'a note has two forms');
  }),
  defineTarget(
    'signature line',
    ['parseSignatureLine'],
    hostileText(cosigned.split('\n').filter((line) => line.startsWith('—'))),
    (line) => must(formatSignatureLine(parseSignatureLine(line)) === `${line}\n`, 'a signature line has two forms'),
  ),
  defineTarget('verifier key', ['parseVkey', 'parseVkeys'], hostileText(vkeys), (text) => {
    must(formatVkey(parseVkey(text)) === text, 'a verifier key has two forms');
    must(parseVkeys([text]).length === 1, 'a list of one key is another');
  }),
  defineTarget('lines of hashes', ['parseHashLines'], hostileText([formatBase64(head.root)]), (line) => {
    const [hash] = parseHashLines([line]);
    must(hash !== undefined && formatBase64(hash) === line, 'a hash has two forms');
  }),
  defineTarget('leaf', ['decodeLeaf'], hostileBytes([leaf]), (bytes) => {
    mustEqual(encodeLeaf(decodeLeaf(bytes)), bytes, 'a leaf has two forms');
  }),
  defineTarget('policy', ['parsePolicy'], bytesOrText(policy), (text) => {
    const { quorum, witnesses, groups } = parsePolicy(text);
    must(
      quorum === 'none' || [...witnesses, ...groups].some(({ name }) => name === quorum),
      'the quorum is not defined',
    );
    for (const { threshold, members } of groups) must(threshold >= 1 && threshold <= members.length, 'a threshold');
  }),
  defineTarget(
    'proof file',
    ['parseProofFile', 'verifyProofFile'],
    bytesOrText(proofFile),
    (file) => {
      must(formatProofFile(parseProofFile(file)) === textOf(file), 'a proof file has two forms');
      verifyProofFile(file, { entry: leaf, vkeys });
      must(false, 'a proof that proves nothing was accepted');
    },
    { cost: 5 },
  ),
  defineTarget('tile path', ['parseTilePath'], hostileText(['tile/0/x001/234.p/5', 'tile/entries/000']), (path) => {
    const { level, n, width } = parseTilePath(path);
    must((level === 'entries' ? entriesPath(n, width) : tilePath(level, n, width)) === path, 'a path has two forms');
  }),
  defineTarget(
    'tile',
    ['readTileHashes', 'readEdge'],
    fc.tuple(hostileBytes([new Uint8Array(96)]), fc.nat(1_000)),
    async ([bytes, size]) => {
      const hashesRead = await readTileHashes(async () => bytes, { level: 0, n: 0, width: 3 });
      must(hashesRead.length === 96, 'a tile has another width');
      await readEdge(size, async () => bytes);
    },
    { isAsync: true },
  ),
  defineTarget('entry bundle', ['parseEntryBundle', 'splitEntryBundle'], hostileBytes([bundle]), (bytes) => {
    mustEqual(encodeEntryBundle(parseEntryBundle(bytes)), bytes, 'a bundle has two forms');
    const { entries, rest } = splitEntryBundle(bytes, 1);
    must(entries.length <= 1 && rest.length < Math.max(1, bytes.length), 'a bundle is split wrongly');
  }),
  defineTarget('compact range', ['decodeRange'], hostileBytes([range]), (bytes) => {
    mustEqual(encodeRange(decodeRange(bytes)), bytes, 'a range has two forms');
  }),
  defineTarget(
    'tree proofs',
    ['verifyInclusion', 'verifyConsistency'],
    fc.record({
      first: fc.oneof(fc.nat(), fc.bigInt({ min: -2n, max: 2n ** 70n }), fc.double()),
      second: fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 70n })),
      proof: fc.array(fc.uint8Array({ minLength: 31, maxLength: 32 }), { maxLength: 70 }),
      kind: fc.boolean(),
    }),
    ({ first, second, proof, kind }) => {
      const root = head.root;
      if (kind) verifyInclusion({ index: first, size: second, leafHash: root, root, proof });
      else verifyConsistency({ oldSize: first, newSize: second, oldRoot: root, newRoot: root, proof });
      must(kind ? second === 1 || second === 1n : BigInt(first) === BigInt(second), 'a proof out of nothing');
    },
  ),
  defineTarget('request to a witness', ['parseAddCheckpoint'], bytesOrText(addCheckpoint), (body) => {
    must(formatAddCheckpoint(parseAddCheckpoint(body)) === textOf(body), 'a request has two forms');
  }),
  defineTarget(
    'answer of a witness',
    ['parseAddCheckpointResponse'],
    fc.record({
      status: fc.constantFrom(200, 403, 404, 409, 422, 500),
      contentType: fc.constantFrom('text/x.tlog.size', 'text/plain'),
      body: hostileText([
        '12\n',
        cosigned
          .split('\n')
          .filter((line) => line.startsWith('— witness'))
          .map((line) => `${line}\n`)
          .join(''),
      ]),
    }),
    (response) => {
      const outcome = parseAddCheckpointResponse(response, { checkpoint, witnessKeys: vkeys });
      if (outcome.outcome === 'cosigned') must(outcome.cosignatures.length > 0, 'cosigned by nobody');
    },
    { cost: 5 },
  ),
];
