import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createEd25519Signer } from './ed25519.ts';
import { openSealed, sealTo } from './hpke.ts';
import {
  createKeyring,
  getWrappedFileKey,
  KEY_NAMES,
  type Keyring,
  rewrapKeyring,
  rotateArchiveKey,
  unwrapKeyring,
  wrapKeyring,
} from './keyring.ts';
import { createRandomPool } from './random.ts';
import { createLocalRoot, type LocalRoot, rotateLocalRoot } from './root-provider.ts';
import { createSealer } from './seal.ts';
import { codeOf, codeOfAsync, testBytes, toHex } from './testing/vectors.ts';

const archiveId = testBytes(16, 5);
const random = createRandomPool();
const madeAt = Date.UTC(2026, 10, 22, 9);
const place = { messageId: testBytes(16, 1), recordId: testBytes(16, 2), secret: testBytes(32, 3) };
let directory = '';
let root: LocalRoot;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-keyring-'));
  root = await createLocalRoot({ path: join(directory, 'keys', 'root.json') });
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

function make(): Keyring {
  return createKeyring({ archiveId, random, now: () => madeAt });
}

function contents(keyring: Keyring): unknown {
  return keyring.entries.map((entry) => ({ ...entry, bytes: toHex(entry.bytes) }));
}

type KeyringFile = {
  keys: { name: string; version: number; createdAt: string; retiredAt: string | null; key: string }[];
} & Record<string, unknown>;

/** Edits a keyring file as someone with access to the disk would. */
function edit(json: string, change: (file: KeyringFile) => void): string {
  const file = JSON.parse(json) as KeyringFile;
  change(file);
  return JSON.stringify(file);
}

describe('createKeyring', () => {
  it('has one random key of each name, all different', () => {
    const keyring = make();
    expect(
      keyring.entries.map(({ name, version, createdAt, retiredAt }) => [name, version, createdAt, retiredAt]),
    ).toEqual(KEY_NAMES.map((name) => [name, 1, madeAt, null]));
    expect(new Set([...keyring.entries, ...make().entries].map((entry) => toHex(entry.bytes))).size).toBe(
      2 * KEY_NAMES.length,
    );
    expect([keyring.idKey, keyring.databaseKey, keyring.indexKey, keyring.logKey].map((key) => key.length)).toEqual([
      32, 32, 32, 32,
    ]);
  });

  it('holds keys that fit their use', () => {
    const keyring = make();
    const sealer = createSealer({ archiveId, sealKeys: keyring.sealKeys, currentVersion: keyring.currentSealVersion });
    const { sealed } = sealer.sealRecord({ ...place, r: testBytes(32), plaintext: testBytes(10) });
    expect(toHex(sealer.openRecord({ ...place, sealed }).plaintext)).toBe(toHex(testBytes(10)));
    expect(createEd25519Signer(keyring.logKey).sign(testBytes(5))).toHaveLength(64);
    const context = { info: testBytes(1), aad: testBytes(2) };
    const spooled = sealTo(keyring.spoolKey.publicKey, context, testBytes(9));
    expect(toHex(openSealed(keyring.spoolKey.privateKey, context, spooled))).toBe(toHex(testBytes(9)));
  });

  it('wants an archive id of 16 bytes', () => {
    expect(codeOf(() => createKeyring({ archiveId: testBytes(15), random, now: () => madeAt }))).toBe('internal');
  });

  it('gives no keys any more once it is put away', () => {
    const keyring = make();
    const bytes = keyring.entries.map((entry) => entry.bytes);
    keyring.destroy();
    expect(bytes.every((key) => key.every((byte) => byte === 0))).toBe(true);
    const reads: (() => unknown)[] = [
      () => keyring.entries,
      () => keyring.sealKeys,
      () => keyring.currentSealVersion,
      () => keyring.idKey,
      () => keyring.databaseKey,
      () => keyring.indexKey,
      () => keyring.logKey,
      () => keyring.spoolKey,
    ];
    for (const read of reads) expect(codeOf(read)).toBe('locked');
  });
});

