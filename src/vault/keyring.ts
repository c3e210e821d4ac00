/**
 * The keyring of one archive: every long-lived key it has, by name and version, and the file that holds them wrapped.
 *
 *     seal      versions  sealing of records, states, settings (seal.ts); rotated, old versions stay for opening
 *     id        one       keyed ids and dedupe keys; never rotated, since a new key would give everything a new name
 *     database  one       page key of the archive's database            index   one   page key of the search index
 *     log       one       Ed25519 seed of the log signer                 spool   one   X25519 key of what is sealed while keys are away
 *
 * The file: a fresh file key is wrapped by the root provider (one call, whatever the number of keys), each key is AES-256-GCM under the
 * file key with archive, name, version and times as additional data, and a MAC over the whole keeps anyone from taking a version out or
 * marking an old one as current. What it cannot show is that the whole file is an older one: its copies are few and named in the manual.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';

import { CartularyError } from '../model/errors.ts';
import { equalConstantTime, hkdfExpandSha256, hmacSha256 } from './hash.ts';
import { importHpkePrivateKey, type HpkeKeyPair } from './hpke.ts';
import { createRandomPool, type RandomPool } from './random.ts';
import type { RootProvider, WrapContext } from './root-provider.ts';
import { ID_BYTES } from './seal.ts';
import {
  parseStrictJson,
  strictBase64,
  strictHex,
  strictInstant,
  strictInteger,
  strictList,
  strictLiteral,
  strictObject,
} from './strict-json.ts';

/** The keys of an archive by name. */
export const KEY_NAMES = ['seal', 'id', 'database', 'index', 'log', 'spool'] as const;
export type KeyName = (typeof KEY_NAMES)[number];

/** One version of one key: 32 random bytes. */
export type KeyringEntry = {
  readonly name: KeyName;
  /** From 1 on, without gaps. */
  readonly version: number;
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** When a newer version took its place; it still opens what it sealed. */
  readonly retiredAt: number | null;
};

/** The opened keyring. Every key is read through it; after `destroy` reading fails with `locked` instead of giving zeros. */
export type Keyring = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  readonly entries: readonly KeyringEntry[];
  /** All seal keys by version, and the version that seals: what `createSealer` takes. */
  readonly sealKeys: ReadonlyMap<number, Uint8Array>;
  readonly currentSealVersion: number;
  readonly idKey: Uint8Array;
  readonly databaseKey: Uint8Array;
  readonly indexKey: Uint8Array;
  /** Ed25519 seed: `createEd25519Signer` makes the signer of it. */
  readonly logKey: Uint8Array;
  readonly spoolKey: HpkeKeyPair;
  /** Zeroes every key. */
  destroy(): void;
};

const FORMAT = 'cartulary-keyring/v1';
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const ENTRIES_MAX = 4096;
const SEAL_VERSION_MAX = 0xffff;
const WRAPPED_FILE_KEY_BYTES_MAX = 8192;

/**
 * Makes the keys of a new archive.
 * @param options `archiveId`: 16 bytes; `random`: source of the keys; `now`: milliseconds since 1970
 */
export function createKeyring(options: {
  readonly archiveId: Uint8Array;
  readonly random: RandomPool;
  readonly now: () => number;
}): Keyring {
  const createdAt = options.now();
  const entries = KEY_NAMES.map((name) => ({
    name,
    version: 1,
    bytes: options.random.take(KEY_BYTES),
    createdAt,
    retiredAt: null,
  }));
  return openKeyring(options.archiveId, entries);
}

/**
 * Adds a version of the seal key; the former ones stay for opening. Records stay as they are: what they need is the old version.
 * @returns a keyring of its own, to be wrapped and stored before anything is sealed with it; the given one is left as it was
 * @throws CartularyError `too-large` after 65,535 versions
 */
export function rotateArchiveKey(
  keyring: Keyring,
  options: { readonly random: RandomPool; readonly now: () => number },
): Keyring {
  const now = options.now();
  const current = keyring.currentSealVersion;
  if (current >= SEAL_VERSION_MAX)
    throw new CartularyError('too-large', `an archive has at most ${SEAL_VERSION_MAX} seal keys`);
  const entries: KeyringEntry[] = keyring.entries.map((entry) => ({
    ...entry,
    bytes: new Uint8Array(entry.bytes),
    retiredAt: entry.name === 'seal' && entry.version === current ? now : entry.retiredAt,
  }));
  entries.push({
    name: 'seal',
    version: current + 1,
    bytes: options.random.take(KEY_BYTES),
    createdAt: now,
    retiredAt: null,
  });
  return openKeyring(keyring.archiveId, entries);
}

/**
 * Wraps a keyring for its file.
 * @param root wraps the fresh file key
 * @returns JSON text; holds no key that can be read without the root
 */
