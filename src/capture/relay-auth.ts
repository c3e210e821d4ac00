/**
 * How an archive and its relay know each other: by the edge key, which both have and nobody else. Each request carries a MAC over all of it with a fresh nonce, each answer a MAC over it and
 * that nonce, so that a proxy, or whoever stands between, can neither ask nor answer. What goes either way is sealed besides (spool-file.ts, edge-keyring.ts); TLS hides how much it is.
 *
 * A request that is sent again within the tolerance of the clock does nothing: what is read is sealed, a keyring that is no newer is not taken, a file is parted with once.
 */
import { randomBytes } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import { equalConstantTime, hkdfSha256, hmacSha256, sha256 } from '../vault/hash.ts';

/** A request as it is signed. */
export type RelayRequest = {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly body: Uint8Array;
};

/** Header of an answer that holds its MAC. */
export const ANSWER_HEADER = 'cartulary-relay';
const SCHEME = 'Cartulary-Relay';
/** Milliseconds that the clocks of archive and relay may differ. */
const CLOCK_MS_MAX = 300_000;
const MAC = /^[0-9a-f]{64}$/;
const CREDENTIALS = /^Cartulary-Relay t=(\d{1,15}),n=([0-9a-f]{32}),m=([0-9a-f]{64})$/;

/** Signs a request. @returns the `authorization` header, and the nonce that the answer must be over */
export function signRequest(
  key: Uint8Array,
  request: RelayRequest,
  nowMs: number,
): { readonly authorization: string; readonly nonce: string } {
  const nonce = randomBytes(16).toString('hex');
  const mac = requestMac(key, request, String(nowMs), nonce);
  return { authorization: `${SCHEME} t=${nowMs},n=${nonce},m=${Buffer.from(mac).toString('hex')}`, nonce };
}

/**
 * Checks a request.
 * @param authorization the header, from anybody
 * @returns its nonce
 * @throws CartularyError `unauthenticated`
 */
export function checkRequest(
  key: Uint8Array,
  authorization: string | undefined,
  request: RelayRequest,
  nowMs: number,
): string {
  const [, time = '', nonce = '', mac = ''] = CREDENTIALS.exec(authorization ?? '') ?? [];
  const isFresh = Math.abs(nowMs - Number(time)) <= CLOCK_MS_MAX;
  if (!equalConstantTime(Buffer.from(mac, 'hex'), requestMac(key, request, time, nonce)) || !isFresh)
    throw new CartularyError(
      'unauthenticated',
      'this is not the archive that this relay belongs to, or its clock differs',
    );
  return nonce;
}

/** The MAC of an answer, for its header. */
export function signAnswer(key: Uint8Array, nonce: string, body: Uint8Array): string {
  return Buffer.from(answerMac(key, nonce, body)).toString('hex');
}

/** Was this answered by who has the key, and to this request? @param mac the header, from anybody */
export function isAnswerTo(key: Uint8Array, nonce: string, body: Uint8Array, mac: string): boolean {
  return MAC.test(mac) && equalConstantTime(Buffer.from(mac, 'hex'), answerMac(key, nonce, body));
}

/** What a relay answers to `doctor`, which asks at the public address who is there. @returns 32 hexadecimal digits */
export function relayChallenge(key: Uint8Array, text: string): string {
  return Buffer.from(hmacSha256(useOf(key, 'challenge'), Buffer.from(text))).toString('hex', 0, 16);
}

function requestMac(key: Uint8Array, { method, path, body }: RelayRequest, time: string, nonce: string): Uint8Array {
  return hmacSha256(useOf(key, 'request'), Buffer.from(`${method}\n${path}\n${time}\n${nonce}\n`), sha256(body));
}

function answerMac(key: Uint8Array, nonce: string, body: Uint8Array): Uint8Array {
  return hmacSha256(useOf(key, 'answer'), Buffer.from(`${nonce}\n`), sha256(body));
}

function useOf(key: Uint8Array, use: string): Uint8Array {
  return hkdfSha256(key, new Uint8Array(0), Buffer.from(`cartulary/relay/v1 ${use}`), 32);
}
