/**
 * # Checkpoints (C2SP tlog-checkpoint) and cosignatures (C2SP tlog-cosignature)
 *
 * A checkpoint is the signed head of a log: a note whose text is
 *
 *     <origin>          which log
 *     <size>            how many entries, in decimal
 *     <root>            the root of the tree of that size, in Base 64
 *
 * Whoever holds one holds the log to every entry before it: no later checkpoint of an honest log lacks a consistency proof
 * from this one. So a checkpoint in a stranger's drawer is worth more than any number of them on our own disk, and a
 * *cosignature* is a witness saying "this is the largest head of this log that I saw, and it continues all earlier ones".
 *
 * The name of the log's key must equal the origin (the standard says SHOULD): otherwise a key that is trusted for one log
 * could sign heads of another.
 */
import { equalBytes, formatBase64, parseBase64, parseDecimal, utf8 } from './bytes.ts';
import { LedgerError, assertCount } from './error.ts';
import { HASH_BYTES } from './hash.ts';
import {
  KEY_NAME_BYTES_MAX,
  NOTE_BYTES_MAX,
  SIGNATURE_COSIGNATURE,
  SIGNATURE_ED25519,
  assertNoteText,
  parseNote,
  parseVkey,
  signNote,
  verifyNote,
} from './note.ts';
import type { Note, NoteSigner, VerifiedNote, VerifierKey } from './note.ts';
import { assertHash, emptyRoot } from './tree.ts';

/** The head of a log: how many entries, and the root over them. */
export type Head = { readonly origin: string; readonly size: number; readonly root: Uint8Array };

/** What a checkpoint says. `extensions` are further lines, which the standard discourages and we never write. */
export type Checkpoint = Head & { readonly extensions: readonly string[] };

/** A cosignature that was verified: who saw this head, and when (Unix seconds, by the witness's clock). */
export type Cosignature = { readonly name: string; readonly keyId: number; readonly timeSeconds: number };

/** A checkpoint whose signature by the log was verified. */
export type VerifiedCheckpoint = Checkpoint & {
  /** The log's key that signed. */
  readonly key: VerifierKey;
  readonly cosignatures: readonly Cosignature[];
};

/** One or several verifier keys, as text or parsed. */
export type Vkeys = string | VerifierKey | readonly (string | VerifierKey)[];

/** The text of a checkpoint, without signatures. Throws `bad-argument`, `bad-format`. */
export function formatCheckpoint({ origin, size, root }: Head): string {
  assertCount(size, 'the size');
  const text = `${origin}\n${size}\n${formatBase64(root)}\n`;
  parseCheckpoint(text);
  return text;
}

/**
 * Reads the text of a checkpoint, without signatures; nothing in it is trusted yet. Only the form that `formatCheckpoint`
 * gives is accepted, and an empty tree must have the empty root. Throws `bad-format`, `limit`.
 */
export function parseCheckpoint(text: string): Checkpoint {
  if (text.length > NOTE_BYTES_MAX) throw new LedgerError('limit', `a note has at most ${NOTE_BYTES_MAX} bytes`);
  assertNoteText(text);
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length < 3 || lines.includes('')) {
    throw new LedgerError('bad-format', 'a checkpoint is three or more lines, none empty, each with its newline');
  }
  const [origin = '', sizeLine = '', rootLine = '', ...extensions] = lines;
  if (utf8(origin).length > KEY_NAME_BYTES_MAX) {
    throw new LedgerError('limit', `an origin has at most ${KEY_NAME_BYTES_MAX} bytes`);
  }
  const size = parseDecimal(sizeLine, 'the size');
  const root = parseBase64(rootLine);
  assertHash(root, 'the root');
  if (size === 0 && !equalBytes(root, emptyRoot())) {
    throw new LedgerError('bad-format', 'a log without entries has the root of the empty tree');
  }
  return { origin, size, root, extensions };
}

/** Reads a signed checkpoint whose signatures were, or need not be, verified here: one's own. Throws `bad-format`, `limit`. */
export function parseSignedCheckpoint(note: string): Checkpoint {
  return parseCheckpoint(parseNote(note).text);
}

/**
 * Signs a head. Checks nothing about the log: only `signHead` (`signer.ts`) may be called with a log's real key. Throws
 * `bad-argument`, `bad-format`.
 */
export function signCheckpoint(head: Head, signers: NoteSigner | readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(head), isList(signers) ? signers : [signers]);
}

/**
 * Verifies a signed checkpoint against the known keys: those of the log (type 0x01), and those of witnesses (0x04) whose
 * cosignatures shall be listed. Throws `not-signed`, `bad-signature`, `bad-key`, `bad-format`, `limit`, and `wrong-origin`
 * when the log's key that signed bears another name than the origin.
 */
export function verifyCheckpoint(note: string | Uint8Array | Note, vkeys: Vkeys): VerifiedCheckpoint {
  return readCheckpoint(verifyNote(note, parseVkeys(vkeys)));
}

/** Reads the checkpoint out of a note that was verified. Throws as `verifyCheckpoint` does. */
export function readCheckpoint({ text, verified }: VerifiedNote): VerifiedCheckpoint {
  const checkpoint = parseCheckpoint(text);
  const logKeys = verified.map(({ key }) => key).filter(({ type }) => type === SIGNATURE_ED25519);
  if (logKeys.length === 0) throw new LedgerError('not-signed', 'only witnesses signed; no key of the log did');
  const key = logKeys.find(({ name }) => name === checkpoint.origin);
  if (key === undefined) throw new LedgerError('wrong-origin', 'the key that signed belongs to another log');
  const cosignatures = verified.flatMap(({ name, keyId, timeSeconds }) =>
    timeSeconds === undefined ? [] : [{ name, keyId, timeSeconds }],
  );
  return { ...checkpoint, key, cosignatures };
}

/** Verifier keys as a list of parsed ones. Throws `bad-key`. */
export function parseVkeys(vkeys: Vkeys): VerifierKey[] {
  const list = isList(vkeys) ? vkeys : [vkeys];
  return list.map((vkey) => (typeof vkey === 'string' ? parseVkey(vkey) : vkey));
}

/**
 * Adds a witness's cosignature to a signed checkpoint. Checks neither the log's signature nor consistency: a witness
 * decides with `decideAddCheckpoint` (`witness.ts`). `timeSeconds` is the Unix time. Throws `bad-format`, `bad-argument`.
 */
export function cosignCheckpoint(options: { checkpoint: string; signer: NoteSigner; timeSeconds: number }): string {
  const { signer, timeSeconds } = options;
  if (signer.type !== SIGNATURE_COSIGNATURE) {
    throw new LedgerError('bad-argument', 'a cosignature needs a key of type 0x04');
  }
  const { text, signatures } = parseNote(options.checkpoint);
  parseCheckpoint(text);
  return signNote(text, [signer], { existing: signatures, timeSeconds });
}

/** Whether two heads are the same: origin, size and root. */
export function isSameHead(left: Head, right: Head): boolean {
  return left.origin === right.origin && left.size === right.size && equalBytes(left.root, right.root);
}

/** Reads lines of hashes, as proofs write them. Throws `bad-format`. */
export function parseHashLines(lines: readonly string[]): Uint8Array[] {
  return lines.map((line) => {
    const hash = parseBase64(line);
    if (hash.length !== HASH_BYTES) throw new LedgerError('bad-format', 'a line of a proof is a hash of 32 bytes');
    return hash;
  });
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