export async function wrapKeyring(
  keyring: Keyring,
  root: RootProvider,
  random: RandomPool = createRandomPool(),
): Promise<string> {
  const fileKey = random.take(KEY_BYTES);
  const { sealing, mac } = fileKeys(fileKey);
  const keys = keyring.entries.map((entry, index) => ({
    name: entry.name,
    version: entry.version,
    createdAt: new Date(entry.createdAt).toISOString(),
    retiredAt: entry.retiredAt === null ? null : new Date(entry.retiredAt).toISOString(),
    key: Buffer.from(wrapEntry(sealing, keyring.archiveId, entry, index)).toString('base64'),
  }));
  const wrapped = await root.wrap(fileKey, wrapContext(keyring.archiveId));
  fileKey.fill(0);
  const body = {
    format: FORMAT,
    archiveId: Buffer.from(keyring.archiveId).toString('hex'),
    fileKey: Buffer.from(wrapped).toString('base64'),
    keys,
  };
  const file = { ...body, mac: Buffer.from(hmacSha256(mac, macData(body))).toString('base64') };
  mac.fill(0);
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * Opens the text of a keyring file.
 * @throws CartularyError `corrupt` where it was altered or is not one; `key-missing` where the root is another one
 */
export async function unwrapKeyring(json: string, root: RootProvider): Promise<Keyring> {
  const file = parseKeyringFile(json);
  const fileKey = await root.unwrap(file.fileKey, wrapContext(file.archiveId));
  if (fileKey.length !== KEY_BYTES)
    throw new CartularyError('corrupt', 'the file key of a keyring has the wrong length');
  const { sealing, mac } = fileKeys(fileKey);
  fileKey.fill(0);
  const fits = equalConstantTime(hmacSha256(mac, macData(file.body)), file.mac);
  mac.fill(0);
  if (!fits) throw new CartularyError('corrupt', 'the keyring was altered');
  const entries = file.entries.map((entry, index) => unwrapEntry(sealing, file.archiveId, entry, index));
  return openKeyring(file.archiveId, entries);
}

/**
 * Wraps a keyring file anew, for the rotation of the root.
 * @param root holds the old and the new root key
 */
export async function rewrapKeyring(
  json: string,
  root: RootProvider,
  random: RandomPool = createRandomPool(),
): Promise<string> {
  const keyring = await unwrapKeyring(json, root);
  try {
    return await wrapKeyring(keyring, root, random);
  } finally {
    keyring.destroy();
  }
}

/**
 * The value in a keyring file that the root wrapped: what `rotateLocalRoot` wants to see under the new root.
 * @throws CartularyError `corrupt`
 */
export function getWrappedFileKey(json: string): Uint8Array {
  return parseKeyringFile(json).fileKey;
}

/** Takes over the entries and checks that they are one complete keyring. */
function openKeyring(archiveId: Uint8Array, entries: readonly KeyringEntry[]): Keyring {
  if (archiveId.length !== ID_BYTES) throw new CartularyError('internal', `an archive id has ${ID_BYTES} bytes`);
  const current = (name: KeyName): KeyringEntry => {
    const versions = entries.filter((entry) => entry.name === name);
    const last = versions.at(-1);
    const ordered = versions.every(
      (entry, index) => entry.version === index + 1 && (entry.retiredAt === null) === (entry === last),
    );
    if (last === undefined || !ordered)
      throw new CartularyError('corrupt', `the keyring lacks a version of its ${name} key`);
    return last;
  };
  for (const name of KEY_NAMES) current(name);
  let destroyed = false;
  const live = <Value>(value: () => Value): Value => {
    if (destroyed) throw new CartularyError('locked', 'the keyring was put away');
    return value();
  };
  return {
    archiveId: new Uint8Array(archiveId),
    get entries() {
      return live(() => entries);
    },
    get sealKeys() {
      return live(
        () => new Map(entries.filter((entry) => entry.name === 'seal').map((entry) => [entry.version, entry.bytes])),
      );
    },
    get currentSealVersion() {
      return live(() => current('seal').version);
    },
    get idKey() {
      return live(() => current('id').bytes);
    },
    get databaseKey() {
      return live(() => current('database').bytes);
    },
    get indexKey() {
      return live(() => current('index').bytes);
    },
    get logKey() {
      return live(() => current('log').bytes);
    },
    get spoolKey() {
      return live(() => {
        const privateKey = current('spool').bytes;
        return { privateKey, publicKey: importHpkePrivateKey(privateKey).publicRaw };
      });
    },
    destroy() {
      destroyed = true;
      for (const entry of entries) entry.bytes.fill(0);
    },
  };
}

type FileBody = {
  readonly format: string;
  readonly archiveId: string;
  readonly fileKey: string;
  readonly keys: readonly { name: string; version: number; createdAt: string; retiredAt: string | null; key: string }[];
};
type WrappedEntry = Omit<KeyringEntry, 'bytes'> & { readonly wrapped: Uint8Array };

function parseKeyringFile(json: string): {
  readonly archiveId: Uint8Array;
  readonly fileKey: Uint8Array;
  readonly entries: readonly WrappedEntry[];
  readonly mac: Uint8Array;
  readonly body: FileBody;
} {
  const file = parseStrictJson(json, 'the keyring', ['format', 'archiveId', 'fileKey', 'keys', 'mac']);
  strictLiteral(file.format, 'the format of the keyring', FORMAT);
  const archiveId = strictHex(file.archiveId, 'the archive id of the keyring', ID_BYTES);
  const fileKey = strictBase64(file.fileKey, 'the file key of the keyring', 1, WRAPPED_FILE_KEY_BYTES_MAX);
  const mac = strictBase64(file.mac, 'the MAC of the keyring', 32, 32);
  const entries = strictList(file.keys, 'the keys of the keyring', ENTRIES_MAX).map(parseEntry);
  const body = {
    format: FORMAT,
    archiveId: Buffer.from(archiveId).toString('hex'),
    fileKey: Buffer.from(fileKey).toString('base64'),
    keys: entries.map(({ name, version, createdAt, retiredAt, wrapped }) => ({
      name,
      version,
      createdAt: new Date(createdAt).toISOString(),
      retiredAt: retiredAt === null ? null : new Date(retiredAt).toISOString(),
      key: Buffer.from(wrapped).toString('base64'),
    })),
  };
  return { archiveId, fileKey, entries, mac, body };
}

function parseEntry(value: unknown): WrappedEntry {
  const entry = strictObject(value, 'a key of the keyring', ['name', 'version', 'createdAt', 'retiredAt', 'key']);
  const name = KEY_NAMES.find((known) => known === entry.name);
  if (name === undefined) throw new CartularyError('corrupt', 'the keyring holds a key of an unknown name');
  return {
    name,
    version: strictInteger(entry.version, 'the version of a key', 1, SEAL_VERSION_MAX),
    createdAt: strictInstant(entry.createdAt, 'the time a key was made'),
    retiredAt: entry.retiredAt === null ? null : strictInstant(entry.retiredAt, 'the time a key was retired'),
    wrapped: strictBase64(entry.key, 'a wrapped key', KEY_BYTES + TAG_BYTES, KEY_BYTES + TAG_BYTES),
  };
}

function fileKeys(fileKey: Uint8Array): { readonly sealing: KeyObject; readonly mac: Uint8Array } {
  const sealingBytes = hkdfExpandSha256(fileKey, Buffer.from('cartulary/keyring-entry/v1', 'latin1'), KEY_BYTES);
  const sealing = createSecretKey(sealingBytes);
  sealingBytes.fill(0);
  return { sealing, mac: hkdfExpandSha256(fileKey, Buffer.from('cartulary/keyring-mac/v1', 'latin1'), KEY_BYTES) };
}

/** The file key is fresh for every writing of the file, so the place of an entry in it serves as the nonce. */
function entryNonce(index: number): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 8);
  return nonce;
}

