import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { assertPrivate, parsePassphrase } from './root-file.ts';
import {
  createLocalRoot,
  type LocalRoot,
  openLocalRoot,
  parseLocalRootLocation,
  restoreLocalRoot,
  rotateLocalRoot,
  WRAP_BYTES_MAX,
} from './root-provider.ts';
import { codeOf, codeOfAsync, testBytes, toHex } from './testing/vectors.ts';

const context = { archive: '0011', purpose: 'keyring' };
const passphrase = 'correct horse battery';
const now = (): number => Date.UTC(2026, 10, 22);
let directory = '';
let path = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-root-'));
  path = join(directory, 'keys', 'root.json');
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Edits the key file as someone with access to the disk would. */
async function edit(change: (file: Record<string, unknown>) => void): Promise<void> {
  const file = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  change(file);
  await writeFile(path, JSON.stringify(file));
}

describe('the local root', () => {
  it('wraps, and unwraps after being opened again', async () => {
    const made = await createLocalRoot({ path, now });
    const wrapped = await made.wrap(testBytes(32), context);
    const opened = await openLocalRoot({ path });
    expect(toHex(await opened.unwrap(wrapped, context))).toBe(toHex(testBytes(32)));
    expect(opened.rootId).toBe(made.rootId);
    expect(opened.rotationPending).toBe(false);
    expect(toHex(await made.wrap(testBytes(32), context))).not.toBe(toHex(wrapped));
  });

  it('keeps its file to its owner', async () => {
    await createLocalRoot({ path });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'keys'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(directory, 'keys'))).toEqual(['root.json']);
  });

  it('refuses a file or directory that others can read, and a file that is none', async () => {
    await createLocalRoot({ path });
    for (const mode of [0o640, 0o604, 0o622]) {
      await chmod(path, mode);
      expect(await codeOfAsync(openLocalRoot({ path }))).toBe('setting');
    }
    await chmod(path, 0o600);
    await chmod(join(directory, 'keys'), 0o755);
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('setting');
    expect(await codeOfAsync(createLocalRoot({ path: join(directory, 'keys', 'other.json') }))).toBe('setting');
    await chmod(join(directory, 'keys'), 0o700);
    expect(await codeOfAsync(openLocalRoot({ path: join(directory, 'keys') }))).toBe('setting');
    await openLocalRoot({ path });
  });

  it('refuses what belongs to another user, but takes what belongs to root', () => {
    expect(codeOf(() => assertPrivate('x', { mode: 0o600, uid: 54_321 }, '600'))).toBe('setting');
    assertPrivate('x', { mode: 0o600, uid: 0 }, '600');
  });

  it('never replaces a key file', async () => {
    await createLocalRoot({ path });
    const before = await readFile(path, 'utf8');
    expect(await codeOfAsync(createLocalRoot({ path }))).toBe('conflict');
    expect(await codeOfAsync(restoreLocalRoot({ path, rootKey: testBytes(32) }))).toBe('conflict');
    expect(await readFile(path, 'utf8')).toBe(before);
    expect(await codeOfAsync(restoreLocalRoot({ path: `${path}2`, rootKey: testBytes(31) }))).toBe('bad-input');
  });

  it('says that the file is missing or cannot be opened', async () => {
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('key-missing');
    await writeFile(join(directory, 'file'), '');
    expect(await codeOfAsync(openLocalRoot({ path: join(directory, 'file', 'root.json') }))).toBe('key-missing');
  });

  it('fails on any flipped bit, on another context, and under another root', async () => {
    const root = await createLocalRoot({ path });
    const wrapped = await root.wrap(testBytes(32), context);
    for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
      const altered = new Uint8Array(wrapped);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // Bytes 1 to 8 name the root.
      expect(await codeOfAsync(root.unwrap(altered, context))).toBe(bit >= 8 && bit < 72 ? 'key-missing' : 'corrupt');
    }
    for (let length = 0; length < wrapped.length; length += 1) {
      expect(await codeOfAsync(root.unwrap(wrapped.subarray(0, length), context))).toBe('corrupt');
    }
    for (const other of [
      {},
      { ...context, archive: '0012' },
      { ...context, more: '' },
      { archive: '0011', purpose: 'keyrin', g: '' },
    ]) {
      expect(await codeOfAsync(root.unwrap(wrapped, other))).toBe('corrupt');
    }
    const other = await createLocalRoot({ path: `${path}2` });
    expect(await codeOfAsync(other.unwrap(wrapped, context))).toBe('key-missing');
  });

  it('binds every context in one way only', async () => {
    const root = await createLocalRoot({ path });
    expect(await codeOfAsync(root.unwrap(await root.wrap(testBytes(8), { a: 'bc' }), { ab: 'c' }))).toBe('corrupt');
    expect(await codeOfAsync(root.unwrap(await root.wrap(testBytes(8), { a: 'b', c: 'd' }), { a: 'bcd' }))).toBe(
      'corrupt',
    );
    const pairs = fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), {
      maxKeys: 4,
      noNullPrototype: true,
    });
    await fc.assert(
      fc.asyncProperty(pairs, pairs, async (one, two) => {
        const wrapped = await root.wrap(testBytes(8), one);
        const reversed = Object.fromEntries(Object.entries(one).reverse());
        expect(toHex(await root.unwrap(wrapped, reversed))).toBe(toHex(testBytes(8)));
        const canonical = (value: Record<string, string>): string =>
          JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
        if (canonical(one) !== canonical(two)) expect(await codeOfAsync(root.unwrap(wrapped, two))).toBe('corrupt');
      }),
      { seed: 1 },
    );
  });

  it('wraps small values only', async () => {
    const root = await createLocalRoot({ path });
    expect(await codeOfAsync(root.wrap(new Uint8Array(WRAP_BYTES_MAX + 1), context))).toBe('too-large');
    expect(await codeOfAsync(root.wrap(new Uint8Array(1), { a: 'x'.repeat(65_536) }))).toBe('internal');
    expect(await root.unwrap(await root.wrap(new Uint8Array(0), context), context)).toHaveLength(0);
  });

  it('does nothing any more once it is put away', async () => {
    const root = await createLocalRoot({ path });
    const wrapped = await root.wrap(testBytes(32), context);
    root.destroy();
    expect(await codeOfAsync(root.wrap(testBytes(32), context))).toBe('locked');
    expect(await codeOfAsync(root.unwrap(wrapped, context))).toBe('locked');
    expect(await codeOfAsync(root.rewrap(wrapped, context))).toBe('locked');
    expect(codeOf(() => root.exportRootKey())).toBe('locked');
  });

  it('says where it lies and who can read a stolen disk', async () => {
    const plain = await createLocalRoot({ path });
    expect(plain.describe()).toMatchObject({ kind: 'local-file', location: path });
    expect(plain.describe().whoCanRead).toContain('Whoever holds a copy of this disk');
    const guarded = await createLocalRoot({ path: `${path}2`, passphrase });
    expect(guarded.describe().kind).toBe('local-file-passphrase');
    expect(guarded.describe().whoCanRead).toContain('only with the passphrase');
  });

  it('notices what was done to its file', async () => {
    await createLocalRoot({ path });
    const whole = await readFile(path, 'utf8');
    const changes: ((file: Record<string, unknown>) => void)[] = [
      (file) => (file['format'] = 'cartulary-root-key/v2'),
      (file) => (file['extra'] = 1),
      (file) => (file['keys'] = []),
      (file) => delete file['protection'],
      (file) => (file['protection'] = 'some'),
      (file) => (file['keys'] = [{ ...(file['keys'] as object[])[0], id: '0011223344556677' }]),
      (file) => (file['keys'] = [{ ...(file['keys'] as object[])[0], key: Buffer.alloc(31).toString('base64') }]),
      (file) => (file['keys'] = Array.from({ length: 5 }, () => (file['keys'] as object[])[0])),
    ];
    for (const change of changes) {
      await edit(change);
      expect(await codeOfAsync(openLocalRoot({ path }))).toBe('corrupt');
      await writeFile(path, whole);
    }
    await writeFile(path, Buffer.alloc(2 * 1024 * 1024, 32));
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('corrupt');
  });
});

