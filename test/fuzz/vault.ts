/** Fuzz targets of the vault: files that whoever has the disk may have changed, and everything that is sealed. */
import { createSecretKey } from 'node:crypto';

import * as fc from 'fast-check';

import { formatEpochs, parseEpochs } from '../../src/store/postgres/epochs.ts';
import { unwrapSecret, wrapSecret } from '../../src/store/postgres/secret-wrap.ts';
import { decryptChunkedBuffer, encryptChunkedBuffer } from '../../src/vault/chunked.ts';
import { deriveHpkeKeyPair, openSealed, sealTo } from '../../src/vault/hpke.ts';
import { formatKitShares, readKit } from '../../src/vault/kit-shares.ts';
import { createKeyring, getWrappedFileKey, unwrapKeyring, wrapKeyring } from '../../src/vault/keyring.ts';
import { createRandomPool } from '../../src/vault/random.ts';
import { formatRecoveryKit, parseRecoveryKit } from '../../src/vault/recovery-kit.ts';
import { formatRootFile, parsePassphrase, parseRootFile, rootKeyId } from '../../src/vault/root-file.ts';
import { parseLocalRootLocation } from '../../src/vault/root-provider.ts';
import type { RootProvider } from '../../src/vault/root-provider.ts';
import { createSealer } from '../../src/vault/seal.ts';
import { openSetting, sealSetting } from '../../src/vault/secrets.ts';
import { parseStrictJson } from '../../src/vault/strict-json.ts';
import { hostileBytes, hostileJson, hostileText } from './arbitraries.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const AT_MS = 1_700_000_000_000;
const fixed = (bytes: number, value = 7): Uint8Array => new Uint8Array(bytes).fill(value);
const rootKey = fixed(32, 9);
const kit = formatRecoveryKit({ rootKey, archives: [{ name: 'Shop', id: 'arc_1', logKey: 'k' }], madeAt: AT_MS });
const linesOf = (text: string): string =>
  text
    .split('\n')
    .filter((line) => /^ *[A-K]\d/.test(line))
    .join('\n');
const kitLines = linesOf(kit);
const shares = await formatKitShares({ rootKey, archives: [], madeAt: AT_MS, shares: 3, threshold: 2 });
const shareLines = linesOf(shares.slice(1).join('\n'));

/** A root that wraps by turning bits, since the wrapping is not what is tested. */
const root = {
  wrap: async (key: Uint8Array) => key.map((byte) => byte ^ 0xff),
  unwrap: async (key: Uint8Array) => key.map((byte) => byte ^ 0xff),
} as unknown as RootProvider;
const keyring = createKeyring({ archiveId: fixed(16), random: createRandomPool(), now: () => AT_MS });
const keyringFile = await wrapKeyring(keyring, root);
const rootFile = await formatRootFile([{ id: rootKeyId(rootKey), key: rootKey, createdAt: AT_MS }]);

const sealer = createSealer({
  archiveId: fixed(16),
  sealKeys: new Map([
    [1, fixed(32, 1)],
    [2, fixed(32, 2)],
  ]),
  currentVersion: 2,
});
const place = { messageId: fixed(16, 3), recordId: fixed(16, 4), secret: fixed(32, 5) };
const plaintext = Buffer.from('a record, or what stands for one');
const sealedRecord = sealer.sealRecord({ ...place, r: fixed(32, 6), plaintext }).sealed;
const sealedState = sealer.seal({ ...place, purpose: 'state', plaintext });
const sealedSetting = sealSetting(sealer, 'source/1', plaintext);
const pair = deriveHpkeKeyPair(fixed(32));
const context = { info: Buffer.from('info'), aad: Buffer.from('aad') };
const sealedTo = sealTo(pair.publicKey, context, plaintext);
const chunked = encryptChunkedBuffer(fixed(32), context.aad, new Uint8Array(17_000));

const epoch = { epoch: 3, sinceMs: AT_MS, key: createSecretKey(fixed(32, 8)) };
const epochFile = formatEpochs([epoch], rootKey);
const wrappedSecret = wrapSecret(epoch, fixed(32, 5));

