import { TOKENS_VERSION } from './tokens.ts';

/** Raised when tables change; an index of another version must be built anew. */
export const FORMAT_VERSION = 3;

/** Format and tokens in one number: what a file of another number says is not what this program would say. */
export const INDEX_VERSION = FORMAT_VERSION * 1000 + TOKENS_VERSION;