describe('with a passphrase', () => {
  it('opens with it only, and does not hold the key in the clear', async () => {
    const made = await createLocalRoot({ path, passphrase: `${passphrase}\n` });
    const key = made.exportRootKey();
    const wrapped = await made.wrap(testBytes(32), context);
    const text = await readFile(path, 'utf8');
    expect(text).not.toContain(Buffer.from(key).toString('base64'));
    const opened = await openLocalRoot({ path, passphrase });
    expect(toHex(await opened.unwrap(wrapped, context))).toBe(toHex(testBytes(32)));
    expect(await codeOfAsync(openLocalRoot({ path, passphrase: `${passphrase}!` }))).toBe('key-missing');
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('key-missing');
  });

  it('cannot be weakened by editing the file', async () => {
    await createLocalRoot({ path, passphrase });
    const whole = await readFile(path, 'utf8');
    for (const protection of [
      { kdf: 'scrypt', n: 2, r: 8, p: 1, salt: Buffer.alloc(16).toString('base64') },
      { kdf: 'scrypt', n: 2 ** 30, r: 8, p: 1, salt: Buffer.alloc(16).toString('base64') },
      { kdf: 'pbkdf2', n: 2 ** 17, r: 8, p: 1, salt: Buffer.alloc(16).toString('base64') },
      { kdf: 'scrypt', n: 2 ** 17, r: 8, p: 1, salt: '' },
    ]) {
      await edit((file) => (file['protection'] = protection));
      expect(await codeOfAsync(openLocalRoot({ path, passphrase }))).toBe('corrupt');
      await writeFile(path, whole);
    }
    await edit(
      (file) => (file['keys'] = [{ ...(file['keys'] as object[])[0], createdAt: '2020-01-01T00:00:00.000Z' }]),
    );
    expect(await codeOfAsync(openLocalRoot({ path, passphrase }))).toBe('key-missing');
  });

  it('does not pretend that a plain file is protected', async () => {
    await createLocalRoot({ path });
    expect(await codeOfAsync(openLocalRoot({ path, passphrase }))).toBe('key-missing');
  });

  it('has rules for passphrases', async () => {
    expect(parsePassphrase('correct horse\r\n')).toBe('correct horse');
    expect(parsePassphrase('\u0041\u030Angstr\u00F6m cables')).toBe(parsePassphrase('\u00C5ngstro\u0308m cables'));
    for (const short of ['', 'eleven char', '\u{1F600}'.repeat(11)])
      expect(codeOf(() => parsePassphrase(short))).toBe('bad-input');
    expect(await codeOfAsync(createLocalRoot({ path, passphrase: 'short' }))).toBe('bad-input');
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('key-missing');
  });
});

