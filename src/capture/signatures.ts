import type { Envelope } from '../model/envelope.ts';
import type { SignatureVerdict } from '../model/record.ts';

/** A row of the table of signature schemes; see verifySignature. */
export type SignatureScheme = { readonly name: string };
export type SignatureResult =
  | { readonly ok: true; readonly verdict: SignatureVerdict }
  | { readonly ok: false; readonly reason: 'missing' | 'malformed' | 'stale' | 'mismatch' };
export declare function verifySignature(
  scheme: SignatureScheme,
  envelope: Envelope,
  secrets: readonly string[],
  nowMs: number,
): SignatureResult;
