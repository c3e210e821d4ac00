/**
 * # Signed notes (C2SP signed-note) and their verifier keys
 *
 * A note is a text that ends in a newline, an empty line, and one line for each signature:
 *
 *     — <key name> base64(<key id, 4 bytes> ‖ <signature>)
 *
 * The text and the signatures are split at the *last* empty line. A key is known by its name and its id together; the id is
 * the beginning of a hash over name, type and public key, so that one Ed25519 key gives different ids for different types.
 * Signatures of unknown keys are ignored, which is what makes key rotation and witnesses possible. A signature of a known
 * key that does not verify condemns the whole note.
 *
 * Two types are understood: 0x01, Ed25519 over the text, with which a log signs; and 0x04, `cosignature/v1` (C2SP
 * tlog-cosignature), with which a witness signs the text together with the time at which it saw it.
 *
 * A verifier key is written `<name>+<key id in hex>+base64(<type> ‖ <public key>)`. The Base 64 may contain `+`, so that
 * it must be split at the first two only.
 */
import { equalBytes, formatBase64, parseBase64, parseUtf8, utf8 } from './bytes.ts';
import { ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES, createEd25519Key, isEd25519Signature } from './ed25519.ts';
import { LedgerError } from './error.ts';
import { sha256 } from './hash.ts';

/** Signature type of a log's Ed25519 signature over the text. */
export const SIGNATURE_ED25519 = 0x01;
/** Signature type of a witness's timestamped Ed25519 cosignature. */
export const SIGNATURE_COSIGNATURE = 0x04;
/** The signature types understood here. */
export type SignatureType = typeof SIGNATURE_ED25519 | typeof SIGNATURE_COSIGNATURE;

/** Bytes of the longest note, signatures included. */
export const NOTE_BYTES_MAX = 1_000_000;
/** Signatures of a note; the standard asks for 16 at least. */
export const NOTE_SIGNATURES_MAX = 100;
/** Bytes of the longest signature, key id not counted; an ML-DSA signature of an unknown key has up to some 5,000. */
export const SIGNATURE_BYTES_MAX = 8_192;
/** UTF-8 bytes of the longest key name, which is also that of the longest origin. */
export const KEY_NAME_BYTES_MAX = 255;

const KEY_ID_BYTES = 4;
const TIMESTAMP_BYTES = 8;
const SIGNATURE_LINE_START = '— ';

/** One signature line: who says to have signed, and what. */
export type NoteSignature = {
  readonly name: string;
  /** The key id, 0 to 2^32 - 1. */
  readonly keyId: number;
  /** The bytes after the key id. */
  readonly signature: Uint8Array;
};

/** A signature that was verified; `timeSeconds` (Unix) is set for a cosignature. */
export type VerifiedSignature = NoteSignature & { readonly key: VerifierKey; readonly timeSeconds?: number };

/** A note as it was read; nothing in it is trusted. `text` ends in a newline. */
export type Note = { readonly text: string; readonly signatures: readonly NoteSignature[] };

/** A public key with its name, as `parseVkey` reads it. */
export type VerifierKey = {
  readonly name: string;
  readonly keyId: number;
  readonly type: SignatureType;
  readonly publicKey: Uint8Array;
};

/** A key that signs notes. `sign` takes the text and, for a cosignature, the Unix time; it returns the bytes after the id. */
export type NoteSigner = VerifierKey & { readonly sign: (text: string, timeSeconds?: number) => Uint8Array };

/** Whether a key name is allowed: not empty, no Unicode space, no `+`, no control character, at most 255 bytes. */
export function isKeyName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what the standard forbids
  return name !== '' && !/[\p{White_Space}+\u0000-\u001f]/u.test(name) && utf8(name).length <= KEY_NAME_BYTES_MAX;
}

/** The key id: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key), big-endian. */
export function keyIdOf(name: string, type: SignatureType, publicKey: Uint8Array): number {
  return readUint32(sha256(utf8(`${name}\n`), Uint8Array.of(type), publicKey));
}

/** Makes a verifier key. Throws `bad-key` for a name or a public key that cannot be one. */
export function createVerifierKey(name: string, type: SignatureType, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name)) throw new LedgerError('bad-key', 'a key name is not empty and has no spaces and no plus sign');
  if (publicKey.length !== ED25519_KEY_BYTES) throw new LedgerError('bad-key', 'an Ed25519 public key has 32 bytes');
  return { name, keyId: keyIdOf(name, type, publicKey), type, publicKey };
}

/** The text of a verifier key, as it is published and put into policies. */
export function formatVkey(key: VerifierKey): string {
  return `${key.name}+${formatKeyId(key.keyId)}+${formatBase64(Uint8Array.of(key.type, ...key.publicKey))}`;
}

