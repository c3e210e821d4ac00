/**
 * Sealing of what the archive must know to work but nobody should read on a disk: secrets of sources, tokens, settings. A value is sealed
 * under the archive key and bound to its name, so that one source's secret cannot be put in the place of another's.
 *
 * Stored bytes: `u8 format (1) ‖ record id (16) ‖ salt (32) ‖ sealed` — the construction of seal.ts with purpose `setting`, the first 16 bytes
 * of SHA-256("cartulary/setting/v1" ‖ name) as message id, and the random salt in the place of the message secret. The salt gives every
 * writing a key of its own; it hides nothing, since settings are not shredded one by one.
 */
import { CartularyError } from '../model/errors.ts';
import { sha256 } from './hash.ts';
import { createRandomPool, type RandomPool } from './random.ts';
import { ID_BYTES, SEAL_OVERHEAD_BYTES, type Sealer, SECRET_BYTES } from './seal.ts';

/** The longest value of a setting. */
export const SETTING_BYTES_MAX = 1024 * 1024;

const FORMAT = 1;
const AT_SALT = 1 + ID_BYTES;
const AT_SEALED = AT_SALT + SECRET_BYTES;

/**
 * Seals a value.
 * @param name unique in the archive, e.g. `source/01J…/signing-secret`; not secret, and needed again to open
 * @throws CartularyError `too-large` above 1 MiB
 */
export function sealSetting(
  sealer: Sealer,
  name: string,
  plaintext: Uint8Array,
  random: RandomPool = createRandomPool(),
): Uint8Array {
  if (plaintext.length > SETTING_BYTES_MAX)
    throw new CartularyError('too-large', `a setting has at most ${SETTING_BYTES_MAX} bytes`);
  const recordId = random.take(ID_BYTES);
  const salt = random.take(SECRET_BYTES);
  const sealed = sealer.seal({ purpose: 'setting', messageId: nameId(name), recordId, secret: salt, plaintext });
  const stored = new Uint8Array(AT_SEALED + sealed.length);
  stored[0] = FORMAT;
  stored.set(recordId, 1);
  stored.set(salt, AT_SALT);
  stored.set(sealed, AT_SEALED);
  return stored;
}

/**
 * Opens a value.
 * @throws CartularyError `corrupt` where it was altered or belongs to another name or archive; `key-missing` on an unknown key version
 */
export function openSetting(sealer: Sealer, name: string, stored: Uint8Array): Uint8Array {
  if (stored.length < AT_SEALED + SEAL_OVERHEAD_BYTES || stored[0] !== FORMAT) {
    throw new CartularyError('corrupt', 'a sealed setting is too short or of an unknown format');
  }
  return sealer.open({
    purpose: 'setting',
    messageId: nameId(name),
    recordId: stored.subarray(1, AT_SALT),
    secret: stored.subarray(AT_SALT, AT_SEALED),
    sealed: stored.subarray(AT_SEALED),
  });
}

function nameId(name: string): Uint8Array {
  return sha256(Buffer.concat([Buffer.from('cartulary/setting/v1', 'latin1'), Buffer.from(name, 'utf8')])).slice(
    0,
    ID_BYTES,
  );
}
