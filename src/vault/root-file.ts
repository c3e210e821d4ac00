/**
 * The key file of the local root provider: one JSON object of a few lines.
 *
 *     { "format": "cartulary-root-key/v1",
 *       "protection": "none" | { "kdf": "scrypt", "n": 131072, "r": 8, "p": 1, "salt": base64 },
 *       "keys": [ { "id": hex, "createdAt": instant, "key": base64 } … ] }        the last key is the one that wraps
 *
 * More than one key stands in it only while a rotation is under way. With a passphrase each key is AES-256-GCM under the scrypt key, with
 * its id and time as additional data. The id is a keyed hash of the key itself, so a key restored from paper has its old id again.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes, scrypt } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { equalConstantTime, hmacSha256 } from './hash.ts';
import {
  parseStrictJson,
  strictBase64,
  strictHex,
  strictInstant,
  strictInteger,
  strictList,
  strictLiteral,
  strictObject,
  VAULT_FILE_BYTES_MAX,
} from './strict-json.ts';
import { isMissing } from './missing-file.ts';

/** One root key. */
export type RootKey = {
  /** 8 bytes: HMAC-SHA256(key, "cartulary/root-id/v1"), cut. */
  readonly id: Uint8Array;
  /** 32 random bytes. */
  readonly key: Uint8Array;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
};

/** Bytes of a root key and of its id. */
export const ROOT_KEY_BYTES = 32;
export const ROOT_ID_BYTES = 8;
/** Shorter passphrases are refused: whoever copied the disk can try them at leisure. */
const PASSPHRASE_CHARACTERS_MIN = 12;

/** Permissions of the key file and its directory. */
export const KEY_FILE_MODE = 0o600;
export const KEY_DIRECTORY_MODE = 0o700;

const FORMAT = 'cartulary-root-key/v1';
const ROOT_KEYS_MAX = 4;
/** RFC 7914; OWASP's first choice of 2^17, 8, 1: 128 MiB and some 0.4 s a try. The file must say exactly this, so that it cannot be weakened. */
const SCRYPT = { n: 2 ** 17, r: 8, p: 1 } as const;
const SCRYPT_MEMORY_BYTES_MAX = 192 * 1024 * 1024;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ID_LABEL = Buffer.from('cartulary/root-id/v1', 'latin1');

/** The id of a root key. */
export function rootKeyId(key: Uint8Array): Uint8Array {
  return hmacSha256(key, ID_LABEL).slice(0, ROOT_ID_BYTES);
}

/**
 * Writes the text of a key file.
 * @param keys the last one wraps
 * @param passphrase protects the keys; without it they stand in the file as they are
 */
export async function formatRootFile(keys: readonly RootKey[], passphrase?: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const protector = passphrase === undefined ? undefined : await stretch(passphrase, salt);
  return `${JSON.stringify(
    {
      format: FORMAT,
      protection: protector === undefined ? 'none' : { kdf: 'scrypt', ...SCRYPT, salt: salt.toString('base64') },
      keys: keys.map(({ id, key, createdAt }) => ({
        id: Buffer.from(id).toString('hex'),
        createdAt: new Date(createdAt).toISOString(),
        key: Buffer.from(protector === undefined ? key : protect(protector, id, createdAt, key)).toString('base64'),
      })),
    },
    undefined,
    2,
  )}\n`;
}

/**
 * Reads the text of a key file.
 * @throws CartularyError `corrupt` where it is not one; `key-missing` where the passphrase is missing, superfluous or wrong
 */
export async function parseRootFile(text: string, passphrase?: string): Promise<readonly RootKey[]> {
  const file = parseStrictJson(text, 'the key file', ['format', 'protection', 'keys']);
  strictLiteral(file.format, 'the format of the key file', FORMAT);
  const entries = strictList(file.keys, 'the keys of the key file', ROOT_KEYS_MAX);
  const protector = await protectorOf(file.protection, passphrase);
  const bytes = protector === undefined ? ROOT_KEY_BYTES : NONCE_BYTES + ROOT_KEY_BYTES + TAG_BYTES;
  return entries.map((value) => {
    const entry = strictObject(value, 'a key of the key file', ['id', 'createdAt', 'key']);
    const id = strictHex(entry.id, 'the id of a root key', ROOT_ID_BYTES);
    const createdAt = strictInstant(entry.createdAt, 'the time of a root key');
    const stored = strictBase64(entry.key, 'a root key', bytes, bytes);
    const key = protector === undefined ? stored : unprotect(protector, id, createdAt, stored);
    if (!equalConstantTime(rootKeyId(key), id))
      throw new CartularyError('corrupt', 'a root key does not have the id that is written beside it');
    return { id, key, createdAt };
  });
}

