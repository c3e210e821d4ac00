/**
 * HPKE (RFC 9180), base mode, one message a call: what must be sealed while the archive's keys are away (a locked archive, the spool of an
 * edge node) is sealed to the archive's public key and opened once the keys are back.
 *
 * One suite: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002. Written over node:crypto because the WebCrypto
 * implementations cost 1.1 ms of CPU a message and this some 0.25, and a spool fills at the rate of capture; hpke.test.ts holds it to the
 * vectors of the RFC and to an implementation by others.
 *
 * The sender is anonymous: HPKE proves that nothing was altered, not who sealed it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import { hkdfExpandSha256, hmacSha256 } from './hash.ts';

/** KEM, KDF and AEAD of RFC 9180 §7, for formats that name what they hold. */
export const HPKE_SUITE = '0020-0001-0002';
/** Bytes of a public key, a private key, and of the encapsulated key before each ciphertext. */
const HPKE_KEY_BYTES = 32;
/** What sealing adds to a plaintext. */
export const HPKE_OVERHEAD_BYTES = 32 + 16;

/** Both halves as raw bytes (RFC 7748), 32 each. */
export type HpkeKeyPair = { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array };
/** A public key that was read once, for sealing many messages. */
export type HpkePublicKey = { readonly raw: Uint8Array; readonly object: KeyObject };
/** A private key that was read once, for opening many messages. */
export type HpkePrivateKey = { readonly publicRaw: Uint8Array; readonly object: KeyObject };
/** Bytes both sides must know: `info` says what the key is used for, `aad` what this message belongs to. Both may be empty. */
export type HpkeContext = { readonly info: Uint8Array; readonly aad: Uint8Array };

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const EMPTY = new Uint8Array(0);
const VERSION_LABEL = Buffer.from('HPKE-v1', 'latin1');
const KEM_SUITE = Buffer.from('KEM\x00\x20', 'latin1');
const HPKE_SUITE_ID = Buffer.from('HPKE\x00\x20\x00\x01\x00\x02', 'latin1');
const MODE_BASE = Uint8Array.of(0);

/**
 * A fresh key pair.
 * @param random source of 32 random bytes; the operating system's unless handed in
 */
export function generateHpkeKeyPair(random: (bytes: number) => Uint8Array = randomBytes): HpkeKeyPair {
  const seed = random(HPKE_KEY_BYTES);
  const pair = deriveHpkeKeyPair(seed);
  seed.fill(0);
  return pair;
}

/**
 * The key pair of a seed: `DeriveKeyPair` of RFC 9180 §7.1.3.
 * @param seed at least 32 uniformly random bytes
 */
export function deriveHpkeKeyPair(seed: Uint8Array): HpkeKeyPair {
  if (seed.length < HPKE_KEY_BYTES)
    throw new CartularyError('internal', 'a key pair is derived from at least 32 bytes');
  const prk = labeledExtract(KEM_SUITE, EMPTY, 'dkp_prk', seed);
  const privateKey = labeledExpand(KEM_SUITE, prk, 'sk', EMPTY, HPKE_KEY_BYTES);
  prk.fill(0);
  return { publicKey: importHpkePrivateKey(privateKey).publicRaw, privateKey };
}

/**
 * Reads a public key.
 * @throws CartularyError `key-missing` where it is not 32 bytes
 */
export function importHpkePublicKey(raw: Uint8Array): HpkePublicKey {
  assertKeyBytes(raw);
  const object = createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType: 'x25519' });
  return { raw: new Uint8Array(raw), object };
}

/**
 * Reads a private key.
 * @throws CartularyError `key-missing` where it is not 32 bytes
 */
export function importHpkePrivateKey(raw: Uint8Array): HpkePrivateKey {
  assertKeyBytes(raw);
  const copy = Buffer.from(raw);
  const object = createPrivateKey({ key: copy, format: 'raw-private', asymmetricKeyType: 'x25519' });
  copy.fill(0);
  return { publicRaw: new Uint8Array(createPublicKey(object).export({ format: 'raw-public' })), object };
}

/**
 * Seals to a public key (`SealBase`, RFC 9180 §6.1).
 * @param ephemeral only for published vectors: the key pair to use instead of a fresh one. Reuse gives the plaintext away.
 * @returns `enc (32) ‖ ciphertext ‖ tag (16)`
 * @throws CartularyError `key-missing` where the public key is no point that can be used
 */
