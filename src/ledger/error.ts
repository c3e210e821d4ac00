/**
 * What the ledger refuses, and what to do about it. Codes are stable and never reused; callers branch on the code, never
 * on the text. Texts name sizes, positions and key names, which are public; they never quote entries or keys.
 */
export const LEDGER_ERRORS = {
  'bad-argument': 'Pass values inside the stated bounds.',
  'bad-format': 'Fetch the file again; if it stays so, its writer does not follow the standard.',
  limit: 'The input is larger than the named limit; nothing of that size is valid here.',
  'bad-leaf': 'This entry is not a leaf of this version; use a release that knows it.',
  'bad-proof': 'The proof does not lead to the root: ask for a new one, and keep this one as evidence if it stays so.',
  'root-mismatch':
    'Two roots that must be equal differ: run a full verification and keep both checkpoints as evidence.',
  'bad-tile':
    'A tile is missing or damaged: run a full verification, then restore the tile from a mirror or rebuild it.',
  'bad-key': 'Compare the verifier key with the one its owner published.',
  'bad-signature': 'A known key did not make this signature: treat the note as forged.',
  'not-signed': 'No known key signed this note: check that the right verifier key is configured.',
  'wrong-origin': 'This checkpoint belongs to another log: check the origin.',
  'bad-policy': 'Correct the named line of the policy.',
  'quorum-missing': 'Too few witnesses cosigned this checkpoint: fetch cosignatures, then check again.',
  'head-smaller': 'A larger head was signed before: adopt the highest known head before signing again.',
  'head-forked': 'Another head of this size was signed before: open a successor log.',
  'head-inconsistent': 'The tree does not contain the head signed before: restore it, or open a successor log.',
  'memory-missing': 'The signer remembers nothing although it must: adopt the highest known head first.',
} as const satisfies Record<string, string>;

/** A code of the ledger's catalogue. */
export type LedgerErrorCode = keyof typeof LEDGER_ERRORS;

/**
 * An error of the ledger. `hint` says what to do; `position` is the leaf index or line number concerned, where there is
 * one.
 */
export class LedgerError extends Error {
  readonly code: LedgerErrorCode;
  readonly hint: string;
  readonly position: number | undefined;

  constructor(code: LedgerErrorCode, message: string, options: { cause?: unknown; position?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'LedgerError';
    this.code = code;
    this.hint = LEDGER_ERRORS[code];
    this.position = options.position;
  }
}

/** Asserts that a count, index or size is a whole number from 0 to 2^53 - 1. Throws `bad-argument`. */
export function assertCount(value: number, name: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new LedgerError('bad-argument', `${name} must be a whole number from 0 to 2^53 - 1`);
  }
}
