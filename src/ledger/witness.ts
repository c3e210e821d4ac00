/**
 * # Witnesses (C2SP tlog-witness)
 *
 * A log alone can show one history to one person and another to the next. A *witness* is a machine of somebody else that
 * remembers, for each log it knows, the largest head it has seen, cosigns a new head only with a proof that it continues
 * that one, and never goes back. Whoever asks for cosignatures of enough witnesses cannot be shown a history of his own.
 *
 * The one request is `POST <prefix>/add-checkpoint`:
 *
 *     old <size>        the head the witness has, as far as the log knows
 *     <hash>            a consistency proof from there, in Base 64, at most 63 lines
 *
 *     <checkpoint>      signed by the log
 *
 * Answers: 200 with signature lines · 409 with the size the witness has, when `old` is another · 422 when the proof fails,
 * or the size is the same and the root is not (409 in version 1.0.0 of the standard, so that both are understood) · 404 log
 * unknown · 403 no valid signature of the log · 400 malformed, or `old` larger than the size.
 *
 * All here is pure: others send, receive and remember.
 */
import { formatBase64, formatHex, parseDecimal, parseUtf8, utf8 } from './bytes.ts';
import { cosignCheckpoint, parseCheckpoint, parseHashLines, parseVkeys, verifyCheckpoint } from './checkpoint.ts';
import type { Cosignature, Head, VerifiedCheckpoint, Vkeys } from './checkpoint.ts';
import { LedgerError, assertCount } from './error.ts';
import { sha256 } from './hash.ts';
import {
  NOTE_BYTES_MAX,
  SIGNATURE_COSIGNATURE,
  formatNote,
  formatSignatureLine,
  parseNote,
  parseSignatureLine,
  verifyNote,
} from './note.ts';
import type { NoteSigner } from './note.ts';
import { verifyConsistency } from './tree.ts';

/** Hashes of the longest consistency proof a request may carry. */
export const WITNESS_PROOF_LINES_MAX = 63;
/** Bytes of the longest request: its proof lines, and a note. */
export const WITNESS_BODY_BYTES_MAX = NOTE_BYTES_MAX + 4_096;
/** Signature lines of the longest answer. */
export const WITNESS_SIGNATURES_MAX = 16;
/** Content type of the 409 that carries a size. */
export const WITNESS_SIZE_TYPE = 'text/x.tlog.size';

/** A request for a cosignature. */
export type AddCheckpoint = {
  /** Size of the head the witness has; 0 when it has none. */
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint. */
  readonly checkpoint: string;
};

/** The body of `add-checkpoint`. Throws `bad-argument`, `bad-format`, `limit`. */
export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  assertCount(oldSize, 'the old size');
  const body = `old ${oldSize}\n${proof.map((hash) => `${formatBase64(hash)}\n`).join('')}\n${checkpoint}`;
  parseAddCheckpoint(body);
  return body;
}

/** Reads the body of `add-checkpoint`, which anyone may have sent; verifies nothing. Throws `bad-format`, `limit`. */
export function parseAddCheckpoint(body: string | Uint8Array): AddCheckpoint {
  if (body.length > WITNESS_BODY_BYTES_MAX) {
    throw new LedgerError('limit', `a request has at most ${WITNESS_BODY_BYTES_MAX} bytes`);
  }
  const text = typeof body === 'string' ? body : parseUtf8(body);
  const split = text.indexOf('\n\n');
  if (split < 0) throw new LedgerError('bad-format', 'a request has an empty line before its checkpoint');
  const [first = '', ...lines] = text.slice(0, split).split('\n');
  if (!first.startsWith('old ')) throw new LedgerError('bad-format', 'a request begins with "old <size>"');
  if (lines.length > WITNESS_PROOF_LINES_MAX) {
    throw new LedgerError('limit', `a request has at most ${WITNESS_PROOF_LINES_MAX} proof lines`);
  }
  const checkpoint = text.slice(split + 2);
  parseCheckpoint(parseNote(checkpoint).text);
  return { oldSize: parseDecimal(first.slice(4), 'the old size'), proof: parseHashLines(lines), checkpoint };
}

/** What came back from a witness. */
export type WitnessResponse = { status: number; contentType?: string; body: string };

/** What an answer means. */
export type WitnessOutcome =
  /** `checkpoint` is the one sent, with the cosignatures of known witnesses added. */
  | { outcome: 'cosigned'; checkpoint: string; cosignatures: readonly Cosignature[] }
  /** The witness has a head of this size: send again, with a proof from there. */
  | { outcome: 'conflict'; size: number }
  /** The witness has another history of this log. Keep everything: one of the two is false. */
  | { outcome: 'inconsistent' }
  /** The witness does not know the log, or trusts another key of it. */
  | { outcome: 'not-configured' }
  /** Anything else, e.g. a failure of the witness: try again later. */
  | { outcome: 'failed'; status: number };

/**
 * Reads the answer to `add-checkpoint`. `checkpoint` is what was sent; of the witness only signatures by `witnessKeys` are
 * taken over. Throws `bad-format`, `not-signed`, `bad-signature`, `limit` when an answer 200 holds no valid cosignature.
 */
