/**
 * How envelopes lie in a spool file: frames, each a group that became durable at once, sealed to the archive's public key (RFC 9180) and under a MAC, since anybody who has the disk could
 * seal to a public key. A frame is a head of 48 bytes (bytes of the body, envelopes, time of the oldest, MAC) and the body. Whoever writes one needs the public key and the key of the MAC
 * and can open none (`SpoolSealing`); whoever files them has the private key.
 */
import { z } from 'zod';

import type { Envelope } from '../model/envelope.ts';
import { CartularyError } from '../model/errors.ts';
import type { SourceId } from '../model/ids.ts';
import type { GuardFindings, SignatureVerdict } from '../model/record.ts';
import { equalConstantTime, hkdfSha256, hmacSha256 } from '../vault/hash.ts';
import { openSealed, sealTo } from '../vault/hpke.ts';
import type { HpkeKeyPair } from '../vault/hpke.ts';
import { decodeEnvelope, encodeEnvelope } from './ring-envelope.ts';

/** An envelope whose origin is certain, as guard left it. */
export type SpooledEnvelope = {
  /** Random: what it says that its platform gives no name to is known by it when it is filed again. What an older program wrote has none. */
  readonly id?: string;
  readonly source: SourceId;
  readonly envelope: Envelope;
  readonly verdict: SignatureVerdict;
  /** What guard took out of it. */
  readonly findings?: GuardFindings;
};

/** What is known of a frame without opening it. */
export type FrameHead = { readonly bytes: number; readonly envelopes: number; readonly oldestMs: number };

/** What a frame is written with. */
export type SpoolSealing = { readonly publicKey: Uint8Array; readonly mac: Uint8Array };
/** What a frame is opened and checked with. */
export type SpoolOpening = { readonly privateKey: Uint8Array; readonly mac: Uint8Array };

export const FRAME_HEAD_BYTES = 48;
/** Bytes of a body at most: a group is of one turn of the loop, and what is longer is none of ours. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;
const INFO = Buffer.from('cartulary/spool/v1');
const PLAIN_BYTES = 16;

const groupSchema = z.array(
  z.strictObject({
    id: z.string().max(64).exactOptional(),
    source: z.custom<SourceId>((value) => typeof value === 'string'),
    verdict: z.strictObject({
      scheme: z.string(),
      result: z.enum(['valid', 'absent', 'not-applicable']),
      key: z.number().exactOptional(),
      publicKey: z.string().exactOptional(),
    }),
    findings: z.record(z.string(), z.number()).exactOptional(),
    envelope: z.string(),
  }),
);

/**
 * The keys of a spool.
 * @param pair the archive's
 * @param relay the id of the relay whose spool it is: it cannot pass for another, nor for a node of the archive
 */
export function spoolKeysOf(pair: HpkeKeyPair, relay = ''): SpoolSealing & SpoolOpening {
  const mac = hkdfSha256(pair.privateKey, Buffer.from(relay), Buffer.from('cartulary/spool/mac/v1'), 32);
  return { ...pair, mac };
}

/** Writes a group as a frame. */
export function encodeFrame(keys: SpoolSealing, group: readonly SpooledEnvelope[]): Uint8Array {
  const plain = JSON.stringify(
    group.map(({ envelope, ...one }) => ({ ...one, envelope: Buffer.from(encodeEnvelope(envelope)).toString('utf8') })),
  );
  const body = sealTo(keys.publicKey, { info: INFO, aad: new Uint8Array(0) }, Buffer.from(plain, 'utf8'));
  const head = Buffer.alloc(PLAIN_BYTES);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(group.length, 4);
  head.writeDoubleBE(Math.min(...group.map(({ envelope }) => envelope.receivedAtMs)), 8);
  return Buffer.concat([head, hmacSha256(keys.mac, head, body), body]);
}

/** The head of the frame that begins at a place; undefined where there is no whole one: what a crash cut off was never acknowledged. */
export function readFrameHead(file: Uint8Array, at: number): FrameHead | undefined {
  if (file.length - at < FRAME_HEAD_BYTES) return undefined;
  const view = new DataView(file.buffer, file.byteOffset + at, PLAIN_BYTES);
  const head = { bytes: view.getUint32(0), envelopes: view.getUint32(4), oldestMs: view.getFloat64(8) };
  return head.bytes > FRAME_BYTES_MAX || file.length - at < FRAME_HEAD_BYTES + head.bytes ? undefined : head;
}

/**
 * Opens the frame that begins at a place.
 * @throws CartularyError `corrupt` where it was altered, or is not this archive's
 */
export function openFrame(keys: SpoolOpening, file: Uint8Array, at: number, { bytes }: FrameHead): SpooledEnvelope[] {
  const head = file.subarray(at, at + PLAIN_BYTES);
  const mac = file.subarray(at + PLAIN_BYTES, at + FRAME_HEAD_BYTES);
  const body = file.subarray(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + bytes);
  if (!equalConstantTime(mac, hmacSha256(keys.mac, head, body)))
    throw new CartularyError('corrupt', 'a frame of the spool was altered');
  return parseGroup(openSealed(keys.privateKey, { info: INFO, aad: new Uint8Array(0) }, body));
}

/** Reads the opened bytes of a frame. @throws CartularyError `corrupt` */
export function parseGroup(bytes: Uint8Array): SpooledEnvelope[] {
  try {
    return groupSchema
      .parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
      .map(({ envelope, ...one }) => ({ ...one, envelope: decodeEnvelope(Buffer.from(envelope, 'utf8')) }));
  } catch (cause) {
    throw new CartularyError('corrupt', 'a frame of the spool holds no envelopes', { cause });
  }
}
