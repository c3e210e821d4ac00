/**
 * Where the root key lies. A provider wraps and unwraps a few dozen bytes (the keyrings' own keys) and never hands the root key out; a
 * hardware module or a key service fits the same interface. The local provider keeps it in a file beside the data, which is the default:
 * it protects backups and single copied files, not a copy of the whole disk, and says so (`describe`).
 *
 * Rotation is safe at every step: the key file first holds old and new root, then all keyrings are wrapped anew, then the old root goes.
 * A crash in between leaves a file that opens everything; the next rotation carries on where it stopped.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { CartularyError } from '../model/errors.ts';
import { syncDirectory, writeFileDurably } from './durable-file.ts';
import { equalConstantTime, hkdfExpandSha256 } from './hash.ts';
import {
  assertPrivate,
  findRootFile,
  formatRootFile,
  KEY_DIRECTORY_MODE,
  KEY_FILE_MODE,
  parsePassphrase,
  parseRootFile,
  ROOT_ID_BYTES,
  ROOT_KEY_BYTES,
  type RootKey,
  rootKeyId,
} from './root-file.ts';

/** What a wrapped value belongs to: random ids and fixed words only, since a key service writes it into its log. Bound as additional data. */
export type WrapContext = Readonly<Record<string, string>>;

/** For start-up and `doctor`: where the root key lies, and who can read a stolen disk. */
export type RootDescription = { readonly kind: string; readonly location: string; readonly whoCanRead: string };

