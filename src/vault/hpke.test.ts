import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  deriveHpkeKeyPair,
  generateHpkeKeyPair,
  HPKE_OVERHEAD_BYTES,
  HPKE_SUITE,
  importHpkePrivateKey,
  importHpkePublicKey,
  openSealed,
  sealTo,
} from './hpke.ts';
import { codeOf, fromHex, readVectors, testBytes, toHex } from './testing/vectors.ts';

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const pair = deriveHpkeKeyPair(testBytes(32, 1));
const context = { info: Buffer.from('spool'), aad: Buffer.from('envelope 7') };

/** An `ArrayBuffer` that holds exactly these bytes, as WebCrypto wants it. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

describe('RFC 9180', () => {
  type Vector = Record<'info' | 'ikmE' | 'ikmR' | 'skRm' | 'pkRm' | 'enc', string> & {
    kem_id: number;
    kdf_id: number;
    aead_id: number;
    encryptions: { aad: string; ct: string; pt: string }[];
  };
  const vector = readVectors('hpke/rfc9180-x25519-sha256-aes256gcm.json') as Vector;
  const [encryption] = vector.encryptions;
  if (encryption === undefined) throw new Error('the vector has no encryption');
  const vectorContext = { info: fromHex(vector.info), aad: fromHex(encryption.aad) };

  it('is the suite that is used here', () => {
    const ids = [vector.kem_id, vector.kdf_id, vector.aead_id].map((id) => id.toString(16).padStart(4, '0'));
    expect(ids.join('-')).toBe(HPKE_SUITE);
  });

  it('gives the key pair of its seed', () => {
    const recipient = deriveHpkeKeyPair(fromHex(vector.ikmR));
    expect(toHex(recipient.privateKey)).toBe(vector.skRm);
    expect(toHex(recipient.publicKey)).toBe(vector.pkRm);
  });

  it('gives the encapsulated key and the ciphertext', () => {
    const sealed = sealTo(
      fromHex(vector.pkRm),
      vectorContext,
      fromHex(encryption.pt),
      deriveHpkeKeyPair(fromHex(vector.ikmE)),
    );
    expect(toHex(sealed)).toBe(vector.enc + encryption.ct);
  });

  it('opens the ciphertext', () => {
    expect(toHex(openSealed(fromHex(vector.skRm), vectorContext, fromHex(vector.enc + encryption.ct)))).toBe(
      encryption.pt,
    );
  });

  it('is what another implementation computes', async () => {
    const recipientPublicKey = await suite.kem.deserializePublicKey(exact(fromHex(vector.pkRm)));
    const ekm = await suite.kem.deriveKeyPair(exact(fromHex(vector.ikmE)));
    const sender = await suite.createSenderContext({ recipientPublicKey, info: exact(vectorContext.info), ekm });
    expect(toHex(new Uint8Array(sender.enc))).toBe(vector.enc);
    const ct = await sender.seal(exact(fromHex(encryption.pt)), exact(vectorContext.aad));
    expect(toHex(new Uint8Array(ct))).toBe(encryption.ct);
  });
});

describe('sealTo and openSealed', () => {
  it('open what another implementation sealed, and the other way round', async () => {
    const recipientPublicKey = await suite.kem.deserializePublicKey(exact(pair.publicKey));
    const recipientKey = await suite.kem.deserializePrivateKey(exact(pair.privateKey));
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        async (plaintext, info, aad) => {
          const theirs = await suite.seal({ recipientPublicKey, info: exact(info) }, exact(plaintext), exact(aad));
          const joined = Buffer.concat([new Uint8Array(theirs.enc), new Uint8Array(theirs.ct)]);
          expect(toHex(openSealed(pair.privateKey, { info, aad }, joined))).toBe(toHex(plaintext));
          const ours = sealTo(pair.publicKey, { info, aad }, plaintext);
          const opened = await suite.open(
            { recipientKey, enc: exact(ours.subarray(0, 32)), info: exact(info) },
            exact(ours.subarray(32)),
            exact(aad),
          );
          expect(toHex(new Uint8Array(opened))).toBe(toHex(plaintext));
        },
      ),
      { seed: 1, numRuns: 25 },
    );
  });

  it('work with keys that were read once', () => {
    const publicKey = importHpkePublicKey(pair.publicKey);
    const privateKey = importHpkePrivateKey(pair.privateKey);
    for (let index = 0; index < 5; index += 1) {
      const sealed = sealTo(publicKey, context, testBytes(100, index));
      expect(sealed).toHaveLength(100 + HPKE_OVERHEAD_BYTES);
      expect(toHex(openSealed(privateKey, context, sealed))).toBe(toHex(testBytes(100, index)));
    }
  });

  it('never seal twice the same', () => {
    const seen = new Set(
      Array.from({ length: 20 }, () => toHex(sealTo(pair.publicKey, context, testBytes(10)).subarray(0, 32))),
    );
    expect(seen.size).toBe(20);
  });

  it('fail when any bit is flipped', () => {
    const sealed = sealTo(pair.publicKey, context, testBytes(20), deriveHpkeKeyPair(testBytes(32, 2)));
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const altered = new Uint8Array(sealed);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // RFC 7748 ignores the top bit of a public key, but HPKE binds its bytes.
      expect(
        codeOf(() => openSealed(pair.privateKey, context, altered)),
        `bit ${bit}`,
      ).toBe('corrupt');
    }
  });

  it('fail with another key, info or aad, and when cut', () => {
    const sealed = sealTo(pair.publicKey, context, testBytes(20));
    expect(codeOf(() => openSealed(testBytes(32, 3), context, sealed))).toBe('corrupt');
    expect(codeOf(() => openSealed(pair.privateKey, { ...context, info: Buffer.from('spoo1') }, sealed))).toBe(
      'corrupt',
    );
    expect(codeOf(() => openSealed(pair.privateKey, { ...context, aad: Buffer.from('envelope 8') }, sealed))).toBe(
      'corrupt',
    );
    for (let length = 0; length < sealed.length; length += 1) {
      expect(codeOf(() => openSealed(pair.privateKey, context, sealed.subarray(0, length)))).toBe('corrupt');
    }
  });

  it('refuse points that give everyone the same secret', () => {
    const zero = new Uint8Array(32);
    const one = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0));
    for (const point of [zero, one]) {
      expect(codeOf(() => sealTo(point, context, testBytes(5)))).toBe('corrupt');
      const sealed = new Uint8Array(60);
      sealed.set(point);
      expect(codeOf(() => openSealed(pair.privateKey, context, sealed))).toBe('corrupt');
    }
  });

  it('refuse keys of the wrong length', () => {
    expect(codeOf(() => sealTo(testBytes(31), context, testBytes(5)))).toBe('key-missing');
    expect(codeOf(() => importHpkePrivateKey(testBytes(33)))).toBe('key-missing');
    expect(codeOf(() => deriveHpkeKeyPair(testBytes(31)))).toBe('internal');
  });
});

describe('generateHpkeKeyPair', () => {
  it('derives from the randomness it is handed and zeroes it', () => {
    const seed = testBytes(32, 1);
    expect(toHex(generateHpkeKeyPair(() => seed).privateKey)).toBe(toHex(pair.privateKey));
    expect(seed.every((byte) => byte === 0)).toBe(true);
    expect(toHex(generateHpkeKeyPair().publicKey)).not.toBe(toHex(generateHpkeKeyPair().publicKey));
  });
});
