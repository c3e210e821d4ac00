import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatBase64, utf8 } from './bytes.ts';
import {
  NOTE_BYTES_MAX,
  NOTE_SIGNATURES_MAX,
  SIGNATURE_COSIGNATURE,
  SIGNATURE_ED25519,
  createNoteSigner,
  createVerifierKey,
  formatNote,
  formatVkey,
  isKeyName,
  keyIdOf,
  parseNote,
  parseVkey,
  signNote,
  verifyNote,
} from './note.ts';
import type { NoteSigner } from './note.ts';
import { codeOf } from './testing/code-of.ts';
import { testSeed } from './testing/memory-log.ts';

const VECTORS = join(import.meta.dirname, '../../test/vectors');
const log = createNoteSigner({ name: 'log.example', seed: testSeed(1) });
const other = createNoteSigner({ name: 'other.example', seed: testSeed(2) });
const witness = createNoteSigner({ name: 'witness.example', seed: testSeed(3), type: SIGNATURE_COSIGNATURE });
const TEXT = 'Hello\n\nworld\n';

describe('the example of the standard', () => {
  const note = readFileSync(join(VECTORS, 'c2sp/signed-note-example.txt'));
  const vkey = readFileSync(join(VECTORS, 'c2sp/signed-note-example.vkey'), 'utf8').trim();

  test('verifies, and comes back byte for byte', () => {
    const key = parseVkey(vkey);
    expect(formatVkey(key)).toBe(vkey);
    const { text, verified, unverified } = verifyNote(note, [key]);
    expect(text).toBe('This is an example message.\n');
    expect(verified).toMatchObject([{ name: 'example.com/foo', keyId: 0x530d903a }]);
    expect(unverified).toEqual([]);
    expect(formatNote(parseNote(note))).toBe(note.toString('utf8'));
  });

  test('does not survive a flipped bit, wherever it is', () => {
    const key = parseVkey(vkey);
    for (let bit = 0; bit < note.length * 8; bit += 1) {
      const changed = Uint8Array.from(note);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codeOf(() => verifyNote(changed, [key]))).not.toBe('ok');
    }
  });
});

describe('verifier keys', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter(isKeyName);
  const type = fc.constantFrom(SIGNATURE_ED25519, SIGNATURE_COSIGNATURE);
  const publicKey = fc.uint8Array({ minLength: 32, maxLength: 32 });

  test('come back from their text, also with plus signs in the Base 64', () => {
    let plusSigns = 0;
    fc.assert(
      fc.property(name, type, publicKey, (name, type, publicKey) => {
        const key = createVerifierKey(name, type, publicKey);
        const vkey = formatVkey(key);
        if (vkey.split('+').length > 3) plusSigns += 1;
        expect(parseVkey(vkey)).toEqual(key);
      }),
      { seed: 1, numRuns: 300 },
    );
    expect(plusSigns).toBeGreaterThan(10);
  });

  test.each([
    '',
    'name',
    'name+00000000',
    '+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2',
    'example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903a+Aeky',
    'example.com/foo+530d903a+',
    'exam ple+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example\u00a0x+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    '\ud800+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
  ])('refuses %j', (vkey) => {
    expect(codeOf(() => parseVkey(vkey))).toBe('bad-key');
  });

  test('names', () => {
    for (const good of ['a', 'example.com/log', 'ärchiv', 'a-b_c:1', 'x'.repeat(255)])
      expect(isKeyName(good)).toBe(true);
    for (const bad of [
      '',
      'a b',
      'a+b',
      'a\tb',
      'a\n',
      'a\u2003b',
      'a\u0085b',
      'a\u0001b',
      'x'.repeat(256),
      'ä'.repeat(128),
    ]) {
      expect({ bad, isName: isKeyName(bad) }).toEqual({ bad, isName: false });
    }
    expect(codeOf(() => createVerifierKey('a b', SIGNATURE_ED25519, new Uint8Array(32)))).toBe('bad-key');
    expect(codeOf(() => createVerifierKey('a', SIGNATURE_ED25519, new Uint8Array(31)))).toBe('bad-key');
    expect(keyIdOf(log.name, 1, log.publicKey)).not.toBe(keyIdOf(log.name, 4, log.publicKey));
  });
});