/** Reads a verifier key, and checks its id. Throws `bad-key`, also for a type that is not understood here. */
export function parseVkey(vkey: string): VerifierKey {
  const [, name, keyId, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,128})$/.exec(vkey) ?? [];
  if (name === undefined || keyId === undefined || encoded === undefined || !name.isWellFormed()) {
    throw new LedgerError('bad-key', 'a verifier key is <name>+<key id>+<base64>');
  }
  const bytes = parseKeyBytes(encoded);
  const type = bytes[0];
  if (type !== SIGNATURE_ED25519 && type !== SIGNATURE_COSIGNATURE) {
    throw new LedgerError('bad-key', `the verifier key ${name} has a type that is not understood here`);
  }
  const key = createVerifierKey(name, type, bytes.slice(1));
  if (formatKeyId(key.keyId) !== keyId) throw new LedgerError('bad-key', `the key id of ${name} does not fit its key`);
  return key;
}

function parseKeyBytes(encoded: string): Uint8Array {
  try {
    return parseBase64(encoded);
  } catch (cause) {
    throw new LedgerError('bad-key', 'the key is not base64', { cause });
  }
}

/** A key id as it stands in a verifier key: eight hexadecimal digits. */
export function formatKeyId(keyId: number): string {
  return keyId.toString(16).padStart(8, '0');
}

/**
 * Makes a signer from a 32-byte Ed25519 seed: for a log by default, for a witness with `SIGNATURE_COSIGNATURE`. The seed
 * is not kept readable. Throws `bad-key`.
 */
export function createNoteSigner(options: { name: string; seed: Uint8Array; type?: SignatureType }): NoteSigner {
  const key = createEd25519Key(options.seed);
  const verifier = createVerifierKey(options.name, options.type ?? SIGNATURE_ED25519, key.publicKey);
  if (verifier.type === SIGNATURE_ED25519) return { ...verifier, sign: (text) => key.sign(utf8(text)) };
  return {
    ...verifier,
    sign: (text, timeSeconds) => {
      if (timeSeconds === undefined || !Number.isSafeInteger(timeSeconds) || timeSeconds <= 0) {
        throw new LedgerError('bad-argument', 'a cosignature needs the time in whole seconds');
      }
      const signature = new Uint8Array(TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES);
      new DataView(signature.buffer).setBigUint64(0, BigInt(timeSeconds));
      signature.set(key.sign(cosignedMessage(text, timeSeconds)), TIMESTAMP_BYTES);
      return signature;
    },
  };
}

