import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  equalBytes,
  formatBase64,
  formatHex,
  parseBase64,
  parseDecimal,
  parseUtf8,
  plainBytes,
  utf8,
} from './bytes.ts';
import { createEd25519Key, isEd25519Signature } from './ed25519.ts';
import { LEDGER_ERRORS, LedgerError } from './error.ts';
import { sha256, sha256Into } from './hash.ts';
import { codeOf } from './testing/code-of.ts';

describe('base64', () => {
  test('is the same as that of Node, and comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = formatBase64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64'));
        expect(parseBase64(text)).toEqual(bytes);
      }),
      { seed: 4648 },
    );
  });

  test.each(['A', 'AA', 'AAA', 'A===', '====', '=', 'AA=A', 'AB==', 'AAB=', 'AA-_', 'AA A', 'AAAA\n', 'ÄAAA'])(
    'refuses %j, which is not canonical',
    (text) => {
      expect(codeOf(() => parseBase64(text))).toBe('bad-format');
    },
  );
});

describe('text', () => {
  test('half a surrogate pair has no UTF-8, and broken UTF-8 no text', () => {
    expect(codeOf(() => utf8('\ud800'))).toBe('bad-format');
    expect(codeOf(() => parseUtf8(Uint8Array.of(0xff)))).toBe('bad-format');
    expect(parseUtf8(utf8('\ufeffé—😀'))).toBe('\ufeffé—😀');
  });

  test('decimals have one form', () => {
    expect(parseDecimal('0', 'x')).toBe(0);
    expect(parseDecimal('9007199254740991', 'x')).toBe(Number.MAX_SAFE_INTEGER);
    for (const text of ['', '00', '01', '+1', '-1', '1.0', '1e3', ' 1', '0x1', '123456789012345678901']) {
      expect(codeOf(() => parseDecimal(text, 'x'))).toBe('bad-format');
    }
    expect(codeOf(() => parseDecimal('9007199254740992', 'x'))).toBe('limit');
    expect(codeOf(() => parseDecimal('18446744073709551615', 'x'))).toBe('limit');
  });

  test('hexadecimal and equality', () => {
    expect(formatHex(Uint8Array.of(0, 10, 255))).toBe('000aff');
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  });

  test('a Buffer becomes a Uint8Array over the same memory', () => {
    const buffer = Buffer.from('abc');
    const plain = plainBytes(buffer.subarray(1));
    expect(Object.getPrototypeOf(plain)).toBe(Uint8Array.prototype);
    buffer[1] = 0x78;
    expect(plain).toEqual(Uint8Array.of(0x78, 0x63));
  });
});

describe('hash', () => {
  test('SHA-256 of known texts, in one part, several or none', () => {
    const hex = (...parts: string[]): string => formatHex(sha256(...parts.map(utf8)));
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(hex('abc')).toBe(abc);
    expect(hex('a', '', 'bc')).toBe(abc);
    expect(hex()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(Object.getPrototypeOf(sha256())).toBe(Uint8Array.prototype);
  });

  test('writes into the middle of a buffer', () => {
    const target = new Uint8Array(34);
    sha256Into(target, 1, utf8('abc'));
    expect(target).toEqual(Uint8Array.of(0, ...sha256(utf8('abc')), 0));
  });
});

describe('Ed25519', () => {
  type Test = { tcId: number; msg: string; sig: string; result: string };
  type Group = { publicKey: { pk: string }; tests: Test[] };
  const path = join(import.meta.dirname, '../../test/vectors/wycheproof/ed25519_test.json');
  const { testGroups, numberOfTests }: { testGroups: Group[]; numberOfTests: number } = JSON.parse(
    readFileSync(path, 'utf8'),
  );
  const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

  test('all Wycheproof signatures', () => {
    let seen = 0;
    for (const { publicKey, tests } of testGroups) {
      for (const { tcId, msg, sig, result } of tests) {
        const isValid = isEd25519Signature(fromHex(publicKey.pk), fromHex(msg), fromHex(sig));
        expect({ tcId, isValid }).toEqual({ tcId, isValid: result === 'valid' });
        seen += 1;
      }
    }
    expect(seen).toBe(numberOfTests);
  });

  test('the first test of RFC 8032 §7.1, and keys that are none', () => {
    const key = createEd25519Key(fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'));
    expect(formatHex(key.publicKey)).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    const signature = key.sign(new Uint8Array(0));
    expect(formatHex(signature).slice(0, 16)).toBe('e5564300c360ac72');
    expect(isEd25519Signature(key.publicKey, new Uint8Array(0), signature)).toBe(true);
    expect(isEd25519Signature(key.publicKey.subarray(1), new Uint8Array(0), signature)).toBe(false);
    expect(codeOf(() => createEd25519Key(new Uint8Array(31)))).toBe('bad-key');
  });

  test('no public key, however wrong, makes it throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (key, signature) => {
          expect(isEd25519Signature(key, utf8('x'), signature)).toBe(false);
        },
      ),
      { seed: 8032 },
    );
  });
});

test('an error says what to do', () => {
  const cause = new Error('why');
  const error = new LedgerError('bad-tile', 'tile/0/000 cannot be read', { cause, position: 7 });
  expect(error).toMatchObject({ name: 'LedgerError', hint: LEDGER_ERRORS['bad-tile'], cause, position: 7 });
  expect(new LedgerError('limit', 'too much').position).toBeUndefined();
});