describe('rotateArchiveKey', () => {
  it('adds a version, marks the old one, and leaves the given keyring and all other keys as they are', () => {
    const keyring = make();
    const before = contents(keyring);
    const rotated = rotateArchiveKey(keyring, { random, now: () => madeAt + 5000 });
    expect(contents(keyring)).toEqual(before);
    expect(rotated.currentSealVersion).toBe(2);
    expect([...rotated.sealKeys.keys()]).toEqual([1, 2]);
    const seal = rotated.entries.filter((entry) => entry.name === 'seal');
    expect(seal.map(({ createdAt, retiredAt }) => [createdAt, retiredAt])).toEqual([
      [madeAt, madeAt + 5000],
      [madeAt + 5000, null],
    ]);
    expect(toHex(rotated.idKey)).toBe(toHex(keyring.idKey));
    keyring.destroy();
    expect(rotated.idKey.some((byte) => byte !== 0)).toBe(true);
  });

  it('opens what older versions sealed', () => {
    let keyring = make();
    const sealed = Array.from({ length: 4 }, (_, index) => {
      if (index > 0) keyring = rotateArchiveKey(keyring, { random, now: () => madeAt + index });
      const sealer = createSealer({
        archiveId,
        sealKeys: keyring.sealKeys,
        currentVersion: keyring.currentSealVersion,
      });
      return sealer.seal({ ...place, purpose: 'state', plaintext: testBytes(20, index) });
    });
    const last = createSealer({ archiveId, sealKeys: keyring.sealKeys, currentVersion: keyring.currentSealVersion });
    for (const [index, bytes] of sealed.entries()) {
      expect(bytes[2]).toBe(index + 1);
      expect(toHex(last.open({ ...place, purpose: 'state', sealed: bytes }))).toBe(toHex(testBytes(20, index)));
    }
  });
});