/** What a cosignature signs (C2SP tlog-cosignature, "Ed25519 signed message"). */
function cosignedMessage(text: string, timeSeconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${timeSeconds}\n${text}`);
}

/**
 * Reads a note that anyone may have sent. Whatever it accepts, `formatNote` gives back byte for byte. Throws `bad-format`,
 * and `limit` for more than 1,000,000 bytes, 100 signatures, or 8,192 bytes in one signature.
 */
export function parseNote(note: string | Uint8Array): Note {
  if (note.length > NOTE_BYTES_MAX) throw new LedgerError('limit', `a note has at most ${NOTE_BYTES_MAX} bytes`);
  const whole = typeof note === 'string' ? note : parseUtf8(note);
  assertNoteText(whole);
  const split = whole.lastIndexOf('\n\n');
  if (split < 0) throw new LedgerError('bad-format', 'a note has an empty line before its signatures');
  const lines = whole.slice(split + 2).split('\n');
  if (lines.pop() !== '' || lines.length === 0) {
    throw new LedgerError('bad-format', 'a note ends with signature lines, each with its newline');
  }
  if (lines.length > NOTE_SIGNATURES_MAX) {
    throw new LedgerError('limit', `a note has at most ${NOTE_SIGNATURES_MAX} signatures`);
  }
  return { text: whole.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

/** Asserts what the standard asks of every character of a note. Throws `bad-format`. */
export function assertNoteText(text: string): void {
  if (!text.isWellFormed()) throw new LedgerError('bad-format', 'the note is not valid Unicode');
  // oxlint-disable-next-line no-control-regex -- control characters are what the standard forbids
  if (/[\u0000-\u0009\u000b-\u001f]/.test(text))
    throw new LedgerError('bad-format', 'a note has no control characters');
}

/** Reads one signature line, without its newline. Throws `bad-format`, `limit`. */
export function parseSignatureLine(line: string): NoteSignature {
  const [name, encoded, ...rest] = line.startsWith(SIGNATURE_LINE_START)
    ? line.slice(SIGNATURE_LINE_START.length).split(' ')
    : [];
  if (name === undefined || encoded === undefined || rest.length > 0 || !isKeyName(name)) {
    throw new LedgerError('bad-format', 'a signature line is "— <key name> <base64>"');
  }
  const bytes = parseBase64(encoded);
  if (bytes.length <= KEY_ID_BYTES) throw new LedgerError('bad-format', 'a signature is longer than its key id');
  if (bytes.length > KEY_ID_BYTES + SIGNATURE_BYTES_MAX) {
    throw new LedgerError('limit', `a signature has at most ${SIGNATURE_BYTES_MAX} bytes`);
  }
  return { name, keyId: readUint32(bytes), signature: bytes.slice(KEY_ID_BYTES) };
}

/** One signature line, with its newline. */
export function formatSignatureLine({ name, keyId, signature }: NoteSignature): string {
  const bytes = new Uint8Array(KEY_ID_BYTES + signature.length);
  new DataView(bytes.buffer).setUint32(0, keyId);
  bytes.set(signature, KEY_ID_BYTES);
  return `${SIGNATURE_LINE_START}${name} ${formatBase64(bytes)}\n`;
}

/** The bytes of a note as text. Throws `bad-format` where `parseNote` would not read it again. */
export function formatNote(note: Note): string {
  const text = `${note.text}\n${note.signatures.map(formatSignatureLine).join('')}`;
  if (!note.text.endsWith('\n')) throw new LedgerError('bad-format', 'the text of a note ends with a newline');
  parseNote(text);
  return text;
}

/**
 * Signs a text, which must end in a newline, with each of the signers. `existing` signatures come first; one of them by a
 * key that signs now is replaced. Throws `bad-format`, `bad-argument`.
 */
export function signNote(
  text: string,
  signers: readonly NoteSigner[],
  options: { existing?: readonly NoteSignature[]; timeSeconds?: number } = {},
): string {
  assertNoteText(text);
  const added = signers.map((signer) => ({
    name: signer.name,
    keyId: signer.keyId,
    signature: signer.sign(text, options.timeSeconds),
  }));
  const kept = (options.existing ?? []).filter((old) => !added.some((signature) => isSameKey(signature, old)));
  return formatNote({ text, signatures: [...kept, ...added] });
}

/** The verdict on a note: its text, and which signatures were checked. `verified` is never empty. */
export type VerifiedNote = {
  readonly text: string;
  readonly verified: readonly VerifiedSignature[];
  /** Signatures of keys that are not known here; they say nothing. */
  readonly unverified: readonly NoteSignature[];
};

/**
 * Verifies a note that anyone may have sent against the keys that are known. Throws `not-signed` when none of them signed,
 * `bad-signature` when one of them is named and its signature does not verify, `bad-key` when two known keys share name
 * and id, `bad-format`, `limit`.
 */
export function verifyNote(note: string | Uint8Array | Note, verifiers: readonly VerifierKey[]): VerifiedNote {
  const { text, signatures } = typeof note === 'string' || note instanceof Uint8Array ? parseNote(note) : note;
  const verified: VerifiedSignature[] = [];
  const unverified: NoteSignature[] = [];
  for (const signature of signatures) {
    const [key, other] = verifiers.filter((verifier) => isSameKey(verifier, signature));
    if (key === undefined) {
      unverified.push(signature);
      continue;
    }
    if (other !== undefined && !isSameVerifier(key, other)) {
      throw new LedgerError('bad-key', `two different keys are called ${key.name}+${formatKeyId(key.keyId)}`);
    }
    // A second signature by one key adds nothing, but must be no forgery either.
    const checked = verifySignature(text, signature, key);
    if (!verified.some((earlier) => earlier.key === key)) verified.push(checked);
  }
  if (verified.length === 0) throw new LedgerError('not-signed', 'no key that is known here signed the note');
  return { text, verified, unverified };
}

function verifySignature(text: string, { name, keyId, signature }: NoteSignature, key: VerifierKey): VerifiedSignature {
  const failed = `the signature of ${name}+${formatKeyId(keyId)} does not verify`;
  if (key.type === SIGNATURE_ED25519) {
    if (!isEd25519Signature(key.publicKey, utf8(text), signature)) throw new LedgerError('bad-signature', failed);
    return { name, keyId, signature, key };
  }
  if (signature.length !== TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES) throw new LedgerError('bad-signature', failed);
  const time = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  const timeSeconds = Number(time);
  // The standard allows up to 2^63 - 1; past 2^53 a number is no longer exact, and the year is 285 million.
  if (!Number.isSafeInteger(timeSeconds)) throw new LedgerError('bad-signature', failed);
  const message = cosignedMessage(text, timeSeconds);
  if (!isEd25519Signature(key.publicKey, message, signature.subarray(TIMESTAMP_BYTES))) {
    throw new LedgerError('bad-signature', failed);
  }
  return { name, keyId, signature, key, timeSeconds };
}

function isSameKey(left: { name: string; keyId: number }, right: { name: string; keyId: number }): boolean {
  return left.name === right.name && left.keyId === right.keyId;
}

function isSameVerifier(left: VerifierKey, right: VerifierKey): boolean {
  return left.type === right.type && equalBytes(left.publicKey, right.publicKey);
}

function readUint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
}
