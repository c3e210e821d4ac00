/** The epoch under whose key secrets are wrapped in their rows. */
import { hkdfSha256 } from '../../vault/hash.ts';
import type { PostgresLocation } from './connection.ts';
import type { EpochKey } from './secret-wrap.ts';

/** The current epoch. */
export function epochOf({ key }: PostgresLocation): EpochKey {
  return { epoch: 1, key: hkdfSha256(key, new Uint8Array(0), Buffer.from('cartulary/postgres/epoch/1'), 32) };
}
