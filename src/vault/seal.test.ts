import { createDecipheriv, createHash, createHmac } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  commitRecord,
  createSealer,
  PLAINTEXT_BYTES_MAX,
  PURPOSES,
  type Purpose,
  SEAL_OVERHEAD_BYTES,
  type Sealer,
} from './seal.ts';
import { codeOf, fromHex, readVectors, readWycheproof, testBytes, toHex } from './testing/vectors.ts';

const archiveId = testBytes(16, 10);
const sealKeys = new Map([
  [1, testBytes(32, 11)],
  [2, testBytes(32, 12)],
  [300, testBytes(32, 13)],
]);
const place = { messageId: testBytes(16, 20), recordId: testBytes(16, 21), secret: testBytes(32, 22) };
const r = testBytes(32, 23);
const record = Buffer.from('{"text":"Your order has shipped"}');
const sealer = createSealer({ archiveId, sealKeys, currentVersion: 300 });
const otherPurposes = (Object.keys(PURPOSES) as Purpose[]).filter((purpose) => purpose !== 'record');

/** Flips one bit in a copy. */
function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

describe('AES-256-GCM as it is used here', () => {
  it('agrees with the vectors of Wycheproof for 256-bit keys, 96-bit nonces and 128-bit tags', () => {
    type Test = { key: string; iv: string; aad: string; msg: string; ct: string; tag: string };
    const file = readWycheproof<{ ivSize: number; keySize: number; tagSize: number }, Test>('aes_gcm_test.json');
    let checked = 0;
    for (const group of file.testGroups) {
      if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) continue;
      for (const test of group.tests) {
        const open = (): string => {
          const decipher = createDecipheriv('aes-256-gcm', fromHex(test.key), fromHex(test.iv), { authTagLength: 16 });
          decipher.setAAD(fromHex(test.aad));
          decipher.setAuthTag(fromHex(test.tag));
          return Buffer.concat([decipher.update(fromHex(test.ct)), decipher.final()]).toString('hex');
        };
        if (test.result === 'valid') expect(open(), `${test.tcId} ${test.comment}`).toBe(test.msg);
        else expect(open, `${test.tcId} ${test.comment}`).toThrow();
        checked += 1;
      }
    }
    expect(checked).toBe(66);
  });
});