export function sealTo(
  publicKey: Uint8Array | HpkePublicKey,
  context: HpkeContext,
  plaintext: Uint8Array,
  ephemeral?: HpkeKeyPair,
): Uint8Array {
  const recipient = publicKey instanceof Uint8Array ? importHpkePublicKey(publicKey) : publicKey;
  const own = ephemeral === undefined ? freshPrivateKey() : importHpkePrivateKey(ephemeral.privateKey);
  const { key, nonce } = keySchedule(own.object, recipient.object, own.publicRaw, recipient.raw, context.info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(context.aad);
  const body = cipher.update(plaintext);
  cipher.final();
  const sealed = new Uint8Array(HPKE_OVERHEAD_BYTES + body.length);
  sealed.set(own.publicRaw, 0);
  sealed.set(body, HPKE_KEY_BYTES);
  sealed.set(cipher.getAuthTag(), HPKE_KEY_BYTES + body.length);
  return sealed;
}

/**
 * Opens what {@link sealTo} made (`OpenBase`, RFC 9180 §6.1).
 * @param sealed `enc ‖ ciphertext ‖ tag`
 * @throws CartularyError `corrupt` where it was altered, cut, or sealed to another key, info or aad
 */
export function openSealed(
  privateKey: Uint8Array | HpkePrivateKey,
  context: HpkeContext,
  sealed: Uint8Array,
): Uint8Array {
  if (sealed.length < HPKE_OVERHEAD_BYTES) throw new CartularyError('corrupt', 'a sealed message is too short');
  const recipient = privateKey instanceof Uint8Array ? importHpkePrivateKey(privateKey) : privateKey;
  const sender = importHpkePublicKey(sealed.subarray(0, HPKE_KEY_BYTES));
  const { key, nonce } = keySchedule(recipient.object, sender.object, sender.raw, recipient.publicRaw, context.info);
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(context.aad);
  decipher.setAuthTag(sealed.subarray(end));
  const plaintext = decipher.update(sealed.subarray(HPKE_KEY_BYTES, end));
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new CartularyError('corrupt', 'a sealed message does not open: it was altered, or sealed to another key', {
      cause,
    });
  }
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length);
}

/** An ephemeral key that never exists as bytes outside OpenSSL, at half the cost of deriving one. */
function freshPrivateKey(): HpkePrivateKey {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return { publicRaw: new Uint8Array(publicKey.export({ format: 'raw-public' })), object: privateKey };
}

/** `Encap`/`Decap` (§4.1) and `KeySchedule` of the base mode (§5.1): the key and the nonce of the first message. */
function keySchedule(
  privateKey: KeyObject,
  publicKey: KeyObject,
  enc: Uint8Array,
  recipientRaw: Uint8Array,
  info: Uint8Array,
): { key: KeyObject; nonce: Uint8Array } {
  const dh = exchange(privateKey, publicKey);
  const prk = labeledExtract(KEM_SUITE, EMPTY, 'eae_prk', dh);
  const shared = labeledExpand(KEM_SUITE, prk, 'shared_secret', Buffer.concat([enc, recipientRaw]), 32);
  const scheduleContext = Buffer.concat([
    MODE_BASE,
    labeledExtract(HPKE_SUITE_ID, EMPTY, 'psk_id_hash', EMPTY),
    labeledExtract(HPKE_SUITE_ID, EMPTY, 'info_hash', info),
  ]);
  const secret = labeledExtract(HPKE_SUITE_ID, shared, 'secret', EMPTY);
  const keyBytes = labeledExpand(HPKE_SUITE_ID, secret, 'key', scheduleContext, KEY_BYTES);
  const nonce = labeledExpand(HPKE_SUITE_ID, secret, 'base_nonce', scheduleContext, NONCE_BYTES);
  const key = createSecretKey(keyBytes);
  for (const used of [dh, prk, shared, secret, keyBytes]) used.fill(0);
  return { key, nonce };
}

/** X25519. A point of small order would give a shared secret that everyone knows (RFC 9180 §7.1.4): OpenSSL refuses it. */
function exchange(privateKey: KeyObject, publicKey: KeyObject): Uint8Array {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new CartularyError('corrupt', 'a public key is not one that can be sealed to', { cause });
  }
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hmacSha256(salt, VERSION_LABEL, suite, Buffer.from(label, 'latin1'), ikm);
}

function labeledExpand(
  suite: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const prefix = Uint8Array.of(length >> 8, length & 0xff);
  return hkdfExpandSha256(
    prk,
    Buffer.concat([prefix, VERSION_LABEL, suite, Buffer.from(label, 'latin1'), info]),
    length,
  );
}

function assertKeyBytes(raw: Uint8Array): void {
  if (raw.length !== HPKE_KEY_BYTES)
    throw new CartularyError('key-missing', `an X25519 key has ${HPKE_KEY_BYTES} bytes`);
}
