import { describe, expect, it } from 'vitest';

import { createEd25519Signer, importEd25519PublicKey, verifyEd25519 } from './ed25519.ts';
import { codeOf, fromHex, readWycheproof, testBytes, toHex } from './testing/vectors.ts';

describe('Ed25519', () => {
  it('agrees with all vectors of Wycheproof', () => {
    const file = readWycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>('ed25519_test.json');
    let checked = 0;
    for (const group of file.testGroups) {
      const publicKey = importEd25519PublicKey(fromHex(group.publicKey.pk));
      for (const test of group.tests) {
        const check = (): void => verifyEd25519(publicKey, fromHex(test.msg), fromHex(test.sig));
        if (test.result === 'valid') expect(check, `${test.tcId} ${test.comment}`).not.toThrow();
        else expect(codeOf(check), `${test.tcId} ${test.comment}`).toBe('bad-signature');
        checked += 1;
      }
    }
    expect(checked).toBe(151);
  });

  it('signs as RFC 8032 §7.1 shows (tests 1 and 3)', () => {
    const cases = [
      [
        '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
        'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        '',
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      ],
      [
        'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
        'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
        'af82',
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
      ],
    ] as const;
    for (const [seed, publicKey, message, signature] of cases) {
      const signer = createEd25519Signer(fromHex(seed));
      expect(toHex(signer.publicKey)).toBe(publicKey);
      expect(toHex(signer.sign(fromHex(message)))).toBe(signature);
      verifyEd25519(importEd25519PublicKey(signer.publicKey), fromHex(message), fromHex(signature));
    }
  });

  it('refuses seeds and keys that are none', () => {
    expect(codeOf(() => createEd25519Signer(testBytes(31)))).toBe('key-missing');
    expect(codeOf(() => createEd25519Signer(new Uint8Array(32)))).toBe('key-missing');
    expect(codeOf(() => importEd25519PublicKey(testBytes(33)))).toBe('bad-input');
  });
});