describe('sealRecord and openRecord', () => {
  it('give back what was sealed, of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (plaintext) => {
        const { sealed } = sealer.sealRecord({ ...place, r, plaintext });
        const opened = sealer.openRecord({ ...place, sealed });
        expect(toHex(opened.plaintext)).toBe(toHex(plaintext));
        expect(toHex(opened.r)).toBe(toHex(r));
        expect(sealed).toHaveLength(plaintext.length + 32 + SEAL_OVERHEAD_BYTES);
      }),
      { seed: 1 },
    );
    for (const length of [4000, 4100, 65_535, 65_536, 65_537, 300_000]) {
      const plaintext = testBytes(length);
      const { sealed, commitment } = sealer.sealRecord({ ...place, r, plaintext });
      expect(Buffer.compare(sealer.openRecord({ ...place, sealed }).plaintext, plaintext)).toBe(0);
      expect(toHex(commitment)).toBe(createHmac('sha256', r).update(plaintext).digest('hex'));
    }
  });

  it('follow the documented construction, put together here from other functions', () => {
    const { sealed, commitment, ciphertextHash } = sealer.sealRecord({ ...place, r, plaintext: record });
    const info = Buffer.concat([
      Buffer.from('cartulary/seal/v1'),
      Buffer.from([1]),
      archiveId,
      place.messageId,
      place.recordId,
    ]);
    const key = createHmac('sha256', testBytes(32, 13))
      .update(Buffer.concat([info, place.secret, Buffer.from([1])]))
      .digest();
    expect(toHex(sealed.subarray(0, 3))).toBe('01012c');
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12));
    decipher.setAAD(info);
    decipher.setAuthTag(sealed.subarray(-16));
    const plaintext = Buffer.concat([decipher.update(sealed.subarray(3, -16)), decipher.final()]);
    expect(plaintext.toString('hex')).toBe(toHex(r) + record.toString('hex'));
    expect(toHex(commitment)).toBe(createHmac('sha256', r).update(record).digest('hex'));
    expect(toHex(commitRecord(r, record))).toBe(toHex(commitment));
    expect(toHex(ciphertextHash)).toBe(createHash('sha256').update(sealed).digest('hex'));
  });

  it('give the bytes of the checked-in vectors', () => {
    type Vector = Record<
      | 'archiveId'
      | 'sealKey'
      | 'messageId'
      | 'recordId'
      | 'secret'
      | 'r'
      | 'plaintext'
      | 'sealed'
      | 'commitment'
      | 'ciphertextHash',
      string
    > & {
      version: number;
    };
    const { records } = readVectors('seal/cartulary-seal-v1.json') as { records: Vector[] };
    expect(records.length).toBeGreaterThan(1);
    for (const vector of records) {
      const own = createSealer({
        archiveId: fromHex(vector.archiveId),
        sealKeys: new Map([[vector.version, fromHex(vector.sealKey)]]),
        currentVersion: vector.version,
      });
      const at = {
        messageId: fromHex(vector.messageId),
        recordId: fromHex(vector.recordId),
        secret: fromHex(vector.secret),
      };
      const made = own.sealRecord({ ...at, r: fromHex(vector.r), plaintext: fromHex(vector.plaintext) });
      expect(toHex(made.sealed)).toBe(vector.sealed);
      expect(toHex(made.commitment)).toBe(vector.commitment);
      expect(toHex(made.ciphertextHash)).toBe(vector.ciphertextHash);
      expect(toHex(own.openRecord({ ...at, sealed: made.sealed }).plaintext)).toBe(vector.plaintext);
    }
  });

  it('fail when any bit of the ciphertext is flipped', () => {
    const { sealed } = sealer.sealRecord({ ...place, r, plaintext: record });
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      // A bit of the version asks for a key that is not there (or for another one); every other bit breaks the tag or the algorithm.
      const expected = bit >= 8 && bit < 24 ? ['key-missing', 'corrupt'] : ['corrupt'];
      expect(expected).toContain(codeOf(() => sealer.openRecord({ ...place, sealed: flip(sealed, bit) })));
    }
  });

  it('fail when any bit of message id, record id or secret differs', () => {
    const { sealed } = sealer.sealRecord({ ...place, r, plaintext: record });
    fc.assert(
      fc.property(fc.constantFrom('messageId', 'recordId', 'secret'), fc.nat(16 * 8 - 1), (name, bit) => {
        expect(codeOf(() => sealer.openRecord({ ...place, [name]: flip(place[name], bit), sealed }))).toBe('corrupt');
      }),
      { seed: 2 },
    );
  });

  it('fail when cut or extended anywhere', () => {
    const { sealed } = sealer.sealRecord({ ...place, r, plaintext: record });
    for (let length = 0; length < sealed.length; length += 1) {
      expect(codeOf(() => sealer.openRecord({ ...place, sealed: sealed.subarray(0, length) }))).toBe('corrupt');
    }
    expect(codeOf(() => sealer.openRecord({ ...place, sealed: Buffer.concat([sealed, Buffer.alloc(1)]) }))).toBe(
      'corrupt',
    );
  });

  it('fail in another archive that shares the keys, and under another key', () => {
    const { sealed } = sealer.sealRecord({ ...place, r, plaintext: record });
    const elsewhere = createSealer({ archiveId: testBytes(16, 99), sealKeys, currentVersion: 300 });
    expect(codeOf(() => elsewhere.openRecord({ ...place, sealed }))).toBe('corrupt');
    const rekeyed = createSealer({ archiveId, sealKeys: new Map([[300, testBytes(32, 98)]]), currentVersion: 300 });
    expect(codeOf(() => rekeyed.openRecord({ ...place, sealed }))).toBe('corrupt');
  });

  it('keep opening what an older version sealed, and say which version is missing', () => {
    const older = createSealer({ archiveId, sealKeys, currentVersion: 1 });
    const { sealed } = older.sealRecord({ ...place, r, plaintext: record });
    expect(toHex(sealer.openRecord({ ...place, sealed }).plaintext)).toBe(toHex(record));
    const without = createSealer({ archiveId, sealKeys: new Map([[2, testBytes(32, 12)]]), currentVersion: 2 });
    expect(() => without.openRecord({ ...place, sealed })).toThrow(
      expect.objectContaining({ code: 'key-missing', detail: { version: 1 } }),
    );
  });

  it('say nothing of the content or the key in errors', () => {
    const { sealed } = sealer.sealRecord({ ...place, r, plaintext: record });
    try {
      sealer.openRecord({ ...place, sealed: flip(sealed, 100) });
      expect.unreachable();
    } catch (error) {
      const text = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String(error);
      for (const secret of ['shipped', toHex(place.secret), toHex(r)]) expect(text).not.toContain(secret);
    }
  });

  it('hand out ciphertexts that later sealings do not touch', () => {
    const made = Array.from({ length: 200 }, (_, index) => {
      const { sealed } = sealer.sealRecord({ ...place, r, plaintext: testBytes(500, index) });
      return { sealed, hex: toHex(sealed) };
    });
    for (const { sealed, hex } of made) expect(toHex(sealed)).toBe(hex);
  });
});

