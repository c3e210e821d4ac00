/**
 * # Proof files (C2SP tlog-proof, `.tlog-proof`)
 *
 * One text file that proves, without us and without a network, that an entry stands in the log:
 *
 *     c2sp.org/tlog-proof@v1
 *     extra <base64>            optional, for the application, and *not* authenticated
 *     index <n>
 *     <hash>                    the inclusion proof from the leaf up, in Base 64
 *
 *     <checkpoint>              with the log's signature and any cosignatures
 *
 * Whoever checks needs the entry, and the keys or the policy he trusts. Nothing else in the file is believed.
 */
import { formatBase64, parseBase64, parseDecimal, parseUtf8 } from './bytes.ts';
import { parseCheckpoint, parseHashLines, verifyCheckpoint } from './checkpoint.ts';
import type { VerifiedCheckpoint, Vkeys } from './checkpoint.ts';
import { LedgerError, assertCount } from './error.ts';
import { NOTE_BYTES_MAX, parseNote } from './note.ts';
import { verifyPolicy } from './policy.ts';
import type { Policy } from './policy.ts';
import { PROOF_HASHES_MAX, leafHash, verifyInclusion } from './tree.ts';

/** The ending of proof files. */
export const PROOF_FILE_EXTENSION = '.tlog-proof';
/** Bytes of the longest extra data. */
export const PROOF_EXTRA_BYTES_MAX = 65_536;
/** Bytes of the longest proof file: a note, the extra data in Base 64, and the proof. */
export const PROOF_FILE_BYTES_MAX = NOTE_BYTES_MAX + 96_000;

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';

/** What a proof file holds. */
export type ProofFile = {
  /** For the application; anyone can change it unnoticed. */
  readonly extra?: Uint8Array;
  readonly index: number;
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string;
};

/** The text of a proof file. Throws `bad-argument`, `bad-format`, `limit`; verifies nothing. */
export function formatProofFile({ extra, index, proof, checkpoint }: ProofFile): string {
  assertCount(index, 'the index');
  const lines = [
    FIRST_LINE,
    ...(extra === undefined ? [] : [`extra ${formatBase64(extra)}`]),
    `index ${index}`,
    ...proof.map(formatBase64),
  ];
  const text = `${lines.join('\n')}\n\n${checkpoint}`;
  parseProofFile(text);
  return text;
}

/** Reads a proof file, which anyone may have written; verifies nothing. Throws `bad-format`, `limit`. */
export function parseProofFile(file: string | Uint8Array): ProofFile {
  if (file.length > PROOF_FILE_BYTES_MAX) {
    throw new LedgerError('limit', `a proof file has at most ${PROOF_FILE_BYTES_MAX} bytes`);
  }
  const text = typeof file === 'string' ? file : parseUtf8(file);
  const split = text.indexOf('\n\n');
  if (split < 0) throw new LedgerError('bad-format', 'a proof file has an empty line before its checkpoint');
  const [first, ...lines] = text.slice(0, split).split('\n');
  if (first !== FIRST_LINE) throw new LedgerError('bad-format', `a proof file begins with ${FIRST_LINE}`);
  const extraLine = lines[0]?.startsWith('extra ') === true ? lines.shift() : undefined;
  const indexLine = lines.shift();
  if (indexLine?.startsWith('index ') !== true) throw new LedgerError('bad-format', 'a proof file has an index line');
  if (lines.length > PROOF_HASHES_MAX) throw new LedgerError('limit', `a proof has at most ${PROOF_HASHES_MAX} hashes`);
  const checkpoint = text.slice(split + 2);
  parseCheckpoint(parseNote(checkpoint).text);
  const proofFile = {
    index: parseDecimal(indexLine.slice('index '.length), 'the index'),
    proof: parseHashLines(lines),
    checkpoint,
  };
  return extraLine === undefined ? proofFile : { extra: parseExtra(extraLine), ...proofFile };
}

function parseExtra(line: string): Uint8Array {
  const extra = parseBase64(line.slice('extra '.length));
  if (extra.length > PROOF_EXTRA_BYTES_MAX) {
    throw new LedgerError('limit', `extra data has at most ${PROOF_EXTRA_BYTES_MAX} bytes`);
  }
  return extra;
}

/** What a proof file proves: this entry stands at `index` in the log of `checkpoint`. */
export type ProvenEntry = {
  readonly index: number;
  readonly leafHash: Uint8Array;
  readonly checkpoint: VerifiedCheckpoint;
  /** Not proven, only handed through. */
  readonly extra?: Uint8Array;
};

/** What one checks a proof file against: the entry, or its leaf hash; and a policy, or the log's keys, or both. */
export type ProofExpectation = ({ entry: Uint8Array } | { leafHash: Uint8Array }) &
  ({ policy: Policy; vkeys?: Vkeys } | { vkeys: Vkeys });

/**
 * Verifies a proof file. With a policy its quorum must have cosigned; with `vkeys` alone the log's signature is enough.
 * Throws `bad-proof`, `not-signed`, `bad-signature`, `wrong-origin`, `quorum-missing`, `bad-format`, `limit`.
 */
export function verifyProofFile(file: string | Uint8Array, expected: ProofExpectation): ProvenEntry {
  const { extra, index, proof, checkpoint: note } = parseProofFile(file);
  const checkpoint =
    'policy' in expected
      ? verifyPolicy(expected.policy, note, expected.vkeys === undefined ? {} : { logKeys: expected.vkeys })
      : verifyCheckpoint(note, expected.vkeys);
  const hash = 'entry' in expected ? leafHash(expected.entry) : expected.leafHash;
  verifyInclusion({ index, size: checkpoint.size, leafHash: hash, root: checkpoint.root, proof });
  return { index, leafHash: hash, checkpoint, ...(extra === undefined ? {} : { extra }) };
}