/** Holds a root key and wraps small values under it. */
export type RootProvider = {
  describe(): RootDescription;
  /** @param plaintext at most 4,096 bytes */
  wrap(plaintext: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  /** @throws CartularyError `key-missing` where the root is another one, `corrupt` where value or context do not fit */
  unwrap(wrapped: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  /** Wraps under the newest root without showing the value to the caller, where the provider can. */
  rewrap?(wrapped: Uint8Array, context: WrapContext): Promise<Uint8Array>;
};

/** The local file provider. */
export type LocalRoot = RootProvider & {
  rewrap(wrapped: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  /** The id of the root that wraps, 16 hexadecimal digits: printed on the recovery kit. */
  readonly rootId: string;
  /** Does the file hold more than one root, because a rotation was interrupted? */
  readonly rotationPending: boolean;
  /** Is a wrapped value under the root that wraps now? */
  isCurrent(wrapped: Uint8Array): boolean;
  /** A copy of the root key, for the recovery kit only. The caller zeroes it. */
  exportRootKey(): Uint8Array;
  /** Zeroes the keys; wrapping and unwrapping fail with `locked` afterwards. */
  destroy(): void;
};

/** Where a local root is and how it is protected. */
export type LocalRootOptions = {
  /** The key file. */
  readonly path: string;
  /** At least 12 characters; without it the key stands in the file as it is. */
  readonly passphrase?: string | undefined;
};

/** The most that is wrapped at once: what key services allow. */
export const WRAP_BYTES_MAX = 4096;

const ALGORITHM_LOCAL_AES256GCM = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_HEADER_BYTES = 1 + ROOT_ID_BYTES + NONCE_BYTES;
const WRAP_LABEL = Buffer.from('cartulary/root-wrap/v1', 'latin1');

/**
 * Reads the `file:` form of CARTULARY_KEYS.
 * @returns the absolute path of the key file
 * @throws CartularyError `setting`
 */
export function parseLocalRootLocation(setting: string): string {
  const path = setting.startsWith('file:') ? setting.slice('file:'.length) : '';
  if (path === '' || path.includes('\0') || path.startsWith('//'))
    throw new CartularyError('setting', 'CARTULARY_KEYS names a key file as file:PATH');
  return resolve(path);
}

/**
 * Makes a new root key and its file (mode 0600, in a directory of mode 0700 that is made if it is not there).
 * @param options `random`, `now` (milliseconds since 1970): handed in by tests
 * @throws CartularyError `conflict` where the file is already there, `setting` where the directory is open to others,
 *   `bad-input` on a short passphrase
 */
export async function createLocalRoot(
  options: LocalRootOptions & { readonly random?: (bytes: number) => Uint8Array; readonly now?: () => number },
): Promise<LocalRoot> {
  const key = new Uint8Array((options.random ?? randomBytes)(ROOT_KEY_BYTES));
  return restoreLocalRoot({ ...options, rootKey: key });
}

/**
 * Writes a key file for a root key that is known, as from a recovery kit. Never replaces a file.
 * @throws CartularyError as {@link createLocalRoot}
 */
export async function restoreLocalRoot(
  options: LocalRootOptions & { readonly rootKey: Uint8Array; readonly now?: () => number },
): Promise<LocalRoot> {
  if (options.rootKey.length !== ROOT_KEY_BYTES)
    throw new CartularyError('bad-input', `a root key has ${ROOT_KEY_BYTES} bytes`);
  await ensurePrivateDirectory(dirname(options.path));
  const key = new Uint8Array(options.rootKey);
  const root: RootKey = { id: rootKeyId(key), key, createdAt: (options.now ?? Date.now)() };
  await writeRootFile(options, [root], true);
  return openRoots([root], options);
}

/**
 * A root key that is known, as from a recovery kit, held in memory only: nothing is written.
 * @throws CartularyError `bad-input`
 */
export function holdRoot(rootKey: Uint8Array): LocalRoot {
  if (rootKey.length !== ROOT_KEY_BYTES)
    throw new CartularyError('bad-input', `a root key has ${ROOT_KEY_BYTES} bytes`);
  const key = new Uint8Array(rootKey);
  return openRoots([{ id: rootKeyId(key), key, createdAt: 0 }], { path: 'memory' });
}

/**
 * Opens the key file.
 * @throws CartularyError `key-missing` where it is not there or its passphrase does not fit; `setting` where others can read it;
 *   `corrupt` where it is damaged
 */
export async function openLocalRoot(options: LocalRootOptions): Promise<LocalRoot> {
  return openRoots(await readRoots(options), options);
}

/**
 * Puts a new root key in the place of the old one.
 * @param options `rewrapAll`: wraps every keyring anew (`rewrapKeyring`), stores each durably, and returns every wrapped value that is now
 *   in use; it may be called again after a crash and must then do the same for all of them.
 * @returns the root that is now the only one; the recovery kit must be printed anew
 * @throws CartularyError `conflict` where a returned value is still under the old root: then both roots stay, and so they do when
 *   `rewrapAll` throws
 */
export async function rotateLocalRoot(
  options: LocalRootOptions & {
    readonly random?: (bytes: number) => Uint8Array;
    readonly now?: () => number;
    readonly rewrapAll: (root: LocalRoot) => Promise<readonly Uint8Array[]>;
  },
): Promise<LocalRoot> {
  let roots = await readRoots(options);
  if (roots.length === 1) {
    const key = new Uint8Array((options.random ?? randomBytes)(ROOT_KEY_BYTES));
    roots = [...roots, { id: rootKeyId(key), key, createdAt: (options.now ?? Date.now)() }];
    await writeRootFile(options, roots, false);
  }
  const newest = roots.at(-1);
  if (newest === undefined) throw new CartularyError('internal', 'a key file without a key was read');
  const both = openRoots(roots, options);
  try {
    const wrapped = await options.rewrapAll(both);
    if (wrapped.length === 0 || !wrapped.every((value) => both.isCurrent(value))) {
      throw new CartularyError(
        'conflict',
        'not every keyring is under the new root key yet: both stay in the key file; rotate again',
      );
    }
    await writeRootFile(options, [newest], false);
    return openRoots([{ ...newest, key: new Uint8Array(newest.key) }], options);
  } finally {
    both.destroy();
  }
}

async function readRoots(options: LocalRootOptions): Promise<readonly RootKey[]> {
  const text = await findRootFile(options.path);
  if (text === undefined)
    throw new CartularyError(
      'key-missing',
      `there is no key file at ${options.path}: restore it from a backup or the recovery kit`,
    );
  return parseRootFile(text, options.passphrase);
}

async function writeRootFile(options: LocalRootOptions, roots: readonly RootKey[], ifAbsent: boolean): Promise<void> {
  const passphrase = options.passphrase === undefined ? undefined : parsePassphrase(options.passphrase);
  const bytes = Buffer.from(await formatRootFile(roots, passphrase), 'utf8');
  await writeFileDurably(options.path, bytes, KEY_FILE_MODE, { ifAbsent });
  bytes.fill(0);
}

async function ensurePrivateDirectory(directory: string): Promise<void> {
  const made = await mkdir(directory, { recursive: true, mode: KEY_DIRECTORY_MODE });
  if (made !== undefined) await syncDirectory(dirname(made));
  assertPrivate(directory, await stat(directory), '700');
}

/** Takes over the keys: `destroy` zeroes them. */
function openRoots(roots: readonly RootKey[], options: LocalRootOptions): LocalRoot {
  const current = roots.at(-1);
  if (current === undefined) throw new CartularyError('corrupt', 'the key file holds no key');
  const wrapKeys = roots.map((root) => ({ id: root.id, key: wrapKeyOf(root.key) }));
  const live = (): typeof wrapKeys => {
    if (wrapKeys.length === 0) throw new CartularyError('locked', 'the root key was put away');
    return wrapKeys;
  };
  const wrap = (plaintext: Uint8Array, context: WrapContext): Uint8Array => {
    const newest = live().at(-1);
    if (newest === undefined) throw new CartularyError('internal', 'no root key');
    return wrapUnder(newest, plaintext, context);
  };
  const unwrap = (wrapped: Uint8Array, context: WrapContext): Uint8Array => {
    const id = wrappedRootId(wrapped);
    const root = live().find((candidate) => equalConstantTime(candidate.id, id));
    if (root === undefined)
      throw new CartularyError('key-missing', 'this was wrapped under another root key than the key file holds');
    return unwrapUnder(root, wrapped, context);
  };
  return {
    rootId: Buffer.from(current.id).toString('hex'),
    rotationPending: roots.length > 1,
    describe: () => describeLocalRoot(options),
    isCurrent: (wrapped) => equalConstantTime(wrappedRootId(wrapped), current.id),
    wrap: async (plaintext, context) => wrap(plaintext, context),
    unwrap: async (wrapped, context) => unwrap(wrapped, context),
    async rewrap(wrapped, context) {
      const plaintext = unwrap(wrapped, context);
      const anew = wrap(plaintext, context);
      plaintext.fill(0);
      return anew;
    },
    exportRootKey() {
      live();
      return new Uint8Array(current.key);
    },
    destroy() {
      wrapKeys.length = 0;
      for (const root of roots) root.key.fill(0);
    },
  };
}

function describeLocalRoot(options: LocalRootOptions): RootDescription {
  return options.passphrase === undefined
    ? {
        kind: 'local-file',
        location: options.path,
        whoCanRead:
          'Whoever holds a copy of this disk that includes the key file can read the archive. Give it a passphrase, or keep the key elsewhere.',
      }
    : {
        kind: 'local-file-passphrase',
        location: options.path,
        whoCanRead:
          'Whoever holds a copy of this disk can read the archive only with the passphrase too. Keep the passphrase file off this disk.',
      };
}

function wrapUnder(
  root: { readonly id: Uint8Array; readonly key: KeyObject },
  plaintext: Uint8Array,
  context: WrapContext,
): Uint8Array {
  if (plaintext.length > WRAP_BYTES_MAX)
    throw new CartularyError('too-large', `a root key wraps at most ${WRAP_BYTES_MAX} bytes`);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', root.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(wrapData(root.id, context));
  return new Uint8Array(
    Buffer.concat([
      Uint8Array.of(ALGORITHM_LOCAL_AES256GCM),
      root.id,
      nonce,
      cipher.update(plaintext),
      cipher.final(),
      cipher.getAuthTag(),
    ]),
  );
}

function unwrapUnder(
  root: { readonly id: Uint8Array; readonly key: KeyObject },
  wrapped: Uint8Array,
  context: WrapContext,
): Uint8Array {
  const nonce = wrapped.subarray(1 + ROOT_ID_BYTES, WRAPPED_HEADER_BYTES);
  const end = wrapped.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', root.key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(wrapData(root.id, context));
  decipher.setAuthTag(wrapped.subarray(end));
  const plaintext = decipher.update(wrapped.subarray(WRAPPED_HEADER_BYTES, end));
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new CartularyError('corrupt', 'a wrapped key was altered, or belongs to another place', { cause });
  }
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length);
}

function wrappedRootId(wrapped: Uint8Array): Uint8Array {
  if (wrapped.length < WRAPPED_HEADER_BYTES + TAG_BYTES || wrapped[0] !== ALGORITHM_LOCAL_AES256GCM) {
    throw new CartularyError('corrupt', 'this is not a value that a local root key wrapped');
  }
  return wrapped.subarray(1, 1 + ROOT_ID_BYTES);
}

/** The root key itself only ever derives: what wraps is another key. */
function wrapKeyOf(rootKey: Uint8Array): KeyObject {
  const bytes = hkdfExpandSha256(rootKey, WRAP_LABEL, 32);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** The additional data: label, root, and the context in the one order of its names, each part with its length. */
function wrapData(id: Uint8Array, context: WrapContext): Uint8Array {
  const parts: Uint8Array[] = [WRAP_LABEL, id];
  for (const name of Object.keys(context).sort()) {
    for (const text of [name, context[name] ?? '']) {
      const bytes = Buffer.from(text, 'utf8');
      if (bytes.length > 0xffff) throw new CartularyError('internal', 'a wrap context is too long');
      parts.push(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes);
    }
  }
  return Buffer.concat(parts);
}