describe('rotateLocalRoot', () => {
  /** Stands for the keyring files: wrapped values by name. */
  async function prepare(): Promise<{ old: LocalRoot; stored: Map<string, Uint8Array> }> {
    const old = await createLocalRoot({ path, now });
    const stored = new Map<string, Uint8Array>();
    for (const [index, name] of ['house', 'shop-a', 'shop-b'].entries())
      stored.set(name, await old.wrap(testBytes(32, index), context));
    return { old, stored };
  }
  async function rewrapUntil(
    root: LocalRoot,
    stored: Map<string, Uint8Array>,
    stopBefore?: string,
  ): Promise<readonly Uint8Array[]> {
    for (const [name, wrapped] of stored) {
      if (name === stopBefore) throw new RangeError('power cut');
      stored.set(name, await root.rewrap(wrapped, context));
    }
    return [...stored.values()];
  }
  async function expectAllOpen(root: LocalRoot, stored: Map<string, Uint8Array>): Promise<void> {
    for (const [index, wrapped] of [...stored.values()].entries()) {
      expect(toHex(await root.unwrap(wrapped, context))).toBe(toHex(testBytes(32, index)));
    }
  }

  it('leaves one new root that opens everything, and the old one opens nothing', async () => {
    const { old, stored } = await prepare();
    const rotated = await rotateLocalRoot({ path, now, rewrapAll: (root) => rewrapUntil(root, stored) });
    expect(rotated.rootId).not.toBe(old.rootId);
    await expectAllOpen(rotated, stored);
    const reopened = await openLocalRoot({ path });
    expect(reopened.rootId).toBe(rotated.rootId);
    expect(reopened.rotationPending).toBe(false);
    await expectAllOpen(reopened, stored);
    expect(await codeOfAsync(old.unwrap(stored.get('house') ?? new Uint8Array(0), context))).toBe('key-missing');
  });

  it('opens everything after a crash at any point, and carries on', async () => {
    for (const stopBefore of ['house', 'shop-a', 'shop-b']) {
      await rm(path, { force: true });
      const { old, stored } = await prepare();
      await expect(
        rotateLocalRoot({ path, rewrapAll: (root) => rewrapUntil(root, stored, stopBefore) }),
      ).rejects.toThrow('power cut');
      const between = await openLocalRoot({ path });
      expect(between.rotationPending).toBe(true);
      expect(between.rootId).not.toBe(old.rootId);
      await expectAllOpen(between, stored);
      const rotated = await rotateLocalRoot({ path, rewrapAll: (root) => rewrapUntil(root, stored) });
      expect(rotated.rootId).toBe(between.rootId);
      await expectAllOpen(rotated, stored);
      expect((await openLocalRoot({ path })).rotationPending).toBe(false);
    }
  });

  it('keeps the old root while anything is still under it', async () => {
    const { stored } = await prepare();
    const forgotten = stored.get('shop-b') ?? new Uint8Array(0);
    const forgetful = async (root: LocalRoot): Promise<readonly Uint8Array[]> => [
      ...(await rewrapUntil(root, stored)),
      forgotten,
    ];
    expect(await codeOfAsync(rotateLocalRoot({ path, rewrapAll: forgetful }))).toBe('conflict');
    expect(await codeOfAsync(rotateLocalRoot({ path, rewrapAll: async () => [] }))).toBe('conflict');
    const both = await openLocalRoot({ path });
    expect(both.rotationPending).toBe(true);
    expect(toHex(await both.unwrap(forgotten, context))).toBe(toHex(testBytes(32, 2)));
  });

  it('keeps the passphrase', async () => {
    const root = await createLocalRoot({ path, passphrase });
    const wrapped = await root.wrap(testBytes(32), context);
    let anew = wrapped;
    await rotateLocalRoot({
      path,
      passphrase,
      rewrapAll: async (both) => {
        anew = await both.rewrap(wrapped, context);
        return [anew];
      },
    });
    expect(toHex(await (await openLocalRoot({ path, passphrase })).unwrap(anew, context))).toBe(toHex(testBytes(32)));
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('key-missing');
  });
});

describe('parseLocalRootLocation', () => {
  it('reads the file form only', async () => {
    expect(parseLocalRootLocation('file:/etc/cartulary/root.json')).toBe('/etc/cartulary/root.json');
    expect(parseLocalRootLocation('file:keys/root.json')).toBe(resolve('keys/root.json'));
    for (const setting of ['', 'file:', '/etc/root', 'awskms:abc', 'file:///etc/root', 'file:a\0b']) {
      expect(codeOf(() => parseLocalRootLocation(setting))).toBe('setting');
    }
    await mkdir(join(directory, 'deep', 'er'), { recursive: true, mode: 0o700 });
    await createLocalRoot({ path: parseLocalRootLocation(`file:${join(directory, 'deep', 'er', 'root.json')}`) });
  });
});