describe('wrapKeyring and unwrapKeyring', () => {
  it('give back the same keyring', async () => {
    let keyring = make();
    for (let turn = 1; turn <= 3; turn += 1) keyring = rotateArchiveKey(keyring, { random, now: () => madeAt + turn });
    const json = await wrapKeyring(keyring, root);
    const opened = await unwrapKeyring(json, root);
    expect(contents(opened)).toEqual(contents(keyring));
    expect(toHex(opened.archiveId)).toBe(toHex(archiveId));
    for (const entry of keyring.entries) {
      expect(json).not.toContain(toHex(entry.bytes));
      expect(json).not.toContain(Buffer.from(entry.bytes).toString('base64'));
    }
  });

  it('differ at each writing in every wrapped byte string', async () => {
    const keyring = make();
    const [one, two] = [await wrapKeyring(keyring, root), await wrapKeyring(keyring, root)];
    const strings = (json: string): string[] => {
      const file = JSON.parse(json) as KeyringFile;
      return [String(file['fileKey']), String(file['mac']), ...file.keys.map(({ key }) => key)];
    };
    const seen = [...strings(one), ...strings(two)];
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('notice everything that is changed in the file', async () => {
    const rotated = rotateArchiveKey(make(), { random, now: () => madeAt + 1 });
    const json = await wrapKeyring(rotated, root);
    const other = JSON.parse(await wrapKeyring(rotated, root)) as KeyringFile;
    const at = (file: KeyringFile, index: number): KeyringFile['keys'][number] => {
      const entry = file.keys[index];
      if (entry === undefined) throw new Error('no such key');
      return entry;
    };
    const changes: Record<string, (file: KeyringFile) => void> = {
      'another format': (file) => (file['format'] = 'cartulary-keyring/v2'),
      'an unknown field': (file) => (file['note'] = ''),
      'another archive': (file) => (file['archiveId'] = toHex(testBytes(16, 6))),
      'no MAC': (file) => delete file['mac'],
      'another MAC': (file) => (file['mac'] = other['mac']),
      'another file key': (file) => (file['fileKey'] = other['fileKey']),
      'the newest version taken out': (file) => file.keys.pop(),
      'the newest version taken out and the old one current again': (file) => {
        file.keys.pop();
        at(file, 0).retiredAt = null;
      },
      'two keys swapped': (file) => {
        [at(file, 2).key, at(file, 3).key] = [at(file, 3).key, at(file, 2).key];
      },
      'two names swapped': (file) => {
        [at(file, 2).name, at(file, 3).name] = [at(file, 3).name, at(file, 2).name];
      },
      'another time': (file) => (at(file, 1).createdAt = '2020-01-01T00:00:00.000Z'),
      'a key retired': (file) => (at(file, 1).retiredAt = '2026-12-01T00:00:00.000Z'),
      'another version': (file) => (at(file, 1).version = 2),
      'version 0': (file) => (at(file, 1).version = 0),
      'an unknown name': (file) => (at(file, 1).name = 'master'),
      'a key too short': (file) => (at(file, 1).key = 'AAAA'),
      'no keys': (file) => (file.keys = []),
    };
    for (const [name, change] of Object.entries(changes)) {
      expect(await codeOfAsync(unwrapKeyring(edit(json, change), root)), name).toBe('corrupt');
    }
    expect(
      contents(
        await unwrapKeyring(
          edit(json, () => undefined),
          root,
        ),
      ),
    ).toEqual(contents(rotated));
  });

  it('refuse a keyring that lacks a key, leaves a version out, or has two current ones', async () => {
    const rotated = rotateArchiveKey(make(), { random, now: () => madeAt + 1 });
    const broken = [
      rotated.entries.filter((entry) => entry.name !== 'id'),
      rotated.entries.filter((entry) => entry.name !== 'seal' || entry.version !== 1),
      rotated.entries.map((entry) => ({ ...entry, retiredAt: null })),
      rotated.entries.map((entry) => ({ ...entry, retiredAt: madeAt })),
      rotated.entries.toReversed(),
    ];
    for (const entries of broken) {
      const json = await wrapKeyring({ ...rotated, entries }, root);
      expect(await codeOfAsync(unwrapKeyring(json, root))).toBe('corrupt');
    }
  });

  it('need the root that wrapped them', async () => {
    const json = await wrapKeyring(make(), root);
    const other = await createLocalRoot({ path: join(directory, 'keys', 'other.json') });
    expect(await codeOfAsync(unwrapKeyring(json, other))).toBe('key-missing');
  });

  it('refuse a file key that a provider gives in another length', async () => {
    const json = await wrapKeyring(make(), root);
    const odd = { ...root, unwrap: async () => testBytes(16) };
    expect(await codeOfAsync(unwrapKeyring(json, odd))).toBe('corrupt');
  });

  it('call the provider once, however many keys there are', async () => {
    let calls = 0;
    const counting = {
      ...root,
      wrap: async (plaintext: Uint8Array, context: Readonly<Record<string, string>>) => {
        calls += 1;
        expect(context).toEqual({ archive: toHex(archiveId), purpose: 'keyring' });
        return root.wrap(plaintext, context);
      },
    };
    await wrapKeyring(rotateArchiveKey(make(), { random, now: () => madeAt }), counting);
    expect(calls).toBe(1);
  });
});

describe('with a rotation of the root', () => {
  it('every keyring moves to the new root', async () => {
    const path = join(directory, 'keys', 'rotating.json');
    const old = await createLocalRoot({ path });
    const keyrings = [make(), make()];
    let files = await Promise.all(keyrings.map((keyring) => wrapKeyring(keyring, old)));
    const rotated = await rotateLocalRoot({
      path,
      rewrapAll: async (both) => {
        files = await Promise.all(files.map((json) => rewrapKeyring(json, both)));
        return files.map(getWrappedFileKey);
      },
    });
    for (const [index, json] of files.entries()) {
      const keyring = keyrings[index];
      if (keyring === undefined) throw new Error('no keyring');
      expect(contents(await unwrapKeyring(json, rotated))).toEqual(contents(keyring));
      expect(await codeOfAsync(unwrapKeyring(json, old))).toBe('key-missing');
    }
  });
});