describe('signing and verifying', () => {
  test('several signers, known and unknown', () => {
    const note = signNote(TEXT, [log, other]);
    const { text, verified, unverified } = verifyNote(note, [log]);
    expect(text).toBe(TEXT);
    expect(verified.map(({ name }) => name)).toEqual(['log.example']);
    expect(unverified.map(({ name }) => name)).toEqual(['other.example']);
    expect(verifyNote(note, [other, log, log]).verified).toHaveLength(2);
    expect(codeOf(() => verifyNote(note, [witness]))).toBe('not-signed');
    expect(codeOf(() => verifyNote(note, []))).toBe('not-signed');
  });

  test('an existing signature by the same key is replaced, others are kept', () => {
    const { signatures } = parseNote(signNote(TEXT, [log, other]));
    const again = signNote(TEXT, [log], { existing: signatures });
    expect(parseNote(again).signatures.map(({ name }) => name)).toEqual(['other.example', 'log.example']);
  });

  test('a false signature of a known key condemns the note, that of an unknown one does not', () => {
    const { text, signatures } = parseNote(signNote(TEXT, [log, other]));
    const forged = signatures.map((signature) =>
      signature.name === other.name ? { ...signature, signature: new Uint8Array(64) } : signature,
    );
    expect(codeOf(() => verifyNote({ text, signatures: forged }, [log, other]))).toBe('bad-signature');
    expect(codeOf(() => verifyNote({ text, signatures: forged }, [log]))).toBe('ok');
    // The second signature of one key is not believed either.
    const twice = [...signatures, ...forged];
    expect(codeOf(() => verifyNote({ text, signatures: twice }, [log, other]))).toBe('bad-signature');
    expect(verifyNote({ text, signatures: [...signatures, ...signatures] }, [log]).verified).toHaveLength(1);
  });

  test('a name or an id alone is not the key', () => {
    const { text, signatures } = parseNote(signNote(TEXT, [log]));
    const renamed = signatures.map((signature) => ({ ...signature, name: 'log2.example' }));
    expect(codeOf(() => verifyNote({ text, signatures: renamed }, [log]))).toBe('not-signed');
    const renumbered = signatures.map((signature) => ({ ...signature, keyId: 1 }));
    expect(codeOf(() => verifyNote({ text, signatures: renumbered }, [log]))).toBe('not-signed');
  });

  test('two different keys of one name and id are refused', () => {
    const impostor = { ...log, publicKey: other.publicKey };
    expect(codeOf(() => verifyNote(signNote(TEXT, [log]), [log, impostor]))).toBe('bad-key');
    const retyped = { ...log, type: SIGNATURE_COSIGNATURE } as const;
    expect(codeOf(() => verifyNote(signNote(TEXT, [log]), [log, retyped]))).toBe('bad-key');
  });

  test('a cosignature carries its time, which is signed, too', () => {
    const note = signNote(TEXT, [witness], { timeSeconds: 1_700_000_000 });
    expect(verifyNote(note, [witness]).verified[0]?.timeSeconds).toBe(1_700_000_000);
    const { text, signatures } = parseNote(note);
    const change = (edit: (bytes: Uint8Array) => Uint8Array): string =>
      codeOf(() => {
        const changed = signatures.map((line) => ({ ...line, signature: edit(line.signature.slice()) }));
        return verifyNote({ text, signatures: changed }, [witness]);
      });
    expect(change((bytes) => bytes)).toBe('ok');
    expect(change((bytes) => (bytes.set([1], 7), bytes))).toBe('bad-signature');
    expect(change((bytes) => (bytes.set([255], 0), bytes))).toBe('bad-signature');
    expect(change((bytes) => bytes.subarray(1))).toBe('bad-signature');
    for (const timeSeconds of [0, -1, 1.5, Number.NaN]) {
      expect(codeOf(() => signNote(TEXT, [witness], { timeSeconds }))).toBe('bad-argument');
    }
    expect(codeOf(() => signNote(TEXT, [witness]))).toBe('bad-argument');
  });
});

