/**
 * Record bytes, packed for sealing: compressed before they are sealed, since ciphertext does not compress. The commitment in the leaf is over the record bytes, not over the
 * packed form, so that how they were packed can change without a proof changing.
 *
 * Packed: `u8 codec ‖ data`; 0: as they are, 1: raw DEFLATE (RFC 1951) with dictionary 1. Lengths of ciphertexts tell roughly how long a text is, compressed or not.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';

import { CartularyError } from '../model/errors.ts';
import { RECORD_DICTIONARY_1 } from './record-dictionary.ts';

const CODEC_NONE = 0;
const CODEC_DEFLATE_1 = 1;
/** The most that a record may have when it is opened. */
const RECORD_BYTES_MAX = 64 * 1024 * 1024;
/** Small windows cost little to set up, which is most of the cost of a short record. */
const SMALL = { level: 1, windowBits: 13, memLevel: 6, dictionary: RECORD_DICTIONARY_1 } as const;
const LARGE = { level: 1, dictionary: RECORD_DICTIONARY_1 } as const;
const SMALL_BYTES_MAX = 16 * 1024;

/** Packs record bytes. */
export function packRecord(bytes: Uint8Array): Uint8Array {
  const packed = deflateRawSync(bytes, bytes.length <= SMALL_BYTES_MAX ? SMALL : LARGE);
  const isSmaller = packed.length < bytes.length;
  const data = isSmaller ? packed : bytes;
  const target = Buffer.allocUnsafe(1 + data.length);
  target[0] = isSmaller ? CODEC_DEFLATE_1 : CODEC_NONE;
  target.set(data, 1);
  return target;
}

/** Unpacks what `packRecord` packed. @throws CartularyError `corrupt` */
export function unpackRecord(packed: Uint8Array): Uint8Array {
  const data = packed.subarray(1);
  switch (packed[0]) {
    case CODEC_NONE:
      return data;
    case CODEC_DEFLATE_1:
      try {
        return inflateRawSync(data, { dictionary: RECORD_DICTIONARY_1, maxOutputLength: RECORD_BYTES_MAX });
      } catch (cause) {
        throw new CartularyError('corrupt', 'a record cannot be unpacked', { cause });
      }
    default:
      throw new CartularyError('corrupt', 'a record was packed in a way that this version does not know');
  }
}