export function parseAddCheckpointResponse(
  response: WitnessResponse,
  sent: { checkpoint: string; witnessKeys: Vkeys },
): WitnessOutcome {
  switch (response.status) {
    case 200:
      return { outcome: 'cosigned', ...addCosignatures(sent.checkpoint, response.body, sent.witnessKeys) };
    case 409:
      if (response.contentType !== WITNESS_SIZE_TYPE) return { outcome: 'inconsistent' };
      return { outcome: 'conflict', size: parseSizeBody(response.body) };
    case 422:
      return { outcome: 'inconsistent' };
    case 403:
    case 404:
      return { outcome: 'not-configured' };
    default:
      return { outcome: 'failed', status: response.status };
  }
}

function parseSizeBody(body: string): number {
  if (!body.endsWith('\n')) throw new LedgerError('bad-format', 'a size ends with a newline');
  return parseDecimal(body.slice(0, -1), 'the size');
}

function addCosignatures(
  checkpoint: string,
  body: string,
  witnessKeys: Vkeys,
): { checkpoint: string; cosignatures: Cosignature[] } {
  const lines = body.split('\n', WITNESS_SIGNATURES_MAX + 2);
  if (lines.length > WITNESS_SIGNATURES_MAX + 1) {
    throw new LedgerError('limit', `an answer has at most ${WITNESS_SIGNATURES_MAX} signatures`);
  }
  if (lines.pop() !== '') throw new LedgerError('bad-format', 'an answer is signature lines, each with its newline');
  const { text, signatures } = parseNote(checkpoint);
  const keys = parseVkeys(witnessKeys).filter(({ type }) => type === SIGNATURE_COSIGNATURE);
  const { verified } = verifyNote({ text, signatures: lines.map(parseSignatureLine) }, keys);
  const kept = signatures.filter(
    (old) => !verified.some(({ name, keyId }) => old.name === name && old.keyId === keyId),
  );
  return {
    checkpoint: formatNote({ text, signatures: [...kept, ...verified] }),
    cosignatures: verified.map(({ name, keyId, timeSeconds = 0 }) => ({ name, keyId, timeSeconds })),
  };
}

/** A log a witness knows: its origin, and its keys. */
export type WitnessedLog = { readonly origin: string; readonly vkeys: Vkeys };

/** How a witness answers. When `head` is set, it must be stored, in place of the one given, before the answer is sent. */
export type WitnessDecision = WitnessResponse & { readonly head?: Head };

/**
 * Decides on a request, as a witness. `log` finds what is configured and `remembered` the last head that was cosigned, both
 * by origin. The caller keeps looking up, deciding and storing in one transaction for each origin: otherwise two requests at
 * once could take the memory back. Never throws for a bad request.
 */
export function decideAddCheckpoint(options: {
  body: string | Uint8Array;
  findLog: (origin: string) => WitnessedLog | undefined;
  findHead: (origin: string) => Head | undefined;
  signer: NoteSigner;
  timeSeconds: number;
}): WitnessDecision {
  const request = attempt(() => parseAddCheckpoint(options.body));
  if (request === undefined) return refuse(400, 'malformed request');
  const { origin, size } = parseCheckpoint(parseNote(request.checkpoint).text);
  const log = options.findLog(origin);
  if (log === undefined) return refuse(404, 'unknown log');
  const checkpoint = attempt(() => verifyCheckpoint(request.checkpoint, log.vkeys));
  if (checkpoint === undefined) return refuse(403, 'no valid signature of the log');
  if (request.oldSize > size) return refuse(400, 'the old size is larger than the size');
  const known = options.findHead(origin);
  const knownSize = known?.size ?? 0;
  if (request.oldSize !== knownSize) {
    return { status: 409, contentType: WITNESS_SIZE_TYPE, body: `${knownSize}\n` };
  }
  if (!isContinued(checkpoint, known, request.proof)) return refuse(422, 'the proof does not verify');
  const { signer, timeSeconds } = options;
  const cosigned = parseNote(cosignCheckpoint({ checkpoint: request.checkpoint, signer, timeSeconds }));
  const lines = cosigned.signatures.filter(({ name, keyId }) => name === signer.name && keyId === signer.keyId);
  const head = { origin, size, root: checkpoint.root };
  return { status: 200, contentType: 'text/plain; charset=utf-8', body: lines.map(formatSignatureLine).join(''), head };
}

function isContinued(checkpoint: VerifiedCheckpoint, known: Head | undefined, proof: readonly Uint8Array[]): boolean {
  if (known === undefined || known.size === 0) return proof.length === 0;
  const claim = { oldSize: known.size, newSize: checkpoint.size, oldRoot: known.root, newRoot: checkpoint.root, proof };
  return attempt(() => (verifyConsistency(claim), true)) ?? false;
}

/** Runs what may throw a `LedgerError`, which becomes `undefined`; any other error is ours and goes on. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

function refuse(status: number, text: string): WitnessDecision {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

/** Where a witness publishes the last checkpoint of a log, below its monitoring prefix. */
export function monitorPath(origin: string): string {
  return `${formatHex(sha256(utf8(origin)))}/checkpoint`;
}