function wrapEntry(sealing: KeyObject, archiveId: Uint8Array, entry: KeyringEntry, index: number): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', sealing, entryNonce(index), { authTagLength: TAG_BYTES });
  cipher.setAAD(entryData(archiveId, entry));
  return Buffer.concat([cipher.update(entry.bytes), cipher.final(), cipher.getAuthTag()]);
}

function unwrapEntry(sealing: KeyObject, archiveId: Uint8Array, entry: WrappedEntry, index: number): KeyringEntry {
  const decipher = createDecipheriv('aes-256-gcm', sealing, entryNonce(index), { authTagLength: TAG_BYTES });
  decipher.setAAD(entryData(archiveId, entry));
  decipher.setAuthTag(entry.wrapped.subarray(KEY_BYTES));
  const bytes = decipher.update(entry.wrapped.subarray(0, KEY_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    bytes.fill(0);
    throw new CartularyError('corrupt', `the ${entry.name} key of the keyring was altered`, { cause });
  }
  const { wrapped: _wrapped, ...rest } = entry;
  return { ...rest, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** The additional data of an entry: label, archive, version, times (0 for never retired), name. */
function entryData(archiveId: Uint8Array, entry: Omit<KeyringEntry, 'bytes'>): Uint8Array {
  const numbers = Buffer.alloc(2 + 8 + 8);
  numbers.writeUInt16BE(entry.version, 0);
  numbers.writeBigInt64BE(BigInt(entry.createdAt), 2);
  numbers.writeBigInt64BE(BigInt(entry.retiredAt ?? 0), 10);
  return Buffer.concat([
    Buffer.from('cartulary/keyring-entry/v1', 'latin1'),
    archiveId,
    numbers,
    Buffer.from(entry.name, 'latin1'),
  ]);
}

/** The text that is signed by the MAC is built from the checked values, so the layout of the file does not matter. */
function macData(body: FileBody): Uint8Array {
  return Buffer.from(JSON.stringify(body), 'utf8');
}

function wrapContext(archiveId: Uint8Array): WrapContext {
  return { archive: Buffer.from(archiveId).toString('hex'), purpose: 'keyring' };
}