export const VAULT_TARGETS: readonly Target[] = [
  defineTarget('epochs', ['parseEpochs', 'readEpochs'], hostileText([epochFile]), (text) => {
    for (const { key } of parseEpochs(text, rootKey))
      mustEqual(key.export(), epoch.key.export(), 'a file of epochs gave another key than the one it was made of');
  }),
  defineTarget('wrapped secret', ['unwrapSecret'], hostileBytes([wrappedSecret]), (bytes) => {
    mustEqual(unwrapSecret(epoch, bytes), fixed(32, 5), 'a secret was unwrapped that was not wrapped');
  }),
  defineTarget('recovery kit', ['parseRecoveryKit'], hostileText([kit, kitLines, kitLines.toLowerCase()]), (text) => {
    mustEqual(parseRecoveryKit(text).rootKey, rootKey, 'a kit gave another key than the one it was made of');
  }),
  defineTarget('shares of a kit', ['readKit'], hostileText([shares.join('\n'), shareLines, kitLines]), async (text) => {
    const { rootKey: read } = await readKit(text);
    mustEqual(read, rootKey, 'shares gave another key than the one they were made of');
  }),
  defineTarget(
    'strict JSON',
    ['parseStrictJson'],
    fc.oneof(hostileText(['{"a":1,"b":"x"}']), hostileJson([{ a: 1, b: 'x' }])),
    (text) => {
      const value = parseStrictJson(text, 'it', ['a', 'b']);
      mustEqual(Object.keys(value).sort(), ['a', 'b'], 'another field was let in');
    },
  ),
  defineTarget(
    'root key file',
    ['parseRootFile'],
    fc.oneof(hostileText([rootFile]), hostileJson([JSON.parse(rootFile)])),
    async (text) => {
      for (const { id, key } of await parseRootFile(text)) mustEqual(rootKeyId(key), id, 'a key with another id');
    },
    { isAsync: true },
  ),
  defineTarget('passphrase', ['parsePassphrase'], hostileText(['correct horse battery\n']), (text) => {
    must([...parsePassphrase(text)].length >= 12, 'a short passphrase');
  }),
  defineTarget('place of the root key', ['parseLocalRootLocation'], hostileText(['file:/etc/k', 'file:k']), (text) => {
    must(parseLocalRootLocation(text).startsWith('/'), 'not an absolute path');
  }),
  defineTarget(
    'keyring file',
    ['unwrapKeyring', 'parseKeyringFile', 'getWrappedFileKey'],
    fc.oneof(hostileText([keyringFile]), hostileJson([JSON.parse(keyringFile)])),
    async (text) => {
      const opened = await unwrapKeyring(text, root);
      mustEqual(opened.entries, keyring.entries, 'a keyring that was altered was opened');
      getWrappedFileKey(text);
    },
    { isAsync: true },
  ),
  defineTarget('sealed record', ['openRecord'], hostileBytes([sealedRecord, sealedState]), (sealed) => {
    mustEqual(sealer.openRecord({ ...place, sealed }).plaintext, plaintext, 'an altered record was opened');
  }),
  defineTarget('sealed state', ['open'], hostileBytes([sealedState, sealedRecord]), (sealed) => {
    mustEqual(sealer.open({ ...place, purpose: 'state', sealed }), plaintext, 'an altered state was opened');
  }),
  defineTarget('sealed setting', ['openSetting'], hostileBytes([sealedSetting]), (stored) => {
    mustEqual(openSetting(sealer, 'source/1', stored), plaintext, 'an altered setting was opened');
  }),
  defineTarget(
    'HPKE',
    ['openSealed'],
    hostileBytes([sealedTo]),
    (sealed) => mustEqual(openSealed(pair.privateKey, context, sealed), plaintext, 'an altered message was opened'),
    { cost: 10 },
  ),
  defineTarget(
    'chunked encryption',
    ['decryptChunkedBuffer'],
    hostileBytes([chunked, chunked.subarray(0, 100)]),
    (bytes) => {
      const opened = decryptChunkedBuffer(fixed(32), context.aad, bytes);
      must(opened.length === 17_000 && opened.every((byte) => byte === 0), 'an altered medium was opened');
    },
    { cost: 10 },
  ),
];