describe('the form of a note', () => {
  const line = `— a ${formatBase64(new Uint8Array(8))}\n`;

  test('parses what it formats, and formats what it parses', () => {
    const signers = fc.subarray<NoteSigner>([log, other], { minLength: 1 });
    const text = fc.string({ unit: 'grapheme', maxLength: 50 }).map((body) => `${body.replaceAll(/\p{Cc}/gu, '\n')}\n`);
    fc.assert(
      fc.property(text, signers, (text, signers) => {
        const note = signNote(text, signers);
        expect(formatNote(parseNote(note))).toBe(note);
        expect(formatNote(parseNote(utf8(note)))).toBe(note);
        expect(verifyNote(note, signers).text).toBe(text);
      }),
      { seed: 1 },
    );
  });

  test.each([
    ['no signatures', 'text\n'],
    ['no empty line', `text\n${line}`],
    ['nothing after the empty line', 'text\n\n'],
    ['no newline at the end', `text\n\n${line.trimEnd()}`],
    ['a line that is no signature', `text\n\nx${line}`],
    ['a hyphen in place of the dash', `text\n\n${line.replace('—', '-')}`],
    ['an empty name', `text\n\n${line.replace('a', '')}`],
    ['a name with a plus sign', `text\n\n${line.replace('a', 'a+b')}`],
    ['three words', `text\n\n${line.replace('\n', ' x\n')}`],
    ['no signature', 'text\n\n— a\n'],
    ['an id without a signature', 'text\n\n— a AAAAAA==\n'],
    ['base64 with spaces', 'text\n\n— a AAAA AAAA\n'],
    ['stray bits in the base64', 'text\n\n— a AAAAAAAAAAB=\n'],
    ['a control character', `te\tt\n\n${line}`],
    ['a carriage return', `text\r\n\n${line}`],
    ['half a surrogate pair', `\ud800\n\n${line}`],
  ])('refuses %s', (_, note) => {
    expect(codeOf(() => parseNote(note))).toBe('bad-format');
  });

  test('limits', () => {
    const many = (count: number): string => `text\n\n${line.repeat(count)}`;
    expect(parseNote(many(NOTE_SIGNATURES_MAX)).signatures).toHaveLength(NOTE_SIGNATURES_MAX);
    expect(codeOf(() => parseNote(many(NOTE_SIGNATURES_MAX + 1)))).toBe('limit');
    expect(codeOf(() => parseNote('x'.repeat(NOTE_BYTES_MAX + 1)))).toBe('limit');
    expect(codeOf(() => parseNote(new Uint8Array(NOTE_BYTES_MAX + 1)))).toBe('limit');
    expect(codeOf(() => parseNote(Uint8Array.of(0xff)))).toBe('bad-format');
    expect(codeOf(() => parseNote(`t\n\n— a ${formatBase64(new Uint8Array(8_197))}\n`))).toBe('limit');
    // An ML-DSA-44 cosignature of an unknown key fits.
    expect(codeOf(() => parseNote(`t\n\n— a ${formatBase64(new Uint8Array(4 + 8 + 2_420))}\n`))).toBe('ok');
  });

  test('a text without a newline at its end is not signed', () => {
    expect(codeOf(() => signNote('text', [log]))).toBe('bad-format');
    expect(codeOf(() => signNote('te\u0001xt\n', [log]))).toBe('bad-format');
    expect(codeOf(() => signNote('\ud800\n', [log]))).toBe('bad-format');
    expect(codeOf(() => formatNote({ text: 'text\n', signatures: [] }))).toBe('bad-format');
  });
});
