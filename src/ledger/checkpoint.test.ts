import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cosignCheckpoint,
  formatCheckpoint,
  isSameHead,
  parseCheckpoint,
  parseHashLines,
  signCheckpoint,
  verifyCheckpoint,
} from './checkpoint.ts';
import { NOTE_BYTES_MAX, SIGNATURE_COSIGNATURE, createNoteSigner, formatVkey, signNote } from './note.ts';
import { codeOf } from './testing/code-of.ts';
import { testSeed } from './testing/memory-log.ts';
import { emptyRoot } from './tree.ts';

const VECTORS = join(import.meta.dirname, '../../test/vectors');
const read = (name: string): string => readFileSync(join(VECTORS, 'proto-log257', name), 'utf8');
const origin = 'archive.example/log';
const signer = createNoteSigner({ name: origin, seed: testSeed(1) });
const witness = createNoteSigner({ name: 'witness.example/w1', seed: testSeed(2), type: SIGNATURE_COSIGNATURE });
const root = new Uint8Array(32).fill(9);
const head = { origin, size: 7, root };

test('the checkpoint of another program, with a cosignature', () => {
  const keys = [read('log.vkey').trim(), read('witness.vkey').trim()];
  const checkpoint = verifyCheckpoint(read('checkpoint'), keys);
  expect(checkpoint).toMatchObject({ origin: 'archive.example/log1', size: 257, extensions: [] });
  expect(checkpoint.cosignatures).toMatchObject([{ name: 'witness.example/w1', timeSeconds: 0x6b0350ae }]);
  expect(verifyCheckpoint(read('checkpoint'), keys.slice(0, 1)).cosignatures).toEqual([]);
  expect(codeOf(() => verifyCheckpoint(read('checkpoint'), keys.slice(1)))).toBe('not-signed');
});

describe('form', () => {
  test('parses what it formats', () => {
    const origins = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter((text) => !/\p{Cc}/u.test(text));
    fc.assert(
      fc.property(origins, fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (origin, size, bytes) => {
        const root = size === 0 ? emptyRoot() : bytes;
        const text = formatCheckpoint({ origin, size, root });
        expect(parseCheckpoint(text)).toEqual({ origin, size, root, extensions: [] });
      }),
      { seed: 1 },
    );
  });

  test('extension lines are read', () => {
    expect(parseCheckpoint(`${formatCheckpoint(head)}one\ntwo\n`).extensions).toEqual(['one', 'two']);
  });

  test.each([
    ['two lines', 'a\n1\n', 'bad-format'],
    ['no newline at the end', formatCheckpoint(head).trimEnd(), 'bad-format'],
    ['an empty line', `${formatCheckpoint(head)}\n`, 'bad-format'],
    ['an empty origin', formatCheckpoint(head).replace(origin, ''), 'bad-format'],
    ['a leading zero', formatCheckpoint(head).replace('\n7\n', '\n07\n'), 'bad-format'],
    ['a negative size', formatCheckpoint(head).replace('\n7\n', '\n-7\n'), 'bad-format'],
    ['a size past 2^53', formatCheckpoint(head).replace('\n7\n', '\n9007199254740993\n'), 'limit'],
    ['a root of 31 bytes', `a\n1\n${Buffer.alloc(31).toString('base64')}\n`, 'bad-format'],
    ['a root that is not base64', 'a\n1\n!\n', 'bad-format'],
    ['another root than the empty one for nothing', formatCheckpoint(head).replace('\n7\n', '\n0\n'), 'bad-format'],
    ['a control character', formatCheckpoint(head).replace('a', '\t'), 'bad-format'],
    ['a long origin', formatCheckpoint(head).replace(origin, 'ä'.repeat(128)), 'limit'],
    ['a long text', 'x'.repeat(NOTE_BYTES_MAX + 1), 'limit'],
  ] as const)('refuses %s', (_, text, code) => {
    expect(codeOf(() => parseCheckpoint(text))).toBe(code);
  });

  test('heads that cannot be are not written', () => {
    expect(codeOf(() => formatCheckpoint({ ...head, size: -1 }))).toBe('bad-argument');
    expect(codeOf(() => formatCheckpoint({ ...head, size: 0 }))).toBe('bad-format');
    expect(codeOf(() => formatCheckpoint({ ...head, root: new Uint8Array(31) }))).toBe('bad-format');
    expect(codeOf(() => formatCheckpoint({ ...head, origin: 'a\nb' }))).toBe('bad-format');
    expect(codeOf(() => parseHashLines(['AAAA']))).toBe('bad-format');
  });

  test('equality of heads', () => {
    expect(isSameHead(head, { ...head, root: root.slice() })).toBe(true);
    expect(isSameHead(head, { ...head, origin: 'x' })).toBe(false);
    expect(isSameHead(head, { ...head, size: 8 })).toBe(false);
    expect(isSameHead(head, { ...head, root: emptyRoot() })).toBe(false);
  });
});

describe('signatures', () => {
  test('one signer or several, keys as text or parsed', () => {
    const rotated = createNoteSigner({ name: origin, seed: testSeed(3) });
    const note = signCheckpoint(head, [signer, rotated]);
    for (const key of [signer, rotated]) expect(verifyCheckpoint(note, formatVkey(key))).toMatchObject(head);
    expect(verifyCheckpoint(signCheckpoint(head, signer), signer).key).toBe(signer);
  });

  test('the key must bear the name of the log', () => {
    const stranger = createNoteSigner({ name: 'other.example', seed: testSeed(4) });
    const note = signCheckpoint(head, stranger);
    expect(codeOf(() => verifyCheckpoint(note, [signer, stranger]))).toBe('wrong-origin');
    expect(codeOf(() => verifyCheckpoint(note, [signer]))).toBe('not-signed');
    expect(codeOf(() => verifyCheckpoint(signNote('no checkpoint\n', [signer]), signer))).toBe('bad-format');
  });

  test('cosignatures are added beside the signature of the log, and replaced by newer ones', () => {
    const note = signCheckpoint(head, signer);
    const once = cosignCheckpoint({ checkpoint: note, signer: witness, timeSeconds: 100 });
    const twice = cosignCheckpoint({ checkpoint: once, signer: witness, timeSeconds: 200 });
    expect(once.startsWith(note)).toBe(true);
    expect(verifyCheckpoint(twice, [signer, witness]).cosignatures).toEqual([
      { name: witness.name, keyId: witness.keyId, timeSeconds: 200 },
    ]);
    expect(codeOf(() => verifyCheckpoint(twice, [witness]))).toBe('not-signed');
    expect(codeOf(() => cosignCheckpoint({ checkpoint: note, signer, timeSeconds: 1 }))).toBe('bad-argument');
    const text = signNote('no checkpoint\n', [signer]);
    expect(codeOf(() => cosignCheckpoint({ checkpoint: text, signer: witness, timeSeconds: 1 }))).toBe('bad-format');
  });

  test('no flipped bit passes', () => {
    const note = new TextEncoder().encode(
      cosignCheckpoint({ checkpoint: signCheckpoint(head, signer), signer: witness, timeSeconds: 100 }),
    );
    for (let bit = 0; bit < note.length * 8; bit += 1) {
      const changed = note.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let cosignatures = 0;
      const code = codeOf(() => {
        cosignatures = verifyCheckpoint(changed, [signer, witness]).cosignatures.length;
      });
      // A change of the witness's name or id makes it an unknown key, whose line says nothing.
      expect(code !== 'ok' || cosignatures === 0).toBe(true);
    }
  });
});