describe('seal and open', () => {
  it('give back what was sealed for each purpose', () => {
    fc.assert(
      fc.property(fc.constantFrom(...otherPurposes), fc.uint8Array({ maxLength: 500 }), (purpose, plaintext) => {
        const sealed = sealer.seal({ ...place, purpose, plaintext });
        expect(toHex(sealer.open({ ...place, purpose, sealed }))).toBe(toHex(plaintext));
      }),
      { seed: 3 },
    );
  });

  it('fail for every other purpose, and never as a record', () => {
    for (const purpose of otherPurposes) {
      const sealed = sealer.seal({ ...place, purpose, plaintext: testBytes(64) });
      for (const other of otherPurposes) {
        if (other !== purpose) expect(codeOf(() => sealer.open({ ...place, purpose: other, sealed }))).toBe('corrupt');
      }
      expect(codeOf(() => sealer.openRecord({ ...place, sealed }))).toBe('corrupt');
    }
    const { sealed } = sealer.sealRecord({ ...place, r, plaintext: record });
    for (const purpose of otherPurposes)
      expect(codeOf(() => sealer.open({ ...place, purpose, sealed }))).toBe('corrupt');
  });

  it('give different bytes for the same plaintext in different places', () => {
    const one = sealer.seal({ ...place, purpose: 'state', plaintext: record });
    const two = sealer.seal({ ...place, recordId: testBytes(16, 77), purpose: 'state', plaintext: record });
    expect(toHex(one)).not.toBe(toHex(two));
  });

  it('give each purpose a code of its own', () => {
    expect(new Set(Object.values(PURPOSES)).size).toBe(Object.keys(PURPOSES).length);
    expect(PURPOSES).toMatchObject({ record: 1, state: 2, 'media-key': 3, job: 4, quarantine: 5, setting: 6 });
  });
});

describe('createSealer', () => {
  it('refuses keys that are none', () => {
    const make = (keys: [number, Uint8Array][], currentVersion: number): Sealer =>
      createSealer({ archiveId, sealKeys: new Map(keys), currentVersion });
    expect(codeOf(() => make([[1, testBytes(32)]], 2))).toBe('key-missing');
    expect(codeOf(() => make([[1, testBytes(31)]], 1))).toBe('key-missing');
    expect(codeOf(() => make([[1, new Uint8Array(32)]], 1))).toBe('key-missing');
    for (const version of [0, 65_536, 1.5, -1])
      expect(codeOf(() => make([[version, testBytes(32)]], version))).toBe('key-missing');
    expect(codeOf(() => createSealer({ archiveId: testBytes(15), sealKeys, currentVersion: 1 }))).toBe('internal');
  });

  it('refuses ids and secrets of the wrong length, and too much at once', () => {
    const sealed = sealer.seal({ ...place, purpose: 'state', plaintext: record });
    for (const wrong of [{ messageId: testBytes(15) }, { recordId: testBytes(17) }, { secret: testBytes(31) }]) {
      expect(codeOf(() => sealer.sealRecord({ ...place, ...wrong, r, plaintext: record }))).toBe('internal');
      expect(codeOf(() => sealer.open({ ...place, ...wrong, purpose: 'state', sealed }))).toBe('internal');
    }
    expect(codeOf(() => sealer.sealRecord({ ...place, r: testBytes(31), plaintext: record }))).toBe('internal');
    const huge = new Uint8Array(PLAINTEXT_BYTES_MAX + 1);
    expect(codeOf(() => sealer.sealRecord({ ...place, r, plaintext: huge }))).toBe('too-large');
    expect(codeOf(() => sealer.seal({ ...place, purpose: 'job', plaintext: huge }))).toBe('too-large');
  });

  it('does nothing any more once it is destroyed, and does not need the keyring while it lives', () => {
    const keys = new Map([[1, testBytes(32, 5)]]);
    const own = createSealer({ archiveId, sealKeys: keys, currentVersion: 1 });
    const { sealed } = own.sealRecord({ ...place, r, plaintext: record });
    keys.get(1)?.fill(0);
    keys.clear();
    expect(toHex(own.openRecord({ ...place, sealed }).plaintext)).toBe(toHex(record));
    own.destroy();
    expect(codeOf(() => own.sealRecord({ ...place, r, plaintext: record }))).toBe('locked');
    expect(codeOf(() => own.openRecord({ ...place, sealed }))).toBe('locked');
    expect(codeOf(() => own.seal({ ...place, purpose: 'job', plaintext: record }))).toBe('locked');
    expect(codeOf(() => own.open({ ...place, purpose: 'job', sealed }))).toBe('locked');
  });
});