/**
 * Reads a key file after checking that nobody but its owner can.
 * @returns undefined where there is no such file
 * @throws CartularyError `setting` on permissions that are too wide, or a foreign owner
 */
export async function findRootFile(path: string): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new CartularyError('key-missing', `the key file ${path} cannot be opened`, { cause });
  }
  try {
    // Of the open file, not of the path: nobody can put another in its place in between.
    const status = await file.stat();
    if (!status.isFile()) throw new CartularyError('setting', `${path} is not a file`);
    assertPrivate(path, status, '600');
    assertPrivate(dirname(path), await stat(dirname(path)), '700');
    if (status.size > VAULT_FILE_BYTES_MAX)
      throw new CartularyError('corrupt', 'the key file is larger than any that was written');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/**
 * Asserts that a path is its owner's alone, and the owner this process or root. Windows has no such bits; there the directory's access
 * list decides.
 * @throws CartularyError `setting`
 */
export function assertPrivate(
  path: string,
  status: { readonly mode: number; readonly uid: number },
  wanted: string,
): void {
  if (process.platform === 'win32') return;
  if ((status.mode & 0o077) !== 0) {
    throw new CartularyError(
      'setting',
      `${path} can be read or changed by others: chmod ${wanted} it, and rotate the root key if others had access`,
    );
  }
  const own = process.getuid?.();
  if (status.uid !== 0 && own !== undefined && status.uid !== own) {
    throw new CartularyError('setting', `${path} belongs to another user`);
  }
}

/**
 * Checks a passphrase and brings it to one form: a newline at the end of its file does not count, and the same characters typed on
 * another keyboard are the same (Unicode NFKC).
 * @throws CartularyError `bad-input` below 12 characters
 */
export function parsePassphrase(text: string): string {
  const passphrase = text.replace(/\r?\n$/, '').normalize('NFKC');
  if ([...passphrase].length < PASSPHRASE_CHARACTERS_MIN) {
    throw new CartularyError('bad-input', `a passphrase has at least ${PASSPHRASE_CHARACTERS_MIN} characters`);
  }
  return passphrase;
}

async function protectorOf(protection: unknown, passphrase?: string): Promise<KeyObject | undefined> {
  if (protection === 'none') {
    // Silence would let someone believe that the passphrase protects anything.
    if (passphrase !== undefined)
      throw new CartularyError(
        'key-missing',
        'a passphrase was given, but the key file has none: rotate the root key to get one',
      );
    return undefined;
  }
  const fields = strictObject(protection, 'the protection of the key file', ['kdf', 'n', 'r', 'p', 'salt']);
  strictLiteral(fields.kdf, 'the key derivation of the key file', 'scrypt');
  for (const name of ['n', 'r', 'p'] as const)
    strictInteger(fields[name], `"${name}" of the key file`, SCRYPT[name], SCRYPT[name]);
  const salt = strictBase64(fields.salt, 'the salt of the key file', SALT_BYTES, SALT_BYTES);
  if (passphrase === undefined)
    throw new CartularyError('key-missing', 'the key file needs its passphrase (CARTULARY_PASSPHRASE_FILE)');
  return stretch(passphrase, salt);
}

async function stretch(passphrase: string, salt: Uint8Array): Promise<KeyObject> {
  const options = { N: SCRYPT.n, r: SCRYPT.r, p: SCRYPT.p, maxmem: SCRYPT_MEMORY_BYTES_MAX };
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    scrypt(parsePassphrase(passphrase), salt, 32, options, (error, derived) =>
      error === null ? resolve(derived) : reject(error),
    );
  });
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

function protect(protector: KeyObject, id: Uint8Array, createdAt: number, key: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', protector, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(protectedData(id, createdAt));
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

function unprotect(protector: KeyObject, id: Uint8Array, createdAt: number, stored: Uint8Array): Uint8Array {
  const decipher = createDecipheriv('aes-256-gcm', protector, stored.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(protectedData(id, createdAt));
  decipher.setAuthTag(stored.subarray(stored.length - TAG_BYTES));
  const key = decipher.update(stored.subarray(NONCE_BYTES, stored.length - TAG_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    key.fill(0);
    throw new CartularyError('key-missing', 'the passphrase does not open the key file (or the file was altered)', {
      cause,
    });
  }
  return new Uint8Array(key.buffer, key.byteOffset, key.length);
}

function protectedData(id: Uint8Array, createdAt: number): Uint8Array {
  const time = Buffer.alloc(8);
  time.writeBigInt64BE(BigInt(createdAt));
  return Buffer.concat([Buffer.from('cartulary/root-protect/v1', 'latin1'), id, time]);
}
